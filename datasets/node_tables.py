"""Files about nodes as rows of columns: text, Parquet, and matrices of numbers, before it is known which column holds
ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphkit import reading
from graphkit.datasets.files import SUFFIXES, Blob, format_of, one_line
from graphkit.datasets.text import ConversionError, TextTable, is_number, open_table
from graphkit.lazy import np

if TYPE_CHECKING:
    import numpy

    from graphkit.errors import DataError

ARRAY_SUFFIXES = (".npy", ".npz")
CLASS_SUFFIXES = (".cmty", ".gmt", ".json")  # see class_files
WHOLE = r"^(0|[1-9][0-9]{0,17})$"  # an integer id as it is written; 007 and 1.0 are others


class NodeRows:
    """The rows of a file, each about a node, or about a pair of nodes in a split of links.

    blob: the file. names: the header, or None. width: number of columns. ids: (rows,) ids that an array file brings
    beside its matrix, or None.
    """

    blob: Blob
    names: list[str] | None = None
    width: int = 0
    ids: numpy.ndarray | None = None
    kind: str | None = None  # what a form says of its labels: "multilabel"

    def __len__(self) -> int:
        raise NotImplementedError

    def cells(self, number: int) -> numpy.ndarray:
        """(rows,) a column as int64 where its type is, else as an object array of stripped text, "" for an empty
        cell.
        """
        raise NotImplementedError

    def sample(self) -> list[list[str]]:
        """The cells of some of the first rows, as stripped text."""
        raise NotImplementedError

    def numbers(self, columns: list[int]) -> numpy.ndarray:
        """(rows, columns) float64, NaN for an empty cell; raises :class:`DataError` for a cell that is no number."""
        raise NotImplementedError

    def error(self, row: int, text: str) -> DataError:
        """A :class:`DataError` that names the row, counted from 0."""
        return self.blob.error(f"row {row}: {text}")

    def title(self, number: int) -> str:
        """A column as messages call it."""
        return f"column {self.names[number]!r}" if self.names and self.names[number] else f"column {number}"

    def column(self, word: str) -> int | None:
        """Number of the column that a user calls by name or by number from 0, or None."""
        if self.names and word in self.names:
            return self.names.index(word)
        return int(word) if word.isascii() and word.isdigit() and int(word) < self.width else None

    def lower_names(self) -> list[str]:
        """The header in small letters; empty where there is none."""
        return [name.strip().lower() for name in self.names or []]


class TextRows(NodeRows):
    """The rows of a text table."""

    def __init__(self, table: TextTable):
        self.table, self.blob, self.width = table, table.blob, table.width
        self._columns: dict[int, numpy.ndarray] = {}

    @property
    def names(self) -> list[str] | None:
        """The header, or None."""
        return self.table.names

    def __len__(self) -> int:
        return len(self.cells(0))

    def cells(self, number: int) -> numpy.ndarray:
        """(rows,) stripped text."""
        if number not in self._columns:
            import pyarrow
            import pyarrow.compute

            (column,) = self.table.read({number: pyarrow.string()}, empty=True)
            column = pyarrow.compute.utf8_trim_whitespace(column.fill_null(""))
            self._columns[number] = column.to_numpy().astype(object)
        return self._columns[number]

    def sample(self) -> list[list[str]]:
        """The cells of the first rows."""
        return [[cell.strip() for cell in row] for row in self.table.sample()]

    def numbers(self, columns: list[int]) -> numpy.ndarray:
        """(rows, columns) float64."""
        import pyarrow

        try:
            found = self.table.read(dict.fromkeys(columns, pyarrow.float64()), empty=True)
        except ConversionError:
            for number in columns:
                wrong = self.table.find_cell(number, lambda text: not is_number(text))
                if wrong:
                    raise self.blob.error(
                        f"{wrong[1]!r} in {self.title(number)}, expected a number", wrong[0]
                    ) from None
            raise self.blob.error("holds a cell that is not a number") from None
        return np.stack([column.fill_null(float("nan")).to_numpy() for column in found], axis=1)

    def error(self, row: int, text: str) -> DataError:
        """A :class:`DataError` that names the line."""
        return self.table.error(row, text)

    def take_header(self) -> None:
        """Read the first row as the header after all."""
        self.table.take_header()
        self._columns.clear()

    def return_header(self) -> None:
        """Read the header as the first row after all."""
        self.table.return_header()
        self._columns.clear()


class ParquetRows(NodeRows):
    """The rows of a Parquet file."""

    def __init__(self, blob: Blob):
        from graphkit.datasets import tables

        self.blob = blob
        self.table = tables.open_parquet(blob).read()
        self.names = list(self.table.column_names)
        self.width = len(self.names)
        if not self.names:
            raise blob.error("no columns of values, expected some")

    def __len__(self) -> int:
        return self.table.num_rows

    def cells(self, number: int) -> numpy.ndarray:
        """(rows,) int64 where the column holds integers and none is missing, else text."""
        import pyarrow
        import pyarrow.compute

        column = self.table.column(number)
        if pyarrow.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        kinds = pyarrow.types
        if kinds.is_integer(column.type) and not column.null_count and column.type != pyarrow.uint64():
            return column.cast(pyarrow.int64()).to_numpy()
        if kinds.is_string(column.type) or kinds.is_large_string(column.type):
            column = pyarrow.compute.utf8_trim_whitespace(column.cast(pyarrow.large_string()).fill_null(""))
            return column.to_numpy().astype(object)
        return np.array([_as_text(value) for value in column.to_pylist()], dtype=object)

    def sample(self) -> list[list[str]]:
        """The cells of the first rows."""
        head = self.table.slice(0, 100)
        return [
            [_as_text(cell).strip() for cell in row] for row in zip(*(column.to_pylist() for column in head.columns))
        ]

    def numbers(self, columns: list[int]) -> numpy.ndarray:
        """(rows, columns) float64."""
        import pyarrow

        found = []
        for number in columns:
            column = self.table.column(number)
            kinds = pyarrow.types
            if not (kinds.is_integer(column.type) or kinds.is_floating(column.type) or kinds.is_boolean(column.type)):
                raise self.blob.error(f"{self.title(number)} is of type {column.type}, expected numbers")
            column = column.cast(pyarrow.int8()) if kinds.is_boolean(column.type) else column
            found.append(column.cast(pyarrow.float64(), safe=False).fill_null(float("nan")).to_numpy())
        return np.stack(found, axis=1)


class MatrixRows(NodeRows):
    """The rows of a matrix of numbers, with ids where the file brings some."""

    def __init__(self, blob: Blob, matrix: numpy.ndarray, ids: numpy.ndarray | None = None):
        self.blob, self.matrix, self.ids, self.width = blob, matrix, ids, matrix.shape[1]
        if ids is not None and ids.shape != (len(matrix),):
            raise blob.error(f"found ids of shape {ids.shape} beside {len(matrix)} rows, expected one for each")

    def __len__(self) -> int:
        return len(self.matrix)

    def column(self, word: str) -> int | None:
        """None: a matrix holds no ids."""
        return None

    def cells(self, number: int) -> numpy.ndarray:
        """(rows,) the numbers as text, whole ones without a point, "" for NaN."""
        values, codes = np.unique(self.matrix[:, number], return_inverse=True)
        return np.array([_as_text(value) for value in values.tolist()], dtype=object)[codes.reshape(-1)]

    def sample(self) -> list[list[str]]:
        """No text: a matrix has no column to be guessed."""
        return []

    def numbers(self, columns: list[int]) -> numpy.ndarray:
        """(rows, columns) float64."""
        return self.matrix[:, columns]


def open_rows(blob: Blob, known: frozenset, mat_names: tuple[str, ...] = ()) -> NodeRows:
    """Open a file about nodes by its format; ``known``: words that its columns are called by; ``mat_names``: variables
    of ``.mat``.
    """
    if blob.suffix in ARRAY_SUFFIXES or blob.data.startswith((b"\x93NUMPY", b"PK\x03\x04")):
        from graphkit.datasets import arrays

        with one_line(blob, "an array"):
            return MatrixRows(blob, *arrays.read_matrix(blob))
    if blob.suffix in CLASS_SUFFIXES:
        from graphkit.datasets import class_files

        with one_line(blob, blob.suffix[1:]):
            return class_files.open_rows(blob)
    if format_of(blob) == "mat":
        from graphkit.datasets import matrices

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


def whole_numbers(cells: numpy.ndarray) -> numpy.ndarray:
    """(rows,) int64 of an id column, -1 for a cell that is not an integer from 0 as it is written."""
    if cells.dtype != object:
        return np.maximum(cells, -1)
    import pyarrow
    import pyarrow.compute

    text = pyarrow.array(cells, pyarrow.large_string())
    fits = pyarrow.compute.match_substring_regex(text, WHOLE)
    return pyarrow.compute.if_else(fits, text, "-1").cast(pyarrow.int64()).to_numpy(zero_copy_only=False)


def _as_text(value) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e18 else repr(value)
    return str(value)
