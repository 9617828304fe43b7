"""Pairs (centre, neighbour) of a graph in batches: edges are sampled by number, pairs are never laid out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

LARGEST_PERMUTATION = (
    1 << 24
)  # edges of which an epoch is shuffled as a whole; of more, numbers are drawn with replacement


class PairBatch(NamedTuple):
    """B pairs. centre, neighbour: (B,) int64 nodes."""

    centre: torch.Tensor
    neighbour: torch.Tensor


class NeighbourPairs:
    """The ordered pairs (i, j) of the edges i -> j of a graph, loops aside, a share of them held out.

    Both directions of an undirected edge are held out together, by a hash of its ends. Memory: one number per edge
    where edges are held out or loops left out, and per epoch one per edge of a graph of up to 2^24 edges.

    graph: DGLGraph on the CPU. held_out: share of the undirected edges. seed: of the hash.
    """

    def __init__(self, graph, *, held_out: float = 0.0, seed: int = 0):
        src, dst = graph.edges(order="eid")
        self.src, self.dst = src.numpy(), dst.numpy()
        self.kept: np.ndarray | None = None
        self.held = np.empty(0, dtype=np.int64)
        loops = self.src == self.dst
        if held_out > 0:
            hidden = hashed_share(self.src, self.dst, seed) < held_out
            self.held = np.flatnonzero(hidden & ~loops)
            self.kept = np.flatnonzero(~hidden & ~loops)
        elif loops.any():
            self.kept = np.flatnonzero(~loops)

    def __len__(self) -> int:
        return len(self.src) if self.kept is None else len(self.kept)

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch."""
        return -(-len(self) // batch_size)

    def batches(self, batch_size: int, steps: int, generator: np.random.Generator) -> Iterator[PairBatch]:
        """Yield ``steps`` batches, epoch after epoch."""
        order, at = None, 0
        for _ in range(steps):
            if len(self) > LARGEST_PERMUTATION:
                yield self._pairs(generator.integers(len(self), size=batch_size))
                continue
            if order is None or at >= len(order):
                order, at = generator.permutation(len(self)), 0
            yield self._pairs(order[at : at + batch_size])
            at += batch_size

    def _pairs(self, numbers: np.ndarray) -> PairBatch:
        edges = numbers if self.kept is None else self.kept[numbers]
        return self._edges(edges)

    def _edges(self, edges: np.ndarray) -> PairBatch:
        return PairBatch(torch.from_numpy(self.src[edges]), torch.from_numpy(self.dst[edges]))

    def held_pairs(self, limit: int | None = None) -> PairBatch:
        """The held-out pairs, at most ``limit`` of them, spread over all."""
        edges = self.held
        if limit is not None and len(edges) > limit:
            edges = edges[np.linspace(0, len(edges) - 1, limit).astype(np.int64)]
        return self._edges(edges)


def hashed_share(src: np.ndarray, dst: np.ndarray, seed: int) -> np.ndarray:
    """(m,) numbers in [0, 1), uniform over pairs, the same for both directions (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        low, high = (op(src, dst).astype(np.uint64) for op in (np.minimum, np.maximum))
        x = _mixed(_mixed(low + np.uint64(0x9E3779B97F4A7C15) * np.uint64(seed + 1)) + high)
    return (x >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def _mixed(x: np.ndarray) -> np.ndarray:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
