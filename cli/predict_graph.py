"""Another graph for a run's model, read as the run's own was unless the command says otherwise."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import click

from graphkit.cli.options import load_dataset
from graphkit.core.errors import DataError

if TYPE_CHECKING:
    from graphkit.datasets.base import GraphDataset
    from graphkit.runs.execution import Run

# Of how the run read its graph, what another graph is read by; files about nodes are named anew.
INHERITED = ("columns", "header", "delimiter", "weight", "directed", "self_loops", "duplicates", "id_column")
log = logging.getLogger("graphkit")


def load_like(run: Run, trained: GraphDataset, values: dict[str, Any]) -> GraphDataset:
    """Load the graph that --dataset or --graph names as the run's own was read; takes the options out of ``values``.

    Options of the command line win, and a line says so. Raises :class:`DataError` for a graph of another kind than the
    model knows: directed where it learned from undirected edges, or the other way round, where the method looks at
    directions; weights alike.
    """
    from graphkit import datasets

    name = values["dataset"] or values["edges"]
    before = {
        key: value
        for key, value in (run.settings.get("data") or {}).items()
        if key in INHERITED and value not in (None, [], ())
    }
    if trained.graph is not None:
        before["directed"] = trained.directed
    context = click.get_current_context()
    given = {key for key in INHERITED if context.get_parameter_source(key) is click.core.ParameterSource.COMMANDLINE}
    if datasets.is_own(name):
        _take_over(run, values, before, given, name)
    many = trained.task == "graph"
    try:
        dataset = load_dataset(values, many=many)
    except DataError as problem:
        taken = [f"--{key.replace('_', '-')}" for key in before if key not in given]
        option = next((flag for flag in taken if flag in str(problem)), None)
        if option is None:
            raise
        raise DataError(f"{problem}; {option} is the run's, give it for this graph") from None
    _check_kind(run, trained, dataset, "directed" in given)
    return dataset


def _take_over(run: Run, values: dict[str, Any], before: dict[str, Any], given: set[str], name: str) -> None:
    """Fill the options that were not given with those of the run, and tell of both."""
    taken = {}
    for key, value in before.items():
        value = tuple(value) if isinstance(value, list) else value
        if key not in given and values.get(key) != value:
            values[key] = taken[key] = value
    if "id_column" in taken:
        if values["features"] is None:
            del taken["id_column"]
            values["id_column"] = ()
        else:
            values["id_column_elsewhere"] = True  # the other features may call theirs otherwise
    if taken:
        log.info("%s: read as the graph of %s was: %s", name, run.path, _shown(taken))
    asked = {key: values[key] for key in INHERITED if key in given and key in before and values[key] != before[key]}
    if asked:
        log.info(
            "%s: read with %s, the graph of %s with %s",
            name,
            _shown(asked),
            run.path,
            _shown({key: before[key] for key in asked}),
        )


def _shown(options: dict[str, Any]) -> str:
    words = []
    for key, value in options.items():
        if key == "directed":
            words.append("--directed" if value else "--undirected")
        elif key == "header":
            words.append("--header" if value else "--no-header")
        else:
            values = value if isinstance(value, (tuple, list)) else [value]
            words += [f"--{key.replace('_', '-')} {one}" for one in values]
    return " ".join(words)


def _check_kind(run: Run, trained: GraphDataset, dataset: GraphDataset, asked: bool) -> None:
    """Raise where the graph is of a kind that the model has not learned from; ``asked``: directions are as an option
    says.
    """
    from graphkit.core import registry

    if trained.graph is None or dataset.graph is None:
        return
    takes = registry.sheet(run.settings["method"]).takes
    kinds = {
        True: {"directed": "directed", "weighted": "weighted"},
        False: {"directed": "undirected", "weighted": "unweighted"},
    }
    for kind in ("directed", "weighted"):
        here, there = getattr(dataset, kind), getattr(trained, kind)
        if takes.get(kind) and here != there and not (kind == "directed" and asked):
            raise DataError(
                f"{dataset.name}: is {kinds[here][kind]}, expected a graph that is {kinds[there][kind]}, as that of"
                f" {run.path}"
            )
