"""Flow diffusion by pushing: mass spreads over edges until no node holds more than its sink takes."""

from __future__ import annotations

import numba
import numpy as np

from graphkit.graph.local_work import (
    DONE,
    PAUSED,
    PUSHED,
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

CONVERGED, STOPPED, FULL = 0, 1, 2
COUNT, WAITING, LEFT, ROUNDS, PUSHES, STATUS = (
    1,
    2,
    4,
    5,
    6,
    8,
)  # places of ``at``; 0: an unsound node, 3: head of the queue, 7: pushed


def flow_push(graph, work, seeds, source, unit_sink, tolerance, max_rounds, power) -> tuple[int, int, int, int]:
    """Solve min over x >= 0 of sum_ij w_ij |x_i - x_j|^q / q + sum_i x_i (T_i - source_i) node by node, q = power + 1.

    graph: (indptr, indices, weights, degrees, labels, epsilon); the sink T_i is 1 or the degree without labels. seeds,
        source: (S,).
    A node with more than T_i + tolerance raises its x until T_i is left, first in first out; a round is a pass over
    those that waited at its start, and max_rounds 0 sets no limit. power: 1 for 2-norm flow, 1 / (p - 1) for p-norm
    flow.

    x and the mass on every node are left in ``work``. Returns (touched nodes, pushes, rounds, status); FULL means that
    the sinks of all that can be reached take no more than the source gives, so that there is no solution. Raises
    :class:`DataError` for an unsound row.
    """
    at, sums = np.zeros(9, np.int64), np.zeros(2)
    sums[1] = source.sum()
    at[COUNT], at[WAITING], sums[0] = _place(graph, work, seeds, source, unit_sink)
    at[LEFT] = at[WAITING]
    options = unit_sink, float(tolerance), max_rounds, float(power)
    try:
        until_done(lambda: _flow_piece(graph, work, *options, at, sums, STEPS // 4), graph, at)
    except BaseException:
        clear(work, at[COUNT])
        raise
    return int(at[COUNT]), int(at[PUSHES]), int(at[ROUNDS]), int(at[STATUS])


@numba.njit(cache=True, nogil=True)
def _flow_piece(graph, work, unit_sink, tolerance, max_rounds, power, at, sums, steps):
    """Go on from where ``at`` and ``sums`` (capacity and source) stand, for about so many steps."""
    indptr, indices, _, degrees, _, _ = graph
    x, mass, wdeg, state, queue, touched, _, _ = work
    count, waiting, head, left, rounds, pushes, pushed = at[1], at[2], at[3], at[4], at[5], at[6], at[7]
    capacity, total, status, size, ended = sums[0], sums[1], CONVERGED, len(queue), DONE
    while waiting > 0:
        if steps <= 0:
            ended = PAUSED
            break
        if left == 0:
            rounds += 1
            left = waiting
            if max_rounds > 0 and rounds >= max_rounds:
                status = STOPPED
                break
            if pushed == count and capacity <= total:
                status = FULL
                break
        i = queue[head]
        head = head + 1 if head + 1 < size else 0
        waiting -= 1
        left -= 1
        steps -= 1
        state[i] &= ~np.uint8(QUEUED)
        if not opened(graph, state, i):
            at[0], ended = i, UNSOUND
            break
        sink = 1.0 if unit_sink else degrees[i]
        excess = mass[i] - sink
        degree = weighted_degree(graph, i, wdeg)
        if excess <= tolerance or degree <= 0.0:
            continue
        before = x[i]
        step = excess / degree if power == 1.0 else _step(graph, i, x, excess, degree, power, tolerance)
        steps -= (indptr[i + 1] - indptr[i]) * (1 if power == 1.0 else 32)
        if before + step <= before:  # below what a float can tell apart
            continue
        x[i] = before + step
        pushes += 1
        if not state[i] & PUSHED:
            state[i] |= PUSHED
            pushed += 1
        sent = 0.0
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            w = edge_weight(graph, i, e)
            if w <= 0.0:
                continue
            flow = w * step if power == 1.0 else w * (_signed(x[i] - x[j], power) - _signed(before - x[j], power))
            sent += flow
            mass[j] += flow
            limit = 1.0 if unit_sink else degrees[j]
            if state[j] == 0:
                state[j] = SEEN
                touched[count] = j
                count += 1
                capacity += limit
            if mass[j] > limit + tolerance and not state[j] & QUEUED:
                state[j] |= QUEUED
                queue[(head + waiting) % size] = j
                waiting += 1
        mass[i] = sink if power == 1.0 else mass[i] - sent
    at[1], at[2], at[3], at[4], at[5], at[6], at[7], at[8] = count, waiting, head, left, rounds, pushes, pushed, status
    sums[0] = capacity
    return ended


@numba.njit(cache=True, nogil=True)
def _place(graph, work, seeds, source, unit_sink):
    """Lay the sources on the seeds and queue them; return (touched nodes, waiting ones, capacity of the touched ones'
    sinks).
    """
    degrees = graph[3]
    _, mass, _, state, queue, touched, _, _ = work
    count, waiting, capacity = 0, 0, 0.0
    for k in range(len(seeds)):
        v = seeds[k]
        if state[v] == 0:
            state[v] = SEEN
            touched[count] = v
            count += 1
            capacity += 1.0 if unit_sink else degrees[v]
        mass[v] += source[k]
        if not state[v] & QUEUED:
            state[v] |= QUEUED
            queue[waiting] = v
            waiting += 1
    return count, waiting, capacity


@numba.njit(cache=True, nogil=True, inline="always")
def _signed(z, power):
    return z**power if z >= 0.0 else -((-z) ** power)


@numba.njit(cache=True, nogil=True)
def _outflow(graph, i, x, step, power):
    """Flow out of node i over all its edges if x_i were larger by ``step``."""
    indptr, indices, _, _, _, _ = graph
    raised, total = x[i] + step, 0.0
    for e in range(indptr[i], indptr[i + 1]):
        total += edge_weight(graph, i, e) * _signed(raised - x[indices[e]], power)
    return total


@numba.njit(cache=True, nogil=True)
def _step(graph, i, x, excess, degree, power, tolerance):
    """By how much x_i must grow to send ``excess`` away, by regula falsi with the Illinois weights.

    The flow grows with the step, and about linearly with u = step^power, in which the root is looked for.
    """
    goal = _outflow(graph, i, x, 0.0, power) + excess
    low, below = 0.0, -excess
    high = excess / degree
    above = _outflow(graph, i, x, high ** (1.0 / power), power) - goal
    while above < 0.0:
        low, below = high, above
        high *= 2.0
        above = _outflow(graph, i, x, high ** (1.0 / power), power) - goal
    enough = max(0.1 * tolerance, 1e-9 * excess)
    side = 0
    for _ in range(100):
        if above <= enough or high - low <= 1e-15 * high:
            break
        u = high - above * (high - low) / (above - below)
        if not low < u < high:
            u = 0.5 * (low + high)
        error = _outflow(graph, i, x, u ** (1.0 / power), power) - goal
        if error >= 0.0:
            high, above = u, error
            below = 0.5 * below if side == 1 else below
            side = 1
        else:
            if -error <= enough:
                high = u
                break
            low, below = u, error
            above = 0.5 * above if side == -1 else above
            side = -1
    return high ** (1.0 / power)
