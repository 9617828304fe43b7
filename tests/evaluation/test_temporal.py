"""Metrics of events against scikit-learn's, batch by batch."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from graphkit.core.errors import GraphkitError
from graphkit.evaluation import temporal

RNG = np.random.default_rng(0)
SCORES = RNG.integers(0, 9, 701) / 9, RNG.integers(0, 8, 701) / 9  # with many ties


@pytest.mark.parametrize("size", [1, 32, 200, 701, 5000])
def test_means_over_batches(size):
    values = []
    for begin in range(0, 701, size):
        own = [scores[begin : begin + size] for scores in SCORES]
        truth, scores = np.repeat([1, 0], len(own[0])), np.concatenate(own)
        values.append((average_precision_score(truth, scores), roc_auc_score(truth, scores)))
    found = temporal.batch_means(*map(torch.from_numpy, SCORES), size)
    assert found == pytest.approx(tuple(np.mean(values, axis=0)), abs=1e-12)


def test_pooled_figures_and_names():
    found = temporal.event_metrics(*map(torch.from_numpy, SCORES))
    truth, scores = np.repeat([1, 0], 701), np.concatenate(SCORES)
    assert list(found) == ["ap", "auc", "ap@32", "auc@32", "ap@200", "auc@200"]
    assert found["ap"] == pytest.approx(average_precision_score(truth, scores))
    assert found["auc"] == pytest.approx(roc_auc_score(truth, scores))


def test_every_event_has_one_negative():
    with pytest.raises(GraphkitError, match="expected one score of each an event"):
        temporal.event_metrics(torch.zeros(3), torch.zeros(4))
    with pytest.raises(GraphkitError, match="expected one score of each an event"):
        temporal.event_metrics(torch.zeros(0), torch.zeros(0))
