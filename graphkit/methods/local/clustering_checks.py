"""Checks that the claims on local clustering run in place of a training: a data set in, figures out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphkit.lazy import np
from graphkit.methods.local import noisy_labels, trials
from graphkit.methods.local.clustering import LocalClustering
from graphkit.methods.local.graph import LocalGraph

if TYPE_CHECKING:
    from graphkit.datasets.base import GraphDataset

GRAPHS, NODES = 20, 60
EPS = 1e-4
SAMPLES = 25
YEARS = (2006, 2007, 2008, 2009)


def solver(dataset: GraphDataset) -> dict[str, float]:
    """Hold the diffusions against their definitions, on random graphs and on the data set's (a small one).

    difference: of a flow's x from the quadratic program's, largest over 20 graphs of 60 nodes. lost: mass that the pushes lost.
    order: how far x moves when the nodes are renumbered, and with them the order of the pushes. epsilon: of labels that weaken
    nothing. residual, ppr, heat: of the walks, in units of eps d, the guarantee being 1.
    """
    found = {key: 0.0 for key in ("difference", "lost", "order", "epsilon")}
    for number in range(GRAPHS):
        rng = np.random.default_rng(number)
        matrix = _random_graph(rng)
        graph = LocalGraph.of_matrix(matrix, weighted=False)
        seed, mass = int(rng.choice(np.flatnonzero(graph.degrees))), 0.3 * graph.volume
        x, masses = flow(graph, seed, mass)
        found["difference"] = max(found["difference"], float(np.abs(x - quadratic_program(matrix.toarray(), seed, mass)).max()))
        found["lost"] = max(found["lost"], abs(float(masses.sum()) - mass))
        order = rng.permutation(NODES)
        moved, _ = flow(LocalGraph.of_matrix(matrix[order][:, order], weighted=False), int(np.flatnonzero(order == seed)[0]), mass)
        found["order"] = max(found["order"], float(np.abs(moved - x[order]).max()))
        labels = rng.integers(0, 2, NODES).astype(np.int8)
        found["epsilon"] = max(found["epsilon"], float(np.abs(flow(graph.labelled(labels, 1.0), seed, mass)[0] - x).max()))
    return {**found, **_walks(LocalGraph.of(dataset))}


def _random_graph(rng):
    """Three blocks of 20 nodes, as a symmetric 0/1 matrix."""
    import scipy.sparse

    blocks = np.arange(NODES) // 20
    upper = np.triu(rng.random((NODES, NODES)) < np.where(blocks[:, None] == blocks, 0.3, 0.03), 1)
    return scipy.sparse.csr_array((upper | upper.T).astype(np.int64))


def flow(graph: LocalGraph, seed: int, mass: float, tolerance: float = 1e-11):
    """x and the mass on every node of a 2-norm flow diffusion with the degrees as sinks, dense."""
    from graphkit.kernels import local_flow, local_work

    work = local_work.workspace(graph.num_nodes)
    count, *_ = local_flow.flow_push(graph.arrays, work, np.array([seed]), np.array([mass]), False, tolerance, 0, 1.0)
    x, masses = work[0].copy(), work[1].copy()
    local_work.clear(work, count)
    return x, masses


def quadratic_program(weights, seed: int, mass: float):
    """The x >= 0 that minimises x'Lx / 2 + x'(T - Delta), by an active-set method: exact on the nodes that it leaves above 0."""
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
    from scipy.linalg import expm

    from graphkit.kernels import local_walks, local_work
    from graphkit.methods.local.clustering import heat_series

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
    """Mean F1 over 30 seeds of a cluster of the data set, labels right with 0.8 and with 0.5: ``flow``, ``weighted``, ``labels``,
    and ``flow_chance``, ``weighted_chance`` for the latter. Sinks of 1, twice as much mass, the support: as in synthetic experiments."""
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
    """Mean F1 over ten seeds of every class, with labels predicted from the features of 25 nodes inside and 25 outside.

    ``inner_``: over the seeds with at least half of their neighbours in their class.
    """
    graph, classes, features = LocalGraph.of(dataset), dataset.labels.numpy(), noisy_labels.features_of(dataset)
    truths = [classes == number for number in range(int(classes.max()) + 1)]

    def label(trial):
        rng = np.random.default_rng([1, trial.number])
        return noisy_labels.classified(features, *noisy_labels.sampled(trial.truth, trial.seed, SAMPLES, rng))

    drawn = trials.draw(truths, 10, np.random.default_rng(0))
    rows = trials.run(graph, drawn, _methods(), label)
    inner = [at for at, trial in enumerate(drawn) if _same_class(graph, trial) >= 0.5]
    found = {name: trials.average(values)["f1"] for name, values in rows.items()}
    found.update({f"inner_{name}": trials.average([values[at] for at in inner])["f1"] for name, values in rows.items()})
    return found


def _same_class(graph, trial) -> float:
    neighbours = graph.indices[graph.indptr[trial.seed] : graph.indptr[trial.seed + 1]]
    return float(trial.truth[neighbours].mean()) if len(neighbours) else 0.0


def years(dataset: GraphDataset) -> dict[str, float]:
    """Mean F1 over ten students of each of four years at a university, with labels right with 0.8."""
    graph, year = LocalGraph.of(dataset), dataset.graph.ndata["year"].numpy()

    def label(trial):
        return noisy_labels.flipped(trial.truth, 0.8, 0.8, np.random.default_rng([1, trial.number]))

    return _f1(graph, trials.draw([year == one for one in YEARS], 10, np.random.default_rng(0)), label)


def _methods(**options) -> dict[str, LocalClustering | None]:
    return {"flow": LocalClustering(**options), "weighted": LocalClustering(weighted=True, **options), trials.LABELS: None}


def _f1(graph, drawn, label, **options) -> dict[str, float]:
    return {name: trials.average(rows)["f1"] for name, rows in trials.run(graph, drawn, _methods(**options), label).items()}
