"""Orbit adjacencies of graphlets of 2 to 4 nodes: in how many induced subgraphs two nodes sit on two orbits, a given hop apart.

A key (h, a, b) names the hop distance inside the graphlet and the orbits of the row's and the column's node, orbits numbered 0 to 14
as Przulj does. 20 keys are counted; 12 of them are symmetric, the transposes of the other 8 complete the 28 matrices.
Reference: Windels, Malod-Dognin, Przulj, Graphlets correct for the topological information missed by random walks, 2024.

With T the triangles of an edge and B[u, v] = d_v - 1 - T[u, v] the wedges that go on at v, every count follows from sums over the
wedges u-x-v of a row, and from the edges inside N(u) & N(v). The latter are found through the lists of common neighbours of each
edge, so that the work is the number of wedges plus the number of diamonds; key 3:4-4 adds the paths of three steps.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
import scipy.sparse

from graphkit.errors import UsageError
from graphkit.kernels import orbit_rows
from graphkit.kernels.orbit_keys import FURTHER, KEYS, ONE_HOP, name_of
from graphkit.kernels.threads import in_threads

EDGE_ORBITS = ONE_HOP[1:]
# Orbit a of a node = sum of its row in the matrix (1, a, b), over the number of nodes on b beside a node on a.
NODE_SUMS = ((0, 0, False, 1), (1, 1, False, 1), (3, 2, False, 2), (4, 3, False, 1), (5, 3, True, 1), (6, 5, False, 1),
             (7, 5, True, 3), (8, 6, False, 2), (9, 7, False, 1), (10, 8, False, 1), (11, 7, True, 1), (12, 10, False, 2),
             (13, 11, False, 1), (14, 12, False, 3))  # fmt: skip
LARGEST = np.iinfo(np.int64).max


class TooLarge(UsageError):
    """A result would take more than it may."""


class Orbits(NamedTuple):
    """What every count needs of a simple graph.

    indptr (n + 1,) int64, indices (2m,) int32: neighbours, ascending. reverse (2m,) int64: place of the edge the other way round.
    triangles (2m,) int64. common_ptr (2m + 1,) int64 into common, int32: the common neighbours of the edges u < v, else none.
    bounds: rows that cut the work into about equal pieces. max_bytes: what one result may take.
    """

    indptr: np.ndarray
    indices: np.ndarray
    reverse: np.ndarray
    triangles: np.ndarray
    common_ptr: np.ndarray
    common: np.ndarray
    bounds: np.ndarray
    max_bytes: int


def prepare(matrix: scipy.sparse.csr_array, max_bytes: int = 1 << 62) -> Orbits:
    """Count the triangles of a symmetric (n, n) 0/1 matrix without diagonal and list them; raises :class:`TooLarge` for too many."""
    indptr, indices = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32)
    n, entries = len(indptr) - 1, len(indices)
    work = np.concatenate([[0], np.cumsum(orbit_rows.wedges(indptr, indices) + 1)])
    bounds = np.unique(np.searchsorted(work, np.linspace(0, work[-1], min(n, 64) + 1))).astype(np.int64)
    triangles, none = np.zeros(entries, np.int64), np.empty(0, np.int64)
    _ranges(bounds, lambda begin, end: _common(indptr, indices, begin, end, triangles, none, np.empty(0, np.int32)))
    common_ptr = np.concatenate([[0], np.cumsum(triangles)])
    require_room("the lists of triangles", 4 * int(common_ptr[-1]), max_bytes)
    common = np.empty(common_ptr[-1], np.int32)
    _ranges(bounds, lambda begin, end: _common(indptr, indices, begin, end, triangles, common_ptr, common))
    reverse = _reverse(indptr, indices)
    triangles += triangles[reverse]
    return Orbits(indptr, indices, reverse, triangles, common_ptr, common, bounds, max_bytes)


def one_hop(orbits: Orbits, report=lambda done, total: None) -> np.ndarray:
    """(13, 2m) int64 counts of :data:`ONE_HOP` at the places of the edges; O(wedges + diamonds) time."""
    require_room("the counts of edges", 13 * 8 * len(orbits.indices), orbits.max_bytes)
    out = np.zeros((13, len(orbits.indices)), np.int64)
    sums = _sums(orbits)
    _ranges(orbits.bounds, lambda begin, end: _one_hop(*orbits[:6], *sums, begin, end, out), report)
    return out


def node_orbits(orbits: Orbits, counts: np.ndarray) -> np.ndarray:
    """(n, 15) int64 orbits of nodes from :func:`one_hop`; raises :class:`UsageError` for a count beyond 63 bits."""
    out = np.zeros((len(orbits.indptr) - 1, 15), np.int64)
    for orbit, at, transposed, factor in NODE_SUMS:
        values = counts[at][orbits.reverse] if transposed else counts[at]
        if not _row_sums(orbits.indptr, values, factor, out[:, orbit]):
            raise UsageError(f"orbit {orbit}: found a count beyond 63 bits, expected a graph with smaller hubs")
    twice = np.zeros(len(out), np.int64)  # every wedge centred at v, from both ends
    if not _row_sums(orbits.indptr, counts[1][orbits.reverse], 2, twice):
        raise UsageError("orbit 2: found a count beyond 63 bits, expected a graph with smaller hubs")
    out[:, 2] = twice
    return out


def edge_orbits(orbits: Orbits, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(m, 2) edges u < v and their (m, 12) int64 orbits, in the order of :data:`EDGE_ORBITS`."""
    source = np.repeat(np.arange(len(orbits.indptr) - 1), np.diff(orbits.indptr))
    upper = np.flatnonzero(source < orbits.indices)
    columns = [counts[at][upper] + (counts[at][orbits.reverse[upper]] if key[1] != key[2] else 0) for at, key in enumerate(ONE_HOP)]
    return np.stack([source[upper], orbits.indices[upper]], axis=1), np.stack(columns[1:], axis=1)


