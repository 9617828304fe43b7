"""The user's own graph: one function reads every file format, from a path or from stdin.

Edge lists (csv, tsv, txt, any of them gzipped), Parquet, Matrix Market, SciPy npz, MATLAB ``.mat``, GraphML and DGL
``.bin``, which may hold many labelled graphs too (:mod:`graphkit.datasets.readers.dglbin_sets`). Node ids are kept and
come back in ``GraphDataset.node_ids``:

- integer ids are sorted; ``node_ids`` is None where they are exactly 0..n-1;
- ids of any other kind are strings, in the order of their first appearance, read row by row, source first. They come
  back as an object array of ``str``. An id with leading zeros ("007") makes all ids strings;
- a matrix has ids 0..n-1, also where it is written with numbers from 1.

Files are not trusted: a declared size is compared with the size of the file before anything is allocated, all that is
read counts against one budget (:mod:`graphkit.io.budget`), pickles are refused unread, and whatever is
wrong with a file is a :class:`DataError` of one line.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import fields

from graphkit.core.errors import UsageError
from graphkit.core.read_options import SILENT, ReadOptions
from graphkit.core.reading import note
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers import (
    assemble,
    attach,
    dglbin,
    dglbin_sets,
    event_files,
    graphml,
    line_lists,
    matrices,
    tables,
)
from graphkit.datasets.readers.assemble import EdgeTable
from graphkit.datasets.readers.not_edges import refuse_file
from graphkit.datasets.splits import drawn as splits
from graphkit.datasets.splits import event_splits
from graphkit.datasets.splits import events as event_split
from graphkit.io import budget
from graphkit.io.blob import Blob, one_line, refuse_binary
from graphkit.io.formats import dataset_name, format_of, read_blob

log = logging.getLogger("graphkit")

# format -> the function that turns a Blob and the options into an EdgeTable
READERS: dict[str, Callable[[Blob, ReadOptions], EdgeTable]] = {
    "edge list": tables.read_table,
    "Parquet": tables.read_parquet,
    "Matrix Market": matrices.read_mtx,
    "npz": matrices.read_npz,
    "mat": matrices.read_mat,
    "GraphML": graphml.read_graphml,
    "DGL bin": dglbin.read_dglbin,
}


def read_graph(
    path,
    options: ReadOptions | None = None,
    task: str | None = None,
    split: str | None = None,
    seed: int = 0,
    many: bool = False,
) -> GraphDataset:
    """Read a user's graph, or set of graphs, from a file, from stdin for ``"-"``, or from what :func:`read_blob` gave.

    Without ``task`` the whole graph comes back, with the node split where a splits file or the graph file has one. With
    ``task="link"`` the graph holds the training edges only; with ``task="events"`` every row is an interaction with a
    time. Splits come from ``options.splits``, else they are drawn by :mod:`graphkit.datasets.splits.drawn`. ``many``: a
    ``.bin`` of one graph is a set of one, as for a model of graphs.
    Raises :class:`DataError` for whatever is wrong with a file and :class:`UsageError` for options that cannot be.
    """
    options = options or ReadOptions()
    with budget.scope(options.read_limit):
        return _read_graph(path, options, task, split, seed, many)


def _read_graph(path, options: ReadOptions, task: str | None, split: str | None, seed: int, many: bool) -> GraphDataset:
    if task not in (None, "labels", *splits.TASKS):
        raise UsageError(f"task {task!r}: expected one of {', '.join(splits.TASKS)}")
    if task == "events":
        return _read_events(path, options, split, seed)
    blob = read_blob(path)
    if task in (None, "link") and (timed := _timed_graph(blob, options)) is not None:
        return attach.with_task(timed, options, task, split, seed)
    if format_of(blob) == "DGL bin" and (several := _graph_set(blob, options, many)) is not None:
        return splits.finish(several, "graph" if task == "labels" else task, split, seed)
    task = "node" if task == "labels" else task
    if task == "graph":
        raise UsageError(f"task 'graph': {blob.name} holds one graph, which has the tasks node, link and events")
    table = read_edges(blob, options)
    nodes, rows = attach.read_nodes(table, options, task)
    dataset = assemble.build(table, nodes, options, name=dataset_name(blob.name))
    return attach.with_task(dataset, options, task, split, seed, rows)


def _read_events(path, options: ReadOptions, split: str | None, seed: int) -> GraphDataset:
    blob = read_blob(path, "events")
    dataset = event_files.read_events(blob, options, dataset_name(blob.name))
    if options.splits is None:
        return event_split.finish_events(dataset, split, None, seed)
    if split not in (None, "file"):
        raise UsageError(f"--split {split} and --splits {options.splits} name two splits, expected one")
    default = event_split.split_events(dataset, (0.7, 0.15, 0.15), seed, inductive=False)
    given = event_splits.read(dataset, read_blob(options.splits, "a split"), default)
    metric = "mrr" if given.test_neg.ndim == 2 else "ap"
    return event_split.finish_events(dataset, "file", metric, seed, {"file": lambda: given})


def _timed_graph(blob: Blob, options: ReadOptions) -> GraphDataset | None:
    """The graph of the pairs of events, with the events, where ``--columns SRC,DST,TIME`` names a time and nothing asks
    for a graph.
    """
    asked = {item.name for item in fields(options) if getattr(options, item.name) != item.default}
    if options.columns is None or not asked <= {"columns", "header", "delimiter"}:
        return None
    with one_line(blob, "events"):
        if not event_files.names_time(blob, options):
            return None
    dataset = event_files.read_events(blob, options, dataset_name(blob.name))
    pairs = dataset.graph.num_edges() // 2
    if pairs < len(dataset.events):
        found = f"{len(dataset.events)} events are {pairs} edges as a graph"
        note(blob.name, f"{found}, one for each pair, with its first time; loops are dropped")
    return dataset


def read_edges(blob: Blob, options: ReadOptions):
    """Edges and ids of a file as an :class:`~graphkit.datasets.readers.assemble.EdgeTable`, before cleaning."""
    if format_of(blob) in ("edge list", "GraphML"):
        if format_of(blob) == "edge list":
            refuse_binary(
                blob, blob.data.removeprefix(b"\xef\xbb\xbf")
            )  # before its bytes are taken for words of any kind
        refuse_file(blob)
    if format_of(blob) == "edge list" and options.read_as != "edges":
        if options.read_as is not None:
            with one_line(blob, options.read_as):
                return line_lists.read_lists(blob, options)
        if options.columns is None and options.delimiter is None:
            line_lists.refuse_lists(blob)
    with one_line(blob, format_of(blob)):
        return READERS[format_of(blob)](blob, options)


def _graph_set(blob: Blob, options: ReadOptions, many: bool):
    """The set of graphs in a ``.bin``, or None where it holds one that is to be read as such."""
    names = [
        item.name for item in fields(options) if item.name not in SILENT and getattr(options, item.name) != item.default
    ]
    given = ["--task" if name == "label_kind" else f"--{name}".replace("_", "-") for name in names]
    with one_line(blob, "DGL bin"):
        if dglbin.opened(blob)[1] == 1 and (given or not many):
            return None
        if given:
            raise UsageError(f"{given[0]}: found with {blob.name}, which holds many graphs, expected with one graph")
        return dglbin_sets.read_graphs(blob, dataset_name(blob.name))
