"""The order of time: what the check trains on is the same but for the order of its training events."""

from types import SimpleNamespace

import numpy as np

from graphkit.methods.temporal.nat.experiments import random_stream
from graphkit.methods.temporal.tgn import order_checks


def test_training_events_alone_are_permuted_and_with_all_that_they_have(monkeypatch, with_features):
    stream, seen = with_features(random_stream(20, 200, 0)), []

    def fit(learner, dataset, seed):
        seen.append(dataset)
        return SimpleNamespace(best={"ap": {"test": len(seen) / 10}})

    monkeypatch.setattr(order_checks, "fit", fit)
    assert order_checks.permuted_times(stream, "nat") == {"ordered": [0.1, 0.3, 0.5], "permuted": [0.2, 0.4, 0.6]}
    assert seen[0] is stream and seen[1].split is stream.split
    events, other, train = stream.events, seen[1].events, stream.split.train
    assert (other.time == events.time).all()
    rows = [np.column_stack([one.src, one.dst, one.feat]) for one in (events, other)]
    assert (rows[0][train[-1] + 1 :] == rows[1][train[-1] + 1 :]).all()
    assert (rows[0][train] != rows[1][train]).any()
    assert sorted(map(tuple, rows[0][train])) == sorted(map(tuple, rows[1][train]))
    assert (seen[3].events.src != other.src).any()  # each seed draws its own permutation
