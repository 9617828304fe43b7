"""Walks back in time over lists of past events, and how often the walks of a pair's ends have each of their nodes.

Reference: Wang et al., Inductive Representation Learning in Temporal Networks via Causal Anonymous Walks, ICLR 2021.
"""

from __future__ import annotations

import numba
import numpy as np

from graphkit.graph.splitmix import below, next_word
from graphkit.kernels.past_events import NONE, known_before


@numba.njit(cache=True, nogil=True)
def draw_walks(pool, start, count, src, dst, nodes, moments, state, out):
    """Fill out (R, W, S + 1) with W walks of S steps from each of R (node, moment), and return the random state after
    them.

    A step takes one of the node's events before the last step's, each as likely, drawn with replacement; -1 from where
    there is none.
    pool, start, count: ascending event numbers of each node, as :func:`graphkit.kernels.past_events.write_lists` leaves
        them.
    src, dst: (E,) ends of the events.
    """
    rows, walks, positions = out.shape
    state = np.uint64(state)
    for r in range(rows):
        for w in range(walks):
            node, moment = nodes[r], moments[r]
            out[r, w, 0] = node
            for position in range(1, positions):
                held = 0 if node < 0 else known_before(pool, start[node], count[node], moment)
                if held == 0:
                    node = NONE
                else:
                    state, word = next_word(state)
                    moment = pool[start[node] + below(word, held)]
                    node = dst[moment] if src[moment] == node else src[moment]
                out[r, w, position] = node
    return state


@numba.njit(cache=True, nogil=True)
def count_places(first, second, scratch, out):
    """Fill out (P, 2 W, L, 2, L): of each node of both ends' walks (P, W, L), its counts by end and position; 0 where
    there is none.

    scratch: (n, 2, L) zeros, which are zeros again afterwards.
    """
    pairs, walks, length = first.shape
    for p in range(pairs):
        for end in range(2):
            own = first[p] if end == 0 else second[p]
            for w in range(walks):
                for k in range(length):
                    if own[w, k] >= 0:
                        scratch[own[w, k], end, k] += 1
        for w in range(2 * walks):
            for k in range(length):
                node = first[p, w, k] if w < walks else second[p, w - walks, k]
                for end in range(2):
                    for place in range(length):
                        out[p, w, k, end, place] = scratch[node, end, place] if node >= 0 else 0
        for end in range(2):
            own = first[p] if end == 0 else second[p]
            for w in range(walks):
                for k in range(length):
                    if own[w, k] >= 0:
                        for place in range(length):
                            scratch[own[w, k], end, place] = 0
