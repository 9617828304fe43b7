"""Graphs as sparse matrices: Matrix Market, SciPy npz, MATLAB ``.mat`` (v5 to v7).

An entry (i, j) is an edge i -> j and its value the weight; a matrix of ones is unweighted. A zero that a sparse
matrix stores is an edge of weight 0, one of a full matrix is no edge. For an undirected graph a symmetric matrix gives
each edge once.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow
import scipy.sparse

from graphkit.core.errors import did_you_mean
from graphkit.core.read_options import ReadOptions
from graphkit.core.reading import note
from graphkit.datasets.readers.assemble import EdgeTable
from graphkit.datasets.readers.mat5 import MatFile, Variable
from graphkit.datasets.readers.text import ConversionError, TextTable, single_blanks
from graphkit.graph.narrow import as_float32, as_float64
from graphkit.io import budget
from graphkit.io.arrays import Npz, sparse_of
from graphkit.io.blob import Blob, check_size, refuse_binary

ID_COMMENT = b"%id "
FORTRAN = re.compile(rb"([0-9.])[dD]([-+0-9])")
MAT_NAMES = ("network", "net", "a", "adj", "adjacency", "g", "graph", "w")
MAT_LABELS = ("group", "labels", "label", "y", "gnd", "class")
MAT_FEATURES = ("features", "feat", "x", "attributes", "attrb", "fea")
MAT_KINDS = ("sparse", "double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


def check_shape(blob: Blob, rows: int, columns: int, entries: int) -> None:
    """Refuse what cannot be an adjacency matrix, and more nodes than so few entries can be about."""
    if rows != columns:
        raise blob.error(f"found a {rows} x {columns} matrix, expected a square one (nodes x nodes)")
    if not 0 < rows <= max(10_000_000, 100 * entries):
        raise blob.error(
            f"declares {rows} nodes for {entries} entries, expected at most {max(10_000_000, 100 * entries)}"
        )


def to_table(blob: Blob, matrix, options: ReadOptions, node_ids=None) -> EdgeTable:
    """An EdgeTable from a SciPy sparse matrix."""
    check_shape(blob, *matrix.shape, matrix.nnz)
    coo = matrix.tocoo()
    weight = as_float64(coo.data, blob.name, "weight")
    src, dst = coo.row.astype(np.int64), coo.col.astype(np.int64)
    refuse_weights(blob, src, dst, weight)
    return EdgeTable(blob.name, src, dst, weight, node_ids, matrix.shape[0], symmetric=True)


def refuse_weights(blob: Blob, src, dst, weight) -> None:
    """Raise where an entry is NaN or infinite."""
    wrong = ~np.isfinite(weight)
    if wrong.any():
        k = int(np.argmax(wrong))
        raise blob.error(f"entry ({src[k]}, {dst[k]}) is {weight[k]}, expected a finite number")


# npz ------------------------------------------------------------------------------------------------------------------


def read_npz(blob: Blob, options: ReadOptions) -> EdgeTable:
    """Read what scipy.sparse.save_npz writes, with the ids in ``node_ids`` where the file has them."""
    archive = Npz(blob)
    if "format" not in archive or "shape" not in archive:
        raise blob.error(f"found {archive.names()}, expected a SciPy sparse matrix (format, shape, data, ...)")
    matrix = sparse_of(archive)
    node_ids = None
    if "node_ids" in archive:
        node_ids = archive["node_ids"]
        if node_ids.shape != (matrix.shape[0],):
            raise blob.error(f"node_ids has shape {node_ids.shape}, expected ({matrix.shape[0]},)")
        node_ids = checked_ids(blob, node_ids.tolist() if node_ids.dtype.kind == "U" else node_ids)
    return to_table(blob, matrix, options, node_ids)


def checked_ids(blob: Blob, ids):
    """Ids that a file of numbered nodes brings along: distinct; integers ascending; None where they are 0..n-1."""
    ids = np.array(ids, dtype=object) if isinstance(ids, list) else np.asarray(ids)
    if ids.dtype == object:
        if len(set(ids.tolist())) < len(ids):
            raise blob.error("two nodes have the same id, expected different ones")
        return ids
    if ids.dtype.kind not in "iu":
        raise blob.error(f"node ids are of type {ids.dtype}, expected integers or text")
    ids = ids.astype(np.int64)
    if len(ids) and (ids[0] < 0 or (np.diff(ids) <= 0).any()):
        raise blob.error("integer node ids are not ascending from 0 or more")
    return None if not len(ids) or ids[-1] == len(ids) - 1 else ids


# Matrix Market --------------------------------------------------------------------------------------------------------


def read_mtx(blob: Blob, options: ReadOptions) -> EdgeTable:
    """Read a coordinate Matrix Market file; ``%id`` comments, one a node in order, give the ids."""
    refuse_binary(blob, blob.data)
    field, symmetry = _banner(blob)
    data, place, line = blob.data, 0, 0
    ids = []
    while True:  # comments, up to the line of sizes
        end = data.find(b"\n", place)
        text = data[place:] if end < 0 else data[place:end]
        line += 1
        if text.strip() and not text.startswith(b"%"):
            break
        if text.startswith(ID_COMMENT):
            ids.append(text[len(ID_COMMENT) :].decode("utf-8").rstrip("\r"))
        if end < 0:
            raise blob.error("ends before its line of sizes, expected: rows columns entries")
        place = end + 1
    words = text.split()
    if len(words) != 3 or not all(word.isdigit() and len(word) < 19 for word in words):
        raise blob.error(f"found {text[:60].decode('utf-8', 'replace')!r}, expected: rows columns entries", line)
    rows, columns, entries = map(int, words)
    start = len(data) if end < 0 else end + 1
    least = 4 if field == "pattern" else 6  # "1 1" or "1 1 1" and the end of the line
    check_size(blob, f"header ({entries} entries)", max(least * entries - 1, 0), len(data) - start)
    check_shape(blob, rows, columns, entries)
    src, dst, weight = _entries(blob, start, field, entries, rows)
    if symmetry == "symmetric":
        below = src != dst
        src, dst = np.concatenate((src, dst[below])), np.concatenate((dst, src[below]))
        weight = None if weight is None else np.concatenate((weight, weight[below]))
    if ids and len(ids) != rows:
        raise blob.error(f"found {len(ids)} %id comments, expected one for each of the {rows} nodes")
    node_ids = None
    if ids:
        whole = all(text.isdigit() and (text == "0" or text[0] != "0") and len(text) < 19 for text in ids)
        node_ids = checked_ids(blob, np.array([int(text) for text in ids]) if whole else ids)
    return EdgeTable(blob.name, src, dst, weight, node_ids, rows, symmetric=True)


def _banner(blob: Blob) -> tuple[str, str]:
    first = blob.data[:200].split(b"\n")[0].decode("utf-8", "replace").strip()
    words = first.lower().split()
    if len(words) != 5 or words[0] != "%%matrixmarket" or words[1] != "matrix":
        raise blob.error(f"found {first[:60]!r}, expected %%MatrixMarket matrix coordinate FIELD SYMMETRY", 1)
    expected = {2: ("coordinate",), 3: ("real", "integer", "pattern", "double"), 4: ("general", "symmetric")}
    for place, allowed in expected.items():
        if words[place] not in allowed:
            hint = did_you_mean(words[place], allowed)
            raise blob.error(f"found {words[place]!r}, expected {' or '.join(allowed)}{hint}", 1)
    return words[3], words[4]


def _entries(blob: Blob, start: int, field: str, entries: int, n: int):
    before = blob.data.count(b"\n", 0, start)
    body = b"\n" * before + single_blanks(blob.data[start:])  # the line numbers of the file
    width = 2 if field == "pattern" else 3
    if width == 3 and FORTRAN.search(body, before):  # 1.5D-3, as Fortran writes it
        body = FORTRAN.sub(rb"\1E\2", body)
    table = TextTable(blob, body, before, " ", width)
    types = {0: pyarrow.int64(), 1: pyarrow.int64(), **({} if width == 2 else {2: pyarrow.float64()})}
    try:
        columns = [column.to_numpy() for column in table.read(types)]
    except ConversionError:
        for number in range(width):
            bad = table.find_cell(number, lambda text, integer=number < 2: not _is_cell(text, integer))
            if bad:
                kind = "an integer" if number < 2 else "a number"
                raise blob.error(f"found {bad[1]!r}, expected {kind}", bad[0]) from None
        raise blob.error("holds an entry that is no number") from None
    if len(columns[0]) != entries:
        raise blob.error(f"found {len(columns[0])} entries, expected {entries} as its header declares")
    for column in columns[:2]:
        wrong = (column < 1) | (column > n)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise table.error(row, f"node number {column[row]}, expected 1..{n}")
    if width == 3 and not np.isfinite(columns[2]).all():
        row = int(np.argmax(~np.isfinite(columns[2])))
        raise table.error(row, f"weight {columns[2][row]}, expected a finite number")
    return columns[0] - 1, columns[1] - 1, columns[2] if width == 3 else None


def _is_cell(text: str, integer: bool) -> bool:
    try:
        int(text) if integer else float(text)
    except ValueError:
        return False
    return True


# MATLAB ---------------------------------------------------------------------------------------------------------------


def read_mat(blob: Blob, options: ReadOptions) -> EdgeTable:
    """Read the adjacency matrix of a ``.mat`` file: ``network``, ``net``, ``A`` ..., else its first square sparse one.

    A matrix ``group``, ``label`` ... with a row a node holds the labels: a vector the classes, a matrix several labels
    a node, what is not zero being one. ``features``, ``attributes`` ... of n rows are the features. Small and capital
    letters are alike.
    """
    file = MatFile(blob)
    square = {v.name: v for v in file.variables if len(v.shape) == 2 and v.shape[0] == v.shape[1] > 1}
    usable = [v for v in square.values() if v.kind in MAT_KINDS]
    names = [v.name for name in MAT_NAMES for v in usable if v.name == name or v.name.lower() == name]
    names += [name for name, variable in square.items() if variable.kind == "sparse"]
    if not names:
        found = [f"{v.name} {'x'.join(map(str, v.shape))} {v.kind}" for v in file.variables[:6]]
        wanted = ", ".join(MAT_NAMES[:4])
        raise blob.error(f"found {', '.join(found) or 'nothing'}, expected a square matrix called {wanted} ...")
    table = to_table(
        blob, scipy.sparse.coo_matrix(file.read(square[names[0]])), options
    )  # of a full matrix what is not 0
    if len(dict.fromkeys(names)) > 1 and not any(name.lower() in MAT_NAMES for name in names):
        note(
            blob.name, f"{names[0]!r} is read as the adjacency matrix; not {', '.join(list(dict.fromkeys(names))[1:4])}"
        )
    others = [
        v
        for v in file.variables
        if v.kind in MAT_KINDS and len(v.shape) == 2 and v.name != names[0] and not v.is_complex
    ]
    if options.labels is None:
        _mat_labels(file, table, _named(others, MAT_LABELS))
    if options.features is None:
        _mat_features(file, table, _named(others, MAT_FEATURES))
    return table


def _named(variables: list[Variable], names: tuple[str, ...]) -> list[Variable]:
    return [v for name in dict.fromkeys(map(str.lower, names)) for v in variables if v.name.lower() == name]


def _mat_labels(file: MatFile, table: EdgeTable, found: list[Variable]) -> None:
    n = table.num_nodes
    fitting = [v for v in found if v.shape[0] == n or v.shape == (1, n)]
    for variable in found:
        if variable not in fitting:
            note(table.name, f"{variable.name!r} of shape {variable.shape} is not read as labels, expected {n} rows")
    if not fitting:
        return
    if len(fitting) > 1:
        note(table.name, f"{fitting[0].name!r} is read as the labels; not {', '.join(v.name for v in fitting[1:])}")
    values = _dense(file, fitting[0])
    if 1 not in values.shape:
        table.ndata["label"] = (values != 0).astype(np.float32)
        return
    values = values.reshape(-1).astype(np.float64)
    if not np.isfinite(values).all() or (values != np.rint(values)).any():
        note(
            table.name,
            f"{fitting[0].name!r} holds numbers that are no classes: not read as labels, which --task regression can"
            " take",
        )
        return
    classes, numbers = np.unique(values, return_inverse=True)
    table.ndata["label"], table.ndata["class_names"] = (
        numbers.reshape(-1).astype(np.int64),
        [f"{value:.0f}" for value in classes],
    )


def _mat_features(file: MatFile, table: EdgeTable, found: list[Variable]) -> None:
    fitting = [v for v in found if v.shape[0] == table.num_nodes]
    if fitting:
        values = _dense(file, fitting[0])
        if not np.isfinite(values).all():
            raise file.blob.error(
                f"{fitting[0].name!r} holds a value that is NaN or infinite, expected finite features"
            )
        table.ndata["feat"] = as_float32(values, table.name, "feature")


def read_mat_rows(blob: Blob, names: tuple[str, ...]) -> np.ndarray:
    """(rows, columns) float64: the first of these variables of a ``.mat`` file, else the only matrix in it."""
    file = MatFile(blob)
    able = [v for v in file.variables if v.kind in MAT_KINDS and len(v.shape) == 2 and not v.is_complex]
    found = _named(able, names) or (able if len(able) == 1 else [])
    if not found:
        raise blob.error(
            f"found {', '.join(v.name for v in able) or 'no matrix'}, expected one matrix, or one called"
            f" {' or '.join(names)}"
        )
    values = _dense(file, found[0]).astype(np.float64)
    return values.T if len(values) == 1 else values  # MATLAB's vectors may lie


def _dense(file: MatFile, variable: Variable) -> np.ndarray:
    rows, columns = variable.shape
    budget.take(rows * columns * 8, file.blob.name, f"{variable.name!r} of shape {variable.shape}")
    matrix = file.read(variable)
    return matrix.toarray() if hasattr(matrix, "toarray") else matrix
