"""Opens a file about nodes, whatever its format."""

from __future__ import annotations

from graphkit.core import reading
from graphkit.datasets.readers import class_files, matrices
from graphkit.datasets.readers.node_tables import MatrixRows, NodeRows, ParquetRows, TextRows
from graphkit.datasets.readers.text import TextTable, open_table
from graphkit.io import arrays
from graphkit.io.blob import Blob, one_line
from graphkit.io.formats import SUFFIXES, format_of

ARRAY_SUFFIXES = (".npy", ".npz")


CLASS_SUFFIXES = (".cmty", ".gmt", ".json")  # see class_files


def open_rows(blob: Blob, known: frozenset, mat_names: tuple[str, ...] = ()) -> NodeRows:
    """Open a file about nodes by its format; ``known``: words that its columns are called by; ``mat_names``: variables
    of ``.mat``.
    """
    if blob.suffix in ARRAY_SUFFIXES or blob.data.startswith((b"\x93NUMPY", b"PK\x03\x04")):
        with one_line(blob, "an array"):
            return MatrixRows(blob, *arrays.read_matrix(blob))
    if blob.suffix in CLASS_SUFFIXES:
        with one_line(blob, blob.suffix[1:]):
            return class_files.open_rows(blob)
    if format_of(blob) == "mat":
        with one_line(blob, "mat"):
            return MatrixRows(blob, matrices.read_mat_rows(blob, mat_names))
    if SUFFIXES.get(blob.suffix) == "Parquet" or format_of(blob) == "Parquet":
        with one_line(blob, "Parquet"):
            return ParquetRows(blob)
    if format_of(blob) != "edge list":
        raise blob.error(f"found {format_of(blob)}, expected npy, npz, mat, csv, tsv, Parquet, json, cmty or gmt")
    with one_line(blob, "a table"):
        return TextRows(_with_row_names(open_table(blob, None, None, known)))


def _with_row_names(table: TextTable) -> TextTable:
    """Give the first column an empty name where the header has one name fewer than the rows have cells, as R writes its
    row names.
    """
    if (
        table.names is not None
        and table.delimiter in " \t"
        and (below := table.sample())
        and len(below[0]) == table.width + 1
    ):
        table.names, table.width = ["", *table.names], table.width + 1
        reading.note(
            table.blob.name,
            "its header has a name fewer than the rows have cells: read as the names of all but the first",
        )
    return table
