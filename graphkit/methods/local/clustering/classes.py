"""Several classes at once from a few known nodes of each: every node goes to the class whose diffusion reaches it
most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from graphkit.datasets.local_graph import LocalGraph
from graphkit.graph.threads import in_threads
from graphkit.methods.local.clustering.method import LocalClustering


def classify(
    graph: LocalGraph,
    method: LocalClustering,
    seeds: Mapping[str, np.ndarray],
    volume: float,
    report: Callable[[int, int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) int64 positions in ``seeds`` (class -> nodes), -1 for nodes that no diffusion reaches, and (n,)
    float64 scores.

    A class's diffusion starts at its seeds with the same ``volume`` for all; the score is x of a flow and value / d of
    a walk, of two equal ones the earlier class takes the node, and seeds keep their class. Classes run in threads.
    Reference: Gleich, Mahoney 2015, Using Local Spectral Methods to Robustify Graph-Based Learning Algorithms.
    """
    found: list = [None] * len(seeds)
    groups, done = list(seeds.values()), [0]

    def one(at: int) -> None:
        found[at] = method.cluster(graph, groups[at], volume=volume)
        done[0] += 1
        if report:
            report(done[0], len(groups))

    in_threads(one, len(groups))
    chosen, score = np.full(graph.num_nodes, -1), np.zeros(graph.num_nodes)
    for at, cluster in enumerate(found):
        better = cluster.values > score[cluster.nodes]
        chosen[cluster.nodes[better]], score[cluster.nodes[better]] = at, cluster.values[better]
    for at, group in enumerate(groups):
        chosen[group] = at
    return chosen, score
