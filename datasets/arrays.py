"""numpy's npy and npz files, read without trust: no pickles, and no more memory than the file's own size allows."""

from __future__ import annotations

import ast
import io
import re
import zipfile
from typing import TYPE_CHECKING

from graphkit.datasets.files import Blob, check_size, memory_limit, size
from graphkit.lazy import np

if TYPE_CHECKING:
    import numpy

NPY = b"\x93NUMPY"
MAX_DEFLATE = 1032  # deflate cannot pack more bytes into one
MAX_HEADER = 1 << 16
KINDS = "biufUS"


def read_npy(blob: Blob, data: bytes, name: str = "the array") -> numpy.ndarray:
    """An array of numbers or fixed-width text from the bytes of an npy file; a view of them, not writable."""
    if not data.startswith(NPY) or len(data) < 12:
        raise blob.error(f"{name} is not in npy format, expected it to begin with \\x93NUMPY")
    width = 2 if data[6] == 1 else 4
    length = int.from_bytes(data[8 : 8 + width], "little")
    if data[6] not in (1, 2, 3) or length > MAX_HEADER or 8 + width + length > len(data):
        raise blob.error(f"{name} has a damaged npy header (version {data[6]}, {length} bytes of {len(data)})")
    start = 8 + width + length
    dtype, shape, fortran = _header(blob, data[8 + width : start], name)
    declared = dtype.itemsize
    for extent in shape:
        declared *= extent
    check_size(blob, f"{name} of shape {shape}", declared, len(data) - start)
    flat = np.frombuffer(data, dtype, count=declared // max(dtype.itemsize, 1), offset=start)
    array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _header(blob: Blob, header: bytes, name: str):
    if re.search(rb"\|?O[0-9]*['\"]", header):
        raise blob.error(f"{name} holds Python objects (a pickle), which is not read; expected numbers or text")
    try:
        fields = ast.literal_eval(header.decode("latin1").strip())
        shape, fortran, dtype = fields["shape"], fields["fortran_order"], np.dtype(fields["descr"])
    except Exception as problem:  # literal_eval and dtype raise whatever they like on rubbish
        raise blob.error(f"{name} has a damaged npy header: {problem}") from None
    sound = isinstance(shape, tuple) and all(type(extent) is int and 0 <= extent < 1 << 60 for extent in shape)
    if not sound or len(shape) > 4 or not isinstance(fortran, bool):
        raise blob.error(f"{name} has a damaged npy header: shape {shape!r}")
    if dtype.hasobject or dtype.kind not in KINDS or dtype.itemsize == 0 or dtype.shape:
        raise blob.error(f"{name} has type {fields['descr']!r}, expected numbers or text")
    return dtype, shape, fortran


class Npz:
    """The arrays of an npz file, each read when asked for."""

    def __init__(self, blob: Blob):
        self.blob = blob
        if not blob.data.startswith(b"PK"):
            raise blob.error("not an npz file, expected a zip archive of arrays")
        try:
            self.archive = zipfile.ZipFile(io.BytesIO(blob.data))
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as problem:
            raise blob.error(f"not an npz file, or one that is cut off: {problem}") from None
        self.members = {info.filename[:-4]: info for info in self.archive.infolist() if info.filename.endswith(".npy")}

    def __contains__(self, name: str) -> bool:
        return name in self.members

    def __getitem__(self, name: str) -> numpy.ndarray:
        if name not in self.members:
            raise self.blob.error(f"no array {name!r}, found {self.names()}")
        info = self.members[name]
        packed = min(info.compress_size, len(self.blob.data))
        check_size(self.blob, f"array {name!r}", info.file_size, packed * MAX_DEFLATE if info.compress_type else packed)
        if info.file_size > memory_limit():
            raise self.blob.error(f"array {name!r} declares {size(info.file_size)}, more than the memory available")
        try:
            data = self.archive.read(info)
        except Exception as problem:  # zlib.error, BadZipFile, struct.error, NotImplementedError, RuntimeError ...
            raise self.blob.error(f"array {name!r} is damaged: {problem}") from None
        return read_npy(self.blob, data, f"array {name!r}")

    def names(self) -> str:
        """The arrays for a message."""
        found = list(self.members)
        return "no arrays" if not found else ", ".join(repr(n) for n in found[:8]) + (", ..." if len(found) > 8 else "")


def read_matrix(blob: Blob) -> numpy.ndarray:
    """(rows, columns) float64 from npy, or from npz that holds one array, ``features`` or a SciPy sparse matrix."""
    if blob.data.startswith(NPY):
        array = read_npy(blob, blob.data)
    elif blob.suffix == ".npy":
        raise blob.error("not an npy file, expected it to begin with \\x93NUMPY")
    else:
        archive = Npz(blob)
        if "format" in archive:
            from graphkit.datasets.matrices import sparse_of

            matrix = sparse_of(archive)
            if matrix.shape[0] * matrix.shape[1] * 8 > memory_limit():
                raise blob.error(f"features of shape {matrix.shape} exceed the memory available")
            array = matrix.toarray()
        else:
            wanted = [n for n in ("features", "feat", "x", "X", "labels", "label", "y") if n in archive]
            name = next(iter(archive.members), None) if len(archive.members) == 1 else next(iter(wanted), None)
            if name is None:
                raise blob.error(f"found {archive.names()}, expected one array, or one called 'features' or 'labels'")
            array = archive[name]
    if array.dtype.kind in "US" or array.ndim not in (1, 2):
        raise blob.error(f"found an array of type {array.dtype} and shape {array.shape}, expected (nodes, columns) numbers")
    return array.astype(np.float64).reshape(len(array), -1)
