"""The score that selects generators: by hand, by Jensen, and its GCN against dense matrices."""

from __future__ import annotations

import copy
import math

import dgl
import numpy as np
import pytest
import torch

from graphkit.methods.node.lagnn.uscore import DropoutJudge, normalized_adjacency, u_score


def random_graph(n=14, count=20, seed=0):
    pairs = np.random.default_rng(seed).integers(n, size=(count, 2))
    return dgl.to_bidirected(
        dgl.graph(tuple(torch.from_numpy(pairs[pairs[:, 0] != pairs[:, 1]].T.copy())), num_nodes=n)
    )


def dense(graph):
    """D^-1/2 (A + I) D^-1/2."""
    adjacency = np.eye(graph.num_nodes())
    adjacency[tuple(ends.numpy() for ends in graph.edges())[::-1]] += 1
    return np.diag(adjacency.sum(1) ** -0.5) @ adjacency @ np.diag(adjacency.sum(0) ** -0.5)


def given(passes):
    """What draws one pass after the other."""
    logs = iter([torch.tensor(p).log() for p in passes])
    return lambda: next(logs)


def test_score_by_hand():
    passes = [[[0.9, 0.1], [0.5, 0.5]], [[0.3, 0.7], [0.5, 0.5]]]
    # The mean says 0.6 for node 0 and 0.5 for node 1, both of class 0.
    mean = -(math.log(0.6) + math.log(0.5)) / 2
    each = (-(math.log(0.9) + math.log(0.5)) / 2 - (math.log(0.3) + math.log(0.5)) / 2) / 2
    assert u_score(given(passes), torch.tensor([0, 0]), 2) == pytest.approx(mean - each, rel=1e-5)
    # A node of unknown class does not count.
    mean, each = -math.log(0.6), -(math.log(0.9) + math.log(0.3)) / 2
    assert u_score(given(passes), torch.tensor([0, -1]), 2) == pytest.approx(mean - each, rel=1e-5)


def test_score_is_negative_and_zero_where_passes_agree():
    torch.manual_seed(0)
    labels = torch.randint(4, (30,))
    for spread in (0.1, 1.0, 5.0):
        assert u_score(lambda spread=spread: (spread * torch.randn(30, 4)).log_softmax(1), labels, 20) < 0
    same = torch.randn(30, 4).log_softmax(1)
    assert u_score(lambda: same, labels, 20) == pytest.approx(0, abs=1e-5)
    near, far = (u_score(lambda s=s: (same + s * torch.randn(30, 4)).log_softmax(1), labels, 200) for s in (0.1, 1.0))
    assert far < near


def test_adjacency_is_the_dense_one():
    graph = random_graph()
    np.testing.assert_allclose(normalized_adjacency(graph).toarray(), dense(graph), atol=1e-6)
    np.testing.assert_allclose(normalized_adjacency(dgl.graph(([], []), num_nodes=3)).toarray(), np.eye(3))
    with_loops = dgl.add_self_loop(graph)
    np.testing.assert_allclose(normalized_adjacency(with_loops).toarray(), dense(graph), atol=1e-6)


def test_judge_is_a_gcn_on_the_whole_graph_read_at_the_training_nodes():
    torch.manual_seed(0)
    graph, rows, x = random_graph(), np.array([3, 0, 7]), torch.randn(14, 5)
    judge = DropoutJudge(graph, rows, torch.tensor([0, 1, 2]), 5, 3, hidden=4).eval()
    a = torch.from_numpy(dense(graph)).float()
    hidden = (a @ x @ judge.first.weight.T + judge.biases[0]).clamp(min=0)
    expected = a @ hidden @ judge.last.weight.T + judge.biases[1]
    torch.testing.assert_close(judge(x[judge.nodes]), expected[rows])
    assert torch.equal(judge.classes(x[judge.nodes]), expected[rows].argmax(1))
    two_hops = (np.linalg.matrix_power(dense(graph) > 0, 2)[rows] > 0).any(0)
    assert judge.nodes.tolist() == np.flatnonzero(two_hops).tolist()


def test_judge_learns_with_the_published_optimiser_and_scores_with_dropout():
    torch.manual_seed(0)
    graph, rows = random_graph(), np.arange(14)
    labels = torch.arange(14) % 2
    x = torch.nn.functional.one_hot(labels, 2).float() + 0.1 * torch.randn(14, 2)
    judge = DropoutJudge(graph, rows, labels, 2, 2)
    assert (judge.first.out_features, judge.dropout) == (32, 0.5)
    assert {key: judge.optimizer.param_groups[0][key] for key in ("lr", "weight_decay")} == {
        "lr": 0.01,
        "weight_decay": 5e-4,
    }
    before = torch.nn.functional.cross_entropy(judge.eval()(x), labels)
    judge.fit(x, 60)
    after = torch.nn.functional.cross_entropy(judge.eval()(x), labels)
    assert after < before
    assert judge.score(x, 30) < 0
    judge.dropout = 0.0
    assert judge.score(x, 30) == pytest.approx(0, abs=1e-5)


def test_state_continues_the_training():
    graph, rows, labels, x = random_graph(), np.arange(6), torch.arange(6) % 2, torch.randn(14, 3)
    torch.manual_seed(1)
    whole = DropoutJudge(graph, rows, labels, 3, 2)
    whole.fit(x[whole.nodes], 5)
    other = DropoutJudge(graph, rows, labels, 3, 2)
    other.load(copy.deepcopy(whole.state()))
    for judge in (whole, other):
        torch.manual_seed(2)
        judge.fit(x[judge.nodes], 5)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in whole.state_dict().items())
