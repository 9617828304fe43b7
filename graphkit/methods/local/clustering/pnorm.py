"""p-norm flow solved on the nodes that it reaches: Newton's method on the flows of the edges, potentials from each
step's linear system.

The flow over edge ij is w_ij |x_i - x_j|^(q - 1) with q - 1 = 1 / (p - 1): for p = 8 a seventh root, so that a flow of
.05 is a difference of 1e-9 between values of 1e7, and node by node nothing converges. The flows themselves have no such
range. With A the nodes above 0, B their incidence matrix and b = source - sink, they solve

    min over f of  sum over edges e of |f_e|^p / (p w_e^(p - 1))   subject to  B f = b on A,

whose multipliers are x. A grows by the nodes outside that get more than their sink takes; none leaves it, as raising a
value never lowers another's (Fountoulakis, Wang, Yang: p-Norm Flow Diffusion for Local Graph Clustering, ICML 2020,
whose dual this is).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import spsolve

from graphkit.datasets.local_graph import LocalGraph
from graphkit.graph.local_work import unsound
from graphkit.graph.threads import go_on

LARGEST = 20_000  # nodes above 0 whose systems are solved
GAP = 1e-8  # relative, between the flows' cost and the bound that x gives of it
STEPS = 400  # of Newton, for one set of nodes
# Of the largest flow: the curvature of smaller ones, which is next to nothing, is taken for that of this one.
FLAT = 0.03
FLATTER = 0.003  # at last: of this flow, whose seventh power is what floats can still tell apart
FINAL = 100  # steps at last, or until differences of x and slopes agree to rounding


class Solved(NamedTuple):
    """nodes: (k,) int64; x: (k,) float64; gap: relative, an upper bound of how far the cost is from the least."""

    nodes: np.ndarray
    x: np.ndarray
    gap: float


def solve(
    graph: LocalGraph, start: np.ndarray, source: dict[int, float], sinks, p: float, tolerance: float
) -> Solved | None:
    """x of p-norm flow from ``start`` (k,), nodes that are known to be above 0; None where it does not converge, or on
    too many nodes.

    source: mass by node. sinks: function from nodes to what they take. tolerance: mass that a node may have too much.
    """
    nodes = np.unique(start)
    while len(nodes) <= LARGEST:
        go_on()
        found = _on(graph, nodes, source, sinks, p)
        if found is None:
            return None
        x, gap, outside, received = found
        over = received + np.array([source.get(int(node), 0.0) for node in outside]) > sinks(outside) + tolerance
        if not over.any():
            return Solved(nodes, np.maximum(x, 0.0), gap)
        nodes = np.union1d(nodes, outside[over])
    return None


def _on(graph, nodes, source, sinks, p: float):
    """(x, gap, nodes outside that touch, mass that they receive) where the nodes given keep exactly what their sinks
    take.
    """
    tail, head, w, outside = _edges(graph, nodes)
    k, wanted = len(nodes), np.array([source.get(int(node), 0.0) for node in nodes]) - sinks(nodes)
    if not len(tail):
        return None
    inner = head < k
    places = np.arange(len(tail))
    rows, columns = np.concatenate([tail, head[inner]]), np.concatenate([places, places[inner]])
    signs = np.concatenate([np.ones(len(tail)), -np.ones(int(inner.sum()))])
    incidence = scipy.sparse.csr_array((signs, (rows, columns)), shape=(k, len(tail)))

    def system(easy, right):
        matrix = scipy.sparse.csc_array(incidence @ (scipy.sparse.diags_array(easy) @ incidence.T))
        return np.atleast_1d(spsolve(matrix, right))

    with np.errstate(all="ignore"):
        flow = w * (incidence.T @ system(w, wanted))
        x, scale = None, np.abs(flow).max()
        for power in sorted({min(step, p) for step in (2.0, 3.0, 4.0, 5.5, 8.0)}):
            for _ in range(STEPS):
                go_on()
                x, flow, gap, _ = _newton(incidence, system, flow, w / scale, wanted, power, scale, FLAT)
                if not np.isfinite(gap):
                    return None
                if gap <= (GAP if power == p else 1e-2):
                    break
        best = np.inf
        for _ in range(FINAL):
            go_on()
            y, after, gap_after, off = _newton(incidence, system, flow, w / scale, wanted, p, scale, FLATTER)
            if not off < best or not gap_after <= GAP:
                break
            x, flow, gap, best = y, after, gap_after, off
            if off <= 1e-15 * np.abs(x).max():
                break
    if not gap <= GAP:
        return None
    received = np.bincount(head[~inner] - k, flow[~inner], minlength=len(outside))
    return x, gap, outside, received


def _newton(incidence, system, flow, w, wanted, p: float, scale: float, flat: float):
    """One step: (x, flows, relative gap, how far differences of x are from the slopes of the flows).

    Flows count in units of ``scale``, so that their powers stay within floats.
    """
    f, price = flow / scale, w ** (1.0 - p)
    slope = price * np.abs(f) ** (p - 1.0) * np.sign(f)
    curve = (p - 1.0) * price * np.maximum(np.abs(f), flat) ** (p - 2.0)
    y = system(1.0 / curve, wanted / scale - incidence @ f + incidence @ (slope / curve))
    step = (incidence.T @ y - slope) / curve
    cost = _cost(f, price, p)
    size = 1.0
    while size > 1e-9 and not _cost(f + size * step, price, p) <= cost:
        size *= 0.5
    f = f + size * step
    # x >= 0 and any flow that keeps the balance bound each other; in units of the w above, x = y scale^(p - 1) /
    # scale^(p - 1) = y.
    cost, q = _cost(f, price, p), p / (p - 1.0)
    bound = float(y @ (wanted / scale)) - float((w * np.abs(incidence.T @ y) ** q).sum()) / q
    off = np.abs(incidence.T @ y - price * np.abs(f) ** (p - 1.0) * np.sign(f)).max()
    return y, f * scale, abs(cost - bound) / max(cost, 1e-300), off


def _cost(f, price, p: float) -> float:
    return float((price * np.abs(f) ** p).sum()) / p


def _edges(graph, nodes):
    """(tail, head, weight, nodes outside): every edge of the nodes once; heads from len(nodes) on are outside, which x
    leaves at 0.
    """
    first, counts = np.array(graph.indptr[nodes]), graph.indptr[nodes + 1] - graph.indptr[nodes]
    for bad in np.flatnonzero((first < 0) | (counts < 0) | (first + counts > len(graph.indices)))[:1]:
        raise unsound(graph.arrays, int(nodes[bad]))
    rows = np.repeat(np.arange(len(nodes)), counts)
    at = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) + first[rows]
    ends = graph.indices[at].astype(np.int64)
    w = np.array(graph.weights[at]) if len(graph.weights) else np.ones(len(at))
    for bad in rows[(ends < 0) | (ends >= graph.num_nodes) | ~((w > 0) & np.isfinite(w))][:1]:
        raise unsound(graph.arrays, int(nodes[bad]))
    if len(graph.labels):
        w[graph.labels[nodes[rows]] != graph.labels[ends]] *= graph.epsilon
    place = np.minimum(np.searchsorted(nodes, ends), len(nodes) - 1)
    inside = nodes[place] == ends
    keep = (w > 0) & (~inside | (place > rows))
    rows, ends, w, inside, place = rows[keep], ends[keep], w[keep], inside[keep], place[keep]
    outside, number = np.unique(ends[~inside], return_inverse=True)
    head = place.copy()
    head[~inside] = len(nodes) + number
    return rows, head, w, outside
