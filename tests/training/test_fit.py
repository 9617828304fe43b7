"""The loop against a learner whose outcome can be written down by hand, and against itself interrupted."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from graphkit.core.config import option
from graphkit.core.errors import DataError, GraphkitError, Interrupted
from graphkit.core.options import LearnerConfig
from graphkit.datasets.base import EdgeSet, GraphDataset, LinkSplit
from graphkit.training import fit
from graphkit.training.learner import Learner
from graphkit.training.signals import StopRequest


@dataclass(frozen=True)
class ScriptedConfig(LearnerConfig):
    steps: int = option(3, "steps of an epoch", min=1)
    noise: float = option(0.0, "dropout on the weights", min=0, max=1)


class Scripted(Learner):
    """Fits one weight vector to random targets; validation scores follow a script where one is given."""

    Config = ScriptedConfig
    script: list[float] | None = None

    def prepare(self, dataset, *, seed, device):
        self.dataset, self.device, self.evaluations = dataset, device, 0
        self.model = torch.nn.Linear(4, 1)
        self.optimizers = [torch.optim.Adam(self.model.parameters(), lr=0.05)]
        self.seen = []

    def batches(self, epoch, generator):
        for _ in range(self.config.steps):
            yield torch.from_numpy(generator.standard_normal((8, 4))).float()

    def loss(self, batch):
        self.seen.append(float(batch.sum()))
        batch = torch.nn.functional.dropout(batch, self.config.noise)
        return (self.model(batch) - batch.sum(1, keepdim=True)).square().mean()

    def predict(self, split):
        # Hits@1 of a script value v: a share v of the positives lies above the only negative.
        if self.script is None:
            return {"y_pred_pos": self.model.weight.flatten(), "y_pred_neg": self.model.weight.flatten().flip(0) * 0.5}
        value = self.script[self.evaluations] if split == "valid" else self.evaluations / 100
        self.evaluations += split == "valid"
        return {"y_pred_pos": (torch.arange(100) < round(value * 100)).float(), "y_pred_neg": torch.tensor([0.5])}


def dataset():
    edges = EdgeSet(np.zeros((1, 2), dtype=np.int64), np.zeros((1, 2), dtype=np.int64))
    return GraphDataset("scripted", task="link", split=LinkSplit(edges, edges, edges), metric="hits@1")


def scripted(values, **options):
    learner = Scripted(epochs=len(values), **options)
    learner.script = values
    return learner


def test_selects_first_epoch_of_best_validation():
    found = fit(scripted([0.2, 0.5, 0.5, 0.4]), dataset())
    assert found.best["hits@1"]["epoch"] == 2
    assert found.best["hits@1"]["valid"] == pytest.approx(0.5)
    assert found.best["hits@1"]["test"] == pytest.approx(0.02)


def test_selects_by_the_learners_own_loss_where_it_has_one():
    learner, losses = scripted([0.2, 0.1, 0.9, 0.8], patience=2), iter([3.0, 1.0, 1.0, float("nan")])
    learner.validation_loss = lambda: next(losses)
    found = fit(learner, dataset())
    assert (
        found.best["hits@1"] == {"epoch": 2, "valid": pytest.approx(0.1), "test": pytest.approx(0.02)}
        and found.epochs == 4
    )


def test_patience_counts_evaluations_without_gain():
    learner = scripted([0.3, 0.2, 0.2, 0.2, 0.9], patience=2)
    found = fit(learner, dataset())
    assert found.epochs == 3 and found.best["hits@1"]["valid"] == pytest.approx(0.3)


def test_small_gains_count_once_they_add_up():
    """Gains of 1 % are none where 5 % are asked for, each alone; four of them together are one. The best epoch is the
    best.
    """
    found = fit(scripted([0.50, 0.51, 0.52, 0.53, 0.54, 0.55, 0.56], patience=3, min_gain=0.05), dataset())
    assert found.epochs == 7  # epoch 4 is 6 % above the first: the count begins anew
    found = fit(scripted([0.50, 0.51, 0.52, 0.52, 0.9], patience=3, min_gain=0.05), dataset())
    assert found.epochs == 4 and found.best["hits@1"]["epoch"] == 3


def test_zero_epochs_evaluate_once():
    learner = Scripted(epochs=0)
    learner.script = [0.7]
    found = fit(learner, dataset())
    assert found.epochs == 0 and found.best["hits@1"]["valid"] == pytest.approx(0.7)


def test_same_seed_same_weights_and_other_seed_others():
    states = [fit(Scripted(epochs=3, noise=0.3), dataset(), seed=seed).state["weight"] for seed in (1, 1, 2)]
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


def test_diverging_loss_is_refused():
    learner = Scripted(epochs=1)
    learner.loss = lambda batch: learner.model.weight.sum() * float("inf")
    with pytest.raises(GraphkitError, match="training loss became"):
        fit(learner, dataset())


@pytest.mark.parametrize("stop_after", [1, 3, 4, 8, 11])
def test_interrupted_and_resumed_equals_unbroken(tmp_path, stop_after):
    """Stopped after any step, at an epoch's end or inside it, the resumed run sees the same batches and dropout."""
    unbroken = Scripted(epochs=4, noise=0.4)
    expected = fit(unbroken, dataset(), seed=5)

    stop, count = StopRequest(), 0

    def report(event):
        nonlocal count
        count += event["event"] == "step"
        if count == stop_after:
            stop.name = "SIGTERM"

    first, second = Scripted(epochs=4, noise=0.4), Scripted(epochs=4, noise=0.4)
    with pytest.raises(Interrupted) as caught:
        fit(first, dataset(), seed=5, checkpoint_path=tmp_path / "c.pt", report=report, stop=stop)
    assert caught.value.exit_code == 143
    found = fit(second, dataset(), seed=5, checkpoint_path=tmp_path / "c.pt", resume=True)
    assert first.seen + second.seen == unbroken.seen
    assert found.best == expected.best
    for key in expected.state:
        assert torch.equal(found.state[key], expected.state[key])


