"""Random walks from a few nodes, spread only as far as their mass is worth it: personalised PageRank and the heat
kernel.
"""

from __future__ import annotations

import numba
import numpy as np

from graphkit.graph.local_work import (
    DONE,
    PAUSED,
    QUEUED,
    SEEN,
    UNSOUND,
    clear,
    edge_weight,
    opened,
    until_done,
    weighted_degree,
)
from graphkit.graph.threads import STEPS


def ppr_push(graph, work, seeds, source, alpha, eps) -> tuple[int, int]:
    """Push until every residual r_u is below eps times the weighted degree of u; p in ``work``'s values, r in its
    masses.

    p approximates a source + (1 - a) p W of the lazy walk W = (I + D^-1 A) / 2 from below: p + ppr(r) is exact. The
    pushes of a node that follow each other at once are added up, so that its edges are read once. Returns (touched
    nodes, pushes). Reference: Andersen, Chung, Lang 2006, section 3. Raises :class:`DataError` for an unsound row.
    """
    at = np.zeros(5, np.int64)
    at[1] = at[2] = _place(work, seeds, source, SEEN | QUEUED)
    try:
        until_done(lambda: _ppr_piece(graph, work, float(alpha), float(eps), at, STEPS // 4), graph, at)
    except BaseException:
        clear(work, at[1])
        raise
    return int(at[1]), int(at[4])


@numba.njit(cache=True, nogil=True)
def _place(work, seeds, source, mark):
    """Lay the sources on the seeds and queue them; return the number of different ones."""
    _, r, _, state, queue, touched, _, _ = work
    count = 0
    for k in range(len(seeds)):
        v = seeds[k]
        if state[v] == 0:
            state[v] = mark
            touched[count] = v
            queue[count] = v
            count += 1
        r[v] += source[k]
    return count


@numba.njit(cache=True, nogil=True)
def _ppr_piece(graph, work, alpha, eps, at, steps):
    """Go on from where ``at`` stands (unsound node, touched, waiting, head, pushes), for about so many steps."""
    indptr, indices, _, degrees, labels, epsilon = graph
    p, r, wdeg, state, queue, touched, _, _ = work
    least = epsilon if len(labels) > 0 else 1.0  # the weighted degree is at least this share of the degree
    count, waiting, head, pushes, size = at[1], at[2], at[3], at[4], len(queue)
    half, ended = 0.5 * (1.0 - alpha), DONE
    while waiting > 0:
        if steps <= 0:
            ended = PAUSED
            break
        u = queue[head]
        head = head + 1 if head + 1 < size else 0
        waiting -= 1
        state[u] &= ~np.uint8(QUEUED)
        if not opened(graph, state, u):
            at[0], ended = u, UNSOUND
            break
        steps -= 1 + indptr[u + 1] - indptr[u]
        degree = weighted_degree(graph, u, wdeg)
        if degree <= 0.0:
            p[u] += r[u]  # the walk has nowhere to go
            r[u] = 0.0
            continue
        given, left = 0.0, r[u]
        while left >= eps * degree:
            given += left
            left *= half
            pushes += 1
        if given == 0.0:
            continue
        r[u] = left
        p[u] += alpha * given
        share = half * given / degree
        for e in range(indptr[u], indptr[u + 1]):
            v = indices[e]
            w = edge_weight(graph, u, e)
            if w <= 0.0:
                continue
            r[v] += share * w
            if state[v] == 0:
                state[v] = SEEN
                touched[count] = v
                count += 1
            if not state[v] & QUEUED and r[v] >= eps * least * degrees[v]:
                if len(labels) > 0 and not opened(graph, state, v):  # its labelled degree is a sum over its row
                    at[0], ended = v, UNSOUND
                    break
                if r[v] >= eps * weighted_degree(graph, v, wdeg):
                    state[v] |= QUEUED
                    queue[(head + waiting) % size] = v
                    waiting += 1
        if ended == UNSOUND:
            break
    at[1], at[2], at[3], at[4] = count, waiting, head, pushes
    return ended


def heat_push(graph, work, seeds, source, thresholds, rates) -> tuple[int, int]:
    """Spread the Taylor series of exp(-t (I - A D^-1)) source term by term; the result, times e^t, in ``work``'s
    values.

    thresholds: (N,) residual of term j, over the weighted degree, from which a node passes it on. rates: (N,) t / (j +
        1).
    Returns (touched nodes, pushes). Reference: Kloster, Gleich 2014, Algorithm 1, whose queue this visits term by term:
    a push of term j changes residuals of term j + 1 only. Raises :class:`DataError` for an unsound row.
    """
    at = np.zeros(6, np.int64)
    at[1] = at[2] = _place(work, seeds, source, SEEN)
    try:
        for j in range(len(rates)):
            at[3] = at[4] = 0
            last = j == len(rates) - 1
            until_done(
                lambda j=j, last=last: _heat_piece(graph, work, thresholds[j], rates[j], last, at, STEPS // 4),
                graph,
                at,
            )
    except BaseException:
        clear(work, at[1])
        raise
    return int(at[1]), int(at[5])


@numba.njit(cache=True, nogil=True)
def _heat_piece(graph, work, threshold, rate, last, at, steps):
    """Go on with one term from where ``at`` stands (unsound node, touched, waiting, done of these, coming, pushes)."""
    indptr, indices, _, _, _, _ = graph
    x, now, wdeg, state, queue, touched, ahead, following = work
    count, waiting, k, coming, pushes = at[1], at[2], at[3], at[4], at[5]
    ended = DONE
    while k < waiting:
        if steps <= 0:
            ended = PAUSED
            break
        u = queue[k]
        k += 1
        if not opened(graph, state, u):
            at[0], ended = u, UNSOUND
            break
        amount, now[u] = now[u], 0.0
        degree = weighted_degree(graph, u, wdeg)
        if amount < threshold * degree:
            continue
        x[u] += amount
        if degree <= 0.0:
            continue
        pushes += 1
        steps -= 1 + indptr[u + 1] - indptr[u]
        share = rate * amount / degree
        for e in range(indptr[u], indptr[u + 1]):
            v = indices[e]
            w = edge_weight(graph, u, e)
            if w <= 0.0:
                continue
            if state[v] == 0:
                state[v] = SEEN
                touched[count] = v
                count += 1
            if last:
                x[v] += share * w
                continue
            if ahead[v] == 0.0:
                following[coming] = v
                coming += 1
            ahead[v] += share * w
    if ended == DONE:
        for place in range(coming):
            v = following[place]
            queue[place] = v
            now[v], ahead[v] = ahead[v], 0.0
        waiting = coming
    at[1], at[2], at[3], at[4], at[5] = count, waiting, k, coming, pushes
    return ended
