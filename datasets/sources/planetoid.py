"""Cora, Citeseer and Pubmed in the files of Planetoid (Yang et al., 2016)."""

from __future__ import annotations

import numpy as np

from graphkit.core.reading import note
from graphkit.datasets.base import GraphDataset, NodeSplit
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.readers.build import check, check_ids, graph_of, integer_table, reading, set_features, set_labels
from graphkit.datasets.readers.unpickle import load_npz, load_pickle
from graphkit.datasets.splits.loaded import Loaded
from graphkit.datasets.splits.nodes import masks_split
from graphkit.io import budget

VALID_NODES = 500


def load(entry: Entry, *, name: str, folder: str) -> Loaded:
    """Read ``ind.<name>.*``: undirected graph without loops, bag-of-words features as they are stored, one label.

    Nodes of the test range that the files have no row for (15 of Citeseer) get zero features and no label. Where
    ``allx`` is absent the graph has no features.
    """
    path = entry.path(f"{folder}/ind.{name}.graph")
    lists = load_pickle(path)
    with reading(path, "a dictionary of neighbour lists"):
        n = len(lists)
        nodes = np.fromiter(lists, dtype=np.int64, count=n)
        sizes = [len(lists[node]) for node in lists]
        src = np.repeat(nodes, sizes)
        dst = np.array([other for node in lists for other in lists[node]], dtype=np.int64)
    check(n, path, "no nodes", "a dictionary of neighbour lists")
    check_ids(nodes, n, path)
    check_ids(dst, n, path)
    graph = graph_of(src, dst, n)
    test_path = entry.path(f"{folder}/ind.{name}.test.index")
    test = integer_table(test_path, 1)[:, 0]
    check_ids(test, n, test_path)
    first_test = int(test.min())
    labels = _labels(entry, f"{folder}/ind.{name}", test, first_test, n)
    set_labels(graph, labels, path)
    _set_features(entry, graph, f"{folder}/ind.{name}", test, first_test)
    num_train = len(_matrix(entry, f"{folder}/ind.{name}.y"))
    valid = np.arange(num_train, min(num_train + VALID_NODES, first_test))
    public = NodeSplit(np.arange(num_train), valid, np.sort(test))
    given = {"public": public}
    if entry.optional(f"geom-gcn-splits/{name}_split_0.6_0.2_0.npz"):
        given["geom-gcn"] = [lambda k=k: _geom_gcn(entry, name, k, n) for k in range(10)]
    return Loaded(GraphDataset(entry.name, graph), given)


def _matrix(entry: Entry, relative: str):
    path = entry.path(relative)
    value = load_pickle(path)
    shape = getattr(value, "shape", ())
    check(len(shape) == 2, path, f"{type(value).__name__} of shape {shape}", "a matrix")
    return value


def _labels(entry, stem, test, first_test, n):
    ally, ty = _matrix(entry, f"{stem}.ally"), _matrix(entry, f"{stem}.ty")
    path = entry.path(f"{stem}.ally")
    with reading(path, "one-hot labels"):
        check(len(ally) == first_test, path, f"{len(ally)} rows", f"{first_test}, the first node of test.index")
        check(len(ty) == len(test) and ty.shape[1] == ally.shape[1], path, f"{ty.shape} in ty", f"{len(test)} rows")
        budget.take(n * ally.shape[1] * 4, path, "labels")
        one_hot = np.zeros((n, ally.shape[1]), dtype=np.int32)
        one_hot[:first_test] = ally
        one_hot[test] = ty
        return np.where(one_hot.any(1), one_hot.argmax(1), -1)


def _set_features(entry, graph, stem, test, first_test) -> None:
    allx_path = entry.optional(f"{stem}.allx")
    if allx_path is None:
        note(entry.name, f"{stem}.allx is absent: read without features")
        return
    allx, tx = _matrix(entry, f"{stem}.allx"), _matrix(entry, f"{stem}.tx")
    with reading(allx_path, "features"):
        check(allx.shape[0] == first_test, allx_path, f"{allx.shape[0]} rows", f"{first_test} rows")
        shapes = f"{tx.shape} in tx, {allx.shape} in allx"
        check(tx.shape[0] == len(test) and tx.shape[1] == allx.shape[1], allx_path, shapes, f"{len(test)} rows in tx")
        budget.take(graph.num_nodes() * allx.shape[1] * 4, allx_path, "features")
        features = np.zeros((graph.num_nodes(), allx.shape[1]), dtype=np.float32)
        features[:first_test] = allx.toarray()
        features[test] = tx.toarray()
    set_features(graph, features, allx_path)


def _geom_gcn(entry: Entry, name: str, k: int, n: int) -> NodeSplit:
    path = entry.path(f"geom-gcn-splits/{name}_split_0.6_0.2_{k}.npz")
    members = load_npz(path)
    with reading(path, "a split"):
        masks = [members[f"{part}_mask"] for part in ("train", "val", "test")]
        for mask in masks:
            check(mask.shape == (n,), path, f"a mask of shape {mask.shape}", f"({n},)")
    return masks_split(*masks)
