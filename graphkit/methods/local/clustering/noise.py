"""The random model of local clustering with noisy labels: what flow finds as the labels get better, and where they
should help.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphkit import datasets
from graphkit.core.errors import UsageError
from graphkit.datasets.generators import synthetic
from graphkit.datasets.local_graph import LocalGraph
from graphkit.methods.local.clustering import noisy_labels, trials
from graphkit.methods.local.clustering.method import LocalClustering

MODEL = "target-cluster"


def helpful(n: int, k: int, p: float, q: float, inside: float, outside: float) -> bool:
    """Whether labels should help flow on the model, by a mean-field argument.

    Of a node's edges, rho = q (n - k) / (p (k - 1)) leave the cluster for each that stays. Mass that covers the k nodes
    takes about rho k / 2 others with it on the way: F1 is 1 / (1 + rho / 2). With labels that are right with ``inside``
    and ``outside`` and epsilon 0, it covers inside k nodes and leaves over (1 - outside) rho: F1 is 2 inside / (1 +
    inside + (1 - outside) rho). The latter is larger for outside > 1 - inside + (1 - inside) / rho. The constants of
    the paper's theorem are not known here.
    """
    rho = q * (n - k) / (p * max(k - 1, 1)) if p > 0 else float("inf")
    return rho > 0 and outside > 1 - inside + (1 - inside) / rho


def sweep(
    model: str,
    pairs: Sequence[tuple[float, float]],
    count: int,
    epsilon: float,
    mass: float,
    seed: int,
    report: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """One row for each pair of accuracies: mean F1 of ``flow``, ``weighted`` and ``labels`` over ``count`` seeds, and
    ``regime``.

    Sinks are 1 and the support is the cluster, as in the paper's synthetic experiments; epsilon weighs edges between
    unlike labels.
    """
    word, _, _ = model.partition(":")
    if word != MODEL:
        raise UsageError(f"MODEL {model}: expected {MODEL}:n=..,k=..,p=..,q=..")
    dataset = datasets.load(model if ":" in model else f"{model}:")
    _, drawn = synthetic.parse(dataset.name)
    graph, truth = LocalGraph.of(dataset), dataset.labels.numpy() == 1
    seeds = trials.draw([truth], count, np.random.default_rng(seed))
    options = {"sink": "unit", "rounding": "support", "mass": mass}
    methods = {
        "flow": LocalClustering(**options),
        "weighted": LocalClustering(weighted=True, epsilon=epsilon, **options),
        trials.LABELS: None,
    }
    rows = []
    for inside, outside in pairs:

        def label(trial, inside=inside, outside=outside):
            return noisy_labels.flipped(truth, inside, outside, np.random.default_rng([seed, trial.number]))

        found = trials.run(graph, seeds, methods, label)
        regime = helpful(int(drawn["n"]), int(drawn["k"]), drawn["p"], drawn["q"], inside, outside)
        means = {f"f1 {name}": trials.average(values)["f1"] for name, values in found.items()}
        rows.append({"a1": inside, "a0": outside, **means, "regime": regime})
        if report:
            report(len(rows), len(pairs))
    return rows
