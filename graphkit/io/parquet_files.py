"""Parquet files of plain columns, whose decoded size is counted before they are read.

A column of a thousand million equal values takes a few bytes in a file: what counts is the number of rows that the file
states times the width of a value. Text is read as a dictionary, counted by its lengths, and spread out only then. A
page is unpacked by Arrow at the size that its own header states, at most 2 GiB, before anything here can look at it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow
import pyarrow.compute
from pyarrow import parquet, types

from graphkit.core.sizes import shown
from graphkit.io import budget
from graphkit.io.blob import Blob

MAX_ROWS = 1 << 40


class ParquetTable:
    """An open Parquet file; ``schema_arrow`` and ``metadata`` are those of pyarrow.

    Raises :class:`DataError` for what is no Parquet, for columns of one name and for a claim beyond the budget for
    reading.
    """

    def __init__(self, blob: Blob):
        if not (blob.data.startswith(b"PAR1") and blob.data.endswith(b"PAR1")):
            raise blob.error("not a Parquet file, or one that is cut off: expected PAR1 at its begin and end")
        self.blob = blob
        schema = parquet.ParquetFile(pyarrow.BufferReader(blob.data)).schema_arrow
        text = [item.name for item in schema if _is_text(item.type)]
        self.file = parquet.ParquetFile(
            pyarrow.BufferReader(blob.data), page_checksum_verification=True, read_dictionary=text
        )
        self.schema_arrow, self.metadata = schema, self.file.metadata
        declared = sum(self.metadata.row_group(i).total_byte_size for i in range(self.metadata.num_row_groups))
        if not 0 <= self.metadata.num_rows <= MAX_ROWS or not 0 <= declared <= budget.current().left:
            said = f"{self.metadata.num_rows} rows of {shown(max(declared, 0))}"
            raise blob.error(f"declares {said}, more than the {budget.current().describe()}")
        if len(set(schema.names)) != len(schema.names):
            raise blob.error("two columns have the same name, expected different names")

    def read(self, columns: Sequence[str] | None = None):
        """A pyarrow table of the columns, all of them by default; text comes as plain strings. Raises
        :class:`DataError`.
        """
        names = list(dict.fromkeys(self.schema_arrow.names if columns is None else columns))
        for name in names:
            kind = self.schema_arrow.field(name).type
            if not (_is_text(kind) or _width(kind)):
                raise self.blob.error(f"column {name!r} is of type {kind}, expected numbers or text")
            budget.take(
                self.metadata.num_rows * (_width(kind) or 4) + self.metadata.num_rows // 8,
                self.blob.name,
                f"column {name!r}",
            )
        found = []
        for name in names:  # one at a time, so that not all are there before the first is counted
            column = self.file.read(columns=[name]).column(name)
            found.append(self._spread(name, column))
        return pyarrow.table(found, names=names)

    def _spread(self, name: str, column):
        """A dictionary column as plain values, once its size has been counted."""
        if not pyarrow.types.is_dictionary(column.type):
            return column
        kind = column.type.value_type
        if _is_text(kind):
            for chunk in column.chunks:
                lengths = pyarrow.compute.binary_length(chunk.dictionary.cast(pyarrow.large_string()))
                total = pyarrow.compute.sum(lengths.take(chunk.indices)).as_py() or 0
                budget.take(int(total), self.blob.name, f"the text of column {name!r}")
        return column.cast(pyarrow.large_string() if kind == pyarrow.large_string() else kind)


def _is_text(kind) -> bool:
    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return types.is_string(kind) or types.is_large_string(kind)


def _width(kind) -> int:
    """Bytes of a number of this type; 0 of others."""
    if types.is_dictionary(kind):
        return _width(kind.value_type)
    plain = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_temporal(kind)
    return max(kind.bit_width // 8, 1) if plain else 0
