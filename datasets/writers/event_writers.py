"""Events to a table that is read back as it was: a row each in order of time, with the time as it came."""

from __future__ import annotations

import csv
import gzip
import io
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset
from graphkit.io.files import atomic_path

DELIMITERS = {".csv": ",", ".tsv": "\t", ".parquet": ""}


def holds_events(path) -> bool:
    """Whether a file of this ending is a table, which holds events; ``-`` is one."""
    return str(path) == "-" or _suffix(path)[0] in DELIMITERS


def write_events(dataset: GraphDataset, path) -> None:
    """Write src, dst, time and, where there are some, weight, label and features; ``.gz`` may follow csv and tsv, ``-``
    writes tsv.
    """
    columns = _columns(dataset)
    if str(path) == "-":
        sys.stdout.write(_text(columns, "\t"))
        return
    suffix, packed = _suffix(path)
    with atomic_path(path) as temporary:
        if suffix == ".parquet":
            pyarrow.parquet.write_table(pyarrow.table(columns), temporary)
            return
        content = _text(columns, DELIMITERS[suffix]).encode()
        temporary.write_bytes(gzip.compress(content, mtime=0) if packed else content)


def _suffix(path) -> tuple[str, bool]:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    packed = suffixes[-1:] == [".gz"]
    return ((suffixes[:-1] if packed else suffixes) or [""])[-1], packed


def _columns(dataset: GraphDataset) -> dict[str, list]:
    events, ids = dataset.events, dataset.ids()
    columns = {
        "src": ids[events.src].tolist(),
        "dst": ids[events.dst].tolist(),
        "time": events.times_of(np.arange(len(events))),
    }
    for name in ("weight", "label"):
        if (values := getattr(events, name)) is not None:
            columns[name] = values.tolist()
    if events.feat is not None:
        # float32 written in its own digits, not in those of the float64 that is equal to it
        columns.update(
            {f"f{k}": [float(text) for text in values.astype(str).tolist()] for k, values in enumerate(events.feat.T)}
        )
    return columns


def _text(columns: dict[str, list], delimiter: str) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values()):
        if any(isinstance(cell, str) and ("\n" in cell or "\r" in cell) for cell in row):
            raise DataError(f"{row[0]!r}, {row[1]!r}: an id with a line break, which a text table cannot hold")
        writer.writerow(row)
    return stream.getvalue()
