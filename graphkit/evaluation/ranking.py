"""Ranking metrics of link prediction, with OGB's semantics, on torch tensors.

>>> hits_at_k(torch.tensor([.9, .5, .5]), torch.tensor([.8, .5, .3, .1]), 2)
0.3333333333333333
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from graphkit.core.errors import GraphkitError
from graphkit.datasets.base import EdgeSet

HITS_AT = (1, 3, 10, 20, 50, 100)
# Comparisons of a positive with its own negatives that exist at a time.
CHUNK = 16_000_000


def hits_at_k(positive: torch.Tensor, negative: torch.Tensor, k: int) -> float:
    """Return the share of positives (P,) above the k-th largest of the shared negatives (Q,).

    Strictly above, so that a tie is a miss and constant scores give 0; 1.0 where there are fewer than k negatives.
    Negatives (P, N) of each positive: the share whose mid-rank among its own is at most k.
    """
    if negative.dim() == 2:
        return float((1 / reciprocal_ranks(positive, negative) <= k).double().mean())
    if negative.numel() < k:
        return 1.0
    threshold = torch.topk(negative, k).values[-1]
    return float((positive > threshold).double().mean())


def always_one(split, metrics: Iterable[str]) -> dict[str, list[str]]:
    """Return the ``hits@k`` among ``metrics`` that are 1 whatever the scores -> the parts, valid or test, where they
    are.

    So it is by OGB's rule if there are fewer than k negatives, shared by all positives or of each. split: the data
    set's, of links or of events; anything else has no such metric.
    """
    counts = {part: _count_negatives(split, part) for part in ("valid", "test")}
    found = {}
    for name in metrics:
        kind, _, k = name.partition("@")
        if kind == "hits" and k.isdigit():
            parts = [part for part, count in counts.items() if count is not None and count < int(k)]
            found.update({name: parts} if parts else {})
    return found


def _count_negatives(split, part: str) -> int | None:
    """The most negatives that any positive of a part is ranked among; None where that is not known."""
    edges = getattr(split, part, None)
    if isinstance(edges, EdgeSet):
        shared = [len(edges.neg)] if edges.neg is not None else []
        return max(
            [*shared, *(own.shape[1] for own in (edges.neg_dst, edges.neg_src) if own is not None)], default=None
        )
    events = getattr(split, f"{part}_neg", None)
    if events is None or events.ndim != 2 or not len(events):
        return None
    return int((events >= 0).sum(1).max())


def reciprocal_ranks(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """Return (P,) float64 reciprocal mid-ranks of positives (P,) among their own negatives (P, N).

    The rank is the mean of the optimistic and the pessimistic one: 1 + (#{neg > pos} + #{neg >= pos}) / 2.
    """
    rows = max(1, CHUNK // max(1, negative.shape[1]))
    ranks = []
    for own, others in zip(positive.reshape(-1, 1).split(rows), negative.split(rows)):
        ranks.append(1 + ((others > own).sum(1) + (others >= own).sum(1)).double() / 2)
    return 1 / torch.cat(ranks)


def mean_reciprocal_rank(positive: torch.Tensor, negative: torch.Tensor) -> float:
    """Return the mean reciprocal mid-rank; negatives are (P, N) of each positive or (Q,) shared by all."""
    if negative.dim() == 2:
        return float(reciprocal_ranks(positive, negative).mean())
    above, not_below = _counts(negative, positive)
    return float((1 / (1 + (above + not_below).double() / 2)).mean())


def roc_auc(positive: torch.Tensor, negative: torch.Tensor) -> float:
    """Return the chance that a positive (P,) is above a negative (Q,); a tie counts half."""
    above, not_below = _counts(negative, positive)
    return float(1 - (above + not_below).double().mean() / (2 * negative.numel()))


def average_precision(positive: torch.Tensor, negative: torch.Tensor) -> float:
    """Return the mean over positives (P,) of the precision at their own score; equal scores enter together."""
    _, wrong = _counts(negative, positive)
    _, right = _counts(positive, positive)
    return float((right.double() / (right + wrong).double()).mean())


def _counts(scores: torch.Tensor, at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (#{scores > t}, #{scores >= t}) for each t of ``at``, by binary search: no table of all comparisons."""
    ordered, at = torch.sort(scores).values, at.contiguous()
    above = ordered.numel() - torch.searchsorted(ordered, at, right=True)
    return above, ordered.numel() - torch.searchsorted(ordered, at, right=False)


def link_metrics(positive: torch.Tensor, negative: torch.Tensor) -> dict[str, float]:
    """Return hits@k, mrr, auc and ap of positives (P,) against negatives (Q,) shared by all or (P, N) of each.

    With negatives of each positive hits and mrr rank it among its own; auc and ap take the first of each, as many
    negatives as positives. Raises :class:`GraphkitError` where there is nothing to rank.
    """
    if positive.dim() != 1 or negative.dim() not in (1, 2) or (negative.dim() == 2 and len(negative) != len(positive)):
        shapes = f"y_pred_pos {tuple(positive.shape)} and y_pred_neg {tuple(negative.shape)}"
        raise GraphkitError(f"found {shapes}, expected (P,) and (Q,), or (P,) and (P, N)")
    if positive.numel() == 0 or negative.numel() == 0:
        raise GraphkitError(
            f"found {positive.numel()} positive and {negative.numel()} negative scores, expected some of both"
        )
    kind = torch.promote_types(positive.dtype, negative.dtype)
    positive, negative = positive.to(kind), negative.to(kind)
    if negative.dim() == 2:
        ranks = 1 / reciprocal_ranks(positive, negative)
        found = {f"hits@{k}": float((ranks <= k).double().mean()) for k in HITS_AT}
        found["mrr"] = float((1 / ranks).mean())
        negative = negative[:, 0]
    else:
        found = {f"hits@{k}": hits_at_k(positive, negative, k) for k in HITS_AT}
        found["mrr"] = mean_reciprocal_rank(positive, negative)
    return {**found, "auc": roc_auc(positive, negative), "ap": average_precision(positive, negative)}
