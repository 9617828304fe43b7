"""Sparse matrices written block of rows by block of rows, so that a matrix need not fit into memory: npz, mtx, tsv, Parquet."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from graphkit import tables
from graphkit.files import atomic_path
from graphkit.lazy import np

if TYPE_CHECKING:
    import numpy

FORMATS = ("npz", "mtx", "tsv", "parquet")
Blocks = Iterable[tuple[int, int, "numpy.ndarray", "numpy.ndarray"]]


def write(path: str | Path, kind: str, indptr: numpy.ndarray, blocks: Blocks, ids: numpy.ndarray) -> int:
    """Write an (n, n) matrix of whole numbers in one of :data:`FORMATS`; return the sum of its entries, which may pass 2^63.

    indptr (n + 1,) int64: where rows start, as in CSR. blocks: (first row, row after the last, columns, values) of consecutive rows.
    npz is SciPy's, uncompressed, and mtx Matrix Market; both hold row and column numbers. tsv and Parquet hold the (n,) ids.
    npz puts the values into a scratch file beside ``path`` until the columns are written.
    """
    total = 0

    def summed() -> Blocks:
        nonlocal total
        for begin, end, columns, values in blocks:
            # Pieces short enough that a sum stays below 2^63: an entry is below the square of a degree, 2^52 in practice.
            total += sum(int(values[at : at + 1024].sum()) for at in range(0, len(values), 1024))
            yield begin, end, columns, values

    with atomic_path(path) as temporary:
        if kind == "npz":
            _npz(temporary, indptr, summed(), Path(path).parent)
        elif kind == "mtx":
            _mtx(temporary, indptr, summed())
        elif kind == "tsv":
            _tsv(temporary, indptr, summed(), ids)
        else:
            _parquet(temporary, indptr, summed(), ids)
    return total


def _rows(indptr, begin: int, end: int):
    """Row of each entry of a block."""
    return np.repeat(np.arange(begin, end), np.diff(indptr[begin : end + 1]))


def _npz(path: Path, indptr, blocks: Blocks, folder: Path) -> None:
    n = len(indptr) - 1
    whole = {"indptr": indptr, "format": np.array(b"csr"), "shape": np.array([n, n]), "_is_array": np.array(True)}
    with zipfile.ZipFile(path, "w") as archive, tempfile.TemporaryFile(dir=folder) as scratch:
        for name, array in whole.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        with archive.open("indices.npy", "w", force_zip64=True) as member:
            _header(member, np.dtype(np.int32), int(indptr[-1]))
            for _, _, columns, values in blocks:
                member.write(columns.astype(np.int32, copy=False).data)
                scratch.write(values.astype(np.int64, copy=False).data)
        scratch.seek(0)
        with archive.open("data.npy", "w", force_zip64=True) as member:
            _header(member, np.dtype(np.int64), int(indptr[-1]))
            shutil.copyfileobj(scratch, member, 1 << 20)


def _header(stream, dtype, count: int) -> None:
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(stream, described)


def _mtx(path: Path, indptr, blocks: Blocks) -> None:
    import pyarrow as pa
    from pyarrow import csv

    n = len(indptr) - 1
    options = csv.WriteOptions(include_header=False, delimiter=" ")
    with open(path, "wb") as stream:
        stream.write(f"%%MatrixMarket matrix coordinate integer general\n{n} {n} {int(indptr[-1])}\n".encode())
        for begin, end, columns, values in blocks:
            csv.write_csv(pa.table({"row": _rows(indptr, begin, end) + 1, "column": columns + 1, "value": values}), stream, options)


def _tsv(path: Path, indptr, blocks: Blocks, ids) -> None:
    with open(path, "w", encoding="utf-8", newline="") as stream:
        tables.write_text(stream, {"source": ids[:0], "target": ids[:0], "count": ids[:0]})
        for begin, end, columns, values in blocks:
            found = {"source": ids[_rows(indptr, begin, end)], "target": ids[columns], "count": values}
            tables.write_text(stream, found, header=False)


def _parquet(path: Path, indptr, blocks: Blocks, ids) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    names = pa.array(ids.astype(str).astype(object)) if ids.dtype.kind in "OUS" else pa.array(ids)
    schema = pa.schema([("source", names.type), ("target", names.type), ("count", pa.int64())])
    with parquet.ParquetWriter(path, schema) as writer:
        for begin, end, columns, values in blocks:
            sources, targets = names.take(pa.array(_rows(indptr, begin, end))), names.take(pa.array(columns))
            writer.write_table(pa.table([sources, targets, pa.array(values)], schema=schema))
