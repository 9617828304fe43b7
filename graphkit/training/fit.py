"""The only training loop: epochs, evaluation, early stopping, checkpoints, resume."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from graphkit.core.errors import DataError, GraphkitError, Interrupted
from graphkit.core.machine import fixed_order, seed_dgl
from graphkit.core.stopping import Stopped
from graphkit.evaluation import metrics
from graphkit.evaluation.registry import better
from graphkit.io.models import check_finite
from graphkit.training import checkpoint
from graphkit.training.signals import StopRequest

SAVING_SHARE = 50  # a save for every fifty times its cost: 2 % of the time at most

Report = Callable[[dict[str, Any]], None]


@dataclass
class FitResult:
    """What a run of one seed found.

    best: metric -> {"epoch", "valid", "test"}; every metric selects the first epoch with its best validation value, or
    all that with the lowest validation loss where the learner asks for it.
    state: the learner's state at the best epoch of the data set's own metric. curve: {"epoch", metric: validation
    value} of every evaluation.
    """

    best: dict[str, dict[str, float]]
    state: dict[str, torch.Tensor]
    epochs: int
    seconds: float
    curve: list[dict[str, float]] = field(default_factory=list)


@dataclass
class _Progress:
    """All that changes while training, beside the learner; saved in every checkpoint."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    evaluations_without_gain: int = 0
    gained_from: float | None = None
    lowest_loss: float = float("inf")
    stopped: bool = False
    seconds: float = 0.0
    best: dict[str, dict[str, float]] = field(default_factory=dict)
    best_state: dict[str, torch.Tensor] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)


def fit(
    learner,
    dataset,
    *,
    seed: int = 0,
    device: str = "cpu",
    checkpoint_path: Path | None = None,
    resume: bool = False,
    report: Report | None = None,
    checkpoint_seconds: float = 30.0,
    stop: StopRequest | None = None,
) -> FitResult:
    """Train a learner on a data set and select by validation.

    ``report`` receives ``{"event": "step" | "evaluation", ...}``. With ``checkpoint_path`` the state is saved after the
    first epoch; from then on after an epoch or step whenever :data:`SAVING_SHARE` times what the last save took has
    passed since, or ``checkpoint_seconds`` where that is less; and when a signal is noted in ``stop``, which then
    raises :class:`Interrupted`. With ``resume`` an existing checkpoint is continued; the result equals that of an
    unbroken run.
    Raises :class:`GraphkitError` when the loss stops being finite.
    """
    fixed_order()
    torch.manual_seed(seed)
    seed_dgl(seed)
    stop = stop or StopRequest()
    with _broken_off(stop, "before training; nothing was saved"), stop.soon():
        learner.prepare(dataset, seed=seed, device=device)
    loop = _Loop(learner, dataset, seed, checkpoint_path, report or (lambda event: None), checkpoint_seconds, stop)
    if resume and checkpoint_path is not None and checkpoint_path.exists():
        loop.restore()
    return loop.run()


@contextlib.contextmanager
def _broken_off(stop: StopRequest, where: str) -> Iterator[None]:
    """Turn :class:`Stopped` into :class:`Interrupted`, which says where the run was stopped and what is left of it."""
    try:
        yield
    except Stopped:
        if stop.name is None:
            raise
        raise Interrupted(f"stopped by {stop.name} {where}", stop.exit_code) from None


