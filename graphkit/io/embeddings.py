"""Node vectors in files: .npy, .npz, tables (.tsv, .csv, .parquet) and word2vec's text format, written whole or not at
all.

Tables carry the node ids as the user gave them: a tsv starts ``id dim_0 dim_1 ...``, csv and Parquet have the same
columns (see :mod:`graphkit.io.tables`), npz holds ``ids`` and ``vectors``.
A .npy holds the matrix alone; where the ids are not 0..n-1 they lie beside it, one a line
under the header ``id``, in ``NAME.ids.tsv``.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from pyarrow import csv

from graphkit.core.errors import DataError
from graphkit.io import endings, npy_files, tables
from graphkit.io.arrays import Npz, ids_path
from graphkit.io.files import atomic_path, writing_to
from graphkit.io.formats import read_blob
from graphkit.io.parquet_files import ParquetTable

FORMATS = {".npy": "npy", **endings.FORMATS, ".w2v": "word2vec", ".vec": "word2vec", ".txt": "word2vec"}
# Values per piece of a .npy, which bounds the memory that writing takes.
PIECE = 4_000_000


def format_of(path: str | Path, option: str = "-o") -> str:
    """Return the format that a file's name asks for; ``-`` is tsv. Raises :class:`UsageError` for an unknown ending."""
    return endings.format_of(path, option, FORMATS)


def write(path: str | Path, vectors: np.ndarray, ids: np.ndarray | None = None) -> None:
    """Write (n, d) float32 vectors in the format of the file's ending; ``ids`` (n,), by default 0..n-1.

    Raises :class:`UsageError` for an unknown ending, :class:`OutputError` where the file cannot be written,
    :class:`DataError` where an id does not fit into the format.
    """
    kind = format_of(path)
    if ids is not None and len(ids) != len(vectors):
        raise ValueError(f"{len(ids)} ids for {len(vectors)} vectors")
    numbers = np.arange(len(vectors)) if ids is None else np.asarray(ids)
    with atomic_path(path) as temporary:
        _write_to(temporary, path, kind, vectors, numbers)
        if kind == "npy":  # while the vectors can still be given up
            _write_ids(ids_path(path), ids)


def _write_to(temporary: Path, path: str | Path, kind: str, vectors: np.ndarray, numbers: np.ndarray) -> None:
    with tables.opened(temporary, endings.ending_of(path).endswith(".gz")) as stream:
        if kind == "npy":
            _write_npy(stream, vectors)
        elif kind == "npz":
            np.savez(stream, vectors=vectors, ids=_plain_ids(numbers))
        elif kind == "word2vec":
            write_text(stream, vectors, numbers, word2vec=True)
        else:
            tables.write_to(stream, kind, _columns(vectors, numbers))


def write_text(stream: BinaryIO, vectors: np.ndarray, ids: np.ndarray, word2vec: bool = False) -> None:
    """Write a tsv with a header, or word2vec's text format, piece by piece to an open binary stream."""
    if not word2vec:
        tables.write_text(stream, _columns(vectors, ids))
        return
    names = _checked_names(ids)  # before the first line, which a pipe would have already
    stream.write(f"{vectors.shape[0]} {vectors.shape[1]}\n".encode())
    tables.write_text(stream, _columns(vectors, names), " ", header=False)


