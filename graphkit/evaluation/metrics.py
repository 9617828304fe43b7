"""Predictions -> metrics, by the task of the data set; OGB's own evaluator for OGB's data sets."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from typing import Any

import numpy as np
import torch
from sklearn import metrics as sk

from graphkit.core.errors import GraphkitError
from graphkit.datasets.sources.ogb import KINDS, import_ogb
from graphkit.evaluation import ranking, registry, temporal
from graphkit.evaluation.labels import f1_scores, label_matrix, top_labels

# OGB's words -> ours
NAMES = {"acc": "accuracy", "mrr_list": "mrr", "F1": "f1"}


def evaluate(dataset, predictions: dict[str, Any], split: str = "valid") -> dict[str, float]:
    """Return every metric of the data set's task, its official one first and under the data set's own name for it.

    predictions: ``y_pred_pos`` (P,) and ``y_pred_neg`` (Q,) shared or (P, N) of each positive, for links, or (P,) for
        events;
    ``y_true`` and ``y_pred`` for nodes and graphs, where ``y_pred`` is (n, C) class scores, (n,) class numbers or one
    score, or (n, T) one score per task, and NaN in ``y_true`` is unlabelled; ``seq_ref`` and ``seq_pred``, lists of
    lists of words (ogbg-code2). Raises :class:`GraphkitError` for NaN scores, shapes that do not fit, and an undefined
    metric.
    """
    metric = dataset.metric
    if "seq_pred" in predictions:
        found = {"f1": sequence_f1(predictions["seq_ref"], predictions["seq_pred"])}
    else:
        predictions = {name: torch.as_tensor(value).detach().cpu() for name, value in predictions.items()}
        _refuse_nan(predictions, split)
        if "y_pred_pos" in predictions:
            predictions["y_pred_pos"] = predictions["y_pred_pos"].flatten()
            measures = temporal.event_metrics if getattr(dataset, "task", None) == "events" else ranking.link_metrics
            found = measures(predictions["y_pred_pos"], predictions["y_pred_neg"])
        else:
            other = registry.added(metric)
            group = metric if other is None else other.beside
            found = (
                {} if other and group is None else label_metrics(group, predictions["y_true"], predictions["y_pred"])
            )
    if dataset.ogb_name is not None:
        found.update(ogb_metrics(dataset.ogb_name, predictions))
    found.update(registry.extra(predictions))
    own = NAMES.get(metric, metric)
    if own not in found and str(own).startswith("hits@") and "y_pred_pos" in predictions:
        found[own] = ranking.hits_at_k(predictions["y_pred_pos"], predictions["y_pred_neg"], int(own[5:]))
    if own not in found:
        raise GraphkitError(
            f"{dataset.name}: its metric {metric!r} is not defined for these predictions ({', '.join(found)})"
        )
    return {metric: found.pop(own), **found}


def _refuse_nan(predictions: dict[str, torch.Tensor], split: str) -> None:
    for name, value in predictions.items():
        # NaN sorts as the largest score: one among the negatives would turn every hit into a miss.
        if name != "y_true" and value.is_floating_point() and (bad := int(torch.isnan(value).sum())):
            raise GraphkitError(
                f"{name} of the {split} split holds {bad} NaN of {value.numel()} scores; a metric would lie"
            )


def label_metrics(metric: str | None, truth: torch.Tensor, scores: torch.Tensor) -> dict[str, float]:
    """Return the metrics of a node or graph task, those that go with ``metric``.

    accuracy, balanced-accuracy: both, the second the mean over the classes of their recall, and macro-f1. micro-f1,
    macro-f1: multi-label, as many labels of the highest scores as the truth has. rmse, mae: over all labelled entries;
    r2 with them, the mean over the tasks of 1 - squared error / squared deviation from the mean of the truth. rocauc,
    ap: mean over the tasks that have both labels.
    """
    return _label_metrics(metric or "", truth.numpy(), scores.numpy())


def _label_metrics(metric: str, truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    if len(truth) != len(scores) or len(truth) == 0:
        raise GraphkitError(
            f"found {len(truth)} y_true and {len(scores)} y_pred, expected the same number, at least one"
        )
    if NAMES.get(metric, metric) in ("accuracy", "balanced-accuracy"):
        return _class_metrics(truth, scores)
    truth, scores = truth.reshape(len(truth), -1), scores.reshape(len(scores), -1)
    if metric in ("micro-f1", "macro-f1"):
        matrix = label_matrix(truth if truth.shape[1] > 1 else truth[:, 0].astype(np.int64), scores.shape[1])
        found = f1_scores(matrix, top_labels(scores, matrix.sum(1)))
        return {name.replace("_", "-"): value for name, value in found.items()}
    if truth.shape != scores.shape:
        raise GraphkitError(
            f"found y_true {truth.shape} and y_pred {scores.shape}, expected the same shape for {metric}"
        )
    truth, scores = truth.astype(np.float64), scores.astype(np.float64)
    if metric in ("rmse", "mae"):
        error = (scores - truth)[~np.isnan(truth)]
        return {
            "rmse": float(np.sqrt(np.mean(error**2))),
            "mae": float(np.mean(np.abs(error))),
            "r2": _r2(truth, scores),
        }
    scores = np.nan_to_num(scores)  # infinite scores become the largest numbers: their order is all that counts
    return {
        "rocauc": _mean_over_tasks(sk.roc_auc_score, truth, scores),
        "ap": _mean_over_tasks(sk.average_precision_score, truth, scores),
    }


def _class_metrics(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    guess = scores.argmax(1) if scores.ndim == 2 and scores.shape[1] > 1 else scores.reshape(-1)
    truth = truth.reshape(-1)
    if len(truth) != len(guess):
        raise GraphkitError(f"found {len(truth)} class numbers and {len(guess)} predictions, expected one for each")
    known = ~np.isnan(truth.astype(np.float64))
    truth, guess = truth[known].astype(np.int64), guess[known].astype(np.int64)
    return {
        "accuracy": float(np.mean(guess == truth)),
        "balanced-accuracy": float(np.mean([np.mean(guess[truth == c] == c) for c in np.unique(truth)])),
        "macro-f1": float(sk.f1_score(truth, guess, average="macro", zero_division=0)),
    }


def _r2(truth: np.ndarray, scores: np.ndarray) -> float:
    """The share of the variance that is explained, averaged over tasks; of a constant truth 1 where it is met exactly,
    else 0.
    """
    values = []
    for column in range(truth.shape[1]):
        known = ~np.isnan(truth[:, column])
        if known.any():
            target = truth[known, column]
            error, spread = (
                float(np.sum((scores[known, column] - target) ** 2)),
                float(np.sum((target - target.mean()) ** 2)),
            )
            values.append(1 - error / spread if spread else float(error == 0))
    return float(np.mean(values))


def _mean_over_tasks(function, truth: np.ndarray, scores: np.ndarray) -> float:
    """Average over the tasks that have both a positive and a negative label, as OGB does."""
    values = []
    for column in range(truth.shape[1]):
        known = ~np.isnan(truth[:, column])
        labels = truth[known, column]
        if (labels == 1).any() and (labels == 0).any():
            values.append(function(labels, scores[known, column]))
    if not values:
        raise GraphkitError("no task has both a positive and a negative label in this split; the metric is undefined")
    return float(np.mean(values))


def sequence_f1(references, predictions) -> float:
    """Return the mean over samples of the F1 between two sets of words; order and repeats do not count."""
    if len(references) != len(predictions) or len(references) == 0:
        counts = f"{len(references)} seq_ref and {len(predictions)} seq_pred"
        raise GraphkitError(f"found {counts}, expected the same number, at least one")
    values = []
    for reference, guess in zip(map(set, references), map(set, predictions)):
        shared = len(reference & guess)
        values.append(2 * shared / (len(reference) + len(guess)) if shared else 0.0)
    return float(np.mean(values))


@functools.cache
def ogb_evaluator(name: str):
    """Return OGB's evaluator of a data set; OGB is imported here, quietly and without its look for updates."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return import_ogb(f"ogb.{KINDS[name[:4]][0]}").Evaluator(name)


def ogb_metrics(name: str, predictions: dict[str, Any]) -> dict[str, float]:
    """Return what OGB's evaluator says; list results (MRR) are averaged over all positives.

    Predictions go in as torch tensors: the NumPy path of OGB's MRR fails. Class scores become class numbers first.
    """
    evaluator = ogb_evaluator(name)
    inputs = dict(predictions)
    if "y_true" in inputs:
        inputs = {key: value.reshape(len(value), -1) for key, value in inputs.items()}
        if evaluator.eval_metric == "acc" and inputs["y_pred"].shape[1] > 1:
            inputs["y_pred"] = inputs["y_pred"].argmax(1, keepdim=True)
    try:
        found = evaluator.eval(inputs)
    except (RuntimeError, ValueError) as problem:
        raise GraphkitError(
            f"OGB's evaluator of {name} refused the predictions: {' '.join(str(problem).split())}"
        ) from None
    names = {key: NAMES.get(key, key.removesuffix("_list")) for key in found}
    found = {key: value.cpu().numpy() if torch.is_tensor(value) else value for key, value in found.items()}
    return {names[key]: float(np.mean(value, dtype=np.float64)) for key, value in found.items()}
