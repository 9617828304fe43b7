"""Sampled neighbourhoods of nodes: random walks, the sets of nodes they visit, and the subgraphs that these induce.

The tokens of a node v stand in the order [k = m (s of them), ..., k = 1 (s of them), k = 0], T = m s + 1 in all: token
(k, r) is made of M uniform random walks of k steps from v. A step takes one of the edges that leave a node, repeated
edges each for itself; at a node that no edge leaves the walk stays. Every walk has random words of its own, from the
seed, its node and its
place: a node's tokens do not depend on what else is in the batch, nor on the number of threads. The s tokens of one
length are drawn independently and alike, so that their order among themselves is random as it is.

Time O(M s m^2) per node for the walks, and for a subgraph of c nodes O(sum over its nodes of min(c, degree) log max(c,
degree)). Beside the kernel stands :func:`token_walks_plain`, the same in NumPy; ``benchmarks/bench_scan.py`` has the
speed.

Reference: Behrouz, Hashemi: Graph Mamba: Towards Learning on Graphs with State Space Models, KDD 2024.
"""

from __future__ import annotations

import numba
import numpy as np

from graphkit.graph.adjacency import Adjacency
from graphkit.graph.splitmix import below, next_word, next_words
from graphkit.graph.threads import in_ranges


def token_lengths(m: int, repeats: int) -> np.ndarray:
    """(T,) steps of the walks of each token of a node: m, ..., m, m-1, ..., 1, 0."""
    return np.append(np.repeat(np.arange(m, 0, -1), repeats), 0)


def token_walks(matrix: Adjacency, nodes: np.ndarray, *, m: int, walks: int, repeats: int, seed: int) -> np.ndarray:
    """Return (B, T, M, m + 1) int32 nodes that the walks visit, -1 beyond a walk's end.

    nodes: (B,) where the walks start. walks: M per token. Raises ValueError for m < 0, or fewer than one walk or
        repeat.
    """
    lengths = _lengths(m, walks, repeats)
    out = np.empty((len(nodes), len(lengths), walks, m + 1), np.int32)
    nodes, seed = np.ascontiguousarray(nodes, dtype=np.int64), np.uint64(seed)
    in_ranges(
        lambda start, stop: _walk(matrix.indptr, matrix.indices, nodes, lengths, seed, out, start, stop),
        len(nodes),
        cost=8 * out[:1].size,
    )
    return out


def token_walks_plain(
    matrix: Adjacency, nodes: np.ndarray, *, m: int, walks: int, repeats: int, seed: int
) -> np.ndarray:
    """What :func:`token_walks` computes, in NumPy: a step of all walks at a time."""
    lengths = _lengths(m, walks, repeats)
    shape = (len(nodes), len(lengths), walks)
    at = np.broadcast_to(np.asarray(nodes, dtype=np.int64)[:, None, None], shape)
    _, key = next_words(np.full(1, seed, np.uint64))
    _, key = next_words(key ^ at.astype(np.uint64))
    _, states = next_words(key ^ np.arange(len(lengths) * walks, dtype=np.uint64).reshape(1, -1, walks))
    out, degrees = [at], matrix.degrees()
    for step in range(1, m + 1):
        states, words = next_words(states)
        choice = ((words >> np.uint64(32)) * degrees[at].astype(np.uint64) >> np.uint64(32)).astype(np.int64)
        there = degrees[at] > 0
        entry = np.where(there, matrix.indptr[at] + choice, 0)
        at = np.where(there, matrix.indices[entry] if len(matrix.indices) else at, at)
        out.append(np.where((lengths >= step)[:, None], at, -1))
    return np.stack(out, axis=-1).astype(np.int32)


def _lengths(m: int, walks: int, repeats: int) -> np.ndarray:
    if m < 0 or walks < 1 or repeats < 1:
        raise ValueError(f"m is {m}, walks {walks}, repeats {repeats}, expected at least 0, 1 and 1")
    return token_lengths(m, repeats)


@numba.njit(cache=True, nogil=True)
def _walk(indptr, indices, nodes, lengths, seed, out, start, stop):
    count = out.shape[2]
    for b in range(start, stop):
        _, key = next_word(seed)
        _, key = next_word(key ^ np.uint64(nodes[b]))
        for t in range(len(lengths)):
            for j in range(count):
                _, state = next_word(key ^ np.uint64(t * count + j))
                v = nodes[b]
                out[b, t, j, 0] = v
                for step in range(1, out.shape[3]):
                    if step > lengths[t]:
                        out[b, t, j, step] = -1
                        continue
                    state, word = next_word(state)
                    degree = indptr[v + 1] - indptr[v]
                    if degree > 0:
                        v = indices[indptr[v] + below(word, degree)]
                    out[b, t, j, step] = v


