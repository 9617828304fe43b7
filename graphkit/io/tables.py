"""Tables with a row per node, edge or prediction: tsv, csv (each also .gz), Parquet or npz, written whole or not at
all.

One writer for all commands; the ending of the file's name chooses the format. What is read back is what was written:
text has the fewest digits that give the same number of its type again, and a cell with a separator, a line break or a
quote in its way stands in quotes, doubled inside, as RFC 4180 has it for csv and pandas and Arrow read it in tsv too. A
figure that does not exist (NaN) is an empty cell, null in Parquet. A column of shape (n, K) is K columns ``NAME_1`` to
``NAME_K`` in text and Parquet and one array in npz, where words are text of fixed width.
"""

from __future__ import annotations

import contextlib
import gzip
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from graphkit.io.endings import ending_of, format_of
from graphkit.io.files import atomic_path

SEPARATORS = {"tsv": "\t", "csv": ","}
VALUES_AT_ONCE = 4_000_000  # of a text or Parquet file, which bounds the memory that writing takes


def write(path: str | Path, columns: Mapping[str, np.ndarray], option: str = "-o") -> None:
    """Write columns of equal length in the format of the file's ending, or as tsv to stdout for ``-``.

    Raises :class:`UsageError` for an unknown ending; the file is there whole or not at all.
    """
    kind = format_of(path, option)
    if str(path) == "-":
        sys.stdout.flush()
        write_text(sys.stdout.buffer, columns)
        sys.stdout.buffer.flush()
        return
    with atomic_path(path) as temporary, opened(temporary, ending_of(path).endswith(".gz")) as stream:
        write_to(stream, kind, columns)


def write_to(stream: BinaryIO, kind: str, columns: Mapping[str, np.ndarray]) -> None:
    """Write columns to an open binary stream as ``"tsv"``, ``"csv"``, ``"parquet"`` or ``"npz"``."""
    if kind == "parquet":
        _write_parquet(stream, columns)
    elif kind == "npz":
        arrays: dict[str, Any] = {name: _plain(values) for name, values in columns.items()}
        np.savez(stream, **arrays)
    else:
        write_text(stream, columns, SEPARATORS[kind])


@contextlib.contextmanager
def opened(path: str | Path, packed: bool = False) -> Iterator[BinaryIO]:
    """A binary stream into a new file, through gzip without a time stamp where ``packed``."""
    with open(path, "wb") as raw:
        if not packed:
            yield raw
            return
        with gzip.GzipFile("", "wb", 6, raw, mtime=0) as stream:
            yield cast(BinaryIO, stream)


def write_text(stream: BinaryIO, columns: Mapping[str, np.ndarray], separator: str = "\t", header: bool = True) -> None:
    """Write a header and a line per row to an open binary stream, piece by piece."""
    columns = _narrow(columns)
    if header:
        stream.write((separator.join(quoted(columns, separator)) + "\n").encode())
    for piece in _pieces(columns):
        blocks = list(_blocks(piece, separator))
        stream.writelines(
            line + b"\n" for line in (blocks[0] if len(blocks) == 1 else map(separator.encode().join, zip(*blocks)))
        )


def quoted(cells: Iterable[Any], separator: str) -> Iterator[str]:
    """Cells of text as they can stand in a line: in quotes where they must be."""
    special = (separator, "\n", "\r")
    for cell in cells:
        text = "" if cell is None else str(cell)
        if text[:1] == '"' or (separator == "," and '"' in text) or any(mark in text for mark in special):
            yield '"' + text.replace('"', '""') + '"'
        else:
            yield text


def line(row: Sequence[Any], separator: str = "\t") -> str:
    """One row as a line of text, for a table that is written as it comes."""
    return separator.join(quoted(map(_text, row), separator)) + "\n"


def _text(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    if value != value:
        return None
    with np.errstate(over="ignore"):
        narrow = np.float32(value)
    return str(narrow if narrow == value else value).removesuffix(".0")


def of_rows(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, np.ndarray]:
    """Columns of rows of Python values: whole numbers, numbers, or else words.

    A column of real numbers that all are float32 becomes float32, so that text shows no digits that the model did not
    give.
    """
    return {name: _column([row[place] for row in rows]) for place, name in enumerate(header)}


def _column(values: list[Any]) -> np.ndarray:
    kinds = {type(value) for value in values if value is not None}
    if kinds and all(issubclass(kind, (int, np.integer)) for kind in kinds) and None not in values:
        return np.array(values)
    if kinds and all(issubclass(kind, (int, float, np.integer, np.floating)) for kind in kinds):
        found = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        with np.errstate(over="ignore"):
            narrow = found.astype(np.float32)
        return narrow if np.array_equal(narrow, found, equal_nan=True) else found
    return np.array([None if value is None else str(value) for value in values] or [], dtype=object)


def _narrow(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same columns, each (n,); a matrix by its columns."""
    found = {}
    for name, values in columns.items():
        values = np.asarray(values)
        if values.ndim == 1:
            found[name] = values
        else:
            found.update((f"{name}_{k + 1}", values[:, k]) for k in range(values.shape[1]))
    return found


def _pieces(columns: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    rows = len(next(iter(columns.values()), ()))
    step = max(VALUES_AT_ONCE // max(len(columns), 1), 1)
    return ({name: values[at : at + step] for name, values in columns.items()} for at in range(0, rows, step))


def _blocks(columns: Mapping[str, np.ndarray], separator: str) -> Iterator[list[bytes]]:
    """The lines of each column of words, and of the numbers between two of them, which Arrow writes together."""
    numbers: list[np.ndarray] = []
    for values in columns.values():
        if values.dtype.kind in "iufb":
            numbers.append(values)
            continue
        if numbers:
            yield _numbers(numbers, separator)
        numbers = []
        yield [text.encode() for text in quoted(values.tolist(), separator)]
    if numbers:
        yield _numbers(numbers, separator)


def _numbers(columns: list[np.ndarray], separator: str) -> list[bytes]:
    table = pa.table([_arrow(values) for values in columns], [str(k) for k in range(len(columns))])
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink, csv.WriteOptions(include_header=False, delimiter=separator))
    return sink.getvalue().to_pybytes().splitlines()


def _plain(values: np.ndarray) -> np.ndarray:
    """Values as a type that npz can hold without pickling."""
    values = np.asarray(values)
    if values.dtype != object:
        return values
    return np.array(["" if value is None else str(value) for value in values.tolist()], dtype=str)


def _write_parquet(stream: BinaryIO, columns: Mapping[str, np.ndarray]) -> None:
    columns = _narrow(columns)
    empty = [_arrow(values[:0]) for values in columns.values()]
    schema = pa.schema([(name, array.type) for name, array in zip(columns, empty)])
    with parquet.ParquetWriter(stream, schema) as writer:
        for piece in _pieces(columns):
            writer.write_table(pa.table([_arrow(values) for values in piece.values()], schema=schema))


def _arrow(values: np.ndarray) -> Any:
    if values.dtype.kind in "iufb":
        return pa.array(np.ascontiguousarray(values), from_pandas=True)  # NaN becomes null
    return pa.array([None if value is None else str(value) for value in values.tolist()], pa.string())
