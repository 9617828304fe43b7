"""An undirected 0/1 adjacency whose edges can be switched off without sorting anything again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch

from graphkit.kernels.neighbour_sets import Rows
from graphkit.nn.reweight import Edges
from graphkit.nn.sparse import Structure, product


@dataclass(frozen=True)
class EdgeIndex:
    """The E distinct undirected edges of a graph in CSR form; directions and copies merged, self-loops dropped.

    codes: (E,) ascending u * n + v with u < v. copies: (E,) how often the graph had the edge, whatever the direction.
    indptr (n + 1,), indices (2E,): rows sorted. forward, backward: (E,) entries (u, v) and (v, u) of each edge.
    structure: the same on the device, with its transpose (the reverse entry) known.
    """

    num_nodes: int
    codes: np.ndarray
    copies: np.ndarray
    indptr: np.ndarray
    indices: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    structure: Structure
    device: str

    @classmethod
    def build(cls, src: np.ndarray, dst: np.ndarray, num_nodes: int, device: str = "cpu") -> EdgeIndex:
        """Index the edges between (m,) int64 ``src`` and ``dst``."""
        low, high = np.minimum(src, dst), np.maximum(src, dst)
        codes, copies = np.unique((low * num_nodes + high)[low != high], return_counts=True)
        count = len(codes)
        low, high = codes // max(num_nodes, 1), codes % max(num_nodes, 1)
        entries = np.concatenate([codes, high * num_nodes + low])
        order = np.argsort(entries, kind="stable")
        place = np.empty(2 * count, dtype=np.int64)
        place[order] = np.arange(2 * count)
        forward, backward = place[:count], place[count:]
        rows = np.concatenate([low, high])
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=num_nodes))]).astype(np.int64)
        indices = np.concatenate([high, low])[order].astype(np.int32)
        reverse = np.empty(2 * count, dtype=np.int64)
        reverse[forward], reverse[backward] = backward, forward
        structure = Structure.from_numpy(indptr, indices, (num_nodes, num_nodes), device)
        structure.set_transposed(structure.crow, structure.col, torch.from_numpy(reverse).to(device))
        return cls(num_nodes, codes, copies, indptr, indices, forward, backward, structure, device)

    @classmethod
    def from_graph(cls, graph, device: str = "cpu", extra: np.ndarray | None = None) -> EdgeIndex:
        """Index a DGLGraph's edges, and the (P, 2) ``extra`` ones where given."""
        src, dst = (ids.cpu().numpy().astype(np.int64) for ids in graph.edges())
        if extra is not None:
            src, dst = np.concatenate([src, extra[:, 0]]), np.concatenate([dst, extra[:, 1]])
        return cls.build(src, dst, graph.num_nodes(), device)

    def edge_numbers(self, pairs: np.ndarray) -> np.ndarray:
        """(P,) number of the edge between each pair, in either direction; -1 where there is none."""
        if len(self.codes) == 0:
            return np.full(len(pairs), -1, dtype=np.int64)
        code = np.minimum(pairs[:, 0], pairs[:, 1]) * self.num_nodes + np.maximum(pairs[:, 0], pairs[:, 1])
        at = np.minimum(np.searchsorted(self.codes, code), len(self.codes) - 1)
        return np.where(self.codes[at] == code, at, -1)

    def adjacency(self) -> Adjacency:
        """The adjacency with every edge on."""
        return Adjacency(self, np.ones(len(self.indices), dtype=np.uint8))


class Adjacency:
    """An :class:`EdgeIndex` with a choice of entries.

    keep: (2E,) uint8. Entries (i, j) and (j, i) may differ after dropout; row i then holds what reaches node i.
    """

    def __init__(self, index: EdgeIndex, keep: np.ndarray):
        self.index, self.keep = index, keep

    def without(self, edges: np.ndarray) -> Adjacency:
        """Switch off both directions of the edges with these numbers; -1 is ignored."""
        edges, keep = edges[edges >= 0], self.keep.copy()
        keep[self.index.forward[edges]] = 0
        keep[self.index.backward[edges]] = 0
        return Adjacency(self.index, keep)

    def dropped(self, rate: float) -> Adjacency:
        """Switch off each entry with probability ``rate``, drawn from torch's generator."""
        if rate == 0:
            return self
        drawn = (torch.rand(len(self.keep)) >= rate).numpy()
        return Adjacency(self.index, self.keep * drawn)

    def rows(self) -> Rows:
        """The neighbour lists, for the set kernels."""
        return Rows(self.index.indptr, self.index.indices, self.keep)

    def two_hop_rows(self) -> Rows:
        """The pattern of A A as neighbour lists; memory is the number of pairs within two steps."""
        square = self.to_scipy().astype(np.float32)
        square = (square @ square).tocsr()
        square.sort_indices()
        return Rows(
            square.indptr.astype(np.int64), square.indices.astype(np.int32), np.ones(square.nnz, dtype=np.uint8)
        )

    def to_scipy(self) -> scipy.sparse.csr_matrix:
        """The entries that are on, as a 0/1 SciPy matrix."""
        shape = (self.index.num_nodes, self.index.num_nodes)
        parts = (self.keep.astype(np.float64), self.index.indices, self.index.indptr)
        matrix = scipy.sparse.csr_matrix(
            parts, shape=shape, copy=True
        )  # dropping zeros moves the columns within their array
        matrix.eliminate_zeros()
        return matrix

    def values(self, dropout: float = 0.0) -> torch.Tensor:
        """(2E,) float32 entries for message passing: 0 or 1, or 0 and 1 / (1 - dropout) with dropout."""
        values = torch.from_numpy(self.keep).to(self.index.device).float()
        return torch.nn.functional.dropout(values, dropout, training=dropout > 0)

    def propagate(self, x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """A x for (n, d) features."""
        return product(self.index.structure, values, x)

    def propagate_normalised(
        self, x: torch.Tensor, values: torch.Tensor, factors: torch.Tensor | None = None
    ) -> torch.Tensor:
        """D^-1/2 (A + I) D^-1/2 x with D = 1 + row sums of A.

        factors: (2E + n,) of the entries of A and of the diagonal, which do not count in D.
        """
        degree = self.propagate(torch.ones(self.index.num_nodes, 1, device=x.device), values)
        scale = torch.rsqrt(1 + degree)
        x = x * scale
        if factors is None:
            return (self.propagate(x, values) + x) * scale
        entries = len(values)
        return (self.propagate(x, values * factors[:entries]) + factors[entries:, None] * x) * scale

    def messages(self, loops: bool) -> tuple[Edges, torch.Tensor]:
        """The entries that are on, row by row, as messages, then with ``loops`` one of each node to itself; and their
        places.

        Places are those in :meth:`values`, with the diagonal behind.
        """
        index, keep = self.index, np.flatnonzero(self.keep)
        rows = np.repeat(np.arange(index.num_nodes), np.diff(index.indptr))
        own = np.arange(index.num_nodes if loops else 0)
        receiver, sender = (
            np.concatenate([rows[keep], own]),
            np.concatenate([index.indices[keep].astype(np.int64), own]),
        )
        parts = (
            torch.from_numpy(part).to(index.device)
            for part in (receiver, sender, np.concatenate([keep, len(rows) + own]))
        )
        receiver, sender, places = parts
        return Edges(receiver, sender, index.num_nodes, index.num_nodes), places
