"""The cluster around seeds by diffusion: flow, p-norm flow, personalised PageRank or heat, on edges that noisy labels
re-weight.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from graphkit.core.errors import UsageError
from graphkit.datasets.local_graph import LocalGraph, fixed
from graphkit.graph import local_work
from graphkit.methods.kinds import Clusterer, LocalCluster
from graphkit.methods.local.clustering import local_flow, local_walks, pnorm
from graphkit.methods.local.clustering.config import LocalClusteringConfig

# Of all sinks: a flow whose source they cannot take has no solution, and one that they just take spreads to all.
MOST = 0.9
# Of one over the volume: the residual of a walk that is not worth spreading. With 2 heat reaches about as far as the
# others, in a random graph of degree 8 without any cluster 14 times the volume (ppr 12, flow 12); with 1 it is 72
# times, with 0.1 all of the graph.
SHARE = {"ppr": 0.1, "heat": 2.0}


class LocalClustering(Clusterer):
    """The cluster around seeds, in time that grows with what the diffusion reaches and not with the graph.

    ``flow`` and ``pnorm`` solve, with source mass Delta on the seeds, sinks T_i and q = p / (p - 1),

        min over x >= 0 of  sum over edges ij of w_ij |x_i - x_j|^q / q  +  sum over i of x_i (T_i - Delta_i),

    whose support has at most the source's volume where T is the degree. ``ppr`` approximates p = alpha s + (1 - alpha)
    p (I + D^-1 A) / 2 with residuals below eps d, ``heat`` exp(-t (I - A D^-1)) s within eps d. ``weighted``: w_ij is
    epsilon where the noisy labels of i and j differ, edges between equal labels, 0 and 0 too, keep their weight. The
    cut is the sweep over falling x, p / d or heat / d with the least conductance in the weighted graph, of those with
    at most half of its volume. O(volume reached) a pass or push; O(n) memory, which is only touched where reached.

    References: Back de Luca, Fountoulakis, Yang 2024; Fountoulakis, Wang, Yang 2020 (p-norm); Andersen, Chung, Lang
    2006 (ppr); Kloster, Gleich 2014 (heat).

    >>> import networkx
    >>> from graphkit.datasets.local_graph import LocalGraph
    >>> matrix = networkx.to_scipy_sparse_array(networkx.karate_club_graph(), weight=None)
    >>> club = LocalGraph.of_matrix(matrix, weighted=False)
    >>> found = LocalClustering(volume=70, mass=1.5).cluster(club, np.array([33]))
    >>> len(found.nodes), round(found.conductance, 3)
    (17, 0.195)
    """

    Config = LocalClusteringConfig
    config: LocalClusteringConfig

    def __init__(self, config=None, **options):
        super().__init__(config, **options)
        if self.config.rounding == "support" and self.config.diffusion == "heat":
            raise UsageError("--rounding support: heat spreads to all that it reaches; expected sweep")

    @property
    def reads_labels(self) -> bool:
        """Whether edges between unlike labels are weakened."""
        return self.config.weighted

    def labelled(self, graph: LocalGraph, labels: np.ndarray) -> LocalGraph:
        """Return the graph with (n,) int8 labels, an edge between unlike ones ``epsilon`` of its weight."""
        return graph.labelled(labels, self.config.epsilon)

    def size_of(self, graph: LocalGraph, inside: np.ndarray) -> float:
        """The sum of a set's degrees, or its number of nodes if every sink is 1."""
        return float(inside.sum()) if self.config.sink == "unit" else super().size_of(graph, inside)

    def warm_up(self) -> None:
        """Load the compiled kernels, on a graph of two nodes."""
        rows = fixed(np.array([0, 1, 2])), fixed(np.array([1, 0], np.int32))
        graph = LocalGraph(*rows, fixed(np.empty(0)), fixed(np.ones(2)), 2.0, fixed(np.empty(0, np.int8)))
        if self.reads_labels:
            graph = self.labelled(graph, np.zeros(2, np.int8))
        self.cluster(graph, np.zeros(1, np.int64), volume=1.0)

    def advice(self, cluster: LocalCluster) -> str | None:
        """Of a flow that was stopped: how far it was from done, and what goes on."""
        if cluster.status != "stopped":
            return None
        return (
            f"stopped after {self.config.passes} passes, where a node keeps {cluster.residual:.3g} more than its sink"
            f" takes, --tol {self.config.tol:g}; --passes 0 goes on"
        )

    def cluster(self, graph: LocalGraph, seeds: np.ndarray, *, volume: float | None = None) -> LocalCluster:
        """Return the cluster around (S,) seeds, whose mass is split evenly; ``volume`` where the options give none.

        The mass of a flow is at most nine tenths of what all sinks take. Raises :class:`UsageError` without a volume.
        """
        volume = self.config.volume or volume
        if self.config.weighted != bool(len(graph.labels)):
            raise UsageError("--weighted: expected noisy labels, and only with it")
        if volume is None and (self.config.diffusion in ("flow", "pnorm") or self.config.eps is None):
            raise UsageError(
                "--volume: expected about the sum of the cluster's degrees, as there is no target to take it from"
            )
        if self.config.diffusion in ("ppr", "heat"):
            return self._walk(graph, seeds, volume)
        found = [self._flow(graph, seeds, volume, mass) for mass in self.config.mass]
        return min(found, key=lambda one: one.labelled_conductance)

    def _flow(self, graph: LocalGraph, seeds, volume: float, mass: float) -> LocalCluster:
        unit = self.config.sink == "unit"
        total = min(volume * mass, MOST * (graph.num_nodes if unit else graph.volume))
        power = 1.0 if self.config.diffusion == "flow" else 1.0 / (self.config.p - 1.0)
        work, source = local_work.workspace(graph.num_nodes), np.full(len(seeds), total / len(seeds))
        count, pushes, _, status = local_flow.flow_push(
            graph.arrays, work, seeds, source, unit, self.config.tol, self.config.passes, power
        )
        touched, x, mass_left = _take(work, count, local_work)
        word = ("converged", "stopped", "full")[status]
        sinks = (lambda nodes: np.ones(len(nodes))) if unit else (lambda nodes: np.asarray(graph.degrees[nodes]))
        residual = float((mass_left - sinks(touched)).max(initial=0.0))
        if power != 1.0 and word != "full" and residual > self.config.tol:
            # What is above 0 is so in the solution too; on these nodes and those that they flow over to it is found at
            # once.
            masses = {int(node): float(source[seeds == node].sum()) for node in np.unique(seeds)}
            found = pnorm.solve(graph, np.union1d(touched[x > 0], seeds), masses, sinks, self.config.p, self.config.tol)
            word = "stopped" if found is None else "converged"
            if found is not None:
                residual = self.config.tol
                beyond = np.setdiff1d(found.nodes, touched)
                touched = np.concatenate([touched, beyond])
                x = np.zeros(len(touched))
                order = np.argsort(touched)
                x[order[np.searchsorted(touched[order], found.nodes)]] = found.x
        # A component without room holds all of its nodes; its order by x would be that of an unfinished solution.
        x = np.ones(count) if word == "full" else x
        return replace(self._round(graph, touched, x, seeds, pushes, total / volume, word), residual=residual)

    def _walk(self, graph: LocalGraph, seeds, volume: float | None) -> LocalCluster:
        eps = self.config.eps or SHARE[self.config.diffusion] / volume
        work, source = local_work.workspace(graph.num_nodes), np.full(len(seeds), 1.0 / len(seeds))
        if self.config.diffusion == "ppr":
            count, pushes = local_walks.ppr_push(graph.arrays, work, seeds, source, self.config.alpha, eps)
        else:
            thresholds, rates = heat_series(self.config.temperature, eps)
            count, pushes = local_walks.heat_push(graph.arrays, work, seeds, source, thresholds, rates)
        try:
            touched = work[5][:count].astype(np.int64)
            reached = touched[work[0][touched] > 0]
            degree = local_work.labelled_degrees(graph.arrays, work, reached)
            values = np.zeros(count)
            values[work[0][touched] > 0] = work[0][reached] / np.where(degree > 0, degree, 1.0)
        finally:
            local_work.clear(work, count)
        if self.config.diffusion == "heat":
            values *= math.exp(-self.config.temperature)
        return self._round(graph, touched, values, seeds, pushes, None, "converged")

    def _round(self, graph, touched, values, seeds, pushes: int, mass, status: str) -> LocalCluster:
        """Order what holds any value, cut, and measure; seeds that hold none are a cluster of themselves."""
        held = values > 0
        nodes, values, reached = touched[held], values[held], len(touched)
        if not len(nodes):
            nodes = np.unique(seeds)
            values = np.zeros(len(nodes))
        order = np.lexsort((nodes, -values))
        nodes, values = nodes[order], values[order]
        state = local_work.workspace(graph.num_nodes)[3]
        cuts, volumes, _ = local_work.sweep(graph.arrays, state, nodes, np.inf)
        total, size = graph.volume_beyond(float(volumes[-1])), len(nodes)
        labelled = local_work.conductances(cuts, volumes, total)
        if self.config.rounding == "sweep" and status != "full" and np.isfinite(labelled).any():
            # A component that a few small ones stand beside has no cut at all, and is not what anybody looks for.
            local = volumes <= total / 2
            size = int(np.where(local, labelled, np.inf).argmin() if local.any() else labelled.argmin()) + 1
        cut, volume = graph.plain().cut_and_volume(nodes[:size])
        smaller = min(volume, graph.volume - volume)
        conductance = cut / smaller if smaller > 1e-9 * graph.volume else float("inf")
        return LocalCluster(
            nodes[:size],
            values[:size],
            conductance,
            cut,
            volume,
            float(labelled[size - 1]),
            reached,
            int(pushes),
            mass,
            status,
        )


def heat_series(temperature: float, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """(N,) thresholds and rates of :func:`graphkit.methods.local.clustering.local_walks.heat_push` for an error of eps
    d at every node.

    N is the least for which the series' tail is below eps / 2; the other half of the error is what the thresholds drop.
    """
    terms, term, total = 0, math.exp(-temperature), math.exp(-temperature)
    while 1.0 - total > eps / 2 and terms < 10_000:
        terms += 1
        term *= temperature / terms
        total += term
    terms = max(terms, 1)
    psi = np.ones(terms + 1)
    for j in range(terms - 1, -1, -1):
        psi[j] = psi[j + 1] * temperature / (j + 1) + 1.0
    return math.exp(temperature) * eps / (2 * terms * psi[:terms]), temperature / np.arange(1.0, terms + 1)


def _take(work, count: int, local_work) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Touched nodes, their values and masses, copied out before the workspace is cleared."""
    touched = work[5][:count].astype(np.int64)
    values, masses = work[0][touched].copy(), work[1][touched].copy()
    local_work.clear(work, count)
    return touched, values, masses
