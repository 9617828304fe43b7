"""Graphs in npz archives: the heterophilous benchmark (Platonov et al., 2023) and the GraphData collection."""

from __future__ import annotations

from graphkit.datasets.base import GraphDataset
from graphkit.datasets.build import check, check_ids, graph_of, reading, set_features, set_labels
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.splits import Loaded, masks_split
from graphkit.datasets.unpickle import load_npz
from graphkit.lazy import np


def _members(path, names) -> list:
    members = load_npz(path)
    for name in names:
        check(name in members, path, f"the members {', '.join(members) or 'none'}", name)
    return [members[name] for name in names]


def heterophilous(entry: Entry, *, file: str) -> Loaded:
    """Edges stored once, features, labels and ten masks; run r uses split r (seed modulo 10)."""
    path = entry.path(file)
    names = ("node_features", "node_labels", "edges", "train_masks", "val_masks", "test_masks")
    features, labels, edges, *masks = _members(path, names)
    with reading(path, "a heterophilous graph"):
        n = len(labels)
        check(edges.ndim == 2 and edges.shape[1] == 2 and edges.dtype.kind in "iu", path, f"edges {edges.shape}", "(E, 2)")
        check(n and len(edges), path, f"{n} nodes and {len(edges)} edges", "a graph")
        check_ids(edges, n, path)
        graph = graph_of(edges[:, 0], edges[:, 1], n)
        set_features(graph, features, path)
        set_labels(graph, labels, path)
        for mask in masks:
            check(mask.ndim == 2 and mask.shape == (len(masks[0]), n), path, f"masks {mask.shape}", f"(10, {n})")
        fixed = [masks_split(*(mask[k] for mask in masks)) for k in range(len(masks[0]))]
    return Loaded(GraphDataset(entry.name, graph), {"fixed": fixed})


def graphdata(entry: Entry, *, file: str) -> Loaded:
    """``adj_matrix`` and ``node_attr`` as pickled CSR matrices, ``node_label``; directed citations are symmetrised."""
    path = entry.path(file)
    members = load_npz(path)
    adjacency, labels = _members(path, ("adj_matrix", "node_label"))
    with reading(path, "a GraphData archive"):
        shape = getattr(adjacency, "shape", ())
        n = len(labels)
        check(hasattr(adjacency, "tocoo") and shape == (n, n), path, f"adj_matrix of shape {shape}", f"({n}, {n})")
        coo = adjacency.tocoo()
        keep = coo.data != 0
        graph = graph_of(coo.row[keep], coo.col[keep], n)
        # Labels may start at 1 (blogcatalog_attr): classes are numbered from 0 in ascending order.
        check(labels.ndim == 1 and labels.dtype.kind in "iu", path, f"node_label of type {labels.dtype}", "class numbers")
        known, numbers = np.unique(labels, return_inverse=True)
        set_labels(graph, numbers, path)
        if members.get("node_attr") is not None:
            set_features(graph, members["node_attr"], path)
        names = _class_names(members.get("metadata"), known)
    return Loaded(GraphDataset(entry.name, graph, class_names=names))


def _class_names(metadata, known) -> list[str]:
    names = metadata.get("class_names") if isinstance(metadata, dict) else None
    values = [names[k] for k in known] if names is not None and len(names) > max(known) else known
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values]
