"""Where the nodes of a batch stand in padded blocks, and which blocks of nodes a sparse pattern joins."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch

BLOCK = 3  # nodes in a block of the sparse pattern
RANDOM = 3  # random blocks that a block looks at
DRAWS = 12  # draws for them; those that are in the pattern already do not count
SLACK, SPARE = 0.8, 2  # graphs of L nodes down to 0.8 L - 2 are padded to L


@dataclass(frozen=True)
class Bucket:
    """Graphs of similar size, padded to the largest of them.

    rows: (B, L) int64 row of each place, any row where there is none. mask: (B, L) True where a node stands, None where
    all do.
    """

    rows: torch.Tensor
    mask: torch.Tensor | None

    def padded(self, x: torch.Tensor) -> torch.Tensor:
        """(B, L, ...) of (n, ...)."""
        return x[self.rows]

    def rows_of(self, x: torch.Tensor) -> torch.Tensor:
        """(nodes, ...) of (B, L, ...), without the padding."""
        return x.flatten(0, 1) if self.mask is None else x[self.mask]

    def ends(self, block: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 2 block) rows of the first and of the last block of each graph, and which of them are nodes."""
        length = self.rows.shape[1]
        sizes = (
            self.mask.sum(1)
            if self.mask is not None
            else torch.full((len(self.rows),), length, device=self.rows.device)
        )
        place = torch.arange(block, device=self.rows.device)
        last = (sizes - 1) // block * block
        places = torch.cat([place.expand(len(self.rows), -1), last[:, None] + place], dim=1)
        return self.rows.gather(1, places.clamp(max=length - 1)), places < sizes[:, None]


@dataclass(frozen=True)
class Layout:
    """The buckets of a batch and the way back: row i of the batch is row order[i] of the buckets laid end to end.

    Buckets instead of one block padded to the largest graph: attention costs the square of the padded size.
    """

    buckets: list[Bucket]
    order: torch.Tensor
    sizes: np.ndarray
    starts: np.ndarray

    @property
    def largest(self) -> int:
        """Nodes of the largest graph."""
        return int(self.sizes.max()) if len(self.sizes) else 0

    @property
    def bounds(self) -> np.ndarray:
        """(graphs + 1,) int64 first node of each graph, and the number of nodes."""
        return np.append(self.starts, self.sizes.sum())

    @classmethod
    def of(cls, graph) -> Layout:
        """Lay out the graphs of a batched DGLGraph."""
        return cls.of_sizes(graph.batch_num_nodes().cpu().numpy(), graph.device)

    @classmethod
    def of_sizes(cls, sizes: np.ndarray, device="cpu") -> Layout:
        """Lay out graphs of these sizes, whose nodes stand graph by graph."""
        sizes = np.asarray(sizes, dtype=np.int64)
        starts = np.cumsum(sizes) - sizes
        numbers = np.argsort(-sizes, kind="stable")
        numbers = numbers[sizes[numbers] > 0]
        buckets, rows, at = [], [], 0
        while at < len(numbers):
            length = int(sizes[numbers[at]])
            least = SLACK * length - SPARE
            stop = at + int(np.searchsorted(-sizes[numbers[at:]], -least, side="right"))
            chosen = numbers[at:stop]
            place = np.arange(length)
            mask = place < sizes[chosen][:, None]
            index = starts[chosen][:, None] + np.where(mask, place, 0)
            buckets.append(Bucket(_tensor(index, device), None if mask.all() else _tensor(mask, device)))
            rows.append(index[mask])
            at = stop
        total = int(sizes.sum())
        order = np.empty(total, dtype=np.int64)
        if total:
            order[np.concatenate(rows)] = np.arange(total)
        return cls(buckets, _tensor(order, device), sizes, starts)


@dataclass(frozen=True)
class BlockPattern:
    """The sparse pattern of a batch.

    queries: (T, 3) rows of each block's nodes, real: which of them are nodes. keys: (T, W) rows that the block looks
    at, seen: which of them count.
    """

    queries: torch.Tensor
    real: torch.Tensor
    keys: torch.Tensor
    seen: torch.Tensor

    @classmethod
    def of(cls, layout: Layout, seed: int) -> BlockPattern:
        """Make the pattern; a graph's own depends on its size and the seed alone, not on the batch it is in."""
        inside = np.arange(BLOCK)
        queries, real, keys, seen = [], [], [], []
        width = max((block_pattern(-(-int(n) // BLOCK), seed).shape[1] for n in layout.sizes if n), default=1)
        for size, start in zip(layout.sizes.tolist(), layout.starts.tolist()):
            if size == 0:
                continue
            table = block_pattern(-(-size // BLOCK), seed)
            table = np.pad(table, ((0, 0), (0, width - table.shape[1])), constant_values=-1)
            own = BLOCK * np.arange(len(table))[:, None] + inside
            other = (BLOCK * table[:, :, None] + inside).reshape(len(table), -1)
            there = np.repeat(table >= 0, BLOCK, axis=1) & (other < size)
            queries.append(start + np.minimum(own, size - 1))
            real.append(own < size)
            keys.append(start + np.where(there, other, 0))
            seen.append(there)
        empty = np.zeros((0, BLOCK), dtype=np.int64)
        parts = [
            np.concatenate(part) if part else empty.astype(kind)
            for part, kind in ((queries, np.int64), (real, bool), (keys, np.int64), (seen, bool))
        ]
        return cls(*(_tensor(part, layout.order.device) for part in parts))


@functools.lru_cache(maxsize=4096)
def block_pattern(blocks: int, seed: int) -> np.ndarray:
    """(blocks, <= 8) numbers of the blocks that each block looks at: its neighbours, first, last, three random ones; -1
    none.
    """
    if blocks <= 2 + BLOCK + RANDOM:
        return np.tile(np.arange(blocks), (blocks, 1))
    own = np.arange(blocks)[:, None]
    fixed = np.concatenate([own - 1, own, own + 1, np.zeros_like(own), np.full_like(own, blocks - 1)], axis=1)
    drawn = np.random.default_rng([seed, blocks]).integers(blocks, size=(blocks, DRAWS))
    table = np.concatenate([fixed, drawn], axis=1)
    fresh = (table >= 0) & (table < blocks)
    for column in range(1, table.shape[1]):
        fresh[:, column] &= (table[:, :column] != table[:, column : column + 1]).all(axis=1)
    chance = np.arange(table.shape[1]) >= fixed.shape[1]
    fresh &= ~chance | (np.cumsum(fresh & chance, axis=1) <= RANDOM)
    # The chosen ones come to the front of each row, in their order.
    order = np.argsort(~fresh, axis=1, kind="stable")[:, : 2 + BLOCK + RANDOM]
    return np.where(np.take_along_axis(fresh, order, axis=1), np.take_along_axis(table, order, axis=1), -1)


def _tensor(values: np.ndarray, device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device)
