"""Node vectors from one or several orbit adjacencies of small graphlets, and from random walks by the same way."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.simple import simple_matrix
from graphkit.kernels import orbits
from graphkit.kernels.orbits import require_room
from graphkit.methods.embedding.orbit_adjacency import pmi
from graphkit.methods.embedding.orbit_adjacency.config import OrbitAdjacencyConfig
from graphkit.methods.embedding.orbit_adjacency.truncated_svd import left_factors
from graphkit.methods.kinds import Embedder


class OrbitAdjacency(Embedder):
    r"""Vectors U_d sqrt(S_d) of the truncated SVD U S V' of the positive PMI of a sparse matrix of counts between
    nodes.

    With orbits, O[u, v] is the number of induced graphlets of up to 4 nodes in which u sits on orbit A and v on orbit
    B, H steps apart (GOPMI; a graphlet, a list and ``all`` add their matrices), and
    PMI[u, v] = log(O[u, v] S / (row_u column_v)) - log b, S the sum of O, row and column its marginals; entries above 0
    are kept. A matrix with A other than B is not symmetric: the rows of H:A-B are nodes on A, and H:B-A, its transpose,
    gives those on B, the right singular vectors of the first; so do the two keys make two embeddings. Graphlets and
    ``all`` hold both, and are symmetric.

    With walks, the matrix is DeepWalk's closed form, log(vol / (b T) (sum_{t=1..T} P^t) D^-1), P = D^-1 A (RWPMI).
    This is the PMI of the matrix D sum_t P^t / T, so that both go the same way from counts to vectors.

    The graph is read as simple and undirected (weights and directions ignored, loops dropped, copies merged). Nodes on
    no graphlet, and columns beyond the rank, are zero; ``singular_values`` (dim,) float64 are left as an attribute. The
    paper does not print its dimensions, shift and classifier; the defaults are ours.

    Time: counting, see :mod:`graphkit.kernels.orbits`, and some hundred products with the matrix. Memory O(entries), of
    3:4-4 and of walks of 3 steps and more up to n^2 of 8 bytes where nearly all pairs meet; never a dense n x n matrix.

    Reference: Windels, Malod-Dognin, Przulj: Graphlets correct for the topological information missed by random walks,
    2024.

    >>> from graphkit import datasets
    >>> OrbitAdjacency(dim=4, orbits="2:1-1").embed(datasets.load("karate")).shape
    (34, 4)
    """

    Config = OrbitAdjacencyConfig
    config: OrbitAdjacencyConfig

    def embed(self, dataset: GraphDataset, *, seed: int = 0, device: str = "cpu") -> np.ndarray:
        """Return (n, dim) float32 vectors, computed on the CPU.

        Raises :class:`DataError` where no graphlet has the orbits or no entry is positive, :class:`UsageError` beyond
        ``max_memory``.
        """
        return self.factorise(self.positive_pmi(simple_matrix(dataset), dataset.name), seed)

    def positive_pmi(self, matrix: scipy.sparse.csr_array, name: str = "graph", counted=None) -> scipy.sparse.csr_array:
        """The (n, n) float32 matrix that is factorised, from a symmetric 0/1 matrix; raises as :meth:`embed` does.

        counted: what :meth:`count` returned for the matrix, where several methods share it.
        """
        config = self.config
        if config.source == "walks":
            found, what = pmi.walk_pmi(matrix, config.window, config.shift, self._room), f"--window {config.window}"
        else:
            what = f"--orbits {config.orbits}"
            prepared, edges = counted or self.count(matrix)
            counts = orbits.sum_of(prepared, config.wanted(), edges)
            if not counts.nnz:
                raise DataError(
                    f"{name}: found no graphlet of {what}, expected at least one; count orbit-adjacency shows what"
                    " there is"
                )
            found = pmi.positive_pmi(counts, config.shift)
        if not found.nnz:
            raise DataError(
                f"{name}: found no positive entry for {what} and --shift {config.shift:g}, expected edges and a lower"
                " shift"
            )
        return found

    def factorise(self, positive: scipy.sparse.csr_array, seed: int = 0) -> np.ndarray:
        """(n, dim) float32 vectors of what :meth:`positive_pmi` returned; sets ``singular_values``."""
        config, vectors = self.config, np.zeros((positive.shape[0], self.config.dim), np.float32)
        keys = set() if config.source == "walks" else set(config.wanted())
        symmetric = keys == {(hops, b, a) for hops, a, b in keys}
        found, values = left_factors(positive, config.dim, symmetric=symmetric, seed=seed, tolerance=config.tolerance)
        vectors[:, : found.shape[1]] = found
        self.singular_values = np.zeros(config.dim)
        self.singular_values[: len(values)] = values
        return vectors

    def count(self, matrix: scipy.sparse.csr_array):
        """What the orbit adjacencies of a graph are made from: its triangles, and the counts of its edges where a key
        needs them.
        """
        prepared = orbits.prepare(matrix, int(self.config.max_memory * 1e9))
        return prepared, orbits.one_hop(prepared) if any(hops == 1 for hops, _, _ in self.config.wanted()) else None

    def _room(self, entries: int) -> None:
        require_room(
            f"the matrix of walks of {entries:,} and more entries", 8 * entries, int(self.config.max_memory * 1e9)
        )
