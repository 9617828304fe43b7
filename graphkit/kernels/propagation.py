"""Sparse matrix x thin matrix, fused with what node embeddings do to each row of the product.

One pass over the rows computes z = scale[v] * sum_e weights[e] * X[indices[e]], stores it, and adds it, L2-normalised
where asked, to a running total. In ``benchmarks/bench_fastrp.py`` FastRP on this kernel takes about a third of the time
that it takes on DGL's ``copy_u_sum`` (rmat graph of 2^17 nodes, two threads), which is why it is the default on the
CPU: four neighbours are added per pass over a row that stays in the first-level cache, the rows are cut into chunks of
equal work, and the normalised sum costs no second sweep over memory.

Every entry of the result is summed in the order of the row's edges, and every reduction over rows runs over chunks
that do not depend on the number of threads: results are the same for any number of threads and any column blocks.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from graphkit.graph.threads import in_ranges

# What the running total receives.
PLAIN = 0  # z
NORMALIZED = 1  # z / |z|
MEASURE = 2  # nothing; |z|^2 is added to ``squares`` (first pass over column blocks)
MEASURED = 3  # z / sqrt(squares) (second pass)

# What the target receives.
STORE_NOTHING, STORE_PRODUCT, STORE_TERM = 0, 1, 2

# Squared norms are summed over groups of this many columns; column blocks that are multiples of it change no bit.
GROUP = 32
VALUES = 4  # that a step of a product takes


@numba.njit(fastmath=True, cache=True, nogil=True)
def _group_square(row, start, stop):
    total = 0.0
    for j in range(start, stop):
        value = np.float64(row[j])
        total += value * value
    return total


@numba.njit(cache=True, nogil=True)
def _finish_row(row, v, scale, target, store, total, coefficient, mode, squares):
    width = len(row)
    for j in range(width):
        row[j] *= scale
    if mode in (NORMALIZED, MEASURE):
        square = squares[v] if mode == MEASURE else 0.0
        for j in range(0, width, GROUP):
            square += _group_square(row, j, min(j + GROUP, width))
        if mode == MEASURE:
            squares[v] = square
    if mode == MEASURED:
        square = squares[v]
    if store == STORE_PRODUCT:
        for j in range(width):
            target[v, j] = row[j]
    if mode == MEASURE:
        return
    factor = np.float32(coefficient)
    if mode in (NORMALIZED, MEASURED):
        factor = np.float32(coefficient / math.sqrt(square)) if square > 0.0 else np.float32(0.0)
    if store == STORE_TERM:
        for j in range(width):
            target[v, j] = row[j] * factor
    elif coefficient != 0.0:
        for j in range(width):
            total[v, j] += row[j] * factor


def _over_chunks(rows, steps: float, *arguments) -> None:
    """Call ``rows(*arguments, begin, end)`` for ranges of chunks of equal work, ``steps`` in all; the last argument
    holds their bounds.
    """
    *arguments, chunks = arguments
    bounds = chunks.tolist()
    in_ranges(
        lambda a, b: rows(*arguments, bounds[a], bounds[b]),
        len(bounds) - 1,
        least=1,
        cost=steps / max(len(bounds) - 1, 1),
    )


def propagate(
    indptr, indices, weights, scale, source, target, store, total, coefficient, mode, squares, chunks
) -> None:
    """Multiply: z = scale[v] * sum over the row's edges of weight * source[index].

    indptr (n+1,), indices (m,), weights (m,) or (0,) for ones, scale (n,) float32; source (n, d) float32; target (n, d)
    receives z, coefficient * z after ``mode``, or nothing, as ``store`` says; total (n, d) += coefficient * z after
    ``mode`` (not with STORE_TERM); squares (n,) float64, read and written where ``mode`` needs it; chunks: bounds of
    row chunks.
    """
    steps = (len(indices) + len(scale)) * source.shape[1] / VALUES
    _over_chunks(
        _propagate,
        steps,
        indptr,
        indices,
        weights,
        scale,
        source,
        target,
        store,
        total,
        coefficient,
        mode,
        squares,
        chunks,
    )


@numba.njit(nogil=True, cache=True)
def _propagate(indptr, indices, weights, scale, source, target, store, total, coefficient, mode, squares, begin, end):
    width = source.shape[1]
    weighted = len(weights) > 0
    row = np.empty(width, np.float32)
    for v in range(begin, end):
        row[:] = np.float32(0.0)
        e, stop = indptr[v], indptr[v + 1]
        while e + 4 <= stop:
            i0, i1, i2, i3 = indices[e], indices[e + 1], indices[e + 2], indices[e + 3]
            if weighted:
                w0, w1, w2, w3 = weights[e], weights[e + 1], weights[e + 2], weights[e + 3]
                for j in range(width):
                    row[j] += (w0 * source[i0, j] + w1 * source[i1, j]) + (w2 * source[i2, j] + w3 * source[i3, j])
            else:
                for j in range(width):
                    row[j] += (source[i0, j] + source[i1, j]) + (source[i2, j] + source[i3, j])
            e += 4
        while e < stop:
            i0 = indices[e]
            w0 = weights[e] if weighted else np.float32(1.0)
            for j in range(width):
                row[j] += w0 * source[i0, j]
            e += 1
        _finish_row(row, v, scale[v], target, store, total, coefficient, mode, squares)


def propagate_sparse(
    indptr,
    indices,
    weights,
    scale,
    row_indptr,
    row_entries,
    amplitude,
    width,
    target,
    store,
    total,
    coefficient,
    mode,
    squares,
    chunks,
) -> None:
    """The same product with a sparse source: row i is +-amplitude[i] at the entries of :class:`SparseRows`."""
    steps = len(indices) * (1 + len(row_entries) / max(len(row_indptr) - 1, 1)) + len(scale) * width / VALUES
    _over_chunks(
        _propagate_sparse,
        steps,
        indptr,
        indices,
        weights,
        scale,
        row_indptr,
        row_entries,
        amplitude,
        width,
        target,
        store,
        total,
        coefficient,
        mode,
        squares,
        chunks,
    )


@numba.njit(nogil=True, cache=True)
def _propagate_sparse(
    indptr,
    indices,
    weights,
    scale,
    row_indptr,
    row_entries,
    amplitude,
    width,
    target,
    store,
    total,
    coefficient,
    mode,
    squares,
    begin,
    end,
):
    weighted = len(weights) > 0
    row = np.empty(width, np.float32)
    for v in range(begin, end):
        row[:] = np.float32(0.0)
        for e in range(indptr[v], indptr[v + 1]):
            u = indices[e]
            value = amplitude[u] * weights[e] if weighted else amplitude[u]
            for at in range(row_indptr[u], row_indptr[u + 1]):
                entry = row_entries[at]
                row[entry >> 1] += -value if entry & 1 else value
        _finish_row(row, v, scale[v], target, store, total, coefficient, mode, squares)


def accumulate(source, total, coefficient, mode, squares, chunks) -> None:
    """Add coefficient * source, after ``mode``, to ``total``; both (n, d) float32."""
    _over_chunks(_accumulate, source.size / VALUES, source, total, coefficient, mode, squares, chunks)


@numba.njit(nogil=True, cache=True)
def _accumulate(source, total, coefficient, mode, squares, begin, end):
    width = source.shape[1]
    row = np.empty(width, np.float32)
    for v in range(begin, end):
        for j in range(width):
            row[j] = source[v, j]
        _finish_row(row, v, np.float32(1.0), source, STORE_NOTHING, total, coefficient, mode, squares)


def _column_sums(matrix, center, chunks) -> tuple[np.ndarray, np.ndarray]:
    """(chunks, d) float64 partial sums of (matrix - center), and of its squares."""
    sums, squares = np.zeros((2, len(chunks) - 1, matrix.shape[1]))
    in_ranges(
        lambda first, last: _add_columns(matrix, center, chunks, sums, squares, first, last),
        len(sums),
        least=1,
        cost=matrix.size / len(sums),
    )
    return sums, squares


@numba.njit(nogil=True, cache=True)
def _add_columns(matrix, center, chunks, sums, squares, first, last):
    for c in range(first, last):
        for v in range(chunks[c], chunks[c + 1]):
            for j in range(matrix.shape[1]):
                value = np.float64(matrix[v, j]) - center[j]
                sums[c, j] += value
                squares[c, j] += value * value


@numba.njit(nogil=True, cache=True)
def _shift_scale(matrix, shift, factor, begin, end):
    for v in range(begin, end):
        for j in range(matrix.shape[1]):
            matrix[v, j] = np.float32((np.float64(matrix[v, j]) - shift[j]) * factor[j])


def standardize_columns(matrix: np.ndarray) -> None:
    """Give each column of an (n, d) float32 matrix mean 0 and standard deviation 1 (divisor n), in place.

    A column that is constant up to float32 rounding becomes 0.
    """
    n, width = matrix.shape
    if n == 0:
        return
    chunks = np.unique(np.linspace(0, n, 65).astype(np.int64))
    mean = _column_sums(matrix, np.zeros(width), chunks)[0].sum(axis=0) / n
    sums, squares = _column_sums(matrix, mean, chunks)
    deviation = np.sqrt(np.maximum(squares.sum(axis=0) / n - (sums.sum(axis=0) / n) ** 2, 0))
    varies = deviation > 4 * np.finfo(np.float32).eps * np.abs(mean)
    _over_chunks(
        _shift_scale, matrix.size, matrix, mean, np.where(varies, 1 / np.where(varies, deviation, 1), 0.0), chunks
    )
