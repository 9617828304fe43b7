"""What a user knows about the nodes: features, labels and splits, from files beside the graph.

Features: ``.npy``, ``.npz`` (one 2-d array, or ``features``, or a SciPy sparse matrix), ``.mat`` (``features``,
or one matrix), csv or tsv, Parquet.
Labels: the same, one value a node, or several columns of 0 and 1, or several rows a node (multi-label); in
``.mat`` the variable ``group``, ``labels`` or ``y``, or one matrix.
A csv or Parquet whose first column is called ``id`` (or node, node_id ...) goes by id; anything else is in node order:
row k belongs to the k-th node, and to the node with id k where ids are integers below the number of rows (the rows of
ids without an edge are isolated nodes).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from graphkit.datasets.assemble import EdgeTable, Nodes
from graphkit.datasets.files import SUFFIXES, Blob, ReadOptions, format_of, one_line, read_blob
from graphkit.datasets.text import ConversionError, is_number, open_table
from graphkit.errors import DataError
from graphkit.lazy import np

if TYPE_CHECKING:
    import numpy

    from graphkit.datasets.base import GraphDataset

log = logging.getLogger("graphkit")

ID_NAMES = frozenset(("id", "node", "node_id", "nodeid", "name", "vertex", "user", "item"))
LABEL_NAMES = frozenset(("label", "labels", "class", "y", "target", "group"))
KNOWN = ID_NAMES | LABEL_NAMES
UNLABELLED = ("", "-1", "?", "nan", "NaN", "None", "null")
ARRAY_SUFFIXES = (".npy", ".npz")
MAT_FEATURES = ("features", "feat", "x", "X")
MAT_LABELS = ("group", "labels", "label", "y")


def read_nodes(table: EdgeTable, options: ReadOptions) -> Nodes:
    """Read features and labels and align them with the nodes; may add isolated nodes to ``table``."""
    nodes = Nodes(
        feat=table.ndata.get("feat"),
        label=table.ndata.get("label"),
        class_names=table.ndata.get("class_names"),
        masks={key: value for key, value in table.ndata.items() if key.endswith("_mask")},
    )
    if options.features is not None:
        nodes.feat = _read_features(table, read_blob(options.features, "node features"))
    if options.labels is not None:
        nodes.label, nodes.class_names = _read_labels(table, read_blob(options.labels, "node labels"))
    for what, given in (("features", nodes.feat), ("labels", nodes.label)):
        if given is not None and len(given) != table.num_nodes:
            raise DataError(f"{table.name}: holds {what} of {len(given)} nodes, but there are {table.num_nodes} with the other files")
    return nodes


class NodeIndex:
    """Finds node numbers by the ids that a user writes."""

    def __init__(self, table_or_dataset):
        self.ids, self.n = table_or_dataset.node_ids, table_or_dataset.num_nodes
        self.strings = self.ids is not None and self.ids.dtype == object
        if self.strings:
            import pandas

            self.index = pandas.Index(self.ids)

    def find(self, ids) -> numpy.ndarray:
        """(k,) node numbers of ids given as int64 or as str; -1 for ids that are in no edge."""
        if self.strings:
            return self.index.get_indexer(np.asarray(ids).astype(str).astype(object))
        ids = np.asarray(ids)
        if ids.dtype.kind not in "iu":
            return np.full(len(ids), -1)
        if self.ids is None:
            return np.where((ids >= 0) & (ids < self.n), ids, -1)
        place = np.minimum(np.searchsorted(self.ids, ids), self.n - 1)
        return np.where(self.ids[place] == ids, place, -1)


def _read_features(table: EdgeTable, blob: Blob):
    ids, values = _read_rows(blob, numeric=True, strings=NodeIndex(table).strings)
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, column = np.unravel_index(int(np.argmax(wrong)), values.shape)
        raise blob.error(f"feature {values[row, column]} in row {row}, column {column}, expected a finite number")
    if np.abs(values).max(initial=0) > np.finfo(np.float32).max:
        raise blob.error(f"feature {np.abs(values).max():g} is beyond float32")
    if ids is None:
        _match_order(table, blob, len(values), "feature")
        return values.astype(np.float32)
    return _by_id(table, blob, ids, values.astype(np.float32))


def _match_order(table: EdgeTable, blob: Blob, rows: int, what: str) -> None:
    """Check that rows in node order fit; ids that are in no edge but below the number of rows become nodes."""
    strings = table.node_ids is not None and table.node_ids.dtype == object
    highest = table.num_nodes - 1 if table.node_ids is None or strings else int(table.node_ids[-1])
    if not strings and highest < rows and table.num_nodes < rows:
        log.warning("%s: %d rows, %d nodes have an edge; the others are isolated", blob.name, rows, table.num_nodes)
        if table.node_ids is not None:
            table.src, table.dst = table.node_ids[table.src], table.node_ids[table.dst]
        table.node_ids, table.num_nodes = None, rows
    elif rows != table.num_nodes:
        raise blob.error(f"found {rows} {what} rows, expected {table.num_nodes}, one for each node of {table.name}")


def _by_id(table: EdgeTable, blob: Blob, ids, values):
    """Put rows into node order; ids that are in no edge become isolated nodes."""
    index = NodeIndex(table)
    _check_ids(blob, ids, index)
    place = index.find(ids)
    new = place < 0
    if new.any():
        log.warning("%s: %d of %d ids are in no edge; they are isolated nodes", blob.name, new.sum(), len(ids))
        _add_nodes(table, ids[new])
        place = NodeIndex(table).find(ids)
    counts = np.bincount(place, minlength=table.num_nodes)
    if counts.max() > 1:
        raise blob.error(f"id {ids[int(np.argmax(counts[place] > 1))]!s} has more than one row, expected one a node")
    if len(ids) < table.num_nodes:
        missing = table.num_nodes - len(ids)
        absent = _id(table, int(np.argmin(counts)))
        raise blob.error(f"{missing} nodes of {table.name} have no row, the first is {absent!r}, expected one a node")
    out = np.empty_like(values)
    out[place] = values
    return out


def _check_ids(blob: Blob, ids, index: NodeIndex) -> None:
    if not index.strings and ids.dtype.kind not in "iu":
        wrong = next((text for text in ids if not str(text).lstrip("-").isdigit()), ids[0])
        raise blob.error(f"id {wrong!r}, expected integers as in the graph")
    if not index.strings and len(ids) and ids.min() < 0:
        raise blob.error(f"negative node id {ids.min()}, expected 0 or more")


def _add_nodes(table: EdgeTable, ids) -> None:
    if NodeIndex(table).strings:
        table.node_ids = np.concatenate((table.node_ids, np.array([str(i) for i in dict.fromkeys(ids)], dtype=object)))
        table.num_nodes = len(table.node_ids)
        return
    old = np.arange(table.num_nodes) if table.node_ids is None else table.node_ids
    merged = np.union1d(old, ids)
    move = np.searchsorted(merged, old)
    table.src, table.dst, table.num_nodes = move[table.src], move[table.dst], len(merged)
    table.node_ids = None if merged[-1] == len(merged) - 1 else merged


def _id(table, place: int):
    return place if table.node_ids is None else table.node_ids.tolist()[place]


def _read_rows(blob: Blob, numeric: bool, strings: bool):
    """(ids or None, (rows, columns) values): float64 where numeric, str elsewhere."""
    if blob.suffix in ARRAY_SUFFIXES or blob.data.startswith((b"\x93NUMPY", b"PK\x03\x04")):
        from graphkit.datasets import arrays

        with one_line(blob, "an array"):
            return None, arrays.read_matrix(blob)
    if format_of(blob) == "mat":
        from graphkit.datasets import matrices

        with one_line(blob, "mat"):
            return None, matrices.read_mat_rows(blob, MAT_FEATURES if numeric else MAT_LABELS)
    if SUFFIXES.get(blob.suffix) == "Parquet" or format_of(blob) == "Parquet":
        with one_line(blob, "Parquet"):
            return _parquet_rows(blob, numeric)
    if format_of(blob) != "edge list":
        raise blob.error(f"found {format_of(blob)}, expected npy, npz, mat, csv, tsv or Parquet")
    with one_line(blob, "a table"):
        return _text_rows(blob, numeric, strings)


def _text_rows(blob: Blob, numeric: bool, strings: bool):
    import pyarrow

    table = open_table(blob, None, None, KNOWN)
    has_id = table.names is not None and table.names[0].lower() in ID_NAMES
    if not has_id and table.names is None and not numeric and table.width == 2:
        has_id = True  # "id label" without a header is what every label file means
    if not has_id and strings and numeric and not is_number(next(table.rows())[1][0]):
        has_id = True
    columns = range(1 if has_id else 0, table.width)
    if not columns:
        raise blob.error("only an id column, expected values beside it")
    ids = None
    if has_id:
        try:
            ids = table.read({0: pyarrow.string() if strings else pyarrow.int64()})[0]
        except ConversionError:
            line, cell = table.find_cell(0, lambda text: not text.strip().isdigit())
            raise blob.error(f"id {cell!r}, expected integers as in the graph", line) from None
        ids = np.array([text.strip() for text in ids.to_pylist()], dtype=object) if strings else ids.to_numpy()
    if not numeric:
        rows = [[cell.strip() for cell in row[columns[0] :]] for _, row in table.rows()]
        for line, row in table.rows():
            if len(row) != table.width:
                raise blob.error(f"found {len(row)} columns, expected {table.width}", line)
        return ids, np.array(rows, dtype=object)
    try:
        values = [column.to_numpy() for column in table.read({number: pyarrow.float64() for number in columns})]
    except ConversionError:
        for number in columns:
            wrong = table.find_cell(number, lambda text: not is_number(text))
            if wrong:
                raise blob.error(f"{wrong[1]!r} in {table.title(number)}, expected a number", wrong[0]) from None
        raise blob.error("holds a cell that is not a number") from None
    return ids, np.stack(values, axis=1)


def _parquet_rows(blob: Blob, numeric: bool):
    from graphkit.datasets import tables

    file = tables.open_parquet(blob)
    table = file.read()
    names = list(table.column_names)
    ids = None
    if names and names[0].lower() in ID_NAMES:
        ids = tables.plain_ids(blob, names[0], table.column(names[0])).to_numpy()
        names = names[1:]
    if not names:
        raise blob.error("no columns of values, expected some")
    if numeric:
        values = [tables.parquet_numbers(blob, name, table.column(name)) for name in names]
        return ids, np.stack(values, axis=1)
    rows = [["" if cell is None else str(cell) for cell in table.column(name).to_pylist()] for name in names]
    return ids, np.array(rows, dtype=object).T


def _read_labels(table: EdgeTable, blob: Blob):
    """(label, class_names): (n,) int64 with -1 for unlabelled, or (n, L) float32."""
    ids, values = _read_rows(blob, numeric=False, strings=NodeIndex(table).strings)
    if values.ndim == 2 and values.shape[1] == 0:
        raise blob.error("no label columns")
    place = _label_places(table, blob, ids, len(values))
    if values.ndim == 2 and values.shape[1] > 1:
        return _indicator(table, blob, place, values), None
    texts = _label_texts(blob, values.reshape(-1))
    known = [text not in UNLABELLED for text in texts]
    names = sorted({text for text, ok in zip(texts, known) if ok}, key=_label_order)
    if not names:
        raise blob.error("no node has a label")
    number = {name: k for k, name in enumerate(names)}
    codes = np.array([number.get(text, -1) if ok else -1 for text, ok in zip(texts, known)], dtype=np.int64)
    repeated = len(np.unique(place)) < len(place)
    if repeated:  # several rows a node: several labels a node
        label = np.zeros((table.num_nodes, len(names)), dtype=np.float32)
        label[place[codes >= 0], codes[codes >= 0]] = 1
        return label, names
    label = np.full(table.num_nodes, -1, dtype=np.int64)
    label[place] = codes
    return label, names


def _label_places(table, blob, ids, rows):
    if ids is None:
        _match_order(table, blob, rows, "label")
        return np.arange(rows)
    index = NodeIndex(table)
    _check_ids(blob, ids, index)
    place = index.find(ids)
    if (place < 0).any():
        row = int(np.argmax(place < 0))
        raise blob.error(f"unknown node id {ids[row]!s} in row {row}, expected ids of {table.name}")
    return place


def _label_texts(blob: Blob, values) -> list[str]:
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or (values != np.round(values)).any():
            row = int(np.argmax(~np.isfinite(values) | (values != np.round(values))))
            raise blob.error(f"label {values[row]} in row {row}, expected whole numbers or names")
        values = values.astype(np.int64)
    return [str(value) for value in values.tolist()]


def _indicator(table, blob, place, values):
    try:
        values = values.astype(np.float64)
    except ValueError as problem:
        raise blob.error(f"{problem}; several label columns hold 0 and 1") from None
    if not np.isin(values, (0.0, 1.0)).all():
        row, column = np.argwhere(~np.isin(values, (0.0, 1.0)))[0]
        raise blob.error(f"label {values[row, column]} in row {row}, column {column}, expected 0 or 1")
    label = np.zeros((table.num_nodes, values.shape[1]), dtype=np.float32)
    label[place] = values
    return label


def _label_order(text: str):
    return (0, int(text), "") if text.lstrip("-").isdigit() else (1, 0, text)


def with_task(dataset: GraphDataset, options: ReadOptions, task: str | None, split: str | None, seed: int):
    """Give the data set its task: with the split of a file where there is one, else drawn from the seed."""
    from graphkit.datasets import split_files, splits

    given, links = {}, None
    masks = [dataset.graph.ndata.pop(f"{part}_mask", None) for part in ("train", "valid", "test")]
    if all(mask is not None for mask in masks):
        given["file"] = splits.masks_split(*(mask.numpy() for mask in masks))
    if options.splits is not None:
        found = split_files.read(dataset, read_blob(options.splits, "a split"), task)
        if task == "link":
            dataset, links = found
        else:
            given = {"file": found}
    if task is None:
        return dataset.renamed(split=given.get("file"), split_name="file" if given else "", seed=seed)
    if task == "node" and dataset.labels is None:
        raise DataError(f"{dataset.name}: has no labels, expected --labels FILE for node classification")
    metric = "accuracy" if task == "node" and dataset.labels.ndim == 1 else None
    node = "file" if given else "random-0.6/0.2/0.2"
    if task == "link" and links is not None:
        metric = split_files.link_metric(links)
    loaded = splits.Loaded(
        dataset, given=given, links=links, links_name="file", defaults={task: (node if task == "node" else None, metric)}
    )
    return splits.finish(loaded, task, split, seed)