@pytest.mark.parametrize("cost, wait", [(0.01, 0.5), (0.1, 5.0), (0.5, 25.0), (3.0, 30.0)])
def test_checkpoint_after_the_first_epoch_then_for_two_percent_of_the_time(tmp_path, monkeypatch, cost, wait):
    """On a clock where an epoch takes a second and a save ``cost``: the next one comes fifty times the cost later, or
    30 s.
    """
    from graphkit.training import checkpoint

    now, begun = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def save(path, values):
        begun.append(now[0])
        now[0] += cost

    monkeypatch.setattr(checkpoint, "save", save)
    learner = Scripted(epochs=100, steps=1)
    learner.on_step_end = lambda: now.__setitem__(0, now[0] + 1.0)
    fit(learner, dataset(), checkpoint_path=tmp_path / "c.pt")
    assert begun[0] == 1.0 and len(begun) >= 3
    gaps = np.diff(begun) - cost
    assert (gaps >= wait - 1e-6).all() and (gaps <= wait + 1.0 + 1e-6).all()  # the loop looks once an epoch here
    if wait < 30:
        assert cost * (len(begun) - 1) <= 0.02 * now[0]


def test_checkpoint_of_weights_that_are_not_finite_is_refused(tmp_path):
    path, stop = tmp_path / "c.pt", StopRequest()
    stop.name = "SIGTERM"
    with pytest.raises(Interrupted):
        fit(Scripted(epochs=3), dataset(), checkpoint_path=path, stop=stop)
    values = torch.load(path, weights_only=True)
    values["learner"]["model"]["weight"][0, 0] = float("nan")
    torch.save(values, path)
    with pytest.raises(DataError, match=r"weight .*not finite|not finite"):
        fit(Scripted(epochs=3), dataset(), checkpoint_path=path, resume=True)


def test_gradient_of_rows_taken_several_times_is_the_same_every_time():
    """Threads add to the same rows at once; after ``fit`` the order of the sums is fixed."""
    fit(Scripted(epochs=1), dataset())
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        generator = torch.Generator().manual_seed(0)
        index = torch.randint(300, (20_000,), generator=generator)
        weight = torch.randn(20_000, 64, generator=generator)

        def gradient():
            x = torch.ones(300, 64, requires_grad=True)
            (x[index] * weight).sum().backward()
            return x.grad

        first = gradient()
        assert all(torch.equal(gradient(), first) for _ in range(20))
        assert torch.allclose(
            first.double(), torch.zeros(300, 64, dtype=torch.double).index_add(0, index, weight.double()), atol=1e-3
        )
    finally:
        torch.set_num_threads(before)
