"""Graphs in the form of MUSAE (Rozemberczki et al., 2021): edges, features as lists of numbers in JSON, and a table of
targets.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dgl
import numpy as np

from graphkit.core import reading as notes
from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.readers.build import (
    check,
    check_ids,
    graph_of,
    integer_table,
    multi_hot,
    reading,
    set_features,
    set_labels,
)
from graphkit.datasets.splits.loaded import Loaded
from graphkit.io import budget
from graphkit.io.formats import read_blob

JSON_EXPANSION = 10  # bytes that a byte of numbers in lists takes as Python's objects
TARGETS = ("mature", "ml_target", "page_type", "target", "label", "class")
IDS = ("new_id", "id")


def load(entry: Entry, *, stem: str) -> Loaded:
    """``STEM_edges.csv``, ``STEM_features.json`` where it is there, and ``STEM_target.csv``, whose label is known by
    its name.
    """
    path = entry.path(f"{stem}_target.csv")
    ids, columns = target_table(path)
    graph = read_edges(entry, stem, len(ids))
    word = next((word for word in TARGETS if word in columns), None)
    names = None
    if word is None:
        found = ", ".join(columns) or "beside the ids"
        notes.note(str(path), f"none of the columns {found} is read as label, expected {' or '.join(TARGETS)}")
    else:
        names, numbers = np.unique(columns[word], return_inverse=True)
        if len(names) > max(50, len(ids) // 2):
            raise DataError(
                f"{path}: column {word!r} holds {len(names)} different values for {len(ids)} nodes, expected classes"
            )
        labels = np.empty(len(ids), dtype=np.int64)
        labels[ids] = numbers
        set_labels(graph, labels, path)
        left = [other for other in columns if other != word]
        if left:
            notes.note(str(path), f"column {word!r} is the label; not read: {', '.join(left)}")
        names = [str(name) for name in names]
    path = entry.optional(f"{stem}_features.json")
    if path is not None:
        set_features(graph, _multi_hot(path, len(ids)), path)
    return Loaded(GraphDataset(stem, graph, class_names=names))


def target_table(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """((n,) node numbers, text of the other columns by name); nodes are 0..n-1, each named by one row.

    A row that repeats another one counts once; raises :class:`DataError` where it differs.
    """
    with reading(path, "a table of targets"), open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows: dict[int, dict[str, Any]] = {}
        again = 0
        header = [name.strip() for name in reader.fieldnames or []]
        own = next((word for word in IDS if word in header), None)
        check(own, path, f"the columns {', '.join(header) or 'none'}", " or ".join(IDS))
        for row in reader:
            line = f"{path}, line {reader.line_num}"
            check(None not in row and None not in row.values(), line, "another number of columns", "those of line 1")
            check(row[own].strip().isdigit() and len(row[own]) < 16, line, f"{own} {row[own]!r}", "a node number")
            node = int(row[own])
            again += node in rows
            if rows.setdefault(node, row) != row:
                raise DataError(
                    f"{path}, line {reader.line_num}: node {node} is there before with other values, expected one row a"
                    " node"
                )
    check(rows, path, "no rows", "a row for each node")
    if again:
        notes.note(str(path), f"{again} row{'s' * (again > 1)} that repeat another one: dropped")
    ids = np.fromiter(rows, dtype=np.int64, count=len(rows))
    check_ids(ids, len(ids), path, own)
    others = [name for name in header if name not in IDS]
    return ids, {name: np.array([row[name] for row in rows.values()]) for name in others}


def read_edges(entry: Entry, stem: str, n: int) -> dgl.DGLGraph:
    """The undirected graph of ``STEM_edges.csv``, whose first line is a header."""
    path = entry.path(f"{stem}_edges.csv")
    edges = integer_table(path, 2, delimiter=",", skip=1)
    check_ids(edges, n, path)
    loops = int((edges[:, 0] == edges[:, 1]).sum())
    if loops and entry.own:
        notes.note(str(path), f"{loops} self-loop{'s' * (loops > 1)} dropped")
    return graph_of(edges[:, 0], edges[:, 1], n)


def read_lists(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(nodes, feature numbers), one entry for each in ``{node: [numbers]}``."""
    with reading(path, "a dictionary of feature numbers"):
        data = read_blob(path, "a dictionary of feature numbers").data
        budget.take((JSON_EXPANSION - 1) * len(data), path, "the lists")
        return lists_of(json.loads(data.decode("utf-8")))


def lists_of(table: Mapping[str, Iterable[int]]) -> tuple[np.ndarray, np.ndarray]:
    """(nodes, feature numbers) of a dictionary of lists of whole numbers; raises ValueError or TypeError for anything
    else.
    """
    if not isinstance(table, dict):
        raise ValueError(f"a {type(table).__name__}, not a dictionary of lists")
    parts = {int(node): np.array(items, dtype=object).reshape(-1) for node, items in table.items()}
    if any(type(item) is not int for part in parts.values() for item in part.tolist()):
        raise ValueError("an item that is no whole number")
    nodes = np.repeat(np.array(list(parts), dtype=np.int64), [len(part) for part in parts.values()])
    columns = np.concatenate([*(part.astype(np.int64) for part in parts.values()), np.empty(0, dtype=np.int64)])
    return nodes, columns


def _multi_hot(path: Path, n: int) -> np.ndarray:
    nodes, columns = read_lists(path)
    check(len(columns), path, "no features", "lists of feature numbers")
    check_ids(nodes, n, path)
    width = int(columns.max()) + 1
    check(columns.min() >= 0, path, f"feature number {columns.min()}", "0 or more")
    # Numbers are handed out without gaps; one that is far beyond their count is damage.
    check(width <= 100 * len(columns) + 1000, path, f"feature number {width - 1}", "less")
    return multi_hot(nodes, columns, (n, width))
