"""Events of each node's past: the last few in a ring of fixed size, or all of them in growing lists that are searched
by event number.

Events are known by ascending numbers. "Before event m" means with a smaller number, so that of simultaneous events the
earlier in the data is known to the later. Queries are rows of (node, m); answers have k columns, -1 where there is
nothing. Writing an event takes O(1), reading a ring O(k), reading lists O(k + log degree), or O(k^2 + log degree) where
k of more are drawn.
"""

from __future__ import annotations

import numba
import numpy as np

from graphkit.graph.splitmix import below, next_word

NONE = -1


@numba.njit(cache=True, nogil=True)
def write_rings(ring_node, ring_event, count, nodes, others, numbers):
    """Put (other node, event number) of each of W writes, in their order, in the ring of its node.

    ring_node, ring_event: (n, k) int64. count: (n,) int64, all that was ever written to a node.
    """
    size = ring_node.shape[1]
    for w in range(len(nodes)):
        v = nodes[w]
        place = count[v] % size
        ring_node[v, place], ring_event[v, place] = others[w], numbers[w]
        count[v] += 1


@numba.njit(cache=True, nogil=True)
def read_rings(ring_node, ring_event, count, rows, found_node, found_event):
    """Fill found_node and found_event (R, k) with the rings of the nodes ``rows`` (R,), the latest first."""
    size = ring_node.shape[1]
    for r in range(len(rows)):
        v = rows[r]
        held = min(count[v], size)
        for j in range(size):
            if j < held:
                place = (count[v] - 1 - j) % size
                found_node[r, j], found_event[r, j] = ring_node[v, place], ring_event[v, place]
            else:
                found_node[r, j], found_event[r, j] = NONE, NONE


@numba.njit(cache=True, nogil=True)
def write_lists(pool, start, count, nodes, numbers):
    """Append event numbers (W,) to the lists of ``nodes`` (W,); a node's list is pool[start : start + count]."""
    for w in range(len(nodes)):
        v = nodes[w]
        pool[start[v] + count[v]] = numbers[w]
        count[v] += 1


@numba.njit(inline="always", nogil=True)
def known_before(pool, first, held, moment):
    """How many of the ``held`` ascending numbers from pool[first] on are below ``moment``."""
    low, high = 0, held
    while low < high:
        middle = (low + high) // 2
        if pool[first + middle] < moment:
            low = middle + 1
        else:
            high = middle
    return low


@numba.njit(cache=True, nogil=True)
def read_latest(pool, start, count, src, dst, rows, moments, found_node, found_event):
    """Fill (R, k) with the last k events of each node before its moment, the latest first, and their other ends."""
    size = found_node.shape[1]
    for r in range(len(rows)):
        v = rows[r]
        known = known_before(pool, start[v], count[v], moments[r])
        for j in range(size):
            if j < known:
                event = pool[start[v] + known - 1 - j]
                found_node[r, j], found_event[r, j] = src[event] + dst[event] - v, event
            else:
                found_node[r, j], found_event[r, j] = NONE, NONE


@numba.njit(cache=True, nogil=True)
def read_drawn(pool, start, count, src, dst, rows, moments, seed, found_node, found_event):
    """Fill (R, k) with k different events of each node before its moment, drawn evenly (Floyd), or all where there are
    no more.

    The draw is made of ``seed`` (uint64), the node and its moment alone: a row has the same in any batch.
    """
    size = found_node.shape[1]
    for r in range(len(rows)):
        v = rows[r]
        known = known_before(pool, start[v], count[v], moments[r])
        _, state = next_word(seed)
        _, state = next_word(state ^ np.uint64(v))
        _, state = next_word(state ^ np.uint64(moments[r]))
        for j in range(size):
            if j >= known:
                found_node[r, j], found_event[r, j] = NONE, NONE
                continue
            place = j
            if known > size:
                top = known - size + j
                state, word = next_word(state)
                place = below(word, top + 1)
                for earlier in range(j):
                    if found_event[r, earlier] == pool[start[v] + place]:
                        place = top
                        break
            event = pool[start[v] + place]
            found_node[r, j], found_event[r, j] = src[event] + dst[event] - v, event


@numba.njit(cache=True, nogil=True)
def number_nodes(nodes, mark):
    """Return (the different nodes in the order in which they come, (R,) place of each in it).

    mark: (n,) int64 of -1, scratch that is left so.
    """
    different, place, total = np.empty(len(nodes), np.int64), np.empty(len(nodes), np.int64), 0
    for r in range(len(nodes)):
        v = nodes[r]
        if mark[v] < 0:
            mark[v], different[total] = total, v
            total += 1
        place[r] = mark[v]
    for k in range(total):
        mark[different[k]] = NONE
    return different[:total].copy(), place
