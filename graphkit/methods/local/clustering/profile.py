"""The network community profile: for every size, the least conductance among many clusters that diffusions find."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from graphkit.core.errors import DataError
from graphkit.datasets.local_graph import LocalGraph
from graphkit.graph import local_work
from graphkit.graph.threads import in_threads
from graphkit.methods.local.clustering.config import LocalClusteringConfig
from graphkit.methods.local.clustering.method import LocalClustering


def volumes(graph: LocalGraph, count: int) -> list[float]:
    """``count`` volumes in equal ratios, from that of a few nodes to a quarter of the graph's."""
    least = max(10 * float(np.median(graph.degrees[graph.degrees > 0])), 1.0)
    return np.geomspace(min(least, 0.25 * graph.volume), 0.25 * graph.volume, count).tolist()


def profile(
    graph: LocalGraph,
    config: LocalClusteringConfig,
    seeds: np.ndarray,
    scales: Sequence[float],
    report: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Return columns size, conductance, volume and seed (node number), a row for each size that some sweep reached.

    Every seed is diffused at every volume of ``scales``, in threads; every prefix of its order is a candidate, up to
    half of the graph's volume. The graph has no labels. Reference: Leskovec, Lang, Dasgupta, Mahoney 2009.
    """
    n, lock, done = graph.num_nodes, threading.Lock(), [0]
    best, volume_of, seed_of = np.full(n + 1, np.inf), np.zeros(n + 1), np.full(n + 1, -1)

    def one(at: int) -> None:
        for scale in scales:
            found = LocalClustering(replace(config, rounding="support", volume=scale)).cluster(
                graph, seeds[at : at + 1]
            )
            state = local_work.workspace(n)[3]
            _, reached, conductances = local_work.sweep(graph.arrays, state, found.nodes, graph.volume)
            conductances[reached > graph.volume / 2] = np.inf
            with lock:
                sizes = np.arange(1, len(conductances) + 1)
                # Threads come in any order: of equal conductances the smallest seed stays.
                better = (conductances < best[sizes]) | ((conductances == best[sizes]) & (seeds[at] < seed_of[sizes]))
                better &= np.isfinite(conductances)
                chosen = sizes[better]
                best[chosen], volume_of[chosen], seed_of[chosen] = conductances[better], reached[better], seeds[at]
        with lock:
            done[0] += 1
        if report:
            report(done[0], len(seeds))

    in_threads(one, len(seeds))
    size = np.flatnonzero(np.isfinite(best))
    return {"size": size, "conductance": best[size], "volume": volume_of[size], "seed": seed_of[size]}


def draw_seeds(graph: LocalGraph, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` distinct random nodes with an edge, ascending; all of them where there are fewer."""
    candidates = np.flatnonzero(graph.degrees > 0)
    if not len(candidates):
        raise DataError("the graph has no edges, expected some")
    return np.sort(rng.choice(candidates, min(count, len(candidates)), replace=False))
