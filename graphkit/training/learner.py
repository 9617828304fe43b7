"""What every trained method does: prepare, batches, loss, predict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy
import torch

from graphkit.core.config import Config
from graphkit.core.kinds import Method
from graphkit.core.options import LearnerConfig
from graphkit.datasets.base import GraphDataset


class Learner(Method):
    """Data set -> model, trained by :func:`graphkit.training.fit`.

    Attributes set by ``prepare``: ``model`` (a ``torch.nn.Module``, or None where nothing is learned), ``optimizers``,
    ``dataset`` and ``device``. ``initial_state``: of the model of the run that ``--init-from`` names, set by
    :mod:`graphkit.runs` before ``prepare``; None without one.
    """

    Config: ClassVar[type[Config]] = LearnerConfig
    config: LearnerConfig
    model: torch.nn.Module | None = None
    optimizers: list[torch.optim.Optimizer]
    dataset: GraphDataset
    device: str
    initial_state: dict[str, torch.Tensor] | None = None

    def prepare(self, dataset: GraphDataset, *, seed: int, device: str) -> None:
        """Build the model and its optimisers for a data set; torch's generator is already seeded."""
        raise NotImplementedError

    def batches(self, epoch: int, generator: numpy.random.Generator) -> Iterator[Any]:
        """Yield the training batches of an epoch, drawn from ``generator`` alone, so that a resumed run can skip."""
        raise NotImplementedError

    def loss(self, batch: Any) -> torch.Tensor:
        """Return the scalar training loss of a batch."""
        raise NotImplementedError

    def predict(self, split: str) -> dict[str, torch.Tensor]:
        """Score ``"valid"`` or ``"test"``: y_pred_pos and y_pred_neg for links, y_true and y_pred otherwise."""
        raise NotImplementedError

    def validation_loss(self) -> float | None:
        """Loss of the last prediction of ``"valid"``, of which the lowest selects the epoch; None: each metric selects
        its own.
        """
        return None

    def gains(self, valid: dict[str, float]) -> bool:
        """Whether an evaluation that found these validation values starts the patience again, even where it selects
        nothing.

        Called once after every evaluation; what it remembers belongs into :meth:`training_state`.
        """
        return False

    def on_epoch_start(self, epoch: int) -> None:
        """Run before the batches of an epoch."""

    def on_backward_end(self) -> None:
        """Run between the gradients and the step, e.g. to clip them."""

    def on_step_end(self) -> None:
        """Run after each optimiser step."""

    def training_state(self) -> dict[str, Any]:
        """Return all that further training needs: tensors, numbers, lists and dicts; a method adds schedulers,
        caches.
        """
        return {"model": self.state_dict(), "optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`training_state` returned, after ``prepare``."""
        self.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)

    def parameter_count(self) -> int:
        """Number of learned values, over all stages."""
        return 0 if self.model is None else sum(p.numel() for p in self.model.parameters())

    def report(self, state: dict[str, torch.Tensor]) -> dict[str, float]:
        """Return what a result says beside the metrics of a model with this state, e.g. how full its tables are."""
        return {}

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return all that prediction needs; a method adds state that outlives a batch."""
        return {} if self.model is None else self.model.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what :meth:`state_dict` returned, after ``prepare``."""
        if self.model is not None:
            self.model.load_state_dict(state)


class LinkLearner(Learner):
    """A learner that can score any pair of nodes."""

    def score_pairs(self, pairs: torch.Tensor) -> torch.Tensor:
        """Return (P,) scores of (P, 2) int64 pairs against the training graph, in chunks."""
        raise NotImplementedError
