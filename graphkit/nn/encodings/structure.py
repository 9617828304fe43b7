"""The bare structure of a graph and the matrices that encodings are made of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from scipy.sparse import csgraph


@dataclass(frozen=True)
class Structure:
    """Directed edges src[e] -> dst[e] (m,) int64 over ``num_nodes`` nodes, sorted; loops and copies as the graph has
    them.
    """

    num_nodes: int
    src: np.ndarray
    dst: np.ndarray

    @classmethod
    def of(cls, src: np.ndarray, dst: np.ndarray, num_nodes: int) -> Structure:
        """Sort the edges, so that their order in the graph does not matter."""
        code = np.sort(np.asarray(src, dtype=np.int64) * max(num_nodes, 1) + np.asarray(dst, dtype=np.int64))
        return cls(int(num_nodes), code // max(num_nodes, 1), code % max(num_nodes, 1))

    def digest(self) -> bytes:
        """SHA-256 of nodes and edges."""
        digest = hashlib.sha256(np.int64(self.num_nodes).tobytes())
        digest.update(self.src.tobytes())
        digest.update(self.dst.tobytes())
        return digest.digest()

    def adjacency(self) -> scipy.sparse.csr_matrix:
        """(n, n) A, A_ij the number of edges i -> j."""
        shape = (self.num_nodes, self.num_nodes)
        matrix = scipy.sparse.csr_matrix((np.ones(len(self.src)), (self.src, self.dst)), shape=shape)
        matrix.sum_duplicates()
        return matrix

    def walk(self) -> scipy.sparse.csr_matrix:
        """(n, n) P = D^-1 A of the directed graph as given, D the out-degrees; the row of a node without way out is
        zero.
        """
        matrix = self.adjacency()
        matrix.data = matrix.data * _inverse(np.bincount(self.src, minlength=self.num_nodes))[self.src_of(matrix)]
        return matrix

    def simple(self) -> scipy.sparse.csr_matrix:
        """(n, n) symmetric 0/1 matrix of the undirected graph without loops, which Laplacians are made of."""
        other = self.src != self.dst
        ends = np.concatenate([self.src[other], self.dst[other]]), np.concatenate([self.dst[other], self.src[other]])
        matrix = scipy.sparse.csr_matrix((np.ones(len(ends[0])), ends), shape=(self.num_nodes, self.num_nodes))
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        return matrix

    def laplacian(self, norm: str = "none") -> scipy.sparse.csr_matrix:
        """(n, n) L = D - A, for ``sym`` D^-1/2 L D^-1/2, for ``mean`` L over the mean degree, of :meth:`simple`.

        The row of an isolated node is zero.
        """
        matrix = self.simple()
        degree = np.asarray(matrix.sum(axis=1)).ravel()
        result = scipy.sparse.diags(degree) - matrix
        if norm == "sym":
            scale = scipy.sparse.diags(np.sqrt(_inverse(degree)))
            result = scale @ result @ scale
        if norm == "mean" and degree.any():
            result = result / degree.mean()
        return result.tocsr()

    def components(self) -> list[np.ndarray]:
        """Node numbers of each connected component of the undirected graph, the largest first, then by the first
        node.
        """
        count, label = csgraph.connected_components(self.simple(), directed=False)
        order = np.argsort(label, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(label, minlength=count))[:-1]) if count else []
        return sorted(parts, key=lambda nodes: (-len(nodes), nodes[0]))

    @staticmethod
    def src_of(matrix: scipy.sparse.csr_matrix) -> np.ndarray:
        """(nnz,) row of each entry."""
        return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def structures(graph) -> list[Structure]:
    """The structure of each part of a DGLGraph: a batch has several, any other graph one."""
    src, dst = (ends.cpu().numpy() for ends in graph.edges())
    sizes = graph.batch_num_nodes().cpu().numpy()
    if len(sizes) == 1:
        return [Structure.of(src, dst, int(sizes[0]))]
    starts = np.cumsum(sizes) - sizes
    part = np.searchsorted(starts, src, side="right") - 1 if len(src) else src
    # Empty parts share their start with the next one; searchsorted names the last of them, which is the one that has
    # nodes.
    order = np.argsort(part, kind="stable")
    cuts = np.searchsorted(part[order], np.arange(len(sizes) + 1))
    parts = (order[a:b] for a, b in zip(cuts, cuts[1:]))
    return [Structure.of(src[e] - s, dst[e] - s, int(n)) for e, s, n in zip(parts, starts, sizes)]


def _inverse(values: np.ndarray) -> np.ndarray:
    return np.divide(1.0, values, out=np.zeros(len(values)), where=values > 0)
