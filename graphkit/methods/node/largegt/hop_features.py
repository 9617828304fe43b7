"""Features of a node's surroundings: X, Ahat X, Ahat^2 X, ... side by side for each node."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphkit.graph.adjacency import Adjacency
from graphkit.kernels.propagation import PLAIN, STORE_PRODUCT, propagate

# Values of one block of columns; a pass holds three of them in memory.
BLOCK_VALUES = 1 << 26


def hop_features(
    matrix: Adjacency,
    features: np.ndarray,
    hops: int = 2,
    *,
    out: np.ndarray | None = None,
    report: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Return (n, hops + 1, F): at [v, j] row v of Ahat^j X, with Ahat = D_r^-1/2 (A + I) D_c^-1/2.

    D_r and D_c hold the row and the column sums of A + I; for an undirected graph both are its degrees plus one.
    matrix: A; its weights are ignored, repeated edges count as often as they occur. features: X (n, F) numbers. out:
    where to write, float32 or float16, e.g. a memory map; powers are taken in float32 and rounded once. report: called
    with (columns done, columns).

    Time O(hops (m + n) F), memory O(m + n) and three blocks of columns beside ``out``. Raises ValueError where the
    shapes differ.
    """
    n, width = features.shape
    if n != matrix.num_nodes:
        raise ValueError(f"{n} rows of features for {matrix.num_nodes} nodes")
    result = np.empty((n, hops + 1, width), np.float32) if out is None else out
    indptr, indices = _with_loops(matrix)
    row_scale = np.diff(indptr).astype(np.float64) ** -0.5
    column_scale = np.bincount(indices, minlength=n).astype(np.float64) ** -0.5
    row_scale, column_scale = row_scale.astype(np.float32), column_scale.astype(np.float32)[:, None]
    no_weights, no_total, no_squares = np.empty(0, np.float32), np.empty((0, 0), np.float32), np.empty(0, np.float64)
    chunks = Adjacency(indptr, indices, no_weights).row_chunks()
    block = max(1, min(width, BLOCK_VALUES // max(n, 1)))
    for a in range(0, width, block):
        b = min(a + block, width)
        power = np.ascontiguousarray(features[:, a:b], dtype=np.float32)
        result[:, 0, a:b] = power
        for hop in range(1, hops + 1):
            scaled, power = power * column_scale, np.empty((n, b - a), np.float32)
            propagate(
                indptr,
                indices,
                no_weights,
                row_scale,
                scaled,
                power,
                STORE_PRODUCT,
                no_total,
                0.0,
                PLAIN,
                no_squares,
                chunks,
            )
            result[:, hop, a:b] = power
        if report is not None:
            report(b, width)
    return result


def _with_loops(matrix: Adjacency) -> tuple[np.ndarray, np.ndarray]:
    """CSR arrays of A + I; the loop stands at the end of its row, the order of a sum's terms being all that depends on
    it.
    """
    n = matrix.num_nodes
    indptr = matrix.indptr + np.arange(n + 1)
    indices = np.empty(indptr[-1], np.int32)
    ends = indptr[1:] - 1
    others = np.ones(len(indices), bool)
    others[ends] = False
    indices[ends] = np.arange(n)
    indices[others] = matrix.indices
    return indptr, indices
