"""Graphs in MATLAB v5 files: multi-label node-embedding sets, SEAL's link sets and the Facebook100 networks."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_matrix

from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.readers.build import check, graph_of, reading, set_features, set_labels
from graphkit.datasets.readers.mat5 import MatFile
from graphkit.datasets.splits.loaded import Loaded
from graphkit.io.formats import read_blob


def load_variables(path, names) -> dict:
    """Read named numeric variables of a v5 file; raises :class:`DataError` where one is missing or damaged."""
    with reading(path, "a MATLAB v5 file"):
        file = MatFile(read_blob(path))
        found = {variable.name: variable for variable in file.variables}
        for name in names:
            if name not in found:
                raise DataError(f"{path}: found the variables {', '.join(found) or 'none'}, expected {name}")
        return {name: file.read(found[name]) for name in names}


def adjacency(path, matrix):
    """Return (graph, n) of a square sparse matrix: undirected, unweighted, without loops."""
    with reading(path, "an adjacency matrix"):
        matrix = coo_matrix(matrix)
        check(matrix.shape[0] == matrix.shape[1], path, f"an adjacency matrix of shape {matrix.shape}", "a square one")
        check(matrix.nnz > 0, path, "no edges", "an adjacency matrix")
        n = matrix.shape[0]
        # Isolated nodes are rare in these files; a damaged dimension makes almost all nodes isolated.
        check(n <= 100 * matrix.nnz + 1000, path, f"{n} nodes with {matrix.nnz} entries", "a graph")
        return graph_of(matrix.row, matrix.col, n)


def blogcatalog(entry: Entry, *, file: str) -> Loaded:
    """``network`` (n, n) and ``group`` (n, L): an undirected graph with several labels a node."""
    path = entry.path(file)
    variables = load_variables(path, ("network", "group"))
    graph = adjacency(path, variables["network"])
    with reading(path, "labels"):
        group = variables["group"]
        check(
            group.shape[0] == graph.num_nodes(), path, f"group with {group.shape[0]} rows", f"{graph.num_nodes()} rows"
        )
        labels = group.toarray() if hasattr(group, "toarray") else np.asarray(group)
        set_labels(graph, (labels != 0).astype(np.float32), path)
    return Loaded(GraphDataset(entry.name, graph))


def seal(entry: Entry, *, file: str) -> Loaded:
    """``net`` (n, n), used as 0/1: an undirected graph without features or labels."""
    path = entry.path(file)
    return Loaded(GraphDataset(entry.name, adjacency(path, load_variables(path, ("net",))["net"])))


FACEBOOK_COLUMNS = ("status", "gender", "major", "minor", "dorm", "year", "high_school")


def facebook100(entry: Entry, *, file: str) -> Loaded:
    """``A`` (n, n) and ``local_info`` (n, 7); label: gender; features: the other columns one-hot (LINKX, Lim 2021).

    The seven columns stay in ``ndata`` under their names as numbers, 0 where missing, for clusters by year or dorm.
    """
    path = entry.path(file)
    variables = load_variables(path, ("A", "local_info"))
    graph = adjacency(path, variables["A"])
    with reading(path, "local_info"):
        info = np.asarray(variables["local_info"]).astype(np.int64)
        check(info.shape == (graph.num_nodes(), 7), path, f"local_info {info.shape}", f"({graph.num_nodes()}, 7)")
        check(info.min() >= 0 and info.max() < 2**16, path, "a value of local_info out of range", "0..65535")
        gender = info[:, 1]
        check(gender.max() <= 2, path, f"gender {gender.max()}", "0 (missing), 1 or 2")
        set_labels(graph, gender - 1, path)
        blocks = []
        for column in (0, 2, 3, 4, 5, 6):
            known = np.unique(info[:, column])
            blocks.append((info[:, [column]] == known[known > 0]).astype(np.float32))
        set_features(graph, np.concatenate(blocks, 1), path)
    for name, column in zip(FACEBOOK_COLUMNS, info.T):
        graph.ndata[name] = torch.from_numpy(column.copy())
    return Loaded(GraphDataset(entry.name, graph))
