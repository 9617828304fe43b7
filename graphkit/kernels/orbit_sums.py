"""Sums over the triangles and 4-cycles of every edge of a simple graph, from which orbits are counted.

A node is above another if it has more neighbours, or as many and a larger number. Triangles and 4-cycles are found from
the upper one of an edge's ends, by looking through the neighbours of the lower one: O(sum over edges of the smaller
degree), which is O(arboricity m) and, on a star, O(m). Reference: Chiba, Nishizeki: Arboricity and Subgraph Listing
Algorithms, SIAM Journal on Computing 14(1), 1985.

All work is cut by edges and not by rows, so that a hub is shared out too.
"""

from __future__ import annotations

import numba
import numpy as np

from graphkit.graph import threads
from graphkit.graph.threads import go_on, in_ranges, in_threads

MOST_COPIES = 8  # threads that count 4-cycles, each in an array of its own


def rows_of(indptr) -> np.ndarray:
    """(2m,) int32 row of every entry."""
    return np.repeat(np.arange(len(indptr) - 1, dtype=np.int32), np.diff(indptr))


def reverse_of(indptr, indices) -> np.ndarray:
    """(2m,) int64 place of the same edge in the row of its other end; rows are ascending."""
    place, out = indptr[:-1].copy(), np.empty(len(indices), np.int64)
    rows = rows_of(indptr)
    threads.in_order(lambda begin, end: _reverse(indptr, indices, rows, place, begin, end, out), len(indices))
    return out


