"""Common neighbours and one-sided neighbours of many pairs of nodes, by merging sorted CSR rows.

For a pair (i, j) the union of N(i) and N(j) falls into three kinds: u in both (``COMMON``), in N(i) alone
(``ONLY_LEFT``) and in N(j) alone (``ONLY_RIGHT``). Time O(|N(i)| + |N(j)|) per pair; what is common takes O(min log
max) where the one row is much longer than the other. Memory O(size of the answer). Rows may be empty.

>>> import numpy as np
>>> rows = Rows(np.array([0, 2, 4, 6]), np.array([1, 2, 0, 2, 0, 1], dtype=np.int32), np.ones(6, dtype=np.uint8))
>>> sets = neighbour_sets(rows, rows, np.array([[0, 1]]))
>>> sets.node.tolist(), sets.kind.tolist()
([0, 1, 2], [2, 1, 0])
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import scipy.sparse

from graphkit.graph.threads import in_ranges

COMMON, ONLY_LEFT, ONLY_RIGHT = 0, 1, 2
SKEWED = 16  # of two rows, the longer is looked up in and not gone through where it is so many times as long


class Rows(NamedTuple):
    """A 0/1 matrix in CSR form whose entries can be switched off.

    indptr: (n + 1,) int64. indices: (nnz,) int32, ascending and distinct within a row. keep: (nnz,) uint8, 0 = entry is
        off.
    """

    indptr: np.ndarray
    indices: np.ndarray
    keep: np.ndarray


class NeighbourSets(NamedTuple):
    """The union of both neighbourhoods of P pairs, row after row.

    ptr: (P + 1,) int64. node: (T,) int32, ascending within a row. kind: (T,) uint8.
    """

    ptr: np.ndarray
    node: np.ndarray
    kind: np.ndarray

    def rows(self) -> np.ndarray:
        """(T,) the pair that each entry belongs to."""
        return np.repeat(np.arange(len(self.ptr) - 1), np.diff(self.ptr))


def neighbour_sets(left: Rows, right: Rows, pairs: np.ndarray) -> NeighbourSets:
    """Return the tagged union of ``left`` row i and ``right`` row j for each of the (P, 2) int64 pairs (i, j)."""
    ptr = _pointers(
        _count_union, left, right, pairs, 2 * (_lengths(left, pairs[:, 0]) + _lengths(right, pairs[:, 1])) + 4
    )
    node, kind = np.empty(ptr[-1], dtype=np.int32), np.empty(ptr[-1], dtype=np.uint8)
    cost = 2 * (_lengths(left, pairs[:, 0]) + _lengths(right, pairs[:, 1])) + 4
    in_ranges(lambda begin, end: _fill_union(*left, *right, pairs, ptr, node, kind, begin, end), len(pairs), cost=cost)
    return NeighbourSets(ptr, node, kind)


def common_neighbours(left: Rows, right: Rows, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (ptr, node) of the intersection of ``left`` row i and ``right`` row j for each pair (i, j)."""
    ptr = _pointers(_count_common, left, right, pairs, _common_cost(left, right, pairs))
    node = np.empty(ptr[-1], dtype=np.int32)
    cost = _common_cost(left, right, pairs)
    in_ranges(lambda begin, end: _fill_common(*left, *right, pairs, ptr, node, begin, end), len(pairs), cost=cost)
    return ptr, node


