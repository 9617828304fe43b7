"""Better cuts against brute force over all sets, profiles against sweeps, classes against single diffusions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse

from graphkit.core.errors import DataError
from graphkit.datasets.local_graph import LocalGraph
from graphkit.methods.local.clustering import improve as methods
from graphkit.methods.local.clustering import profile as profiles
from graphkit.methods.local.clustering.classes import classify
from graphkit.methods.local.clustering.config import LocalClusteringConfig
from graphkit.methods.local.clustering.method import LocalClustering

pytest.importorskip("igraph", reason="needs the extra flow")


def random_case(seed: int, n: int = 9):
    """(dense weights, a random set of at most half of the volume)."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((n, n)) < 0.35, 1) | np.eye(n, k=1, dtype=bool)
    dense = np.where(upper, rng.integers(1, 4, (n, n)).astype(float), 0.0)
    dense = dense + dense.T
    while True:
        members = np.flatnonzero(rng.random(n) < 0.4)
        if len(members) and dense[members].sum() <= dense.sum() / 2 - 1e-9:
            return dense, members


def quotient(dense, chosen, members, price: float) -> float:
    inside = np.isin(np.arange(len(dense)), chosen)
    reference = np.isin(np.arange(len(dense)), members)
    degree = dense.sum(1)
    outside = degree[inside & ~reference].sum()
    gain = degree[inside & reference].sum() - (price * outside if outside else 0)
    return dense[inside][:, ~inside].sum() / gain if gain > 1e-12 else np.inf


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("method", methods.METHODS)
def test_improved_sets_are_the_best_of_all(seed, method):
    dense, members = random_case(seed)
    volume = dense[members].sum()
    price = {"mqi": np.inf, "flow-improve": volume / (dense.sum() - volume)}.get(
        method, volume / (dense.sum() - volume) + 0.3
    )
    sets = (np.array(one) for size in range(1, 10) for one in itertools.combinations(range(9), size))
    best = min(quotient(dense, one, members, price) for one in sets if method != "mqi" or np.isin(one, members).all())
    found = methods.improve(LocalGraph.of_matrix(scipy.sparse.csr_array(dense)), members, method, delta=0.3)
    assert found.score == pytest.approx(best) and quotient(dense, found.nodes, members, price) == pytest.approx(best)
    if method == "mqi":
        assert np.isin(found.nodes, members).all()


def ring_of_cliques(size: int = 8, count: int = 40):
    dense = np.kron(np.eye(count), np.ones((size, size)) - np.eye(size))
    for start in range(0, count * size, size):
        last, following = start + size - 1, (start + size) % (count * size)
        dense[last, following] = dense[following, last] = 1
    return LocalGraph.of_matrix(scipy.sparse.csr_array(dense), weighted=False)


@pytest.mark.parametrize("method, most", [("flow-improve", 320), ("simple-local", 24)])
def test_a_part_of_a_clique_grows_to_it_and_what_is_far_is_not_read(method, most):
    found = methods.improve(ring_of_cliques(), np.arange(6), method, delta=1.0)
    assert found.nodes.tolist() == list(range(8)) and found.touched <= most


def test_a_component_beside_the_set_is_no_better_cut():
    dense = np.kron(np.eye(3), np.ones((6, 6)) - np.eye(6))
    dense[5, 6] = dense[6, 5] = 1
    graph = LocalGraph.of_matrix(scipy.sparse.csr_array(dense), weighted=False)
    assert methods.improve(graph, np.arange(4), "flow-improve").nodes.tolist() == list(range(6))
    with pytest.raises(DataError, match="a component of its own"):
        methods.improve(graph, np.arange(12, 18), "flow-improve")


def test_a_set_without_a_cut_stays():
    dense = np.kron(np.eye(3), np.ones((4, 4)) - np.eye(4))
    found = methods.improve(LocalGraph.of_matrix(scipy.sparse.csr_array(dense), weighted=False), np.arange(4), "mqi")
    assert found.nodes.tolist() == [0, 1, 2, 3] and found.score == 0 and found.cuts == 0


def test_sets_that_cannot_be_improved_are_named():
    dense = np.zeros((5, 5))
    dense[0, 1] = dense[1, 0] = dense[1, 2] = dense[2, 1] = 1
    graph = LocalGraph.of_matrix(scipy.sparse.csr_array(dense), weighted=False)
    with pytest.raises(DataError, match="has no edges"):
        methods.improve(graph, np.array([3, 4]))
    with pytest.raises(DataError, match="holds 75.0% of the volume"):
        methods.improve(graph, np.array([0, 1]))


@pytest.mark.parametrize("method", methods.METHODS)
def test_an_edge_and_a_star_have_nothing_better(method):
    edge = LocalGraph.of_matrix(scipy.sparse.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]])), weighted=False)
    assert methods.improve(edge, np.array([0]), method).nodes.tolist() == [0]
    star = np.zeros((6, 6))
    star[0, 1:] = star[1:, 0] = 1
    graph = LocalGraph.of_matrix(scipy.sparse.csr_array(star), weighted=False)
    assert methods.improve(graph, np.array([0]), method).nodes.tolist() == [0]
    assert methods.improve(graph, np.array([2, 4]), method).score == 1


def test_profile_is_the_least_of_all_sweeps():
    rng = np.random.default_rng(0)
    upper = np.triu(rng.random((40, 40)) < 0.1, 1) | np.eye(40, k=1, dtype=bool)
    dense = (upper | upper.T).astype(float)
    graph = LocalGraph.of_matrix(scipy.sparse.csr_array(dense), weighted=False)
    config, seeds, scales = LocalClusteringConfig(diffusion="ppr"), np.array([3, 17, 30]), [20.0, 60.0]
    found = profiles.profile(graph, config, seeds, scales)
    best: dict[int, float] = {}
    for seed, scale in itertools.product(seeds.tolist(), scales):
        nodes = (
            LocalClustering(diffusion="ppr", volume=scale, rounding="support").cluster(graph, np.array([seed])).nodes
        )
        for size in range(1, len(nodes) + 1):
            inside = np.isin(np.arange(40), nodes[:size])
            volume = dense[inside].sum()
            if volume <= dense.sum() / 2:
                best[size] = min(best.get(size, np.inf), dense[inside][:, ~inside].sum() / volume)
    assert found["size"].tolist() == sorted(best)
    np.testing.assert_allclose(found["conductance"], [best[size] for size in sorted(best)])
    assert set(found["seed"].tolist()) <= set(seeds.tolist())


def test_each_node_goes_to_the_class_that_reaches_it_most():
    rng = np.random.default_rng(1)
    upper = np.triu(rng.random((30, 30)) < np.where(np.arange(30)[:, None] // 15 == np.arange(30) // 15, 0.4, 0.03), 1)
    graph = LocalGraph.of_matrix(scipy.sparse.csr_array((upper | upper.T).astype(float)), weighted=False)
    method, seeds = LocalClustering(diffusion="ppr", rounding="support"), {"a": np.array([0, 1]), "b": np.array([20])}
    chosen, score = classify(graph, method, seeds, 40.0)
    values = np.zeros((2, 30))
    for at, group in enumerate(seeds.values()):
        found = method.cluster(graph, group, volume=40.0)
        values[at, found.nodes] = found.values
    expected = np.where(values.max(0) > 0, values.argmax(0), -1)
    expected[[0, 1]], expected[20] = 0, 1
    assert chosen.tolist() == expected.tolist()
    np.testing.assert_allclose(score, values.max(0))