def adjacency_of(orbits: Orbits, key: tuple[int, int, int], counts: np.ndarray | None = None, report=lambda done, total: None):
    """The (n, n) int64 CSR matrix of a key of :data:`KEYS` or the transpose of one, zeros left out.

    ``counts`` is :func:`one_hop`'s answer, for its keys. Raises :class:`TooLarge` as soon as it takes more than ``max_bytes``.
    """
    n = len(orbits.indptr) - 1
    if key not in KEYS and key[0] > 1:
        return adjacency_of(orbits, (key[0], key[2], key[1]), counts, report).T.tocsr()
    if key[0] == 1:
        counts = one_hop(orbits) if counts is None else counts
        values = counts[ONE_HOP.index(key)] if key in KEYS else counts[ONE_HOP.index((1, key[2], key[1]))][orbits.reverse]
        matrix = scipy.sparse.csr_array((values, orbits.indices, orbits.indptr), shape=(n, n), copy=True)
        matrix.eliminate_zeros()
        return matrix
    return sum_of(orbits, [key], counts, report)


def sum_of(orbits: Orbits, keys: Sequence[tuple[int, int, int]], counts: np.ndarray | None = None, report=lambda done, total: None):
    """The sum of :func:`adjacency_of` of some keys, without the matrices of :data:`FURTHER` one by one; raises :class:`TooLarge`."""
    further = [key for key in keys if key in FURTHER]
    wholes = [adjacency_of(orbits, key, counts) for key in keys if key not in FURTHER]
    if not further:
        return functools.reduce(operator.add, wholes)
    n, name = len(orbits.indptr) - 1, " + ".join(map(name_of, keys))
    sizes, columns, values, entries = [np.zeros(1, np.int64)], np.empty(0, np.int32), np.empty(0, np.int64), 0
    for first, last, found in orbit_rows.pieces(orbits, further, report):
        shape = last - first, n
        parts = (scipy.sparse.csr_array((v, c, np.append(0, np.cumsum(rows))), shape=shape) for rows, c, v in found.values())
        piece = functools.reduce(operator.add, [*parts, *(whole[first:last] for whole in wholes)])
        begin, entries = entries, entries + piece.nnz
        require_room(f"{name} of {entries:,} entries or more", 12 * entries, orbits.max_bytes)
        sizes.append(np.diff(piece.indptr))
        for whole, part in zip((columns, values), (piece.indices, piece.data)):
            if entries > len(whole):  # in place: the system moves the pages of a large array, and nothing is held twice
                whole.resize(entries + entries // 16, refcheck=False)
            whole[begin:entries] = part
    for whole in (columns, values):
        whole.resize(entries, refcheck=False)
    return scipy.sparse.csr_array((values, columns, np.cumsum(np.concatenate(sizes))), shape=(n, n))


def require_room(what: str, needed: int, allowed: int) -> None:
    """Raise :class:`TooLarge` where a result needs more bytes than it may take."""
    if needed > allowed:
        found = f"{what} takes {needed / 1e9:.3g} GB"
        raise TooLarge(f"--max-memory: {found}, expected at most {allowed / 1e9:.3g} GB; raise it or ask for less")


def _ranges(bounds, work, report=lambda done, total: None) -> None:
    """``work(begin, end)`` over all rows in threads; the rows are cut so that one of many wedges is a piece by itself."""
    done = 0

    def piece(k: int) -> None:
        nonlocal done
        work(bounds[k], bounds[k + 1])
        done += 1
        report(done, len(bounds) - 1)

    in_threads(piece, len(bounds) - 1)


def _wedge_rest(orbits: Orbits):
    """B: (2m,) number of wedges that an edge goes on to, its end left out."""
    return np.diff(orbits.indptr)[orbits.indices] - 1 - orbits.triangles


def _sums(orbits: Orbits):
    """B with r_v and s_v, the sums of the rows of B and T."""
    rest = _wedge_rest(orbits)
    ends = orbits.indptr[1:], orbits.indptr[:-1]
    r, s = (np.concatenate([[0], np.cumsum(values)]) for values in (rest, orbits.triangles))
    return rest, r[ends[0]] - r[ends[1]], s[ends[0]] - s[ends[1]]


@numba.njit(cache=True, nogil=True)
def _reverse(indptr, indices):
    place, out = indptr[:-1].copy(), np.empty(len(indices), np.int64)
    for u in range(len(indptr) - 1):
        for e in range(indptr[u], indptr[u + 1]):
            out[e] = place[indices[e]]
            place[indices[e]] += 1
    return out


@numba.njit(cache=True, nogil=True)
def _common(indptr, indices, begin, end, triangles, common_ptr, common):
    """Count the common neighbours of the edges u < v, or list them where there is room for the lists."""
    mark = np.full(len(indptr) - 1, -1, np.int64)
    for u in range(begin, end):
        for e in range(indptr[u], indptr[u + 1]):
            mark[indices[e]] = u
        for e in range(indptr[u], indptr[u + 1]):
            v = indices[e]
            if v < u:
                continue
            found = 0
            for f in range(indptr[v], indptr[v + 1]):
                if mark[indices[f]] == u:
                    if len(common_ptr) > 0:
                        common[common_ptr[e] + found] = indices[f]
                    found += 1
            triangles[e] = found


@numba.njit(cache=True, nogil=True)
def _row_sums(indptr, values, factor, out):
    for u in range(len(indptr) - 1):
        total = np.int64(0)
        for e in range(indptr[u], indptr[u + 1]):
            if total > LARGEST - values[e]:
                return False
            total += values[e]
        out[u] = total // factor
    return True


@numba.njit(cache=True, nogil=True)
def _one_hop(indptr, indices, reverse, triangles, common_ptr, common, rest, r, s, begin, end, out):
    n = len(indptr) - 1
    place = np.full(n, -1, np.int64)  # of the edge from u to a neighbour
    near, inside = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for u in range(begin, end):
        for e in range(indptr[u], indptr[u + 1]):
            place[indices[e]] = e
        for e in range(indptr[u], indptr[u + 1]):
            x = indices[e]
            for f in range(indptr[x], indptr[x + 1]):
                near[indices[f]] += 1
                if x < indices[f] and place[indices[f]] >= 0:
                    for at in range(common_ptr[f], common_ptr[f + 1]):
                        inside[common[at]] += 1
        for e in range(indptr[u], indptr[u + 1]):
            v = indices[e]
            from_t, from_b, to_b, over = np.int64(0), np.int64(0), np.int64(0), np.int64(0)  # (A T), (A B'), (B A), (P A) at u, v
            for f in range(indptr[v], indptr[v + 1]):
                x = indices[f]
                if place[x] >= 0:
                    from_t += triangles[f]
                    from_b += rest[f]
                    to_b += rest[place[x]]
                elif x != u:
                    over += near[x]
            t, b, back, k = triangles[e], rest[e], rest[reverse[e]], inside[v]
            diamond = from_t - t - 2 * k
            square = over - b - diamond
            paw = (s[v] - t - from_t - diamond) // 2
            out[0, e], out[1, e], out[2, e] = 1, b, t
            out[3, e], out[4, e] = r[v] - back - from_b - square, b * back - square
            out[5, e], out[6, e], out[7, e] = b * (b - 1) // 2 - paw, square, paw
            out[8, e], out[9, e], out[10, e] = to_b - diamond, t * b - diamond, diamond
            out[11, e], out[12, e] = t * (t - 1) // 2 - k, k
        for e in range(indptr[u], indptr[u + 1]):
            x = indices[e]
            place[x] = -1
            for f in range(indptr[x], indptr[x + 1]):
                near[indices[f]] = 0
                inside[indices[f]] = 0
