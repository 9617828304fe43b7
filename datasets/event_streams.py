"""Streams of events with one planted reason each: pairs that come again, or friends of friends that meet."""

from __future__ import annotations

from graphkit.datasets.base import GraphDataset
from graphkit.datasets.events import in_order, static_graph
from graphkit.datasets.splits import Loaded
from graphkit.errors import DataError
from graphkit.lazy import np

RECENT = 2


def repeats(n: int, events: int, k: int, p: float, seed: int) -> Loaded:
    """Half of n nodes turn to the other half, at random times: with probability p to one of their own k favourites, else to anyone.

    Raises :class:`DataError` where there are fewer than k nodes to turn to.
    """
    rng, sources = np.random.default_rng(seed), n // 2
    others = n - sources
    if not 1 <= k <= others or sources < 1:
        raise DataError(f"repeats: n is {n} and k is {k}, expected at least one source and k nodes to turn to")
    favourites = np.argsort(rng.random((sources, others)), axis=1)[:, :k]
    src = rng.integers(sources, size=events)
    liked = favourites[src, rng.integers(k, size=events)]
    dst = np.where(rng.random(events) < p, liked, rng.integers(others, size=events)) + sources
    return _loaded("repeats", n, src, dst, np.cumsum(rng.exponential(size=events)))


def triads(n: int, rounds: int, p: float, seed: int) -> Loaded:
    """In every round all n nodes meet in pairs: with probability p a node meets one that it never met and that a partner of its last two
    rounds met in its own last two, where there is one free; else any free node.

    Every node meets once a round, so neither degree nor recency tells who meets whom, and no pair has a reason to come again. Times
    grow by 1/n within a round, which begins at its number. Raises :class:`DataError` for fewer than two nodes.
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
