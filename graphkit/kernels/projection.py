"""Random projection matrices whose row i depends on (seed, key of node i) alone.

Re-ordering nodes or edges, or working in column blocks, therefore changes no vector. A row's stream is SplitMix64
(Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014) started from a hash of seed and key.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numba
import numpy as np

from graphkit.graph.threads import in_ranges

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def node_keys(ids: np.ndarray) -> np.ndarray:
    """Return (n,) uint64 keys of node ids: integers as they are, anything else hashed as text (BLAKE2b, 64 bits)."""
    ids = np.asarray(ids)
    if ids.dtype.kind in "iu":
        return ids.astype(np.uint64)
    digest = (hashlib.blake2b(str(name).encode(), digest_size=8).digest() for name in ids.tolist())
    return np.frombuffer(b"".join(digest), dtype="<u8").astype(np.uint64)


def row_states(keys: np.ndarray, seed: int, salt: int = 0) -> np.ndarray:
    """Return (n,) uint64 stream starts; ``salt`` keeps streams for different purposes apart."""
    start = np.uint64((seed * 0xD1342543DE82EF95 + salt * 0xA0761D6478BD642F + 0x632BE59BD9B4E019) % 2**64)
    states = np.empty(len(keys), np.uint64)
    in_ranges(lambda begin, end: _states(keys, start, states, begin, end), len(keys), cost=4)
    return states


@dataclass(frozen=True)
class SparseRows:
    """A sparse n x d matrix of +-1: row i holds entries[indptr[i]:indptr[i+1]], each column * 2 + (1 where
    negative).
    """

    indptr: np.ndarray
    entries: np.ndarray

    @property
    def nbytes(self) -> int:
        """Memory that the arrays hold."""
        return self.indptr.nbytes + self.entries.nbytes

    def dense(self, start: int, stop: int) -> np.ndarray:
        """Return columns start..stop-1 as an (n, stop - start) float32 matrix."""
        matrix = np.zeros((len(self.indptr) - 1, stop - start), np.float32)
        rows = len(matrix)
        cost = 2 * len(self.entries) / max(rows, 1) + 1
        in_ranges(
            lambda begin, end: _dense(self.indptr, self.entries, start, stop, matrix, begin, end), rows, cost=cost
        )
        return matrix

    def columns(self, start: int, stop: int) -> SparseRows:
        """Return the columns start..stop-1, renumbered from 0."""
        rows = len(self.indptr) - 1
        kept, cost = np.zeros(rows + 1, np.int64), 2 * len(self.entries) / max(rows, 1) + 1
        in_ranges(
            lambda begin, end: _count_columns(self.indptr, self.entries, start, stop, kept, begin, end), rows, cost=cost
        )
        np.cumsum(kept, out=kept)
        chosen = np.empty(kept[-1], np.int32)
        in_ranges(
            lambda begin, end: _columns(self.indptr, self.entries, start, stop, kept, chosen, begin, end),
            rows,
            cost=cost,
        )
        return SparseRows(kept, chosen)


def sparse_rows(states: np.ndarray, dim: int, s: float) -> SparseRows:
    """Draw n x dim entries, +1 and -1 with probability 1/(2s) each; takes O(n dim / s) time and memory."""
    log_zero = math.log1p(-1 / s) if s > 1 else 0.0
    indptr = np.zeros(len(states) + 1, np.int64)
    in_ranges(
        lambda begin, end: _count_row_entries(states, dim, log_zero, indptr, begin, end),
        len(states),
        cost=8 * dim / s + 8,
    )
    np.cumsum(indptr, out=indptr)
    entries = np.empty(indptr[-1], np.int32)
    in_ranges(
        lambda begin, end: _fill_row_entries(states, dim, log_zero, indptr, entries, begin, end),
        len(states),
        cost=8 * dim / s + 8,
    )
    return SparseRows(indptr, entries)


def sparse_columns(states: np.ndarray, start: int, stop: int, s: float) -> np.ndarray:
    """Return columns start..stop-1 of the matrix of :func:`sparse_rows`, dense, without ever holding the rest."""
    matrix = np.zeros((len(states), stop - start), np.float32)
    log_zero = math.log1p(-1 / s) if s > 1 else 0.0
    cost = 8 * stop / s + 8
    in_ranges(
        lambda begin, end: _fill_sparse_columns(states, start, stop, log_zero, matrix, begin, end),
        len(states),
        cost=cost,
    )
    return matrix


def gaussian_rows(states: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Draw columns start..stop-1 of an n x d matrix of N(0, 1), float32; ``start`` is even."""
    matrix = np.empty((len(states), stop - start), np.float32)
    in_ranges(
        lambda begin, end: _fill_gaussian(states, start, matrix, begin, end), len(states), cost=16 * (stop - start)
    )
    return matrix


