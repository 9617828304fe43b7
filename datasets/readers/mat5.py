"""Variables of a MATLAB 5 to 7 ``.mat`` file: sparse and full matrices of real numbers.

SciPy's reader follows the file's lengths in C, and some damaged files end the process. This one reads the few kinds of
variables that hold a graph, and checks every length and index. Layout: MathWorks, "MAT-File Format", R2019b.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from graphkit.io import budget
from graphkit.io.blob import Blob, check_size

HEADER = 128
MATRIX, COMPRESSED = 14, 15
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CLASSES = {
    1: "cell",
    2: "struct",
    3: "object",
    4: "char",
    5: "sparse",
    6: "double",
    7: "single",
    8: "int8",
    9: "uint8",
    10: "int16",
    11: "uint16",
    12: "int32",
    13: "uint32",
    14: "int64",
    15: "uint64",
    16: "function",
    17: "opaque",
    18: "object",
}
COMPLEX = 0x0800
MAX_DEFLATE = 1032  # deflate cannot pack more bytes into one
PEEK = 4096  # holds flags, dimensions and name of any variable


@dataclass
class Variable:
    """A variable as its header declares it: its element lies at ``at``, its values begin ``start`` bytes further."""

    name: str
    kind: str
    shape: tuple[int, ...]
    is_complex: bool
    start: int
    packed: bool
    at: int
    length: int


class MatFile:
    """The variables of a file, each read when asked for."""

    def __init__(self, blob: Blob):
        self.blob, data = blob, blob.data
        if b"HDF" in data[:8] or data.startswith(b"MATLAB 7.3"):
            raise blob.error("MATLAB v7.3 (HDF5), expected v7 or older; in MATLAB: save(file, '-v7')")
        if len(data) < HEADER or data[126:128] not in (b"IM", b"MI"):
            raise blob.error("not a MATLAB file, expected version 5 to 7 and its mark at byte 126")
        self.order = "<" if data[126:128] == b"IM" else ">"
        self.variables = list(self._scan())

    def _scan(self):
        place, data = HEADER, self.blob.data
        while place < len(data):
            if len(data) - place < 8:
                raise self.blob.error(f"ends inside a tag at byte {place}")
            kind, length = struct.unpack_from(f"{self.order}II", data, place)
            check_size(self.blob, f"element at byte {place}", length, len(data) - place - 8)
            if kind not in (MATRIX, COMPRESSED):
                raise self.blob.error(f"element of type {kind} at byte {place}, expected a matrix")
            variable = self._variable(place + 8, length, kind == COMPRESSED)
            if variable is not None:
                yield variable
            place += 8 + length

    def _variable(self, at: int, length: int, packed: bool) -> Variable | None:
        head = self.blob.data[at : at + min(length, PEEK)]
        if packed:
            head = self._unpack(at, length, PEEK)
            kind, declared = struct.unpack_from(f"{self.order}II", head) if len(head) >= 8 else (0, 0)
            if kind != MATRIX:
                raise self.blob.error(f"packed element at byte {at} holds type {kind}, expected a matrix")
            what = f"packed element at byte {at}"
            check_size(self.blob, what, declared, length * MAX_DEFLATE)
            length, head = declared, head[8:]
        elements = Elements(self.blob, head, self.order)
        flags = elements.numbers("flags")
        if len(flags) != 2:
            raise self.blob.error(f"variable at byte {at} has {len(flags)} flags, expected 2")
        if int(flags[0]) & 0xFF == 17:
            return None  # an opaque object has no dimensions; nothing to read in it
        shape = tuple(elements.numbers("dimensions").tolist())
        name = bytes(elements.take("name")[1]).decode("latin1")
        if min(shape, default=-1) < 0:
            raise self.blob.error(f"variable {name!r} has shape {shape}, expected sizes")
        kind = CLASSES.get(int(flags[0]) & 0xFF, "unknown")
        return Variable(name, kind, shape, bool(int(flags[0]) & COMPLEX), elements.place, packed, at, length)

    def _unpack(self, at: int, length: int, most: int) -> bytes:
        try:
            return zlib.decompressobj().decompress(memoryview(self.blob.data)[at : at + length], most)
        except zlib.error as problem:
            raise self.blob.error(f"packed element at byte {at} is damaged: {problem}") from None

    def read(self, variable: Variable) -> np.ndarray | scipy.sparse.coo_matrix:
        """The values of a sparse (COO) or full matrix of real numbers."""
        at, length = variable.at, variable.length
        if variable.packed:
            packed = struct.unpack_from(f"{self.order}I", self.blob.data, at - 4)[0]
            budget.take(length, self.blob.name, f"variable {variable.name!r}")
            body = memoryview(self._unpack(at, packed, length + 8))[8:]
        else:
            body = memoryview(self.blob.data)[at : at + length]
        if len(body) < length:
            raise self.blob.error(f"variable {variable.name!r} is cut off: {len(body)} of {length} bytes")
        elements = Elements(self.blob, body, self.order, variable.start)
        if variable.is_complex or variable.kind not in list(CLASSES.values())[4:15]:
            raise self.blob.error(f"variable {variable.name!r} is {variable.kind}, expected a matrix of real numbers")
        if variable.kind == "sparse":
            return self._sparse(variable, elements)
        values, expected = elements.numbers(variable.name), 1
        for extent in variable.shape:
            expected *= extent
        if len(values) != expected:
            raise self.blob.error(f"variable {variable.name!r} of shape {variable.shape} holds {len(values)} values")
        return values.reshape(variable.shape, order="F")

    def _sparse(self, variable: Variable, elements: Elements):
        name = variable.name
        rows, columns = variable.shape if len(variable.shape) == 2 else (-1, -1)
        indices, pointers = (elements.numbers(f"{what} of {name}") for what in ("rows", "columns"))
        if rows < 0 or len(pointers) != columns + 1 or "f" in indices.dtype.kind + pointers.dtype.kind:
            raise self.blob.error(f"sparse {name!r} of shape {variable.shape} has {len(pointers)} column pointers")
        pointers, count = pointers.astype(np.int64), int(pointers[-1])
        if pointers[0] != 0 or (np.diff(pointers) < 0).any() or count > len(indices):
            raise self.blob.error(
                f"column pointers of sparse {name!r} do not rise from 0 to its {len(indices)} entries"
            )
        indices = indices[:count].astype(np.int64)  # MATLAB may reserve room for more entries
        if count and not 0 <= indices.min() <= indices.max() < rows:
            wrong = indices[(indices < 0) | (indices >= rows)][0]
            raise self.blob.error(f"sparse {name!r} names row {wrong}, expected 0..{rows - 1}")
        values = elements.numbers(f"values of {name}") if count else np.zeros(0)
        if len(values) < count:
            raise self.blob.error(f"sparse {name!r} has {len(values)} values for {count} entries")
        column = np.repeat(np.arange(columns), np.diff(pointers))
        return scipy.sparse.coo_matrix((values[:count], (indices, column)), shape=(rows, columns))


class Elements:
    """Reads the elements inside a variable one after the other."""

    def __init__(self, blob: Blob, data: bytes | memoryview, order: str, place: int = 0):
        self.blob, self.data, self.order, self.place = blob, data, order, place

    def take(self, what: str) -> tuple[int, bytes | memoryview]:
        """(type, bytes) of the next element."""
        if len(self.data) - self.place < 8:
            raise self.blob.error(f"ends before the {what} of a variable")
        kind, length = struct.unpack_from(f"{self.order}II", self.data, self.place)
        start = self.place + 8
        if kind >> 16:  # a short element: its length and data share the tag
            kind, length, start = kind & 0xFFFF, kind >> 16, self.place + 4
            if length > 4:
                raise self.blob.error(f"{what} declares {length} bytes in a short element, expected at most 4")
            self.place += 8
        else:
            check_size(self.blob, what, length, len(self.data) - start)
            self.place = start + length + -length % 8
        return kind, self.data[start : start + length]

    def numbers(self, what: str) -> np.ndarray:
        """The next element as a vector of numbers."""
        kind, data = self.take(what)
        if kind not in TYPES:
            raise self.blob.error(f"{what} is of type {kind}, expected numbers")
        dtype = np.dtype(self.order + TYPES[kind])
        if len(data) % dtype.itemsize:
            raise self.blob.error(f"{what} has {len(data)} bytes, which is no number of {dtype}")
        return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))
