"""What the strongly local kernels share: edges re-weighted as they are read, and memory that is cleared where it was
touched.
"""

from __future__ import annotations

import mmap
import threading

import numba
import numpy as np

from graphkit.core.errors import DataError
from graphkit.graph.threads import go_on, ranges

SEEN, QUEUED, PUSHED, OPENED = 1, 2, 4, 8
DONE, PAUSED, UNSOUND = 0, 1, 2  # how a piece of a kernel ends; with UNSOUND the node stands in ``at[0]``
ROWS = 1 << 14  # that are swept at a time
_own = threading.local()


def workspace(num_nodes: int) -> tuple[np.ndarray, ...]:
    """This thread's arrays for a graph of so many nodes, all zero; the kernels leave results in them and :func:`clear`
    empties them.

    (value, mass, weighted degree, state, queue, touched, next mass, next queue). The system hands zero pages out as
    they are written to, so that a query pays for the nodes that it reaches, not for n.
    """
    if getattr(_own, "size", None) != num_nodes:
        floats = [_zeros(num_nodes, np.float64) for _ in range(4)]
        lists = [_zeros(num_nodes, np.int32) for _ in range(3)]
        state = _zeros(num_nodes, np.uint8)
        _own.arrays = (floats[0], floats[1], floats[2], state, lists[0], lists[1], floats[3], lists[2])
        _own.size = num_nodes
    return _own.arrays


def _zeros(count: int, dtype) -> np.ndarray:
    """Zeros in small pages: in those of 2 MiB that NumPy asks for, a few thousand nodes here and there would take the
    memory of all.
    """
    size = max(count, 1) * np.dtype(dtype).itemsize
    if size < 1 << 21:
        return np.zeros(max(count, 1), dtype)
    memory = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype)


def until_done(piece, graph, at) -> None:
    """Call ``piece()`` until it says :data:`DONE`, other threads' ends heard in between; raises :class:`DataError` for
    an unsound row.
    """
    while (ended := piece()) != DONE:
        if ended == UNSOUND:
            raise unsound(graph, int(at[0]))
        go_on()


def unsound(graph, node: int) -> DataError:
    """Why the row of a node cannot be read."""
    indptr, indices = graph[:2]
    start, stop = int(indptr[node]), int(indptr[node + 1])
    what = f"row {node} of the graph is from {start} to {stop} of {len(indices)} entries"
    if 0 <= start <= stop <= len(indices):
        what += (
            f", has degree {float(graph[3][node]):g}, a neighbour outside of the nodes or a weight that is not above 0"
        )
    return DataError(f"{what}; expected a sound row (is the stored graph damaged?)")


@numba.njit(cache=True, nogil=True)
def opened(graph, state, u):
    """Whether the row of u can be read: within the arrays, neighbours that exist, weights above 0, and the degree that
    is their sum.

    A graph that is mapped from a file is not looked through as a whole; each row is, when it is read first.
    """
    if state[u] & OPENED:
        return True
    indptr, indices, weights, degrees, _, _ = graph
    begin, end, n = indptr[u], indptr[u + 1], len(indptr) - 1
    if begin < 0 or end < begin or end > len(indices):
        return False
    total = 0.0
    for e in range(begin, end):
        if indices[e] < 0 or indices[e] >= n:
            return False
        w = weights[e] if len(weights) > 0 else 1.0
        if not 0.0 < w < np.inf:
            return False
        total += w
    if not abs(degrees[u] - total) <= 1e-9 * total:
        return False
    state[u] |= OPENED
    return True


@numba.njit(cache=True, nogil=True)
def clear(work, count):
    """Zero the entries of the first ``count`` touched nodes."""
    value, mass, wdeg, state, _, touched, ahead, _ = work
    for k in range(count):
        v = touched[k]
        value[v] = mass[v] = wdeg[v] = ahead[v] = 0.0
        state[v] = 0


@numba.njit(cache=True, nogil=True, inline="always")
def edge_weight(graph, u, e):
    """Weight of the e-th stored edge, which leaves u: its own, times epsilon where the labels of its ends differ."""
    _, indices, weights, _, labels, epsilon = graph
    w = weights[e] if len(weights) > 0 else 1.0
    if len(labels) > 0 and labels[u] != labels[indices[e]]:
        w *= epsilon
    return w


