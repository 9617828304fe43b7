"""Finders of past neighbours against a search through the whole stream, and neighbourhoods against a recursion."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from graphkit.methods.temporal.nat.experiments import random_stream
from graphkit.sampling.past_neighbours import PastNeighbours, RecentNeighbours, neighbourhoods
from graphkit.training.streams import EventStore

NODES = 9


def store_of(seed, count=120, nodes=NODES):
    return EventStore(random_stream(nodes, count, seed).events, "cpu")


def past_of(store, taken, node, moment):
    """(other end, event) of all taken events of a node before a moment, in order."""
    ends = [(k, int(store.src[k]), int(store.dst[k])) for k in taken if k < moment]
    return [(v if u == node else u, k) for k, u, v in ends if node in (u, v)]


def rows(found):
    return [[pair for pair in zip(*row) if pair[1] >= 0] for row in zip(*(part.tolist() for part in found))]


def stream_through(finder, store, seed, check, skip=0.0):
    """Take events in, in batches of random size, some left out; call ``check(taken, next)`` between them."""
    rng, taken, start = np.random.default_rng(seed), [], 0
    while start < store.count:
        numbers = np.arange(start, min(start + int(rng.integers(1, 14)), store.count))
        kept = numbers[rng.random(len(numbers)) >= skip]
        finder.take_in(store.src[kept], store.dst[kept], kept)
        taken += kept.tolist()
        start = int(numbers[-1]) + 1
        check(taken, start)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [1, 3, 40])
def test_rings_hold_the_last_events(seed, k):
    store = store_of(seed)
    finder = RecentNeighbours({}, NODES, k)
    assert (store.src == store.dst).any()

    def check(taken, after):
        found = rows(finder.find(np.arange(NODES), np.full(NODES, after)))
        assert found == [past_of(store, taken, v, after)[::-1][:k] for v in range(NODES)]

    stream_through(finder, store, seed, check, skip=0.2)
    finder.empty()
    assert rows(finder.find(np.arange(NODES), np.full(NODES, store.count))) == [[]] * NODES


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [1, 3, 40])
def test_lists_know_the_last_events_before_any_moment(seed, k):
    store = store_of(seed)
    finder = PastNeighbours({}, store, NODES, k, uniform=False, seed=seed)
    rng = np.random.default_rng(seed)

    def check(taken, after):
        moments = rng.integers(0, after + 1, NODES)
        assert rows(finder.find(np.arange(NODES), moments)) == [
            past_of(store, taken, v, m)[::-1][:k] for v, m in enumerate(moments)
        ]

    stream_through(finder, store, seed, check, skip=0.2)


@pytest.mark.parametrize("seed", range(4))
def test_drawn_events_are_different_ones_of_the_past(seed):
    store, k = store_of(seed), 5
    finder = PastNeighbours({}, store, NODES, k, uniform=True, seed=seed)

    def check(taken, after):
        moments = np.random.default_rng(after).integers(0, after + 1, NODES)
        for v, (row, moment) in enumerate(zip(rows(finder.find(np.arange(NODES), moments, draw=3)), moments)):
            past = past_of(store, taken, v, moment)
            assert len(set(row)) == len(row) == min(k, len(past)) and set(row) <= set(past)

    stream_through(finder, store, seed, check)


def test_draws_are_even_and_depend_on_seed_draw_node_and_moment_alone():
    src, dst = np.zeros(400, dtype=np.int64), np.arange(1, 401) % 8 + 1
    store = SimpleNamespace(src=src, dst=dst, count=400)
    finder = PastNeighbours({}, store, 9, 6, uniform=True, seed=1)
    finder.take_in(src, dst, np.arange(400))
    moments = np.arange(20, 401)
    nodes = np.zeros(len(moments), dtype=np.int64)
    found = finder.find(nodes, moments, draw=1)[1]
    assert np.array_equal(finder.find(nodes[100:101], moments[100:101], draw=1)[1][0], found[100])
    assert not np.array_equal(finder.find(nodes, moments, draw=2)[1], found)
    finder.seed = 2
    assert not np.array_equal(finder.find(nodes, moments, draw=1)[1], found)
    counts = np.zeros(20)
    for draw in range(2000):
        counts[finder.find(nodes[:1], moments[:1], draw)[1][0]] += 1
    expected = 2000 * 6 / 20
    assert ((counts - expected) ** 2 / expected).sum() < 43.8  # chi-squared, 19 degrees, 0.1 %


@pytest.mark.parametrize("seed", range(3))
def test_lists_make_room_for_events_that_were_not_foreseen(seed):
    store = store_of(seed, count=30)
    finder = PastNeighbours({}, store, NODES, 4, uniform=False, seed=0)
    finder.take_in(store.src[:30], store.dst[:30], np.arange(30))
    rng = np.random.default_rng(seed)
    for step in range(300):
        u, v = rng.integers(0, 3 if step % 2 else NODES, 2)  # a few nodes outgrow their room again and again
        number = np.array([store.append(int(u), int(v), 1000.0 + step)])
        finder.take_in(store.src[number], store.dst[number], number)
    moments = rng.integers(0, store.count + 1, 200)
    nodes = rng.integers(0, NODES, 200)
    expected = [past_of(store, range(store.count), v, m)[::-1][:4] for v, m in zip(nodes, moments)]
    assert rows(finder.find(nodes, moments)) == expected
    assert len(finder.memory["past_pool"]) < 12 * store.count


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_neighbourhoods_are_those_of_a_recursion(back, depth):
    store = store_of(5)
    finder = PastNeighbours({}, store, NODES, 3, uniform=False, seed=0)
    finder.take_in(store.src[:100], store.dst[:100], np.arange(100))
    nodes, moments = np.array([0, 4, 4, 8]), np.array([100, 101, 100, 102])
    mark = np.full(NODES, -1)
    hops = neighbourhoods(finder, nodes, moments, depth, mark, back=back)
    assert (mark == -1).all() and len(set(hops.nodes.tolist())) == len(hops.nodes)

    def tree(node, moment, levels):
        if levels == 0:
            return node
        below = [
            (k, tree(v, k if back else moment, levels - 1))
            for v, k in past_of(store, range(100), node, moment)[::-1][:3]
        ]
        return (node, below)

    def found(hop, row):
        node = int(hops.nodes[hops.at[hop][row]])
        if hop == depth:
            return node
        before, column, event = hops.links[hop]
        own = np.flatnonzero(before == row)
        return (node, [(int(event[e]), found(hop + 1, column[e])) for e in own])

    for row, (node, moment) in enumerate(zip(nodes, moments)):
        assert found(0, row) == tree(node, moment, depth)
    for hop in range(1, depth):  # a node at a moment is one row
        pairs = list(zip(hops.nodes[hops.at[hop]].tolist(), hops.moments[hop].tolist()))
        assert len(set(pairs)) == len(pairs)


def test_tensors_are_in_the_memory_that_was_given():
    memory: dict[str, torch.Tensor] = {}
    RecentNeighbours(memory, 4, 2)
    PastNeighbours(memory, store_of(0), NODES, 2, uniform=True, seed=0)
    assert set(memory) == {
        "ring_node",
        "ring_event",
        "ring_count",
        "past_room",
        "past_start",
        "past_count",
        "past_pool",
    }
