"""Streams of events with one planted reason each: pairs that come again, or friends of friends that meet."""

from __future__ import annotations

import numpy as np

from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.events import in_order, static_graph
from graphkit.datasets.splits.loaded import Loaded

RECENT = 2
ROWS = 1 << 22  # random numbers that are sorted at once
MOST_SORTED = (
    1 << 28
)  # beyond so many pairs of a source and a node, favourites are drawn without looking at all of them


def repeats(n: int, events: int, k: int, p: float, seed: int) -> Loaded:
    """Half of n nodes turn to the other half, at random times: with probability p to one of their own k favourites,
    else to anyone.

    Raises :class:`DataError` where there are fewer than k nodes to turn to.
    """
    rng, sources = np.random.default_rng(seed), n // 2
    others = n - sources
    if not 1 <= k <= others or sources < 1:
        raise DataError(f"repeats: n is {n} and k is {k}, expected at least one source and k nodes to turn to")
    favourites = _favourites(sources, others, k, rng)
    src = rng.integers(sources, size=events)
    liked = favourites[src, rng.integers(k, size=events)]
    dst = np.where(rng.random(events) < p, liked, rng.integers(others, size=events)) + sources
    return _loaded("repeats", n, src, dst, np.cumsum(rng.exponential(size=events)))


def _favourites(sources: int, others: int, k: int, rng):
    """(sources, k) distinct numbers below ``others`` in each row, every choice as likely."""
    if sources * others <= MOST_SORTED:
        step = max(ROWS // others, 1)
        parts = [min(step, sources - start) for start in range(0, sources, step)]
        return np.concatenate([np.argsort(rng.random((rows, others)), axis=1)[:, :k] for rows in parts])
    # Floyd's sampling, a column at a time: a number that the row has already gives way to the largest one that is
    # possible.
    chosen = np.empty((sources, k), dtype=np.int64)
    for column, largest in enumerate(range(others - k, others)):
        drawn = rng.integers(largest + 1, size=sources)
        again = (chosen[:, :column] == drawn[:, None]).any(axis=1)
        chosen[:, column] = np.where(again, largest, drawn)
    return chosen


def triads(n: int, rounds: int, p: float, seed: int) -> Loaded:
    """In every round all n nodes meet in pairs: with probability p a node meets one that it never met and that a
    partner of its last two rounds met in its own last two, where there is one free; else any free node.

    Every node meets once a round, so neither degree nor recency tells who meets whom, and no pair has a reason to come
    again. Times grow by 1/n within a round, which begins at its number. Raises :class:`DataError` for fewer than two
    nodes.
    """
    if n < 2:
        raise DataError(f"triads: n is {n}, expected at least 2")
    rng = np.random.default_rng(seed)
    met: list[set[int]] = [set() for _ in range(n)]
    recent: list[list[int]] = [[] for _ in range(n)]
    pairs, times = [], []
    for number in range(rounds):
        free = set(range(n))
        partners: dict[int, int] = {}
        order = rng.permutation(n).tolist()
        spare = rng.permutation(n).tolist()
        for u in order:
            if u not in free:
                continue
            free.discard(u)
            w = _friend_of_friend(u, recent, met, free, rng) if rng.random() < p else None
            while w is None and spare:
                w = spare.pop()
                w = w if w in free else None
            if w is None:
                break  # an odd one is left over
            free.discard(w)
            partners[u], partners[w] = w, u
            pairs.append((u, w))
            times.append(number + len(partners) / (2 * n))
        for u, w in partners.items():
            met[u].add(w)
            recent[u] = [w, *recent[u]][:RECENT]
    src, dst = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return _loaded("triads", n, src, dst, np.array(times))


def _friend_of_friend(u: int, recent, met, free, rng) -> int | None:
    found = sorted({w for v in recent[u] for w in recent[v] if w != u and w in free and w not in met[u]})
    return found[int(rng.integers(len(found)))] if found else None


def _loaded(name: str, n: int, src, dst, time) -> Loaded:
    if len(src) == 0:
        raise DataError(f"{name}: no events, expected some")
    events = in_order(src, dst, time)
    return Loaded(GraphDataset(name, static_graph(events, n), events=events))
