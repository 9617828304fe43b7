"""Local clusters against a quadratic program, dense walks, brute force over cuts, and graphs with nothing to find."""

from __future__ import annotations

import itertools

import networkx
import numpy as np
import pytest
import scipy.sparse
from scipy.linalg import expm

from graphkit import datasets
from graphkit.core.errors import DataError, UsageError
from graphkit.datasets.local_graph import LocalGraph
from graphkit.graph import local_work
from graphkit.methods.local.clustering import local_flow, local_walks, noise, noisy_labels, trials
from graphkit.methods.local.clustering.experiments import flow, quadratic_program
from graphkit.methods.local.clustering.method import LocalClustering, heat_series

WORDS = ("flow", "pnorm", "ppr", "heat")


def random_matrix(n: int, p: float, rng, weighted: bool = True):
    """Symmetric, connected by a path through all nodes."""
    upper = np.triu(rng.random((n, n)) < p, 1) | np.eye(n, k=1, dtype=bool)
    weights = np.where(upper, rng.uniform(0.5, 2.0, (n, n)) if weighted else 1.0, 0.0)
    return weights + weights.T


def graph_of(dense, labels=None, epsilon: float = 1.0) -> LocalGraph:
    graph = LocalGraph.of_matrix(scipy.sparse.csr_array(dense))
    return graph if labels is None else graph.labelled(labels, epsilon)


def weakened(dense, labels, epsilon: float):
    return np.where(labels[:, None] == labels, dense, epsilon * dense)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("labelled", [False, True])
def test_flow_is_the_quadratic_programs_on_weighted_graphs(seed, labelled):
    rng = np.random.default_rng(seed)
    dense = random_matrix(25, 0.15, rng)
    labels = rng.integers(0, 2, 25).astype(np.int8)
    graph = graph_of(dense, labels, 0.3) if labelled else graph_of(dense)
    mass = 0.4 * graph.volume
    x, masses = flow(graph, 3, mass)
    edges = weakened(dense, labels, 0.3) if labelled else dense
    exact = program_with_sinks(edges, dense.sum(1), 3, mass)
    np.testing.assert_allclose(x, exact, atol=1e-7)
    assert masses.sum() == pytest.approx(mass)
    # What a node holds is what it was given and what the edges brought: the flow on them is w (x_i - x_j).
    brought = edges @ x - edges.sum(1) * x
    brought[3] += mass
    np.testing.assert_allclose(masses, brought, atol=1e-8)


def program_with_sinks(edges, sinks, seed: int, mass: float):
    """min x'Lx/2 + x'(T - Delta) over x >= 0 by enlarging the set of nodes above 0 until none wants in."""
    laplacian, gain = np.diag(edges.sum(1)) - edges, -sinks.copy()
    gain[seed] += mass
    active = np.arange(len(sinks)) == seed
    while True:
        x = np.zeros(len(sinks))
        x[active] = np.linalg.solve(laplacian[np.ix_(active, active)], gain[active])
        wants = (gain - laplacian @ x > 1e-10) & ~active
        if not wants.any():
            return x
        active |= wants


def test_the_two_programs_of_the_tests_agree():
    dense = random_matrix(15, 0.2, np.random.default_rng(1), weighted=False)
    np.testing.assert_allclose(
        quadratic_program(dense, 2, 20.0), program_with_sinks(dense, dense.sum(1), 2, 20.0), atol=1e-9
    )


