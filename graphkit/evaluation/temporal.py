"""Metrics of temporal links: every event against one random destination, pooled and batch by batch, or against several
given ones.

TGN and NAT print the mean over batches in time order of each batch's own average precision; the size of the batch
changes the figure, so its name holds it: ``ap@200`` is TGN's and ``ap@32`` NAT's. ``ap`` and ``auc`` are over all
scores at once.

>>> batch_means(torch.tensor([.9, .2, .8]), torch.tensor([.1, .5, .3]), 2)
(0.9166666666666666, 0.875)
"""

from __future__ import annotations

import torch

from graphkit.core.errors import GraphkitError
from graphkit.evaluation import ranking

BATCHES = (32, 200)


def event_metrics(positive: torch.Tensor, negative: torch.Tensor) -> dict[str, float]:
    """Return the metrics of (P,) scores of events in time order and of their negatives, (P,) or (P, K).

    One negative each: ap and auc, over all scores and as means over batches. K of each: hits@k and mrr, the event
    ranked among its own with mid-ranks for ties, and ap and auc with the first of each; the score of a missing negative
    is -inf.
    """
    if negative.dim() == 2 and positive.dim() == 1:
        return ranking.link_metrics(positive, negative)
    if positive.shape != negative.shape or positive.dim() != 1 or not len(positive):
        shapes = f"y_pred_pos {tuple(positive.shape)} and y_pred_neg {tuple(negative.shape)}"
        raise GraphkitError(f"found {shapes}, expected one score of each an event")
    found = {"ap": ranking.average_precision(positive, negative), "auc": ranking.roc_auc(positive, negative)}
    for size in BATCHES:
        found[f"ap@{size}"], found[f"auc@{size}"] = batch_means(positive, negative, size)
    return found


def batch_means(positive: torch.Tensor, negative: torch.Tensor, size: int) -> tuple[float, float]:
    """Return the means over batches of ``size`` events, the last of what is left, of (average precision, ROC AUC)."""
    whole = len(positive) // size * size
    parts = [(positive[:whole].view(-1, size), negative[:whole].view(-1, size))]
    parts.append((positive[None, whole:], negative[None, whole:]))
    values = torch.cat([_of_rows(*part) for part in parts if part[0].numel()], 1)
    return float(values[0].mean()), float(values[1].mean())


def _of_rows(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """(2, R) average precision and AUC of each row of (R, B) scores; equal scores enter together."""
    own = positive[:, :, None]
    right, wrong = (positive[:, None, :] >= own).sum(2), (negative[:, None, :] >= own).sum(2)
    above = (negative[:, None, :] > own).sum(2)
    precision = right.double() / (right + wrong)
    return torch.stack([precision.mean(1), 1 - (above + wrong).double().mean(1) / (2 * positive.shape[1])])
