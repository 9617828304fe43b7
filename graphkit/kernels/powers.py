"""Weighted sums of powers of a sparse matrix times a thin one: sum_k c_k norm(M^k X), M = diag(scale) A.

FastRP and RandNE are such sums. In core at most three n x d float32 matrices are alive: M^(k-1) X, M^k X and the sum.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

import numpy as np

from graphkit.core.errors import UsageError
from graphkit.graph.adjacency import Adjacency
from graphkit.kernels import propagation
from graphkit.kernels.projection import SparseRows

NONE = np.empty(0, np.float64)
NO_MATRIX = np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class Start:
    """X, the matrix that the powers start from, asked for by columns.

    Either sparse, ``rows`` with the magnitude ``amplitude`` (n,) float32 of each row's entries, or ``dense``, a
    function of (start, stop) that returns those columns as a C-ordered float32 matrix which the caller may overwrite.
    """

    num_nodes: int
    dim: int
    rows: SparseRows | None = None
    amplitude: np.ndarray | None = None
    dense: Callable[[int, int], np.ndarray] | None = None

    def columns(self, start: int, stop: int) -> np.ndarray:
        """Return columns start..stop-1 as a dense matrix."""
        if self.dense is not None:
            return self.dense(start, stop)
        matrix = self.rows.dense(start, stop)
        matrix *= self.amplitude[:, None]
        return matrix


@dataclass(frozen=True)
class PowerSum:
    """The sum over k = 0..q of coefficients[k] * norm(M^k X).

    adjacency: A. scale: (n,) float32, the diagonal that A's rows are multiplied by. coefficients: q + 1 numbers; a
    power with coefficient 0 is neither normalised nor added. normalize: norm divides each row by its Euclidean length
    (zero rows stay zero), else it is the identity. standardize: columns of the sum get mean 0 and standard deviation 1.
    concatenate: the terms stand side by side, in the order of k, instead of being added.
    """

    adjacency: Adjacency
    scale: np.ndarray
    coefficients: Sequence[float]
    normalize: bool = True
    standardize: bool = False
    concatenate: bool = False

    @property
    def used(self) -> list[int]:
        """The powers that count."""
        return [k for k, value in enumerate(self.coefficients) if value != 0]

    def width(self, dim: int) -> int:
        """Number of columns of the result."""
        return dim * len(self.used) if self.concatenate else dim

    def in_core(self, start: Start) -> np.ndarray:
        """Return the (n, width) float32 sum; takes O(q m d) time and 3 n d float32 of memory."""
        total = np.zeros((start.num_nodes, self.width(start.dim)), np.float32)
        mode = propagation.NORMALIZED if self.normalize else propagation.PLAIN
        self._series(start, 0, start.dim, self._parts(total, start.dim), mode, None)
        if self.standardize:
            propagation.standardize_columns(total)
        return total

    def in_blocks(self, start: Start, block: int) -> np.memmap:
        """Return the same values, to the bit, in a memory-mapped scratch file, working on ``block`` columns at a time.

        The rows' lengths need all columns, so they are measured in a first pass over the blocks and used in a second:
        O(2 q m d) time, 3 n block float32 of memory. ``block`` is a multiple of ``propagation.GROUP`` unless it is all.
        The file lies in the system's folder for temporary files ($TMPDIR) and vanishes with the array.
        """
        with tempfile.TemporaryFile(prefix="graphkit-") as file:
            shape = (start.num_nodes, self.width(start.dim))
            result = np.memmap(file, np.float32, "w+", shape=shape, order="F")
        squares = {k: np.zeros(start.num_nodes) for k in self.used} if self.normalize else None
        bounds = [(a, min(a + block, start.dim)) for a in range(0, start.dim, block)]
        if self.normalize:
            for a, b in bounds:
                self._series(start, a, b, dict.fromkeys(self.used, NO_MATRIX), propagation.MEASURE, squares)
        mode = propagation.MEASURED if self.normalize else propagation.PLAIN
        for a, b in bounds:
            total = np.zeros((start.num_nodes, self.width(b - a)), np.float32)
            self._series(start, a, b, self._parts(total, b - a), mode, squares)
            if self.standardize:
                propagation.standardize_columns(total)
            for i in range(total.shape[1] // (b - a)):
                result[:, i * start.dim + a : i * start.dim + b] = total[:, i * (b - a) : (i + 1) * (b - a)]
            result.flush()
        return result

    def block_for(self, start: Start, limit: int) -> int:
        """Return how many columns fit into ``limit`` bytes beside the graph; raises :class:`UsageError` if too few do.

        ``start.dim`` means that the whole computation fits.
        """
        n = max(start.num_nodes, 1)
        fixed = self.adjacency.nbytes + 40 * n + (0 if start.rows is None else start.rows.nbytes)
        whole = 4 * n * (2 * start.dim + self.width(start.dim))
        if fixed + whole <= limit:
            return start.dim
        fixed += 8 * n * len(self.used) * self.normalize
        column = 4 * n * (2 + self.width(1))
        block = max(limit - fixed, 0) // column // propagation.GROUP * propagation.GROUP
        if block == 0:
            least = (fixed + column * propagation.GROUP) / 1e6
            raise UsageError(
                f"--memory-limit is {limit / 1e6:.1f}MB, but this graph needs at least {least + 0.1:.1f}MB"
            )
        return min(block, start.dim)

    def _parts(self, total: np.ndarray, dim: int) -> dict[int, np.ndarray]:
        """The matrix that each used power is added to."""
        if not self.concatenate:
            return dict.fromkeys(self.used, total)
        return {k: total[:, i * dim : (i + 1) * dim] for i, k in enumerate(self.used)}

    def _series(self, start: Start, a: int, b: int, parts, mode: int, squares) -> None:
        """Run the powers over columns a..b-1 of X, adding each used one to its part."""
        chunks = self.adjacency.row_chunks()
        n, width, last = start.num_nodes, b - a, max(self.used, default=0)

        def term(k):
            given = NONE if squares is None else squares.get(k, NONE)
            coefficient = float(self.coefficients[k])
            # An unused power is only passed on: it needs no length.
            return parts.get(k, NO_MATRIX), coefficient, mode if k in parts else propagation.PLAIN, given, chunks

        if 0 in parts:
            propagation.accumulate(start.columns(a, b), *term(0))
        matrix = (self.adjacency.indptr, self.adjacency.indices, self.adjacency.weights, self.scale)
        current = spare = None
        if start.rows is None:
            current = start.columns(a, b)
        for k in range(1, last + 1):
            store = propagation.STORE_PRODUCT if k < last else propagation.STORE_NOTHING
            target = NO_MATRIX
            if store:
                target = np.empty((n, width), np.float32) if spare is None else spare
            if current is None:
                whole = (a, b) == (0, start.dim)
                rows = start.rows if whole else start.rows.columns(a, b)
                propagation.propagate_sparse(
                    *matrix, rows.indptr, rows.entries, start.amplitude, width, target, store, *term(k)
                )
            else:
                propagation.propagate(*matrix, current, target, store, *term(k))
            current, spare = target, current
