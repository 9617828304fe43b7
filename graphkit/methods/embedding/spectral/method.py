"""Spectral embedding: eigenvectors of the normalised adjacency matrix."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import eigsh

from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.weights import shares
from graphkit.methods.embedding.spectral.config import SpectralConfig
from graphkit.methods.kinds import Embedder


class Spectral(Embedder):
    """The leading eigenvectors of D^-1/2 A D^-1/2, i.e. the smallest ones of the normalised Laplacian I - D^-1/2 A
    D^-1/2.

    A is the symmetric weighted adjacency (a directed graph is made undirected as (A + A^T) / 2), D its row sums. Column
    j belongs to the j-th largest eigenvalue; its entry of largest magnitude is positive. Nodes without edges are zero,
    and so are columns beyond the number of nodes. ``eigenvalues`` (dim,) float64 are left as an attribute.

    Time O(dim (m + n dim)) per Lanczos restart, memory O(n dim) float64. The result does not depend on the seed beyond
    the choice among vectors of a repeated eigenvalue (as many zeros as components beyond the first lie there).

    Reference: Ng, Jordan, Weiss: On Spectral Clustering: Analysis and an Algorithm, NIPS 2001.

    >>> import dgl
    >>> from graphkit.datasets.base import GraphDataset
    >>> path = dgl.to_bidirected(dgl.graph(([0, 1, 2], [1, 2, 3])))
    >>> method = Spectral(dim=2)
    >>> vectors = method.embed(GraphDataset("path", graph=path))
    >>> vectors.shape, method.eigenvalues.round(3).tolist()
    ((4, 2), [0.5, -0.5])
    """

    Config = SpectralConfig
    config: SpectralConfig

    def embed(self, dataset: GraphDataset, *, seed: int = 0, device: str = "cpu") -> np.ndarray:
        """Return (n, dim) float32 vectors, computed on the CPU. Raises :class:`DataError` for negative edge weights."""
        n, skip = dataset.num_nodes, int(self.config.drop_first)
        matrix, degrees = _normalized_adjacency(dataset)
        wanted = min(self.config.dim + skip, n)
        values, vectors = _largest(matrix, wanted, self.config.tolerance, seed)
        values, vectors = values[skip:], vectors[:, skip:]
        if vectors.size:
            vectors = vectors * np.where(
                vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])] < 0, -1, 1
            )
        vectors = np.where(degrees[:, None] > 0, vectors, 0)
        if self.config.scale_degrees:
            vectors = vectors / np.sqrt(np.where(degrees > 0, degrees, 1))[:, None]
        self.eigenvalues = np.zeros(self.config.dim)
        self.eigenvalues[: len(values)] = values
        result = np.zeros((n, self.config.dim), np.float32)
        result[:, : vectors.shape[1]] = vectors
        return result


def _normalized_adjacency(dataset: GraphDataset):
    """D^-1/2 A D^-1/2 as a SciPy matrix, and the degrees."""
    source, target = (ends.cpu().numpy() for ends in dataset.graph.edges(order="eid"))
    weights = shares(dataset, "degrees, whose roots are taken")
    weights = np.ones(len(source)) if weights is None else weights
    matrix = scipy.sparse.coo_matrix((weights, (source, target)), shape=(dataset.num_nodes,) * 2).tocsr()
    matrix = (matrix + matrix.T) / 2
    degrees = np.asarray(matrix.sum(axis=1)).reshape(-1)
    root = scipy.sparse.diags(1 / np.sqrt(np.where(degrees > 0, degrees, 1)))
    return (root @ matrix @ root).tocsr(), degrees


def _largest(matrix, count: int, tolerance: float, seed: int):
    """Eigenpairs of the largest (algebraic) eigenvalues, in falling order."""
    n = matrix.shape[0]
    if n == 0:
        return np.empty(0), np.empty((0, 0))
    # Lanczos cannot return nearly all eigenvectors, and a small matrix is faster dense.
    if n <= 200 or count > n // 2:
        values, vectors = np.linalg.eigh(matrix.toarray())
        return values[::-1][:count], vectors[:, ::-1][:, :count]
    start = np.random.default_rng(seed).standard_normal(n)
    values, vectors = eigsh(matrix, k=count, which="LA", v0=start, tol=tolerance)
    order = np.argsort(-values)
    return values[order], vectors[:, order]