@numba.njit(cache=True, nogil=True)
def weighted_degree(graph, u, wdeg):
    """Sum of the weights of u's edges; read from ``wdeg`` where it has been computed, and kept there."""
    indptr, _, _, degrees, labels, _ = graph
    if len(labels) == 0:
        return degrees[u]
    if wdeg[u] == 0.0:
        total = 0.0
        for e in range(indptr[u], indptr[u + 1]):
            total += edge_weight(graph, u, e)
        wdeg[u] = total
    return wdeg[u]


def labelled_degrees(graph, work, nodes) -> np.ndarray:
    """(k,) weighted degrees of nodes; raises :class:`DataError` for a row that is unsound."""
    out = np.empty(len(nodes))
    for begin in range(0, len(nodes), ROWS):
        go_on()
        bad = _degrees(graph, work, nodes, begin, min(begin + ROWS, len(nodes)), out)
        if bad >= 0:
            raise unsound(graph, int(bad))
    return out


@numba.njit(cache=True, nogil=True)
def _degrees(graph, work, nodes, begin, end, out):
    for k in range(begin, end):
        if not opened(graph, work[3], nodes[k]):
            return nodes[k]
        out[k] = weighted_degree(graph, nodes[k], work[2])
    return -1


def total_volume(graph) -> float:
    """Sum of all weighted degrees; O(m)."""
    n = len(graph[0]) - 1
    parts, bounds = [], ranges(n, cost=1 + np.diff(graph[0]), threads=1).tolist()
    for begin, end in zip(bounds[:-1], bounds[1:]):
        go_on()
        parts.append(_volume(graph, begin, end))
        if parts[-1] < 0.0:
            raise unsound(graph, int(-parts[-1]) - 1)
    return float(np.cumsum(parts)[-1]) if parts else 0.0


@numba.njit(cache=True, nogil=True)
def _volume(graph, begin, end):
    indptr, indices, _, _, _, _ = graph
    n, total = len(indptr) - 1, 0.0
    for u in range(begin, end):
        if indptr[u] < 0 or indptr[u + 1] < indptr[u] or indptr[u + 1] > len(indices):
            return -float(u + 1)
        for e in range(indptr[u], indptr[u + 1]):
            if indices[e] < 0 or indices[e] >= n:
                return -float(u + 1)
            total += edge_weight(graph, u, e)
    return total


def sweep(graph, state, order, total) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut and volume of every prefix of ``order`` (k,), and its conductance cut / min(volume, total - volume), inf
    where undefined.

    O(volume of the nodes in ``order``); ``state`` is all zero before and after. Raises :class:`DataError` for a row
    that is unsound.
    """
    order = np.asarray(order, dtype=np.int64)
    cuts, volumes, sums = np.empty(len(order)), np.empty(len(order)), np.zeros(2)
    try:
        for begin in range(0, len(order), ROWS):
            go_on()
            bad = _sweep(graph, state, order, begin, min(begin + ROWS, len(order)), sums, cuts, volumes)
            if bad >= 0:
                raise unsound(graph, int(bad))
    finally:
        state[order] = 0
    return cuts, volumes, conductances(cuts, volumes, total)


def conductances(cuts, volumes, total: float) -> np.ndarray:
    """(k,) cut / min(volume, total - volume) of sets, inf where that is nothing."""
    smaller, found = np.minimum(volumes, total - volumes), np.full(len(cuts), np.inf)
    np.divide(cuts, smaller, out=found, where=smaller > 1e-9 * total if np.isfinite(total) else smaller > 0)
    return found


@numba.njit(cache=True, nogil=True)
def _sweep(graph, state, order, begin, end, sums, cuts, volumes):
    """Prefixes begin .. end; return a node whose row is unsound, or -1."""
    indptr, indices, _, _, _, _ = graph
    for k in range(begin, end):
        u = order[k]
        if not opened(graph, state, u):
            return u
        degree = inside = 0.0
        for e in range(indptr[u], indptr[u + 1]):
            w = edge_weight(graph, u, e)
            degree += w
            if state[indices[e]] & SEEN:
                inside += w
        state[u] |= SEEN
        sums[0] += degree - 2.0 * inside
        sums[1] += degree
        cuts[k], volumes[k] = max(sums[0], 0.0), sums[1]
    return -1
