"""Topological concentration against its definition by multisets of walks, networkx and closed forms."""

from __future__ import annotations

import itertools
from collections import Counter

import dgl
import networkx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphkit import datasets
from graphkit.core.errors import DataError, UsageError
from graphkit.datasets.base import EdgeSet, GraphDataset, LinkSplit
from graphkit.datasets.sources import folders
from graphkit.methods.structure.topo.method import PARTS, Topo


def link_dataset(train, valid, test, n, **more):
    train = np.asarray(train, dtype=np.int64).reshape(-1, 2)
    graph = dgl.graph(tuple(torch.from_numpy(np.concatenate([train, train[:, ::-1]]).T.copy())), num_nodes=n)
    parts = [EdgeSet(np.asarray(pos, dtype=np.int64).reshape(-1, 2)) for pos in (train, valid, test)]
    return GraphDataset("tiny", graph=graph, task="link", split=LinkSplit(*parts), **more)


def neighbours(edges, n):
    found = [set() for _ in range(n)]
    for a, b in edges:
        if a != b:
            found[a].add(b)
            found[b].add(a)
    return found


def walk_ends(near, start, hops):
    """Multisets of the ends of the walks of 1 .. hops steps."""
    walks = [Counter([start])]
    for _ in range(hops):
        walks.append(Counter(end for node, times in walks[-1].items() for end in near[node] for _ in range(times)))
    return walks


def by_definition(dataset, hops, beta):
    """(n,) concentrations of each part, from multisets of the ends of walks on the graph without the edge of the
    compared pair.
    """
    n = dataset.num_nodes
    near = {part: neighbours(np.asarray(getattr(dataset.split, part).pos).tolist(), n) for part in PARTS}
    found = {part: np.full(n, np.nan) for part in PARTS}
    steps = list(itertools.product(range(1, hops + 1), repeat=2))
    for part in PARTS:
        for i in range(n):
            if len(near["train"][i]) <= (part == "train"):
                continue
            values = []
            for j in near[part][i]:
                graph = [set(other) for other in near["train"]]
                if part == "train" or hops > 1:
                    graph[i].discard(j)
                    graph[j].discard(i)
                mine, theirs = walk_ends(graph, i, hops), walk_ends(graph, j, hops)
                over = sum(beta ** (k + m - 2) * sum(c for x, c in mine[k].items() if x in theirs[m]) for k, m in steps)
                under = sum(beta ** (k + m - 2) * sum(mine[k].values()) for k, m in steps)
                if under > 0:
                    values.append(over / under)
            if values:
                found[part][i] = np.mean(values)
    return found


@st.composite
def splits(draw):
    n = draw(st.integers(2, 9))
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    edges = draw(st.lists(ends, min_size=1, max_size=24))
    return link_dataset(edges, draw(st.lists(ends, max_size=5)), draw(st.lists(ends, max_size=8)), n)


@given(splits(), st.integers(1, 4), st.floats(0.0, 2.0))
def test_concentration_is_its_definition(dataset, hops, beta):
    columns = Topo(hops=hops, beta=beta, dim=0).measure(dataset)
    for part, expected in by_definition(dataset, hops, beta).items():
        np.testing.assert_allclose(columns[f"tc_{part}"], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(columns["tds"], columns["tc_train"] - columns["tc_test"])


def random_split(edges, n, seed):
    """70 / 10 / 20 % of the edges, at random."""
    edges = np.random.default_rng(seed).permutation(np.asarray(edges))
    cuts = [int(len(edges) * share) for share in (0.7, 0.8)]
    return link_dataset(edges[: cuts[0]], edges[cuts[0] : cuts[1]], edges[cuts[1] :], n)


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_a_random_split_has_no_shift(hops):
    """Old and new neighbours are drawn alike, so that TDS is 0 on average; an old neighbour's own edge would add walks
    i-j-i and i-x-j.
    """
    graph = networkx.watts_strogatz_graph(600, 12, 0.2, seed=1)
    values = [Topo(hops=hops, dim=0).measure(random_split(list(graph.edges), 600, seed))["tds"] for seed in range(4)]
    assert abs(np.nanmean(np.concatenate(values))) <= 0.02


def test_new_neighbours_without_triangles_show_the_shift_at_two_hops():
    """Bipartite: edges of training join nodes of one block, those of the test nodes of two. One hop sees no
    triangle.
    """
    rng, train, test = np.random.default_rng(0), [], []
    for _ in range(900):
        block, other = rng.integers(3), rng.integers(1, 3)
        a, b, c = rng.integers(20, size=3)
        train.append((block * 20 + a, 60 + block * 20 + b))
        test.append((block * 20 + a, 60 + (block + other) % 3 * 20 + c))
    dataset = link_dataset(train, [], test[:200], 120)
    assert np.nanmax(np.abs(Topo(hops=1, dim=0).measure(dataset)["tds"])) == 0
    assert np.nanmean(Topo(hops=2, dim=0).measure(dataset)["tds"]) > 0.2


@pytest.mark.data
@pytest.mark.skipif(folders.find("planetoid-cora") is None, reason="needs planetoid-cora in GRAPHKIT_DATA")
def test_no_shift_on_random_splits_of_cora():
    """Leaving the pair's own edge in gives .30 there."""
    values = [Topo(hops=2, dim=0).measure(datasets.load("cora", task="link", seed=seed))["tds"] for seed in range(3)]
    assert abs(np.nanmean(np.concatenate(values))) <= 0.02


@given(splits())
def test_measures_of_one_hop(dataset):
    columns, n = Topo(dim=0).measure(dataset), dataset.num_nodes
    graph = networkx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from((a, b) for a, b in dataset.split.train.pos.tolist() if a != b)
    clustering = networkx.clustering(graph)
    for i in range(n):
        assert columns["clustering"][i] == pytest.approx(clustering[i], abs=1e-12)
        assert columns["degree_train"][i] == graph.degree(i)
        ego = networkx.ego_graph(graph, i)
        assert (
            columns["density"][i] == pytest.approx(networkx.density(ego), abs=1e-12, nan_ok=True)
            or graph.degree(i) == 0
        )
        if graph.degree(i) > 1:
            assert columns["tc_train"][i] == pytest.approx(clustering[i], abs=1e-12)
    for part in PARTS:
        near = neighbours(getattr(dataset.split, part).pos.tolist(), n)
        for i in range(n):
            common = [len(set(graph[i]) & set(graph[j])) for j in near[i]]
            assert columns[f"degree_{part}"][i] == len(near[i])
            assert columns[f"common_{part}"][i] == pytest.approx(np.mean(common) if common else np.nan, nan_ok=True)


def test_beta_is_one_over_the_mean_degree():
    edges = [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4)]
    dataset = link_dataset(edges, [], [(0, 3)], 5)
    default, given_beta = (Topo(hops=2, beta=beta, dim=0).measure(dataset) for beta in (None, 0.5))
    np.testing.assert_array_equal(default["tc_train"], given_beta["tc_train"])  # mean degree 2


