"""Graphs in plain text: communities, airports, gene networks and the local-clustering sets."""

from __future__ import annotations

import networkx as nx
import numpy as np

from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.readers.build import (
    check,
    compact,
    graph_of,
    integer_table,
    multi_hot,
    plain_ids,
    reading,
    set_labels,
)
from graphkit.datasets.splits.loaded import Loaded

LEAST_GENES = 50


def communities(entry: Entry, *, ungraph: str, cmty: str) -> Loaded:
    """``.ungraph`` (u v a line) and ``.cmty`` (line k: the nodes of label k): several labels a node."""
    edges = integer_table(entry.path(ungraph), 2)
    path = entry.path(cmty)
    rows = _integer_lines(path)
    members = np.concatenate(rows)
    ids, (pairs, nodes) = compact(edges, members)
    columns = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    graph = graph_of(pairs[:, 0], pairs[:, 1], len(ids))
    set_labels(graph, multi_hot(nodes, columns, (len(ids), len(rows))), path)
    return Loaded(GraphDataset(entry.name, graph, node_ids=plain_ids(ids)))


def _integer_lines(path) -> list:
    with reading(path, "lines of node numbers"), open(path, encoding="ascii") as file:
        rows = []
        for number, line in enumerate(file, 1):
            try:
                rows.append(np.array(line.split(), dtype=np.int64))
            except (ValueError, OverflowError):
                raise DataError(f"{path}, line {number}: found {line[:60]!r}, expected node numbers") from None
        check(sum(map(len, rows)), path, "no node numbers", "lines of node numbers")
        return rows


def airports(entry: Entry, *, edges: str, labels: str) -> Loaded:
    """Edge list and a table ``node label``: activity quartiles as classes (Ribeiro et al., 2017)."""
    path = entry.path(labels)
    table = integer_table(path, 2, skip=1)
    ids, (pairs, nodes) = compact(integer_table(entry.path(edges), 2), table[:, 0])
    values = np.full(len(ids), -1, dtype=np.int64)
    values[nodes] = table[:, 1]
    graph = graph_of(pairs[:, 0], pairs[:, 1], len(ids))
    set_labels(graph, values, path)
    return Loaded(GraphDataset(entry.name, graph, node_ids=plain_ids(ids)))


def edge_list(entry: Entry, *, file: str, skip: int = 0) -> Loaded:
    """An undirected edge list ``u v ...``; both directions of an edge may be there, further columns are not read."""
    ids, (pairs,) = compact(integer_table(entry.path(file), 2, skip=skip))
    return Loaded(GraphDataset(entry.name, graph_of(pairs[:, 0], pairs[:, 1], len(ids)), node_ids=plain_ids(ids)))


def gene_pairs(entry: Entry, *, file: str) -> Loaded:
    """An undirected edge list of Entrez gene ids; lines with ``-``, a gene without an id, are dropped."""
    path = entry.path(file)
    with reading(path, "lines of two gene ids"), open(path, encoding="ascii") as lines:
        rows = [line.split()[:2] for line in lines]
        check(rows and min(map(len, rows)) == 2, path, "a line without two columns", "lines of two gene ids")
        edges = np.array([row for row in rows if "-" not in row], dtype=np.int64)
    ids, (pairs,) = compact(edges)
    return Loaded(GraphDataset(entry.name, graph_of(pairs[:, 0], pairs[:, 1], len(ids)), node_ids=ids))


def gene_network(entry: Entry, *, edges: str, sets: str) -> Loaded:
    """A gene network (Entrez ids) with gene sets as labels: those with at least 50 genes in the network (OBNB)."""
    ids, (pairs,) = compact(integer_table(entry.path(edges), 2))
    path = entry.path(sets)
    rows, columns, names = [], [], []
    with reading(path, "gene sets"), open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            parts = line.rstrip("\n").split("\t")
            check(len(parts) > 2, f"{path}, line {number}", f"{len(parts)} columns", "id, description, genes")
            genes = np.unique(np.array([gene for gene in parts[2:] if gene.strip()], dtype=np.int64))
            inside = np.flatnonzero(np.isin(ids, genes))
            if len(inside) >= LEAST_GENES:
                rows.append(inside)
                columns.append(np.full(len(inside), len(names)))
                names.append(parts[0])
        check(names, path, f"no set with {LEAST_GENES} genes of the network", "gene sets")
    graph = graph_of(pairs[:, 0], pairs[:, 1], len(ids))
    set_labels(graph, multi_hot(np.concatenate(rows), np.concatenate(columns), (len(ids), len(names))), path)
    return Loaded(GraphDataset(entry.name, graph, node_ids=ids, class_names=names))


def complexes(entry: Entry, *, graphml: str, truth: str) -> Loaded:
    """A weighted protein network in GraphML with overlapping complexes as labels (lgc-ppi-mips)."""
    path = entry.path(graphml)
    with reading(path, "GraphML"):
        source = nx.read_graphml(path)
        names = [str(data.get("label", node)) for node, data in source.nodes(data=True)]
        number = {node: k for k, node in enumerate(source)}
        ends = np.array([(number[u], number[v]) for u, v in source.edges()], dtype=np.int64).reshape(-1, 2)
        weight = np.array([float(data.get("weight", 1.0)) for _, _, data in source.edges(data=True)])
        check(len(ends), path, "no edges", "a graph")
        check(np.isfinite(weight).all(), path, "a weight that is NaN or infinite", "numbers")
        graph = graph_of(ends[:, 0], ends[:, 1], len(names), weight=weight)
    path = entry.path(truth)
    with reading(path, "lines of gene and complex"), open(path, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file if line.strip()]
        check(
            rows and all(len(row) == 2 for row in rows), path, "a line that has not two columns", "gene, complex:score"
        )
        place = {name: k for k, name in enumerate(names)}
        known = [(place[gene], group.rpartition(":")[0]) for gene, group in rows if gene in place]
        check(known, path, "no gene of the network", "gene, complex:score")
        classes = sorted({group for _, group in known})
        column = {group: k for k, group in enumerate(classes)}
        hot = multi_hot([k for k, _ in known], [column[group] for _, group in known], (len(names), len(classes)))
    set_labels(graph, hot, path)
    return Loaded(GraphDataset(entry.name, graph, node_ids=np.array(names), class_names=classes))