@pytest.mark.parametrize("p", [2.0, 3.0, 4.0])
def test_p_norm_flow_meets_the_conditions_of_its_optimum(p):
    rng = np.random.default_rng(7)
    dense = random_matrix(20, 0.15, rng)
    graph, power, mass = graph_of(dense), 1 / (p - 1), 25.0
    work = local_work.workspace(20)
    tolerance = 1e-6 if p < 4 else 1e-4
    count, _, _, status = local_flow.flow_push(
        graph.arrays, work, np.array([5]), np.array([mass]), False, tolerance, 200_000, power
    )
    x, masses = work[0].copy(), work[1].copy()
    local_work.clear(work, count)
    assert status == local_flow.CONVERGED and masses.sum() == pytest.approx(mass)
    gaps = x[:, None] - x
    out = (dense * np.sign(gaps) * np.abs(gaps) ** power).sum(1)
    expected = -out
    expected[5] += mass
    np.testing.assert_allclose(masses, expected, atol=1e-6)
    assert (masses <= graph.degrees + tolerance).all()
    saturated = x > 0
    np.testing.assert_allclose(masses[saturated], graph.degrees[saturated], atol=20 * tolerance)
    if p == 2.0:
        np.testing.assert_allclose(x, program_with_sinks(dense, dense.sum(1), 5, mass), atol=1e-4)


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("eps", [1e-2, 1e-4])
def test_page_rank_is_below_the_dense_one_by_at_most_eps_d(eps, labelled):
    rng = np.random.default_rng(3)
    dense, labels = random_matrix(30, 0.12, rng), rng.integers(0, 2, 30).astype(np.int8)
    graph = graph_of(dense, labels, 0.1) if labelled else graph_of(dense)
    edges = weakened(dense, labels, 0.1) if labelled else dense
    degree, alpha = edges.sum(1), 0.1
    lazy = (np.eye(30) + edges / degree[:, None]) / 2
    exact = alpha * np.linalg.inv(np.eye(30) - (1 - alpha) * lazy)
    work = local_work.workspace(30)
    for seed in (0, 11, 29):
        count, _ = local_walks.ppr_push(graph.arrays, work, np.array([seed]), np.array([1.0]), alpha, eps)
        p, r = work[0].copy(), work[1].copy()
        local_work.clear(work, count)
        assert (r < eps * degree).all()
        np.testing.assert_allclose(p + r @ exact, exact[seed], atol=1e-12)
        assert p.sum() + r.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("temperature", [0.5, 5.0, 20.0])
def test_heat_is_within_eps_d_of_the_exponential(temperature):
    dense, eps = random_matrix(25, 0.15, np.random.default_rng(5)), 1e-3
    graph = graph_of(dense)
    exact = expm(-temperature * (np.eye(25) - (dense / dense.sum(1)[:, None]).T))
    work = local_work.workspace(25)
    thresholds, rates = heat_series(temperature, eps)
    for seed in (0, 12):
        count, _ = local_walks.heat_push(graph.arrays, work, np.array([seed]), np.array([1.0]), thresholds, rates)
        error = np.abs(np.exp(-temperature) * work[0] - exact[:, seed])
        local_work.clear(work, count)
        assert (error <= eps * graph.degrees).all()


@pytest.mark.parametrize("word", WORDS)
def test_the_workspace_is_empty_after_a_query(word):
    graph = graph_of(random_matrix(40, 0.1, np.random.default_rng(2)))
    first = LocalClustering(diffusion=word, volume=30).cluster(graph, np.array([1]))
    assert not any(array.any() for array in (*local_work.workspace(40)[:4], local_work.workspace(40)[6]))
    again = LocalClustering(diffusion=word, volume=30).cluster(graph, np.array([1]))
    assert first.nodes.tolist() == again.nodes.tolist() and first.values.tolist() == again.values.tolist()


@pytest.mark.parametrize("labelled", [False, True])
def test_sweep_measures_each_prefix(labelled):
    rng = np.random.default_rng(4)
    dense, labels = random_matrix(18, 0.2, rng), rng.integers(0, 2, 18).astype(np.int8)
    graph = graph_of(dense, labels, 0.25) if labelled else graph_of(dense)
    edges = weakened(dense, labels, 0.25) if labelled else dense
    order = rng.permutation(18)
    cuts, volumes, conductances = local_work.sweep(graph.arrays, np.zeros(18, np.uint8), order, graph.labelled_volume)
    assert graph.labelled_volume == pytest.approx(edges.sum())
    for size in range(1, 19):
        inside = np.isin(np.arange(18), order[:size])
        assert cuts[size - 1] == pytest.approx(edges[inside][:, ~inside].sum())
        assert volumes[size - 1] == pytest.approx(edges[inside].sum())
        smaller = min(edges[inside].sum(), edges[~inside].sum())
        assert conductances[size - 1] == pytest.approx(cuts[size - 1] / smaller if size < 18 else np.inf)


@pytest.mark.parametrize("word", WORDS)
def test_two_cliques_with_a_bridge_are_told_apart(word):
    dense = np.kron(np.eye(2), np.ones((6, 6)) - np.eye(6))
    dense[5, 6] = dense[6, 5] = 1
    graph = graph_of(dense)
    best = min(
        (
            graph.conductance(np.array(nodes))
            for size in range(1, 12)
            for nodes in itertools.combinations(range(12), size)
        ),
        default=None,
    )
    found = LocalClustering(diffusion=word, volume=31, mass=1.5).cluster(graph, np.array([1]))
    assert sorted(found.nodes.tolist()) == list(range(6)) and found.conductance == pytest.approx(best)


