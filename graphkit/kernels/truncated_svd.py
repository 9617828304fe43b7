"""The leading singular triplets of a large sparse matrix by Lanczos, its products in threads."""

from __future__ import annotations

import numba
import numpy as np
import scipy.sparse
from scipy.sparse.linalg import LinearOperator, eigsh, svds

from graphkit.kernels.threads import in_ranges

DENSE = 400  # rows or columns up to which a dense decomposition is faster


def left_factors(matrix: scipy.sparse.csr_array, dim: int, *, symmetric: bool, seed: int = 0, tolerance: float = 1e-4):
    """U_k sqrt(S_k) of the (n, m) CSR matrix U S V' and its (k,) singular values in falling order, k at most ``dim``.

    symmetric: M = M', whose singular values are |eigenvalues|, in half the products. tolerance: relative accuracy of what Lanczos
    iterates to, which starts from a vector of ``seed``. The entry of largest magnitude in a column is positive. Rows without entries
    are zero. Time O(products entries), some hundred products; memory O(dim (n + m)) beside the matrix, twice that where it is not
    symmetric.
    """
    used_rows = np.flatnonzero(np.diff(matrix.indptr))
    used_columns = used_rows if symmetric else np.unique(matrix.indices)
    part = matrix if len(used_rows) == matrix.shape[0] and len(used_columns) == matrix.shape[1] else matrix[used_rows][:, used_columns]
    size = min(part.shape)
    if size == 0:
        return np.zeros((matrix.shape[0], 0)), np.zeros(0)
    if size <= DENSE:
        left, values, _ = np.linalg.svd(part.toarray().astype(np.float64), full_matrices=False)
    else:
        left, values = _iterated(part, min(dim, size - 1), symmetric, seed, tolerance)
    left, values = left[:, :dim], values[:dim]
    kept = values > 1e-9 * values[0]  # the vectors of zero are any basis
    left, values = left[:, kept], values[kept]
    left = left * np.where(left[np.abs(left).argmax(axis=0), np.arange(len(values))] < 0, -1.0, 1.0)
    out = np.zeros((matrix.shape[0], len(values)))
    out[used_rows] = left * np.sqrt(values)
    return out, values


def _iterated(matrix, count: int, symmetric: bool, seed: int, tolerance: float):
    """Left singular vectors (n, count) and values of a matrix larger than what is decomposed densely."""
    start = np.random.default_rng(seed).standard_normal(min(matrix.shape))
    forward = _product(matrix)
    if symmetric:
        operator = LinearOperator(matrix.shape, matvec=forward, dtype=np.float64)
        values, vectors = eigsh(operator, k=count, which="LM", v0=start, tol=tolerance)
        order = np.argsort(-np.abs(values), kind="stable")
        return vectors[:, order], np.abs(values[order])
    backward = _product(matrix.T.tocsr())
    operator = LinearOperator(matrix.shape, matvec=forward, rmatvec=backward, dtype=np.float64)
    left, values, _ = svds(operator, k=count, v0=start, tol=tolerance)
    order = np.argsort(-values, kind="stable")
    return left[:, order], values[order]


def _product(matrix):
    """The function x -> M x, float64, in threads."""
    indptr, indices, data = matrix.indptr.astype(np.int64), matrix.indices, matrix.data

    def product(x):
        x, out = np.ascontiguousarray(x, np.float64).reshape(-1), np.empty(matrix.shape[0])
        in_ranges(lambda begin, end: _rows_times(indptr, indices, data, x, begin, end, out), matrix.shape[0])
        return out

    return product


@numba.njit(cache=True, nogil=True, fastmath=True)
def _rows_times(indptr, indices, data, x, begin, end, out):
    for u in range(begin, end):
        total = 0.0
        for e in range(indptr[u], indptr[u + 1]):
            total += data[e] * x[indices[e]]
        out[u] = total
