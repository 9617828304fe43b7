"""Every learner of events looks at differences of times alone: what is added to all of them, or their unit, changes
nothing.
"""

import numpy as np
import pytest
import torch

from graphkit.core import registry
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.events import in_order, static_graph
from graphkit.datasets.splits.events import finish_events

OPTIONS = {
    "nat": {"cache": (6, 5), "self_dim": 8},
    "nat age": {"cache": (6, 5), "self_dim": 8, "time_input": "age"},
    "tgn": {"memory_dim": 8, "hidden_dim": 8, "time_dim": 6, "neighbours": 4},
    "tgn mean within": {
        "memory_dim": 8,
        "hidden_dim": 8,
        "time_dim": 6,
        "neighbours": 4,
        "aggregator": "mean",
        "within_batch": True,
    },
    "tgat": {"hidden_dim": 8, "time_dim": 6, "neighbours": 3},
    "jodie": {"memory_dim": 8, "time_dim": 6},
    "edgebank": {"memory": "window", "time_window": 9.0},
    "edgebank share": {"memory": "window"},
}
RNG = np.random.default_rng(2)
SRC, DST = RNG.integers(0, 12, (2, 240))
TIMES = np.cumsum(RNG.integers(0, 3, 240))
FAR = 1_700_000_000_000_000_000  # where float64 has steps of 256


def stream_of(times, **more):
    events = in_order(SRC, DST, times, **more)
    return finish_events(GraphDataset("stream", static_graph(events, 12), events=events), "chrono-0.6/0.2/0.2", None, 0)


def trained(name, stream, live):
    """A learner after a pass over the training events."""
    batches = {"batch_size": 16, **({} if name.startswith("edgebank") else {"eval_batch_size": 1 if live else 16})}
    learner = registry.method(name.split()[0])(
        **OPTIONS[name], **({**batches, "batch_size": 1} if live and "bank" in name else batches)
    )
    torch.manual_seed(0)
    learner.prepare(stream, seed=0, device="cpu")
    if learner.model is not None:
        for group in learner.optimizers[0].param_groups:
            group["lr"] = 0.01
        for batch in learner.batches(0, np.random.default_rng(0)):
            learner.optimizers[0].zero_grad()
            learner.loss(batch).backward()
            learner.optimizers[0].step()
    return learner


def learned(name, stream, live=False):
    """Scores of the test after a pass over the training events; ``live``: event by event."""
    learner = trained(name, stream, live)
    if not live:
        return torch.cat([torch.as_tensor(scores) for scores in learner.predict("test").values()])
    learner.start_stream("valid")
    events = stream.events
    rows = stream.split.test.tolist()
    return torch.tensor([learner.score_event(events.src[k], events.dst[k], events.time[k].item()) for k in rows])


@pytest.mark.parametrize("live", [False, True], ids=["data", "live"])
@pytest.mark.parametrize("name", OPTIONS)
def test_times_far_from_zero_are_as_exact_as_near_ones(name, live):
    near, far = (learned(name, stream_of(TIMES + shift), live) for shift in (0, FAR))
    assert torch.equal(near, far)
    assert name.startswith("edgebank") or not torch.equal(
        near, learned(name, stream_of(TIMES * 7), live)
    )  # times do count


@pytest.mark.parametrize("name", OPTIONS)
def test_fractions_of_a_second_are_seconds(name):
    seconds = learned(name, stream_of(TIMES / 8))
    ticks = learned(name, stream_of(TIMES * 125, ticks=1000, dates=True))
    torch.testing.assert_close(ticks, seconds, rtol=1e-5, atol=1e-6)


def test_ties_and_cuts_of_times_that_float64_cannot_tell_apart():
    stream = stream_of(FAR + np.arange(240))
    assert [len(part) for part in (stream.split.train, stream.split.valid, stream.split.test)] == [144, 48, 48]
    assert len(set(stream.events.time.tolist())) == 240


@pytest.mark.parametrize("name", OPTIONS)
def test_a_fraction_may_follow_whole_times(name):
    times = TIMES.astype(float)
    times[-20:] += np.arange(20) / 32  # in the test, live
    whole, real = stream_of(TIMES), stream_of(times)
    expected = learned(name, real, live=True)
    learner = trained(name, whole, live=True)
    learner.start_stream("valid")
    found = [
        learner.score_event(SRC[k], DST[k], float(times[k]) if k >= 220 else int(TIMES[k]))
        for k in whole.split.test.tolist()
    ]
    torch.testing.assert_close(torch.tensor(found), expected, rtol=1e-5, atol=1e-6)
