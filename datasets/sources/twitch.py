"""Twitch user networks (Rozemberczki et al., 2021) with the label "uses explicit language" of LINKX."""

from __future__ import annotations

import numpy as np

from graphkit.datasets.base import GraphDataset, NodeSplit
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.readers.build import check, check_ids, multi_hot, reading, set_features, set_labels
from graphkit.datasets.readers.unpickle import load_npy
from graphkit.datasets.sources import musae
from graphkit.datasets.splits.loaded import Loaded

NUM_FEATURES = 3170  # feature ids 0..3169 are shared by all languages


def load(entry: Entry, *, language: str, splits: str | None = None) -> Loaded:
    """Friendships, the games a user plays as 0/1 features, the label ``mature`` by ``new_id``."""
    stem = f"twitch-explicit/{language}/musae_{language}"
    path = entry.path(f"{stem}_target.csv")
    ids, columns = musae.target_table(path)
    n = len(ids)
    check("mature" in columns, path, f"the columns {', '.join(columns)}", "new_id and mature")
    words = set(columns["mature"].tolist())
    check(words <= {"True", "False"}, path, f"mature {sorted(words)[:3]}", "True or False")
    labels = np.empty(n, dtype=np.int64)
    labels[ids] = columns["mature"] == "True"
    graph = musae.read_edges(entry, stem, n)
    set_labels(graph, labels, path)
    path = entry.path(f"{stem}_features.json")
    nodes, numbers = musae.read_lists(path)
    check_ids(nodes, n, path)
    check_ids(numbers, NUM_FEATURES, path, "feature number")
    set_features(graph, multi_hot(nodes, numbers, (n, NUM_FEATURES)), path)
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
