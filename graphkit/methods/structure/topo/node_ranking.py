"""How well a link predictor ranks the held-out neighbours of every single node among all nodes.

For a node i with targets T_i all other nodes are ranked by their score, those of equal scores by number; links that are
known before the part are left out. With h_k the targets among the first k: recall@k = h_k / |T_i|, precision@k = h_k /
k, f1@k their harmonic mean, hits@k = [h_k > 0], ndcg@k = sum over targets at ranks r <= k of 1 / log2(r + 1), over the
largest such sum that |T_i| targets allow; rr = 1 / the best rank of a target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import scipy.sparse
import torch

from graphkit.core.errors import DataError

CUTOFFS = (5, 10, 20, 50, 100)
PAIRS_AT_ONCE = 2_000_000


def rank_nodes(
    score: Callable[[torch.Tensor], torch.Tensor],
    targets: scipy.sparse.csr_array,
    known: scipy.sparse.csr_array | None,
    nodes: np.ndarray,
    cutoffs: Sequence[int] = CUTOFFS,
    report: Callable[[str, int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Return (len(nodes),) columns ``recall@k``, ``precision@k``, ``f1@k``, ``hits@k``, ``ndcg@k`` of all cut-offs and
    ``rr``.

    score: (P, 2) int64 pairs -> (P,) scores. targets, known: (n, n) 0/1; entries of ``known`` and the node itself are
    no candidates, unless ``known`` is None: then the node itself alone. nodes: those to rank for, each with a target at
    least. Scores a few million pairs at a time. Raises :class:`DataError` where a score is not a number.
    """
    columns = {
        f"{name}@{k}": np.zeros(len(nodes)) for k in cutoffs for name in ("recall", "precision", "f1", "hits", "ndcg")
    }
    columns["rr"] = np.zeros(len(nodes))
    for begin, block in _blocks(nodes, targets.shape[0]):
        scores = _scores(score, block, targets.shape[0])
        for place, node in enumerate(block.tolist()):
            row = scores[place]
            row[node] = -np.inf
            wanted = targets.indices[targets.indptr[node] : targets.indptr[node + 1]]
            if known is not None:
                row[np.setdiff1d(known.indices[known.indptr[node] : known.indptr[node + 1]], wanted)] = -np.inf
            for name, value in _figures(_ranks(row, wanted), cutoffs):
                columns[name][begin + place] = value
        if report is not None:
            report("nodes ranked", begin + len(block), len(nodes))
    return columns


def _blocks(nodes: np.ndarray, n: int) -> Iterator[tuple[int, np.ndarray]]:
    step = max(1, PAIRS_AT_ONCE // max(n, 1))
    return ((begin, nodes[begin : begin + step]) for begin in range(0, len(nodes), step))


def _scores(score, block: np.ndarray, n: int) -> np.ndarray:
    pairs = np.stack([np.repeat(block, n), np.tile(np.arange(n), len(block))], axis=1)
    found = score(torch.from_numpy(pairs)).double().cpu().numpy().reshape(len(block), n)
    if np.isnan(found).any():
        raise DataError("the run's model gives scores that are not numbers; nothing can be ranked by them")
    return found


def _ranks(row: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Ranks from 1 of some nodes among all, equal scores in the order of their numbers, ascending."""
    order = np.sort(row)
    ranks = []
    for node in wanted.tolist():
        above = len(row) - np.searchsorted(order, row[node], side="right")
        ranks.append(1 + above + np.count_nonzero(row[:node] == row[node]))
    return np.sort(np.array(ranks, dtype=np.int64))


def _figures(ranks: np.ndarray, cutoffs: Sequence[int]) -> Iterator[tuple[str, float]]:
    count = len(ranks)
    gains = 1 / np.log2(ranks + 1)
    ideal = np.cumsum(1 / np.log2(np.arange(1, max(count, 1) + 1) + 1))
    for k in cutoffs:
        hits = int(np.searchsorted(ranks, k, side="right"))
        yield f"recall@{k}", hits / count
        yield f"precision@{k}", hits / k
        yield f"f1@{k}", 2 * hits / (count + k)
        yield f"hits@{k}", float(hits > 0)
        yield f"ndcg@{k}", float(gains[:hits].sum() / ideal[min(count, k) - 1])
    yield "rr", 1.0 / float(ranks[0])
