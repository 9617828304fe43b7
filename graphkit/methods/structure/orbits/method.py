"""Orbits of graphlets of two to four nodes: the counter behind ``graphkit count`` and its claims."""

from __future__ import annotations

import numpy as np

from graphkit.datasets.base import GraphDataset
from graphkit.datasets.simple import simple_matrix
from graphkit.kernels import orbits
from graphkit.methods.kinds import Counter, Counts, Report
from graphkit.methods.structure.orbits.config import OrbitCounterConfig


class OrbitCounter(Counter):
    """Counts in how many induced graphlets of 2 to 4 nodes a node, an edge or a pair of nodes takes which place.

    ``graphkit count orbits``, ``edge-orbits`` and ``orbit-adjacency`` write the counts, ``graphkit count check`` holds
    them against the identities that tie them. Orbits 0 to 14 are numbered as Przulj and ORCA do; the 28 orbit
    adjacencies are named hops:orbit-orbit. Counts are exact 64-bit whole numbers, and a count that would not fit is
    refused. The graph is read as simple and undirected (weights and directions ignored, loops dropped, copies merged).

    Time: wedges and diamonds, and for 3:4-4 paths of three steps; memory: the triangles, 13 counts an edge, and the
    largest single matrix where it is kept, or a block of its rows where it is written.

    Reference: Windels, Malod-Dognin, Przulj: Graphlets correct for the topological information missed by random walks,
    2024.

    >>> from graphkit import datasets
    >>> int(OrbitCounter().count(datasets.load("karate")).columns["o3"].sum()) // 3  # triangles
    45
    """

    Config = OrbitCounterConfig
    config: OrbitCounterConfig

    def count(self, dataset: GraphDataset, *, report: Report | None = None) -> Counts:
        """Return ``o0`` to ``o14`` of the nodes, or the 12 orbits of every edge, named by those of its ends.

        Raises :class:`UsageError` beyond ``max_memory`` or 63 bits.
        """
        prepared = self.prepare(dataset)
        shown = report or (lambda stage, done, total: None)
        counts = orbits.one_hop(prepared, lambda done, total: shown("edges", done, total))
        if self.config.rows == "edges":
            ends, found = orbits.edge_orbits(prepared, counts)
            names = [f"{a}-{b}" for _, a, b in orbits.EDGE_ORBITS]
        else:
            ends, found = None, orbits.node_orbits(prepared, counts)
            names = [f"o{orbit}" for orbit in range(found.shape[1])]
        return Counts({name: np.ascontiguousarray(found[:, at]) for at, name in enumerate(names)}, ends)

    def prepare(self, dataset: GraphDataset):
        """The graph with its triangles, from which :mod:`graphkit.kernels.orbits` counts."""
        return orbits.prepare(simple_matrix(dataset), int(self.config.max_memory * 1e9))
