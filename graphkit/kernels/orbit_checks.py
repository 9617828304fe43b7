"""Identities between orbit counts of one graph, for graphs too large to enumerate."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from graphkit.core.orbit_keys import KEYS, name_of
from graphkit.graph.threads import in_ranges
from graphkit.kernels.orbits import Orbits, adjacency_of, node_orbits

# Sum of a row = orbit of the node times this, for the keys whose row sums the node orbits are not made from; second: of
# a column.
ROW_FACTORS = {
    (1, 5, 5): (5, 1, 5, 1),
    (1, 10, 10): (10, 1, 10, 1),
    (1, 10, 11): (10, 1, 11, 2),
    (1, 12, 13): (12, 2, 13, 2),
    (2, 1, 1): (1, 1, 1, 1),
    (2, 4, 5): (4, 1, 5, 1),
    (2, 6, 6): (6, 2, 6, 2),
    (2, 8, 8): (8, 1, 8, 1),
    (2, 9, 10): (9, 2, 10, 1),
    (2, 12, 12): (12, 1, 12, 1),
    (3, 4, 4): (4, 1, 4, 1),
}
EQUAL_TOTALS = (
    ((1, 4, 5), 1, (2, 4, 5), 1),
    ((1, 4, 5), 1, (1, 5, 5), 1),
    ((1, 4, 5), 1, (3, 4, 4), 1),
    ((1, 13, 13), 1, (2, 12, 12), 1),
    ((1, 8, 8), 1, (2, 8, 8), 2),
)


def identities(orbits: Orbits, counts: np.ndarray, report=lambda done, total: None) -> list[dict[str, Any]]:
    """Check row and column sums, symmetry, signs, totals and walks of two steps, one matrix at a time: [{identity,
    holds}].
    """
    nodes, found, totals, by_node = node_orbits(orbits, counts), [], {}, {}
    for done, key in enumerate(KEYS):
        matrix, name = adjacency_of(orbits, key, counts), name_of(key)
        rows, columns = np.asarray(matrix.sum(axis=1)).ravel(), np.asarray(matrix.sum(axis=0)).ravel()
        totals[key], by_node[key] = sum(rows.tolist()), rows
        found.append((f"{name} is not negative", not len(matrix.data) or matrix.data.min() > 0))
        if key[1] == key[2]:
            found.append((f"{name} is symmetric", _symmetric(matrix.indptr, matrix.indices, matrix.data)))
        if key in ROW_FACTORS:
            a, by_row, b, by_column = ROW_FACTORS[key]
            found.append((f"rows of {name} = {by_row} x orbit {a}", np.array_equal(rows, by_row * nodes[:, a])))
            found.append(
                (f"columns of {name} = {by_column} x orbit {b}", np.array_equal(columns, by_column * nodes[:, b]))
            )
        report(done + 1, len(KEYS))
    degree = np.diff(orbits.indptr)
    onward = np.concatenate([[0], np.cumsum(degree[orbits.indices] - 1)])
    walks = onward[orbits.indptr[1:]] - onward[orbits.indptr[:-1]]
    same = np.array_equal(by_node[1, 3, 3] + by_node[2, 1, 1], walks)
    found.append(("rows of 1:3-3 + rows of 2:1-1 = walks of two steps that do not turn back", same))
    for one, times, other, factor in EQUAL_TOTALS:
        text = f"total of {name_of(one)} = {'' if factor == 1 else f'{factor} x '}total of {name_of(other)}"
        found.append((text, times * totals[one] == factor * totals[other]))
    return [{"identity": name, "holds": bool(holds)} for name, holds in found]


def _symmetric(indptr, indices, values) -> bool:
    """Whether every entry has its mirror image, looked up in place: a transpose would take the memory of a matrix
    more.
    """
    found = []
    in_ranges(
        lambda a, b: found.append(_mirrored(indptr, indices, values, a, b)),
        len(indptr) - 1,
        cost=1 + 24 * np.diff(indptr),
    )
    return all(found)


@numba.njit(cache=True, nogil=True)
def _mirrored(indptr, indices, values, begin, end):
    for u in range(begin, end):
        for e in range(indptr[u], indptr[u + 1]):
            v = indices[e]
            at = indptr[v] + np.searchsorted(indices[indptr[v] : indptr[v + 1]], u)
            if at == indptr[v + 1] or indices[at] != u or values[at] != values[e]:
                return False
    return True
