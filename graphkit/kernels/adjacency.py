"""The adjacency matrix of a graph as plain CSR arrays, the form that the numba kernels read."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np


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
        return _row_sums(self.indptr, self.weights)

    def row_chunks(self, count: int = 64) -> np.ndarray:
        """Row numbers that cut the matrix into chunks of about equal work; independent of the number of threads."""
        work = self.indptr + np.arange(len(self.indptr))
        return np.unique(np.searchsorted(work, np.linspace(0, work[-1], count + 1))).astype(np.int64)


def adjacency(graph) -> Adjacency:
    """Return the adjacency of a homogeneous DGLGraph, with ``edata["weight"]`` where it has one.

    Rows are sorted, so that the result does not depend on the order of the edges. Takes O(n + m) time and memory.
    """
    source, target = (ends.cpu().numpy() for ends in graph.edges(order="eid"))
    weights = np.empty(0, np.float32)
    if "weight" in graph.edata:
        weights = graph.edata["weight"].cpu().numpy().astype(np.float32, copy=False).reshape(-1)
    return Adjacency(*_sorted_rows(source, target, weights, graph.num_nodes()))


@numba.njit(cache=True)
def _sorted_rows(source, target, weights, num_nodes):
    """Two stable counting sorts, by target and then by source."""
    m = len(source)
    order = np.empty(m, np.int64)
    start = np.zeros(num_nodes + 1, np.int64)
    for e in range(m):
        start[target[e] + 1] += 1
    for v in range(num_nodes):
        start[v + 1] += start[v]
    for e in range(m):
        order[start[target[e]]] = e
        start[target[e]] += 1
    indptr = np.zeros(num_nodes + 1, np.int64)
    for e in range(m):
        indptr[source[e] + 1] += 1
    for v in range(num_nodes):
        indptr[v + 1] += indptr[v]
    place = indptr[:-1].copy()
    indices = np.empty(m, np.int32)
    sorted_weights = np.empty(len(weights), np.float32)
    for i in range(m):
        e = order[i]
        at = place[source[e]]
        place[source[e]] += 1
        indices[at] = target[e]
        if len(weights) > 0:
            sorted_weights[at] = weights[e]
    return indptr, indices, sorted_weights


@numba.njit(cache=True)
def _row_sums(indptr, weights):
    sums = np.zeros(len(indptr) - 1, np.float64)
    for v in range(len(sums)):
        for e in range(indptr[v], indptr[v + 1]):
            sums[v] += weights[e]
    return sums
