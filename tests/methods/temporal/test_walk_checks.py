"""Causal anonymous walks of the speed check, against loops: steps go back in time, counts are those of the walks."""

import numpy as np

from graphkit.methods.temporal.nat.experiments import random_stream
from graphkit.methods.temporal.nat.walks import STEPS, WALKS, WalkSampler


def test_walks_go_back_in_time_and_are_counted_by_end_and_position():
    stream = random_stream(8, 120, 1)
    sampler, events = WalkSampler(stream), stream.events
    nodes, moments = np.arange(8).repeat(3), np.tile([5, 40, 100], 8)
    walks = sampler.walks(nodes, moments)
    assert walks.shape == (24, WALKS, STEPS + 1)
    longest = 0
    for node, moment, own in zip(nodes, moments, walks):
        met = {k: {events.src[k], events.dst[k]} for k in range(moment)}
        for walk in own.tolist():
            assert walk[0] == node and (-1 not in walk or set(walk[walk.index(-1) :]) == {-1})
            # some chain of ever earlier events runs through the nodes of the walk
            ends, latest = [moment], [node]
            for at, to in zip(walk, walk[1:]):
                if to < 0:
                    break
                ends.append(max((k for k in range(ends[-1]) if met[k] == {at, to}), default=-1))
                latest.append(to)
                assert ends[-1] >= 0
            longest = max(longest, len(latest))
    assert longest == STEPS + 1
    first, second = walks[:12], walks[12:]
    counts = sampler.anonymous(first, second)
    for pair in (0, 5, 11):
        both = [first[pair], second[pair]]
        for walk in (0, WALKS - 1, WALKS, 2 * WALKS - 1):
            for position in range(STEPS + 1):
                node = both[walk // WALKS][walk % WALKS, position]
                expected = [
                    [0 if node < 0 else int((end[:, k] == node).sum()) for k in range(STEPS + 1)] for end in both
                ]
                assert counts[pair, walk, position].tolist() == expected


def test_steps_are_drawn_evenly_and_with_replacement():
    """Among the events of a node before a moment each is as likely: chi-square over many walks, also where there are
    fewer than WALKS.
    """
    stream = random_stream(6, 60, 2)
    sampler, events = WalkSampler(stream), stream.events
    rounds, node, moment = 200, 3, 30
    walks = sampler.walks(np.full(rounds, node), np.full(rounds, moment))
    other = [
        d if s == node else s
        for s, d in zip(events.src[:moment].tolist(), events.dst[:moment].tolist())
        if node in (s, d)
    ]
    assert 2 < len(other) < WALKS and (walks[:, :, 1] >= 0).all()
    found = np.bincount(walks[:, :, 1].ravel(), minlength=6) / (rounds * WALKS)
    expected = np.bincount(other, minlength=6) / len(other)
    sigma = np.sqrt(expected * (1 - expected) / (rounds * WALKS))
    assert (np.abs(found - expected) <= 4.5 * sigma + 1e-12).all()
    assert not np.array_equal(walks[0], walks[1])
