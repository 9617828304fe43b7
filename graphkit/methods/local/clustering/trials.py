"""Many seeds of true clusters: what each method finds of them, on average."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphkit.datasets.local_graph import LocalGraph
from graphkit.graph.threads import in_threads
from graphkit.methods.kinds import Clusterer

log = logging.getLogger("graphkit")
LABELS = "labels"  # the word for the labels themselves, as a method to compare with


@dataclass(frozen=True)
class Trial:
    """A seed of a true cluster; ``number`` makes its randomness its own, whichever thread runs it."""

    truth: np.ndarray
    seed: int
    number: int


def agreement(nodes: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 of a set of nodes against an (n,) bool truth; 0 where undefined."""
    hits = int(truth[nodes].sum())
    precision, recall = hits / max(len(nodes), 1), hits / max(int(truth.sum()), 1)
    return {"precision": precision, "recall": recall, "f1": 2 * hits / max(len(nodes) + int(truth.sum()), 1)}


def draw(truths: Sequence[np.ndarray], count: int, rng: np.random.Generator) -> list[Trial]:
    """``count`` random seeds of each true set, fewer where it has fewer nodes."""
    trials: list[Trial] = []
    for truth in truths:
        inside = np.flatnonzero(truth)
        for seed in rng.choice(inside, min(count, len(inside)), replace=False).tolist():
            trials.append(Trial(truth, seed, len(trials)))
    return trials


def run(
    graph: LocalGraph,
    trials: Sequence[Trial],
    methods: Mapping[str, Clusterer | None],
    labeller: Callable[[Trial], np.ndarray] | None,
    report: Callable[[int, int], None] | None = None,
) -> dict[str, list[dict[str, float]]]:
    """Return for every method one row a trial: precision, recall, f1, conductance, nodes, touched and ms.

    methods: word -> method, None for :data:`LABELS`. labeller: the (n,) labels of a trial, drawn once for all methods
        of the trial.
    The volume of a true cluster is known to the methods, as in the published protocol. Trials run in threads. ms of a
    method: its labels given and its kernels loaded, the weighting, diffusion, cut and measures.
    """
    for method in methods.values():
        if method is not None:
            method.warm_up()
    rows: dict[str, list] = {name: [None] * len(trials) for name in methods}
    done = [0]

    def one(at: int) -> None:
        trial = trials[at]
        labels = labeller(trial) if labeller else None
        for name, method in methods.items():
            rows[name][at] = _measure(graph, trial, method, labels)
        done[0] += 1
        if report:
            report(done[0], len(trials))

    in_threads(one, len(trials))
    for name, found in rows.items():
        if unfinished := int(sum(row.get("stopped", 0) for row in found)):
            log.info(
                "%s: %d of %d diffusions stopped after their passes, before every node was within --tol",
                name,
                unfinished,
                len(found),
            )
    return rows


def _measure(graph, trial: Trial, method, labels) -> dict[str, float]:
    started = time.perf_counter()
    if method is None:
        nodes = np.flatnonzero(labels)
        found = {"conductance": graph.conductance(nodes), "nodes": len(nodes), "touched": len(nodes)}
    else:
        ready = method.labelled(graph, labels) if method.reads_labels else graph
        cluster = method.cluster(ready, np.array([trial.seed]), volume=method.size_of(graph, trial.truth))
        nodes = cluster.nodes
        found = {
            "conductance": cluster.conductance,
            "nodes": len(nodes),
            "touched": cluster.touched,
            "stopped": float(cluster.status == "stopped"),
        }
    spent = 1000 * (time.perf_counter() - started)
    return {**agreement(nodes, trial.truth), **found, "ms": spent}


def average(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over trials; infinite conductances, of sets without an edge to speak of, count as 1."""
    means = {}
    for key in rows[0]:
        values = np.array([row[key] for row in rows], dtype=np.float64)
        means[key] = float(np.where(np.isfinite(values), values, 1.0).mean())
    return means