def common_weight(rows: Rows, pairs: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return (P,) sums of ``weight`` (n,) float64 over the common neighbours of each pair."""
    out = np.zeros(len(pairs))
    in_ranges(
        lambda begin, end: _sum_common(*rows, pairs, weight, out, begin, end),
        len(pairs),
        cost=_common_cost(rows, rows, pairs),
    )
    return out


def sample_one_sided(sets: NeighbourSets, pairs: np.ndarray, limit: int, seed: int) -> tuple[NeighbourSets, np.ndarray]:
    """Thin out one-sided sets of more than ``limit`` members; return the sets left and a (T',) float32 weight per
    entry.

    From a larger set R, ``limit`` members are drawn with replacement, each with weight ``|R| / limit``, duplicates
    summed, so that weighted sums over R stay unbiased. The draw depends on the seed, on the node that owns the set and
    on the other node of the pair: neither on the order of the pairs, nor on the order within a pair.
    """
    weight = np.ones(len(sets.node), dtype=np.float32)
    cost = 3 * np.diff(sets.ptr) + limit
    in_ranges(
        lambda begin, end: _sample(*sets, pairs, limit, np.uint64(seed), weight, begin, end), len(pairs), cost=cost
    )
    chosen = weight > 0
    ptr = np.concatenate([[0], np.cumsum(chosen)])[sets.ptr]
    return NeighbourSets(ptr, sets.node[chosen], sets.kind[chosen]), weight[chosen]


def neighbour_sets_scipy(matrix: scipy.sparse.csr_matrix, pairs: np.ndarray) -> NeighbourSets:
    """The definition by row algebra on a 0/1 SciPy matrix, which tests compare the kernel with."""
    left, right = matrix[pairs[:, 0]].astype(bool), matrix[pairs[:, 1]].astype(bool)
    common = left.multiply(right)
    parts = [common, left > common, right > common]
    rows, nodes, kinds = [], [], []
    for kind, part in enumerate(parts):
        part = part.tocoo()
        rows.append(part.row)
        nodes.append(part.col)
        kinds.append(np.full(part.nnz, kind, dtype=np.uint8))
    row, node, kind = (np.concatenate(values) for values in (rows, nodes, kinds))
    order = np.lexsort((node, row))
    ptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(pairs)))])
    return NeighbourSets(ptr, node[order].astype(np.int32), kind[order])


def _lengths(rows: Rows, nodes: np.ndarray) -> np.ndarray:
    return rows.indptr[nodes + 1] - rows.indptr[nodes]


def _common_cost(left: Rows, right: Rows, pairs: np.ndarray) -> np.ndarray:
    """(P,) steps of the intersection of each pair."""
    a, b = _lengths(left, pairs[:, 0]), _lengths(right, pairs[:, 1])
    short, long = np.minimum(a, b), np.maximum(a, b)
    return np.where(long > SKEWED * short, 24 * short, short + long) + 4


def _pointers(count, left: Rows, right: Rows, pairs: np.ndarray, cost: np.ndarray) -> np.ndarray:
    ptr = np.zeros(len(pairs) + 1, dtype=np.int64)
    in_ranges(lambda begin, end: count(*left, *right, pairs, ptr[1:], begin, end), len(pairs), cost=cost)
    return np.cumsum(ptr)


@numba.njit(cache=True, nogil=True)
def _next(keep, at, end):
    """First position from ``at`` whose entry is on, or ``end``."""
    while at < end and keep[at] == 0:
        at += 1
    return at


@numba.njit(cache=True, nogil=True)
def _count_union(ptr_a, ind_a, keep_a, ptr_b, ind_b, keep_b, pairs, sizes, begin, end):
    for p in range(begin, end):
        end_a, end_b = ptr_a[pairs[p, 0] + 1], ptr_b[pairs[p, 1] + 1]
        a, b = _next(keep_a, ptr_a[pairs[p, 0]], end_a), _next(keep_b, ptr_b[pairs[p, 1]], end_b)
        size = 0
        while a < end_a or b < end_b:
            step_a = b >= end_b or (a < end_a and ind_a[a] <= ind_b[b])
            step_b = a >= end_a or (b < end_b and ind_b[b] <= ind_a[a])
            if step_a:
                a = _next(keep_a, a + 1, end_a)
            if step_b:
                b = _next(keep_b, b + 1, end_b)
            size += 1
        sizes[p] = size


@numba.njit(cache=True, nogil=True)
def _fill_union(ptr_a, ind_a, keep_a, ptr_b, ind_b, keep_b, pairs, ptr, node, kind, begin, end):
    for p in range(begin, end):
        end_a, end_b = ptr_a[pairs[p, 0] + 1], ptr_b[pairs[p, 1] + 1]
        a, b = _next(keep_a, ptr_a[pairs[p, 0]], end_a), _next(keep_b, ptr_b[pairs[p, 1]], end_b)
        out = ptr[p]
        while a < end_a or b < end_b:
            step_a = b >= end_b or (a < end_a and ind_a[a] <= ind_b[b])
            step_b = a >= end_a or (b < end_b and ind_b[b] <= ind_a[a])
            node[out] = ind_a[a] if step_a else ind_b[b]
            kind[out] = COMMON if step_a and step_b else (ONLY_LEFT if step_a else ONLY_RIGHT)
            if step_a:
                a = _next(keep_a, a + 1, end_a)
            if step_b:
                b = _next(keep_b, b + 1, end_b)
            out += 1


@numba.njit(cache=True, nogil=True)
def _place(indices, at, end, value):
    """First place of at .. end whose value is not below ``value``: in steps that double, then by halving."""
    step, low = 1, at
    while at < end and indices[at] < value:
        low, at, step = at + 1, at + step, 2 * step
    high = min(at, end)
    while low < high:
        middle = (low + high) // 2
        if indices[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@numba.njit(cache=True, nogil=True)
def _meet(ind_a, a, end_a, ind_b, b, end_b):
    """The next (a, b) with equal values, from these places on; (end_a, end_b) where there is none.

    A row that is much longer than the other is skipped through, so that a pair with a hub costs its other end and a
    logarithm.
    """
    if end_b - b > SKEWED * (end_a - a):
        while a < end_a:
            b = _place(ind_b, b, end_b, ind_a[a])
            if b < end_b and ind_b[b] == ind_a[a]:
                return a, b
            a += 1
    elif end_a - a > SKEWED * (end_b - b):
        while b < end_b:
            a = _place(ind_a, a, end_a, ind_b[b])
            if a < end_a and ind_a[a] == ind_b[b]:
                return a, b
            b += 1
    else:
        while a < end_a and b < end_b:
            u, v = ind_a[a], ind_b[b]
            if u == v:
                return a, b
            a += u < v
            b += v < u
    return end_a, end_b


@numba.njit(cache=True, nogil=True)
def _count_common(ptr_a, ind_a, keep_a, ptr_b, ind_b, keep_b, pairs, sizes, begin, end):
    for p in range(begin, end):
        end_a, end_b = ptr_a[pairs[p, 0] + 1], ptr_b[pairs[p, 1] + 1]
        a, b = _meet(ind_a, ptr_a[pairs[p, 0]], end_a, ind_b, ptr_b[pairs[p, 1]], end_b)
        size = 0
        while a < end_a and b < end_b:
            size += keep_a[a] != 0 and keep_b[b] != 0
            a, b = _meet(ind_a, a + 1, end_a, ind_b, b + 1, end_b)
        sizes[p] = size


@numba.njit(cache=True, nogil=True)
def _fill_common(ptr_a, ind_a, keep_a, ptr_b, ind_b, keep_b, pairs, ptr, node, begin, end):
    for p in range(begin, end):
        end_a, end_b = ptr_a[pairs[p, 0] + 1], ptr_b[pairs[p, 1] + 1]
        a, b = _meet(ind_a, ptr_a[pairs[p, 0]], end_a, ind_b, ptr_b[pairs[p, 1]], end_b)
        out = ptr[p]
        while a < end_a and b < end_b:
            if keep_a[a] and keep_b[b]:
                node[out] = ind_a[a]
                out += 1
            a, b = _meet(ind_a, a + 1, end_a, ind_b, b + 1, end_b)


@numba.njit(cache=True, nogil=True)
def _sum_common(indptr, indices, keep, pairs, weight, out, begin, end):
    for p in range(begin, end):
        end_a, end_b = indptr[pairs[p, 0] + 1], indptr[pairs[p, 1] + 1]
        a, b = _meet(indices, indptr[pairs[p, 0]], end_a, indices, indptr[pairs[p, 1]], end_b)
        total = 0.0
        while a < end_a and b < end_b:
            if keep[a] and keep[b]:
                total += weight[indices[a]]
            a, b = _meet(indices, a + 1, end_a, indices, b + 1, end_b)
        out[p] = total


@numba.njit(cache=True, nogil=True)
def _mix(value):
    """The finaliser of SplitMix64: a bijection of 64-bit words that passes for random."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def _sample(ptr, node, kind, pairs, limit, seed, weight, begin, end):
    for p in range(begin, end):
        for side in range(1, 3):
            size = 0
            for at in range(ptr[p], ptr[p + 1]):
                size += kind[at] == side
            if size <= limit:
                continue
            members = np.empty(size, dtype=np.int64)
            size = 0
            for at in range(ptr[p], ptr[p + 1]):
                if kind[at] == side:
                    members[size] = at
                    weight[at] = 0.0
                    size += 1
            state = _mix(seed + np.uint64(0x9E3779B97F4A7C15))
            state = _mix(state ^ np.uint64(pairs[p, side - 1]))  # the owner of the set
            state = _mix(state + np.uint64(pairs[p, 2 - side]))
            for _ in range(limit):
                state += np.uint64(0x9E3779B97F4A7C15)
                drawn = np.int64(_mix(state) % np.uint64(size))
                weight[members[drawn]] += size / limit
