"""The ten-fold protocol of GIN: no test part, one epoch for all folds.

Every fold's validation curve is kept; the epoch with the best mean over folds is chosen, and the folds' values at that
epoch are the result (Xu et al., ICLR 2019, section 7). The chosen epoch has seen what it reports: the figure is
optimistic, and comparable only with others of the same protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphkit.core.errors import GraphkitError
from graphkit.evaluation.registry import better


def by_mean_curve(dataset) -> bool:
    """Whether the split's name asks for this selection: ``gin-10fold`` or one of its folds."""
    return dataset.split_name.startswith("gin-")


def select_one_epoch(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the runs with ``best`` at the one epoch, for each metric, whose mean over the runs is best; the first of
    equals.

    runs: outcomes with ``curve``, the validation values of every evaluation; the epochs that all of them reached count.
    """
    shared = set.intersection(*({point["epoch"] for point in run["curve"]} for run in runs))
    if not shared:
        raise GraphkitError("the folds have no evaluated epoch in common, expected at least one")
    curves = [{point["epoch"]: point for point in run["curve"]} for run in runs]
    chosen: dict[str, int] = {}
    for metric in runs[0]["best"]:
        sign = -1 if better(metric) == "min" else 1
        means = {epoch: sign * sum(curve[epoch][metric] for curve in curves) / len(runs) for epoch in sorted(shared)}
        chosen[metric] = max(means, key=means.__getitem__)  # the first of equals: dictionaries keep the epochs' order
    return [
        {**run, "best": {m: {"epoch": e, "valid": curve[e][m], "test": curve[e][m]} for m, e in chosen.items()}}
        for run, curve in zip(runs, curves)
    ]
