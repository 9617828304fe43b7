"""Sparse matrices written piece by piece of rows, so that none need fit into memory: npz, mtx, tsv, csv, Parquet."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from graphkit.io import tables
from graphkit.io.files import atomic_path


class SparseFile:
    """An (n, n) matrix of whole numbers in one of :data:`graphkit.io.endings.SPARSE_FORMATS`; a context manager, at
    whose end without error the file is there.

    npz is SciPy's, uncompressed, and mtx Matrix Market; both hold row and column numbers, and put what they are given
    into scratch files beside ``path`` until the number of entries is known. tsv, csv and Parquet hold the (n,) ``ids``.
    Attributes: ``entries`` so far, and ``total`` of them, which may pass 2^63.
    """

    def __init__(self, path: str | Path, kind: str, ids: np.ndarray):
        self.path, self.kind, self.ids = Path(path), kind, ids
        self.entries, self.total, self.sizes, self.row = 0, 0, [np.zeros(1, np.int64)], 0
        self._begin = {"npz": self._begin_scratch, "mtx": self._begin_scratch, "parquet": self._begin_parquet}.get(
            kind, self._begin_text
        )
        self._add = {"npz": self._add_npz, "mtx": self._add_mtx, "parquet": self._add_parquet}.get(kind, self._add_text)

    def __enter__(self) -> SparseFile:
        with contextlib.ExitStack() as stack:
            self.temporary = stack.enter_context(atomic_path(self.path))
            self._open = stack.enter_context(contextlib.ExitStack())
            self._begin()
            self._held = stack.pop_all()
        return self

    def __exit__(self, kind, problem, trace) -> bool | None:
        try:
            if kind is None and self.kind in ("npz", "mtx"):
                self._finish_npz() if self.kind == "npz" else self._finish_mtx()
        except BaseException as error:
            if not self._held.__exit__(type(error), error, error.__traceback__):
                raise
            return None
        return self._held.__exit__(kind, problem, trace)

    def add(self, sizes: np.ndarray, columns: np.ndarray, values: np.ndarray) -> None:
        """Append rows: (rows,) entries of each, and the columns and values of all."""
        self._add(np.repeat(np.arange(self.row, self.row + len(sizes)), sizes), columns, values)
        self.sizes.append(sizes)
        self.row += len(sizes)
        self.entries += len(columns)
        # Parts short enough that a sum stays below 2^63: an entry is below the square of a degree, 2^52 in practice.
        self.total += sum(int(values[at : at + 1024].sum()) for at in range(0, len(values), 1024))

    def _begin_scratch(self) -> None:
        self.scratch = [self._open.enter_context(tempfile.TemporaryFile(dir=self.path.parent)) for _ in range(2)]  # noqa: SIM115

    def _begin_text(self) -> None:
        self.stream = self._open.enter_context(open(self.temporary, "wb"))  # noqa: SIM115
        empty = {"source": self.ids[:0], "target": self.ids[:0], "count": self.ids[:0]}
        tables.write_text(self.stream, empty, tables.SEPARATORS[self.kind])

    def _begin_parquet(self) -> None:
        self.names = (
            pa.array(self.ids.astype(str).astype(object)) if self.ids.dtype.kind in "OUS" else pa.array(self.ids)
        )
        self.schema = pa.schema([("source", self.names.type), ("target", self.names.type), ("count", pa.int64())])
        self.parquet = self._open.enter_context(parquet.ParquetWriter(self.temporary, self.schema))

    def _add_npz(self, rows, columns, values) -> None:
        self.scratch[0].write(np.ascontiguousarray(columns, np.int32).data)
        self.scratch[1].write(np.ascontiguousarray(values, np.int64).data)

    def _add_mtx(self, rows, columns, values) -> None:
        table = pa.table({"row": rows + 1, "column": columns + 1, "value": values})
        csv.write_csv(table, self.scratch[0], csv.WriteOptions(include_header=False, delimiter=" "))

    def _add_text(self, rows, columns, values) -> None:
        found = {"source": self.ids[rows], "target": self.ids[columns], "count": values}
        tables.write_text(self.stream, found, tables.SEPARATORS[self.kind], header=False)

    def _add_parquet(self, rows, columns, values) -> None:
        sources, targets = (self.names.take(pa.array(places)) for places in (rows, columns))
        self.parquet.write_table(pa.table([sources, targets, pa.array(values, pa.int64())], schema=self.schema))

    def _finish_npz(self) -> None:
        n = len(self.ids)
        small = {
            "indptr": np.cumsum(np.concatenate(self.sizes)),
            "format": np.array(b"csr"),
            "shape": np.array([n, n]),
            "_is_array": np.array(True),
        }
        with zipfile.ZipFile(self.temporary, "w") as archive:
            for name, array in small.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
            for name, dtype, scratch in zip(("indices", "data"), (np.int32, np.int64), self.scratch):
                described = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (self.entries,)}
                scratch.seek(0)
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array_header_1_0(member, described)
                    shutil.copyfileobj(scratch, member, 1 << 20)

    def _finish_mtx(self) -> None:
        n = len(self.ids)
        with open(self.temporary, "wb") as stream:
            stream.write(f"%%MatrixMarket matrix coordinate integer general\n{n} {n} {self.entries}\n".encode())
            self.scratch[0].seek(0)
            shutil.copyfileobj(self.scratch[0], stream, 1 << 20)
