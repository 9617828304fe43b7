"""Positive pointwise mutual information of a sparse matrix of counts, and of random walks without the matrix of walks.

PMI[u, v] = log(O[u, v] S / (row_u column_v)) with S the sum of O; shifted by log b, and entries that are not positive
left out (PPMI).
"""

from __future__ import annotations

import numba
import numpy as np
import scipy.sparse

from graphkit.graph.threads import in_order, in_ranges

COLUMNS = 256  # nodes whose walks are followed at a time, at most
PRODUCTS = 1 << 28  # and of a large graph so many that a product of two matrices takes about so many multiplications


def positive_pmi(counts: scipy.sparse.csr_array, shift: float = 1.0) -> scipy.sparse.csr_array:
    """(n, m) float32 CSR matrix max(PMI - log(shift), 0) of (n, m) counts of 0 and more, zeros left out; O(entries)."""
    indptr, indices, values = counts.indptr.astype(np.int64), counts.indices, counts.data
    rows, columns = _marginals(indptr, indices, values, counts.shape[1])
    cost = 4 * np.diff(indptr) + 1
    scale, sizes = rows.sum() / shift, np.zeros(counts.shape[0], np.int64)
    nothing = np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
    in_ranges(
        lambda a, b: _positive(indptr, indices, values, rows, columns, scale, a, b, sizes, *nothing),
        counts.shape[0],
        cost=cost,
    )
    starts = np.concatenate([[0], np.cumsum(sizes)])
    found = starts, np.empty(starts[-1], np.int32), np.empty(starts[-1], np.float32)
    in_ranges(
        lambda a, b: _positive(indptr, indices, values, rows, columns, scale, a, b, sizes, *found),
        counts.shape[0],
        cost=cost,
    )
    return scipy.sparse.csr_array((found[2], found[1], found[0]), shape=counts.shape)


def walk_pmi(
    matrix: scipy.sparse.csr_array, window: int, shift: float = 1.0, room=lambda entries: None
) -> scipy.sparse.csr_array:
    """(n, n) float32 CSR matrix max(log(vol / (b T) (sum_{t=1..T} P^t) D^-1), 0) of a symmetric (n, n) adjacency
    matrix, b = ``shift``.

    P = D^-1 A, D the degrees and vol their sum: the PPMI of how often two nodes lie at most T steps apart on a long
    walk, and what skip-gram with b negative samples factorises (Qiu et al., Network Embedding as Matrix Factorization,
    WSDM 2018). ``room`` is told the entries so far, to refuse too many. O(T n m) time; O(COLUMNS n) memory beside the
    result.
    """
    n, degree = matrix.shape[0], np.asarray(matrix.sum(axis=1), np.float64).ravel()
    inverse = np.divide(1.0, degree, out=np.zeros(n), where=degree > 0)
    step = scipy.sparse.csr_array(scipy.sparse.diags_array(inverse) @ matrix.astype(np.float64))
    sizes, columns, values, entries = [np.zeros(1, np.int64)], [], [], 0
    width = max(1, min(COLUMNS, PRODUCTS // max(step.nnz, 1)))
    for begin in range(0, n, width):
        end = min(begin + width, n)
        # The sum times D^-1 is symmetric: its columns are its rows.
        power = np.zeros((n, end - begin))
        power[np.arange(begin, end), np.arange(end - begin)] = inverse[begin:end]
        total = np.zeros_like(power)
        for _ in range(window):
            power = step @ power
            total += power
        rows = np.ascontiguousarray(total.T) * (degree.sum() / (shift * window))
        kept = rows > 1
        sizes.append(kept.sum(axis=1))
        columns.append(np.nonzero(kept)[1].astype(np.int32))
        values.append(np.log(rows[kept]).astype(np.float32))
        entries += len(columns[-1])
        room(entries)
    indptr = np.cumsum(np.concatenate(sizes))
    gather = (np.concatenate(parts) if parts else np.empty(0) for parts in (values, columns))
    return scipy.sparse.csr_array((*gather, indptr), shape=(n, n))


def _marginals(indptr, indices, values, width):
    rows, columns = np.zeros(len(indptr) - 1), np.zeros(width)
    entries = (len(indices) + len(rows)) / max(len(rows), 1)
    in_order(
        lambda begin, end: _add_marginals(indptr, indices, values, rows, columns, begin, end), len(rows), 4 * entries
    )
    return rows, columns


@numba.njit(cache=True, nogil=True)
def _add_marginals(indptr, indices, values, rows, columns, begin, end):
    for u in range(begin, end):
        for e in range(indptr[u], indptr[u + 1]):
            rows[u] += values[e]
            columns[indices[e]] += values[e]


@numba.njit(cache=True, nogil=True)
def _positive(indptr, indices, values, rows, columns, scale, begin, end, sizes, starts, out_indices, out_values):
    """Count the entries of rows whose shifted PMI is above 0, or write them where ``starts`` says where."""
    for u in range(begin, end):
        found = 0
        for e in range(indptr[u], indptr[u + 1]):
            ratio = 0.0 if values[e] <= 0 else values[e] * (scale / rows[u] / columns[indices[e]])
            if ratio > 1:
                if len(starts) > 0:
                    out_indices[starts[u] + found] = indices[e]
                    out_values[starts[u] + found] = np.log(ratio)
                found += 1
        sizes[u] = found
