"""Ranking metrics against the protocol's worked examples, plain loops and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from graphkit.core.errors import GraphkitError
from graphkit.datasets.base import EdgeSet, LinkSplit
from graphkit.evaluation import ranking
from graphkit.evaluation.ranking import (
    HITS_AT,
    always_one,
    average_precision,
    hits_at_k,
    link_metrics,
    mean_reciprocal_rank,
    reciprocal_ranks,
    roc_auc,
)

POSITIVE, NEGATIVE = torch.tensor([0.9, 0.5, 0.5]), torch.tensor([0.8, 0.5, 0.3, 0.1])


def loop_hits(positive, negative, k):
    if len(negative) < k:
        return 1.0
    threshold = sorted(negative, reverse=True)[k - 1]
    return sum(p > threshold for p in positive) / len(positive)


def loop_rank(p, negative):
    optimistic = 1 + sum(x > p for x in negative)
    pessimistic = 1 + sum(x >= p for x in negative)
    return (optimistic + pessimistic) / 2


def tied_scores(seed, shape):
    """Few distinct values, so that most comparisons are ties."""
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 6, size=shape) / 4).float()


def test_worked_examples():
    assert hits_at_k(POSITIVE, NEGATIVE, 2) == pytest.approx(1 / 3)
    assert hits_at_k(POSITIVE, NEGATIVE, 5) == 1.0
    ranks = 1 / reciprocal_ranks(torch.tensor([0.5, 0.0]), torch.tensor([[0.5, 0.4, 0.9], [0.0, 0.0, 0.0]]))
    assert ranks.tolist() == [2.5, 2.5]
    assert mean_reciprocal_rank(torch.tensor([0.5]), torch.tensor([[0.5, 0.4, 0.9]])) == pytest.approx(0.4)


def test_constant_scores_and_a_perfect_one():
    for negatives in (torch.ones(200), torch.ones(200, 1000)):
        found = link_metrics(torch.ones(200), negatives)
        count = negatives.shape[-1]
        assert {found[f"hits@{k}"] for k in (1, 20, 50, 100)} == {0.0}
        assert found["mrr"] == pytest.approx(1 / (1 + count / 2))
        assert found["auc"] == 0.5
    found = link_metrics(torch.ones(3), torch.zeros(200))
    assert set(found.values()) == {1.0}


@pytest.mark.parametrize("seed", range(5))
def test_ties_against_plain_loops(seed):
    positive, shared, own = tied_scores(seed, 30), tied_scores(seed + 100, 150), tied_scores(seed + 200, (30, 40))
    for k in (1, 3, 20, 100, 150, 151):
        assert hits_at_k(positive, shared, k) == pytest.approx(loop_hits(positive.tolist(), shared.tolist(), k))
    ranks = [loop_rank(p, row) for p, row in zip(positive.tolist(), own.tolist())]
    np.testing.assert_allclose(1 / reciprocal_ranks(positive, own), ranks)
    assert hits_at_k(positive, own, 10) == pytest.approx(np.mean([rank <= 10 for rank in ranks]))
    expected = np.mean([1 / loop_rank(p, shared.tolist()) for p in positive.tolist()])
    assert mean_reciprocal_rank(positive, shared) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_auc_and_ap_against_scikit_learn(seed):
    positive, negative = tied_scores(seed, 37), tied_scores(seed + 50, 91)
    truth, scores = np.repeat([1, 0], [37, 91]), torch.cat([positive, negative]).numpy()
    assert roc_auc(positive, negative) == pytest.approx(roc_auc_score(truth, scores))
    assert average_precision(positive, negative) == pytest.approx(average_precision_score(truth, scores))


def test_chunks_do_not_change_the_ranks(monkeypatch):
    positive, own = tied_scores(1, 50), tied_scores(2, (50, 7))
    whole = reciprocal_ranks(positive, own)
    monkeypatch.setattr(ranking, "CHUNK", 20)
    assert torch.equal(reciprocal_ranks(positive, own), whole)


def test_integer_and_infinite_scores():
    found = link_metrics(torch.tensor([3, 1]), torch.tensor([2.0, -float("inf"), 0.5]))
    assert found["auc"] == pytest.approx(5 / 6)
    assert found["hits@1"] == 0.5


@pytest.mark.parametrize(
    ("positive", "negative"), [((0,), (5,)), ((5,), (0,)), ((5,), (4, 3)), ((5, 1), (5, 3)), ((5,), (5, 3, 1))]
)
def test_shapes_that_do_not_fit_are_refused(positive, negative):
    with pytest.raises(GraphkitError, match="expected"):
        link_metrics(torch.zeros(positive), torch.zeros(negative))


def split_with(valid, test):
    """A split of links whose parts have these numbers of negatives: Q shared ones, or (P, N)."""

    def part(count):
        pos = np.array([[0, 1], [1, 2]])
        if isinstance(count, tuple):
            return EdgeSet(pos, neg_dst=np.zeros(count, np.int64))
        return EdgeSet(pos, neg=np.zeros((count, 2), np.int64))

    return LinkSplit(EdgeSet(np.array([[0, 1]])), part(valid), part(test))


@pytest.mark.parametrize("valid, test", [(25, 50), (2, 19), (100, 99), ((2, 9), (2, 10)), ((2, 99), (2, 100))], ids=str)
def test_hits_that_are_one_whatever_the_scores_are_named(valid, test):
    """By trying: scores where every positive is below every negative, and where all are equal."""
    names, split = [f"hits@{k}" for k in HITS_AT] + ["mrr", "auc", "hits@many"], split_with(valid, test)
    expected = {}
    for part, count in (("valid", valid), ("test", test)):
        shape = (2, count[1]) if isinstance(count, tuple) else (count,)
        worst = link_metrics(torch.zeros(2), torch.ones(shape))
        for name in names:
            if worst.get(name, 0.0) == 1.0 and name.startswith("hits"):
                expected.setdefault(name, []).append(part)
    assert always_one(split, names) == expected and expected


def test_events_and_labels_have_their_own_negatives_or_none():
    class Events:
        valid_neg, test_neg = np.zeros(7, np.int64), np.array([[1, 2, -1, -1], [1, 2, 3, -1]])

    assert always_one(Events(), ["hits@3", "hits@10", "ap@200"]) == {"hits@10": ["test"]}
    assert always_one(None, ["accuracy"]) == {} == always_one(split_with(200, 200), ["hits@100"])
