"""How much the walks of neighbours end in the same places, from the powers of a 0/1 matrix in CSR form.

H_i^k is the multiset of the ends of all walks of k steps from node i, (A^k)[i, x] times node x. The overlap of i with j
at (k1, k2) counts the entries of H_i^k1 at nodes that H_j^k2 holds too: sum over x with (A^k2)[j, x] > 0 of (A^k1)[i,
x].

Walks that never use the edge i-j follow from the same powers: with B = A without the edge,
B^k[i] = A^k[i] - sum over s < k of (B^s[i, i] A^(k-1-s)[j] + B^s[i, j] A^(k-1-s)[i]), split by where the last use of it
would be.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import scipy.sparse

from graphkit.core.errors import UsageError
from graphkit.graph.threads import in_ranges


class Powers(NamedTuple):
    """A^1 .. A^K, one behind the other.

    indptr: (K, n + 1) int64 into the arrays of all powers. indices: int32 columns, ascending in a row. counts: float64
    numbers of walks, exact below 2^53. sizes: (K, n) float64, |H_i^k|.
    """

    indptr: np.ndarray
    indices: np.ndarray
    counts: np.ndarray
    sizes: np.ndarray


def walk_powers(matrix: scipy.sparse.csr_array, hops: int, max_entries: int) -> Powers:
    """Return the powers of an (n, n) 0/1 matrix up to ``hops``; O(their entries) memory.

    Raises :class:`UsageError` before a power is computed that could have more than ``max_entries`` entries.
    """
    first = scipy.sparse.csr_array(matrix, dtype=np.float64)
    first.sort_indices()
    degree, powers = np.diff(first.indptr), [first]
    for k in range(2, hops + 1):
        # Row i of the next power has at most as many entries as its nodes have neighbours together, and at most n.
        entries = np.minimum(_support(powers[-1]) @ degree.astype(np.int64), first.shape[0]).sum()
        if entries > max_entries:
            raise UsageError(
                f"--hops {hops}: walks of {k} steps may have {entries:,} pairs of ends, expected at most --max-entries"
                f" {max_entries:,}; take fewer hops, more entries (12 bytes each) or --no-exact"
            )
        power = scipy.sparse.csr_array(powers[-1] @ first)
        power.sort_indices()
        powers.append(power)
    starts = np.cumsum([0, *(power.nnz for power in powers)])
    return Powers(
        np.stack([power.indptr.astype(np.int64) + start for power, start in zip(powers, starts)]),
        np.concatenate([power.indices for power in powers]).astype(np.int32),
        np.concatenate([power.data for power in powers]),
        np.stack([np.asarray(power.sum(axis=1)).ravel() for power in powers]),
    )


def _support(matrix) -> scipy.sparse.csr_array:
    return scipy.sparse.csr_array((np.ones(matrix.nnz, np.int64), matrix.indices, matrix.indptr), shape=matrix.shape)


def mean_overlaps(powers: Powers, indptr: np.ndarray, indices: np.ndarray, beta: float) -> np.ndarray:
    """Return (n,) means over the listed j of sum over k1, k2 of beta^(k1 + k2 - 2) times the overlap of i with j at
    (k1, k2).

    indptr (n + 1,) int64, indices: the nodes j that node i is compared with. A node without any gets 0.
    """
    out = np.zeros(len(indptr) - 1)
    ends = indptr, indices.astype(np.int32)
    entries = np.diff(powers.indptr, axis=1).sum(axis=0)
    cost = np.concatenate([[0], np.cumsum(entries[ends[1]])])
    cost = cost[indptr[1:]] - cost[indptr[:-1]] + 2 * entries + 1
    in_ranges(
        lambda a, b, reached: _mean_overlaps(*powers[:3], *ends, beta, a, b, reached, out),
        len(out),
        cost=cost,
        scratch=lambda: np.zeros(len(powers.indptr[0]) - 1),
    )
    return out


@numba.njit(cache=True, nogil=True)
def _mean_overlaps(powers_ptr, columns, counts, indptr, indices, beta, begin, end, reached, out):
    hops = powers_ptr.shape[0]
    # reached: sum over k1 of beta^(k1 - 1) (A^k1)[i, x], for the current i; zeros before and after
    for i in range(begin, end):
        if indptr[i] == indptr[i + 1]:
            continue
        weight = 1.0
        for k in range(hops):
            for at in range(powers_ptr[k, i], powers_ptr[k, i + 1]):
                reached[columns[at]] += weight * counts[at]
            weight *= beta
        total = 0.0
        for e in range(indptr[i], indptr[i + 1]):
            j, weight = indices[e], 1.0
            for k in range(hops):
                for at in range(powers_ptr[k, j], powers_ptr[k, j + 1]):
                    total += weight * reached[columns[at]]
                weight *= beta
        out[i] = total / (indptr[i + 1] - indptr[i])
        for k in range(hops):
            for at in range(powers_ptr[k, i], powers_ptr[k, i + 1]):
                reached[columns[at]] = 0.0


def mean_concentrations(
    powers: Powers, indptr: np.ndarray, indices: np.ndarray, beta: float, apart: bool
) -> np.ndarray:
    """Return (n,) means over the listed j of the overlap of i with j over its largest value, NaN where there is none.

    Both are sums over k1, k2 of beta^(k1 + k2 - 2): of the overlap at (k1, k2), and of |H_i^k1|. apart: i and j are
    compared without the edge between them, where there is one. Time O(hops) for each entry of the powers in row j, for
    each listed j.
    """
    out = np.full(len(indptr) - 1, np.nan)
    ends = indptr, indices.astype(np.int32)
    in_ranges(lambda begin, end: _mean_concentrations(*powers, *ends, beta, apart, begin, end, out), len(out))
    return out


@numba.njit(cache=True, nogil=True)
def _mean_concentrations(powers_ptr, columns, counts, sizes, indptr, indices, beta, apart, begin, end, out):
    hops, n = powers_ptr.shape[0], powers_ptr.shape[1] - 1
    own, other = np.zeros((hops + 1, n)), np.zeros((hops + 1, n))  # rows i and j of A^0 .. A^hops
    steps = beta ** np.arange(hops)
    for i in range(begin, end):
        if indptr[i] == indptr[i + 1]:
            continue
        _scatter(own, powers_ptr, columns, counts, i, True)
        total, pairs = 0.0, 0
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            _scatter(other, powers_ptr, columns, counts, j, True)
            without = apart and i != j and own[1, j] > 0
            # B^k[i] = sum over m of mine[k, 0, m] A^m[i] + mine[k, 1, m] A^m[j]; theirs: the same of j, with the two in
            # exchange
            mine, theirs = _walks_apart(own, other, i, j, hops, without), _walks_apart(other, own, j, i, hops, without)
            weighted = np.zeros((2, hops + 1))
            size = 0.0
            for k in range(1, hops + 1):
                for m in range(hops + 1):
                    weighted[0, m] += steps[k - 1] * mine[k, 0, m]
                    weighted[1, m] += steps[k - 1] * mine[k, 1, m]
            for m in range(hops + 1):
                size += weighted[0, m] * (sizes[m - 1, i] if m else 1.0) + weighted[1, m] * (
                    sizes[m - 1, j] if m else 1.0
                )
            if size > 0.5:  # at least one neighbour, of weight 1
                total += _overlap(own, other, powers_ptr, columns, j, weighted, theirs, steps) / (size * steps.sum())
                pairs += 1
            _scatter(other, powers_ptr, columns, counts, j, False)
        _scatter(own, powers_ptr, columns, counts, i, False)
        if pairs:
            out[i] = total / pairs


@numba.njit(cache=True, nogil=True)
def _scatter(rows, powers_ptr, columns, counts, node, fill):
    """Write row ``node`` of A^0 .. A^hops into the dense rows, or clear it."""
    rows[0, node] = 1.0 if fill else 0.0
    for k in range(powers_ptr.shape[0]):
        for at in range(powers_ptr[k, node], powers_ptr[k, node + 1]):
            rows[k + 1, columns[at]] = counts[at] if fill else 0.0


@numba.njit(cache=True, nogil=True)
def _walks_apart(own, other, i, j, hops, without):
    """(hops + 1, 2, hops + 1) factors of row i of B^k by rows i and j of A^m; exact, as all of them are whole
    numbers.
    """
    factors = np.zeros((hops + 1, 2, hops + 1))
    back, across = np.zeros(hops + 1), np.zeros(hops + 1)  # B^k[i, i] and B^k[i, j]
    for k in range(hops + 1):
        factors[k, 0, k] = 1.0
        if without:
            for s in range(k):
                factors[k, 1, k - 1 - s] -= back[s]
                factors[k, 0, k - 1 - s] -= across[s]
        for m in range(k + 1):
            back[k] += factors[k, 0, m] * own[m, i] + factors[k, 1, m] * other[m, i]
            across[k] += factors[k, 0, m] * own[m, j] + factors[k, 1, m] * other[m, j]
    return factors


@numba.njit(cache=True, nogil=True)
def _overlap(own, other, powers_ptr, columns, j, weighted, theirs, steps):
    """Sum over k2 of beta^(k2 - 1) times the weighted walks of i that end where those of j of k2 steps do."""
    hops, total = len(steps), 0.0
    for k in range(1, hops + 1):
        for at in range(powers_ptr[k - 1, j], powers_ptr[k - 1, j + 1]):
            x = columns[at]
            reached, ends = 0.0, 0.0
            for m in range(hops + 1):
                reached += theirs[k, 0, m] * other[m, x] + theirs[k, 1, m] * own[m, x]
                ends += weighted[0, m] * own[m, x] + weighted[1, m] * other[m, x]
            if reached > 0.5:  # a number of walks
                total += steps[k - 1] * ends
    return total
