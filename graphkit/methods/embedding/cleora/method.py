"""Cleora: node vectors by repeated averaging over neighbours and normalising, from a deterministic hash."""

from __future__ import annotations

import numpy as np

from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.weights import shares
from graphkit.graph.adjacency import adjacency
from graphkit.kernels import propagation
from graphkit.kernels.projection import node_keys, row_states, uniform_rows
from graphkit.methods.embedding.cleora.config import CleoraConfig
from graphkit.methods.kinds import Embedder


class Cleora(Embedder):
    """The vectors T_q of T_k = norm(D^-1 A T_(k-1)).

    T_0 (n, d) is uniform in (-1, 1], a hash of (id, column, seed); ``norm`` divides each row by its Euclidean length. A
    is the weighted adjacency, D its row sums. Only the last iterate is returned. Follows Algorithm 1 of the paper for a
    simple graph (no hyperedges), except that the hash is SplitMix64. The vector of a node without outgoing edges is
    zero.

    Time O(q m d), memory 2 n d float32.

    Reference: Rychalska, Babel, Goluchowski, Michalowski, Dabrowski: Cleora: A Simple, Strong and Scalable Graph
    Embedding Scheme, ICONIP 2021, arXiv 2102.02302.

    >>> import dgl
    >>> from graphkit.datasets.base import GraphDataset
    >>> ring = dgl.to_bidirected(dgl.graph(([0, 1, 2, 3], [1, 2, 3, 0])))
    >>> Cleora(dim=8).embed(GraphDataset("ring", graph=ring)).shape
    (4, 8)
    """

    Config = CleoraConfig
    config: CleoraConfig

    def embed(self, dataset: GraphDataset, *, seed: int = 0, device: str = "cpu") -> np.ndarray:
        """Return (n, dim) float32 vectors. The kernel runs on the CPU, whatever the device."""
        shares(dataset, "averages over neighbours")
        matrix = adjacency(dataset.graph)
        sums = matrix.row_sums()
        scale = (1 / np.where(sums > 0, sums, 1)).astype(np.float32)
        current = uniform_rows(row_states(node_keys(dataset.ids()), seed, salt=2), self.config.dim)
        spare, nothing, none = np.empty_like(current), np.empty((0, 0), np.float32), np.empty(0)
        for _ in range(self.config.iterations):
            propagation.propagate(
                matrix.indptr,
                matrix.indices,
                matrix.weights,
                scale,
                current,
                spare,
                propagation.STORE_TERM,
                nothing,
                1.0,
                propagation.NORMALIZED,
                none,
                matrix.row_chunks(),
            )
            current, spare = spare, current
        return current
