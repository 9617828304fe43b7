"""Rankings of every node and how they go with measures, against plain definitions, scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch
from scipy import stats
from sklearn.metrics import ndcg_score

from graphkit.core.errors import DataError
from graphkit.methods.structure.topo import association
from graphkit.methods.structure.topo.node_ranking import rank_nodes


def random_matrix(n, p, rng):
    upper = np.triu(rng.random((n, n)) < p, 1)
    return scipy.sparse.csr_array((upper + upper.T).astype(np.int64))


def lookup(scores):
    return lambda pairs: torch.from_numpy(scores[pairs[:, 0].numpy(), pairs[:, 1].numpy()])


@pytest.mark.parametrize("levels", [3, 10_000])
@pytest.mark.parametrize("with_known", [True, False])
def test_figures_are_their_definitions(levels, with_known):
    rng, n = np.random.default_rng(0), 25
    targets, known = random_matrix(n, 0.15, rng), random_matrix(n, 0.2, rng)
    scores = rng.integers(levels, size=(n, n)).astype(np.float64)
    nodes = np.flatnonzero(np.diff(targets.indptr))
    found = rank_nodes(lookup(scores), targets, known if with_known else None, nodes, cutoffs=(1, 5))
    for place, node in enumerate(nodes.tolist()):
        wanted = set(np.flatnonzero(targets.toarray()[node]))
        banned = {node} | (set(np.flatnonzero(known.toarray()[node])) - wanted if with_known else set())
        ranked = sorted(
            (other for other in range(n) if other not in banned), key=lambda other: (-scores[node, other], other)
        )
        best = min(ranked.index(one) for one in wanted) + 1
        assert found["rr"][place] == pytest.approx(1 / best)
        for k in (1, 5):
            hits = len(wanted & set(ranked[:k]))
            precision, recall = hits / k, hits / len(wanted)
            assert found[f"recall@{k}"][place] == pytest.approx(recall)
            assert found[f"precision@{k}"][place] == pytest.approx(precision)
            assert found[f"hits@{k}"][place] == (hits > 0)
            assert found[f"f1@{k}"][place] == pytest.approx(
                2 * precision * recall / (precision + recall) if hits else 0.0
            )
            relevant = np.array([[one in wanted for one in ranked]], dtype=float)
            assert found[f"ndcg@{k}"][place] == pytest.approx(ndcg_score(relevant, -np.arange(len(ranked))[None], k=k))


def test_blocks_change_nothing(monkeypatch):
    rng, n = np.random.default_rng(1), 30
    targets, scores = random_matrix(n, 0.2, rng), rng.random((n, n))
    nodes, told = np.flatnonzero(np.diff(targets.indptr)), []
    whole = rank_nodes(lookup(scores), targets, None, nodes)
    monkeypatch.setattr("graphkit.methods.structure.topo.node_ranking.PAIRS_AT_ONCE", 4 * n)
    pieces = rank_nodes(lookup(scores), targets, None, nodes, report=lambda *what: told.append(what))
    for name, values in whole.items():
        np.testing.assert_array_equal(values, pieces[name])
    assert told[-1] == ("nodes ranked", len(nodes), len(nodes)) and len(told) == -(-len(nodes) // 4)


def test_scores_that_are_not_numbers_are_refused():
    targets = scipy.sparse.csr_array(np.array([[0, 1], [1, 0]]))
    with pytest.raises(DataError, match="not numbers"):
        rank_nodes(lookup(np.full((2, 2), np.nan)), targets, None, np.array([0]))


def test_correlations_and_their_intervals():
    rng = np.random.default_rng(2)
    x = rng.random(60)
    y = x + rng.normal(scale=0.3, size=60)
    x[:5], y[5:8] = np.nan, np.nan
    found = association.correlation(x, y)
    pearson = stats.pearsonr(x[8:], y[8:])
    low, high = pearson.confidence_interval(0.95)
    assert found["nodes"] == 52
    assert found["pearson"] == pytest.approx({"r": pearson.statistic, "low": low, "high": high})
    spearman = found["spearman"]
    assert spearman["r"] == pytest.approx(stats.spearmanr(x[8:], y[8:]).statistic)
    # Bonett, Wright 2000: wider than Fisher's by the square root of 1 + r^2 / 2.
    reach = stats.norm.ppf(0.975) * np.sqrt((1 + spearman["r"] ** 2 / 2) / 49)
    assert np.arctanh(spearman["high"]) - np.arctanh(spearman["low"]) == pytest.approx(2 * reach)


@pytest.mark.parametrize("x, y", [([1.0, 1, 1, 1, 1], [1.0, 2, 3, 4, 5]), ([1.0], [2.0]), ([], [])])
def test_correlation_with_a_constant_is_none(x, y):
    found = association.correlation(np.array(x), np.array(y))
    assert found["pearson"] == found["spearman"] == {"r": None, "low": None, "high": None}


def test_bins_hold_all_nodes_and_equal_values_stay_together():
    measure, outcome = np.array([0.0] * 6 + [1, 2, 3, 4, np.nan, 5]), np.arange(12.0)
    outcome[1] = np.nan
    rows = association.bins(measure, outcome, 5)
    assert sum(row["nodes"] for row in rows) == 10
    first = {
        "low": 0.0,
        "high": 1.0,
        "nodes": 6,
        "mean": np.mean([0, 2, 3, 4, 5, 6]),
    }  # two fifths end within the zeros
    assert rows[0] == pytest.approx(first)
    assert all(before["high"] < after["low"] for before, after in zip(rows, rows[1:]))
    assert association.bins(np.array([np.nan]), np.array([1.0]), 3) == []
    assert [row["nodes"] for row in association.bins(np.arange(100.0), np.arange(100.0), 10)] == [10] * 10


def test_interval_of_a_mean_covers_it():
    rng = np.random.default_rng(3)
    inside = 0
    for seed in range(60):
        found = association.mean_interval(np.append(rng.exponential(size=80), np.nan), seed)
        inside += found["low"] <= 1.0 <= found["high"]
        assert found["nodes"] == 80
    assert inside >= 50  # 57 expected; fewer than 50 has a probability below one in a thousand
    assert association.mean_interval(np.array([np.nan]))["mean"] is None