def uniform_rows(states: np.ndarray, dim: int) -> np.ndarray:
    """Draw an n x dim float32 matrix of uniform numbers in (-1, 1]."""
    matrix = np.empty((len(states), dim), np.float32)
    in_ranges(lambda begin, end: _fill_uniform(states, matrix, begin, end), len(states), cost=2 * dim)
    return matrix


@numba.njit(cache=True, nogil=True)
def _mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def _states(keys, start, states, begin, end):
    for i in range(begin, end):
        states[i] = _mix(_mix(keys[i] + GOLDEN) ^ start)


@numba.njit(cache=True, nogil=True)
def _uniform(bits):
    """A number in (0, 1] from the upper 53 bits; the lowest bit stays free for a sign."""
    return (np.float64(bits >> np.uint64(11)) + 1.0) * (1.0 / 9007199254740992.0)


@numba.njit(cache=True, nogil=True)
def _gap(bits, log_zero):
    """Number of zeros before the next entry: geometric, by inversion."""
    if log_zero == 0.0:
        return np.int64(0)
    return np.int64(min(math.log(_uniform(bits)) / log_zero, 1e9))


@numba.njit(cache=True, nogil=True)
def _row_entries(state, dim, log_zero, entries):
    """Write a row's entries where ``entries`` has room; return how many there are."""
    count, column = 0, np.int64(-1)
    while True:
        state += GOLDEN
        bits = _mix(state)
        column += 1 + _gap(bits, log_zero)
        if column >= dim:
            return count
        if len(entries) > 0:
            entries[count] = column * 2 + np.int64(bits & np.uint64(1))
        count += 1


@numba.njit(cache=True, nogil=True)
def _count_row_entries(states, dim, log_zero, indptr, begin, end):
    nowhere = np.empty(0, np.int32)
    for i in range(begin, end):
        indptr[i + 1] = _row_entries(states[i], dim, log_zero, nowhere)


@numba.njit(cache=True, nogil=True)
def _fill_row_entries(states, dim, log_zero, indptr, entries, begin, end):
    for i in range(begin, end):
        if indptr[i] < indptr[i + 1]:
            _row_entries(states[i], dim, log_zero, entries[indptr[i] : indptr[i + 1]])


@numba.njit(cache=True, nogil=True)
def _row_columns(state, start, stop, log_zero, row):
    column = np.int64(-1)
    while True:
        state += GOLDEN
        bits = _mix(state)
        column += 1 + _gap(bits, log_zero)
        if column >= stop:
            return
        if column >= start:
            row[column - start] = -1.0 if bits & np.uint64(1) else 1.0


@numba.njit(cache=True, nogil=True)
def _fill_sparse_columns(states, start, stop, log_zero, matrix, begin, end):
    for i in range(begin, end):
        _row_columns(states[i], start, stop, log_zero, matrix[i])


@numba.njit(cache=True, nogil=True)
def _fill_gaussian(states, start, matrix, begin, end):
    width = matrix.shape[1]
    for i in range(begin, end):
        for j in range(0, width, 2):
            # Box and Muller's pair number p of the row, reached directly, whatever block it is asked for in.
            counter = np.uint64(start + j)
            first = _mix(states[i] + (counter + np.uint64(1)) * GOLDEN)
            second = _mix(states[i] + (counter + np.uint64(2)) * GOLDEN)
            radius = math.sqrt(-2.0 * math.log(_uniform(first)))
            angle = 2.0 * math.pi * _uniform(second)
            matrix[i, j] = radius * math.cos(angle)
            if j + 1 < width:
                matrix[i, j + 1] = radius * math.sin(angle)


@numba.njit(cache=True, nogil=True)
def _fill_uniform(states, matrix, begin, end):
    for i in range(begin, end):
        for j in range(matrix.shape[1]):
            matrix[i, j] = 2.0 * _uniform(_mix(states[i] + np.uint64(j + 1) * GOLDEN)) - 1.0


@numba.njit(cache=True, nogil=True)
def _dense(indptr, entries, start, stop, matrix, begin, end):
    for i in range(begin, end):
        for at in range(indptr[i], indptr[i + 1]):
            column = entries[at] >> 1
            if start <= column < stop:
                matrix[i, column - start] = -1.0 if entries[at] & 1 else 1.0


@numba.njit(cache=True, nogil=True)
def _count_columns(indptr, entries, start, stop, kept, begin, end):
    for i in range(begin, end):
        for at in range(indptr[i], indptr[i + 1]):
            kept[i + 1] += start <= entries[at] >> 1 < stop


@numba.njit(cache=True, nogil=True)
def _columns(indptr, entries, start, stop, kept, chosen, begin, end):
    for i in range(begin, end):
        place = kept[i]
        for at in range(indptr[i], indptr[i + 1]):
            if start <= entries[at] >> 1 < stop:
                chosen[place] = entries[at] - 2 * start
                place += 1
