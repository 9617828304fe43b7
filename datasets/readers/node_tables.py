"""Files about nodes as rows of columns: text, Parquet, and matrices of numbers, before it is known which column holds
ids.
"""

from __future__ import annotations

import numpy as np
import pyarrow
import pyarrow.compute

from graphkit.core.errors import DataError
from graphkit.datasets.readers import tables
from graphkit.datasets.readers.text import ConversionError, TextTable, is_number
from graphkit.io.blob import Blob

WHOLE = r"^(0|[1-9][0-9]{0,17})$"  # an integer id as it is written; 007 and 1.0 are others


class NodeRows:
    """The rows of a file, each about a node, or about a pair of nodes in a split of links.

    blob: the file. names: the header, or None. width: number of columns. ids: (rows,) ids that an array file brings
    beside its matrix, or None.
    """

    blob: Blob
    names: list[str] | None = None
    width: int = 0
    ids: np.ndarray | None = None
    kind: str | None = None  # what a form says of its labels: "multilabel"

    def __len__(self) -> int:
        raise NotImplementedError

    def cells(self, number: int) -> np.ndarray:
        """(rows,) a column as int64 where its type is, else as an object array of stripped text, "" for an empty
        cell.
        """
        raise NotImplementedError

    def sample(self) -> list[list[str]]:
        """The cells of some of the first rows, as stripped text."""
        raise NotImplementedError

    def numbers(self, columns: list[int]) -> np.ndarray:
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
        self._columns: dict[int, np.ndarray] = {}

    @property
    def names(self) -> list[str] | None:
        """The header, or None."""
        return self.table.names

    def __len__(self) -> int:
        return len(self.cells(0))

    def cells(self, number: int) -> np.ndarray:
        """(rows,) stripped text."""
        if number not in self._columns:
            (column,) = self.table.read({number: pyarrow.string()}, empty=True)
            column = pyarrow.compute.utf8_trim_whitespace(column.fill_null(""))
            self._columns[number] = column.to_numpy().astype(object)
        return self._columns[number]

    def sample(self) -> list[list[str]]:
        """The cells of the first rows."""
        return [[cell.strip() for cell in row] for row in self.table.sample()]

    def numbers(self, columns: list[int]) -> np.ndarray:
        """(rows, columns) float64."""
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
        self.blob = blob
        self.table = tables.open_parquet(blob).read()
        self.names = list(self.table.column_names)
        self.width = len(self.names)
        if not self.names:
            raise blob.error("no columns of values, expected some")

    def __len__(self) -> int:
        return self.table.num_rows

    def cells(self, number: int) -> np.ndarray:
        """(rows,) int64 where the column holds integers and none is missing, else text."""
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

    def numbers(self, columns: list[int]) -> np.ndarray:
        """(rows, columns) float64."""
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

    def __init__(self, blob: Blob, matrix: np.ndarray, ids: np.ndarray | None = None):
        self.blob, self.matrix, self.ids, self.width = blob, matrix, ids, matrix.shape[1]
        if ids is not None and ids.shape != (len(matrix),):
            raise blob.error(f"found ids of shape {ids.shape} beside {len(matrix)} rows, expected one for each")

    def __len__(self) -> int:
        return len(self.matrix)

    def column(self, word: str) -> int | None:
        """None: a matrix holds no ids."""
        return None

    def cells(self, number: int) -> np.ndarray:
        """(rows,) the numbers as text, whole ones without a point, "" for NaN."""
        values, codes = np.unique(self.matrix[:, number], return_inverse=True)
        return np.array([_as_text(value) for value in values.tolist()], dtype=object)[codes.reshape(-1)]

    def sample(self) -> list[list[str]]:
        """No text: a matrix has no column to be guessed."""
        return []

    def numbers(self, columns: list[int]) -> np.ndarray:
        """(rows, columns) float64."""
        return self.matrix[:, columns]


def whole_numbers(cells: np.ndarray) -> np.ndarray:
    """(rows,) int64 of an id column, -1 for a cell that is not an integer from 0 as it is written."""
    if cells.dtype != object:
        return np.maximum(cells, -1)

    text = pyarrow.array(cells, pyarrow.large_string())
    fits = pyarrow.compute.match_substring_regex(text, WHOLE)
    return pyarrow.compute.if_else(fits, text, "-1").cast(pyarrow.int64()).to_numpy(zero_copy_only=False)


def _as_text(value) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e18 else repr(value)
    return str(value)