def test_of_several_masses_the_best_cut_is_kept():
    graph = graph_of(random_matrix(60, 0.06, np.random.default_rng(8)))
    single = [
        LocalClustering(volume=40, mass=mass, rounding="support").cluster(graph, np.array([7]))
        for mass in (1.2, 2.0, 3.0)
    ]
    several = LocalClustering(volume=40, mass=(1.2, 2.0, 3.0), rounding="support").cluster(graph, np.array([7]))
    assert several.labelled_conductance == min(one.labelled_conductance for one in single)
    assert all(one.volume <= 40 * one.mass + 1e-9 for one in single), "the support has at most the source's volume"


def test_labels_that_weaken_nothing_change_nothing():
    rng = np.random.default_rng(9)
    graph = graph_of(random_matrix(30, 0.1, rng))
    labels = rng.integers(0, 2, 30)
    for word in WORDS:
        plain = LocalClustering(diffusion=word, volume=20).cluster(graph, np.array([3]))
        same = LocalClustering(diffusion=word, volume=20, weighted=True, epsilon=1.0).cluster(
            graph.labelled(labels, 1.0), np.array([3])
        )
        assert plain.nodes.tolist() == same.nodes.tolist()
        np.testing.assert_allclose(plain.values, same.values, rtol=1e-12)


def test_epsilon_0_keeps_the_flow_among_equal_labels():
    labels = np.array([1] * 10 + [0] * 10)
    dense = random_matrix(20, 0.3, np.random.default_rng(10))
    found = LocalClustering(volume=10, weighted=True, epsilon=0.0, rounding="support").cluster(
        graph_of(dense, labels, 0.0), np.array([0])
    )
    assert set(found.nodes.tolist()) <= set(range(10))


def test_small_graphs_and_lonely_seeds():
    star = np.zeros((7, 7))
    star[0, 1:6] = star[1:6, 0] = 1  # node 6 has no edge
    edge = np.array([[0.0, 1.0], [1.0, 0.0]])
    clique = np.ones((5, 5)) - np.eye(5)
    for word in WORDS:
        method = LocalClustering(diffusion=word, volume=2)
        for dense, seed in ((star, 0), (star, 3), (edge, 0), (clique, 2)):
            found = method.cluster(graph_of(dense), np.array([seed]))
            assert 1 <= len(found.nodes) <= len(dense) and np.isfinite(found.values).all()
        alone = method.cluster(graph_of(star), np.array([6]))
        assert alone.nodes.tolist() == [6] and alone.conductance == float("inf")


def test_a_component_without_room_is_the_cluster():
    dense = np.zeros((12, 12))
    dense[:4, :4] = np.ones((4, 4)) - np.eye(4)
    dense[4:, 4:] = np.ones((8, 8)) - np.eye(8)
    found = LocalClustering(volume=12, mass=3.0).cluster(graph_of(dense), np.array([0]))
    assert sorted(found.nodes.tolist()) == [0, 1, 2, 3] and found.status == "full" and found.conductance == 0


def test_options_that_do_not_go_together():
    graph = graph_of(random_matrix(10, 0.3, np.random.default_rng(0)))
    with pytest.raises(UsageError, match="--volume: expected"):
        LocalClustering().cluster(graph, np.array([0]))
    with pytest.raises(UsageError, match="--weighted"):
        LocalClustering(weighted=True, volume=5).cluster(graph, np.array([0]))
    with pytest.raises(UsageError, match="--rounding support"):
        LocalClustering(diffusion="heat", rounding="support")


def test_graphs_are_read_as_undirected_and_weights_must_be_positive():
    import torch

    dataset = datasets.load("karate")
    assert LocalGraph.of(dataset).volume == 156
    dataset.graph.edata["weight"] = torch.ones(dataset.graph.num_edges())
    assert LocalGraph.of(dataset).degrees.tolist() == dataset.graph.in_degrees().tolist()
    dataset.graph.edata["weight"][3] = -1
    with pytest.raises(DataError, match="weighs -1, expected a number above 0"):
        LocalGraph.of(dataset)


def test_flipped_labels_are_right_as_often_as_asked():
    truth = np.arange(20_000) < 8_000
    labels = noisy_labels.flipped(truth, 0.9, 0.7, np.random.default_rng(0))
    assert labels[truth].mean() == pytest.approx(0.9, abs=0.02) and labels[~truth].mean() == pytest.approx(
        0.3, abs=0.02
    )


