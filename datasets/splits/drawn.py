"""Splits: the given ones of a data set by name, and those that are drawn from a seed.

Names:
    ``public``, ``fixed``, ``geom-gcn``, ... as a data set gives them; a family of several (``geom-gcn``) takes the one
        of the seed (seed modulo their number), ``geom-gcn-3`` that one for every seed.
    ``folds``: the family that ``graphkit train --folds`` runs through, ``gin-10fold`` where it is given, else the
        default.
    ``shchur``: 20 nodes a class to train, 30 to validate, the rest to test, drawn per seed (Shchur et al., 2018).
    ``random-a/b/c``: those fractions of the labelled nodes, or of the edges, drawn per seed.
    ``heart-a/b/c``: edges, drawn once with seed 0 (Li et al., 2023, the small graphs of HeaRT).
    ``chrono-a/b/c``, ``inductive-a/b/c``, ``tgb``: events, see :mod:`graphkit.datasets.readers.events`.
    ``time-a/b/c``: edges, cut at quantiles of their first times; the negatives are drawn per seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphkit.core.errors import DataError, did_you_mean
from graphkit.datasets.base import GraphDataset, GraphSplit, NodeSplit
from graphkit.datasets.readers import label_checks
from graphkit.datasets.splits.events import finish_events
from graphkit.datasets.splits.links import link_metric, split_links
from graphkit.datasets.splits.loaded import Loaded
from graphkit.datasets.splits.nodes import (
    FOLDS,
    GIN_FOLDS,
    SHCHUR_TRAIN,
    SHCHUR_VALID,
    known_rows,
    parse_fractions,
    shchur,
)
from graphkit.datasets.splits.time_splits import split_links_by_time

TASKS = ("node", "link", "graph", "events")
DEFAULT_LINK = "random-0.7/0.1/0.2"
HEART = "heart-0.85/0.05/0.1"
TIME = "time-0.7/0.1/0.2"


def finish(loaded: Loaded, task: str | None, split: str | None, seed: int) -> GraphDataset:
    """Return the data set with the split of this task, name and seed; the whole graph where task is None.

    Raises :class:`DataError` where the data set has no labels for the task or the split is unknown or too small.
    """
    if task is None:
        if split is not None:
            raise DataError(
                f"data set {loaded.dataset.name!r}: a split ({split}) needs a task, expected {', '.join(TASKS)}"
            )
        return loaded.dataset.renamed(seed=seed)
    dataset = loaded.dataset
    if task == "labels":
        task = "graph" if dataset.graphs is not None else "node"
    if task not in TASKS:
        raise DataError(f"task {task!r} is unknown{did_you_mean(task, TASKS)}; expected {', '.join(TASKS)}")
    if (task == "graph") != (dataset.graphs is not None):
        holds = "many graphs" if dataset.graphs is not None else "one graph"
        raise DataError(f"data set {dataset.name!r} holds {holds}: it has no {task} task")
    default, metric = loaded.defaults.get(task, (None, None))
    if task == "events":
        if split not in (None, default):
            metric = None  # the default metric belongs to the default split
        return finish_events(dataset, split or default, metric, seed, loaded.given_events)
    if task == "link":
        return _finish_links(loaded, split or default, metric, seed)
    return _finish_given(loaded, task, split or default, metric, seed)


def _finish_given(loaded: Loaded, task: str, name: str | None, metric: str | None, seed: int) -> GraphDataset:
    dataset = loaded.dataset
    labels = dataset.labels if task == "node" else dataset.graph_labels
    if labels is None:
        raise DataError(f"data set {dataset.name!r} has no labels, expected some for the {task} task")
    if name == FOLDS and FOLDS not in loaded.given:
        name = _folds_family(loaded, task)
    name = name or next(iter(loaded.given), None) or _default_draw(labels, task)
    part, drawn = _given(loaded.given, name, seed)
    if part is None:
        part, drawn = _draw(labels, name, seed, dataset.name, loaded.given, task), True
    _check_parts(part, dataset, task, name)
    if task == "node" and loaded.own:
        label_checks.check_split(dataset.renamed(split=part))
    return dataset.renamed(
        task=task,
        split=part,
        split_name=name,
        metric=metric or _metric(labels, task),
        seed=seed,
        splitter=(lambda other: finish(loaded, task, name, other)) if drawn else None,
        folds=_members(loaded.given, name),
    )


def _metric(labels: Any, task: str) -> str:
    """The metric of labels that come with none."""
    if _multi(labels):
        return "micro-f1" if task == "node" else "rocauc"
    return "rmse" if task == "node" and _classes(labels).dtype.kind == "f" else "accuracy"


def _folds_family(loaded: Loaded, task: str) -> str:
    """The family that ``folds`` stands for; raises :class:`DataError` where the data set's splits are no families."""
    given = loaded.given
    default = loaded.defaults.get(task, (None, None))[0]
    found = [name for name in (GIN_FOLDS, default, *given) if name in given and _members(given, name) > 1]
    if not found:
        raise DataError(
            f"data set {loaded.dataset.name!r}: has no folds; its splits are {', '.join(given) or 'drawn per seed'}"
        )
    return found[0]


