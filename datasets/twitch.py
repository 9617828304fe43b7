"""Twitch user networks (Rozemberczki et al., 2021) with the label "uses explicit language" of LINKX."""

from __future__ import annotations

import csv
import json

from graphkit.datasets.base import GraphDataset, NodeSplit
from graphkit.datasets.build import check, check_ids, graph_of, integer_table, multi_hot, reading, set_features, set_labels
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.splits import Loaded
from graphkit.datasets.unpickle import load_npy
from graphkit.lazy import np

NUM_FEATURES = 3170  # feature ids 0..3169 are shared by all languages


def load(entry: Entry, *, language: str, splits: str | None = None) -> Loaded:
    """Friendships, the games a user plays as 0/1 features, the label ``mature`` by ``new_id``."""
    stem = f"twitch-explicit/{language}/musae_{language}"
    path = entry.path(f"{stem}_target.csv")
    with reading(path, "a table with new_id and mature"), open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
        check(rows, path, "no rows", "a table with new_id and mature")
        ids = np.array([int(row["new_id"]) for row in rows], dtype=np.int64)
        n = len(ids)
        check_ids(ids, n, path, "new_id")
        words = {row["mature"] for row in rows}
        check(words <= {"True", "False"}, path, f"mature {sorted(map(str, words))[:3]}", "True or False")
        labels = np.full(n, -1, dtype=np.int64)
        labels[ids] = [row["mature"] == "True" for row in rows]
    path = entry.path(f"{stem}_edges.csv")
    edges = integer_table(path, 2, delimiter=",", skip=1)
    check_ids(edges, n, path)
    graph = graph_of(edges[:, 0], edges[:, 1], n)
    set_labels(graph, labels, path)
    path = entry.path(f"{stem}_features.json")
    with reading(path, "a dictionary of feature numbers"), open(path, encoding="utf-8") as file:
        table = {int(node): np.array(items, dtype=np.int64).reshape(-1) for node, items in json.load(file).items()}
        nodes = np.repeat(np.array(list(table), dtype=np.int64), [len(items) for items in table.values()])
        columns = np.concatenate([*table.values(), np.empty(0, dtype=np.int64)])
        check_ids(nodes, n, path)
        check_ids(columns, NUM_FEATURES, path, "feature number")
        set_features(graph, multi_hot(nodes, columns, (n, NUM_FEATURES)), path)
    given = {"linkx": lambda: _given(entry, splits, n)} if splits and entry.optional(splits) else {}
    return Loaded(GraphDataset(entry.name, graph, class_names=["not mature", "mature"]), given)


def _given(entry: Entry, file: str, n: int) -> list[NodeSplit]:
    path = entry.path(file)
    parts = load_npy(path)
    with reading(path, "a list of splits"):
        out = []
        for part in parts:
            arrays = [np.asarray(part[key]).astype(np.int64) for key in ("train", "valid", "test")]
            for array in arrays:
                check_ids(array, n, path)
            out.append(NodeSplit(*(np.sort(array) for array in arrays)))
        check(out, path, "no splits", "a list of splits")
        return out
