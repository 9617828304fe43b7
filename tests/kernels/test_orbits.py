"""Orbit counts against their definition over all node subsets, the identities between them, and closed forms."""

from __future__ import annotations

import itertools
from math import comb

import networkx
import numpy as np
import pytest

from graphkit.core.errors import UsageError
from graphkit.core.orbit_keys import FURTHER, keys_of
from graphkit.graph.simple import symmetric_matrix
from graphkit.kernels import orbit_rows
from graphkit.kernels import orbits as kernel

# Number of nodes and edges, largest degree -> the orbit of a node by its degree.
SHAPES = {
    (2, 1, 1): {1: 0},
    (3, 2, 2): {1: 1, 2: 2},
    (3, 3, 2): {2: 3},
    (4, 3, 2): {1: 4, 2: 5},
    (4, 3, 3): {1: 6, 3: 7},
    (4, 4, 2): {2: 8},
    (4, 4, 3): {1: 9, 2: 10, 3: 11},
    (4, 5, 3): {2: 12, 3: 13},
    (4, 6, 3): {3: 14},
}


def count(graph):
    """(keys -> dense matrix, (n, 15) node orbits, edges, edge orbits) by the kernels."""
    n = graph.number_of_nodes()
    prepared = kernel.prepare(symmetric_matrix(np.array(list(graph.edges), dtype=np.int64).reshape(-1, 2), n))
    counts = kernel.one_hop(prepared)
    matrices = {key: kernel.adjacency_of(prepared, key, counts) for key in kernel.KEYS}
    assert all((matrix.data > 0).all() and matrix.has_sorted_indices for matrix in matrices.values())
    dense = {key: matrix.toarray() for key, matrix in matrices.items()}
    return dense, kernel.node_orbits(prepared, counts), *kernel.edge_orbits(prepared, counts)


