"""Rows of the orbit adjacencies between nodes that are not neighbours, of several keys in one pass over the graph.

All keys of two hops come from the same sums over the wedges u-x-v of a row and the edges inside N(u) & N(v); 3:4-4 adds
the paths of three steps. A piece of rows is counted at a time, so that memory is that of a few pieces; what becomes of
them is the caller's choice.

2:1-1 and 2:6-6 have an entry for nearly every pair of nodes with a common neighbour: the square of a hub's degree is
inherent in them. The other keys need more of v than the wedge's edge, a second neighbour or a triangle on it, and
wedges to other v are not visited: on a star they cost O(m). What is left is the number of wedges whose far end has such
a one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numba
import numpy as np

from graphkit.core.orbit_keys import FURTHER
from graphkit.graph.threads import STEPS, in_threads, num_threads

PIECE = 1 << 21  # entries that a piece has room for, for each key of two hops


def pieces(
    orbits, keys: Sequence[tuple[int, int, int]], report=lambda done, total: None
) -> Iterator[tuple[int, int, dict]]:
    """Yield (first row, row after the last, key -> (sizes, columns, values)) of consecutive rows, for some of
    :data:`FURTHER`.

    orbits: as :func:`graphkit.kernels.orbits.prepare` returns it. sizes (rows,) int64 entries of each row, columns
    int32 ascending within a row, values int64, none 0. O(visited wedges + diamonds) time for keys of two hops, and the
    sum over pairs two hops apart of a degree for 3:4-4.
    """
    wanted = np.array([key in keys for key in FURTHER])
    rest = np.diff(orbits.indptr)[orbits.indices] - 1 - orbits.triangles  # B: wedges that an edge goes on to
    wedges = _Wedges.of(orbits, wanted)
    bounds = _bounds(wedges)
    threads, own = num_threads(), threading.local()
    for first in range(0, len(bounds) - 1, threads):
        found: dict[int, dict] = {}

        def count(place: int, first=first, found=found) -> None:
            begin, end = bounds[first + place], bounds[first + place + 1]
            if not hasattr(own, "scratch"):
                own.scratch = _scratch(len(orbits.indptr) - 1)
            found[place] = _piece(orbits, wanted, rest, wedges, own.scratch, int(begin), int(end))

        number = min(threads, len(bounds) - 1 - first)
        in_threads(count, number)
        for place in range(number):
            yield int(bounds[first + place]), int(bounds[first + place + 1]), found.pop(place)
            report(first + place + 1, len(bounds) - 1)


class _Wedges(NamedTuple):
    """The wedges u-x-v to visit: indptr (n + 1,) of x into entry, the places of its edges to such v.

    room: (n,) entries that a row of two hops can have at most; far: the same of three; work: (n,) steps of a row.
    """

    indptr: np.ndarray
    entry: np.ndarray
    room: np.ndarray
    far: np.ndarray
    work: np.ndarray

    @classmethod
    def of(cls, orbits, wanted) -> _Wedges:
        indptr, indices, triangles = orbits.indptr, orbits.indices, orbits.triangles
        n, degree = len(indptr) - 1, np.diff(indptr)
        if wanted[0] or wanted[5]:
            kept = np.ones(len(indices), bool)
        else:
            kept = degree[indices] > 1 if wanted[3:].any() else triangles > 0
        starts = np.concatenate([[0], np.cumsum(kept)])[indptr]
        number = _sum_over(indptr, np.diff(starts)[indices])
        work, far = number + degree, np.zeros(n, np.int64)
        if wanted[1:].any():  # the lists of common neighbours that a row goes through are among those of its neighbours
            work = work + _sum_over(indptr, _sum_over(indptr, triangles)[indices])
        if wanted[6]:
            onward = np.concatenate([[0], np.cumsum(np.where(kept, degree[indices], 0))])[indptr]
            far = _sum_over(indptr, np.diff(onward)[indices])
            work = work + far
        return cls(starts, np.flatnonzero(kept), np.minimum(number, n), np.minimum(far, n), work)


def _sum_over(indptr, values):
    """(n,) sums over the entries of each row."""
    sums = np.concatenate([[0], np.cumsum(values)])
    return sums[indptr[1:]] - sums[indptr[:-1]]


def _bounds(wedges: _Wedges):
    """Rows that cut the work into pieces of at most about :data:`PIECE` entries of two hops, as many of three, and
    :data:`STEPS` steps.
    """
    cuts = [np.array([0, len(wedges.room)])]
    for amount, most in ((wedges.room + wedges.far // 4 + 1, PIECE), (wedges.work, STEPS)):
        total = np.concatenate([[0], np.cumsum(amount)])
        cuts.append(np.searchsorted(total, np.arange(0, total[-1], most)))
    return np.unique(np.concatenate(cuts))


def _scratch(n: int) -> tuple:
    """What a thread marks nodes and adds up in, all zero between rows: flags, sums, and lists of node numbers."""
    return (
        np.zeros(n, np.bool_),
        *(np.zeros(n, np.int64) for _ in range(6)),
        *(np.empty(n, np.int32) for _ in range(3)),
    )


def _piece(orbits, wanted, rest, wedges: _Wedges, scratch, begin: int, end: int) -> dict:
    """key -> (sizes, columns, values) of rows begin .. end; buffers are as long as the rows could need, and touched as
    far as they do.
    """
    near = int(wedges.room[begin:end].sum()) if wanted[:6].any() else 0
    far = int(wedges.far[begin:end].sum()) if wanted[6] else 0
    columns, values = np.empty((6, near), np.int32), np.empty((6, near), np.int64)
    far_columns, far_values = np.empty(far, np.int32), np.empty(far, np.int64)
    sizes = np.zeros((7, end - begin), np.int64)
    _rows(
        orbits.indptr,
        orbits.indices,
        orbits.triangles,
        orbits.common_ptr,
        orbits.common,
        rest,
        wedges.indptr,
        wedges.entry,
        wanted,
        begin,
        end,
        scratch,
        sizes,
        columns,
        values,
        far_columns,
        far_values,
    )
    found = {}
    for kind in np.flatnonzero(wanted):
        total = int(sizes[kind].sum())
        source = (far_columns, far_values) if kind == 6 else (columns[kind], values[kind])
        found[FURTHER[kind]] = sizes[kind], source[0][:total].copy(), source[1][:total].copy()
    return found


@numba.njit(cache=True, nogil=True)
def _rows(
    indptr,
    indices,
    triangles,
    common_ptr,
    common,
    rest,
    wedge_ptr,
    wedge_entry,
    wanted,
    begin,
    end,
    scratch,
    sizes,
    columns,
    values,
    far_columns,
    far_values,
):
    # beside: u itself and its neighbours. from_t, from_b, to_b: (A T), (A B), (B A) of a row.
    beside, near, inside, from_t, from_b, to_b, far, touched, reached, within = scratch
    inner = wanted[1] or wanted[2] or wanted[3] or wanted[4] or wanted[5] or wanted[6]
    at, far_at = np.zeros(6, np.int64), 0
    for u in range(begin, end):
        beside[u] = True
        for e in range(indptr[u], indptr[u + 1]):
            beside[indices[e]] = True
        count, number = 0, 0
        for e in range(indptr[u], indptr[u + 1]):
            x, b = indices[e], rest[e]
            for g in range(wedge_ptr[x], wedge_ptr[x + 1]):
                f = wedge_entry[g]
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
                        if inside[common[c]] == 0:
                            within[number] = common[c]
                            number += 1
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
            size = _far_row(
                indptr,
                indices,
                beside,
                touched,
                count,
                near,
                inside,
                from_t,
                far,
                reached,
                far_at,
                far_columns,
                far_values,
            )
            sizes[6, u - begin] = size
            far_at += size
        for i in range(count):
            v = touched[i]
            near[v], from_t[v], from_b[v], to_b[v] = 0, 0, 0, 0
        for i in range(number):
            inside[within[i]] = 0
        beside[u] = False
        for e in range(indptr[u], indptr[u + 1]):
            beside[indices[e]] = False


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
    """Put the first ``count`` node numbers in order: by sorting, or where they are many by looking for marks above
    0.
    """
    if count * 16 < len(marks):
        listed[:count].sort()
        return
    at = 0
    for v in range(len(marks)):
        if marks[v] > 0:
            listed[at] = v
            at += 1