@pytest.mark.parametrize("hops", [1, 2])
def test_the_estimate_is_right_on_average(hops):
    """Its mean over R is the mean over j of sum over k, l of beta^(k+l-2) (P^k (P^l)^T)_ij, P = D^-1 A."""
    graph, beta, dim = networkx.gnm_random_graph(20, 60, seed=3), 0.5, 512
    edges = list(graph.edges)
    dataset = link_dataset(edges[:50], edges[50:53], edges[53:], 20)
    matrix = np.zeros((20, 20))
    matrix[tuple(np.array(edges[:50]).T)] = 1
    matrix += matrix.T
    walk = matrix / np.maximum(matrix.sum(1), 1)[:, None]
    vectors = sum(beta ** (k - 1) * np.linalg.matrix_power(walk, k) for k in range(1, hops + 1))
    draws = [Topo(hops=hops, beta=beta, dim=dim).measure(dataset, seed=seed) for seed in range(40)]
    for part in PARTS:
        near = neighbours(getattr(dataset.split, part).pos.tolist(), 20)
        expected = np.array(
            [np.mean([vectors[i] @ vectors[j] for j in near[i]]) if near[i] else np.nan for i in range(20)]
        )
        found = np.stack([columns[f"atc_{part}"] for columns in draws])
        defined = np.isfinite(draws[0][f"tc_{part}"])
        np.testing.assert_array_equal(np.isfinite(found), np.tile(defined, (40, 1)))
        error = np.abs(found.mean(0) - expected)[defined]
        assert (error <= 5 * found.std(0, ddof=1)[defined] / 40**0.5).all()


def test_the_estimate_follows_ids_and_not_places():
    edges = np.array([(0, 1), (1, 2), (2, 0), (2, 3)])
    ids, order = np.array(["a", "b", "c", "d"], dtype=object), np.array([2, 0, 3, 1])
    place = np.argsort(order)
    one = Topo().measure(link_dataset(edges, [], [(0, 3)], 4, node_ids=ids))
    other = Topo().measure(link_dataset(place[edges], [], [(place[0], place[3])], 4, node_ids=ids[order]))
    np.testing.assert_allclose(one["atc_train"][order], other["atc_train"], rtol=1e-5)


def test_too_many_pairs_are_refused_before_they_are_made():
    graph = networkx.star_graph(50)
    dataset = link_dataset(list(graph.edges), [], [(1, 2)], 51)
    with pytest.raises(
        UsageError,
        match=r"--hops 2: walks of 2 steps may have 2,550 pairs of ends, expected at most --max-entries 1,000",
    ):
        Topo(hops=2, max_entries=1000).measure(dataset)
    assert "tc_train" not in Topo(hops=2, exact=False, max_entries=1000).measure(dataset)


def test_data_without_links_to_hold_out_are_refused():
    with pytest.raises(DataError, match="tiny: has no split of links"):
        Topo().measure(GraphDataset("tiny", graph=dgl.graph(([0], [1]))))
