"""Rows of the orbit adjacencies between nodes that are not neighbours, of several keys in one pass over the graph.

All keys of two hops come from the same sums over the wedges u-x-v of a row and the edges inside N(u) & N(v); 3:4-4 adds the paths of
three steps. A piece of rows is counted at a time, so that memory is that of a few pieces; what becomes of them is the caller's choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numba
import numpy as np

from graphkit.kernels.orbit_keys import FURTHER
from graphkit.kernels.threads import in_threads
from graphkit.lazy import torch

PIECE = 1 << 21  # entries that a piece has room for, for each key of two hops


def pieces(orbits, keys: Sequence[tuple[int, int, int]], report=lambda done, total: None) -> Iterator[tuple[int, int, dict]]:
    """Yield (first row, row after the last, key -> (sizes, columns, values)) of consecutive rows, for some of :data:`FURTHER`.

    orbits: as :func:`graphkit.kernels.orbits.prepare` returns it. sizes (rows,) int64 entries of each row, columns int32 ascending
    within a row, values int64, none 0. O(wedges + diamonds) time for keys of two hops, and the sum over pairs two hops apart of a
    degree for 3:4-4.
    """
    n = len(orbits.indptr) - 1
    wanted = np.array([key in keys for key in FURTHER])
    rest = np.diff(orbits.indptr)[orbits.indices] - 1 - orbits.triangles  # B: wedges that an edge goes on to
    room = np.minimum(wedges(orbits.indptr, orbits.indices), n)
    bounds = _bounds(room, n if wanted[6] else 0)
    threads = torch.get_num_threads()
    for first in range(0, len(bounds) - 1, threads):
        found: dict[int, dict] = {}

        def count(place: int, first=first, found=found) -> None:
            begin, end = bounds[first + place], bounds[first + place + 1]
            found[place] = _piece(orbits, wanted, rest, room, int(begin), int(end))

        number = min(threads, len(bounds) - 1 - first)
        in_threads(count, number)
        for place in range(number):
            yield int(bounds[first + place]), int(bounds[first + place + 1]), found.pop(place)
            report(first + place + 1, len(bounds) - 1)


def _bounds(room, width: int):
    """Rows that cut the work into pieces of at most about :data:`PIECE` entries of two hops, and as many of three."""
    work = np.concatenate([[0], np.cumsum(room + width // 4 + 1)])
    cuts = np.arange(0, work[-1] + PIECE, PIECE)
    return np.unique(np.append(np.searchsorted(work, cuts[:-1]), len(room)))


def wedges(indptr, indices):
    """(n,) number of wedges that start at each node, backward ones included."""
    degree = np.diff(indptr)
    sums = np.concatenate([[0], np.cumsum(degree[indices])])
    return sums[indptr[1:]] - sums[indptr[:-1]]


def _piece(orbits, wanted, rest, room, begin: int, end: int) -> dict:
    """key -> (sizes, columns, values) of rows begin .. end; buffers are as long as the rows could need, and touched as far as they do."""
    near = int(room[begin:end].sum()) if wanted[:6].any() else 0
    far = (end - begin) * (len(orbits.indptr) - 1) if wanted[6] else 0
    columns, values = np.empty((6, near), np.int32), np.empty((6, near), np.int64)
    far_columns, far_values = np.empty(far, np.int32), np.empty(far, np.int64)
    sizes = np.zeros((7, end - begin), np.int64)
    _rows(*orbits[:4], orbits.common_ptr, orbits.common, rest, wanted, begin, end, sizes, columns, values, far_columns, far_values)
    found = {}
    for kind in np.flatnonzero(wanted):
        total = int(sizes[kind].sum())
        source = (far_columns, far_values) if kind == 6 else (columns[kind], values[kind])
        found[FURTHER[kind]] = sizes[kind], source[0][:total].copy(), source[1][:total].copy()
    return found


@numba.njit(cache=True, nogil=True)
def _rows(indptr, indices, reverse, triangles, common_ptr, common, rest, wanted, begin, end, sizes, columns, values, far_columns,
          far_values):  # fmt: skip
    n = len(indptr) - 1
    beside = np.zeros(n, np.bool_)  # u itself and its neighbours
    near, inside = np.zeros(n, np.int64), np.zeros(n, np.int64)
    from_t, from_b, to_b = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)  # (A T), (A B), (B A) of a row
    far, touched, reached = np.zeros(n, np.int64), np.empty(n, np.int32), np.empty(n, np.int32)
    inner = wanted[1] or wanted[2] or wanted[3] or wanted[4] or wanted[5] or wanted[6]
    at, far_at = np.zeros(6, np.int64), 0
    for u in range(begin, end):
        beside[u] = True
        for e in range(indptr[u], indptr[u + 1]):
            beside[indices[e]] = True
        count = 0
        for e in range(indptr[u], indptr[u + 1]):
            x, b = indices[e], rest[e]
            for f in range(indptr[x], indptr[x + 1]):
                v = indices[f]
                if not beside[v]:
                    if near[v] == 0:
                        touched[count] = v
                        count += 1
                    near[v] += 1
                    from_t[v] += triangles[f]
                    from_b[v] += rest[f]
                    to_b[v] += b
                elif inner and x < v and v != u:
                    for c in range(common_ptr[f], common_ptr[f + 1]):
                        inside[common[c]] += 1
        _ascending(touched, count, near)
        for i in range(count):
            v = touched[i]
            w, q, t = near[v], inside[v], from_t[v]
            square, paw = w * (w - 1) // 2 - q, t - 2 * q
            for kind in range(6):
                if wanted[kind]:
                    if kind == 0:
                        value = w
                    elif kind == 1:
                        value = q
                    elif kind == 2:
                        value = paw
                    elif kind == 3:
                        value = square
                    elif kind == 4:
                        value = from_b[v] - 2 * square
                    else:
                        value = to_b[v] - w - paw
                    if value != 0:
                        columns[kind, at[kind]], values[kind, at[kind]] = v, value
                        at[kind] += 1
                        sizes[kind, u - begin] += 1
        if wanted[6]:
            size = _far_row(indptr, indices, beside, touched, count, near, inside, from_t, far, reached, far_at, far_columns, far_values)
            sizes[6, u - begin] = size
            far_at += size
        for i in range(count):
            v = touched[i]
            near[v], from_t[v], from_b[v], to_b[v] = 0, 0, 0, 0
        _forget(indptr, indices, u, beside, inside, inner)


@numba.njit(cache=True, nogil=True)
def _forget(indptr, indices, u, beside, inside, inner):
    """Clear the marks of u and its neighbours, and where asked to the counts of theirs."""
    beside[u] = False
    for e in range(indptr[u], indptr[u + 1]):
        x = indices[e]
        beside[x] = False
        if inner:
            for f in range(indptr[x], indptr[x + 1]):
                inside[indices[f]] = 0


@numba.njit(cache=True, nogil=True)
def _far_row(indptr, indices, beside, touched, count, near, inside, from_t, far, reached, start, columns, values):
    """Write the row of 3:4-4 and return how many entries it has."""
    size, number = 0, 0
    for i in range(count):
        k = touched[i]
        w = near[k]
        for f in range(indptr[k], indptr[k + 1]):
            v = indices[f]
            if far[v] == 0:
                reached[number] = v
                number += 1
            far[v] += w
    _ascending(reached, number, far)
    for i in range(number):
        v = reached[i]
        if not beside[v]:
            value = far[v] - from_t[v] + 2 * inside[v] if near[v] > 0 else far[v]
            if value != 0:
                columns[start + size], values[start + size] = v, value
                size += 1
        far[v] = 0
    return size


@numba.njit(cache=True, nogil=True)
def _ascending(listed, count, marks):
    """Put the first ``count`` node numbers in order: by sorting, or where they are many by looking for marks above 0."""
    if count * 16 < len(marks):
        listed[:count].sort()
        return
    at = 0
    for v in range(len(marks)):
        if marks[v] > 0:
            listed[at] = v
            at += 1
