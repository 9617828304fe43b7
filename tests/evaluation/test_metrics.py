"""evaluate() by task, against OGB's evaluators, loops and scikit-learn."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from graphkit.core.errors import GraphkitError
from graphkit.datasets.base import EdgeSet
from graphkit.evaluation.metrics import evaluate, ogb_evaluator, sequence_f1
from graphkit.evaluation.pairs import score_split
from graphkit.evaluation.registry import better


def dataset(metric, ogb_name=None):
    return SimpleNamespace(name="mine", metric=metric, ogb_name=ogb_name)


def random(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_direction_of_metrics():
    assert [better(name) for name in ("rmse", "mae", "loss")] == ["min"] * 3
    assert [better(name) for name in ("hits@20", "mrr", "auc", "accuracy", "micro-f1", "acc")] == ["max"] * 6


@pytest.mark.parametrize(("name", "k"), [("ogbl-ddi", 20), ("ogbl-collab", 50), ("ogbl-ppa", 100)])
def test_hits_agree_with_ogb(name, k):
    scores = {"y_pred_pos": random(1, 400).round(decimals=2), "y_pred_neg": random(2, 900).round(decimals=2)}
    with_ogb, own = evaluate(dataset(f"hits@{k}", name), scores), evaluate(dataset(f"hits@{k}"), scores)
    assert with_ogb == pytest.approx(own)
    assert next(iter(with_ogb)) == f"hits@{k}"
    assert ogb_evaluator(name).eval(scores)[f"hits@{k}"] == pytest.approx(own[f"hits@{k}"])


def test_mrr_agrees_with_ogb():
    scores = {"y_pred_pos": random(1, 50).round(decimals=1), "y_pred_neg": random(2, 50, 1000).round(decimals=1)}
    with_ogb, own = evaluate(dataset("mrr", "ogbl-citation2"), scores), evaluate(dataset("mrr"), scores)
    for name in ("mrr", "hits@1", "hits@3", "hits@10"):
        assert with_ogb[name] == pytest.approx(own[name], rel=1e-6)


def test_node_and_graph_metrics_agree_with_ogb():
    truth = torch.randint(0, 40, (300,), generator=torch.Generator().manual_seed(0))
    found = evaluate(dataset("acc", "ogbn-arxiv"), {"y_true": truth, "y_pred": random(1, 300, 40)})
    assert next(iter(found)) == "acc"
    assert found["acc"] == evaluate(dataset("accuracy"), {"y_true": truth, "y_pred": random(1, 300, 40)})["accuracy"]
    tasks, scores = (random(2, 200, 112) < 0.3).float(), random(3, 200, 112)
    found = evaluate(dataset("rocauc", "ogbn-proteins"), {"y_true": tasks, "y_pred": scores})
    assert found["rocauc"] == pytest.approx(evaluate(dataset("rocauc"), {"y_true": tasks, "y_pred": scores})["rocauc"])
    holes = tasks.clone()[:, : 128 // 2]
    holes[random(4, *holes.shape) < 0.2] = float("nan")
    holes = torch.cat([holes, holes], 1)
    pair = {"y_true": holes, "y_pred": random(5, *holes.shape)}
    assert evaluate(dataset("ap", "ogbg-molpcba"), pair)["ap"] == pytest.approx(evaluate(dataset("ap"), pair)["ap"])
    pair = {"y_true": random(6, 30, 1), "y_pred": random(7, 30)}
    assert evaluate(dataset("rmse", "ogbg-molesol"), pair)["rmse"] == pytest.approx(
        evaluate(dataset("rmse"), pair)["rmse"]
    )


def test_sequences_agree_with_ogb():
    references = [["get", "name"], ["set", "set", "x"], [], ["a"]]
    guesses = [["name", "get"], ["set"], [], ["b"]]
    assert sequence_f1(references, guesses) == pytest.approx((1 + 2 / 3 + 0 + 0) / 4)
    found = evaluate(dataset("F1", "ogbg-code2"), {"seq_ref": references, "seq_pred": guesses})
    assert found["F1"] == pytest.approx(sequence_f1(references, guesses))


def test_unlabelled_entries_and_one_sided_tasks_are_ignored():
    nan = float("nan")
    truth = torch.tensor([[1, 0, 1.0], [0, 0, nan], [1, 0, 0], [nan, 0, 1]])
    scores = torch.tensor([[0.9, 1, 0.2], [0.8, 1, 9.0], [0.7, 1, 0.3], [9.0, 1, 0.4]])
    found = evaluate(dataset("rocauc"), {"y_true": truth, "y_pred": scores})
    assert found["rocauc"] == pytest.approx((0.5 + 0.5) / 2)  # the middle task has no positive
    with pytest.raises(GraphkitError, match="no task has both"):
        evaluate(dataset("rocauc"), {"y_true": truth[:, 1:2], "y_pred": scores[:, 1:2]})
    assert (
        evaluate(dataset("accuracy"), {"y_true": torch.tensor([1.0, nan, 0]), "y_pred": torch.eye(3)})["accuracy"] == 0
    )


def test_multi_label_takes_as_many_labels_as_the_truth_has():
    truth = torch.tensor([[1, 1, 0], [0, 0, 1], [0, 0, 0]]).float()
    scores = torch.tensor([[0.9, 0.1, 0.5], [0.1, 0.2, 0.9], [1.0, 1.0, 1.0]])
    guess = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 0]])
    found = evaluate(dataset("micro-f1"), {"y_true": truth, "y_pred": scores})
    assert found["micro-f1"] == pytest.approx(sk.f1_score(truth.numpy(), guess, average="micro"))
    assert found["macro-f1"] == pytest.approx(sk.f1_score(truth.numpy(), guess, average="macro", zero_division=0))


@pytest.mark.parametrize("ogb_name", [None, "ogbl-ddi"])
@pytest.mark.parametrize("name", ["y_pred_pos", "y_pred_neg"])
def test_nan_scores_are_refused(name, ogb_name):
    scores = {"y_pred_pos": torch.rand(4), "y_pred_neg": torch.rand(30)}
    scores[name][2] = float("nan")
    with pytest.raises(GraphkitError, match=f"{name} of the test split holds 1 NaN"):
        evaluate(dataset("hits@20", ogb_name), scores, "test")


def test_what_does_not_fit_is_refused():
    with pytest.raises(GraphkitError, match="3 y_true and 2 y_pred"):
        evaluate(dataset("accuracy"), {"y_true": torch.zeros(3), "y_pred": torch.zeros(2, 4)})
    with pytest.raises(GraphkitError, match="same shape"):
        evaluate(dataset("rocauc"), {"y_true": torch.zeros(3, 2), "y_pred": torch.zeros(3, 4)})
    with pytest.raises(GraphkitError, match="metric 'rmse' is not defined"):
        evaluate(dataset("rmse"), {"y_pred_pos": torch.rand(3), "y_pred_neg": torch.rand(3)})


def test_any_k_and_arrays_are_taken():
    found = evaluate(dataset("hits@7"), {"y_pred_pos": np.array([[3.0], [1.0]]), "y_pred_neg": np.arange(10.0)})
    assert found["hits@7"] == 0.0
    assert evaluate(dataset("hits@7"), {"y_pred_pos": np.array([3.5]), "y_pred_neg": np.arange(10.0)})["hits@7"] == 1.0


def test_ogb_is_imported_quietly_and_without_asking_the_network():
    code = (
        "import sys, threading; from graphkit.evaluation.metrics import ogb_evaluator\nassert 'ogb' not in"
        " sys.modules\nogb_evaluator('ogbl-ddi'); assert not [m for m in sys.modules if m.split('.')[0] == 'outdated'],"
        " 'version check'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_pairs_of_a_split_are_scored_in_their_places():
    pos = np.array([[0, 1], [2, 3], [4, 5]])
    neg_dst, neg_src = np.array([[6, 7], [8, 9], [1, 2]]), np.array([[3, 4], [5, 6], [7, 8]])

    def code(pairs):  # a score that tells which pair it is of
        return (pairs[:, 0] * 10 + pairs[:, 1]).float()

    for size in (1, 3, 100):
        shared = score_split(EdgeSet(pos=pos, neg=neg_dst), code, size)
        assert shared["y_pred_pos"].tolist() == [1, 23, 45]
        assert shared["y_pred_neg"].tolist() == [67, 89, 12]
        own = score_split(EdgeSet(pos=pos, neg_dst=neg_dst), code, size)
        assert own["y_pred_neg"].tolist() == [[6, 7], [28, 29], [41, 42]]
        both = score_split(EdgeSet(pos=pos, neg_dst=neg_dst, neg_src=neg_src), code, size)
        assert both["y_pred_pos"].tolist() == [1, 23, 45] * 2
        assert both["y_pred_neg"].tolist() == [[6, 7], [28, 29], [41, 42], [31, 41], [53, 63], [75, 85]]
