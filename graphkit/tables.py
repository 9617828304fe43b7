"""Tables with a row per node: tsv, csv or Parquet, written whole or not at all.

The first column is the node's id as the user gave it. A figure that does not exist (NaN) is an empty cell, null in Parquet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from graphkit.errors import DataError, UsageError
from graphkit.files import atomic_path
from graphkit.lazy import np

if TYPE_CHECKING:
    import numpy

FORMATS = {".tsv": "tsv", ".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}


def format_of(path: str | Path, option: str = "-o") -> str:
    """Return the format that a file's name asks for; ``-`` is tsv. Raises :class:`UsageError` for another ending."""
    if str(path) == "-":
        return "tsv"
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"{option} {path}: found the ending {suffix or 'none'!r}, expected one of {', '.join(FORMATS)}")
    return FORMATS[suffix]


def write(path: str | Path, columns: Mapping[str, numpy.ndarray]) -> None:
    """Write (n,) columns in the format of the file's ending; raises :class:`DataError` where it cannot be written."""
    kind = format_of(path)
    with atomic_path(path) as temporary:
        if kind == "parquet":
            _write_parquet(temporary, columns)
            return
        with open(temporary, "w", encoding="utf-8", newline="") as stream:
            write_text(stream, columns, "," if kind == "csv" else "\t")


def write_text(stream: TextIO, columns: Mapping[str, numpy.ndarray], separator: str = "\t", header: bool = True) -> None:
    """Write a header and a line per row; raises :class:`DataError` for a word that a tsv cannot hold."""
    if header:
        stream.write(separator.join(columns) + "\n")
    cells = [_cells(values, separator) for values in columns.values()]
    stream.writelines(separator.join(row) + "\n" for row in zip(*cells))


def _cells(values: numpy.ndarray, separator: str) -> Iterator[str]:
    values = np.asarray(values)
    if values.dtype.kind == "f":
        return ("" if value != value else f"{value:.6g}" for value in values.tolist())
    if values.dtype.kind in "iub":
        return map(str, values.tolist())
    return (_word(str(value), separator) for value in values.tolist())


def _word(text: str, separator: str) -> str:
    if separator == "," and any(mark in text for mark in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    if separator == "\t" and any(mark in text for mark in "\t\n\r"):
        raise DataError(f"id {text!r}: has a tab or line break in it, which a tsv cannot hold; write .csv or .parquet")
    return text


def _write_parquet(path: Path, columns: Mapping[str, numpy.ndarray]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    arrays = {}
    for name, values in columns.items():
        values = np.asarray(values)
        if values.dtype.kind in "OUS":
            arrays[name] = pa.array(values.astype(str).astype(object))
        else:
            arrays[name] = pa.array(values, from_pandas=True)  # NaN becomes null
    parquet.write_table(pa.table(arrays), path)