def triangles_of(indptr, indices, reverse, room=lambda count: None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(2m,) int64 triangles of every entry; (2m + 1,) int64 starts of the int32 lists of common neighbours of the edges
    u < v, ascending.

    ``room`` is told how many entries the lists have before they are made, to refuse too many.
    """
    rows, degree = rows_of(indptr), np.diff(indptr)
    other = degree[indices]
    upper = (degree[rows] > other) | ((degree[rows] == other) & (rows > indices))
    cost = 1 + np.where(upper, other, 0)
    counts, none = np.zeros(len(indices), np.int64), (np.empty(0, np.int64), np.empty(0, np.int32))
    marks = dict(cost=cost, scratch=lambda: np.full(len(degree), -1, np.int32))
    in_ranges(
        lambda a, b, mark: _common(indptr, indices, rows, upper, reverse, mark, a, b, counts, *none),
        len(indices),
        **marks,
    )
    starts = np.concatenate([[0], np.cumsum(counts)])
    room(int(starts[-1]))
    lists = starts, np.empty(starts[-1], np.int32)
    in_ranges(
        lambda a, b, mark: _common(indptr, indices, rows, upper, reverse, mark, a, b, counts, *lists),
        len(indices),
        **marks,
    )
    return counts + counts[reverse], *lists


def triangle_sums(indptr, indices, reverse, triangles, starts, common) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(2m,) int64 of the entry u, v over its triangles u, v, x: sum of T[u, x], sum of the degrees of x, and the edges
    among the x.

    Time: the entries of the lists for each entry u, x of every triangle.
    """
    rows, degree = rows_of(indptr), np.diff(indptr)
    # For the edges among the common neighbours every list of the row is read, once for each triangle of the edge that
    # it belongs to.
    inner = np.zeros(len(indices), np.int64)
    in_ranges(
        lambda a, b, place: _inner_work(indptr, indices, rows, reverse, triangles, starts, common, place, a, b, inner),
        len(indices),
        cost=1 + triangles,
        scratch=lambda: np.full(len(degree), -1, np.int64),
    )
    sums, degrees, edges = np.zeros((3, len(indices)), np.int64)

    def work(begin, end, own):
        _triangle_sums(
            indptr, indices, rows, degree, reverse, triangles, starts, common, *own, begin, end, sums, degrees, edges
        )

    def scratch():
        return np.full(len(degree), -1, np.int64), np.full(len(degree), -1, np.int32)

    in_ranges(work, len(indices), cost=1 + triangles + inner, scratch=scratch)
    lower = rows > indices
    edges[lower] = edges[reverse[lower]]
    return sums, degrees, edges


def four_cycles(indptr, indices, reverse) -> np.ndarray:
    """(2m,) int64 number of 4-cycles, with chords or without, that every edge is on.

    A cycle is counted at its uppermost node, from both of the wedges that make it up. O(sum over edges of the smaller
    degree) time; a count for every entry and thread, of at most :data:`MOST_COPIES`, memory.
    """
    n, degree = len(indptr) - 1, np.diff(indptr)
    rows = rows_of(indptr)
    other = degree[indices]
    upper = (degree[rows] > other) | ((degree[rows] == other) & (rows > indices))
    work = np.concatenate([[0], np.cumsum(np.where(upper, other, 0))])
    cost = work[indptr[1:]] - work[indptr[:-1]] + degree
    rank = np.empty(n, np.int64)
    rank[np.lexsort((np.arange(n), degree))] = np.arange(n)
    copies = min(threads.num_threads(), MOST_COPIES)
    bounds = threads.ranges(n, cost=cost)
    totals, numbers = [np.zeros(len(indices), np.int64) for _ in range(copies)], iter(range(len(bounds) - 1))

    def one(copy: int) -> None:
        reached = np.zeros(n, np.int64)
        for k in numbers:
            go_on()
            begin, end = int(bounds[k]), int(bounds[k + 1])
            if end - begin > 1 or cost[begin] <= threads.STEPS:
                _cycles(indptr, indices, upper, reverse, rank, begin, end, reached, totals[copy])
                continue
            # A single node with more than a piece of work: its edges are taken a few at a time, once for each phase.
            cuts = indptr[begin] + threads.ranges(
                int(degree[begin]), cost=np.where(upper, other, 0)[indptr[begin] : indptr[end]]
            )
            for phase in range(3):
                for first, last in zip(cuts[:-1], cuts[1:]):
                    go_on()
                    _phase(phase, indptr, indices, upper, reverse, rank, begin, first, last, reached, totals[copy])

    in_threads(one, copies)
    found = sum(totals[1:], totals[0])
    return found + found[reverse]


@numba.njit(cache=True, nogil=True)
def _reverse(indptr, indices, rows, place, begin, end, out):
    for e in range(begin, end):
        out[e] = place[indices[e]]
        place[indices[e]] += 1


@numba.njit(cache=True, nogil=True)
def _common(indptr, indices, rows, upper, reverse, mark, begin, end, counts, starts, common):
    """Count the common neighbours of the edges among begin .. end whose row is the upper end, or list them where there
    is room.

    What is found is written at the place of the edge from the smaller to the larger number.
    """
    for e in range(begin, end):
        if not upper[e]:
            continue
        u, v = rows[e], indices[e]
        if indptr[v + 1] - indptr[v] < 2:
            continue
        if mark[indices[indptr[u]]] != u:
            for f in range(indptr[u], indptr[u + 1]):
                mark[indices[f]] = u
        at = e if u < v else reverse[e]
        found = 0
        for f in range(indptr[v], indptr[v + 1]):
            if mark[indices[f]] == u:
                if len(starts) > 0:
                    common[starts[at] + found] = indices[f]
                found += 1
        counts[at] = found


@numba.njit(cache=True, nogil=True)
def _inner_work(indptr, indices, rows, reverse, triangles, starts, common, place, begin, end, out):
    """Steps that :func:`_triangle_sums` takes for each edge u < v among begin .. end."""
    for e in range(begin, end):
        u, v = rows[e], indices[e]
        if v < u or triangles[e] == 0:
            continue
        if place[v] != e:  # the row is another than before
            for f in range(indptr[u], indptr[u + 1]):
                place[indices[f]] = f
        for at in range(starts[e], starts[e + 1]):
            out[e] += triangles[place[common[at]]]


@numba.njit(cache=True, nogil=True)
def _triangle_sums(
    indptr, indices, rows, degree, reverse, triangles, starts, common, place, mark, begin, end, sums, degrees, edges
):
    for e in range(begin, end):
        u, v = rows[e], indices[e]
        if triangles[e] == 0:
            continue
        if place[v] != e:
            for f in range(indptr[u], indptr[u + 1]):
                place[indices[f]] = f
        own = e if u < v else reverse[e]
        total, wide = np.int64(0), np.int64(0)
        for at in range(starts[own], starts[own + 1]):
            x = common[at]
            total += triangles[place[x]]
            wide += degree[x]
        sums[e], degrees[e] = total, wide
        if v < u or triangles[e] < 2:
            continue
        for at in range(starts[e], starts[e + 1]):
            mark[common[at]] = v
        twice = np.int64(0)
        for at in range(starts[e], starts[e + 1]):
            x = common[at]
            f = place[x] if u < x else reverse[place[x]]
            for along in range(starts[f], starts[f + 1]):
                if mark[common[along]] == v:
                    twice += 1
        for at in range(starts[e], starts[e + 1]):
            mark[common[at]] = -1
        edges[e] = twice // 2


@numba.njit(cache=True, nogil=True)
def _cycles(indptr, indices, upper, reverse, rank, begin, end, reached, totals):
    for v in range(begin, end):
        for phase in range(3):
            _phase(phase, indptr, indices, upper, reverse, rank, v, indptr[v], indptr[v + 1], reached, totals)


@numba.njit(cache=True, nogil=True)
def _phase(phase, indptr, indices, upper, reverse, rank, v, first, last, reached, totals):
    """Over the wedges v, u, w from v down, u from the entries first .. last of v's row: count those that end at w (0),
    add to both of their edges how many others end there (1), or forget the counts (2)."""
    for e in range(first, last):
        if not upper[e]:
            continue
        u = indices[e]
        for f in range(indptr[u], indptr[u + 1]):
            w = indices[f]
            if rank[w] < rank[v]:
                if phase == 0:
                    reached[w] += 1
                elif phase == 1:
                    others = reached[w] - 1
                    totals[e] += others
                    totals[f] += others
                else:
                    reached[w] = 0
