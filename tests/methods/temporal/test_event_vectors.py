"""What holds for every learner of events: nothing from the future, runs that are cut and go on, streams, masked and new
nodes.
"""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from graphkit.core import registry
from graphkit.core.errors import Interrupted
from graphkit.datasets.readers.events import in_order
from graphkit.datasets.splits.events import finish_events
from graphkit.methods.temporal.nat.experiments import random_stream
from graphkit.training import fit
from graphkit.training.event_vectors import EventVectorsLearner
from graphkit.training.signals import StopRequest

BATCH = 16
SMALL = {"batch_size": BATCH, "eval_batch_size": BATCH, "time_dim": 4}
MEMORY, ATTENTION = {**SMALL, "memory_dim": 6}, {"hidden_dim": 6, "neighbours": 3}
VECTORS = {
    "tgn": ("tgn", {**MEMORY, **ATTENTION}),
    "tgn-mean-mlp-sum": (
        "tgn",
        {**MEMORY, **ATTENTION, "aggregator": "mean", "message": "mlp", "message_dim": 5, "embedding": "sum"},
    ),
    "tgn-uniform-2": ("tgn", {**MEMORY, **ATTENTION, "num_layers": 2, "neighbour_choice": "uniform", "updater": "rnn"}),
    "tgn-no-memory": ("tgn", {**MEMORY, **ATTENTION, "node_memory": False}),
    "tgn-identity": ("tgn", {**MEMORY, "embedding": "identity"}),
    "tgat": ("tgat", {**SMALL, **ATTENTION}),
    "tgat-recent": ("tgat", {**SMALL, **ATTENTION, "neighbour_choice": "recent"}),
    "tgat-within": ("tgat", {**SMALL, **ATTENTION, "within_batch": True}),
    "tgn-within": ("tgn", {**MEMORY, **ATTENTION, "within_batch": True}),
    "jodie": ("jodie", MEMORY),
}
NAT = {"cache": (6, 5), "self_dim": 8, "slot_dim": 3, "pos_dim": 4, "batch_size": BATCH, "eval_batch_size": BATCH}
EVERY = {
    **VECTORS,
    "nat": ("nat", NAT),
    "nat-age": ("nat", {**NAT, "time_input": "age"}),
    "edgebank": ("edgebank", {"batch_size": BATCH}),
}


def method(case, **options):
    name, own = EVERY[case]
    return registry.method(name)(**{**own, **options})


def learner_on(stream, case, seed=0, **options):
    learner = method(case, **options)
    torch.manual_seed(seed)
    learner.prepare(stream, seed=seed, device="cpu")
    return learner


def trained(learner, epochs=1):
    for epoch in range(epochs):
        learner.on_epoch_start(epoch)
        for batch in learner.batches(epoch, np.random.default_rng(epoch)):
            learner.model.train()
            learner.optimizers[0].zero_grad()
            learner.loss(batch).backward()
            learner.optimizers[0].step()
    return learner


@pytest.mark.parametrize("case", EVERY)
@pytest.mark.parametrize("seed", range(2))
def test_shuffling_the_future_leaves_no_trace(case, seed):
    stream, middle = random_stream(30, 300, seed), 25  # inside the second batch
    found = learner_on(stream, case).predict("test")
    events, begin = stream.events, stream.split.test[0]
    later = np.random.default_rng(seed).permutation(np.arange(begin + middle, len(events)))
    order = np.r_[np.arange(begin + middle), later]
    mixed = stream.renamed(events=in_order(events.src[order], events.dst[order], events.time))
    other = learner_on(finish_events(mixed, None, None, 0), case).predict("test")
    for name in found:
        torch.testing.assert_close(found[name][:middle], other[name][:middle], rtol=1e-5, atol=1e-6)
        assert torch.equal(found[name][:BATCH], other[name][:BATCH])
    assert not torch.allclose(found["y_pred_pos"], other["y_pred_pos"])


