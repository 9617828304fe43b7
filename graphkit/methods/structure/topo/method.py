"""Topological concentration: how much the neighbourhoods of a node's neighbours overlap its own, in every part of a
link split.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from graphkit.core import reading
from graphkit.core.errors import DataError, UsageError
from graphkit.datasets.base import GraphDataset
from graphkit.graph.adjacency import Adjacency
from graphkit.graph.simple import symmetric_matrix
from graphkit.kernels.powers import PowerSum, Start
from graphkit.kernels.projection import gaussian_rows, node_keys, row_states
from graphkit.methods.kinds import Analysis, Findings, Report, Subject
from graphkit.methods.structure.topo import report as runs_report
from graphkit.methods.structure.topo.config import TopoConfig
from graphkit.methods.structure.topo.walk_overlap import mean_concentrations, mean_overlaps, walk_powers
from graphkit.training.learner import LinkLearner

log = logging.getLogger("graphkit")

PARTS = ("train", "valid", "test")


class Topo(Analysis):
    """Measures of every node against the training, validation and test edges of a link split, all on the training
    graph.

    With N_i^t the neighbours of i in part t and H_i^k the multiset of ends of the walks of k steps from i, the
    concentration is C_i^t = mean over j in N_i^t of [sum over k1, k2 <= hops of beta^(k1+k2-2) |H_i^k1 & H_j^k2|] /
    [the same sum of |H_i^k1|], where |H_i^k1 & H_j^k2| counts the entries of H_i^k1 that H_j^k2 holds too. A training
    neighbour j is compared with i on the graph without the edge i-j, which no test neighbour has either: walks i-j-i
    and i-x-j would make old neighbours overlap whatever the graph is (the official code leaves the edge in, and finds a
    shift on random splits). At one hop only j itself goes, which makes the denominator |N_i| - 1 and C_i^train the
    local clustering coefficient. TDS_i = C_i^train - C_i^test is positive where new neighbours share less with the old
    neighbourhood than the old ones did. Of several hops, the edge of a pair of any part that the training graph holds
    is left out.

    The estimate (ATC) is the mean over j of <v_i, v_j>, v = sum over k <= hops of beta^(k-1) (D^-1 A)^k R, R Gaussian;
    it keeps the edge i-j, so that of several hops atc_train and atc_test do not make a shift. A node without
    training neighbours (of one alone, for t = train) or without neighbours in part t has no value: NaN in arrays, empty
    in tables. Directions, weights, loops and copies of edges are ignored.

    One hop takes O(sum over edges of the degree) time, more hops the time and memory of the powers of A; the estimate
    O(hops m dim). Reference: Wang, Zhao, Zhao et al., A Topological Perspective on Demystifying GNN-Based Link
    Prediction Performance, ICLR 2024.
    """

    Config = TopoConfig
    config: TopoConfig
    of = "data or run"
    task = "link"

    def check(self, subject: str, *, plot: str | None) -> None:
        """Raise :class:`UsageError` for an unknown outcome, and for what needs a run without one."""
        if subject == "data":
            needing = {"nodes": self.config.nodes, "plot": plot, "known-links": self.config.known_links}
            for name, given in needing.items():
                if given:
                    raise UsageError(f"--{name} needs RUN, a run folder of a link learner")
        runs_report.check_outcome(self.config.outcome)

    def analyze(self, subject: Subject, *, seed: int = 0, report: Report | None = None) -> Findings:
        """The measures of every node and, for a run, the ranking of its model and how the measures go with it."""
        dataset, config = subject.dataset, self.config
        assert dataset is not None
        if subject.learner is not None and not isinstance(subject.learner, LinkLearner):
            raise UsageError(
                f"{subject.run}: a run of a method that scores no links; expected a link method such as gcn-link"
            )
        columns = self.measure(dataset, seed=seed)
        if subject.learner is not None:
            ranking = runs_report.judge(
                subject.learner, dataset, config.part, config.nodes, config.known_links, seed, report
            )
            if not runs_report.depends_on_scores(config.outcome, dataset.num_nodes):
                text = "%s of %d nodes is the same whatever the scores; expected a smaller number after the @"
                log.warning(text, config.outcome, dataset.num_nodes)
            columns = {**columns, **ranking}
        part = None if subject.learner is None else config.part
        figures = runs_report.summarize(columns, part, config.outcome, config.bins)
        return Findings({"nodes": {"id": dataset.ids(), **columns}}, figures, _shown(figures, subject.run))

    def plot(self, path: str, found: Findings) -> None:
        """Draw the outcome over the bins of the measures."""
        runs_report.plot(path, found.figures)

    def measure(self, dataset: GraphDataset, *, seed: int = 0) -> dict[str, np.ndarray]:
        """Return (n,) columns: degree_, common_, tc_ and atc_train|valid|test, clustering, density and tds.

        common: mean number of common neighbours with the neighbours of the part. density: edges over pairs among a node
        and its neighbours. Raises :class:`DataError` for data without a split of links.
        """
        if dataset.graph is None or not hasattr(getattr(dataset.split, "train", None), "pos"):
            raise DataError(f"{dataset.name}: has no split of links, whose parts the measures compare")
        if dataset.directed or dataset.weighted:
            what = " and ".join(
                word for word, has in (("directions", dataset.directed), ("weights", dataset.weighted)) if has
            )
            reading.note(dataset.name, f"{what} of edges are ignored")
        matrix = symmetric_matrix(np.stack([ends.numpy() for ends in dataset.graph.edges()], axis=1), dataset.num_nodes)
        neighbours = {"train": matrix}
        neighbours.update(
            (part, symmetric_matrix(getattr(dataset.split, part).pos, dataset.num_nodes)) for part in PARTS[1:]
        )
        degrees = {part: np.diff(found.indptr) for part, found in neighbours.items()}
        columns = {f"degree_{part}": degree for part, degree in degrees.items()}
        columns.update(self._one_hop(matrix, neighbours, degrees))
        beta = self._beta(degrees["train"])
        if self.config.exact:
            columns.update(self._concentration(matrix, neighbours, degrees, beta))
            columns["tds"] = columns["tc_train"] - columns["tc_test"]
        if self.config.dim:
            columns.update(self._estimate(matrix, neighbours, degrees, beta, dataset.ids(), seed))
        return columns

    def _beta(self, degree) -> float:
        if self.config.beta is not None:
            return self.config.beta
        return 1 / max(float(degree.mean()), 1.0) if len(degree) else 1.0

    def _one_hop(self, matrix, neighbours, degrees) -> dict[str, np.ndarray]:
        """Measures that common neighbours alone decide."""
        edges, degree = walk_powers(matrix, 1, 0), degrees["train"]
        columns = {}
        for part, found in neighbours.items():
            common = mean_overlaps(edges, found.indptr, found.indices, 1.0)
            columns[f"common_{part}"] = _where(degrees[part] > 0, common)
        twice = (
            _where(degree > 0, columns["common_train"], 0.0) * degree
        )  # every edge among the neighbours, from both ends
        columns["clustering"] = _where(degree > 1, twice / np.maximum(degree * (degree - 1), 1), 0.0)
        columns["density"] = _where(degree > 0, (twice + 2 * degree) / np.maximum(degree * (degree + 1), 1))
        return columns

    def _concentration(self, matrix, neighbours, degrees, beta) -> dict[str, np.ndarray]:
        hops, degree, columns = self.config.hops, degrees["train"], {}
        powers = walk_powers(matrix, hops, self.config.max_entries)
        for part, found in neighbours.items():
            concentration = mean_concentrations(
                powers, found.indptr, found.indices, beta, apart=part == "train" or hops > 1
            )
            columns[f"tc_{part}"] = _where(degree > (1 if part == "train" else 0), concentration)
        return columns

    def _estimate(self, matrix, neighbours, degrees, beta, ids, seed) -> dict[str, np.ndarray]:
        hops, dim, degree = self.config.hops, self.config.dim, degrees["train"]
        states = row_states(node_keys(ids), seed, salt=4)
        start = Start(len(degree), dim, dense=lambda first, last: gaussian_rows(states, first, last))
        adjacency = Adjacency(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), np.empty(0, np.float32))
        scale = (1 / np.maximum(degree, 1)).astype(np.float32)
        powers = PowerSum(adjacency, scale, [0.0, *(beta ** np.arange(hops) / dim**0.5)], normalize=False)
        vectors, columns = powers.in_core(start), {}
        for part, found in neighbours.items():
            near = found.astype(np.float32) @ vectors
            product = np.einsum("nd,nd->n", vectors, near) / np.maximum(degrees[part], 1)
            defined = (degrees[part] > 0) & (degree > (1 if part == "train" else 0))
            columns[f"atc_{part}"] = _where(defined, product.astype(np.float64))
        return columns


def _where(defined, values, otherwise: float = float("nan")) -> np.ndarray:
    return np.where(defined, values, otherwise)


def _shown(figures: dict[str, Any], run: str | None) -> list[tuple[str | None, tuple[str, ...], list[tuple[Any, ...]]]]:
    """The tables for people: means of the measures, and their correlations with a run's outcome."""
    means = [(name, mean["nodes"], mean["mean"], mean["low"], mean["high"]) for name, mean in figures["means"].items()]
    shown: list = [(None, ("measure", "nodes", "mean", "low", "high"), means)]
    if figures["correlations"]:
        title = (
            f"{figures['outcome']} of {run}, {figures['part']}: {figures['ranked']:,} nodes, mean"
            f" {figures['outcome_mean']:.4f}"
        )
        rows = [
            (name, one["nodes"], *(one[kind][end] for kind in ("pearson", "spearman") for end in ("r", "low", "high")))
            for name, one in figures["correlations"].items()
        ]
        head = ("measure", "nodes", "pearson", "low", "high", "spearman", "low", "high")
        shown.append((title, head, rows))
    return shown
