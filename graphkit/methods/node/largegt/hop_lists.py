"""Fixed lists of nodes from the 1- and 2-hop neighbourhoods, drawn without forming A @ A.

The pool of a node v is a multiset: the distinct neighbours of v (columns of row v of A) followed by the distinct ends
of walks of two steps from v (columns of row v of A @ A). A node in both parts counts twice, and in an undirected graph
v itself is in the second part. A list is v and then K - 1 draws without replacement from the pool; a pool that is
smaller is repeated in ascending order, part after part, and cut; where it is empty the draws are uniform over all
nodes, with replacement.

The ends of the walks from v are counted by stamps: a word per node and worker remembers the last v that met the node,
so that a repeated end costs one comparison and nothing is cleared between nodes. Time O(sum over v of the degrees of
v's neighbours), memory O(workers n) beside the graph and the lists. ``benchmarks/bench_largegt_sampler.py`` sets it
beside SciPy's product.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numba
import numpy as np

from graphkit.graph.adjacency import Adjacency
from graphkit.graph.splitmix import below, next_word
from graphkit.graph.threads import in_ranges

# Parts of the nodes, between which progress is reported.
PARTS = 64


def hop_lists(
    matrix: Adjacency,
    k: int,
    *,
    seed: int = 0,
    hub_cap: int = 0,
    out: np.ndarray | None = None,
    report: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Return (n, k) int32 lists; row v starts with v.

    matrix: rows sorted; weights are ignored, repeated edges count once. hub_cap: with c > 0 a neighbour of more than c
    neighbours contributes the ends of c random steps (drawn with replacement) in place of all its neighbours, which
    bounds the time by O(m c); 0 takes all, which is exact. out: where to write, e.g. a memory map. report: called with
    (nodes done, nodes).

    Every row depends on the seed, its node and the graph alone, whatever the number of threads. Raises ValueError for k
    < 1.
    """
    n = matrix.num_nodes
    if k < 1:
        raise ValueError(f"k is {k}, expected at least 1")
    lists = np.empty((n, k), np.int32) if out is None else out
    if n == 0:
        return lists
    degree = matrix.degrees()
    onward = np.minimum(degree, hub_cap) if hub_cap > 0 else degree
    sums = np.concatenate([[0], np.cumsum(onward[matrix.indices])])
    cost = sums[matrix.indptr[1:]] - sums[matrix.indptr[:-1]] + degree + k

    def scratch():
        # One entry more than the largest pool: the kernel writes before it counts.
        return np.full(n, -1, np.int32), np.empty(n + int(degree.max()) + 1, np.int32)

    bounds = np.unique(np.linspace(0, n, PARTS + 1).astype(np.int64)).tolist()
    own = threading.local()

    def kept():
        if not hasattr(own, "scratch"):
            own.scratch = scratch()
        return own.scratch

    for first, last in zip(bounds[:-1], bounds[1:]):

        def fill(start, stop, arrays, first=first):
            _fill_lists(
                matrix.indptr, matrix.indices, first + start, first + stop, np.uint64(seed), hub_cap, *arrays, lists
            )

        in_ranges(fill, last - first, 64, cost=cost[first:last], scratch=kept)
        if report is not None:
            report(last, n)
    return lists


def random_lists(num_nodes: int, k: int, *, seed: int = 0) -> np.ndarray:
    """Return (n, k) int32 lists of each node and k - 1 uniform random nodes: the control that knows nothing of the
    edges.
    """
    lists = np.random.default_rng([seed, k]).integers(max(num_nodes, 1), size=(num_nodes, k), dtype=np.int32)
    lists[:, 0] = np.arange(num_nodes)
    return lists


@numba.njit(cache=True, nogil=True)
def _pool_of(indptr, indices, v, hub_cap, state, stamp, pool):
    """Write the pool of v; return (random state, size of the first part, size of both)."""
    size = 0
    for e in range(indptr[v], indptr[v + 1]):
        if e == indptr[v] or indices[e] != indices[e - 1]:
            pool[size] = indices[e]
            size += 1
    first = size
    for at in range(first):
        u = pool[at]
        begin, end = indptr[u], indptr[u + 1]
        if 0 < hub_cap < end - begin:
            for _ in range(hub_cap):
                state, word = next_word(state)
                w = indices[begin + below(word, end - begin)]
                pool[size] = w
                size += stamp[w] != v
                stamp[w] = v
        else:
            for e in range(begin, end):
                # Written always, counted when new: no branch to mispredict.
                w = indices[e]
                pool[size] = w
                size += stamp[w] != v
                stamp[w] = v
    return state, first, size


@numba.njit(cache=True, nogil=True)
def _fill_lists(indptr, indices, start, stop, seed, hub_cap, stamp, pool, lists):
    n, k = len(indptr) - 1, lists.shape[1]
    for v in range(start, stop):
        state, word = next_word(seed)
        state, word = next_word(word ^ np.uint64(v))
        state, first, size = _pool_of(indptr, indices, v, hub_cap, word, stamp, pool)
        lists[v, 0] = v
        if size == 0:
            for j in range(1, k):
                state, word = next_word(state)
                lists[v, j] = below(word, n)
        elif size < k:
            pool[first:size].sort()
            for j in range(1, k):
                lists[v, j] = pool[(j - 1) % size]
        else:
            # The first steps of a Fisher-Yates shuffle: draws without replacement.
            for j in range(1, k):
                state, word = next_word(state)
                other = j - 1 + below(word, size - j + 1)
                lists[v, j] = pool[other]
                pool[other] = pool[j - 1]
