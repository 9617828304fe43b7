"""What a method is, by what the user gets from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from graphkit.config import Config, option

if TYPE_CHECKING:
    import numpy
    import torch

    from graphkit.datasets.base import GraphDataset
    from graphkit.methods.local.clustering import LocalCluster
    from graphkit.methods.local.graph import LocalGraph


class Method:
    """A method with its options; the constructor stores them and computes nothing."""

    Config: ClassVar[type[Config]] = Config

    def __init__(self, config: Config | None = None, **options: Any):
        self.config = config if config is not None else self.Config(**options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config!r})"


class Embedder(Method):
    """Graph -> vectors."""

    def embed(self, dataset: GraphDataset, *, seed: int = 0, device: str = "cpu") -> numpy.ndarray:
        """Return (n, d) float32 vectors; row i belongs to node i of ``dataset.graph``."""
        raise NotImplementedError


class Counter(Method):
    """Graph -> whole numbers."""

    def count(self, dataset: GraphDataset) -> dict[str, numpy.ndarray]:
        """Return (n,) int64 columns by name; row i belongs to node i of ``dataset.graph``."""
        raise NotImplementedError


class Clusterer(Method):
    """Graph and seeds -> a set of nodes."""

    def cluster(self, graph: LocalGraph, seeds: numpy.ndarray) -> LocalCluster:
        """Return the cluster around (S,) int64 seed nodes."""
        raise NotImplementedError


class Analysis(Method):
    """Data set -> measures of its nodes, which a trained run can be held against."""

    def measure(self, dataset: GraphDataset, *, seed: int = 0) -> dict[str, numpy.ndarray]:
        """Return (n,) columns by name, NaN where a node has no value."""
        raise NotImplementedError


@dataclass(frozen=True)
class LearnerConfig(Config):
    """Options that every trained method has."""

    epochs: int = option(100, "passes over the training set", min=0)
    patience: int = option(
        0, "stop after this many evaluations without a better validation score; 0 never stops", min=0
    )
    min_gain: float = option(
        0.0, "a gain by less than this share of the last score that counted does not reset the patience", min=0
    )
    eval_every: int = option(1, "epochs between evaluations", min=1)


class Learner(Method):
    """Data set -> model, trained by :func:`graphkit.training.fit`.

    Attributes set by ``prepare``: ``model`` (a ``torch.nn.Module``, or None where nothing is learned), ``optimizers``,
    ``dataset`` and ``device``.
    """

    Config: ClassVar[type[Config]] = LearnerConfig
    model: torch.nn.Module | None = None
    optimizers: list[torch.optim.Optimizer]
    dataset: GraphDataset
    device: str

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