@pytest.mark.parametrize("case", EVERY)
@pytest.mark.parametrize("rich", [False, True])
def test_several_negatives_are_judged_as_each_alone_would_be(case, rich, with_features, monkeypatch):
    monkeypatch.setattr("graphkit.training.streams.PAIRS", 7)  # pieces end within an event
    stream = random_stream(30, 300, 3)
    stream = with_features(stream) if rich else stream
    split, several = stream.split, {}
    for part in ("valid", "test"):
        table = np.random.default_rng(1).integers(30, size=(len(getattr(split, part)), 3))
        table[1::2, 2] = -1
        table[4] = [-1, 5, -1]
        several[f"{part}_neg"] = table
    learner = learner_on(stream.renamed(split=replace(split, **several)), case)
    found = {part: learner.predict(part) for part in ("valid", "test")}
    for column in range(3):
        alone = {name: np.maximum(table[:, column], 0) for name, table in several.items()}
        plain = learner_on(stream.renamed(split=replace(split, **alone)), case)
        for part in ("valid", "test"):
            expected, there = plain.predict(part), several[f"{part}_neg"][:, column] >= 0
            torch.testing.assert_close(found[part]["y_pred_pos"], expected["y_pred_pos"], rtol=1e-5, atol=1e-6)
            column_scores = found[part]["y_pred_neg"][:, column]
            torch.testing.assert_close(column_scores[there], expected["y_pred_neg"][there], rtol=1e-5, atol=1e-6)
            assert (column_scores[~there] == -np.inf).all()


@pytest.mark.parametrize("case", EVERY)
@pytest.mark.parametrize("rich", [False, True])
def test_nodes_that_are_added_are_as_if_they_had_been_there_without_events(case, rich, with_features):
    stream = random_stream(20, 200, 2)
    stream = with_features(stream) if rich else stream
    graph = copy.copy(stream.graph)
    graph.add_nodes(5)  # DGL gives them features of 0
    known = learner_on(stream.renamed(graph=graph), case)
    grown = learner_on(stream, case)
    if known.model is not None:
        grown.model.load_state_dict(known.model.state_dict())
    known.start_stream("test")
    grown.start_stream("test")
    assert [grown.add_node() for _ in range(5)] == [20, 21, 22, 23, 24]
    rng = np.random.default_rng(0)
    for time in range(1000, 1040):
        src, dst = rng.integers(25, size=2).tolist()
        feat = rng.normal(size=2).tolist() if rich else None
        assert grown.score_event(src, dst, time, feat) == pytest.approx(
            known.score_event(src, dst, time, feat), rel=1e-5, abs=1e-6
        )


@pytest.mark.parametrize("case", VECTORS)
def test_the_past_does_leave_a_trace(case):
    stream = random_stream(12, 300, 0)
    found, events, begin = learner_on(stream, case).predict("test"), stream.events, stream.split.test[0]
    src = events.src.copy()
    src[begin - 40 : begin] = np.random.default_rng(1).permutation(src[begin - 40 : begin])
    other = learner_on(
        finish_events(stream.renamed(events=in_order(src, events.dst, events.time)), None, None, 0), case
    ).predict("test")
    assert not torch.allclose(found["y_pred_pos"][:BATCH], other["y_pred_pos"][:BATCH], atol=1e-4)


@pytest.mark.parametrize("steps", [3, 14, 20])
@pytest.mark.parametrize("case", VECTORS)
def test_a_run_that_is_cut_inside_an_epoch_ends_as_if_it_had_not_been(case, tmp_path, steps):
    stream, path = random_stream(20, 300, 3), tmp_path / "checkpoint.pt"
    options = {"epochs": 2, "lr": 0.01}
    whole = fit(method(case, **options), stream, seed=1)
    stop, seen = StopRequest(), []

    def report(event):
        seen.append(event)
        if sum(e["event"] == "step" for e in seen) == steps and stop.name is None:
            stop.name = "SIGTERM"

    with pytest.raises(Interrupted):
        fit(method(case, **options), stream, seed=1, checkpoint_path=path, report=report, stop=stop)
    rest = fit(method(case, **options), stream, seed=1, checkpoint_path=path, resume=True)
    assert rest.best == whole.best and rest.curve == whole.curve
    assert all(torch.equal(value, whole.state[name]) for name, value in rest.state.items())


@pytest.mark.parametrize("case", VECTORS)
def test_the_test_can_be_repeated_and_does_not_change_what_is_saved(case):
    stream = random_stream(20, 300, 1)
    learner = trained(learner_on(stream, case))
    learner.predict("valid")
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    first, second = learner.predict("test"), learner.predict("test")
    assert torch.equal(first["y_pred_pos"], second["y_pred_pos"])
    state = learner.state_dict()
    assert set(state) == set(before) and all(torch.equal(value, before[name]) for name, value in state.items())
    other = learner_on(stream, case)
    other.load_state_dict(before)
    assert torch.equal(other.predict("test")["y_pred_neg"], first["y_pred_neg"])


