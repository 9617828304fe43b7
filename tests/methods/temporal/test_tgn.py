"""TGN: memory, messages and embeddings against the rules worked out event by event, and gradients against finite
differences.
"""

import copy

import numpy as np
import pytest
import torch

from graphkit.core.errors import UsageError
from graphkit.methods.temporal.nat.experiments import random_stream
from graphkit.methods.temporal.tgn.experiments import Plain, compare
from graphkit.methods.temporal.tgn.method import TGN

SMALL = {"memory_dim": 6, "hidden_dim": 6, "time_dim": 4, "neighbours": 3, "message_dim": 5}


def learner_on(stream, seed=0, **options):
    learner = TGN(**{**SMALL, **options})
    torch.manual_seed(seed)
    learner.prepare(stream, seed=seed, device="cpu")
    return learner


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"aggregator": "mean"},
        {"message": "mlp"},
        {"aggregator": "mean", "message": "mlp", "updater": "rnn"},
        {"embedding": "sum"},
        {"embedding": "time"},
        {"embedding": "identity"},
        {"num_layers": 2},
        {"num_layers": 2, "embedding": "sum", "heads": 3},
        {"neighbour_choice": "uniform", "neighbours": 200},
        {"node_memory": False},
        {"within_batch": True},
        {"within_batch": True, "num_layers": 2, "neighbours": 2},
        {"rich": True},
        {"rich": True, "aggregator": "mean", "num_layers": 2},
        {"rich": True, "node_memory": False},
    ],
    ids=str,
)
def test_scores_and_memories_are_those_of_the_plain_model(options, with_features):
    options = dict(options)
    stream = random_stream(9, 90, 3)
    assert (stream.events.src == stream.events.dst).any() and (np.diff(stream.events.time) == 0).any()
    learner = learner_on(with_features(stream) if options.pop("rich", False) else stream, **options)
    assert compare(learner, 15) < 2e-5


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [1, 7, 30])
def test_batches_of_any_size_follow_the_rules(seed, size):
    assert compare(learner_on(random_stream(6, 60, seed), seed, aggregator="mean"), size, seed) < 2e-5


@pytest.mark.parametrize(
    "options", [{}, {"aggregator": "mean", "message": "mlp"}, {"embedding": "time", "updater": "rnn"}], ids=str
)
def test_gradients_reach_the_weights_that_made_the_memory(options):
    """The loss of a batch, with its memories made of the last messages, differentiated numerically in the plain
    model.
    """
    stream, rng = random_stream(8, 40, 1), np.random.default_rng(0)
    learner = learner_on(stream, **options)
    learner.model.eval()
    plain = Plain(learner)
    for start in (0, 10, 20):
        numbers = np.arange(start, start + 10)
        with torch.no_grad():
            learner.score_batch(numbers, stream.events.dst[numbers])
        plain.take_in(numbers)
    numbers, negatives = np.arange(30, 40), rng.integers(0, 8, 10)

    def loss():
        scores = [
            [plain.score(int(u), int(v), int(k)) for u, v, k in zip(stream.events.src[numbers], ends, numbers)]
            for ends in (stream.events.dst[numbers], negatives)
        ]
        return np.logaddexp(0, -np.array(scores[0])).mean() + np.logaddexp(0, np.array(scores[1])).mean()

    value = learner.loss((numbers, negatives))
    value.backward()
    assert float(value.detach()) == pytest.approx(loss(), abs=1e-5)
    for name, parameter in learner.model.named_parameters():
        for place in rng.choice(parameter.numel(), 1):
            entry, step = np.unravel_index(place, parameter.shape), 1e-4
            kept = plain.p[name][entry]
            sides = []
            for sign in (1, -1):
                plain.p[name][entry] = kept + sign * step
                sides.append(loss())
            plain.p[name][entry] = kept
            numeric = (sides[0] - sides[1]) / (2 * step)
            found = 0.0 if parameter.grad is None else float(parameter.grad[entry])
            assert found == pytest.approx(numeric, rel=2e-2, abs=2e-5), name
    assert any(p.grad is not None and p.grad.abs().max() > 1e-6 for p in learner.model.update.cells.parameters())


def test_the_first_batch_has_no_messages_to_learn_from():
    learner = learner_on(random_stream(8, 80, 1))
    learner.loss((np.arange(20), np.zeros(20, dtype=np.int64))).backward()
    assert all(p.grad is None for p in learner.model.update.cells.parameters())


def test_only_the_nodes_of_a_batch_change_what_is_held():
    stream = random_stream(30, 60, 0)
    learner = learner_on(stream)
    before = None
    for start in range(0, 60, 6):
        numbers = np.arange(start, start + 6)
        before = copy.deepcopy(learner.memory)
        learner.score_batch(numbers, np.roll(stream.events.dst[numbers], 1))
        touched = np.unique([stream.events.src[numbers], stream.events.dst[numbers]])
        rest = np.setdiff1d(np.arange(30), touched)
        for name in ("state", "changed", "log_count", "ring_node"):
            assert torch.equal(learner.memory[name][rest], before[name][rest])
    assert (before["state"] != 0).any()


def test_the_last_of_simultaneous_messages_counts(of_events):
    """Node 0 meets 1 and 2 at one time in one batch: the message of the event that comes later in the data stays."""
    stream = of_events(
        np.array([0, 0, *range(3, 9)]), np.array([1, 2, *range(9, 15)]), np.array([5.0, 5.0, *range(6, 12)]), 15
    )
    learner = learner_on(stream)
    learner.score_batch(np.array([0, 1]), np.array([1, 2]))
    rows, _ = learner.held.log.rows_of(torch.tensor([0]))
    assert learner.memory["log_event"][rows].tolist() == [1]
    mean = learner_on(stream, aggregator="mean")
    mean.score_batch(np.array([0, 1]), np.array([1, 2]))
    rows, _ = mean.held.log.rows_of(torch.tensor([0]))
    assert mean.memory["log_event"][rows].tolist() == [0, 1]


def test_a_memory_alone_needs_the_memory():
    with pytest.raises(UsageError, match="--embedding time is of the memory alone"):
        learner_on(random_stream(8, 80, 1), embedding="time", node_memory=False)
