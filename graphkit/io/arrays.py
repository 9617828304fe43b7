"""NumPy's npy and npz files, read without trust: no pickles, and no more memory than the file's own size allows."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import scipy.sparse

from graphkit.core.errors import DataError
from graphkit.core.sizes import shown
from graphkit.io import budget
from graphkit.io.blob import Blob

NPY = b"\x93NUMPY"
MAX_DEFLATE = 1032  # deflate cannot pack more bytes into one
SMALL_MEMBER = 1024  # bytes that a member may claim whatever it holds
MAX_HEADER = 10_000  # as NumPy's own reader
MAX_SIDES = 8
EMPTY_SIDE = 1 << 20  # the longest side of an array with nothing in it
# The three fields as NumPy writes them, in any order: no expression of the file is ever evaluated.
FIELDS = {
    "descr": re.compile(r"'descr'\s*:\s*'([^']*)'"),
    "fortran_order": re.compile(r"'fortran_order'\s*:\s*(True|False)"),
    "shape": re.compile(r"'shape'\s*:\s*\(([\dL,\s]*)\)"),
}
NUMBERS = re.compile(r"[<>|=]?(\?|b1|[iu][1248]|f[248]|S\d{1,7}|U\d{1,7})")
OBJECTS = re.compile(r"\|?O8?")


@dataclass(frozen=True)
class Header:
    """What an npy file says of its array: type (None for objects), shape, order, and where the content begins."""

    dtype: np.dtype | None
    shape: tuple[int, ...]
    fortran: bool
    start: int

    @property
    def objects(self) -> bool:
        """Whether the content is a pickle."""
        return self.dtype is None


def read_header(data: bytes | bytearray | memoryview) -> Header:
    """The header of an npy file; raises ValueError where it is damaged, or is of another type than numbers, text and
    objects.
    """
    if bytes(data[:6]) != NPY or len(data) < 12:
        raise ValueError("is not in npy format, expected it to begin with \\x93NUMPY")
    width = 2 if data[6] == 1 else 4
    length = int.from_bytes(data[8 : 8 + width], "little")
    start = 8 + width + length
    if data[6] not in (1, 2, 3) or length > MAX_HEADER or start > len(data):
        raise ValueError(f"has a damaged npy header (version {data[6]}, {length} bytes of {len(data)})")
    text = bytes(data[8 + width : start]).decode("latin1").strip()
    found, rest = {}, text
    for name, pattern in FIELDS.items():
        match = pattern.search(text)
        if match is None:
            raise ValueError(f"has a damaged npy header: no plain {name} in {text[:120]!r}")
        found[name], rest = match, rest.replace(match[0], "", 1)
    sides = [side.strip().rstrip("L") for side in found["shape"][1].split(",") if side.strip()]
    sound = len(sides) <= MAX_SIDES and all(side.isdigit() and len(side) < 19 for side in sides)
    shape = tuple(map(int, sides)) if sound else ()
    if not sound or re.sub(r"[\s,{}]", "", rest) or (0 in shape and max(shape) > EMPTY_SIDE):
        raise ValueError(f"has a damaged npy header: {text[:120]!r}")
    code = found["descr"][1]
    if OBJECTS.fullmatch(code):
        return Header(None, shape, found["fortran_order"][1] == "True", start)
    if not NUMBERS.fullmatch(code) or np.dtype(code).itemsize == 0:
        raise ValueError(f"has type {code!r}, expected numbers or text")
    return Header(np.dtype(code), shape, found["fortran_order"][1] == "True", start)


def from_header(data: bytes | bytearray | memoryview, header: Header) -> np.ndarray:
    """The array behind a header, a view of ``data`` in the machine's byte order; raises ValueError for too few
    bytes.
    """
    assert header.dtype is not None  # objects are refused before
    needed = header.dtype.itemsize
    for side in header.shape:
        needed *= side
    held = len(data) - header.start
    if needed > held:
        raise ValueError(f"of shape {header.shape} declares {shown(needed)}, but the file holds {shown(held)}")
    flat = np.frombuffer(data, header.dtype, count=needed // header.dtype.itemsize, offset=header.start)
    array = flat.reshape(header.shape[::-1]).T if header.fortran else flat.reshape(header.shape)
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def read_npy(blob: Blob, data: bytes | bytearray, name: str = "the array") -> np.ndarray:
    """An array of numbers or fixed-width text from the bytes of an npy file, as a view of them where that can be."""
    try:
        header = read_header(data)
        if header.objects:
            raise ValueError("holds Python objects (a pickle), which is not read; expected numbers or text")
        return from_header(data, header)
    except ValueError as problem:
        raise blob.error(f"{name} {problem}") from None


def unzip(archive: zipfile.ZipFile, item: zipfile.ZipInfo, place: object, limit: int | None = None) -> bytearray:
    """The content of a member of a zip archive, counted against the budget before it is unfolded; raises
    :class:`DataError`.

    limit: size of the archive, where the member's packed size may lie.
    """
    packed = item.compress_size if limit is None else min(item.compress_size, limit)
    if item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(
            f"{place}: member {item.filename} is packed by method {item.compress_type}, expected stored or deflated"
        )
    most = packed * (MAX_DEFLATE if item.compress_type else 1) + SMALL_MEMBER * (limit is None)
    if item.file_size > most:
        raise DataError(
            f"{place}: member {item.filename} declares {shown(item.file_size)}, but the file holds {shown(most)}"
        )
    budget.take(item.file_size, place, f"member {item.filename}")
    content = bytearray(item.file_size)
    with archive.open(item) as stream:
        view, done = memoryview(content), 0
        while done < len(content) and (
            count := cast(io.BufferedIOBase, stream).readinto(view[done : done + (1 << 24)])
        ):
            done += count
        if done < len(content):
            raise DataError(f"{place}: member {item.filename} is truncated: {done} of {len(content)} bytes")
        stream.read(1)  # at the end the checksum is compared
    return content


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

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.members:
            raise self.blob.error(f"no array {name!r}, found {self.names()}")
        try:
            data = unzip(self.archive, self.members[name], self.blob.name, len(self.blob.data))
        except DataError:
            raise
        except Exception as problem:  # zlib.error, BadZipFile, struct.error, NotImplementedError, RuntimeError ...
            raise self.blob.error(f"array {name!r} is damaged: {problem}") from None
        return read_npy(self.blob, data, f"array {name!r}")

    def names(self) -> str:
        """The arrays for a message."""
        found = list(self.members)
        return "no arrays" if not found else ", ".join(repr(n) for n in found[:8]) + (", ..." if len(found) > 8 else "")


def read_matrix(blob: Blob) -> tuple[np.ndarray, np.ndarray | None]:
    """((rows, columns) numbers, (rows,) ids or None) from npy, or from npz.

    A npz holds one array, ``features`` or ``labels``, or a SciPy sparse matrix; or ``vectors`` with their ``ids``, as
    graphkit writes them. Beside a NAME.npy that graphkit wrote the ids lie in NAME.ids.tsv.
    """
    ids = None
    if blob.data.startswith(NPY):
        array, ids = read_npy(blob, blob.data), _ids_beside(blob)
    elif blob.suffix == ".npy":
        raise blob.error("not an npy file, expected it to begin with \\x93NUMPY")
    else:
        archive = Npz(blob)
        if "format" in archive:
            matrix = sparse_of(archive)
            budget.take(matrix.shape[0] * matrix.shape[1] * 8, blob.name, f"a full matrix of shape {matrix.shape}")
            array = matrix.toarray()
        else:
            wanted = [n for n in ("features", "feat", "x", "X", "labels", "label", "y", "vectors") if n in archive]
            name = next(iter(archive.members), None) if len(archive.members) == 1 else next(iter(wanted), None)
            if name is None:
                raise blob.error(f"found {archive.names()}, expected one array, or one called 'features' or 'labels'")
            array = archive[name]
            ids = archive["ids"] if "ids" in archive and name != "ids" else None
    if array.dtype.kind in "US" or array.ndim not in (1, 2):
        raise blob.error(
            f"found an array of type {array.dtype} and shape {array.shape}, expected (nodes, columns) numbers"
        )
    budget.take(array.size * 8, blob.name, f"an array of shape {array.shape}")
    if ids is not None and ids.dtype.kind not in "iuUO":
        raise blob.error(f"found ids of type {ids.dtype}, expected integers or text")
    if ids is not None and ids.dtype.kind == "U":
        ids = ids.astype(object)
    return array.reshape(len(array), -1 if array.size else int(np.prod(array.shape[1:]))), ids


def ids_path(path: str | Path) -> Path:
    """Where the ids of a .npy of vectors lie, if they are not 0..n-1."""
    return Path(path).with_suffix(".ids.tsv")


def _ids_beside(blob: Blob) -> np.ndarray | None:
    path = ids_path(blob.name)
    if blob.suffix != ".npy" or not path.is_file():
        return None
    try:
        return np.array(path.read_text(encoding="utf-8").split("\n")[1:-1], dtype=object)
    except (OSError, UnicodeDecodeError) as problem:
        raise blob.error(f"its ids in {path} cannot be read: {problem}") from None


def sparse_of(archive: Npz) -> scipy.sparse.spmatrix:
    """The sparse matrix of an npz file, every index checked; formats csr, csc and coo."""
    blob = archive.blob
    kind = np.asarray(archive["format"]).tolist()
    kind = kind.decode("latin1") if isinstance(kind, bytes) else kind
    if kind not in ("csr", "csc", "coo"):
        raise blob.error(f"sparse format {kind!r}, expected csr, csc or coo")
    shape = archive["shape"]
    if shape.dtype.kind not in "iu" or shape.shape != (2,) or shape.min() < 0 or shape.max() >= 1 << 40:
        raise blob.error(f"shape {shape.tolist()!r}, expected two sizes")
    rows, columns = (int(extent) for extent in shape)
    data = archive["data"]
    if data.ndim != 1 or data.dtype.kind not in "biuf":
        raise blob.error(f"data of type {data.dtype} and shape {data.shape}, expected a vector of numbers")
    if kind == "coo":
        row, column = (_indices(blob, archive[name], name, len(data)) for name in ("row", "col"))
    else:
        major, minor = (rows, "column") if kind == "csr" else (columns, "row")
        pointers = archive["indptr"]
        if pointers.dtype.kind not in "iu" or pointers.shape != (major + 1,):
            raise blob.error(f"indptr has shape {pointers.shape}, expected ({major + 1},) for shape {(rows, columns)}")
        pointers = pointers.astype(np.int64)
        if pointers[0] != 0 or pointers[-1] != len(data) or (np.diff(pointers) < 0).any():
            raise blob.error(f"indptr does not rise from 0 to the {len(data)} entries")
        first = np.repeat(np.arange(major), np.diff(pointers))
        second = _indices(blob, archive["indices"], "indices", len(data))
        row, column = (first, second) if minor == "column" else (second, first)
    for name, ids, extent in (("row", row, rows), ("column", column, columns)):
        if len(ids) and (ids.min() < 0 or ids.max() >= extent):
            wrong = ids[(ids < 0) | (ids >= extent)][0]
            raise blob.error(f"{name} number {wrong} is out of range, expected 0..{extent - 1}")
    return scipy.sparse.coo_matrix((data, (row, column)), shape=(rows, columns))


def _indices(blob: Blob, array, name: str, count: int):
    if array.dtype.kind not in "iu" or array.shape != (count,):
        raise blob.error(f"{name} of type {array.dtype} and shape {array.shape}, expected ({count},) integers")
    return array.astype(np.int64)