def brute_force(graph):
    """(keys and transposed keys -> dense matrix, (n, 15) node orbits) over all subsets of 2 to 4 nodes."""
    n = graph.number_of_nodes()
    near = networkx.to_numpy_array(graph, nodelist=range(n), dtype=int)
    found, nodes = {}, np.zeros((n, 15), dtype=int)
    for size in (2, 3, 4):
        for some in itertools.combinations(range(n), size):
            part = near[np.ix_(some, some)]
            two = (part @ part > 0) | (part > 0)
            if not (np.linalg.matrix_power(part + np.eye(size, dtype=int), size) > 0).all():
                continue
            degree = part.sum(1)
            names = SHAPES[size, part.sum() // 2, degree.max()]
            for i, u in enumerate(some):
                nodes[u, names[degree[i]]] += 1
                for j, v in enumerate(some):
                    if i != j:
                        key = (1 if part[i, j] else 2 if two[i, j] else 3, names[degree[i]], names[degree[j]])
                        found.setdefault(key, np.zeros((n, n), dtype=int))[u, v] += 1
    return found, nodes


def check(graph):
    found, nodes, edges, edge_counts = count(graph)
    expected, expected_nodes = brute_force(graph)
    everything = {**found, **{(h, b, a): matrix.T for (h, a, b), matrix in found.items()}}
    assert set(expected) <= set(everything)
    for key, matrix in everything.items():
        np.testing.assert_array_equal(matrix, expected.get(key, np.zeros_like(matrix)), str(key))
    np.testing.assert_array_equal(nodes, expected_nodes)
    assert sorted(map(tuple, edges.tolist())) == sorted((min(e), max(e)) for e in graph.edges)
    for column, (h, a, b) in zip(edge_counts.T, kernel.EDGE_ORBITS):
        whole = sum(expected.get(key, np.zeros((len(nodes),) * 2, int)) for key in {(h, a, b), (h, b, a)})
        np.testing.assert_array_equal(column, whole[edges[:, 0], edges[:, 1]])


@pytest.mark.slow
def test_every_graph_of_the_atlas():
    for graph in networkx.graph_atlas_g():
        check(graph)


def test_every_thirtieth_graph_of_the_atlas():
    for graph in networkx.graph_atlas_g()[::30]:
        check(graph)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_random_graphs_of_30_nodes(seed):
    check(networkx.gnp_random_graph(30, 0.1 + 0.01 * seed, seed=seed))


@pytest.mark.parametrize("p", [0.1, 0.3, 0.6, 0.9])
def test_random_graphs(p):
    check(networkx.gnp_random_graph(14, p, seed=7))


def test_28_matrices():
    assert len(kernel.KEYS) == len(set(kernel.KEYS)) == 20
    assert sum(1 if a == b else 2 for _, a, b in kernel.KEYS) == 28


def test_totals_and_symmetry_with_hubs():
    graph = networkx.barabasi_albert_graph(400, 6, seed=1)
    graph.add_edges_from((0, v) for v in range(1, 400))
    found, nodes, _, _ = count(graph)
    total = {key: int(matrix.sum()) for key, matrix in found.items()}
    assert total[1, 4, 5] == total[2, 4, 5] == total[1, 5, 5] == total[3, 4, 4]
    assert total[1, 13, 13] == total[2, 12, 12] and total[1, 8, 8] == 2 * total[2, 8, 8]
    for (_, a, b), matrix in found.items():
        assert a != b or (matrix == matrix.T).all()
    np.testing.assert_array_equal(found[2, 6, 6].sum(1), 2 * nodes[:, 6])
    np.testing.assert_array_equal(found[2, 9, 10].sum(0), nodes[:, 10])
    near = networkx.to_numpy_array(graph, nodelist=range(400), dtype=int)
    walks = near @ near
    np.fill_diagonal(walks, 0)
    np.testing.assert_array_equal(walks, found[1, 3, 3] + found[2, 1, 1])


@pytest.mark.parametrize("size", [1, 500, 10**9])
@pytest.mark.parametrize("p", [0.03, 0.3])
def test_pieces_of_several_keys_are_rows_of_each(size, p, monkeypatch):
    monkeypatch.setattr(orbit_rows, "PIECE", size)
    graph = networkx.gnp_random_graph(90, p, seed=4)
    prepared = kernel.prepare(symmetric_matrix(np.array(graph.edges), 90))
    for keys in (FURTHER, FURTHER[3:5], FURTHER[:1], FURTHER[6:]):
        rows, found = [0], {key: [] for key in keys}
        for begin, end, some in orbit_rows.pieces(prepared, keys):
            assert begin == rows[-1] and set(some) == set(keys)
            rows.append(end)
            for key, part in some.items():
                found[key].append(part)
        assert rows[-1] == 90 and (len(rows) > 80) == (size == 1)
        for key, parts in found.items():
            whole = kernel.adjacency_of(prepared, key)
            for expected, column in zip((np.diff(whole.indptr), whole.indices, whole.data), zip(*parts)):
                np.testing.assert_array_equal(np.concatenate(column), expected)


def test_a_sum_is_the_sum():
    prepared = kernel.prepare(symmetric_matrix(np.array(networkx.gnp_random_graph(50, 0.2, seed=6).edges), 50))
    counts = kernel.one_hop(prepared)
    for keys in (keys_of("all", transposes=True), [(1, 0, 0), (1, 5, 4)], [(2, 5, 4), (2, 8, 8), (3, 4, 4)]):
        found = kernel.sum_of(prepared, keys, counts)
        assert found.has_sorted_indices and (found.data > 0).all()
        np.testing.assert_array_equal(
            found.toarray(), sum(kernel.adjacency_of(prepared, key, counts).toarray() for key in keys)
        )


def test_transposes():
    prepared = kernel.prepare(symmetric_matrix(np.array(networkx.gnp_random_graph(40, 0.2, seed=5).edges), 40))
    for h, a, b in kernel.KEYS:
        found = kernel.adjacency_of(prepared, (h, b, a)).toarray()
        np.testing.assert_array_equal(found, kernel.adjacency_of(prepared, (h, a, b)).toarray().T)


def test_words_for_keys():
    assert keys_of("all") == list(kernel.KEYS) and len(set(keys_of("all", transposes=True))) == 28
    assert keys_of("G3, 2:5-4") == [(1, 4, 5), (1, 5, 5), (2, 4, 5), (3, 4, 4), (2, 5, 4)]
    sizes = [len(keys_of(f"G{k}", transposes=True)) for k in range(9)]
    assert sizes == [1, 3, 1, 6, 3, 2, 7, 4, 1] and sum(sizes) == 28


def test_closed_forms():
    n = 500
    nodes = count(networkx.star_graph(n))[1]  # node 0 is the hub
    assert nodes[0, 7] == comb(n, 3) and (nodes[1:, 6] == comb(n - 1, 2)).all() and nodes[0, 2] == comb(n, 2)
    clique = count(networkx.complete_graph(40))[1]
    assert (clique[:, 14] == comb(39, 3)).all() and (clique[:, 3] == comb(39, 2)).all() and (clique[:, 4:14] == 0).all()
    path = count(networkx.path_graph(20))[1]
    assert path[:, 4].sum() == path[:, 5].sum() == 2 * 17 and (path[:, [3, *range(6, 15)]] == 0).all()


def test_a_relabelled_graph_has_the_relabelled_counts():
    graph = networkx.gnp_random_graph(60, 0.15, seed=2)
    order = np.random.default_rng(0).permutation(60)
    found, moved = count(graph), count(networkx.relabel_nodes(graph, dict(enumerate(order.tolist()))))
    np.testing.assert_array_equal(moved[1][order], found[1])
    for key in kernel.KEYS:
        np.testing.assert_array_equal(moved[0][key][np.ix_(order, order)], found[0][key])


@pytest.mark.parametrize("n", [0, 1, 5])
def test_no_edges(n):
    found, nodes, edges, edge_counts = count(networkx.empty_graph(n))
    assert nodes.shape == (n, 15) and not nodes.any() and edges.shape == (0, 2) and edge_counts.shape == (0, 12)
    assert not any(matrix.any() for matrix in found.values())


def test_a_count_beyond_63_bits_is_refused():
    prepared = kernel.prepare(symmetric_matrix(np.array([[0, 1], [0, 2]]), 3))
    counts = kernel.one_hop(prepared)
    counts[3, :] = 2**62
    with pytest.raises(UsageError, match="orbit 4: found a count beyond 63 bits"):
        kernel.node_orbits(prepared, counts)


def test_a_matrix_too_large_is_refused():
    matrix = symmetric_matrix(np.array([(0, v) for v in range(1, 200)]), 200)
    prepared = kernel.prepare(matrix, max_bytes=100_000)
    with pytest.raises(
        UsageError,
        match=r"--max-memory: 2:1-1 of 39,402 entries or more takes 0\.000473 GB, expected at most 0\.0001 GB",
    ):
        kernel.adjacency_of(prepared, (2, 1, 1))
