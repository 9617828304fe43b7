"""A link run held against the measures of :mod:`graphkit.methods.structure.topo.method`: rankings, correlations, bins,
plot.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphkit.core.errors import DataError, UsageError
from graphkit.graph.simple import symmetric_matrix
from graphkit.io import plots
from graphkit.methods.structure.topo import association, node_ranking

KINDS = ("recall", "precision", "f1", "hits", "ndcg")
OUTCOMES = [f"{kind}@{k}" for kind in KINDS for k in node_ranking.CUTOFFS] + ["rr"]


def check_outcome(name: str) -> None:
    """Raise :class:`UsageError` for a word that is no outcome."""
    if name not in OUTCOMES:
        cutoffs = ", ".join(map(str, node_ranking.CUTOFFS))
        raise UsageError(f"--outcome is {name!r}, expected rr or {', '.join(KINDS)} at one of {cutoffs}")


def depends_on_scores(name: str, num_nodes: int) -> bool:
    """Whether an outcome can tell models apart: a cut-off of all other nodes leaves nothing to rank but for ndcg and
    rr.
    """
    kind, _, k = name.partition("@")
    return kind in ("ndcg", "rr") or int(k) < num_nodes - 1


def judge(
    learner, dataset, part: str, limit: int | None, repeats: bool, seed: int, report=None
) -> dict[str, np.ndarray]:
    """Rank all nodes for every node with a link in ``part``; (n,) columns of :data:`OUTCOMES`, NaN for the other nodes.

    limit: so many random ones of them. repeats: links of earlier parts are candidates too. The model sees the training
        graph.
    """
    n = dataset.num_nodes
    targets = symmetric_matrix(getattr(dataset.split, part).pos, n)
    nodes = np.flatnonzero(np.diff(targets.indptr))
    if not len(nodes):
        raise DataError(f"{dataset.name}: has no {part} links to rank")
    if limit is not None and limit < len(nodes):
        nodes = np.sort(np.random.default_rng(seed).choice(nodes, limit, replace=False))
    known = None
    if not repeats:
        before = [np.stack([ends.numpy() for ends in dataset.graph.edges()], axis=1)]
        before += [dataset.split.valid.pos] if part == "test" else []
        known = symmetric_matrix(np.concatenate(before), n)
    found = node_ranking.rank_nodes(learner.score_pairs, targets, known, nodes, report=report)
    columns = {name: np.full(n, np.nan) for name in OUTCOMES}
    for name in OUTCOMES:
        columns[name][nodes] = found[name]
    return columns


def summarize(columns: dict[str, np.ndarray], part: str | None, outcome: str, bins: int) -> dict[str, Any]:
    """Return "nodes", "means" of the measures with intervals and, where there is a run, how they go with the outcome.

    Correlations and bins are over the nodes that have an outcome and a concentration against the training edges and
    against ``part``, the same for all measures, so that they can be compared. Without the exact measure its estimate
    decides.
    """
    measures = {name: values for name, values in columns.items() if name not in OUTCOMES}
    found: dict[str, Any] = {"nodes": len(columns["degree_train"])}
    found["means"] = {name: association.mean_interval(values) for name, values in measures.items()}
    found["correlations"], found["bins"] = {}, {}
    if part is None:
        return found
    first = "tc" if "tc_train" in measures else "atc"
    defined = np.isfinite(columns[outcome])
    for name in (f"{first}_train", f"{first}_{part}"):
        if name in measures:
            defined &= np.isfinite(measures[name])
    judged = np.where(defined, columns[outcome], np.nan)
    known = columns[outcome][np.isfinite(columns[outcome])]
    found.update(part=part, outcome=outcome, ranked=len(known), outcome_mean=float(known.mean()))
    for name, values in measures.items():
        found["correlations"][name] = association.correlation(values, judged)
        found["bins"][name] = association.bins(values, judged, bins)
    return found


def plot(path: str, found: dict[str, Any]) -> None:
    """Draw the mean outcome over the bins of concentration, degree and clustering, one panel each."""
    from matplotlib.figure import Figure

    part = found["part"]
    shown = [
        name
        for name in (f"tc_{part}", "tc_train", f"atc_{part}", "degree_train", "clustering")
        if found["bins"].get(name)
    ]
    figure = Figure(figsize=(3.2 * len(shown), 3), layout="constrained")
    for place, name in enumerate(shown):
        rows, axes = found["bins"][name], figure.add_subplot(1, len(shown), place + 1)
        axes.plot([(row["low"] + row["high"]) / 2 for row in rows], [row["mean"] for row in rows], marker="o")
        r = found["correlations"][name]["pearson"]["r"]
        axes.set_title(f"{name} (r = {'-' if r is None else f'{r:.2f}'})", fontsize=10)
        axes.set_xlabel(name)
        axes.set_ylim(bottom=0)
    figure.axes[0].set_ylabel(f"mean {found['outcome']}")
    plots.save(figure, path)
