"""Stratified folds, their figures, and the choice among embeddings, against plain loops, scikit-learn and what leaks
would do.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from graphkit.core.errors import DataError, UsageError
from graphkit.evaluation.embedding import classifier_scores, node_classification
from graphkit.evaluation.labels import f1_scores, ranking_scores, top_labels
from graphkit.evaluation.selection import best_of, corrected_t
from graphkit.evaluation.stratify import stratified_folds


def several_labels(n=300, count=6, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random((n, count)) < np.array([0.5, 0.3, 0.2, 0.1, 0.05, 0.02])
    truth[~truth.any(1), 0] = True
    return truth


def test_folds_of_classes_differ_by_one_at_most():
    labels = np.random.default_rng(1).choice(4, 203, p=[0.6, 0.25, 0.1, 0.05])
    folds = stratified_folds(labels[:, None] == np.arange(4), 5, np.random.default_rng(0))
    counts = np.array([[((folds == fold) & (labels == label)).sum() for label in range(4)] for fold in range(5)])
    assert (np.ptp(counts, axis=0) <= 1).all() and (folds >= 0).all()
    assert (folds != stratified_folds(labels[:, None] == np.arange(4), 5, np.random.default_rng(1))).any()


def test_folds_of_several_labels_share_rare_ones():
    truth = several_labels()
    folds = stratified_folds(truth, 5, np.random.default_rng(0))
    counts = np.array([truth[folds == fold].sum(0) for fold in range(5)])
    assert (np.ptp(counts, axis=0)[3:] <= 2).all() and (np.ptp(counts, axis=0) <= 4).all()
    assert np.ptp(np.bincount(folds)) <= 6


def test_cross_validation_is_a_plain_loop():
    truth = several_labels()
    vectors = np.random.default_rng(2).normal(size=(300, 8)) + truth @ np.random.default_rng(3).normal(size=(6, 8))
    labels = np.concatenate([truth, np.zeros((10, 6), bool)])  # ten nodes without a label take no part
    found = node_classification(
        np.concatenate([vectors, np.full((10, 8), 99.0)]), labels, folds=3, shuffles=2, C=0.5, seed=7
    )
    expected = {}
    for shuffle in range(2):
        folds = stratified_folds(truth, 3, np.random.default_rng(7 + shuffle))
        for fold in range(3):
            train, test = folds != fold, folds == fold
            scores = classifier_scores(
                torch.from_numpy(vectors[train]), truth[train], torch.from_numpy(vectors[test]), 0.5
            )
            values = f1_scores(truth[test], top_labels(scores, truth[test].sum(1)))
            values["auroc"] = np.mean([roc_auc_score(truth[test, k], scores[:, k]) for k in range(6)])
            values["auprc"] = np.mean([average_precision_score(truth[test, k], scores[:, k]) for k in range(6)])
            for name, value in values.items():
                expected.setdefault(name, []).append(value)
    assert set(found) == {*expected, "apop"} and len(found["micro_f1"]) == 6
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9)


def test_classes_have_no_ranking_figures_and_ratios_keep_theirs():
    labels = np.random.default_rng(0).integers(0, 3, 60)
    vectors = np.eye(3)[labels]
    assert set(node_classification(vectors, labels, folds=4, shuffles=1)) == {"micro_f1", "macro_f1"}
    assert set(node_classification(vectors, labels, [0.5], shuffles=1)) == {"micro_f1@0.5", "macro_f1@0.5"}
    with pytest.raises(UsageError, match="--folds is 61, expected 2 to 60"):
        node_classification(vectors, labels, folds=61)


def test_apop_is_zero_for_chance_and_counts_doublings():
    truth = np.zeros((40, 1), bool)
    truth[:10] = True
    found = ranking_scores(truth, truth.astype(float))
    assert found == {"auroc": 1.0, "auprc": 1.0, "apop": 2.0}  # a quarter is positive: two doublings to certainty
    assert ranking_scores(truth, np.zeros((40, 1)))["apop"] == 0.0
    with pytest.raises(DataError, match="found no label that some and not all"):
        ranking_scores(np.ones((4, 2), bool), np.zeros((4, 2)))


@pytest.mark.parametrize("how", [{"ratio": 0.5, "shuffles": 8}, {"folds": 4, "shuffles": 2}])
def test_the_choice_does_not_see_the_test_nodes(how):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 80)
    # Without any signal, the best of many on the test part would look good; a fair choice stays at chance.
    noise = {f"noise {k}": rng.normal(size=(80, 3)) for k in range(30)}
    found = best_of(noise, labels, **how)
    peeked = np.max(
        [node_classification(values, labels, [0.5], shuffles=8)["macro_f1@0.5"] for values in noise.values()], axis=0
    )
    assert len(found["macro_f1"]) == 8 and np.mean(found["macro_f1"]) < 0.56 < np.mean(peeked)
    assert len(set(found["chosen"])) > 1


def test_the_choice_finds_the_signal_and_one_candidate_is_scored_as_alone():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 150)
    signal = np.eye(3)[labels] * 2 + rng.normal(size=(150, 3))
    alone = best_of({"signal": signal}, labels, shuffles=3)
    found = best_of({"noise": rng.normal(size=(150, 3)), "signal": signal}, labels, shuffles=3)
    assert found == alone and found["chosen"] == ["signal"] * 3
    assert alone["macro_f1"] == node_classification(signal, labels, [0.5], shuffles=3)["macro_f1@0.5"]
    with pytest.raises(UsageError, match="short: found 3 vectors, expected one for each of the 150 nodes"):
        best_of({"short": np.zeros((3, 2))}, labels)


def test_corrected_t():
    first, second = [0.5, 0.6, 0.55, 0.7], [0.4, 0.62, 0.5, 0.6]
    plain = stats.ttest_rel(first, second)
    found = corrected_t(first, second, 0.5)
    assert found["difference"] == pytest.approx(0.0575)
    assert found["p"] == pytest.approx(stats.t.sf(plain.statistic / np.sqrt(1 + 4), 3))  # 1/4 becomes 1/4 + 1
    assert corrected_t(second, first, 0.5)["p"] == pytest.approx(1 - found["p"])
    assert corrected_t([1, 1], [1, 1], 0.1)["p"] == 1.0 and corrected_t([2, 2], [1, 1], 0.1)["p"] == 0.0
