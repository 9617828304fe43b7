"""Scoring the pairs of a link split in chunks, whatever form its negatives have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from graphkit.datasets.base import EdgeSet

if TYPE_CHECKING:
    Score = Callable[[torch.Tensor], torch.Tensor]


def in_chunks(score: Score, pairs: torch.Tensor | np.ndarray, size: int) -> torch.Tensor:
    """Return (P,) scores, on the CPU, of (P, 2) pairs, ``size`` at a time."""
    pairs = torch.as_tensor(np.asarray(pairs, dtype=np.int64))
    if len(pairs) == 0:
        return torch.zeros(0)
    return torch.cat([score(part).cpu() for part in pairs.split(size)])


def score_split(edges: EdgeSet, score: Score, size: int) -> dict[str, torch.Tensor]:
    """Score a split's pairs; ``y_pred_neg`` is (Q,) for shared negatives and (P, N) for negatives per positive.

    With negatives on both sides (knowledge graphs) there are 2P rows, first the other destinations, then the other
    sources.
    """
    positive = in_chunks(score, edges.pos, size)
    if edges.neg is not None:
        return {"y_pred_pos": positive, "y_pred_neg": in_chunks(score, edges.neg, size)}
    pieces = []
    for given, source_side in ((edges.neg_dst, True), (edges.neg_src, False)):
        if given is None:
            continue
        known = edges.pos[:, 0 if source_side else 1]
        per_chunk = max(1, size // max(1, given.shape[1]))
        rows = []
        # Millions of positives times hundreds of negatives: only a chunk's pairs exist at a time.
        for at in range(0, len(given), per_chunk):
            others = given[at : at + per_chunk]
            repeated = np.repeat(known[at : at + per_chunk], others.shape[1])
            ends = (repeated, others.ravel()) if source_side else (others.ravel(), repeated)
            rows.append(in_chunks(score, np.stack(ends, axis=1), size).reshape(others.shape))
        pieces.append(torch.cat(rows) if rows else torch.zeros(given.shape))
    # Of a knowledge graph head and tail queries are ranked apart: each positive stands in both.
    return {"y_pred_pos": positive.repeat(len(pieces)), "y_pred_neg": torch.cat(pieces)}
