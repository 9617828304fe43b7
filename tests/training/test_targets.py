"""Losses and predictions of labels against their definitions."""

from __future__ import annotations

import math

import dgl
import pytest
import torch

from graphkit.core.errors import DataError, UsageError
from graphkit.datasets.base import GraphDataset
from graphkit.training.targets import Targets


def nodes(labels, metric):
    graph = dgl.graph(([], []), num_nodes=len(labels))
    graph.ndata["label"] = torch.as_tensor(labels)
    return GraphDataset("data", graph=graph, task="node", metric=metric)


def graphs(labels, metric):
    return GraphDataset("data", graphs=[], graph_labels=torch.as_tensor(labels), task="graph", metric=metric)


def log_softmax(row):
    total = math.log(sum(math.exp(value) for value in row))
    return [value - total for value in row]


LOGITS = torch.tensor([[1.0, -0.5, 0.2], [0.3, 0.9, -1.0], [-0.2, 0.1, 2.0], [0.0, 0.0, 0.0]])


def test_classes_are_scored_by_the_mean_negative_log_likelihood_of_the_known():
    targets = Targets.of(nodes([0, 2, 1, -1], "accuracy"))
    assert (targets.kind, targets.out_dim) == ("classes", 3)
    expected = -sum(log_softmax(LOGITS[k].tolist())[label] for k, label in enumerate([0, 2, 1])) / 3
    assert float(targets.loss(LOGITS, targets.values)) == pytest.approx(expected, rel=1e-6)
    found = targets.predictions(LOGITS, torch.arange(4))
    assert found["y_true"][:3].tolist() == [0, 2, 1] and torch.isnan(found["y_true"][3]) and found["y_pred"] is LOGITS


def test_rare_classes_of_a_batch_weigh_more():
    """Class c of V rows weighs (V - V_c) / V, and the loss is the weighted mean."""
    targets, values = Targets.of(nodes([0, 0, 0, 2], "accuracy")), torch.tensor([0, 0, 0, 2])
    weights = {0: 1 / 4, 2: 3 / 4}
    losses = [(weights[c], -log_softmax(LOGITS[k].tolist())[c]) for k, c in enumerate(values.tolist())]
    expected = sum(w * loss for w, loss in losses) / sum(w for w, _ in losses)
    assert float(targets.loss(LOGITS, values, "batch")) == pytest.approx(expected, rel=1e-6)
    alone = torch.zeros(4, dtype=torch.int64)
    assert float(targets.loss(LOGITS, alone, "batch")) == pytest.approx(float(targets.loss(LOGITS, alone)), rel=1e-6)


def test_the_rarer_of_two_classes_weighs_more():
    """One logit z is the two logits (0, z): the weighted losses agree."""
    values, logits = [0, 1, 0, -1, 0], torch.tensor([[0.5], [-1.0], [2.0], [9.0], [0.1]])
    one, two = Targets.of(nodes(values, "rocauc")), Targets.of(nodes(values, "accuracy"))
    expected = two.loss(torch.cat([torch.zeros(5, 1), logits], 1), two.values, "batch")
    torch.testing.assert_close(one.loss(logits, one.values, "batch"), expected)
    assert float(one.loss(logits, one.values, "batch")) != pytest.approx(float(one.loss(logits, one.values)), rel=1e-3)
    several = Targets.of(graphs([[1.0, 0.0], [0.0, 1.0]], "ap"))
    with pytest.raises(UsageError, match="--class-weights is 'batch', expected none"):
        several.loss(torch.zeros(2, 2), several.values, "batch")


@pytest.mark.parametrize("metric", ["rocauc", "ap"])
def test_two_classes_under_a_ranking_metric_have_one_logit(metric):
    targets = Targets.of(nodes([0, 1, 1, -1], metric))
    assert (targets.kind, targets.out_dim) == ("binary", 1)
    logits = torch.tensor([[0.5], [-1.0], [2.0], [9.0]])
    expected = sum(math.log(1 + math.exp(-z if y else z)) for z, y in ((0.5, 0), (-1.0, 1), (2.0, 1))) / 3
    assert float(targets.loss(logits, targets.values)) == pytest.approx(expected, rel=1e-6)
    assert torch.isnan(targets.predictions(logits, torch.arange(4))["y_true"][3]).all()
    torch.testing.assert_close(targets.probabilities(logits), 1 / (1 + (-logits).exp()))


def test_several_labels_ignore_the_unknown_entries():
    targets = Targets.of(graphs([[0.0, 1.0], [float("nan"), 1.0]], "ap"))
    assert (targets.kind, targets.out_dim) == ("labels", 2)
    logits = torch.tensor([[0.5, -1.0], [7.0, 2.0]])
    expected = sum(math.log(1 + math.exp(-z if y else z)) for z, y in ((0.5, 0), (-1.0, 1), (2.0, 1))) / 3
    assert float(targets.loss(logits, targets.values)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("metric, power", [("mae", 1), ("rmse", 2)])
def test_numbers_are_fitted_in_the_norm_of_their_metric(metric, power):
    targets = Targets.of(graphs([[0.5], [2.0], [float("nan")]], metric))
    logits = torch.tensor([[1.0], [0.0], [100.0]])
    assert float(targets.loss(logits, targets.values)) == pytest.approx((0.5**power + 2.0**power) / 2)
    assert targets.probabilities(logits) is logits


def test_probabilities_of_classes_sum_to_one():
    targets = Targets.of(nodes([0, 2, 1, -1], "accuracy"))
    expected = torch.tensor([[math.exp(value) for value in log_softmax(row)] for row in LOGITS.tolist()])
    torch.testing.assert_close(targets.probabilities(LOGITS), expected)


def test_labels_that_do_not_fit():
    with pytest.raises(DataError, match="found class 2, expected 0 or 1 for the metric rocauc"):
        Targets.of(nodes([0, 2], "rocauc"))
    with pytest.raises(DataError, match="all labels are unknown"):
        Targets.of(nodes([-1, -1], "accuracy"))
