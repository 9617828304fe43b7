"""Checks that the claims on local clustering run in place of a training: a data set in, figures out."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from scipy.linalg import expm

from graphkit.datasets.base import GraphDataset
from graphkit.datasets.local_graph import LocalGraph
from graphkit.graph import local_work
from graphkit.graph.threads import in_threads
from graphkit.methods.local.clustering import local_flow, local_walks, noisy_labels, trials
from graphkit.methods.local.clustering.method import LocalClustering, heat_series

GRAPHS, NODES = 20, 60
EPS = 1e-4
SAMPLES = 25
YEARS = (2006, 2007, 2008, 2009)


def solver(dataset: GraphDataset) -> dict[str, float]:
    """Hold the diffusions against their definitions, on random graphs and on the data set's (a small one).

    difference: of a flow's x from the quadratic program's, largest over 20 graphs of 60 nodes. lost: mass that the
        pushes lost.
    order: how far x moves when the nodes are renumbered, and with them the order of the pushes. epsilon: of labels that
    weaken nothing. residual, ppr, heat: of the walks, in units of eps d, the guarantee being 1.
    """
    found = {key: 0.0 for key in ("difference", "lost", "order", "epsilon")}
    for number in range(GRAPHS):
        rng = np.random.default_rng(number)
        matrix = _random_graph(rng)
        graph = LocalGraph.of_matrix(matrix, weighted=False)
        seed, mass = int(rng.choice(np.flatnonzero(graph.degrees))), 0.3 * graph.volume
        x, masses = flow(graph, seed, mass)
        found["difference"] = max(
            found["difference"], float(np.abs(x - quadratic_program(matrix.toarray(), seed, mass)).max())
        )
        found["lost"] = max(found["lost"], abs(float(masses.sum()) - mass))
        order = rng.permutation(NODES)
        moved, _ = flow(
            LocalGraph.of_matrix(matrix[order][:, order], weighted=False), int(np.flatnonzero(order == seed)[0]), mass
        )
        found["order"] = max(found["order"], float(np.abs(moved - x[order]).max()))
        labels = rng.integers(0, 2, NODES).astype(np.int8)
        found["epsilon"] = max(
            found["epsilon"], float(np.abs(flow(graph.labelled(labels, 1.0), seed, mass)[0] - x).max())
        )
    return {**found, **_walks(LocalGraph.of(dataset))}


def _random_graph(rng):
    """Three blocks of 20 nodes, as a symmetric 0/1 matrix."""
    blocks = np.arange(NODES) // 20
    upper = np.triu(rng.random((NODES, NODES)) < np.where(blocks[:, None] == blocks, 0.3, 0.03), 1)
    return scipy.sparse.csr_array((upper | upper.T).astype(np.int64))


def flow(graph: LocalGraph, seed: int, mass: float, tolerance: float = 1e-11):
    """x and the mass on every node of a 2-norm flow diffusion with the degrees as sinks, dense."""
    work = local_work.workspace(graph.num_nodes)
    count, *_ = local_flow.flow_push(graph.arrays, work, np.array([seed]), np.array([mass]), False, tolerance, 0, 1.0)
    x, masses = work[0].copy(), work[1].copy()
    local_work.clear(work, count)
    return x, masses


def quadratic_program(weights, seed: int, mass: float):
    """The x >= 0 that minimises x'Lx / 2 + x'(T - Delta), by an active-set method: exact on the nodes that it leaves
    above 0.
    """
    degree = weights.sum(1)
    laplacian, gain = np.diag(degree) - weights, -degree.astype(np.float64)
    gain[seed] += mass
    active = np.zeros(len(degree), dtype=bool)
    active[seed] = True
    while True:
        x = np.zeros(len(degree))
        x[active] = np.linalg.solve(laplacian[np.ix_(active, active)], gain[active])
        # L is an M-matrix: what has once wanted to rise never goes back to 0.
        wants = gain - laplacian @ x > 1e-12 * mass
        if not (wants & ~active).any():
            return x
        active |= wants


def _walks(graph: LocalGraph) -> dict[str, float]:
    n, alpha, temperature = graph.num_nodes, 0.05, 5.0
    dense = np.zeros((n, n))
    dense[np.repeat(np.arange(n), np.diff(graph.indptr)), graph.indices] = graph.weights if len(graph.weights) else 1.0
    step = (dense / graph.degrees[:, None]).T
    exact = alpha * np.linalg.inv(np.eye(n) - (1 - alpha) * (np.eye(n) + step) / 2)
    heat, found = expm(-temperature * (np.eye(n) - step)), {"residual": 0.0, "ppr": 0.0, "heat": 0.0}
    work = local_work.workspace(n)
    for seed in range(n):
        seeds, source = np.array([seed]), np.array([1.0])
        count, _ = local_walks.ppr_push(graph.arrays, work, seeds, source, alpha, EPS)
        found["residual"] = max(found["residual"], float((work[1] / (EPS * graph.degrees)).max()))
        found["ppr"] = max(found["ppr"], float((np.abs(work[0] - exact[:, seed]) / (EPS * graph.degrees)).max()))
        local_work.clear(work, count)
        thresholds, rates = heat_series(temperature, EPS)
        count, _ = local_walks.heat_push(graph.arrays, work, seeds, source, thresholds, rates)
        error = np.abs(work[0] * np.exp(-temperature) - heat[:, seed])
        found["heat"] = max(found["heat"], float((error / (EPS * graph.degrees)).max()))
        local_work.clear(work, count)
    return found


def random_model(dataset: GraphDataset) -> dict[str, float]:
    """Mean F1 over 30 seeds of a cluster of the data set, labels right with 0.8 and with 0.5: ``flow``, ``weighted``,
    ``labels``, and ``flow_chance``, ``weighted_chance`` for the latter. Sinks of 1, twice as much mass, the support: as
    in synthetic experiments."""
    graph, truth = LocalGraph.of(dataset), dataset.labels.numpy() == 1
    drawn = trials.draw([truth], 30, np.random.default_rng(0))
    means = {}
    for end, right in (("", 0.8), ("_chance", 0.5)):

        def label(trial, right=right):
            return noisy_labels.flipped(truth, right, right, np.random.default_rng([1, trial.number]))

        found = _f1(graph, drawn, label, sink="unit", mass=2.0, rounding="support")
        means.update({name + end: value for name, value in found.items()})
    return means


def attributed(dataset: GraphDataset) -> dict[str, float]:
    """F1 over ten seeds of every class, with labels predicted from the features of 25 nodes inside and 25 outside.

    ``flow``, ``weighted``, ``labels``: means from a single seed, by the sweep. ``known_flow``, ``known_weighted``: from
    all 25 known positives as seeds, twice the volume as mass, the support. ``..._std``: their spread over seeds. Paired
    over the seeds: ``gain``, ``over_labels`` of weighted against flow and the labels, ``known_gain``,
    ``known_over_labels``, each with ``..._low``, the lower end of its 95 % interval.
    """
    graph, classes, features = LocalGraph.of(dataset), dataset.labels.numpy(), noisy_labels.features_of(dataset)
    truths = [classes == number for number in range(int(classes.max()) + 1)]

    def known(trial):
        return noisy_labels.sampled(trial.truth, trial.seed, SAMPLES, np.random.default_rng([1, trial.number]))

    def label(trial):
        return noisy_labels.classified(features, *known(trial))

    drawn = trials.draw(truths, 10, np.random.default_rng(0))
    rows = trials.run(graph, drawn, _methods(), label)
    f1 = {name: np.array([row["f1"] for row in found]) for name, found in rows.items()}
    f1.update(_from_known(graph, drawn, known, label))
    found = {name: float(values.mean()) for name, values in f1.items()}
    found.update({f"{name}_std": float(values.std(ddof=1)) for name, values in f1.items()})
    pairs = {
        "gain": ("weighted", "flow"),
        "over_labels": ("weighted", trials.LABELS),
        "known_gain": ("known_weighted", "known_flow"),
        "known_over_labels": ("known_weighted", trials.LABELS),
    }
    for name, (one, other) in pairs.items():
        difference = f1[one] - f1[other]
        found[name] = float(difference.mean())
        found[f"{name}_low"] = found[name] - 1.96 * float(difference.std(ddof=1)) / len(difference) ** 0.5
    return found


def _from_known(graph, drawn, known, label) -> dict[str, Any]:
    """F1 of every trial with its known positives as seeds."""
    methods = {
        "known_flow": LocalClustering(mass=2.0, rounding="support"),
        "known_weighted": LocalClustering(mass=2.0, rounding="support", weighted=True),
    }
    f1 = {name: np.zeros(len(drawn)) for name in methods}

    def one(at: int) -> None:
        trial = drawn[at]
        labelled = graph.labelled(label(trial), methods["known_weighted"].config.epsilon)
        for name, method in methods.items():
            found = method.cluster(
                labelled if method.config.weighted else graph,
                known(trial)[0],
                volume=method.size_of(graph, trial.truth),
            )
            f1[name][at] = trials.agreement(found.nodes, trial.truth)["f1"]

    in_threads(one, len(drawn))
    return f1


def years(dataset: GraphDataset) -> dict[str, float]:
    """Mean F1 over ten students of each of four years at a university, with labels right with 0.8."""
    graph, year = LocalGraph.of(dataset), dataset.graph.ndata["year"].numpy()

    def label(trial):
        return noisy_labels.flipped(trial.truth, 0.8, 0.8, np.random.default_rng([1, trial.number]))

    return _f1(graph, trials.draw([year == one for one in YEARS], 10, np.random.default_rng(0)), label)


def _methods(**options) -> dict[str, LocalClustering | None]:
    return {
        "flow": LocalClustering(**options),
        "weighted": LocalClustering(weighted=True, **options),
        trials.LABELS: None,
    }


def _f1(graph, drawn, label, **options) -> dict[str, float]:
    return {
        name: trials.average(rows)["f1"] for name, rows in trials.run(graph, drawn, _methods(**options), label).items()
    }