def read(path: str | Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return (vectors (n, d) float32, ids (n,) or None where the file has none).

    Raises :class:`DataError` where the file is missing, malformed, or holds a value that is not a finite number.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected an embedding ({', '.join(FORMATS)})")
    kind = format_of(path, "embedding")
    readers = {
        "npy": _read_npy,
        "npz": _read_npz,
        "parquet": _read_parquet,
        "tsv": _read_tsv,
        "csv": _read_csv,
        "word2vec": _read_word2vec,
    }
    try:
        vectors, ids = readers[kind](path)
        vectors = np.asarray(vectors)
        if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
            raise DataError(
                f"{path}: found an array {vectors.shape} of {vectors.dtype}, expected numbers (nodes, dimensions)"
            )
        vectors = vectors.astype(np.float32, copy=False)
    except (DataError, MemoryError):
        raise
    except Exception as problem:  # each format's library has errors of its own
        raise DataError(f"{path}: not a readable {kind} embedding: {' '.join(str(problem).split())}") from None
    if ids is not None and len(ids) != len(vectors):
        raise DataError(f"{path}: found {len(ids)} ids, expected {len(vectors)}, one for each vector")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise DataError(f"{path}: row {bad[0]} has a value that is not a finite number")
    return vectors, ids


def aligned(vectors: np.ndarray, ids: np.ndarray | None, node_ids: np.ndarray, origin: str = "embedding") -> np.ndarray:
    """Return the vectors in the order of ``node_ids``; without ids they must be as many. Raises :class:`DataError`."""
    if ids is None:
        if len(vectors) != len(node_ids):
            raise DataError(f"{origin}: found {len(vectors)} vectors, expected {len(node_ids)}, one for each node")
        return vectors
    place = {str(name): row for row, name in enumerate(np.asarray(ids).tolist())}
    rows = [place.get(str(name), -1) for name in np.asarray(node_ids).tolist()]
    if len(place) != len(ids):
        names, counts = np.unique(np.asarray(ids).astype(str), return_counts=True)
        raise DataError(
            f"{origin}: has {counts.max()} vectors for node {names[counts.argmax()]}, expected one for each node"
        )
    if -1 in rows:
        raise DataError(f"{origin}: has no vector for node {node_ids[rows.index(-1)]}")
    if len(ids) != len(node_ids):
        extra = sorted(set(place) - {str(name) for name in np.asarray(node_ids).tolist()})
        raise DataError(
            f"{origin}: has a vector for {extra[0]}, which is no node ({len(extra)} such); expected {len(node_ids)}"
            " nodes"
        )
    return vectors[np.asarray(rows, dtype=np.int64)]


def _column_names(dim: int) -> list[str]:
    return [f"dim_{j}" for j in range(dim)]


def _columns(vectors: np.ndarray, ids: np.ndarray) -> dict[str, np.ndarray]:
    return {"id": np.asarray(ids), **{name: vectors[:, j] for j, name in enumerate(_column_names(vectors.shape[1]))}}


def _pieces(n: int, dim: int) -> Iterator[tuple[int, int]]:
    step = max(PIECE // max(dim, 1), 1)
    return ((start, min(start + step, n)) for start in range(0, n, step))


def _plain_ids(ids: np.ndarray) -> np.ndarray:
    """Ids as a dtype that npz can hold without pickling."""
    return ids.astype(str) if ids.dtype == object else ids


def _checked_names(ids: np.ndarray) -> np.ndarray:
    """Ids as they can stand in a line of word2vec's text format, which knows no quotes."""
    ids = np.asarray(ids)
    if ids.dtype.kind in "iu":
        return ids
    for name in map(str, ids.tolist()):
        if not name or name.startswith('"') or any(mark in name for mark in " \t\n\r"):
            raise DataError(
                f"id {name!r}: has a blank or nothing in it, or begins with a quote, which word2vec's text format"
                " cannot hold; write .npz, .csv or .parquet"
            )
    return ids.astype(str).astype(object)


def _write_npy(stream: BinaryIO, vectors: np.ndarray) -> None:
    """As np.save, in row pieces, so that a memory-mapped matrix larger than memory can be written."""
    header = {"descr": "<f4", "fortran_order": False, "shape": vectors.shape}
    np.lib.format.write_array_header_1_0(stream, header)
    for start, stop in _pieces(*vectors.shape):
        stream.write(np.ascontiguousarray(vectors[start:stop], dtype="<f4").tobytes())


def _write_ids(path: Path, ids: np.ndarray | None) -> None:
    if ids is None:
        with writing_to(path):
            path.unlink(missing_ok=True)  # ids of an earlier embedding of the same name would be wrong
        return
    tables.write(path, {"id": np.asarray(ids)})


def _read_npy(path: Path):
    ids = ids_path(path)
    names = _text_table(ids, "\t").column(0).to_numpy() if ids.is_file() else None
    return npy_files.load(path, "r"), names


def _read_npz(path: Path):
    if not zipfile.is_zipfile(path):  # NumPy's own message would advise to unpickle it
        raise DataError(f"{path}: not a readable npz embedding: no zip archive")
    content = Npz(read_blob(path, "vectors"))
    if "vectors" not in content:
        raise DataError(f"{path}: has {', '.join(content.members) or 'nothing'}, expected an array 'vectors'")
    vectors, has_ids = content["vectors"], "ids" in content
    return (vectors, content["ids"]) if has_ids else (vectors, None)


def _read_parquet(path: Path):
    return _from_table(path, ParquetTable(read_blob(path, "vectors")).read())


def _read_tsv(path: Path):
    return _from_table(path, _text_table(path, "\t"))


def _read_csv(path: Path):
    return _from_table(path, _text_table(path, ","))


def _text_table(path: Path, separator: str):
    """A pyarrow table of what :func:`graphkit.io.tables.write` wrote as text, ids as text."""
    with open(path, "rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else open(path, "rb") as stream:
        # Line breaks inside of quotes forbid Arrow to parse blocks side by side; few files need that.
        quotes = any(b'"' in block for block in iter(lambda: stream.read(1 << 22), b""))
        stream.seek(0)
        parse = csv.ParseOptions(delimiter=separator, newlines_in_values=quotes)
        return csv.read_csv(
            stream, parse_options=parse, convert_options=csv.ConvertOptions(column_types={"id": pa.string()})
        )


def _read_word2vec(path: Path):
    with open(path, "rb") as stream:
        head = stream.readline(100).split()
        if len(head) != 2 or not all(word.isdigit() for word in head):
            raise DataError(f"{path}: line 1 is not 'NODES DIMENSIONS', as word2vec's text format begins")
        n, dim = map(int, head)
        body = stream.read()
    if not n:
        return np.empty((0, dim), np.float32), np.empty(0, str)
    names = ["id", *_column_names(dim)] if dim < 100_000 else []
    read_options = csv.ReadOptions(column_names=names)
    table = csv.read_csv(
        io.BytesIO(body),
        read_options=read_options,
        parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
        convert_options=csv.ConvertOptions(column_types={"id": pa.string()}),
    )
    if table.num_rows != n:
        raise DataError(f"{path}: found {table.num_rows} vectors, expected {n} as line 1 says")
    return _from_table(path, table)


def _from_table(path: Path, table):
    if table.column_names[0] != "id":
        raise DataError(f"{path}: the first column is {table.column_names[0]!r}, expected 'id'")
    vectors = np.empty((table.num_rows, table.num_columns - 1), np.float32)
    for j in range(vectors.shape[1]):
        vectors[:, j] = table.column(j + 1).to_numpy()
    return vectors, table.column(0).to_numpy()
