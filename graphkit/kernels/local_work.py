"""What the strongly local kernels share: edges re-weighted as they are read, and memory that is cleared where it was touched."""

from __future__ import annotations

import threading

import numba
import numpy as np

SEEN, QUEUED, PUSHED = 1, 2, 4
_own = threading.local()


def workspace(num_nodes: int) -> tuple[np.ndarray, ...]:
    """This thread's arrays for a graph of so many nodes, all zero; the kernels leave results in them and :func:`clear` empties them.

    (value, mass, weighted degree, state, queue, touched, next mass, next queue). The system hands zero pages out as they are
    written to, so that a query pays for the nodes that it reaches, not for n.
    """
    if getattr(_own, "size", None) != num_nodes:
        floats = [np.zeros(num_nodes) for _ in range(4)]
        lists = [np.zeros(max(num_nodes, 1), np.int32) for _ in range(3)]
        state = np.zeros(num_nodes, np.uint8)
        _own.arrays = (floats[0], floats[1], floats[2], state, lists[0], lists[1], floats[3], lists[2])
        _own.size = num_nodes
    return _own.arrays


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


@numba.njit(cache=True, nogil=True)
def total_volume(graph):
    """Sum of all weighted degrees; O(m)."""
    indptr, _, _, _, _, _ = graph
    total = 0.0
    for u in range(len(indptr) - 1):
        for e in range(indptr[u], indptr[u + 1]):
            total += edge_weight(graph, u, e)
    return total


@numba.njit(cache=True, nogil=True)
def sweep(graph, state, order, total):
    """Cut and volume of every prefix of ``order`` (k,), and its conductance cut / min(volume, total - volume), inf where undefined.

    O(volume of the nodes in ``order``); ``state`` is all zero before and after.
    """
    indptr, indices, _, _, _, _ = graph
    cuts, volumes = np.empty(len(order)), np.empty(len(order))
    conductances = np.full(len(order), np.inf)
    cut = volume = 0.0
    for k in range(len(order)):
        u = order[k]
        degree = inside = 0.0
        for e in range(indptr[u], indptr[u + 1]):
            w = edge_weight(graph, u, e)
            degree += w
            if state[indices[e]] == 1:
                inside += w
        state[u] = 1
        cut += degree - 2.0 * inside
        volume += degree
        cuts[k], volumes[k] = max(cut, 0.0), volume
        smaller = min(volume, total - volume)
        if smaller > 1e-9 * total:
            conductances[k] = cuts[k] / smaller
    for k in range(len(order)):
        state[order[k]] = 0
    return cuts, volumes, conductances
