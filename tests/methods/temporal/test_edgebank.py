"""EdgeBank against a dictionary that is filled batch by batch, and on the figures of its own data sets."""

import numpy as np
import pytest

from graphkit.core import registry
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.events import in_order, static_graph
from graphkit.datasets.splits.events import finish_events


def stream(seed, split="chrono-0.6/0.2/0.2", times=None):
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, 12, (2, 300))
    events = in_order(src, dst, np.sort(rng.integers(0, 150, 300)).astype(float) if times is None else times)
    return finish_events(GraphDataset("stream", static_graph(events, 12), events=events), split, None, seed)


def reference(dataset, part, batch_size, window=None):
    """Scores of the events and of their negatives; ``memory`` maps a pair to the time of its last event."""
    events, split, memory, scores = dataset.events, dataset.split, {}, ([], [])
    judged, negatives = getattr(split, part), getattr(split, f"{part}_neg")
    waiting = split.history(part).tolist()
    for begin in range(0, len(judged), batch_size):
        batch = judged[begin : begin + batch_size].tolist()
        while waiting and waiting[0] < batch[0]:
            k = waiting.pop(0)
            memory[events.src[k], events.dst[k]] = events.time[k]
        oldest = -np.inf if window is None else events.time[batch[0]] - window
        for place, k in enumerate(batch, begin):
            for out, end in zip(scores, (events.dst[k], negatives[place])):
                out.append(
                    float(memory.get((events.src[k], end), -np.inf) >= oldest and (events.src[k], end) in memory)
                )
    return scores


def scores_of(dataset, part, **options):
    learner = registry.method("edgebank")(**options)
    learner.prepare(dataset, seed=0, device="cpu")
    found = learner.predict(part)
    return [found[name].tolist() for name in ("y_pred_pos", "y_pred_neg")]


@pytest.mark.parametrize("split", ["chrono-0.6/0.2/0.2", "inductive-0.6/0.2/0.2"])
@pytest.mark.parametrize("batch_size", [1, 7, 200])
@pytest.mark.parametrize("part", ["valid", "test"])
def test_memory_is_that_of_a_dictionary(split, batch_size, part):
    for seed in range(5):
        dataset = stream(seed, split)
        found = scores_of(dataset, part, batch_size=batch_size)
        assert found == list(reference(dataset, part, batch_size))
        windowed = scores_of(dataset, part, batch_size=batch_size, memory="window", time_window=20.0)
        assert windowed == list(reference(dataset, part, batch_size, window=20.0))
    assert 0 < np.mean(found[0]) < 1


def test_pieces_change_nothing(monkeypatch):
    dataset = stream(3)
    expected = scores_of(dataset, "test", batch_size=7)
    monkeypatch.setattr("graphkit.methods.temporal.edgebank.method.PAIRS", 8)
    assert scores_of(dataset, "test", batch_size=7) == expected == list(reference(dataset, "test", 7))


def moving(dataset, part, batch_size, share):
    """Scores by the letter: pairs of the events from the quantile 1 - share of the times of all events before the batch
    on.
    """
    events, split, scores = dataset.events, dataset.split, ([], [])
    judged, stored = getattr(split, part), split.history(part)
    negatives, sources = split.negatives(part)
    sources = events.src[judged] if sources is None else sources
    for place, k in enumerate(judged.tolist()):
        known = stored[stored < judged[place // batch_size * batch_size]]
        recent = known[events.time[known] >= np.quantile(events.time[known], 1 - share)]
        memory = set(zip(events.src[recent].tolist(), events.dst[recent].tolist()))
        scores[0].append(float((events.src[k], events.dst[k]) in memory))
        scores[1].append(float((sources[place], negatives[place]) in memory))
    return list(scores)


@pytest.mark.parametrize("share", [0.15, 0.5, 1.0])
@pytest.mark.parametrize("split", ["chrono-0.6/0.2/0.2", "inductive-0.6/0.2/0.2", "chrono-historical-0.6/0.2/0.2"])
def test_the_window_is_the_last_share_of_all_events_so_far(share, split):
    for seed in range(3):
        dataset = stream(seed, split)
        for part in ("valid", "test"):
            found = scores_of(dataset, part, batch_size=7, memory="window", window_share=share)
            assert found == moving(dataset, part, 7, share)
    assert share == 1.0 or found != scores_of(dataset, "test", batch_size=7)
    assert share < 1.0 or found == scores_of(dataset, "test", batch_size=7)


def test_the_window_moves_with_the_stream():
    # One pair at a time, each again and again for a while: only the last pair's events are the last 15 %.
    src, times = np.repeat(np.arange(10), 30), np.arange(300.0)
    events = in_order(src, src + 10, times)
    dataset = finish_events(
        GraphDataset("turns", static_graph(events, 20), events=events), "chrono-0.6/0.2/0.2", None, 0
    )
    found = scores_of(dataset, "test", batch_size=1, memory="window")[0]
    assert found == [float(k % 30 != 0) for k in dataset.split.test.tolist()]


def test_later_events_leave_no_trace():
    dataset = stream(2)
    found, events, begin = scores_of(dataset, "test", batch_size=1), dataset.events, dataset.split.test[0]
    middle = begin + 30
    order = np.r_[np.arange(middle), np.random.default_rng(0).permutation(np.arange(middle, len(events)))]
    mixed = in_order(events.src[order], events.dst[order], events.time)
    other = finish_events(dataset.renamed(events=mixed), dataset.split_name, None, 2)
    again = scores_of(other, "test", batch_size=1)
    assert again[0][:30] == found[0][:30] and again[0] != found[0]


@pytest.mark.parametrize(
    "options",
    [{}, {"memory": "window", "time_window": 15.0}, {"memory": "window"}],
    ids=["unlimited", "fixed", "window"],
)
def test_events_that_come_one_by_one_are_judged_as_in_a_data_set(options):
    dataset = stream(4)
    learner, events = registry.method("edgebank")(batch_size=1, **options), dataset.events
    learner.prepare(dataset, seed=0, device="cpu")
    learner.start_stream("valid")
    found = [learner.score_event(events.src[k], events.dst[k], events.time[k]) for k in dataset.split.test.tolist()]
    assert found == learner.predict("test")["y_pred_pos"].tolist()