@pytest.mark.parametrize("rich", [False, True])
@pytest.mark.parametrize("case", VECTORS)
def test_events_that_come_one_by_one_are_judged_as_in_a_data_set(case, rich, with_features):
    stream = random_stream(20, 120, 4)
    stream = with_features(stream) if rich else stream
    whole, cut = (trained(learner_on(stream, case, eval_batch_size=1)) for _ in range(2))
    expected = whole.predict("test")["y_pred_pos"]
    cut.start_stream("valid")
    events, found = stream.events, []
    for k in stream.split.test.tolist():
        found.append(
            cut.score_event(
                events.src[k], events.dst[k], events.time[k], None if events.feat is None else events.feat[k]
            )
        )
    torch.testing.assert_close(torch.tensor(found), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", VECTORS)
def test_streams_go_on_beyond_the_data(case, of_events):
    """Events after the test equal those of a longer data set whose first part is the same."""
    whole = random_stream(12, 150, 6)
    events, cut = whole.events, 100
    first = of_events(events.src[:cut], events.dst[:cut], events.time[:cut], 12)
    learner, longer = (learner_on(stream, case, eval_batch_size=1) for stream in (first, whole))
    for one in (learner, longer):
        if one.model.projection is not None:  # it was made from other training events
            one.model.projection.mean, one.model.projection.deviation = 3.0, 2.0
    longer.model.load_state_dict(learner.model.state_dict())
    learner.start_stream("test")
    found = [learner.score_event(events.src[k], events.dst[k], events.time[k]) for k in range(cut, 150)]
    longer._replay(np.arange(cut))
    numbers = np.arange(cut, 150)
    torch.testing.assert_close(
        torch.tensor(found), longer._judge(numbers, events.dst[numbers])["y_pred_pos"], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("case", VECTORS)
def test_training_sees_no_masked_node_and_the_test_all_of_their_past(case):
    stream = random_stream(20, 400, 2, split="inductive-0.7/0.15/0.15")
    learner, split, events = trained(learner_on(stream, case)), stream.split, stream.events
    masked, memory = torch.from_numpy(split.masked), learner.memory
    assert len(masked)
    for name in ("state", "ring_count", "past_count", "log_count", "changed"):
        if name in memory:
            assert (memory[name][masked] == 0).all() and (memory[name] != 0).any()
    if "ring_node" in memory:
        assert not torch.isin(memory["ring_node"], masked).any()
    found = learner.predict("test")["y_pred_pos"]
    learner.empty_memory()
    learner._judge(np.arange(split.before), events.dst[: split.before])
    torch.testing.assert_close(
        found, learner._judge(split.test, events.dst[split.test])["y_pred_pos"], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("case", VECTORS)
def test_loops_simultaneous_events_and_nodes_that_are_new_in_the_test(case, of_events):
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, 6, (2, 200))
    src[::7] = dst[::7]
    src[180:], dst[190:] = 6 + rng.integers(0, 3, 20), 9  # nodes that no earlier event has
    learner = trained(learner_on(of_events(src, dst, np.repeat(np.arange(20.0), 10), 11), case))
    for split in ("valid", "test"):
        assert all(torch.isfinite(scores).all() for scores in learner.predict(split).values())


@pytest.mark.parametrize("case", ["tgat", "tgn-uniform-2"])
def test_draws_differ_between_epochs_and_not_between_judgements(case):
    stream = random_stream(8, 300, 0)
    learner = learner_on(stream, case, dropout=0.0)
    losses = []
    for epoch in (0, 1, 0):
        learner.on_epoch_start(epoch)
        learner.model.train()
        with torch.no_grad():
            losses.append([float(learner.loss(batch)) for batch in learner.batches(0, np.random.default_rng(0))])
    assert losses[0] == losses[2] and losses[0][3:] != losses[1][3:]
    learner.on_epoch_start(5)
    judged = learner.predict("valid")["y_pred_pos"]
    learner.on_epoch_start(6)
    assert torch.equal(learner.predict("valid")["y_pred_pos"], judged)


@pytest.mark.parametrize("case", VECTORS)
def test_every_parameter_learns(case, with_features):
    stream = with_features(random_stream(20, 300, 0))
    learner = learner_on(stream, case)
    assert isinstance(learner, EventVectorsLearner)
    learner.on_epoch_start(0)
    learner.model.train()
    sum(learner.loss(batch) for batch in learner.batches(0, np.random.default_rng(0))).backward()
    idle = [name for name, p in learner.model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert idle == []
