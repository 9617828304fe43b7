"""Splits that a user gives: nodes (id, part) or links (src, dst, part[, label]).

``part`` is train, valid (or val, validation, dev) or test. In a link split ``label`` 1 is an edge and 0 a negative pair.
Held-out edges leave the graph in both directions; training edges are those listed, else all that are left. Parts
without negatives get as many uniform non-edges as they have edges, drawn with seed 0: the split is fixed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphkit.datasets.attach import ID_NAMES, NodeIndex
from graphkit.datasets.base import EdgeSet, LinkSplit, NodeSplit
from graphkit.datasets.files import Blob, format_of, one_line
from graphkit.datasets.tables import KNOWN as EDGE_NAMES
from graphkit.datasets.text import ConversionError, open_table
from graphkit.lazy import np

if TYPE_CHECKING:
    from graphkit.datasets.base import GraphDataset

PARTS = {"train": 0, "valid": 1, "val": 1, "validation": 1, "dev": 1, "test": 2, "training": 0, "testing": 2}
KNOWN = frozenset((*ID_NAMES, *EDGE_NAMES, "part", "split", "set", "label"))


def read(dataset: GraphDataset, blob: Blob, task: str | None):
    """A NodeSplit, or (data set without the held-out edges, LinkSplit) for ``task="link"``."""
    if format_of(blob) != "edge list":
        raise blob.error(f"found {format_of(blob)}, expected a csv or tsv of splits")
    with one_line(blob, "a table of splits"):
        table = open_table(blob, None, None, KNOWN)
        if task == "link":
            return _links(dataset, table)
        return _nodes(dataset, table)


def link_metric(links: LinkSplit) -> str:
    """Hits@100, which means something only with more than 100 negatives; the area under the curve elsewhere."""
    return "hits@100" if min(len(links.valid.neg), len(links.test.neg)) > 100 else "auc"


def _nodes(dataset: GraphDataset, table) -> NodeSplit:
    if table.width != 2:
        raise table.blob.error(f"found {table.width} columns, expected 2 (id and part) for a node split")
    nodes, parts = _ids(dataset, table, 0), _parts(table, 1)
    order = np.argsort(nodes, kind="stable")
    twice = np.flatnonzero(np.diff(nodes[order]) == 0)
    if len(twice):
        row = int(order[twice + 1].min())
        raise table.error(row, f"node {dataset.ids()[nodes[row]]!s} is listed twice, expected one part a node")
    for name, k in (("train", 0), ("valid", 1), ("test", 2)):
        if not (parts == k).any():
            raise table.blob.error(f"no node has the part {name}, expected train, valid and test")
    return NodeSplit(*(np.sort(nodes[parts == k]) for k in range(3)))


def _links(dataset: GraphDataset, table):
    if table.width not in (3, 4):
        raise table.blob.error(f"found {table.width} columns, expected 3 or 4 (src, dst, part[, label]) for a link split")
    pairs = np.stack([_ids(dataset, table, 0), _ids(dataset, table, 1)], axis=1)
    parts, labels = _parts(table, 2), _labels(table)
    loops = pairs[:, 0] == pairs[:, 1]
    if loops.any():
        raise table.error(int(np.argmax(loops)), "a link from a node to itself, expected two different nodes")
    if not dataset.directed:
        pairs = np.sort(pairs, axis=1)
    code = pairs[:, 0] * dataset.num_nodes + pairs[:, 1]
    _refuse_overlap(table, code)
    for name, k in (("valid", 1), ("test", 2)):
        if not ((parts == k) & labels).any():
            raise table.blob.error(f"no edge has the part {name}, expected valid and test edges")
    return _split(dataset, table, pairs, code, parts, labels)


def _refuse_overlap(table, code) -> None:
    """A pair in two parts would be trained on and tested on."""
    order = np.argsort(code, kind="stable")
    twice = np.flatnonzero(np.diff(code[order]) == 0)
    if len(twice):
        raise table.error(int(order[twice + 1].min()), "this pair is listed before, expected every pair in one part only")


def _split(dataset, table, pairs, code, parts, labels):
    from graphkit.datasets import splits

    edges, index = splits.unique_pairs(dataset.graph, dataset.directed)
    weight = dataset.graph.edata["weight"].numpy()[index] if dataset.weighted else None
    edge_code = edges[:, 0] * dataset.num_nodes + edges[:, 1]
    listed = labels & (parts == 0)
    absent = listed & ~np.isin(code, edge_code)
    if absent.any():
        raise table.error(int(np.argmax(absent)), "a training edge that is not in the graph, expected one of its edges")
    kept = ~np.isin(edge_code, code[labels & (parts > 0)])
    graph = splits.train_graph(dataset, edges[kept], None if weight is None else weight[kept])
    if not kept.any():
        raise table.blob.error("holds out every edge, expected some to train on")
    rng, everything = np.random.default_rng(0), np.unique(np.concatenate((edge_code, code[labels])))
    known = np.stack((everything // dataset.num_nodes, everything % dataset.num_nodes), axis=1)
    sets = []
    for k in (1, 2):
        pos, neg = pairs[labels & (parts == k)], pairs[~labels & (parts == k)]
        if not len(neg):
            neg = splits.non_edges(known, dataset.num_nodes, len(pos), rng, dataset.directed, dataset.name)
        sets.append(EdgeSet(pos=pos, neg=neg))
    chosen = np.isin(edge_code, code[listed]) if listed.any() else kept
    negatives = pairs[~labels & (parts == 0)]
    train = EdgeSet(
        pos=edges[chosen],
        neg=negatives if len(negatives) else None,
        weight=None if weight is None else weight[chosen],
    )
    return dataset.renamed(graph=graph), LinkSplit(train, *sets)


def _ids(dataset, table, number):
    import pyarrow

    index = NodeIndex(dataset)
    try:
        (column,) = table.read({number: pyarrow.string() if index.strings else pyarrow.int64()})
    except ConversionError:
        line, cell = table.find_cell(number, lambda text: not text.strip().isdigit())
        raise table.blob.error(f"id {cell!r}, expected integers as in the graph", line) from None
    ids = np.array([text.strip() for text in column.to_pylist()], dtype=object) if index.strings else column.to_numpy()
    place = index.find(ids)
    if (place < 0).any():
        row = int(np.argmax(place < 0))
        among = f"0..{index.n - 1}" if index.ids is None else "an id of the graph"
        raise table.error(row, f"unknown node id {ids[row]!s}, expected {among}")
    return place


def _parts(table, number):
    import pyarrow

    words = [text.strip().lower() for text in table.read({number: pyarrow.string()})[0].to_pylist()]
    parts = np.array([PARTS.get(word, -1) for word in words])
    if (parts < 0).any():
        row = int(np.argmax(parts < 0))
        raise table.error(row, f"part {words[row]!r}, expected train, valid or test")
    return parts


def _labels(table):
    import pyarrow

    if table.width == 3:
        return np.ones(len(table.read({0: pyarrow.string()})[0]), dtype=bool)
    words = [text.strip() for text in table.read({3: pyarrow.string()})[0].to_pylist()]
    wrong = [row for row, word in enumerate(words) if word not in ("0", "1")]
    if wrong:
        raise table.error(wrong[0], f"label {words[wrong[0]]!r}, expected 1 for an edge or 0 for a negative pair")
    return np.array(words) == "1"
