"""Negative pairs for training link predictors, drawn against the training graph alone.

A held-out edge may be drawn as a negative: avoiding it would tell the model which pairs are held out.
"""

from __future__ import annotations

import numpy as np

from graphkit.core.errors import DataError

ENUMERABLE = 4_000_000  # pairs up to which the non-edges of a dense graph are listed instead of guessed


def uniform_non_edges(codes: np.ndarray, num_nodes: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """Draw (count, 2) int64 pairs uniformly, with replacement, from the unordered pairs that are no edge.

    codes: (E,) ascending u * n + v, u < v, of the distinct undirected training edges. Raises :class:`DataError` where
    every pair is an edge.
    """
    total = num_nodes * (num_nodes - 1) // 2
    if count and total - len(codes) <= 0:
        raise DataError(
            f"training graph: all {total} pairs of its {num_nodes} nodes are edges, expected at least one non-edge"
        )
    if total <= ENUMERABLE and 2 * len(codes) > total:
        pairs = _all_non_edges(codes, num_nodes)
        return _either_order(pairs[generator.integers(len(pairs), size=count)], generator)
    pairs, missing = [np.empty((0, 2), dtype=np.int64)], count
    while missing > 0:
        drawn = generator.integers(num_nodes, size=(int(missing * 1.2) + 16, 2))
        low, high = drawn.min(axis=1), drawn.max(axis=1)
        drawn = drawn[(low != high) & ~contains(codes, low * num_nodes + high)][:missing]
        pairs.append(drawn)
        missing -= len(drawn)
    return np.concatenate(pairs)


def uniform_destinations(sources: np.ndarray, num_nodes: int, generator: np.random.Generator) -> np.ndarray:
    """Pair each of the (P,) sources with a destination drawn from all nodes, as ogbl-citation2's protocol trains."""
    return np.stack([sources, generator.integers(num_nodes, size=len(sources))], axis=1)


def contains(codes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(Q,) whether each wanted code is among the ascending ``codes``."""
    if len(codes) == 0:
        return np.zeros(len(wanted), dtype=bool)
    return codes[np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)] == wanted


def _all_non_edges(codes, num_nodes):
    low, high = np.triu_indices(num_nodes, 1)
    free = ~contains(codes, low * num_nodes + high)
    return np.stack([low[free], high[free]], axis=1)


def _either_order(pairs, generator):
    flip = generator.random(len(pairs)) < 0.5
    return np.where(flip[:, None], pairs[:, ::-1], pairs)
