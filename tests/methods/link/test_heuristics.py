"""Heuristics against networkx and dense linear algebra."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch

from graphkit.methods.link.heuristics.config import SCORES
from graphkit.methods.link.heuristics.method import Heuristic


def prepared(dataset, score, **options):
    learner = Heuristic(score=score, **options)
    learner.prepare(dataset, seed=0, device="cpu")
    return learner


def simple_graph(dataset):
    graph = nx.Graph()
    graph.add_nodes_from(range(dataset.num_nodes))
    graph.add_edges_from(zip(*(ends.tolist() for ends in dataset.graph.edges())))
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    return graph


@pytest.mark.parametrize(
    "score,definition",
    [
        ("cn", lambda graph, pairs: [(i, j, len(set(graph[i]) & set(graph[j]))) for i, j in pairs]),
        ("aa", nx.adamic_adar_index),
        ("ra", nx.resource_allocation_index),
        ("jaccard", nx.jaccard_coefficient),
        ("pa", nx.preferential_attachment),
    ],
)
def test_equals_networkx(zoo, score, definition):
    pairs = [(i, j) for i in range(zoo.num_nodes) for j in range(zoo.num_nodes) if i != j]
    expected = [value for _, _, value in definition(simple_graph(zoo), pairs)]
    np.testing.assert_allclose(prepared(zoo, score).score_pairs(torch.tensor(pairs)), expected, atol=1e-12)


def test_katz_equals_dense_powers(zoo):
    n = zoo.num_nodes
    matrix = nx.to_numpy_array(simple_graph(zoo), nodelist=range(n))
    pairs = torch.cartesian_prod(torch.arange(n), torch.arange(n))
    expected = sum(0.1**length * np.linalg.matrix_power(matrix, length) for length in range(1, 5)).ravel()
    found = prepared(zoo, "katz", beta=0.1, max_length=4, block=2).score_pairs(pairs)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    inverse = np.linalg.inv(np.eye(n) - 0.05 * matrix) - np.eye(n)
    found = prepared(zoo, "katz", beta=0.05, max_length=60).score_pairs(pairs)
    np.testing.assert_allclose(found, inverse.ravel(), atol=1e-9)


def test_ppr_equals_linear_system(zoo):
    n = zoo.num_nodes
    matrix = nx.to_numpy_array(simple_graph(zoo), nodelist=range(n))
    matrix[np.diag_indices(n)] = matrix.sum(0) == 0
    walk = matrix / matrix.sum(0)
    exact = 0.15 * np.linalg.inv(np.eye(n) - 0.85 * walk)  # column i is the distribution of source i
    pairs = torch.cartesian_prod(torch.arange(n), torch.arange(n))
    found = prepared(zoo, "ppr", tolerance=1e-10, block=3).score_pairs(pairs)
    np.testing.assert_allclose(found, (exact + exact.T).ravel(), atol=1e-8)


@pytest.mark.parametrize("score", SCORES)
def test_symmetric_and_no_pairs(random_graph, score):
    learner = prepared(random_graph, score)
    pairs = torch.tensor([[0, 1], [2, 9], [11, 4]])
    np.testing.assert_allclose(learner.score_pairs(pairs), learner.score_pairs(pairs.flip(1)), atol=1e-12)
    assert learner.score_pairs(torch.empty(0, 2, dtype=torch.int64)).shape == (0,)


@pytest.mark.data
def test_published_figure_of_common_neighbours_on_ogbl_ddi():
    from graphkit import datasets
    from graphkit.core.errors import DataError
    from graphkit.training import fit

    try:
        dataset = datasets.load("ogbl-ddi", task="link")
    except DataError as problem:
        pytest.skip(str(problem))
    assert fit(Heuristic(), dataset).best["hits@20"]["test"] == pytest.approx(0.1773, abs=5e-5)
