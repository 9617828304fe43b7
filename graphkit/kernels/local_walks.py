"""Random walks from a few nodes, spread only as far as their mass is worth it: personalised PageRank and the heat kernel."""

from __future__ import annotations

import numba

from graphkit.kernels.local_work import QUEUED, SEEN, edge_weight, weighted_degree


@numba.njit(cache=True, nogil=True)
def ppr_push(graph, work, seeds, source, alpha, eps):
    """Push until every residual r_u is below eps times the weighted degree of u; p in ``work``'s values, r in its masses.

    p approximates a source + (1 - a) p W of the lazy walk W = (I + D^-1 A) / 2 from below: p + ppr(r) is exact. The pushes of a node
    that follow each other at once are added up, so that its edges are read once. Returns (touched nodes, pushes). Reference:
    Andersen, Chung, Lang 2006, section 3.
    """
    indptr, indices, _, degrees, labels, epsilon = graph
    p, r, wdeg, state, queue, touched, _, _ = work
    least = epsilon if len(labels) > 0 else 1.0  # the weighted degree is at least this share of the degree
    count, waiting, head, pushes, size = 0, 0, 0, 0, len(queue)
    for k in range(len(seeds)):
        v = seeds[k]
        if state[v] == 0:
            state[v] = SEEN | QUEUED
            touched[count] = v
            count += 1
            queue[waiting] = v
            waiting += 1
        r[v] += source[k]
    half = 0.5 * (1.0 - alpha)
    while waiting > 0:
        u = queue[head]
        head = head + 1 if head + 1 < size else 0
        waiting -= 1
        state[u] = SEEN
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
            if not state[v] & QUEUED and r[v] >= eps * least * degrees[v] and r[v] >= eps * weighted_degree(graph, v, wdeg):
                state[v] = SEEN | QUEUED
                queue[(head + waiting) % size] = v
                waiting += 1
    return count, pushes


@numba.njit(cache=True, nogil=True)
def heat_push(graph, work, seeds, source, thresholds, rates):
    """Spread the Taylor series of exp(-t (I - A D^-1)) source term by term; the result, times e^t, in ``work``'s values.

    thresholds: (N,) residual of term j, over the weighted degree, from which a node passes it on. rates: (N,) t / (j + 1).
    Returns (touched nodes, pushes). Reference: Kloster, Gleich 2014, Algorithm 1, whose queue this visits term by term: a push of
    term j changes residuals of term j + 1 only.
    """
    indptr, indices, _, _, _, _ = graph
    x, now, wdeg, state, queue, touched, ahead, following = work
    count, pushes, last = 0, 0, len(rates) - 1
    waiting = 0
    for k in range(len(seeds)):
        v = seeds[k]
        if state[v] == 0:
            state[v] = SEEN
            touched[count] = v
            count += 1
            queue[waiting] = v
            waiting += 1
        now[v] += source[k]
    for j in range(last + 1):
        coming = 0
        for k in range(waiting):
            u = queue[k]
            amount, now[u] = now[u], 0.0
            degree = weighted_degree(graph, u, wdeg)
            if amount < thresholds[j] * degree:
                continue
            x[u] += amount
            if degree <= 0.0:
                continue
            pushes += 1
            share = rates[j] * amount / degree
            for e in range(indptr[u], indptr[u + 1]):
                v = indices[e]
                w = edge_weight(graph, u, e)
                if w <= 0.0:
                    continue
                if state[v] == 0:
                    state[v] = SEEN
                    touched[count] = v
                    count += 1
                if j == last:
                    x[v] += share * w
                    continue
                if ahead[v] == 0.0:
                    following[coming] = v
                    coming += 1
                ahead[v] += share * w
        for k in range(coming):
            v = following[k]
            queue[k] = v
            now[v], ahead[v] = ahead[v], 0.0
        waiting = coming
    return count, pushes
