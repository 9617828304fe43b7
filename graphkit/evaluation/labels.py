"""Label sets as matrices, the choice of as many labels as a node has, and F1 over all labels."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from graphkit.core.errors import DataError


def label_matrix(labels, count: int = 0) -> np.ndarray:
    """Return (n, L) bool from (n,) class numbers (negative: none) or (n, L) indicators; L is at least ``count``."""
    labels = np.asarray(labels)
    if labels.ndim == 2:
        return labels > 0
    return labels[:, None] == np.arange(max(int(labels.max(initial=-1)) + 1, count, 1))


def top_labels(scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return (n, L) bool: for row i the ``counts[i]`` labels of highest score; none where the count is 0."""
    rank = np.empty(scores.shape, np.int64)
    np.put_along_axis(rank, np.argsort(-scores, axis=1, kind="stable"), np.arange(scores.shape[1])[None, :], axis=1)
    return rank < np.asarray(counts)[:, None]


def f1_scores(truth: np.ndarray, guess: np.ndarray) -> dict[str, float]:
    """Return micro- and macro-F1 of (n, L) bool arrays over all L labels; a label that neither side has counts as 0."""
    hits, total = (truth & guess).sum(0).astype(float), (truth.sum(0) + guess.sum(0)).astype(float)
    per_label = np.divide(2 * hits, total, out=np.zeros_like(hits), where=total > 0)
    return {"micro_f1": float(2 * hits.sum() / max(total.sum(), 1.0)), "macro_f1": float(per_label.mean())}


def ranking_scores(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Return the mean over labels of AUROC, AUPRC (average precision) and apop = log2(AUPRC / share of positives).

    (n, L) bool truth and scores; labels that no row or every row has are left out. Raises :class:`DataError` where that
    leaves none.
    """
    judged = np.flatnonzero(truth.any(0) & ~truth.all(0))
    if not len(judged):
        raise DataError("found no label that some and not all test nodes have, expected one to rank the nodes by")
    scores = np.nan_to_num(scores)  # a label without a classifier is -inf throughout: all tied
    roc, precision, prior = [], [], truth[:, judged].mean(0)
    for label in judged:
        roc.append(roc_auc_score(truth[:, label], scores[:, label]))
        precision.append(average_precision_score(truth[:, label], scores[:, label]))
    return {
        "auroc": float(np.mean(roc)),
        "auprc": float(np.mean(precision)),
        "apop": float(np.mean(np.log2(precision / prior))),
    }
