"""Checks that the claims on orbit counting run: a data set in, figures out."""

from __future__ import annotations

import itertools
import time

import numpy as np
import scipy.sparse

from graphkit.core.machine import peak_rss_mb
from graphkit.core.orbit_keys import KEYS, keys_of, name_of
from graphkit.datasets.simple import simple_matrix
from graphkit.kernels import orbits
from graphkit.kernels.orbit_checks import identities
from graphkit.methods.structure.orbits.method import OrbitCounter

GRAPHS = 200
# The orbit of a node in a connected graph of (nodes, edges, largest degree), by its degree.
ORBITS = {
    (2, 1, 1): {1: 0},
    (3, 2, 2): {1: 1, 2: 2},
    (3, 3, 2): {2: 3},
    (4, 3, 2): {1: 4, 2: 5},
    (4, 3, 3): {1: 6, 3: 7},
    (4, 4, 2): {2: 8},
    (4, 4, 3): {1: 9, 2: 10, 3: 11},
    (4, 5, 3): {2: 12, 3: 13},
    (4, 6, 3): {3: 14},
}
# Simple paths of two and three steps between two nodes of a key's graphlet that visit all of its nodes.
TWO_STEPS = {"1:3-3": 1, "2:1-1": 1}
THREE_STEPS = {"3:4-4": 1, "1:8-8": 1, "2:9-10": 1, "2:10-9": 1, "2:12-12": 2, "1:12-13": 1, "1:13-12": 1, "1:14-14": 2}


def against_brute_force(dataset) -> dict[str, float]:
    """Compare all 28 matrices with a count over node subsets: on random graphs of 4 to 9 nodes, and on the data set's.

    ``graphs`` compared, ``keys`` that had an entry somewhere, ``wrong`` matrices.
    """
    generator, wrong, seen = np.random.default_rng(0), 0, set()
    graphs = [simple_matrix(dataset).toarray()]
    for number in range(GRAPHS):
        size = 4 + number % 6
        upper = np.triu(generator.random((size, size)) < generator.uniform(0.2, 0.9), 1).astype(np.int64)
        graphs.append(upper + upper.T)
    for near in graphs:
        expected = _definition(near)
        seen |= set(expected)
        for key, found in _all_matrices(near).items():
            wrong += not np.array_equal(found, expected.get(key, np.zeros_like(near)))
    return {"graphs": len(graphs), "keys": len(seen), "wrong": wrong}


def _definition(near) -> dict[tuple[int, int, int], object]:
    """(hops, orbit, orbit) -> (n, n) counts over the connected induced subgraphs of 2 to 4 nodes of a dense 0/1
    matrix.
    """
    found: dict[tuple[int, int, int], object] = {}
    for size in (2, 3, 4):
        for nodes in itertools.combinations(range(len(near)), size):
            part = near[np.ix_(nodes, nodes)]
            hops = _distances(part)
            if (hops < 0).any():
                continue
            degree = part.sum(axis=0)
            orbit = ORBITS[size, int(degree.sum()) // 2, int(degree.max())]
            for a, b in itertools.permutations(range(size), 2):
                key = int(hops[a, b]), orbit[int(degree[a])], orbit[int(degree[b])]
                found.setdefault(key, np.zeros_like(near))[nodes[a], nodes[b]] += 1
    return found


def _distances(part):
    """Hops between the nodes of a small graph, -1 where there is no path."""
    hops, reached = np.where(np.eye(len(part), dtype=bool), 0, -1), np.eye(len(part), dtype=np.int64)
    for length in range(1, len(part)):
        reached = reached @ part
        hops = np.where((hops < 0) & (reached > 0), length, hops)
    return hops


def _all_matrices(near) -> dict[tuple[int, int, int], object]:
    prepared = orbits.prepare(scipy.sparse.csr_array(near))
    counts = orbits.one_hop(prepared)
    return {key: orbits.adjacency_of(prepared, key, counts).toarray() for key in keys_of("all", transposes=True)}


def walks_from_orbits(dataset) -> dict[str, float]:
    """Rebuild A^2 and A^3 off the diagonal from orbit adjacencies; the largest absolute errors, and the number of
    ``unseen`` keys.

    A walk of three steps between two neighbours may also go back and forth: d_u + d_v - 1 ways. Unseen are the keys, of
    28, whose graphlets such walks do not visit as a whole.
    """
    near, prepared = simple_matrix(dataset), OrbitCounter().prepare(dataset)
    counts, degree = orbits.one_hop(prepared), np.diff(prepared.indptr)
    two, three = near @ near, near @ near @ near

    def summed(weights):
        keys = {name: keys_of(name)[0] for name in weights}
        return sum(orbits.adjacency_of(prepared, keys[name], counts) * weight for name, weight in weights.items())

    source, target = np.repeat(np.arange(len(degree)), degree), prepared.indices
    back = near.copy()
    back.data = degree[source] + degree[target] - 1  # the entries of both stand in the order of the edges
    errors = (two - summed(TWO_STEPS)).tocoo(), (three - summed(THREE_STEPS) - back).tocoo()
    found = [float(np.abs(error.data[error.row != error.col]).max(initial=0)) for error in errors]
    seen = {*TWO_STEPS, *THREE_STEPS, "1:0-0"}
    return {"two_steps": found[0], "three_steps": found[1], "unseen": len(keys_of("all", transposes=True)) - len(seen)}


def matrices(dataset) -> dict[str, float]:
    """Count all 28 matrices, one at a time: totals by key, ``entries of`` each, and the identities between them.

    ``counting``: seconds for the 20 and the transposes of 8; ``peak_gb``: most resident memory; ``broken``: identities,
    among them that the sums of the rows of different matrices give the same orbits of nodes, that do not hold.
    """
    started, found = time.perf_counter(), {}
    prepared = OrbitCounter().prepare(dataset)
    counts = orbits.one_hop(prepared)
    every = keys_of("all", transposes=True)
    for key in every:
        matrix = orbits.adjacency_of(prepared, key, counts)
        if key in KEYS:
            found[name_of(key)], found[f"entries of {name_of(key)}"] = (
                float(sum(matrix.sum(axis=1).tolist())),
                float(matrix.nnz),
            )
    found["counting"], found["peak_gb"], found["matrices"] = (
        time.perf_counter() - started,
        peak_rss_mb() / 1000,
        float(len(every)),
    )
    found["broken"] = float(sum(not row["holds"] for row in identities(prepared, counts)))
    return found