class _Loop:
    def __init__(self, learner, dataset, seed, path, report, checkpoint_seconds, stop):
        self.learner, self.dataset, self.seed = learner, dataset, seed
        self.path, self.report, self.checkpoint_seconds = path, report, checkpoint_seconds
        self.stop = stop
        self.progress = _Progress()
        self.pending_random: dict[str, Any] | None = None
        self.saved_at = self.started = time.monotonic()
        self.saving_took: float | None = None  # seconds; None before the first save of this process

    def run(self) -> FitResult:
        config, progress = self.learner.config, self.progress
        if config.epochs == 0 and not progress.best:
            self._evaluate(0, None)
        while progress.epoch < config.epochs and not progress.stopped:
            loss = self._epoch(progress.epoch)
            progress.epoch += 1
            if progress.epoch % config.eval_every == 0 or progress.epoch == config.epochs:
                self._evaluate(progress.epoch, loss)
            self._checkpoint_if_due(after_epoch=progress.epoch < config.epochs and not progress.stopped)
        return FitResult(progress.best, progress.best_state, progress.epoch, self._seconds(), progress.curve)

    def _epoch(self, epoch: int) -> float:
        learner, progress = self.learner, self.progress
        if progress.step == 0:
            self._restore_random()  # of a checkpoint between two epochs
            learner.on_epoch_start(epoch)
            progress.loss_sum = 0.0
        # Batches depend on seed and epoch alone, so a resumed epoch draws the finished ones again and skips them.
        seed_dgl(hash((self.seed, epoch)) % 2**31)
        done = progress.step
        for index, batch in enumerate(learner.batches(epoch, np.random.default_rng([self.seed, epoch]))):
            if index < done:
                continue
            self._restore_random()
            progress.loss_sum += self._step(batch, epoch)
            progress.step += 1
            self.report(
                {"event": "step", "epoch": epoch + 1, "step": progress.step, "loss": progress.loss_sum / progress.step}
            )
            self._checkpoint_if_due()
        self._restore_random()  # the checkpoint may have come after the last step of the epoch
        steps, progress.step = progress.step, 0
        return progress.loss_sum / steps if steps else float("nan")

    def _step(self, batch: Any, epoch: int) -> float:
        learner = self.learner
        if learner.model is not None:
            learner.model.train()
        for optimizer in learner.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss = learner.loss(batch)
        value = float(loss.detach())
        if not np.isfinite(value):
            raise GraphkitError(
                f"the training loss became {value} in epoch {epoch + 1}; a smaller learning rate may help"
            )
        loss.backward()
        learner.on_backward_end()
        for optimizer in learner.optimizers:
            optimizer.step()
        learner.on_step_end()
        return value

    def _evaluate(self, epoch: int, loss: float | None) -> None:
        progress = self.progress
        valid = self._score("valid")
        progress.curve.append({"epoch": epoch, **valid})
        better, value = self._better(valid)
        test = self._score("test") if better else {}
        for name in better:
            progress.best[name] = {"epoch": epoch, "valid": valid[name], "test": test[name]}
        if self.dataset.metric in better:
            progress.best_state = {k: v.detach().cpu().clone() for k, v in self.learner.state_dict().items()}
        gained = self.dataset.metric in better and self._gains(value)
        if self.learner.gains(valid) or gained:
            progress.evaluations_without_gain = 0
        else:
            progress.evaluations_without_gain += 1
        patience = self.learner.config.patience
        progress.stopped = bool(patience) and progress.evaluations_without_gain >= patience
        event = {"event": "evaluation", "seed": self.seed, "epoch": epoch, "loss": loss, "valid": valid, "test": test}
        self.report({**event, "seconds": round(self._seconds(), 3)})

    def _score(self, split: str) -> dict[str, float]:
        if self.learner.model is not None:
            self.learner.model.eval()
        kept = (
            f"the last checkpoint is in {self.path}; continue with --resume"
            if self.path and self.path.exists()
            else "nothing was saved"
        )
        where = f"in the evaluation after epoch {self.progress.epoch}; {kept}"
        with _broken_off(self.stop, where), self.stop.soon(), torch.no_grad():
            predictions = self.learner.predict(split)
            return metrics.evaluate(self.dataset, predictions, split)

    def _better(self, valid: dict[str, float]) -> tuple[list[str], float]:
        """The metrics whose best epoch this is, each by its own value or all by the learner's own validation loss; what
        selects.
        """
        progress, loss = self.progress, self.learner.validation_loss()
        if loss is None:
            return [name for name in valid if self._improves(name, valid[name])], valid[self.dataset.metric]
        if progress.best and not loss < progress.lowest_loss:
            return [], loss
        progress.lowest_loss = loss if loss == loss else float("inf")
        return list(valid), loss

    def _improves(self, name: str, value: float) -> bool:
        if name not in self.progress.best:
            return True
        best = self.progress.best[name]["valid"]
        return value < best if better(name) == "min" else value > best

    def _gains(self, value: float) -> bool:
        """Whether a new best is one for the patience too: small gains add up, as each is measured from the last that
        counted.
        """
        start = self.progress.gained_from
        if (
            start is not None
            and np.isfinite(start)
            and not abs(value - start) > self.learner.config.min_gain * abs(start)
        ):
            return False
        self.progress.gained_from = value
        return True

    def _seconds(self) -> float:
        return self.progress.seconds + time.monotonic() - self.started

    def _checkpoint_if_due(self, after_epoch: bool = False) -> None:
        asked = self.stop.name is not None
        if self.path is not None and (asked or self._due(after_epoch)):
            self.save()
        if asked:
            kept = f"the checkpoint is in {self.path}; continue with --resume" if self.path else "nothing was saved"
            raise Interrupted(
                f"stopped by {self.stop.name} in epoch {self.progress.epoch + 1}; {kept}", self.stop.exit_code
            )

    def _due(self, after_epoch: bool) -> bool:
        since = time.monotonic() - self.saved_at
        if self.saving_took is None:
            return after_epoch or since >= self.checkpoint_seconds
        return since >= min(SAVING_SHARE * self.saving_took, self.checkpoint_seconds)

    def save(self) -> None:
        started = time.monotonic()
        progress = copy.copy(self.progress)
        progress.seconds = self._seconds()
        values = {"seed": self.seed, "progress": vars(progress), "random": checkpoint.random_state()}
        checkpoint.save(self.path, {**values, "learner": self.learner.training_state()})
        self.saved_at = time.monotonic()
        self.saving_took = self.saved_at - started

    def restore(self) -> None:
        values = checkpoint.load(self.path)
        try:
            self.progress = _Progress(**values["progress"])
            self.learner.load_training_state(values["learner"])
        except torch.cuda.OutOfMemoryError:
            raise
        except (
            KeyError,
            TypeError,
            ValueError,
            RuntimeError,
            AttributeError,
        ) as problem:  # what torch raises for other shapes
            raise DataError(
                f"{self.path}: not a checkpoint of this run: {' '.join(str(problem).split())[:200]}"
            ) from None
        if self.learner.model is not None:
            check_finite(self.learner.model.state_dict(), self.path)
        # Restored just before the next step: drawing the skipped batches must not disturb it.
        self.pending_random = values["random"]

    def _restore_random(self) -> None:
        if self.pending_random is not None:
            checkpoint.restore_random_state(self.pending_random)
            self.pending_random = None
