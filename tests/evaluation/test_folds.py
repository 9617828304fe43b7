"""The selection rule of GIN's ten folds against its definition, and as the result of a run names it."""

from __future__ import annotations

import dgl
import numpy as np
import pytest
import torch

from graphkit.core import registry
from graphkit.core.errors import DataError, GraphkitError
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.splits import drawn as splits
from graphkit.datasets.splits.loaded import Loaded
from graphkit.datasets.splits.nodes import fold_splits, stratified_folds
from graphkit.evaluation.folds import select_one_epoch
from graphkit.runs import execution as runs


def outcome(curve, metric="accuracy", epochs=None):
    points = [{"epoch": epoch, metric: value} for epoch, value in zip(epochs or range(1, len(curve) + 1), curve)]
    return {"best": {metric: {"epoch": 1, "valid": max(curve), "test": 0.0}}, "curve": points}


def test_one_epoch_with_the_best_mean_is_taken_for_all_folds():
    curves = np.random.default_rng(0).random((10, 25)).round(2)
    best = int(np.argmax(curves.mean(0).round(12)))
    found = select_one_epoch([outcome(curve.tolist()) for curve in curves])
    assert [run["best"]["accuracy"]["epoch"] for run in found] == [best + 1] * 10
    assert [run["best"]["accuracy"]["valid"] for run in found] == curves[:, best].tolist()
    assert all(run["best"]["accuracy"]["test"] == run["best"]["accuracy"]["valid"] for run in found)
    # Each fold's own best epoch would say more: the rule is not that.
    assert np.mean(curves.max(1)) > curves.mean(0).max()


def test_the_first_of_equal_epochs_and_the_smallest_error():
    assert select_one_epoch([outcome([0.2, 0.5, 0.5]), outcome([0.4, 0.1, 0.1])])[0]["best"]["accuracy"]["epoch"] == 1
    found = select_one_epoch([outcome([3.0, 1.0, 2.0], "rmse"), outcome([1.0, 2.5, 1.0], "rmse")])
    assert [run["best"]["rmse"]["valid"] for run in found] == [2.0, 1.0]


def test_only_epochs_that_all_folds_reached_count():
    found = select_one_epoch([outcome([0.1, 0.2, 0.9]), outcome([0.1, 0.3])])
    assert [run["best"]["accuracy"]["epoch"] for run in found] == [2, 2]
    with pytest.raises(GraphkitError, match="no evaluated epoch in common"):
        select_one_epoch([outcome([0.1], epochs=[1]), outcome([0.1], epochs=[2])])


@pytest.fixture
def rings():
    """30 graphs, rings and stars in turn, with ten stratified folds."""
    graphs = []
    for k in range(30):
        n = 4 + k % 5
        ends = (list(range(n)), [(j + 1) % n for j in range(n)]) if k % 2 else ([0] * (n - 1), list(range(1, n)))
        graphs.append(dgl.to_bidirected(dgl.graph(ends, num_nodes=n)))
        graphs[-1].ndata["feat"] = torch.ones(n, 1)
    labels = torch.arange(30) % 2
    dataset = GraphDataset("rings", graphs=graphs, graph_labels=labels)
    return Loaded(dataset, fold_splits(stratified_folds(labels.numpy(), 10), 30))


def test_folds_is_the_name_of_the_family_that_gin_uses(rings):
    dataset = splits.finish(rings, "graph", "folds", 0)
    assert (dataset.split_name, dataset.folds) == ("gin-10fold", 10)
    held = [dataset.for_seed(k).split for k in range(10)]
    assert sorted(np.concatenate([part.valid for part in held])) == list(range(30))
    for part in held:
        assert np.array_equal(part.valid, part.test) and sorted([*part.train, *part.valid]) == list(range(30))
    assert splits.finish(rings, "graph", "10fold", 0).folds == 10
    assert (
        splits.finish(rings, "graph", "10fold-3", 0).folds
        == splits.finish(rings, "graph", "random-0.8/0.1/0.1", 0).folds
        == 0
    )
    with pytest.raises(DataError, match="has no folds"):
        splits.finish(splits.Loaded(rings.dataset), "graph", "folds", 0)


def test_a_run_over_the_folds_names_its_rule(rings):
    config = registry.resolve_config("gin", overrides={"epochs": 3, "hidden_dim": 4, "steps": 2}, preset=None)
    dataset = splits.finish(rings, "graph", "folds", 0)
    found = runs.execute("gin", dataset, config, seeds=list(range(10)))
    assert (found["folds"], found["protocol"], found["split"]) == (10, "gin-validation", "gin-10fold")
    assert "without a test part" in found["selection"] and len(set(found["best_epochs"])) == 1
    assert found["valid"] == found["test"] and len(found["test"]["values"]) == 10
    assert found["test"]["std"] == pytest.approx(np.std(found["test"]["values"], ddof=1))
    honest = runs.execute("gin", splits.finish(rings, "graph", "10fold", 0), config, seeds=[0, 1])
    assert honest["protocol"] == "10fold" and "selection" not in honest and "folds" not in honest
