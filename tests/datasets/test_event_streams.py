"""Planted streams hold what they were planted with, and nothing else."""

import numpy as np
import pytest

from graphkit import datasets
from graphkit.core.errors import DataError


def test_every_node_meets_once_a_round():
    events = datasets.load("triads:n=60,rounds=9,p=0.7,seed=3", task="events").events
    for number in range(9):
        inside = (events.time >= number) & (events.time < number + 1)
        assert sorted(np.r_[events.src[inside], events.dst[inside]].tolist()) == list(range(60))
    assert (np.diff(events.time) > 0).all()


@pytest.mark.parametrize("p", [0, 1])
def test_friends_of_friends_meet_where_they_are_planted(p):
    """Shares of meetings whose ends had a common partner in the last two rounds; plain sets of partners."""
    events = datasets.load(f"triads:n=400,rounds=12,p={p}", task="events").events
    rounds = [[] for _ in range(12)]
    for u, w, t in zip(events.src.tolist(), events.dst.tolist(), events.time.tolist()):
        rounds[int(t)].append((u, w))
    partner = [{**{u: w for u, w in pairs}, **{w: u for u, w in pairs}} for pairs in rounds]
    hits = []
    for number in range(2, 12):
        recent = {node: {partner[number - back][node] for back in (1, 2)} for node in range(400)}
        hits += [bool(recent[u] & {v for v in range(400) if w in recent[v]}) for u, w in rounds[number]]
    assert np.mean(hits) > 0.5 if p else np.mean(hits) < 0.05


def test_an_odd_node_sits_out():
    events = datasets.load("triads:n=7,rounds=8", task="events").events
    assert len(events) == 8 * 3


def test_sources_come_back_to_their_favourites():
    events = datasets.load("repeats:n=40,events=8000,k=2,p=0.9,seed=1", task="events").events
    assert events.bipartite and len(events) == 8000 and (np.diff(events.time) > 0).all()
    share = []
    for source in range(20):
        counts = np.bincount(events.dst[events.src == source] - 20, minlength=20)
        share.append(np.sort(counts)[-2:].sum() / counts.sum())
    assert np.mean(share) == pytest.approx(0.9 + 0.1 * 2 / 20, abs=0.02)


@pytest.mark.parametrize(
    "name, message",
    [
        ("repeats:n=10,k=6", "n is 10 and k is 6, expected at least one source and k nodes"),
        ("triads:n=1", "n is 1, expected at least 2"),
        ("triads:rounds=0", "rounds is 0, expected 1"),
    ],
)
def test_what_cannot_be_planted(name, message):
    with pytest.raises(DataError, match=message):
        datasets.load(name, task="events")
