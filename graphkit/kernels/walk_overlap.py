"""How much the walks of neighbours end in the same places, from the powers of a 0/1 matrix in CSR form.

H_i^k is the multiset of the ends of all walks of k steps from node i, (A^k)[i, x] times node x. The overlap of i with j at (k1, k2)
counts the entries of H_i^k1 at nodes that H_j^k2 holds too: sum over x with (A^k2)[j, x] > 0 of (A^k1)[i, x].
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import scipy.sparse

from graphkit.errors import UsageError
from graphkit.kernels.threads import in_ranges


class Powers(NamedTuple):
    """A^1 .. A^K, one behind the other.

    indptr: (K, n + 1) int64 into the arrays of all powers. indices: int32 columns, ascending in a row. counts: float64 numbers of
    walks, exact below 2^53. sizes: (K, n) float64, |H_i^k|.
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
                f"--hops {hops}: walks of {k} steps may have {entries:,} pairs of ends, expected at most --max-entries {max_entries:,}; "
                "take fewer hops, more entries (12 bytes each) or --no-exact"
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
    """Return (n,) means over the listed j of sum over k1, k2 of beta^(k1 + k2 - 2) times the overlap of i with j at (k1, k2).

    indptr (n + 1,) int64, indices: the nodes j that node i is compared with. A node without any gets 0.
    """
    out = np.zeros(len(indptr) - 1)
    ends = indptr, indices.astype(np.int32)
    in_ranges(lambda begin, end: _mean_overlaps(*powers[:3], *ends, beta, begin, end, out), len(out))
    return out


@numba.njit(cache=True, nogil=True)
def _mean_overlaps(powers_ptr, columns, counts, indptr, indices, beta, begin, end, out):
    hops, n = powers_ptr.shape[0], powers_ptr.shape[1] - 1
    reached = np.zeros(n)  # sum over k1 of beta^(k1 - 1) (A^k1)[i, x], for the current i
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
