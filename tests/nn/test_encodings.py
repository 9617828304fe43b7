"""Raw encodings against dense matrices: eigh, pinv, expm and matrix powers, and closed forms on cycles and complete
graphs.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg

from graphkit.datasets.readers.graph_sets import CSL_NODES, CSL_SKIPS
from graphkit.nn.encodings import electrostatic, heat, laplacian, walks
from graphkit.nn.encodings.structure import Structure


def undirected(n, pairs):
    src, dst = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Structure.of(np.concatenate([src, dst]), np.concatenate([dst, src]), n)


def random_graph(n, p, seed=0):
    rng = np.random.default_rng(seed)
    return undirected(n, np.argwhere(np.triu(rng.random((n, n)) < p, 1)))


def path(n):
    return undirected(n, [(i, i + 1) for i in range(n - 1)])


def cycle(n):
    return undirected(n, [(i, (i + 1) % n) for i in range(n)])


ZOO = {
    "empty": Structure.of(np.array([]), np.array([]), 0),
    "one node": Structure.of(np.array([]), np.array([]), 1),
    "one node with a loop": Structure.of(np.array([0]), np.array([0]), 1),
    "no edges": Structure.of(np.array([]), np.array([]), 4),
    "pair": undirected(2, [(0, 1)]),
    "path": path(7),
    "cycle": cycle(6),
    "star": undirected(5, [(0, 1), (0, 2), (0, 3), (0, 4)]),
    "components": undirected(9, [(0, 1), (1, 2), (2, 0), (4, 5), (5, 6), (6, 7)]),
    "loops and copies": Structure.of(np.array([0, 1, 1, 0, 0, 1, 2, 2]), np.array([1, 0, 0, 1, 0, 2, 1, 2]), 4),
    "directed": Structure.of(np.array([0, 1, 2, 2, 3]), np.array([1, 2, 0, 3, 1]), 5),
    "random": random_graph(40, 0.2),
}
everywhere = pytest.mark.parametrize("graph", ZOO.values(), ids=ZOO.keys())


@pytest.fixture
def sparse(monkeypatch):
    """Take the paths of large graphs on small ones, in many blocks."""
    for module in (electrostatic, heat, laplacian, walks):
        monkeypatch.setattr(module, "DENSE", 1)
    monkeypatch.setattr(walks, "BLOCK", 7)


def dense_laplacian(graph, norm="none"):
    a = np.zeros((graph.num_nodes, graph.num_nodes))
    for u, v in zip(graph.src, graph.dst):
        if u != v:
            a[u, v] = a[v, u] = 1
    degree = a.sum(1)
    if norm == "none":
        return np.diag(degree) - a
    scale = np.array([1 / math.sqrt(d) if d else 0.0 for d in degree])
    return scale[:, None] * (np.diag(degree) - a) * scale


def dense_walk(graph):
    """P_ij = edges i -> j over edges out of i, one entry after the other."""
    p = np.zeros((graph.num_nodes, graph.num_nodes))
    for u, v in zip(graph.src, graph.dst):
        p[u, v] += 1 / np.sum(graph.src == u)
    return p


def check_eigenpairs(graph, k, norm="none", atol=1e-6):
    n, matrix = graph.num_nodes, dense_laplacian(graph, norm)
    found = laplacian.lap_pe(graph, k, norm)
    assert found.shape == (n, k, 2)
    assert np.isnan(found[:, n:]).all() and np.isfinite(found[:, :n]).all()
    if n == 0:
        return
    vectors, values = found[:, : min(k, n), 0], found[0, : min(k, n), 1]
    assert (found[:, : min(k, n), 1] == values).all()
    exact, basis = np.linalg.eigh(matrix)
    np.testing.assert_allclose(values, np.maximum(exact[: len(values)], 0), atol=atol)
    assert (values >= 0).all() and (np.diff(values) >= -1e-9).all()
    np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=atol)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(values)), atol=atol)
    # The spaces of whole eigenvalues are the same, whatever basis each solver chose.
    for value in np.unique(values.round(5)):
        mine, theirs = np.abs(values - value) < 1e-4, np.abs(exact - value) < 1e-4
        if mine.sum() == theirs.sum():
            projectors = [v @ v.T for v in (vectors[:, mine], basis[:, theirs])]
            np.testing.assert_allclose(*projectors, atol=1e-4)
    largest = np.abs(vectors).max(0)
    assert all(
        vectors[np.flatnonzero(np.abs(v) >= top * (1 - 1e-6))[0], j] > 0
        for j, (v, top) in enumerate(zip(vectors.T, largest))
    )


@everywhere
@pytest.mark.parametrize("norm", ["none", "sym"])
def test_eigenpairs_are_those_of_the_dense_laplacian(graph, norm):
    for k in (1, 4, 12):
        check_eigenpairs(graph, k, norm)


@everywhere
def test_the_mean_degree_scales_eigenvalues_alone(graph):
    k = min(6, graph.num_nodes)
    (plain, _), (scaled, vectors) = (laplacian.eigenpairs(graph, k, norm) for norm in ("none", "mean"))
    mean = graph.simple().nnz / max(graph.num_nodes, 1) or 1.0
    np.testing.assert_allclose(scaled * mean, plain, atol=1e-8)
    np.testing.assert_allclose(graph.laplacian() @ vectors, vectors * plain, atol=1e-6)


@pytest.mark.parametrize(
    "graph",
    [
        random_graph(150, 0.06),
        path(150),
        cycle(120),
        undirected(160, [*[(i, i + 1) for i in range(79)], *[(80 + i, 80 + (i + 1) % 80) for i in range(80)]]),
    ],
    ids=["random", "path", "cycle", "two components"],
)
def test_sparse_solvers_find_the_same_eigenpairs(graph, sparse):
    check_eigenpairs(graph, 5)


def test_both_sparse_solvers_are_in_use(sparse):
    block = random_graph(300, 0.1).laplacian()
    assert laplacian._block(block, 5) is not None  # well connected
    values, _ = laplacian._shift_invert(path(300).laplacian(), 5)
    np.testing.assert_allclose(np.sort(values), [2 - 2 * math.cos(math.pi * j / 300) for j in range(5)], atol=1e-8)


def test_eigenvalues_of_a_cycle_and_a_path_have_closed_forms():
    found = laplacian.lap_pe(cycle(9), 9)[0, :, 1]
    np.testing.assert_allclose(found, np.sort([2 - 2 * math.cos(2 * math.pi * j / 9) for j in range(9)]), atol=1e-8)
    found = laplacian.lap_pe(path(2000), 4)
    np.testing.assert_allclose(found[0, :, 1], [2 - 2 * math.cos(math.pi * j / 2000) for j in range(4)], atol=1e-8)
    wave = np.cos(math.pi * (np.arange(2000) + 0.5) / 2000) * math.sqrt(2 / 2000)
    np.testing.assert_allclose(found[:, 1, 0], wave, atol=1e-5)


def test_every_component_has_a_constant_vector_of_eigenvalue_zero():
    found = laplacian.lap_pe(ZOO["components"], 4)
    assert (found[:, :4, 1] == 0).all()  # a triangle, a path of four, two nodes alone
    for column, nodes in enumerate(([4, 5, 6, 7], [0, 1, 2], [3], [8])):
        expected = np.zeros(9)
        expected[nodes] = 1 / math.sqrt(len(nodes))
        np.testing.assert_allclose(found[:, column, 0], expected, atol=1e-12)


@pytest.mark.slow
def test_a_graph_of_20000_nodes():
    rng = np.random.default_rng(0)
    graph = undirected(20_000, rng.integers(20_000, size=(100_000, 2)))
    matrix = graph.laplacian()
    found = laplacian.lap_pe(graph, 8)
    for j in range(8):
        v = found[:, j, 0]
        assert np.linalg.norm(matrix @ v - found[0, j, 1] * v) < 1e-4
    np.testing.assert_allclose(found[..., 0].T @ found[..., 0], np.eye(8), atol=1e-5)
    nodes = [0, 1, 777, 19_999]
    walk, expected = graph.walk(), []
    for node in nodes:
        x = np.zeros(20_000)
        x[node], row = 1.0, []
        for _ in range(6):
            x = walk @ x
            row.append(x[node])
        expected.append(row)
    np.testing.assert_allclose(walks.rwse(graph, 6)[nodes], expected, atol=1e-12)


@everywhere
def test_rwse_is_the_diagonal_of_powers(graph):
    p = dense_walk(graph)
    expected = np.array([np.linalg.matrix_power(p, k).diagonal() for k in range(1, 8)]).T.reshape(graph.num_nodes, 7)
    np.testing.assert_allclose(walks.rwse(graph, 7), expected, atol=1e-12)


@everywhere
@pytest.mark.parametrize("steps", [1, 2, 5, 6])
def test_rwse_in_blocks_is_the_same(graph, steps, sparse):
    p = dense_walk(graph)
    expected = np.array([np.linalg.matrix_power(p, k).diagonal() for k in range(1, steps + 1)]).T.reshape(
        graph.num_nodes, steps
    )
    np.testing.assert_allclose(walks.rwse(graph, steps, threads=2), expected, atol=1e-12)


def test_rwse_of_cycles_and_complete_graphs_has_closed_forms():
    found = walks.rwse(cycle(50), 20)[0]
    np.testing.assert_allclose(
        found, [math.comb(k, k // 2) / 2**k if k % 2 == 0 else 0 for k in range(1, 21)], atol=1e-12
    )
    n = 6
    complete = undirected(n, [(i, j) for i in range(n) for j in range(i)])
    expected = [(1 + (n - 1) * (-1 / (n - 1)) ** k) / n for k in range(1, 9)]
    np.testing.assert_allclose(walks.rwse(complete, 8)[3], expected, atol=1e-12)


def test_rwse_tells_the_circulant_graphs_apart_from_eight_steps_on():
    classes = [
        undirected(CSL_NODES, [(i, (i + s) % CSL_NODES) for i in range(CSL_NODES) for s in (1, skip)])
        for skip in CSL_SKIPS
    ]
    rows = np.array([walks.rwse(graph, 20)[0] for graph in classes])

    def gap(k):
        return min(np.abs(a[:k] - b[:k]).max() for i, a in enumerate(rows) for b in rows[:i])

    assert gap(6) < 1e-12
    assert gap(8) == pytest.approx(8.5e-4, rel=0.05) and gap(20) == pytest.approx(3.3e-3, rel=0.05)


@everywhere
@pytest.mark.parametrize("side, axis", [("rows", 1), ("columns", 0)])
def test_walk_sums_leave_the_diagonal_out(graph, side, axis):
    p = dense_walk(graph)
    powers = [np.linalg.matrix_power(p, k) for k in range(1, 6)]
    expected = np.array([(m - np.diag(m.diagonal())).sum(axis) for m in powers]).T.reshape(graph.num_nodes, 5)
    np.testing.assert_allclose(walks.walk_sums(graph, 5, side), expected, atol=1e-12)


def heat_formula(graph, times):
    values, vectors = np.linalg.eigh(dense_laplacian(graph))
    return np.array(
        [
            [
                sum(math.exp(-t * value) * vectors[i, k] ** 2 for k, value in enumerate(values) if value > 1e-8)
                for t in times
            ]
            for i in range(graph.num_nodes)
        ]
    ).reshape(graph.num_nodes, len(times))


@everywhere
def test_heat_is_the_sum_over_nonzero_eigenvalues(graph):
    times = [1, 2, 5.5]
    np.testing.assert_allclose(heat.heat_diagonal(graph, times), heat_formula(graph, times), atol=1e-10)
    np.testing.assert_allclose(
        heat.heat_diagonal(graph, times, space_dim=2), heat_formula(graph, times) * times, atol=1e-9
    )


@everywhere
def test_heat_by_polynomials_is_the_same(graph, sparse):
    times = [0.3, 1, 20]
    np.testing.assert_allclose(heat.heat_diagonal(graph, times, threads=2), heat_formula(graph, times), atol=1e-9)


def test_heat_is_the_matrix_exponential_less_its_limit():
    graph = ZOO["random"]
    expected = scipy.linalg.expm(-3 * dense_laplacian(graph)).diagonal() - 1 / 40
    assert len(graph.components()) == 1
    np.testing.assert_allclose(heat.heat_diagonal(graph, [3])[:, 0], expected, atol=1e-10)


def potentials_formula(graph):
    n = graph.num_nodes
    if n <= 1:
        return np.zeros((n, 10))
    matrix = dense_laplacian(graph)
    green, degree = np.linalg.pinv(matrix), matrix.diagonal()
    v = np.array([[green[i, j] - green[j, j] for j in range(n)] for i in range(n)])
    p = np.array([[-matrix[i, j] / degree[i] if i != j and degree[i] else 0.0 for j in range(n)] for i in range(n)])
    columns = [
        stat(v, axis)
        for axis in (0, 1)
        for stat in (
            lambda x, a: x.min(a),
            lambda x, a: x.max(a),
            lambda x, a: x.mean(a),
            lambda x, a: x.std(a, ddof=1),
        )
    ]
    return np.stack([*columns, (p * v).sum(0), (p * v).sum(1)], axis=1)


@everywhere
def test_potentials_are_statistics_of_the_pseudo_inverse(graph):
    np.testing.assert_allclose(electrostatic.electrostatic(graph), potentials_formula(graph), atol=1e-9)


@everywhere
def test_potentials_by_conjugate_gradients_are_the_same(graph, sparse):
    np.testing.assert_allclose(electrostatic.electrostatic(graph, threads=2), potentials_formula(graph), atol=1e-7)


@everywhere
def test_potentials_by_factorisation_are_the_same(graph, sparse, monkeypatch):
    monkeypatch.setattr(electrostatic, "ITERATIONS", 0)
    np.testing.assert_allclose(electrostatic.electrostatic(graph), potentials_formula(graph), atol=1e-8)


def test_encodings_follow_the_nodes_when_these_are_renumbered():
    graph, order = ZOO["random"], np.random.default_rng(3).permutation(40)
    moved = Structure.of(order[graph.src], order[graph.dst], 40)
    for make in (
        lambda g: walks.rwse(g, 6),
        lambda g: walks.walk_sums(g, 6, "columns"),
        lambda g: heat.heat_diagonal(g, [1, 2]),
        electrostatic.electrostatic,
        lambda g: laplacian.lap_pe(g, 5).reshape(40, -1),
    ):
        np.testing.assert_allclose(make(moved)[order], make(graph), atol=1e-8)


def test_the_order_of_edges_does_not_matter():
    graph = ZOO["directed"]
    other = Structure.of(graph.src[::-1].copy(), graph.dst[::-1].copy(), 5)
    assert other.digest() == graph.digest() != ZOO["path"].digest()
