"""Metrics and protocols by name, those of other packages too.

An entry point of the group ``graphkit.metrics`` names a :class:`Metric`, a :class:`Rule`, or a list of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from graphkit.core import plugins
from graphkit.core.errors import DataError

LINKS, LABELS, WORDS = ("y_pred_pos", "y_pred_neg"), ("y_true", "y_pred"), ("seq_ref", "seq_pred")


@dataclass(frozen=True)
class Metric:
    """A figure of merit.

    name: as results carry it; ``hits@`` stands for hits@K with any K. better: ``max`` or ``min``, the good end. needs:
    the predictions that it looks at. function: of the predictions by name, CPU tensors, to a number; None for the
    built-in ones, which are computed together. beside: of labels, the built-in metric that the same predictions fit
    (accuracy, rmse, ...), whose group is reported too; None for no others.
    """

    name: str
    better: str
    needs: tuple[str, ...]
    function: Callable[[Mapping[str, torch.Tensor]], float] | None = None
    beside: str | None = None


@dataclass(frozen=True)
class Rule:
    """A protocol: the id that results carry, how its splits' names begin, its tasks, and the rules in a sentence."""

    id: str
    splits: tuple[str, ...]
    tasks: tuple[str, ...]
    says: str


BUILT_IN = (
    *(Metric(name, "max", LINKS) for name in ("hits@", "mrr", "auc", "auc@", "ap", "ap@", "rocauc")),
    *(Metric(name, "max", LABELS) for name in ("accuracy", "balanced-accuracy", "macro-f1", "micro-f1", "r2")),
    *(Metric(name, "max", LABELS) for name in ("rocauc", "ap")),
    *(Metric(name, "min", LABELS) for name in ("rmse", "mae", "mse", "loss")),
    Metric("f1", "max", WORDS),
)


@functools.cache
def _added() -> tuple[Metric | Rule, ...]:
    """What other packages add."""
    found: list[Metric | Rule] = []
    for entry in plugins.entry_points(plugins.METRICS):
        try:
            value = entry.load()
            several = value if isinstance(value, (list, tuple)) else [value]
            for one in several:
                _check(one)
            found.extend(several)
        except Exception as problem:  # whatever a foreign module raises
            plugins.leave_out(entry, problem)
    return tuple(found)


def _check(value: object) -> None:
    if isinstance(value, Rule):
        return
    if not isinstance(value, Metric) or value.function is None:
        raise DataError(f"found {type(value).__name__}, expected a Metric with a function, a Rule, or a list of them")
    if value.better not in ("max", "min"):
        raise DataError(f"metric {value.name!r}: better is {value.better!r}, expected max or min")
    if value.name in {metric.name for metric in BUILT_IN}:
        raise DataError(f"metric {value.name!r}: the name is one of graphkit's own")


def added_metrics() -> list[Metric]:
    """Metrics of other packages."""
    return [one for one in _added() if isinstance(one, Metric)]


def added_rules() -> list[Rule]:
    """Protocols of other packages."""
    return [one for one in _added() if isinstance(one, Rule)]


@functools.cache
def _directions() -> dict[str, str]:
    return {metric.name: metric.better for metric in (*BUILT_IN, *added_metrics())}


def better(metric: str) -> str:
    """``max`` or ``min``: which end of a metric is the good one; ``max`` for one that nothing is known of."""
    known = _directions()
    return known.get(metric) or known.get(metric.split("@")[0] + "@") or known.get(metric.split("@")[0]) or "max"


def added(name: str | None) -> Metric | None:
    """The metric of another package with this name; None if there is none."""
    return next((metric for metric in added_metrics() if metric.name == name), None)


def extra(predictions: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """The figures of the metrics that other packages add and these predictions have what they need for."""
    return {
        metric.name: float(metric.function(predictions))
        for metric in added_metrics()
        if metric.function is not None and set(metric.needs) <= set(predictions)
    }
