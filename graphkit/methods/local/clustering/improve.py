"""A better cut near a given set, by minimum cuts: MQI inside of it, FlowImprove and SimpleLocal around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from graphkit.core.errors import DataError, MissingExtraError
from graphkit.datasets.local_graph import LocalGraph

METHODS = ("mqi", "flow-improve", "simple-local")
GAIN = 1e-9  # relative; a smaller one is rounding


@dataclass(frozen=True)
class Improved:
    """nodes: (k,) int64 ascending, the improved set; score: what was minimised; cuts: minimum cuts that were computed;
    touched: nodes whose edges were read."""

    nodes: np.ndarray
    score: float
    cuts: int
    touched: int


def improve(graph: LocalGraph, members: np.ndarray, method: str = "mqi", delta: float = 0.1) -> Improved:
    """Return the best set near (k,) ``members`` R, which hold at most half of the volume.

    ``mqi``: the subset of R with the least conductance cut(S) / vol(S). ``flow-improve``: the S with the least
    cut(S) / (vol(S & R) - f vol(S - R)), f = vol(R) / vol(V - R), V the components that R meets. ``simple-local``: the
    same with f + delta and V the graph, which keeps S, and what has to be read, near R. Each solves a few minimum cuts,
    for the value reached so far (Dinkelbach), on the edges of R and of the nodes that a cut has added to it.
    References: Lang, Rao 2004; Andersen, Lang 2008; Veldt, Gleich, Mahoney 2016.

    Raises :class:`DataError` for a set without edges to speak of, or of more than half of the volume.
    """
    inside = np.zeros(graph.num_nodes, dtype=bool)
    inside[members] = True
    cut, volume = graph.cut_and_volume(np.flatnonzero(inside))
    if volume <= 0:
        raise DataError(f"the set of {int(inside.sum())} nodes has no edges, expected some")
    if volume > graph.volume / 2:
        share = volume / graph.volume
        raise DataError(f"the set holds {share:.1%} of the volume, expected at most half; improve its complement")
    price = np.inf if method == "mqi" else volume / (_around(graph, inside, method) - volume)
    price += delta if method == "simple-local" else 0.0
    best, score, cuts, expanded = np.flatnonzero(inside), cut / volume, 0, inside.copy()
    while score > 0:
        found, solved = _minimum(graph, inside, expanded, score, price)
        cuts += solved
        value = _score(graph, found, inside, price)
        if not value < score * (1 - GAIN):
            break
        best, score = found, value
    return Improved(best, score, cuts, int(expanded.sum()))


def _around(graph, inside, method: str) -> float:
    """Volume of V: of the components that R meets for flow-improve, as a component without a cut would win over all; of
    the graph else.
    """
    if method != "flow-improve":
        return graph.volume

    shape = (graph.num_nodes, graph.num_nodes)
    matrix = scipy.sparse.csr_array((np.ones(len(graph.indices), np.int8), graph.indices, graph.indptr), shape=shape)
    part = connected_components(matrix, directed=False)[1]
    volume = float(graph.degrees[np.isin(part, part[inside])].sum())
    reference = float(graph.degrees[inside].sum())
    if reference >= volume * (1 - GAIN):
        raise DataError("the set is a component of its own, expected one with a cut to improve")
    return volume


def _score(graph, nodes, inside, price: float) -> float:
    """cut(S) / (vol(S & R) - price vol(S - R)); infinite where the denominator is not positive."""
    if not len(nodes):
        return np.inf
    within = inside[nodes]
    outside = graph.degrees[nodes[~within]].sum()
    gain = graph.degrees[nodes[within]].sum() - (price * outside if outside else 0.0)
    return graph.cut_and_volume(nodes)[0] / gain if gain > GAIN * graph.degrees[inside].sum() else np.inf


def _minimum(graph, inside, expanded, score: float, price: float) -> tuple[np.ndarray, int]:
    """The S that minimises cut(S) - score (vol(S & R) - price vol(S - R)), and how many cuts that took.

    Only the edges of ``expanded`` nodes are in the network; a node that the source's side takes in is expanded, in
    place, and the cut solved again. When none is left the solution is that of the whole graph, as the edges that are
    missing join nodes of the sink.
    """
    solved = 0
    while True:
        side = _solve(graph, inside, expanded, score, price)
        solved += 1
        fresh = side[~expanded[side]]
        if not len(fresh) or np.isinf(price):
            return side, solved
        expanded[fresh] = True


def _solve(graph, inside, expanded, score: float, price: float) -> np.ndarray:
    """Nodes on the source's side of the minimum cut, ascending."""
    core = np.flatnonzero(expanded)
    rows, targets, weights = _edges(graph, core)
    if np.isinf(price):  # edges that leave R end in the sink
        leaves = ~inside[targets]
        boundary = np.bincount(rows[leaves], weights[leaves], minlength=len(core))
        nodes, keep = core, ~leaves & (core[rows] < targets)
    else:
        nodes = np.union1d(core, targets)
        boundary = None
        keep = (core[rows] < targets) | ~expanded[targets]
    place = np.searchsorted(nodes, targets[keep])
    start = np.searchsorted(nodes, core)[rows[keep]]
    source, sink = len(nodes), len(nodes) + 1
    own, others = np.flatnonzero(inside[nodes]), np.flatnonzero(~inside[nodes])
    ends = [np.stack([start, place], 1), np.stack([np.full(len(own), source), own], 1)]
    capacities = [weights[keep], score * graph.degrees[nodes[own]]]
    if boundary is not None:
        ends.append(np.stack([np.arange(len(nodes)), np.full(len(nodes), sink)], 1))
        capacities.append(boundary)
    else:
        ends.append(np.stack([others, np.full(len(others), sink)], 1))
        capacities.append(score * price * graph.degrees[nodes[others]])
    return nodes[_cut(np.concatenate(ends), np.concatenate(capacities), source, sink)]


def _edges(graph, nodes):
    """(row, target, weight) of every stored edge of the nodes, row the position in ``nodes``."""
    counts = np.diff(graph.indptr)[nodes]
    rows = np.repeat(np.arange(len(nodes)), counts)
    at = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) + graph.indptr[nodes][rows]
    weights = graph.weights[at] if len(graph.weights) else np.ones(len(at))
    return rows, graph.indices[at].astype(np.int64), weights


def _cut(ends, capacities, source: int, sink: int) -> np.ndarray:
    """Nodes below ``source`` on its side of a minimum cut of an undirected network; igraph's push-relabel with double
    capacities.

    An edge at the source or the sink need not be directed: it is cut when its other end is on the other side.
    """
    try:
        import igraph
    except ImportError:
        raise MissingExtraError("igraph", "flow", "a minimum cut") from None
    network = igraph.Graph(n=sink + 1, edges=ends, directed=False)
    side = np.array(network.mincut(source, sink, capacity=capacities.tolist()).partition[0], dtype=np.int64)
    return np.sort(side[side < source])
