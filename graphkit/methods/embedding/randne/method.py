"""RandNE: node vectors from an orthogonal random projection of a polynomial of the adjacency matrix."""

from __future__ import annotations

import numpy as np

from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.weights import shares
from graphkit.graph.adjacency import adjacency
from graphkit.kernels.powers import PowerSum, Start
from graphkit.kernels.projection import gaussian_rows, node_keys, row_states
from graphkit.methods.embedding.randne.config import RandNEConfig
from graphkit.methods.kinds import Embedder


class RandNE(Embedder):
    """The projection U = sum_k a_k M^k R of a polynomial of M, the transition matrix or the adjacency.

    R (n, d) is Gaussian with its columns made orthonormal; a (``weights``) starts at power 0. Follows Algorithm 1 of
    the paper. Where a graph has fewer nodes than dimensions, columns cannot be orthonormal and stay as drawn.

    Time O(q m d + n d^2), memory 3 n d float32.

    Reference: Zhang, Cui, Li, Wang, Zhu: Billion-scale Network Embedding with Iterative Random Projection, ICDM 2018,
    arXiv 1805.02396.

    >>> import dgl
    >>> from graphkit.datasets.base import GraphDataset
    >>> ring = dgl.to_bidirected(dgl.graph(([0, 1, 2, 3], [1, 2, 3, 0])))
    >>> RandNE(dim=2).embed(GraphDataset("ring", graph=ring)).shape
    (4, 2)
    """

    Config = RandNEConfig
    config: RandNEConfig

    def embed(self, dataset: GraphDataset, *, seed: int = 0, device: str = "cpu") -> np.ndarray:
        """Return (n, dim) float32 vectors. The kernel runs on the CPU, whatever the device."""
        matrix = adjacency(dataset.graph)
        scale = np.ones(matrix.num_nodes, np.float32)
        if self.config.input_matrix == "transition":
            shares(dataset, "a transition matrix")
            sums = matrix.row_sums()
            scale = (1 / np.where(sums > 0, sums, 1)).astype(np.float32)
        random = self.random_matrix(dataset, seed)
        start = Start(matrix.num_nodes, self.config.dim, dense=lambda a, b: random[:, a:b])
        return PowerSum(matrix, scale, self.config.weights, normalize=False).in_core(start)

    def random_matrix(self, dataset: GraphDataset, seed: int) -> np.ndarray:
        """R: (n, dim) float32, its columns orthonormal where there are at least as many nodes as columns."""
        random = gaussian_rows(row_states(node_keys(dataset.ids()), seed, salt=3), 0, self.config.dim)
        if self.config.orthogonal and dataset.num_nodes >= self.config.dim:
            return np.ascontiguousarray(np.linalg.qr(random)[0])
        return random
