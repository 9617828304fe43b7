"""Orbit adjacencies of graphlets of 2 to 4 nodes: in how many induced subgraphs two nodes sit on two orbits, a given
hop apart.

A key (h, a, b) names the hop distance inside the graphlet and the orbits of the row's and the column's node, orbits
numbered 0 to 14 as Przulj does. 20 keys are counted; 12 of them are symmetric, the transposes of the other 8 complete
the 28 matrices. Reference: Windels, Malod-Dognin, Przulj, Graphlets correct for the topological information missed by
random walks, 2024.

With T the triangles of an edge and B[u, v] = d_v - 1 - T[u, v] the wedges that go on at v, the counts of edges and
nodes follow from sums over the triangles of each edge, the edges among their third nodes, and the 4-cycles
(:mod:`graphkit.kernels.orbit_sums`): the work is the sum over edges of the smaller degree and the number of diamonds,
and a star of a million leaves takes a moment. The matrices between nodes that are not neighbours are sums over wedges;
see :mod:`graphkit.kernels.orbit_rows` for what of that is inherent.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
import scipy.sparse

from graphkit.core.errors import UsageError
from graphkit.core.orbit_keys import FURTHER, KEYS, ONE_HOP, name_of
from graphkit.graph.threads import in_ranges
from graphkit.kernels import orbit_rows, orbit_sums

EDGE_ORBITS = ONE_HOP[1:]
# Orbit a of a node = sum of its row in the matrix (1, a, b), over the number of nodes on b beside a node on a.
NODE_SUMS = (
    (0, 0, False, 1),
    (1, 1, False, 1),
    (3, 2, False, 2),
    (4, 3, False, 1),
    (5, 3, True, 1),
    (6, 5, False, 1),
    (7, 5, True, 3),
    (8, 6, False, 2),
    (9, 7, False, 1),
    (10, 8, False, 1),
    (11, 7, True, 1),
    (12, 10, False, 2),
    (13, 11, False, 1),
    (14, 12, False, 3),
)
LARGEST = np.iinfo(np.int64).max


class TooLarge(UsageError):
    """A result would take more than it may."""


class Orbits(NamedTuple):
    """What every count needs of a simple graph.

    indptr (n + 1,) int64, indices (2m,) int32: neighbours, ascending. reverse (2m,) int64: place of the edge the other
    way round. triangles (2m,) int64. common_ptr (2m + 1,) int64 into common, int32: the common neighbours of the edges
    u < v, else none.
    max_bytes: what one result may take.
    """

    indptr: np.ndarray
    indices: np.ndarray
    reverse: np.ndarray
    triangles: np.ndarray
    common_ptr: np.ndarray
    common: np.ndarray
    max_bytes: int


def prepare(matrix: scipy.sparse.csr_array, max_bytes: int = 1 << 62) -> Orbits:
    """Count the triangles of a symmetric (n, n) 0/1 matrix without diagonal and list them; raises :class:`TooLarge` for
    too many.
    """
    indptr, indices = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32)
    reverse = orbit_sums.reverse_of(indptr, indices)
    room = lambda entries: require_room("the lists of triangles", 4 * entries, max_bytes)  # noqa: E731
    triangles, common_ptr, common = orbit_sums.triangles_of(indptr, indices, reverse, room)
    return Orbits(indptr, indices, reverse, triangles, common_ptr, common, max_bytes)


def one_hop(orbits: Orbits, report=lambda done, total: None) -> np.ndarray:
    """(13, 2m) int64 counts of :data:`ONE_HOP` at the places of the edges.

    O(sum over edges of the smaller degree, and diamonds) time.
    """
    require_room("the counts of edges", 13 * 8 * len(orbits.indices), orbits.max_bytes)
    out = np.zeros((13, len(orbits.indices)), np.int64)
    indptr, indices, reverse, triangles = orbits[:4]
    sums = orbit_sums.triangle_sums(*orbits[:6])
    report(1, 3)
    cycles = orbit_sums.four_cycles(indptr, indices, reverse)
    report(2, 3)
    around = _sums(orbits)
    in_ranges(
        lambda a, b: _one_hop(indices, reverse, triangles, *sums, cycles, *around, a, b, out), len(indices), cost=8
    )
    report(3, 3)
    return out


def node_orbits(orbits: Orbits, counts: np.ndarray) -> np.ndarray:
    """(n, 15) int64 orbits of nodes from :func:`one_hop`; raises :class:`UsageError` for a count beyond 63 bits."""
    out = np.zeros((len(orbits.indptr) - 1, 15), np.int64)
    for orbit, at, transposed, factor in NODE_SUMS:
        values = counts[at][orbits.reverse] if transposed else counts[at]
        if not _sum_rows(orbits.indptr, values, factor, out[:, orbit]):
            raise UsageError(f"orbit {orbit}: found a count beyond 63 bits, expected a graph with smaller hubs")
    twice = np.zeros(len(out), np.int64)  # every wedge centred at v, from both ends
    if not _sum_rows(orbits.indptr, counts[1][orbits.reverse], 2, twice):
        raise UsageError("orbit 2: found a count beyond 63 bits, expected a graph with smaller hubs")
    out[:, 2] = twice
    return out


def edge_orbits(orbits: Orbits, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(m, 2) edges u < v and their (m, 12) int64 orbits, in the order of :data:`EDGE_ORBITS`."""
    source = np.repeat(np.arange(len(orbits.indptr) - 1), np.diff(orbits.indptr))
    upper = np.flatnonzero(source < orbits.indices)
    columns = [
        counts[at][upper] + (counts[at][orbits.reverse[upper]] if key[1] != key[2] else 0)
        for at, key in enumerate(ONE_HOP)
    ]
    return np.stack([source[upper], orbits.indices[upper]], axis=1), np.stack(columns[1:], axis=1)


