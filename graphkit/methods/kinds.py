"""What a method is, by what the user gets from it: each kind is a contract that a verb of the command line runs."""

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

Report = Callable[[str, int, int], None]


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


@dataclass(frozen=True)
class Counts:
    """Whole numbers of nodes, edges or pairs of nodes.

    columns: name -> (rows,) int64. ends: (rows, 2) node numbers if a row is an edge or a pair, else None, and row i is
        that of node i.
    """

    columns: dict[str, numpy.ndarray]
    ends: numpy.ndarray | None = None


class Counter(Method):
    """Graph -> whole numbers."""

    def count(self, dataset: GraphDataset, *, report: Report | None = None) -> Counts:
        """Return the counts of ``dataset``; ``report(stage, done, total)`` shows progress."""
        raise NotImplementedError


class Clusterer(Method):
    """Graph -> sets of nodes: one around given seeds, or all of them where ``needs_seeds`` is False."""

    needs_seeds: ClassVar[bool] = True

    @property
    def reads_labels(self) -> bool:
        """Whether :meth:`cluster` takes a graph with noisy labels of its nodes."""
        return False

    def cluster(self, graph: LocalGraph, seeds: numpy.ndarray, *, volume: float | None = None) -> LocalCluster:
        """Return the cluster around (S,) int64 seed nodes; ``volume``: about that of the cluster looked for."""
        raise NotImplementedError

    def labelled(self, graph: LocalGraph, labels: numpy.ndarray) -> LocalGraph:
        """Return the graph with (n,) int8 noisy labels; for a method that reads them."""
        raise NotImplementedError

    def warm_up(self) -> None:
        """Load what is compiled, so that what is timed afterwards is the work alone."""

    def size_of(self, graph: LocalGraph, inside: numpy.ndarray) -> float:
        """What ``volume`` is of an (n,) bool set: the sum of its degrees."""
        return graph.volume if inside.all() else float(max(graph.degrees[inside].sum(), 1.0))

    def advice(self, cluster: LocalCluster) -> str | None:
        """What to tell the user of a cluster that is not what it could be; None if nothing."""
        return None

    def partition(self, dataset: GraphDataset, *, seed: int = 0, device: str = "cpu") -> numpy.ndarray:
        """Return (n,) int64 numbers of the nodes' clusters, -1 of nodes in none; for a method without seeds."""
        raise NotImplementedError


@dataclass(frozen=True)
class Subject:
    """What an analysis is asked about.

    dataset: the data set, that of the run if one is given; None of files alone. learner, run: of a run folder, with its
    model. files: paths.
    """

    dataset: GraphDataset | None = None
    learner: Any = None
    run: str | None = None
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Findings:
    """What an analysis found.

    tables: name -> columns of equal length; the first is what ``-o`` writes. figures: what ``--json`` prints. shown:
    (title or None, header, rows) of the tables for people.
    """

    tables: dict[str, dict[str, numpy.ndarray]]
    figures: dict[str, Any]
    shown: list[tuple[str | None, tuple[str, ...], list[tuple[Any, ...]]]]


class Analysis(Method):
    """Data, a run or files -> named tables.

    ``of``: what it is asked about: ``data``, ``data or run``, ``run`` or ``files``. ``task``: to load the data with.
    """

    of: ClassVar[str] = "data"
    task: ClassVar[str | None] = None

    def check(self, subject: str, *, plot: str | None) -> None:
        """Raise :class:`UsageError` if the options do not fit ``data``, ``run`` or ``files``, before any are read."""

    def measure(self, dataset: GraphDataset, *, seed: int = 0) -> dict[str, numpy.ndarray]:
        """Return (n,) columns of a data set's nodes by name, NaN where a node has no value."""
        raise NotImplementedError

    def analyze(self, subject: Subject, *, seed: int = 0, report: Report | None = None) -> Findings:
        """Return the findings; by default those of :meth:`measure`, with the mean of each column."""
        assert subject.dataset is not None
        columns = self.measure(subject.dataset, seed=seed)
        means = {name: float(numpy.nanmean(values)) if len(values) else None for name, values in columns.items()}
        rows: list[tuple[Any, ...]] = list(means.items())
        figures = {"nodes": subject.dataset.num_nodes, "means": means}
        return Findings(
            {"nodes": {"id": subject.dataset.ids(), **columns}}, figures, [(None, ("measure", "mean"), rows)]
        )

    def plot(self, path: str, found: Findings) -> None:
        """Draw the findings; for a sheet that says ``plots: true``."""
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