def unions(walks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the set of nodes of each token.

    walks: (B, T, M, m + 1) of :func:`token_walks`. Returns nodes (P,) int32, token after token, ascending in each;
    starts (B T + 1,) int64, where each token begins; place (B, T, M, m + 1) int64, the entry of ``nodes`` that a walk
    is at, -1 beyond its end.
    """
    batch, tokens = walks.shape[:2]
    visited = np.ascontiguousarray(walks).reshape(batch * tokens, walks.shape[2] * walks.shape[3])
    padded, sizes = np.empty_like(visited), np.empty(len(visited), np.int64)
    in_ranges(
        lambda start, stop: _distinct(visited, padded, sizes, start, stop), len(visited), cost=4 * visited.shape[1]
    )
    starts = np.concatenate([[0], np.cumsum(sizes)])
    nodes, place = np.empty(starts[-1], np.int32), np.empty(visited.shape, np.int64)
    in_ranges(
        lambda start, stop: _place(visited, padded, starts, nodes, place, start, stop),
        len(visited),
        cost=8 * visited.shape[1],
    )
    return nodes, starts, place.reshape(walks.shape)


@numba.njit(cache=True, nogil=True)
def _distinct(visited, padded, sizes, start, stop):
    for t in range(start, stop):
        size = 0
        for i in range(visited.shape[1]):
            v = visited[t, i]
            if v < 0:
                continue
            # Insertion into a sorted list of some dozen nodes.
            at = size
            while at > 0 and padded[t, at - 1] > v:
                at -= 1
            if at > 0 and padded[t, at - 1] == v:
                continue
            for k in range(size, at, -1):
                padded[t, k] = padded[t, k - 1]
            padded[t, at] = v
            size += 1
        sizes[t] = size


@numba.njit(cache=True, nogil=True)
def _place(visited, padded, starts, nodes, place, start, stop):
    for t in range(start, stop):
        size = starts[t + 1] - starts[t]
        for i in range(size):
            nodes[starts[t] + i] = padded[t, i]
        for i in range(visited.shape[1]):
            v = visited[t, i]
            place[t, i] = -1 if v < 0 else starts[t] + _lower(padded[t], 0, size, v)


@numba.njit(inline="always", nogil=True)
def _lower(values, start, stop, value):
    """First place of start..stop whose value is not below ``value``."""
    while start < stop:
        middle = (start + stop) // 2
        if values[middle] < value:
            start = middle + 1
        else:
            stop = middle
    return start


def induced(matrix: Adjacency, nodes: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all edges among the nodes of each token, as one block-diagonal graph.

    nodes, starts: of :func:`unions`. Returns src and dst, (E,) int64 entries of ``nodes``, and (E,) int64 places in the
    rows of the matrix that the edges come from; repeated edges and loops are all there.
    """
    counts = np.empty(len(nodes), np.int64)
    empty = np.empty(0, np.int64)
    rows = matrix.indptr, matrix.indices, nodes, starts
    sizes = np.diff(starts)
    cost = 16 * sizes * sizes
    in_ranges(lambda start, stop: _edges(*rows, counts, empty, empty, empty, False, start, stop), len(sizes), cost=cost)
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    src, dst, entry = (np.empty(total, np.int64) for _ in range(3))
    first = ends - counts
    in_ranges(lambda start, stop: _edges(*rows, first, src, dst, entry, True, start, stop), len(sizes), cost=cost)
    return src, dst, entry


@numba.njit(cache=True, nogil=True)
def _edges(indptr, indices, nodes, starts, at, src, dst, entry, fill, start, stop):
    """Count the edges of every node of tokens start .. stop - 1 into ``at``, or fill them in from ``at`` on."""
    for t in range(start, stop):
        low, high = starts[t], starts[t + 1]
        for i in range(low, high):
            begin, end = indptr[nodes[i]], indptr[nodes[i] + 1]
            found = at[i] if fill else 0
            # Go through the shorter list and look up in the longer one: hubs cost a logarithm.
            if end - begin <= high - low:
                for e in range(begin, end):
                    j = _lower(nodes, low, high, indices[e])
                    if j < high and nodes[j] == indices[e]:
                        if fill:
                            src[found], dst[found], entry[found] = i, j, e
                        found += 1
            else:
                for j in range(low, high):
                    e = _lower(indices, begin, end, nodes[j])
                    while e < end and indices[e] == nodes[j]:
                        if fill:
                            src[found], dst[found], entry[found] = i, j, e
                        found += 1
                        e += 1
            if not fill:
                at[i] = found


def visit_counts(place: np.ndarray, total: int) -> np.ndarray:
    """Return (P, m + 1) float32: the share of its token's walks that are at a node after 0, 1, ..., m steps (anonymous
    walks).

    place: (B, T, M, m + 1) of :func:`unions`; total: P.
    """
    steps = place.shape[-1]
    there = place >= 0
    cell = place * steps + np.arange(steps)
    counts = np.bincount(cell[there], minlength=total * steps)
    return (counts.reshape(total, steps) / place.shape[2]).astype(np.float32)


def walk_bits(matrix: Adjacency, walks: np.ndarray, window: int) -> np.ndarray:
    """Return (..., m + 1, 2 window) uint8 bits of walks (..., m + 1): what a walk shows of the subgraph it runs in.

    Column j - 1: the node at t is the one at t - j; column window + j - 1: an edge joins the two, in either direction.
    0 before the start and beyond the end.
    """
    flat = np.ascontiguousarray(walks).reshape(-1, walks.shape[-1])
    out = np.zeros((*flat.shape, 2 * window), np.uint8)
    in_ranges(
        lambda start, stop: _bits(matrix.indptr, matrix.indices, flat, window, out, start, stop),
        len(flat),
        cost=32 * out[:1].size,
    )
    return out.reshape(*walks.shape, 2 * window)


@numba.njit(cache=True, nogil=True)
def _bits(indptr, indices, walks, window, out, start, stop):
    for number in range(start, stop):
        walk = walks[number]
        for t in range(1, len(walk)):
            if walk[t] < 0:
                break
            for j in range(1, min(window, t) + 1):
                u, v = walk[t - j], walk[t]
                out[number, t, j - 1] = u == v
                out[number, t, window + j - 1] = _joined(indptr, indices, u, v) or _joined(indptr, indices, v, u)


@numba.njit(inline="always", nogil=True)
def _joined(indptr, indices, u, v):
    e = _lower(indices, indptr[u], indptr[u + 1], v)
    return e < indptr[u + 1] and indices[e] == v