def adjacency_of(
    orbits: Orbits, key: tuple[int, int, int], counts: np.ndarray | None = None, report=lambda done, total: None
):
    """The (n, n) int64 CSR matrix of a key of :data:`KEYS` or the transpose of one, zeros left out.

    ``counts`` is :func:`one_hop`'s answer, for its keys. Raises :class:`TooLarge` as soon as it takes more than
    ``max_bytes``.
    """
    n = len(orbits.indptr) - 1
    if key not in KEYS and key[0] > 1:
        return adjacency_of(orbits, (key[0], key[2], key[1]), counts, report).T.tocsr()
    if key[0] == 1:
        counts = one_hop(orbits) if counts is None else counts
        values = (
            counts[ONE_HOP.index(key)] if key in KEYS else counts[ONE_HOP.index((1, key[2], key[1]))][orbits.reverse]
        )
        matrix = scipy.sparse.csr_array((values, orbits.indices, orbits.indptr), shape=(n, n), copy=True)
        matrix.eliminate_zeros()
        return matrix
    return sum_of(orbits, [key], counts, report)


def sum_of(
    orbits: Orbits,
    keys: Sequence[tuple[int, int, int]],
    counts: np.ndarray | None = None,
    report=lambda done, total: None,
):
    """The sum of :func:`adjacency_of` of some keys, without the matrices of :data:`FURTHER` one by one; raises
    :class:`TooLarge`.
    """
    further = [key for key in keys if key in FURTHER]
    wholes = [adjacency_of(orbits, key, counts) for key in keys if key not in FURTHER]
    if not further:
        return functools.reduce(operator.add, wholes)
    n, name = len(orbits.indptr) - 1, " + ".join(map(name_of, keys))
    sizes, columns, values, entries = [np.zeros(1, np.int64)], np.empty(0, np.int32), np.empty(0, np.int64), 0
    for first, last, found in orbit_rows.pieces(orbits, further, report):
        shape = last - first, n
        parts = (
            scipy.sparse.csr_array((v, c, np.append(0, np.cumsum(rows))), shape=shape) for rows, c, v in found.values()
        )
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


def _wedge_rest(orbits: Orbits):
    """B: (2m,) number of wedges that an edge goes on to, its end left out."""
    return np.diff(orbits.indptr)[orbits.indices] - 1 - orbits.triangles


def _sums(orbits: Orbits):
    """B with r_v and s_v, the sums of the rows of B and T."""
    rest = _wedge_rest(orbits)
    ends = orbits.indptr[1:], orbits.indptr[:-1]
    r, s = (np.concatenate([[0], np.cumsum(values)]) for values in (rest, orbits.triangles))
    return rest, r[ends[0]] - r[ends[1]], s[ends[0]] - s[ends[1]]


def _sum_rows(indptr, values, factor, out) -> bool:
    """Sums of rows of (2m,) values over ``factor`` into ``out``; False where one is beyond 63 bits."""
    fits = []
    in_ranges(
        lambda a, b: fits.append(_row_sums(indptr, values, factor, a, b, out)), len(out), cost=1 + np.diff(indptr)
    )
    return all(fits)


@numba.njit(cache=True, nogil=True)
def _row_sums(indptr, values, factor, begin, end, out):
    for u in range(begin, end):
        total = np.int64(0)
        for e in range(indptr[u], indptr[u + 1]):
            if total > LARGEST - values[e]:
                return False
            total += values[e]
        out[u] = total // factor
    return True


@numba.njit(cache=True, nogil=True)
def _one_hop(indices, reverse, triangles, along, degrees, edges, cycles, rest, r, s, begin, end, out):
    """along, degrees, edges: of :func:`graphkit.kernels.orbit_sums.triangle_sums`; cycles: of its ``four_cycles``."""
    for e in range(begin, end):
        v, back_e = indices[e], reverse[e]
        t, b, back, k = triangles[e], rest[e], rest[back_e], edges[e]
        from_t = along[back_e]  # (A T) at u, v: triangles of the edges from v to the common neighbours; along[e] from u
        from_b, to_b = degrees[e] - t - from_t, degrees[e] - t - along[e]  # (A B') and (B A)
        diamond = from_t - t - 2 * k
        square = cycles[e] - (along[e] - t) - diamond
        paw = (s[v] - t - from_t - diamond) // 2
        out[0, e], out[1, e], out[2, e] = 1, b, t
        out[3, e], out[4, e] = r[v] - back - from_b - square, b * back - square
        out[5, e], out[6, e], out[7, e] = b * (b - 1) // 2 - paw, square, paw
        out[8, e], out[9, e], out[10, e] = to_b - diamond, t * b - diamond, diamond
        out[11, e], out[12, e] = t * (t - 1) // 2 - k, k
