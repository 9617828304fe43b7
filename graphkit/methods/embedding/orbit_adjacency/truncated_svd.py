"""The leading singular triplets of a large sparse matrix by a block Krylov method.

Musco, Musco: Randomized Block Krylov Methods for Stronger and Faster Approximate Singular Value Decomposition, NIPS
2015, with blocks added until the triplets stand still. A product with a block of vectors reads the matrix once for all
of them, on the kernel of :mod:`graphkit.kernels.propagation`; the some hundred products of Lanczos' method with one
vector each take several times as long.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse

from graphkit.graph.adjacency import Adjacency
from graphkit.kernels import propagation

DENSE = 400  # rows or columns up to which the whole decomposition is faster
BLOCK = 64  # vectors that are multiplied at a time
WIDEST = 32  # blocks at most


def left_factors(matrix: scipy.sparse.csr_array, dim: int, *, symmetric: bool, seed: int = 0, tolerance: float = 3e-3):
    """U_k sqrt(S_k) of the (n, m) float32 CSR matrix U S V', and its (k,) singular values in falling order, k at most
    ``dim``.

    symmetric: M = M', which halves the products. tolerance: blocks are added until none of the
    values moves by more than its square times the largest (the error of a value is about the square of its vectors').
    The first block is drawn from ``seed``. The entry of largest magnitude in a column is positive. Rows without entries
    are zero. Time O(entries) for each of some hundred vectors, and O(n b^2) for a basis of b of them; memory O((n + m)
    b), and the transpose of a matrix that is not symmetric.
    """
    used_rows = np.flatnonzero(np.diff(matrix.indptr))
    used_columns = used_rows if symmetric else np.unique(matrix.indices)
    part = (
        matrix
        if len(used_rows) == matrix.shape[0] and len(used_columns) == matrix.shape[1]
        else matrix[used_rows][:, used_columns]
    )
    if min(part.shape) == 0:
        return np.zeros((matrix.shape[0], 0)), np.zeros(0)
    if min(part.shape) <= DENSE:
        left, values, _ = np.linalg.svd(part.toarray().astype(np.float64), full_matrices=False)
    else:
        left, values = _krylov(part, min(dim, *part.shape), symmetric, seed, tolerance)
    left, values = left[:, :dim], values[:dim]
    kept = values > 1e-6 * values[0]  # the vectors of zero are any basis
    left, values = left[:, kept], values[kept]
    left = left * np.where(left[np.abs(left).argmax(axis=0), np.arange(len(values))] < 0, -1.0, 1.0)
    out = np.zeros((matrix.shape[0], len(values)))
    out[used_rows] = left * np.sqrt(values)
    return out, values


def _krylov(matrix, count: int, symmetric: bool, seed: int, tolerance: float):
    """Left singular vectors (n, count) and values from the best approximation within a growing orthonormal basis Q.

    With W = M' Q = V S R', the approximations are U = Q R, S and V; they are exact where M V = U S.
    """
    forward = _product(matrix)
    backward = forward if symmetric else _product(matrix.T.tocsr())
    block = min(BLOCK, *matrix.shape)
    start = np.random.default_rng(seed).standard_normal((matrix.shape[1], block))
    basis, images = np.empty((matrix.shape[0], 0)), np.empty((matrix.shape[1], 0))
    following, previous, gram = forward(start), None, np.empty((0, 0))  # gram: W' W
    for number in range(1, WIDEST + 1):
        following = _orthonormal(following, basis)
        basis = np.hstack([basis, following])
        image = backward(following)
        images = np.hstack([images, image])
        cross = images.T @ image
        gram = np.block([[gram, cross[:-block]], [cross[:-block].T, cross[-block:]]])
        enough = basis.shape[1] >= min(count + block, *matrix.shape)
        if enough or number == WIDEST:
            squares, rotation = np.linalg.eigh(gram)
            values, rotation = np.sqrt(np.maximum(squares[::-1], 0))[:count], rotation[:, ::-1][:, :count]
            settled = previous is not None and np.abs(values - previous).max() <= tolerance**2 * values[0]
            if settled or basis.shape[1] + block > min(matrix.shape):
                break
            previous = values
        following = image if symmetric else forward(image)
    return basis @ rotation, values


def _orthonormal(block, basis):
    """An orthonormal basis of what a block has beyond ``basis``; twice, since once leaves the rounding of large
    parts.
    """
    for _ in range(2):
        block = block - basis @ (basis.T @ block)
        block, _ = np.linalg.qr(block)
    return block


def _product(matrix):
    """The function X -> M X from (m, b) to (n, b) float64, in float32 and threads."""
    indptr, rows = matrix.indptr.astype(np.int64), matrix.shape[0]
    chunks = Adjacency(indptr, matrix.indices, matrix.data).row_chunks()
    scale, nothing = np.ones(rows, np.float32), np.empty(0)

    def product(block):
        target = np.empty((rows, block.shape[1]), np.float32)
        source = np.ascontiguousarray(block, dtype=np.float32)
        propagation.propagate(
            indptr,
            matrix.indices,
            matrix.data,
            scale,
            source,
            target,
            propagation.STORE_PRODUCT,
            target,
            0.0,
            propagation.PLAIN,
            nothing,
            chunks,
        )
        return target.astype(np.float64)

    return product
