"""What a method is, by what the user gets from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy

from graphkit.core.config import Config
from graphkit.core.kinds import Method
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.local_graph import LocalGraph


@dataclass(frozen=True)
class LocalCluster:
    """A cluster and how it was found.

    nodes: (k,) int64 by falling value; values: (k,) float64, x of a flow, p / d or heat / d of a walk, d the labelled
        degree.
    conductance, cut, volume: in the graph without labels; labelled_conductance: what the cut was chosen by.
    touched: nodes that the diffusion reached; pushes: times that a node passed on; mass: of a flow, in volumes.
    status: ``converged``, ``stopped`` after the passes, or ``full`` where a component takes less than the mass.
    residual: of a flow, the largest mass that a node keeps above its sink.
    """

    nodes: numpy.ndarray
    values: numpy.ndarray
    conductance: float
    cut: float
    volume: float
    labelled_conductance: float
    touched: int
    pushes: int
    mass: float | None
    status: str
    residual: float = 0.0


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


class Artifact(Method):
    """What a learner can compute once for all of its trainings, and takes back by one of its options.

    The sheet's ``artifact`` names the class, the flag of ``graphkit train`` that asks for it, and what the flag does.
    ``folder``: whether ``--out`` is a folder or a file. ``seeded``: whether ``--seed`` decides what is made.
    """

    folder: ClassVar[bool] = True
    seeded: ClassVar[bool] = True

    def check(self, config: Config, out: Path) -> None:
        """Raise :class:`UsageError` if the learner's options or ``out`` do not fit, before the data are read."""

    def task(self, config: Config, labelled: bool) -> str | None:
        """The task to load the data with, None for the graph alone; ``labelled``: whether there are labels to read.

        Raises :class:`UsageError` if labels are needed and there are none.
        """
        return None

    def make(
        self,
        config: Config,
        dataset: GraphDataset,
        out: Path,
        *,
        seed: int,
        device: str,
        report: Callable[..., None],
    ) -> dict[str, Any]:
        """Write the artifact of a learner's options to ``out`` and return what to tell of it, by name.

        ``report(stage, done, total)`` shows progress. What is for programs alone is in ``details``, a mapping.
        """
        raise NotImplementedError