def test_classified_labels_keep_what_is_known():
    rng = np.random.default_rng(1)
    truth = np.arange(200) < 80
    features = scipy.sparse.csr_array(rng.standard_normal((200, 5)) + 2.0 * truth[:, None])
    positives, negatives = noisy_labels.sampled(truth, 4, 10, rng)
    assert (
        4 in positives and truth[positives].all() and not truth[negatives].any() and len(set(positives.tolist())) == 10
    )
    wrong = noisy_labels.classified(features, negatives, positives)
    assert wrong[negatives].all() and not wrong[positives].any()
    right = noisy_labels.classified(features, positives, negatives)
    assert (right == truth).mean() > 0.9


def test_trials_do_not_depend_on_threads_and_agree_with_their_definition():
    import torch

    dataset = datasets.load("target-cluster:n=300,k=60,p=0.3,q=0.02,outside=0.02")
    graph, truth = LocalGraph.of(dataset), dataset.labels.numpy() == 1
    drawn = trials.draw([truth], 6, np.random.default_rng(0))

    def label(trial):
        return noisy_labels.flipped(truth, 0.8, 0.8, np.random.default_rng(trial.number))

    methods = {"flow": LocalClustering(), "weighted": LocalClustering(weighted=True), trials.LABELS: None}
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(trials.run(graph, drawn, methods, label))
    finally:
        torch.set_num_threads(before)
    for name in methods:
        for one, two in zip(found[0][name], found[1][name]):
            assert {**one, "ms": 0} == {**two, "ms": 0}
    labels = label(drawn[2]) == 1
    expected = 2 * (labels & truth).sum() / (labels.sum() + truth.sum())
    assert found[0][trials.LABELS][2]["f1"] == pytest.approx(expected)


def test_regime_of_the_model_is_where_the_mean_field_curves_cross():
    n, k, p, q = 2000, 200, 0.05, 0.01
    rho = q * (n - k) / (p * (k - 1))
    for inside, outside in itertools.product(np.linspace(0.05, 1, 20), np.linspace(0.05, 1, 20)):
        with_labels, without = 2 * inside / (1 + inside + (1 - outside) * rho), 1 / (1 + rho / 2)
        if abs(with_labels - without) > 1e-9:
            assert noise.helpful(n, k, p, q, inside, outside) == (with_labels > without)


def test_target_cluster_has_the_densities_asked_for():
    dataset = datasets.load("target-cluster:n=600,k=150,p=0.3,q=0.05,outside=0.1,seed=4")
    truth = dataset.labels.numpy() == 1
    source, target = (ends.numpy() for ends in dataset.graph.edges())
    inside, across = (truth[source] & truth[target]).sum(), (truth[source] != truth[target]).sum()
    beyond = (~truth[source] & ~truth[target]).sum()
    assert truth.sum() == 150
    assert inside / (150 * 149) == pytest.approx(0.3, rel=0.05)
    assert across / (2 * 150 * 450) == pytest.approx(0.05, rel=0.05)
    assert beyond / (450 * 449) == pytest.approx(0.1, rel=0.05)


def rings(cliques):
    """A ring of cliques of ten nodes, each joined to the next by one edge."""
    matrix = scipy.sparse.lil_array((10 * cliques, 10 * cliques))
    for k in range(cliques):
        for i in range(10):
            for j in range(i):
                matrix[10 * k + i, 10 * k + j] = matrix[10 * k + j, 10 * k + i] = 1
        a, b = 10 * k + 9, 10 * ((k + 1) % cliques)
        matrix[a, b] = matrix[b, a] = 1
    return LocalGraph.of_matrix(matrix.tocsr(), weighted=False)


@pytest.mark.parametrize("diffusion", ["flow", "ppr", "heat", "pnorm"])
def test_what_is_reached_does_not_grow_with_the_graph(diffusion):
    found = [
        LocalClustering(diffusion=diffusion, volume=200).cluster(rings(size), np.array([55])) for size in (60, 240)
    ]
    assert found[0].touched == found[1].touched < 600 and sorted(found[0].nodes) == sorted(found[1].nodes)


def test_heat_stays_near_the_volume_where_there_is_no_cluster():
    """A random graph of degree 8: the heat's work is bounded by 2 N (t + 1) / eps, and with its own eps it is a few
    volumes.
    """
    drawn = networkx.random_regular_graph(8, 20_000, seed=1)
    graph = LocalGraph.of_matrix(
        networkx.to_scipy_sparse_array(drawn, nodelist=range(20_000), weight=None), weighted=False
    )
    volume, temperature = 2000, 5.0
    found = LocalClustering(diffusion="heat", volume=volume).cluster(graph, np.array([0]))
    eps = 2.0 / volume
    terms = len(heat_series(temperature, eps)[0])
    assert 8 * found.pushes <= 2 * terms * (temperature + 1) / eps
    assert 8 * found.touched < 20 * volume
