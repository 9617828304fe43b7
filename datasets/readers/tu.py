"""Graph classification sets: the text format of GIN (Xu et al., 2019) and the raw files of TUDataset."""

from __future__ import annotations

import numpy as np

from graphkit.core.errors import DataError
from graphkit.core.reading import note
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.readers.build import check, check_ids, graph_of, integer_table, number_table, reading
from graphkit.datasets.splits.loaded import Loaded
from graphkit.datasets.splits.nodes import as_tensor, fold_splits, stratified_folds

FOLDS = 10
UNREAD = ("edge_labels", "edge_attributes", "graph_attributes")
LARGEST_ONE_HOT = 2048


def gin(entry: Entry, *, folder: str, name: str) -> Loaded:
    """``<name>.txt``: the number of graphs; per graph ``n label``, then n lines ``tag degree neighbours...``.

    Features: the tag one-hot, or the degree one-hot where all tags are alike. Two families of ten folds, from
    ``10fold_idx`` where it is there: see :func:`graphkit.datasets.splits.nodes.fold_splits`.
    """
    path = entry.path(f"{folder}/{name}.txt")
    with reading(path, "GIN's graph text"), open(path, encoding="ascii") as file:
        tokens = np.array(file.read().split(), dtype=np.int64)
        check(len(tokens), path, "an empty file", "the number of graphs")
        edges, sizes, labels, tags = _parse(tokens, path)
    graphs = _graphs(edges, sizes)
    values = tags if len(np.unique(tags)) > 1 else np.concatenate([graph.in_degrees().numpy() for graph in graphs])
    _attach(graphs, sizes, _one_hot(values, path))
    return _loaded(entry, graphs, labels, _folds(entry, folder, len(graphs)), path)


def _parse(tokens, path):
    """Walk the numbers; return ([(m, 2) edges per graph], sizes, labels, tags of all nodes)."""
    total, place = int(tokens[0]), 1
    check(
        0 < total <= len(tokens), path, f"{total} graphs in {len(tokens)} numbers", "as many graphs as the file holds"
    )
    edges, sizes, labels, tags = [], [], [], []
    values = tokens.tolist()
    for graph in range(total):
        try:
            n, label = values[place], values[place + 1]
            place += 2
            check(
                0 < n <= len(values), path, f"graph {graph} with {n} nodes", "at least one node, and its line for each"
            )
            ends = []
            for node in range(n):
                tag, degree = values[place], values[place + 1]
                neighbours = values[place + 2 : place + 2 + degree]
                whole = degree >= 0 and len(neighbours) == degree and all(0 <= other < n for other in neighbours)
                check(
                    whole,
                    path,
                    f"graph {graph}, node {node} with the line {[tag, degree, *neighbours][:8]}",
                    f"degree and neighbours in 0..{n - 1}",
                )
                place += 2 + degree
                tags.append(tag)
                ends.extend((node, other) for other in neighbours)
        except IndexError:
            raise DataError(f"{path}: truncated in graph {graph} of {total}") from None
        edges.append(np.array(ends, dtype=np.int64).reshape(-1, 2))
        sizes.append(n)
        labels.append(label)
    check(place == len(values), path, f"{len(values) - place} numbers after the last graph", "the end of the file")
    return edges, sizes, np.array(labels), np.array(tags)


def raw(entry: Entry, *, folder: str, name: str) -> Loaded:
    """``_A``, ``_graph_indicator``, ``_graph_labels``, and ``_node_attributes``, ``_node_labels`` where present.

    Features: the attributes, then the node label one-hot. Ids count from 1 in the files.
    """
    path = entry.path(f"{folder}/{name}_graph_indicator.txt")
    indicator = integer_table(path, 1)[:, 0] - 1
    labels_path = entry.path(f"{folder}/{name}_graph_labels.txt")
    labels = integer_table(labels_path, 1)[:, 0]
    check_ids(indicator, len(labels), path, "graph number less one")
    check((np.diff(indicator) >= 0).all(), path, "graph numbers that decrease", "nodes ordered by graph")
    sizes = np.bincount(indicator, minlength=len(labels))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    path = entry.path(f"{folder}/{name}_A.txt")
    edges = integer_table(path, 2, delimiter=",") - 1
    check_ids(edges, len(indicator), path, "node number less one")
    owner = indicator[edges[:, 0]]
    check((owner == indicator[edges[:, 1]]).all(), path, "an edge between two graphs", "edges inside a graph")
    order = np.argsort(owner, kind="stable")
    cuts = np.cumsum(np.bincount(owner, minlength=len(labels)))[:-1]
    parts = np.split(edges[order], cuts)
    graphs = _graphs([part - starts[k] for k, part in enumerate(parts)], sizes)
    features = _raw_features(entry, f"{folder}/{name}", len(indicator))
    if features is None:
        features = _one_hot(np.concatenate([graph.in_degrees().numpy() for graph in graphs]), path)
    _attach(graphs, sizes, features)
    unread = [part for part in UNREAD if entry.own and entry.optional(f"{folder}/{name}_{part}.txt")]
    if unread:
        note(entry.name, f"not read: {', '.join(f'{name}_{part}.txt' for part in unread)}")
    return _loaded(entry, graphs, labels, _folds(entry, folder, len(graphs)), labels_path)


def _raw_features(entry: Entry, stem: str, nodes: int):
    blocks = []
    path = entry.optional(f"{stem}_node_attributes.txt")
    if path is not None:
        with reading(path, "node attributes"), open(path, encoding="ascii") as file:
            width = file.readline().count(",") + 1
        blocks.append(number_table(path, width, delimiter=","))
        check(len(blocks[-1]) == nodes, path, f"{len(blocks[-1])} rows", f"{nodes}, one a node")
    path = entry.optional(f"{stem}_node_labels.txt")
    if path is not None:
        values = integer_table(path, 1)[:, 0]
        check(len(values) == nodes, path, f"{len(values)} rows", f"{nodes}, one a node")
        blocks.append(_one_hot(values, path))
    return np.concatenate(blocks, 1).astype(np.float32) if blocks else None


def _one_hot(values, path):
    known, columns = np.unique(values, return_inverse=True)
    check(len(known) <= LARGEST_ONE_HOT, path, f"{len(known)} distinct tags", f"at most {LARGEST_ONE_HOT}")
    out = np.zeros((len(values), len(known)), dtype=np.float32)
    out[np.arange(len(values)), columns.ravel()] = 1.0
    return out


def _graphs(edges, sizes):
    return [graph_of(part[:, 0], part[:, 1], size) for part, size in zip(edges, sizes)]


def _attach(graphs, sizes, features) -> None:
    for graph, part in zip(graphs, np.split(features, np.cumsum(sizes)[:-1])):
        graph.ndata["feat"] = as_tensor(part)


def _folds(entry: Entry, folder: str, total: int) -> list:
    tests = []
    for k in range(1, FOLDS + 1):
        path = entry.optional(f"{folder}/10fold_idx/test_idx-{k}.txt")
        if path is None:
            return []
        tests.append(integer_table(path, 1)[:, 0])
        check_ids(tests[-1], total, path, "graph number")
    return tests


def _loaded(entry: Entry, graphs, labels, tests, path) -> Loaded:
    known, numbers = np.unique(labels, return_inverse=True)
    with reading(path, "graph labels"):
        tests = tests or stratified_folds(numbers.ravel(), FOLDS)
    names = [str(label) for label in known]
    dataset = GraphDataset(entry.name, graphs=graphs, graph_labels=as_tensor(numbers.ravel()), class_names=names)
    return Loaded(dataset, fold_splits(tests, len(graphs)))
