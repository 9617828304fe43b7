"""Graphs in npz archives: the heterophilous benchmark (Platonov et al., 2023), the GraphData collection and
gnn-benchmark.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dgl
import numpy as np
from scipy.sparse import csr_matrix

from graphkit.core import reading as notes
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.readers.build import check, check_ids, graph_of, reading, set_features, set_labels
from graphkit.datasets.readers.unpickle import load_npz
from graphkit.datasets.splits.loaded import Loaded
from graphkit.datasets.splits.nodes import masks_split


def _members(path, names) -> list:
    members = load_npz(path)
    for name in names:
        check(name in members, path, f"the members {', '.join(members) or 'none'}", name)
    return [members[name] for name in names]


def heterophilous(entry: Entry, *, file: str) -> Loaded:
    """Edges stored once, features, labels and ten masks; run r uses split r (seed modulo 10).

    A file that stores some edges in both directions holds a directed graph: its directions are kept where they are
    asked for, else reported.
    """
    path = entry.path(file)
    names = ("node_features", "node_labels", "edges", "train_masks", "val_masks", "test_masks")
    features, labels, edges, *masks = _members(path, names)
    with reading(path, "a heterophilous graph"):
        n = len(labels)
        check(
            edges.ndim == 2 and edges.shape[1] == 2 and edges.dtype.kind in "iu", path, f"edges {edges.shape}", "(E, 2)"
        )
        check(n and len(edges), path, f"{n} nodes and {len(edges)} edges", "a graph")
        check_ids(edges, n, path)
        edges = edges.astype(np.int64)
        _report_directions(entry, path, edges, n)
        graph = _simple(entry, path, edges[:, 0], edges[:, 1], n)
        set_features(graph, features, path)
        set_labels(graph, labels, path)
        for mask in masks:
            check(mask.ndim == 2 and mask.shape == (len(masks[0]), n), path, f"masks {mask.shape}", f"(10, {n})")
        fixed = [masks_split(*(mask[k] for mask in masks)) for k in range(len(masks[0]))]
    return Loaded(GraphDataset(entry.name, graph, directed=entry.directed), {"fixed": fixed})


def _report_directions(entry: Entry, path: Path, edges: np.ndarray, n: int) -> None:
    """An undirected graph is stored once a pair, or with both directions of every pair; anything between has
    directions.
    """
    here, there = (np.unique(edges[:, side] * n + edges[:, 1 - side]) for side in (0, 1))
    loops = here // n == here % n
    both, all_edges = int((np.isin(here, there) & ~loops).sum()), int((~loops).sum())
    down = int((edges[:, 0] > edges[:, 1]).sum())
    if entry.directed or both == all_edges or (both == 0 and down in (0, len(edges))):
        return
    how = (
        f"{both} of {all_edges} have their reverse too"
        if both
        else f"{down} of {all_edges} go from the larger number to the smaller"
    )
    more = "; --directed keeps directions" if entry.own else ""
    notes.note(str(path), f"its edges have directions ({how}); read as undirected{more}")


def _simple(entry: Entry, path: Any, src, dst, n: int) -> dgl.DGLGraph:
    """The graph without loops and copies; of a user's own file they are counted."""
    if entry.own:
        loops = int((src == dst).sum())
        again = len(src) - len(np.unique(src.astype(np.int64) * n + dst))
        if loops:
            notes.note(str(path), f"{loops} self-loop{'s' * (loops > 1)} dropped")
        if again:
            notes.note(str(path), f"{again} repeated edge{'s' * (again > 1)} dropped")
    return graph_of(src, dst, n, directed=entry.directed)


