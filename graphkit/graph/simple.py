"""The simple undirected graph that combinatorial measures are defined on."""

from __future__ import annotations

import numpy as np
import scipy.sparse


def symmetric_matrix(pairs: np.ndarray, num_nodes: int) -> scipy.sparse.csr_array:
    """(n, n) symmetric 0/1 matrix of (P, 2) edges, without loops."""
    pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    ends = np.concatenate([pairs, pairs[:, ::-1]]).T
    matrix = scipy.sparse.csr_array(
        (np.ones(ends.shape[1], np.int64), (ends[0], ends[1])), shape=(num_nodes, num_nodes)
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1
    matrix.indptr = matrix.indptr.astype(np.int64)
    return matrix
