"""What a user knows about the nodes: features, labels and splits, from files beside the graph.

Features: ``.npy``, ``.npz`` (one 2-d array, or ``features``, or a SciPy sparse matrix, or vectors with ids as
``graphkit embed`` writes them), ``.mat`` (``features``, or one matrix), csv or tsv, Parquet.
Labels: the same, one value a node, or several columns of 0 and 1, or several rows a node (multi-label), see
:mod:`graphkit.datasets.readers.labels`; in ``.mat`` the variable ``group``, ``labels`` or ``y``, or one matrix.
Rows go by the ids that a column holds, see :mod:`graphkit.datasets.readers.node_ids`; without one by order: row k
belongs to the k-th node, and to the node with id k where ids are integers below the number of rows (the rows of ids
without an edge are isolated nodes). An id that is in no edge becomes an isolated node, whichever of the files names it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphkit.core import reading
from graphkit.core.errors import DataError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers import label_checks
from graphkit.datasets.readers.assemble import EdgeTable, Nodes
from graphkit.datasets.readers.labels import LABEL_NAMES, read_labels
from graphkit.datasets.readers.matrices import MAT_FEATURES, MAT_LABELS
from graphkit.datasets.readers.node_files import open_rows
from graphkit.datasets.readers.node_ids import (
    ID_NAMES,
    NO_COLUMN,
    NodeIndex,
    find_ids,
    join,
    match_order,
    report_counters,
    value_columns,
)
from graphkit.datasets.readers.node_tables import NodeRows
from graphkit.datasets.readers.text import counted
from graphkit.datasets.splits import drawn as splits
from graphkit.datasets.splits import split_files
from graphkit.datasets.splits.nodes import masks_split
from graphkit.datasets.splits.split_files import SplitRows
from graphkit.graph.narrow import as_float32
from graphkit.io.blob import Blob
from graphkit.io.formats import read_blob

KNOWN = ID_NAMES | LABEL_NAMES


@dataclass
class Source:
    """A file about nodes while the others are read.

    ids: (rows,) as the graph has them; None until the rows that go by order are matched. columns: those that hold
        values.
    """

    rows: NodeRows
    ids: np.ndarray | None
    columns: list[int]


def read_nodes(table: EdgeTable, options: ReadOptions, task: str | None = None) -> tuple[Nodes, SplitRows | None]:
    """Read features and labels, align them with the nodes, and open the split; may add isolated nodes to ``table``."""
    nodes = Nodes(
        feat=table.ndata.get("feat"),
        label=table.ndata.get("label"),
        class_names=table.ndata.get("class_names"),
        masks={key: value for key, value in table.ndata.items() if key.endswith("_mask")},
    )
    features = _open(table, options, "features", MAT_FEATURES, frozenset(), one_each=True)
    labels = _open(table, options, "labels", MAT_LABELS, LABEL_NAMES, one_each=False)
    split = (
        None
        if options.splits is None
        else split_files.open_split(table, read_blob(options.splits, "a split"), task, options.id_column)
    )
    _check_named(options, [source.rows for source in (features, labels) if source] + ([split.rows] if split else []))
    given = [source for source in (features, labels) if source is not None]
    # Rows that go by order come first: they are counted against the nodes of the edges, before ids add more.
    for source in given:
        if source.ids is None:
            match_order(table, source.rows, NO_COLUMN in options.id_column)
            source.ids = np.arange(table.num_nodes) if table.node_ids is None else table.node_ids
    named = [(source.rows, source.ids) for source in given]
    if split is not None:
        named.append((split.rows, np.concatenate(split.ids)))
    for rows, ids in named:
        join(table, rows, ids)
    if features is not None:
        nodes.feat = _features(table, features)
        nodes.feature_names = [features.rows.names[k] for k in features.columns] if features.rows.names else None
    if labels is not None:
        place = NodeIndex(table).find(labels.ids)
        kind = options.label_kind or labels.rows.kind
        nodes.label, nodes.class_names = read_labels(
            table, labels.rows, place, labels.columns, kind, options.unlabelled
        )
    for what, given in (("features", nodes.feat), ("labels", nodes.label)):
        if given is not None and len(given) != table.num_nodes:
            raise DataError(
                f"{table.name}: holds {what} of {len(given)} nodes, but there are {table.num_nodes} with the other"
                " files"
            )
    return nodes, split


def _open(
    table: EdgeTable, options: ReadOptions, what: str, mat_names, values: frozenset, one_each: bool
) -> Source | None:
    path = getattr(options, what)
    if path is None:
        return None
    rows = open_rows(read_blob(path, f"node {what}"), KNOWN, mat_names)
    if not rows.width:
        raise rows.blob.error(f"no columns, expected {what}")
    index = NodeIndex(table)
    number = find_ids(rows, index, options.id_column, values, one_each)
    columns = value_columns(rows, number)
    if not columns:
        raise rows.blob.error("only an id column, expected values beside it")
    cells = rows.ids if number is None else rows.cells(number)
    if cells is None and one_each and NO_COLUMN not in options.id_column:
        report_counters(rows, columns)
    return Source(rows, None if cells is None else index.typed(rows, cells, number), columns)


def _check_named(options: ReadOptions, files: list[NodeRows]) -> None:
    """Raise where a word of ``--id-column`` is in none of the files."""
    for word in options.id_column:
        if (
            word != NO_COLUMN
            and files
            and not options.id_column_elsewhere
            and not any(rows.column(word) is not None for rows in files)
        ):
            named = [name for rows in files for name in rows.names or []]
            expected = ", ".join(map(repr, named[:8])) or "a number from 0"
            raise DataError(
                f"--id-column {word}: no such column in {', '.join(rows.blob.name for rows in files)}; expected"
                f" {expected}"
            )


def _features(table: EdgeTable, source: Source) -> np.ndarray:
    """(n, F) float32 in node order."""
    rows = source.rows
    values = np.asarray(rows.numbers(source.columns))
    _check_finite(rows.blob, values)
    names = rows.lower_names()
    for k in source.columns:
        if k < len(names) and names[k] in LABEL_NAMES - {"y", "target", "group"}:
            reading.note(rows.blob.name, f"{rows.title(k)} is read as a feature, which a model sees")
    return _by_id(
        table, rows, NodeIndex(table).find(source.ids), source.ids, as_float32(values, rows.blob.name, "feature")
    )


def _check_finite(blob: Blob, values: np.ndarray) -> None:
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, column = np.unravel_index(int(np.argmax(wrong)), values.shape)
        raise blob.error(f"feature {values[row, column]} in row {row}, column {column}, expected a finite number")


def _by_id(table: EdgeTable, rows: NodeRows, place, ids, values) -> np.ndarray:
    """Put rows into node order; a row that is there twice counts once."""
    counts = np.bincount(place, minlength=table.num_nodes)
    if (counts == 0).any():
        missing, first = int((counts == 0).sum()), int(np.argmax(counts == 0))
        absent = first if table.node_ids is None else table.node_ids.tolist()[first]
        raise rows.blob.error(
            f"found no row for {counted(missing, 'node')} of {table.name}, the first is {absent!r}; expected one a node"
        )
    out = np.empty((table.num_nodes, values.shape[1]), dtype=values.dtype)
    out[place] = values
    if counts.max() > 1:
        other = (out[place] != values).any(1)
        if other.any():
            raise rows.blob.error(f"id {ids[int(np.argmax(other))]!s} has more than one row, expected one a node")
        again = len(place) - table.num_nodes
        reading.note(rows.blob.name, f"{counted(again, 'row')} that repeat another one: dropped")
    return out


def with_task(
    dataset: GraphDataset,
    options: ReadOptions,
    task: str | None,
    split: str | None,
    seed: int,
    rows: SplitRows | None = None,
):
    """Give the data set its task: with the split of a file where there is one, else drawn from the seed."""
    given, links = {}, None
    masks = [dataset.graph.ndata.pop(f"{part}_mask", None) for part in ("train", "valid", "test")]
    if all(mask is not None for mask in masks):
        given["file"] = masks_split(*(mask.numpy() for mask in masks))
    if rows is not None:
        if task == "link":
            dataset, links = split_files.links_of(dataset, rows)
        else:
            given = {"file": split_files.nodes_of(dataset, rows)}
    if task is None:
        return dataset.renamed(split=given.get("file"), split_name="file" if given else "", seed=seed)
    if task == "node":
        if dataset.labels is None:
            raise DataError(f"{dataset.name}: has no labels, expected --labels FILE for node classification")
        label_checks.check_labels(dataset, source=options.labels)
    metric = _metric(dataset) if task == "node" else None
    node = "file" if given else "random-0.6/0.2/0.2"
    if task == "link" and links is not None:
        metric = split_files.link_metric(links)
    loaded = splits.Loaded(
        dataset,
        given=given,
        links=links,
        links_name="file",
        own=True,
        defaults={task: (node if task == "node" else None, metric)},
    )
    return splits.finish(loaded, task, split, seed)


def _metric(dataset: GraphDataset) -> str | None:
    return {"classes": "accuracy", "numbers": "rmse", "several": None}[dataset.label_kind]
