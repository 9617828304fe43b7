"""The adjacency matrix of a graph as plain CSR arrays, the form that the numba kernels read."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from graphkit.graph.narrow import as_float32
from graphkit.graph.threads import in_order, in_ranges


@dataclass(frozen=True)
class Adjacency:
    """Rows of A in CSR form: row u lists the nodes that u points to, in increasing order, multi-edges repeated.

    indptr: (n + 1,) int64; indices: (m,) int32; weights: (m,) float32, empty where every edge weighs 1.
    """

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray

    @property
    def num_nodes(self) -> int:
        """Number of rows."""
        return len(self.indptr) - 1

    @property
    def nbytes(self) -> int:
        """Memory that the arrays hold."""
        return self.indptr.nbytes + self.indices.nbytes + self.weights.nbytes

    def degrees(self) -> np.ndarray:
        """(n,) number of edges that leave each node."""
        return np.diff(self.indptr)

    def row_sums(self) -> np.ndarray:
        """(n,) float64 sum of the weights of the edges that leave each node."""
        if not len(self.weights):
            return self.degrees().astype(np.float64)
        sums = np.zeros(self.num_nodes)
        in_ranges(
            lambda a, b: _row_sums(self.indptr, self.weights, sums, a, b), self.num_nodes, cost=1 + self.degrees()
        )
        return sums

    def row_chunks(self, count: int = 64) -> np.ndarray:
        """Row numbers that cut the matrix into chunks of about equal work; independent of the number of threads."""
        work = self.indptr + np.arange(len(self.indptr))
        count = max(count, int(work[-1]) >> 21)  # none is longer than a moment for a hundred columns
        return np.unique(np.searchsorted(work, np.linspace(0, work[-1], count + 1))).astype(np.int64)


def adjacency(graph) -> Adjacency:
    """Return the adjacency of a homogeneous DGLGraph, with ``edata["weight"]`` as float32 where it has one.

    What float32 cannot hold is noted (:mod:`graphkit.core.reading`).

    Rows are sorted, so that the result does not depend on the order of the edges. Takes O(n + m) time and memory.
    """
    source, target = (ends.cpu().numpy() for ends in graph.edges(order="eid"))
    weights = np.empty(0, np.float32)
    if "weight" in graph.edata:
        weights = as_float32(graph.edata["weight"].cpu().numpy().reshape(-1), "edge weights", "weight")
    return Adjacency(*_sorted_rows(source, target, weights, graph.num_nodes()))


def sorted_places(source, target, num_nodes) -> tuple[np.ndarray, np.ndarray]:
    """(n + 1,) int64 starts of rows, and (m,) int64 places of the edges by source, then target, then place: two stable
    counting sorts.
    """
    m, step = len(source), 4  # places far from each other
    order, start = np.empty(m, np.int64), np.zeros(num_nodes + 1, np.int64)
    in_order(lambda a, b: _count(target, start, a, b), m, step)
    np.cumsum(start, out=start)
    in_order(lambda a, b: _order(target, start, order, a, b), m, step)
    indptr, places = np.zeros(num_nodes + 1, np.int64), np.empty(m, np.int64)
    in_order(lambda a, b: _count(source, indptr, a, b), m, step)
    np.cumsum(indptr, out=indptr)
    row = indptr[:-1].copy()
    in_order(lambda a, b: _scatter(source, order, row, places, a, b), m, 2 * step)
    return indptr, places


def _sorted_rows(source, target, weights, num_nodes):
    indptr, places = sorted_places(source, target, num_nodes)
    return indptr, target[places].astype(np.int32), weights[places] if len(weights) else weights


@numba.njit(cache=True, nogil=True)
def _count(ends, start, begin, end):
    for e in range(begin, end):
        start[ends[e] + 1] += 1


@numba.njit(cache=True, nogil=True)
def _order(target, start, order, begin, end):
    for e in range(begin, end):
        order[start[target[e]]] = e
        start[target[e]] += 1


@numba.njit(cache=True, nogil=True)
def _scatter(source, order, row, places, begin, end):
    for i in range(begin, end):
        e = order[i]
        places[row[source[e]]] = e
        row[source[e]] += 1


@numba.njit(cache=True, nogil=True)
def _row_sums(indptr, weights, sums, begin, end):
    for v in range(begin, end):
        for e in range(indptr[v], indptr[v + 1]):
            sums[v] += weights[e]