def _members(given: dict[str, Any], name: str) -> int:
    members = _value(given.get(name))
    return len(members) if isinstance(members, list) else 0


def _multi(labels: Any) -> bool:
    return getattr(labels, "ndim", 1) == 2


def _default_draw(labels: Any, task: str) -> str:
    if task == "graph" or _multi(labels):
        return "random-0.8/0.1/0.1" if task == "graph" else "random-0.5/0.1/0.4"
    if _classes(labels).dtype.kind == "f":
        return "random-0.6/0.2/0.2"
    counts = np.bincount(_classes(labels)[_classes(labels) >= 0])
    enough = len(counts) and counts[counts > 0].min() > SHCHUR_TRAIN + SHCHUR_VALID
    return "shchur" if enough else "random-0.6/0.2/0.2"


def _classes(labels: Any) -> np.ndarray:
    return np.asarray(labels)


def _given(given: dict[str, Any], name: str, seed: int) -> tuple[NodeSplit | GraphSplit | None, bool]:
    """Return (the given split of this name or None, whether it depends on the seed)."""
    family, _, number = name.rpartition("-")
    if name not in given and family in given and number.isdigit():
        members = _value(given[family])
        if isinstance(members, list):
            if int(number) >= len(members):
                raise DataError(f"split {name!r} does not exist, expected {family}-0..{family}-{len(members) - 1}")
            return _value(members[int(number)]), False
    if name not in given:
        return None, False
    members = _value(given[name])
    if isinstance(members, list):
        return _value(members[seed % len(members)]), len(members) > 1
    return members, False


def _value(item: Any) -> Any:
    return item() if callable(item) else item


def _draw(labels, name: str, seed: int, dataset: str, given, task: str) -> NodeSplit | GraphSplit:
    kind = NodeSplit if task == "node" else GraphSplit
    if name == "shchur" and not _multi(labels) and _classes(labels).dtype.kind != "f":
        return kind(*shchur(_classes(labels), seed, dataset))
    fractions = parse_fractions(name, "random")
    if fractions is None:
        known = [*given, "shchur", "random-0.6/0.2/0.2"]
        raise DataError(
            f"data set {dataset!r}: unknown {task} split {name!r}{did_you_mean(name, known)}"
            f"; expected one of {', '.join(known)}"
        )
    values = np.asarray(labels)
    known = np.flatnonzero(known_rows(values, task))
    if not len(known):
        raise DataError(f"data set {dataset!r}: all labels are unknown, expected some for the {task} task")
    order = np.random.default_rng(seed).permutation(known)
    train, valid = int(fractions[0] * len(order)), int(fractions[1] * len(order))
    test = len(order) - train - valid if abs(sum(fractions) - 1) < 1e-9 else int(fractions[2] * len(order))
    parts = np.split(order[: train + valid + test], [train, train + valid])
    return kind(*(np.sort(part) for part in parts))


def _check_parts(split: NodeSplit | GraphSplit, dataset: GraphDataset, task: str, name: str) -> None:
    count = dataset.num_nodes if task == "node" else len(dataset.graphs)
    for part in ("train", "valid", "test"):
        ids = np.asarray(getattr(split, part))
        if len(ids) == 0:
            raise DataError(f"data set {dataset.name!r}: split {name!r} leaves no {task}s to {part}")
        if ids.min() < 0 or ids.max() >= count:
            raise DataError(
                f"data set {dataset.name!r}: split {name!r} names {task} {ids.max()}, expected 0..{count - 1}"
            )


# Links ----------------------------------------------------------------------------------------------------------------


def _finish_links(loaded: Loaded, name: str | None, metric: str | None, seed: int) -> GraphDataset:
    dataset = loaded.dataset
    if loaded.links is not None and name in (None, loaded.links_name):
        name, metric = loaded.links_name, metric or link_metric(loaded.links)
        return dataset.renamed(
            task="link", split=loaded.links, split_name=name, metric=metric, seed=seed, splitter=None
        )
    if loaded.links is not None:
        raise DataError(f"data set {dataset.name!r}: unknown link split {name!r}, expected {loaded.links_name}")
    name = name or DEFAULT_LINK
    fixed, by_time = parse_fractions(name, "heart"), parse_fractions(name, "time")
    fractions = fixed or by_time or parse_fractions(name, "random")
    if fractions is None:
        known = [DEFAULT_LINK, HEART, *([TIME] if "time" in dataset.graph.edata else [])]
        raise DataError(
            f"data set {dataset.name!r}: unknown link split {name!r}{did_you_mean(name, known)}"
            f"; expected {' or '.join(known)}, or other fractions"
        )
    if by_time:
        graph, split = split_links_by_time(dataset, fractions, seed)
    else:
        graph, split = split_links(dataset, fractions, 0 if fixed else seed, heart=fixed is not None)
    if fixed:
        metric = "mrr"
    elif metric is None:
        metric = link_metric(split)
    return dataset.renamed(
        graph=graph,
        task="link",
        split=split,
        split_name=name,
        metric=metric,
        seed=seed,
        splitter=None if fixed else (lambda other: finish(loaded, "link", name, other)),
    )
