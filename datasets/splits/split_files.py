"""Splits that a user gives: nodes (id, part) or links (src, dst, part[, label]).

``part`` is train, valid (or val, validation, dev) or test. In a link split ``label`` 1 is an edge and 0 a negative
pair; so are the pairs of the parts valid_neg and test_neg, as ``graphkit data split --negatives`` writes them.
Held-out edges leave the graph in both directions; training edges are those listed, else all that are left. Parts
without negatives get as many uniform non-edges as they have edges, drawn with seed 0: the split is fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas

from graphkit.core import reading
from graphkit.datasets.base import EdgeSet, GraphDataset, LinkSplit, NodeSplit
from graphkit.datasets.readers.assemble import EdgeTable
from graphkit.datasets.readers.event_columns import SOURCES, TARGETS
from graphkit.datasets.readers.node_files import open_rows
from graphkit.datasets.readers.node_ids import ID_NAMES, NodeIndex, find_ids, value_columns
from graphkit.datasets.readers.node_tables import NodeRows, TextRows
from graphkit.datasets.readers.tables import KNOWN as EDGE_NAMES
from graphkit.datasets.readers.text import counted
from graphkit.datasets.splits import links
from graphkit.io.blob import Blob, one_line

PARTS = {"train": 0, "valid": 1, "val": 1, "validation": 1, "dev": 1, "test": 2, "training": 0, "testing": 2}
NEGATIVES = {f"{word}_neg": part for word, part in PARTS.items()}
PART_NAMES = frozenset(("part", "split", "set", "fold", "partition", "subset", "mask"))
KNOWN = frozenset((*ID_NAMES, *EDGE_NAMES, *PART_NAMES, "label"))


@dataclass
class SplitRows:
    """A split file whose ids are not numbered yet, as other files may add nodes.

    ids: one array of (rows,) ids for nodes, two for the ends of links. parts: (rows,) 0 train, 1 valid, 2 test. edges:
        (rows,) bool,
    False for a negative pair.
    """

    rows: NodeRows
    ids: list[np.ndarray]
    parts: np.ndarray
    edges: np.ndarray

    def places(self, dataset: GraphDataset) -> list[np.ndarray]:
        """The node numbers of ``ids``."""
        index = NodeIndex(dataset)
        return [index.find(ids) for ids in self.ids]


def open_split(table: EdgeTable, blob: Blob, task: str | None, id_column: tuple[str, ...] = ()) -> SplitRows:
    """Read the rows of a split: of links for ``task="link"``, else of nodes. Raises :class:`DataError` that names a
    wrong line.
    """
    rows = open_rows(blob, KNOWN)
    if not rows.sample():
        raise blob.error("found a matrix of numbers, expected a table of splits")
    index = NodeIndex(table)
    with one_line(blob, "a table of splits"):
        if task != "link":
            number = find_ids(rows, index, id_column, PART_NAMES, one_each=False)
            columns = [k for k in value_columns(rows, number) if k != number]
            if number is None or not columns:
                raise blob.error(
                    f"found {rows.width} columns, expected 2 (id and part) for a node split, or --id-column"
                )
            column = _part_column(rows, columns)
            ids = [index.typed(rows, rows.cells(number), number)]
            return SplitRows(rows, ids, _parts(rows, column, PARTS), np.ones(len(rows), dtype=bool))
        if rows.width not in (3, 4):
            raise blob.error(f"found {rows.width} columns, expected 3 or 4 (src, dst, part[, label]) for a link split")
        _find_header(rows)
        source, target, column, *label = _link_columns(rows)
        ids = [index.typed(rows, rows.cells(k), k) for k in (source, target)]
        parts = _parts(rows, column, {**PARTS, **NEGATIVES})
        edges = _labels(rows, label[0]) if label else ~np.isin(_words(rows, column), list(NEGATIVES))
        return SplitRows(rows, ids, parts, edges)


def _part_column(rows: NodeRows, columns: list[int]) -> int:
    """The column of the parts: the one whose header says so, else the one that holds their words."""
    names = rows.lower_names()
    if len(columns) == 1:
        return columns[0]
    called = [k for k in columns if k < len(names) and names[k] in PART_NAMES]
    found = called or [k for k in columns if set(_words(rows, k).tolist()) <= set(PARTS)]
    if len(found) != 1:
        raise rows.blob.error(f"found {rows.width} columns, expected 2 (id and part) for a node split")
    if not called:
        reading.note(rows.blob.name, f"{rows.title(found[0])} is read as the parts of the split")
    return found[0]


def _find_header(rows: NodeRows) -> None:
    """Read the first row as the header where its third cell alone is no part of a split."""
    known = {**PARTS, **NEGATIVES}
    if not isinstance(rows, TextRows) or rows.names is not None or len(rows) < 2:
        return
    words = _words(rows, 2)
    if words[0] not in known and all(word in known for word in words[1:].tolist()):
        rows.take_header()
        if words[0] not in PART_NAMES:
            reading.note(rows.blob.name, f"its first row is read as a header: {words[0]!r} is no part of a split")


def _link_columns(rows: NodeRows) -> list[int]:
    """Source, target, part and, where there is one, label: as the header calls them, else in this order."""
    names = rows.lower_names()
    kinds = (SOURCES, TARGETS, PART_NAMES, ("label",))[: rows.width]
    called = [next((names.index(word) for word in words if word in names), None) for words in kinds]
    return called if None not in called and len(set(called)) == len(called) else list(range(rows.width))


def link_metric(links: LinkSplit) -> str:
    """Hits@100, which means something only with more than 100 negatives; the area under the curve elsewhere."""
    return "hits@100" if min(len(links.valid.neg), len(links.test.neg)) > 100 else "auc"


def nodes_of(dataset: GraphDataset, split: SplitRows) -> NodeSplit:
    """The split of the nodes of a data set."""
    (nodes,), parts, rows = split.places(dataset), split.parts, split.rows
    order = np.argsort(nodes, kind="stable")
    again = order[1:][np.diff(nodes[order]) == 0]
    before = order[:-1][np.diff(nodes[order]) == 0]
    other = again[parts[again] != parts[before]]
    if len(other):
        row = int(other.min())
        raise rows.error(row, f"node {dataset.ids()[nodes[row]]!s} is listed twice, expected one part a node")
    if len(again):
        reading.note(rows.blob.name, f"{counted(len(again), 'row')} that repeat another one: dropped")
    for name, k in (("train", 0), ("valid", 1), ("test", 2)):
        if not (parts == k).any():
            raise rows.blob.error(f"no node has the part {name}, expected train, valid and test")
    return NodeSplit(*(np.unique(nodes[parts == k]) for k in range(3)))


def links_of(dataset: GraphDataset, split: SplitRows) -> tuple[GraphDataset, LinkSplit]:
    """The data set without the held-out edges, and the split."""
    rows, parts, edges = split.rows, split.parts, split.edges
    pairs = np.stack(split.places(dataset), axis=1)
    loops = pairs[:, 0] == pairs[:, 1]
    if loops.any():
        raise rows.error(int(np.argmax(loops)), "a link from a node to itself, expected two different nodes")
    if not dataset.directed:
        pairs = np.sort(pairs, axis=1)
    code = pairs[:, 0] * dataset.num_nodes + pairs[:, 1]
    _refuse_overlap(rows, code)
    for name, k in (("valid", 1), ("test", 2)):
        if not ((parts == k) & edges).any():
            raise rows.blob.error(f"no edge has the part {name}, expected valid and test edges")
    return _split(dataset, rows, pairs, code, parts, edges)


def _refuse_overlap(table, code) -> None:
    """A pair in two parts would be trained on and tested on."""
    order = np.argsort(code, kind="stable")
    twice = np.flatnonzero(np.diff(code[order]) == 0)
    if len(twice):
        raise table.error(
            int(order[twice + 1].min()), "this pair is listed before, expected every pair in one part only"
        )


def _split(dataset, table, pairs, code, parts, labels):
    edges, index = links.unique_pairs(dataset.graph, dataset.directed)
    weight = dataset.graph.edata["weight"].numpy()[index] if dataset.weighted else None
    edge_code = edges[:, 0] * dataset.num_nodes + edges[:, 1]
    listed = labels & (parts == 0)
    absent = listed & ~np.isin(code, edge_code)
    if absent.any():
        raise table.error(int(np.argmax(absent)), "a training edge that is not in the graph, expected one of its edges")
    kept = ~np.isin(edge_code, code[labels & (parts > 0)])
    graph = links.train_graph(dataset, edges[kept], None if weight is None else weight[kept])
    if not kept.any():
        raise table.blob.error("holds out every edge, expected some to train on")
    rng, everything = np.random.default_rng(0), np.unique(np.concatenate((edge_code, code[labels])))
    known = np.stack((everything // dataset.num_nodes, everything % dataset.num_nodes), axis=1)
    sets = []
    for k in (1, 2):
        pos, neg = pairs[labels & (parts == k)], pairs[~labels & (parts == k)]
        if not len(neg):
            neg = links.non_edges(known, dataset.num_nodes, len(pos), rng, dataset.directed, dataset.name)
        sets.append(EdgeSet(pos=pos, neg=neg))
    chosen = np.isin(edge_code, code[listed]) if listed.any() else kept
    negatives = pairs[~labels & (parts == 0)]
    train = EdgeSet(
        pos=edges[chosen],
        neg=negatives if len(negatives) else None,
        weight=None if weight is None else weight[chosen],
    )
    return dataset.renamed(graph=graph), LinkSplit(train, *sets)


def _words(rows: NodeRows, number: int) -> np.ndarray:
    """(rows,) the cells of a column in small letters."""
    codes, values = pandas.factorize(rows.cells(number))
    return np.array([str(value).strip().lower() for value in values], dtype=object)[codes]


def _parts(rows: NodeRows, number: int, known: dict[str, int]) -> np.ndarray:
    words = _words(rows, number)
    parts = np.array([known.get(word, -1) for word in words.tolist()])
    if (parts < 0).any():
        row = int(np.argmax(parts < 0))
        raise rows.error(row, f"part {words[row]!r}, expected train, valid or test")
    return parts


def _labels(rows: NodeRows, number: int) -> np.ndarray:
    words = _words(rows, number)
    wrong = np.flatnonzero(~np.isin(words, ("0", "1")))
    if len(wrong):
        raise rows.error(int(wrong[0]), f"label {words[wrong[0]]!r}, expected 1 for an edge or 0 for a negative pair")
    return words == "1"
