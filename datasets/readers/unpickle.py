"""Pickled data files read without running what they say.

Graph benchmarks of the last ten years were published as pickles, npz files with pickled objects and torch files. They
are read in two steps. :mod:`graphkit.datasets.readers.pickle_opcodes` turns the file into plain values and inert
records of the names, arguments and states in it; then :mod:`graphkit.datasets.readers.pickle_values` makes arrays of
the records. No class or function of NumPy, SciPy or torch is within reach of a file, nor can it see what is made: bytes
become numbers there, after their type and shape were checked.

``torch.load(weights_only=True)`` is not used: OGB's split files hold NumPy arrays, for which it needs NumPy's own
constructors allowed, dtype states among them; up to torch 2.5 it could be made to run code (CVE-2025-32434); and a
storage of its own making may be expanded by a stride of 0. NumPy's reader of npy files takes the memory that a header
declares; :mod:`graphkit.io.arrays` checks it first.
"""

from __future__ import annotations

import os
import zipfile
from typing import Any

import numpy as np

from graphkit.core.errors import DataError
from graphkit.datasets.readers.build import check, reading
from graphkit.datasets.readers.pickle_opcodes import Machine, refuse
from graphkit.datasets.readers.pickle_values import ALLOWANCE, GLOBALS, UNFOLDING, Maker
from graphkit.io import arrays, budget


def _load(data, place: object, storage=None, skip: int = 0, held: int = 0) -> Any:
    """The value of the pickle in ``data`` behind ``skip`` others; ``held`` bytes lie beside it in the file."""
    machine = Machine(data, GLOBALS, budget.current().left)
    for _ in range(skip):
        machine.load()
    return Maker((len(data) + held) * UNFOLDING + ALLOWANCE, place, storage).value(machine.load())


def _content(path: str | os.PathLike) -> bytes:
    budget.take(os.path.getsize(path), path)
    with open(path, "rb") as file:
        return file.read()


def load_pickle(path: str | os.PathLike) -> Any:
    """Read a pickle of arrays, CSR matrices and plain containers; raises :class:`DataError` for anything else."""
    with reading(path, "a pickle"):
        return _load(_content(path), path)


def load_npy(path: str | os.PathLike) -> Any:
    """Read a .npy file, pickled objects too."""
    with reading(path, "a NumPy array"):
        return _member(bytearray(_content(path)), path)


def load_npz(path: str | os.PathLike) -> dict[str, Any]:
    """Read all members of a .npz file; a 0-d object member becomes the object it holds."""
    with reading(path, "a NumPy archive"):
        check(zipfile.is_zipfile(path), path, "no zip archive", "an .npz file")
        with zipfile.ZipFile(path) as archive:
            members = [item for item in archive.infolist() if item.filename.endswith(".npy")]
            return {
                item.filename[:-4]: _member(arrays.unzip(archive, item, path), f"{path}, member {item.filename}")
                for item in members
            }


def _member(data: bytearray, place: str | os.PathLike) -> np.ndarray | Any:
    with reading(place, "a NumPy array"):
        header = arrays.read_header(data)
        if not header.objects:
            return arrays.from_header(data, header)
        value = _load(memoryview(data)[header.start :], place)
        single = isinstance(value, np.ndarray) and value.dtype == object and value.shape == ()
        return value.item() if single else value


def load_torch(path: str | os.PathLike) -> Any:
    """Read a torch file, old form or zip, of NumPy arrays and tensors (given as arrays); no code of the file is run."""
    with reading(path, "a torch file"):
        if zipfile.is_zipfile(path):
            return _load_torch_zip(path)
        return _load(_content(path), path, skip=3)  # magic number, protocol, system information


def _load_torch_zip(path) -> Any:
    with zipfile.ZipFile(path) as archive:
        items = {item.filename.partition("/")[2]: item for item in archive.infolist()}
        if "data.pkl" not in items:
            raise DataError(f"{path}: found no data.pkl inside, expected a torch file")
        storages: dict[str, bytearray] = {}

        def storage(key: str, kind: str) -> np.ndarray:
            if key not in storages:
                if f"data/{key}" not in items:
                    raise refuse(f"found no storage {key!r} inside")
                storages[key] = arrays.unzip(archive, items[f"data/{key}"], path)
            return np.frombuffer(storages[key], dtype=kind)

        held = sum(item.file_size for item in items.values() if item.compress_type == zipfile.ZIP_STORED)
        return _load(arrays.unzip(archive, items["data.pkl"], path), path, storage, held=held)