def graphdata(entry: Entry, *, file: str) -> Loaded:
    """``adj_matrix`` and ``node_attr`` as pickled CSR matrices, ``node_label``; directed citations are symmetrised."""
    path = entry.path(file)
    members = load_npz(path)
    (adjacency,) = _members(path, ("adj_matrix",))
    with reading(path, "a GraphData archive"):
        shape = getattr(adjacency, "shape", ())
        square = hasattr(adjacency, "tocoo") and len(shape) == 2 and shape[0] == shape[1]
        check(square, path, f"adj_matrix of shape {shape}", "a square one")
    attributes, metadata = members.get("node_attr"), members.get("metadata")
    return _matrix_graph(entry, path, adjacency, attributes, members.get("node_label"), metadata)


def gnn_benchmark(entry: Entry, *, file: str) -> Loaded:
    """The parts of CSR matrices, ``adj_*`` and ``attr_*``, and ``labels`` (Shchur et al., 2018)."""
    path = entry.path(file)
    members = load_npz(path)

    def matrix(stem: str):
        parts = [np.asarray(members[f"{stem}_{part}"]) for part in ("data", "indices", "indptr", "shape")]
        data, indices, indptr, shape = parts
        whole = data.ndim == indices.ndim == indptr.ndim == 1 and shape.shape == (2,) and data.dtype.kind in "biuf"
        whole = whole and all(part.dtype.kind in "iu" for part in parts[1:]) and len(indptr) == shape[0] + 1
        check(whole, path, f"{stem}_indptr of shape {indptr.shape}", "the parts of a CSR matrix")
        found = csr_matrix((data, indices, indptr), shape=tuple(int(extent) for extent in shape))
        found.check_format(full_check=True)
        return found

    with reading(path, "an archive of gnn-benchmark"):
        adjacency = matrix("adj")
        check(adjacency.shape[0] == adjacency.shape[1], path, f"adj of shape {adjacency.shape}", "a square one")
        features = matrix("attr") if "attr_data" in members else members.get("attr_matrix")
    return _matrix_graph(
        entry, path, adjacency, features, members.get("labels"), {"class_names": members.get("class_names")}
    )


def _matrix_graph(entry: Entry, path: Any, adjacency, features, labels, metadata) -> Loaded:
    with reading(path, "a graph in an npz archive"):
        n = adjacency.shape[0]
        check(
            adjacency.nnz and n <= 100 * adjacency.nnz + 1000,
            path,
            f"{n} nodes with {adjacency.nnz} entries",
            "a graph",
        )
        coo = adjacency.tocoo()
        src, dst = coo.row.astype(np.int64), coo.col.astype(np.int64)
        if entry.own:
            _report_matrix(entry, path, src, dst, coo.data, n)
        graph = _simple(entry, path, src, dst, n)
        names = None
        if labels is not None:
            # Labels may start at 1 (blogcatalog_attr): classes are numbered from 0 in ascending order.
            check(
                labels.shape == (n,) and labels.dtype.kind in "iu",
                path,
                f"labels of shape {labels.shape}, type {labels.dtype}",
                f"({n},) class numbers",
            )
            known, numbers = np.unique(labels, return_inverse=True)
            set_labels(graph, numbers, path)
            names = _class_names(metadata, known)
        if features is not None:
            set_features(graph, features, path)
    return Loaded(GraphDataset(entry.name, graph, directed=entry.directed, class_names=names))


def _report_matrix(entry: Entry, path: Any, src, dst, values, n: int) -> None:
    if len(values) and (values != 1).any():
        notes.note(
            str(path), f"{int((values != 1).sum())} of {len(values)} entries are not 1; read as edges without weight"
        )
    here, there = src * n + dst, dst * n + src
    alone = int((~np.isin(here, there)).sum())
    if alone and not entry.directed:
        notes.note(
            str(path), f"{alone} of {len(here)} edges have no reverse; read as undirected, --directed keeps directions"
        )


def _class_names(metadata, known) -> list[str]:
    names = metadata.get("class_names") if isinstance(metadata, dict) else None
    values = [names[k] for k in known] if names is not None and min(known) >= 0 and len(names) > max(known) else known
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values]
