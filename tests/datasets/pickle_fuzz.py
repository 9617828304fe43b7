"""Builds pickles from opcodes and reads them, in a process of its own: ``python pickle_fuzz.py FIRST COUNT FOLDER``.

Case k depends on k alone. The generator knows the globals that the restricted unpickler allows and composes calls,
states and items on whatever they give, well-formed ones with one part exchanged among them; what is read is then walked
through, as a reader would. Before each case its number goes to FOLDER/case. A line on stdout for a case that took more
memory than :data:`MEMORY` or more time than :data:`SECONDS`, or that raised something else than a DataError.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import random
import resource
import struct
import sys
import zipfile
from pathlib import Path

MEMORY = 64 << 20  # bytes that reading one file of at most LARGEST bytes may add to the process
LARGEST = 64 << 10
SECONDS = 20.0
ADDRESSES = 4 << 30  # bytes of address space beyond those of the start; a claim beyond that is a MemoryError

GLOBALS = [
    "numpy ndarray",
    "numpy dtype",
    "numpy.core.multiarray _reconstruct",
    "numpy.core.multiarray scalar",
    "numpy.core.numeric _frombuffer",
    "numpy._core.multiarray _reconstruct",
    "scipy.sparse.csr csr_matrix",
    "scipy.sparse._csr csr_matrix",
    "collections defaultdict",
    "collections OrderedDict",
    "builtins list",
    "builtins bytes",
    "__builtin__ list",
    "_codecs encode",
    "torch._utils _rebuild_tensor_v2",
    "torch.storage _load_from_bytes",
    "torch LongStorage",
    "torch FloatStorage",
    "torch_geometric.data.data Data",
    "builtins getattr",
    "numpy.core.multiarray frombuffer",
    "os system",
    "copyreg _reconstructor",
]
CODES = [
    "O",
    "O8",
    "|O",
    "<i8",
    "i4",
    "u1",
    "f8",
    "<f4",
    "?",
    "b1",
    "S4",
    "U3",
    "S0",
    "U99999999",
    "V8",
    "V0",
    "M8[ns]",
    "c16",
    "i8,O",
    "(9999,9999)f8",
    "O,O",
    "|b1",
    ">i2",
    "f2",
    "",
    "x",
]
WORDS = [
    "",
    "b",
    "latin1",
    "utf-8",
    "C",
    "F",
    "K",
    "<",
    ">",
    "|",
    "=",
    "storage",
    "0",
    "cpu",
    "data",
    "indices",
    "indptr",
    "_shape",
    "shape",
    "train",
    "edge",
    "__class__",
    "__dict__",
    "a" * 300,
]
NUMBERS = [
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    16,
    32,
    255,
    1000,
    -1,
    -8,
    1 << 20,
    (1 << 31) - 1,
    -(1 << 31),
    1 << 40,
    1 << 62,
    (1 << 63) - 1,
    1 << 64,
    1 << 90,
]


class Builder:
    """Makes the opcodes of random values."""

    def __init__(self, seed: int):
        self.random, self.kept = random.Random(seed), 0

    def pickle(self) -> bytes:
        """A whole pickle: mostly one value, sometimes a soup of them and of loose opcodes."""
        if self.chance(0.04):
            return b"\x80\x02" + self.soup() + b"."
        if self.chance(0.12):
            return b"\x80\x04" + self.bomb() + b"."
        return b"\x80\x02" + self.value(0) + (b"." if self.chance(0.98) else b"")

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def one(self, choices):
        return self.random.choice(choices)

    # Plain values

    def number(self, value: int | None = None) -> bytes:
        value = self.one(NUMBERS) if value is None else value
        if -(1 << 31) <= value < 1 << 31 and self.chance(0.9):
            return b"J" + struct.pack("<i", value)
        raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw

    def text(self, value: str | None = None) -> bytes:
        raw = (self.one(WORDS + CODES) if value is None else value).encode()
        return self.one([b"X" + struct.pack("<I", len(raw)), b"T" + struct.pack("<i", len(raw))]) + raw

    def raw(self, count: int | None = None) -> bytes:
        count = self.one([0, 1, 4, 8, 16, 24, 32, 40, 64, 256]) if count is None else count
        content = self.one(
            [
                b"A" * count,
                bytes(count),
                self.random.randbytes(count),
                b"\x10\0\0\0\0\0\0\0" * (count // 8) + b"\1" * (count % 8),
            ]
        )
        return self.one([b"B" + struct.pack("<I", count), b"T" + struct.pack("<i", count)]) + content

    def name(self, word: str | None = None) -> bytes:
        return b"c" + (word or self.one(GLOBALS)).replace(" ", "\n").encode() + b"\n"

    def tuple(self, *parts: bytes) -> bytes:
        return b"(" + b"".join(parts) + b"t"

    def keep(self, made: bytes) -> bytes:
        """The value, put into the memo half of the time."""
        if self.kept < 250 and self.chance(0.5):
            self.kept += 1
            return made + b"q" + bytes([self.kept - 1])
        return made

    def kept_before(self) -> bytes:
        return b"h" + bytes([self.random.randrange(self.kept)]) if self.kept else b"N"

    def value(self, depth: int) -> bytes:
        plain = [
            self.number,
            self.text,
            self.raw,
            self.kept_before,
            lambda: self.one([b"N", b"\x88", b"\x89", b")", b"]", b"}"]),
            self.name,
            lambda: b"G" + struct.pack(">d", self.one([0.0, -1.0, 1e300, float("nan"), float("inf")])),
        ]
        if depth > 5:
            return self.one(plain)()
        made = [
            self.array,
            self.array,
            self.array,
            self.dtype,
            self.scalar,
            self.buffer,
            self.matrix,
            self.tensor,
            self.tensor,
            self.mapping,
            self.mapping,
            self.list,
            self.list,
            self.call,
            self.built,
            self.itself,
            self.graph_data,
        ]
        if self.chance(0.25):
            return self.one(plain)()
        return self.keep(self.one(made)(depth + 1))

    # Containers

    def list(self, depth: int) -> bytes:
        start = self.keep(b"]")
        items = b"".join(self.value(depth) for _ in range(self.random.randrange(4)))
        return start + b"(" + items + b"e"

    def items(self, depth: int) -> bytes:
        pairs = [
            self.one([self.text, self.number, lambda: self.value(depth)])() + self.value(depth)
            for _ in range(self.random.randrange(4))
        ]
        return b"(" + b"".join(pairs) + b"u"

    def mapping(self, depth: int) -> bytes:
        factory = self.one([self.name("__builtin__ list"), self.name("builtins bytes"), self.name(), self.value(depth)])
        start = self.one(
            [
                b"}",
                b"}",
                self.name("collections defaultdict") + self.tuple(factory) + b"R",
                self.name("collections OrderedDict") + b")R",
                self.name("collections OrderedDict") + self.tuple(self.value(depth)) + b"R",
            ]
        )
        return self.keep(start) + self.items(depth)

    def itself(self, depth: int) -> bytes:
        """A container that holds itself, directly or in a tuple."""
        number, self.kept = self.kept, min(self.kept + 1, 250)
        put, get = b"q" + bytes([number]), b"h" + bytes([number])
        return self.one(
            [
                b"]" + put + get + b"a",
                b"}" + put + self.text() + get + b"s",
                b"]" + put + b"(" + get + b"ta",
                b"}" + put + get + self.text() + b"s",
            ]
        )

    # Arrays

    def dtype(self, depth: int, code: str | None = None) -> bytes:
        code = self.text(code or self.one(CODES)) if self.chance(0.95) else self.value(depth)
        made = self.keep(self.name("numpy dtype") + self.tuple(code, b"\x89", self.one([b"\x88", b"\x89"])) + b"R")
        if self.chance(0.45):
            return made
        state = [
            self.number(self.one([3, 3, 3, 4, 1])),
            self.text(self.one("|<>=!")),
            b"N",
            b"N",
            b"N",
            self.number(self.one([-1, -1, 8, 0])),
            self.number(self.one([-1, -1, 1, 8])),
            self.number(self.one([0, 0, 63, 8, 1, -1])),
        ]
        if self.chance(0.25):
            state[self.random.randrange(len(state))] = self.value(depth)
        if self.chance(0.1):
            state.append(self.mapping(depth))
        return made + self.tuple(*state) + b"b"

    def shape(self, depth: int) -> bytes:
        if self.chance(0.1):
            return self.value(depth)
        return self.tuple(
            *(
                self.number(self.one([0, 1, 2, 4, 8, self.one(NUMBERS)]))
                for _ in range(self.one([0, 1, 1, 1, 2, 3, 40]))
            )
        )

    def content(self, depth: int) -> bytes:
        encoded = (
            self.name("_codecs encode") + self.tuple(self.text("A" * self.one([0, 8, 32])), self.text("latin1")) + b"R"
        )
        return self.one(
            [self.raw, self.raw, self.raw, lambda: self.list(depth), lambda: self.value(depth), lambda: encoded]
        )()

    def array(self, depth: int) -> bytes:
        first = self.name("numpy ndarray") if self.chance(0.95) else self.value(depth)
        made = self.name(self.one(["numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"]))
        made = self.keep(made + self.tuple(first, self.tuple(self.number(0)), self.text("b")) + b"R")
        if self.chance(0.5):  # sizes that fit
            size, code = self.one([(8, "O"), (8, "<i8"), (8, "f8"), (1, "u1"), (4, "S4")])
            count = self.one([0, 1, 2, 4, 5])
            state = [
                self.number(1),
                self.tuple(self.number(count)),
                self.dtype(depth, code),
                self.one([b"\x88", b"\x89"]),
                self.raw(size * count),
            ]
        else:
            state = [
                self.number(1),
                self.shape(depth),
                self.dtype(depth),
                self.one([b"\x88", b"\x89"]),
                self.content(depth),
            ]
        if self.chance(0.15):
            state[self.random.randrange(len(state))] = self.value(depth)
        return made + (self.tuple(*state) + b"b") * self.one([1, 1, 1, 1, 0, 2])

    def scalar(self, depth: int) -> bytes:
        return self.name("numpy.core.multiarray scalar") + self.tuple(self.dtype(depth), self.content(depth)) + b"R"

    def buffer(self, depth: int) -> bytes:
        parts = [self.content(depth), self.dtype(depth), self.shape(depth), self.text(self.one("CFK"))]
        return (
            self.name("numpy.core.numeric _frombuffer")
            + self.tuple(*parts, *([self.shape(depth)] if self.chance(0.3) else []))
            + b"R"
        )

    def matrix(self, depth: int) -> bytes:
        made = self.keep(
            self.name(self.one(["scipy.sparse.csr csr_matrix", "scipy.sparse._csr csr_matrix"]))
            + b")"
            + self.one([b"\x81", b"R"])
        )
        count = self.one([1, 2, 3])
        fields = {
            "_shape": self.tuple(self.number(count), self.number(self.one([1, 5, *NUMBERS]))),
            "data": self.plain_array("<f8", count),
            "indices": self.plain_array("<i4", count),
            "indptr": self.plain_array("<i4", count + 1),
        }
        if self.chance(0.6):
            fields[self.one(list(fields))] = self.value(depth)
        state = b"}(" + b"".join(self.text(key) + item for key, item in fields.items()) + b"u"
        return made + (state if self.chance(0.9) else self.value(depth)) + b"b"

    def plain_array(self, code: str, count: int) -> bytes:
        values = (
            [self.one([0, 1, 2, 3, count, *NUMBERS]) for _ in range(count)] if self.chance(0.5) else list(range(count))
        )
        raw = b"".join(struct.pack("<d", v) if code == "<f8" else struct.pack("<q", v % (1 << 62))[:4] for v in values)
        made = self.name("numpy.core.multiarray _reconstruct") + self.tuple(
            self.name("numpy ndarray"), self.tuple(self.number(0)), self.text("b")
        )
        kind = self.name("numpy dtype") + self.tuple(self.text(code), b"\x89", b"\x88") + b"R"
        state = self.tuple(
            self.number(1), self.tuple(self.number(count)), kind, b"\x89", b"B" + struct.pack("<I", len(raw)) + raw
        )
        return made + b"R" + state + b"b"

    def tensor(self, depth: int) -> bytes:
        identifier = [
            self.text("storage"),
            self.name(self.one(["torch LongStorage", "torch FloatStorage"])),
            self.text("0"),
            self.text("cpu"),
            self.number(self.one([1, 8, *NUMBERS])),
        ]
        if self.chance(0.2):
            identifier[self.random.randrange(5)] = self.value(depth)
        storage = self.tuple(*identifier) + b"Q"
        if self.chance(0.2):
            storage = (
                self.name("torch.storage _load_from_bytes")
                + self.tuple(self.one([self.raw(), self.nested(depth), self.value(depth)]))
                + b"R"
            )
        parts = [
            storage,
            self.number(self.one([0, 0, 1, *NUMBERS])),
            self.shape(depth),
            self.shape(depth),
            b"\x89",
            self.name("collections OrderedDict") + b")R",
        ]
        if self.chance(0.5):
            sides = self.random.randrange(1, 4)
            parts[2] = self.tuple(*(self.number(self.one([1, 2, 4, 10**5, 7 * 10**8, 1 << 40])) for _ in range(sides)))
            parts[3] = self.tuple(*(self.number(self.one([0, 0, 1, 1 << 40])) for _ in range(sides)))
        return self.name("torch._utils _rebuild_tensor_v2") + self.tuple(*parts) + b"R"

    def nested(self, depth: int) -> bytes:
        """The bytes of an old torch file of one storage."""
        kind = (
            self.tuple(
                self.text("storage"),
                self.name("torch LongStorage"),
                self.text("7"),
                self.text("cpu"),
                self.number(2),
                b"N",
            )
            + b"Q"
        )
        parts = [self.number(1 << 79), self.number(1001), b"}", kind, b"](" + self.text("7") + b"e"]
        raw = b"".join(b"\x80\x02" + part + b"." for part in parts) + struct.pack(
            "<qqq", self.one([2, 2, 1 << 60, -1]), 5, 6
        )
        return b"B" + struct.pack("<I", len(raw)) + raw

    def graph_data(self, depth: int) -> bytes:
        return (
            self.name("torch_geometric.data.data Data")
            + b")\x81"
            + (self.mapping(depth) if self.chance(0.7) else self.value(depth))
            + b"b"
        )

    # Whatever

    def call(self, depth: int) -> bytes:
        arguments = (
            self.tuple(*(self.value(depth) for _ in range(self.random.randrange(4))))
            if self.chance(0.9)
            else self.value(depth)
        )
        return (self.name() if self.chance(0.9) else self.value(depth)) + arguments + self.one([b"R", b"R", b"\x81"])

    def built(self, depth: int) -> bytes:
        """A value with a state, items or both, whatever it is."""
        state = self.one([self.value(depth), self.tuple(self.value(depth), self.value(depth)), self.mapping(depth)])
        ends = [
            state + b"b",
            self.items(depth),
            self.value(depth) + b"a",
            b"(" + self.value(depth) + self.value(depth) + b"e",
        ]
        return self.value(depth) + self.one(ends) + (self.one(ends) if self.chance(0.3) else b"")

    def soup(self) -> bytes:
        parts = [
            self.value(4),
            self.random.randbytes(1),
            self.one([b"R", b"b", b"u", b"e", b"a", b"s", b"0", b"1", b"2", b"(", b"t", b"\x81"]),
        ]
        return b"".join(self.one(parts) for _ in range(self.random.randrange(1, 30)))

    def bomb(self) -> bytes:
        """Little that would become much: by references, by depth, by copies, by hashes."""
        kind = self.random.randrange(7)
        if kind == 0:  # lists, tuples or dictionaries of two of the one before
            end = self.one(
                [
                    lambda get: b"](" + get + get + b"e",
                    lambda get: get + get + b"\x86",
                    lambda get: b"}(" + self.text("a") + get + self.text("b") + get + b"u",
                ]
            )
            out = b"](" + self.number(1) * 2 + b"e\x94"
            return out + b"".join(b"0" + end(b"h" + bytes([k])) + b"\x94" for k in range(self.one([12, 30, 60])))
        if kind == 1:  # deeper than any stack
            return self.one(
                [b"]" * 20000 + b"a" * 19999, b"N" + b"\x85" * 20000, b"}" + b"NN" * 0 + (b"N}" * 9000) + b"s" * 9000]
            )
        big = b"B" + struct.pack("<I", 20000) + bytes(20000) + b"q\x00"
        if kind == 2:  # many arrays of the same bytes
            made = (
                self.name("numpy.core.multiarray _reconstruct")
                + b"q\x02"
                + b"0"
                + self.name("numpy ndarray")
                + b"q\x03"
                + b"0"
            )
            kinds = self.name("numpy dtype") + self.tuple(self.text("u1"), b"\x89", b"\x88") + b"Rq\x04" + b"0"
            one = b"h\x02(h\x03(K\x00t" + b"U\x01btR(K\x01(J" + struct.pack("<i", 20000) + b"th\x04\x89h\x00tb"
            return big + b"0" + made + kinds + b"](" + one * self.one([100, 900]) + b"e"
        if kind == 3:  # a text encoded again and again
            text = (
                b"X"
                + struct.pack("<I", 20000)
                + b"x" * 20000
                + b"q\x00"
                + b"0"
                + self.name("_codecs encode")
                + b"q\x01"
                + b"0"
            )
            return text + b"](" + b"h\x01h\x00X\x06\x00\x00\x00latin1\x86R" * self.one([100, 2000]) + b"e"
        if kind == 4:  # one large value, held many times
            return big + b"0](" + b"h\x00" * self.one([1000, 15000]) + b"e"
        if kind == 5:  # keys of one hash
            modulus = (1 << 61) - 1
            return b"}(" + b"".join(self.number(k * modulus) + b"N" for k in range(self.one([50, 3000]))) + b"u"
        return (
            b"B"
            + struct.pack("<I", self.one([1 << 30, (1 << 32) - 1]))
            + self.one([b"", b"\x96" + struct.pack("<Q", 1 << 60)])
        )


def write(number: int, folder: Path) -> tuple[Path, str]:
    """Write case ``number`` and return its path and the function that reads it."""
    builder = Builder(number)
    content, form = builder.pickle()[:LARGEST], builder.random.random()
    path = folder / "case.pkl"
    if form < 0.5:
        path.write_bytes(content)
        return path, "load_pickle"
    if form < 0.65:
        header = f"{{'descr': '|O', 'fortran_order': False, 'shape': {builder.one(['()', '(1,)', '(4,)'])}, }}".encode()
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content)
        return path, "load_npy"
    if form < 0.75:
        path.write_bytes(b"\x80\x02\x8a\x01\x00.\x80\x02K\x01.\x80\x02}." + content)
        return path, "load_torch"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", bytes(range(builder.one([0, 8, 32, 64]))))
    return path, "load_torch"


def walk(value, left: int = 100_000) -> int:
    """Look at every part of a value and at its bytes, as readers do; returns how many parts may still be looked at."""
    import numpy as np

    stack = [value]
    while stack and left > 0:
        part = stack.pop()
        left -= 1
        if isinstance(part, dict):
            stack.extend(part.keys())
            stack.extend(part.values())
        elif isinstance(part, (list, tuple)):
            stack.extend(part)
        elif isinstance(part, np.ndarray):
            stack.extend(part.ravel().tolist()[:1000] if part.dtype == object else [part.tobytes()[:10]])
            repr(part.shape)
        elif hasattr(part, "tocoo"):
            part.tocoo()
        else:
            repr(part)
    with contextlib.suppress(ValueError, TypeError, OverflowError, RecursionError):
        np.asarray(value)
    return left


def peak() -> int:
    """Highest resident memory of this process, in bytes."""
    from graphkit.core.machine import peak_rss_mb

    return int(peak_rss_mb() * 2**20)


def main(first: int, count: int, folder: Path) -> None:
    import numpy
    import scipy.sparse
    import torch

    from graphkit.core.errors import DataError
    from graphkit.datasets.readers import unpickle

    (
        numpy.asarray(torch.zeros(1)),
        scipy.sparse.eye(3).tocsr(),
    )  # what is imported late would look like memory of a case
    for warm in range(3):
        with contextlib.suppress(DataError):
            path, reader = write(warm, folder)
            getattr(unpickle, reader)(path)
    with open("/proc/self/statm") as stream:
        pages = int(stream.read().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.setrecursionlimit(1000)
    before = peak()
    read = 0
    for number in range(first, first + count):
        path, reader = write(number, folder)
        (folder / "case").write_text(str(number))
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        try:
            walk(getattr(unpickle, reader)(path))
            read += 1
        except DataError as problem:
            said = str(problem)
            if "\n" in said or len(said) > 1000 or "llocate" in said or "MemoryError" in said:
                print(f"{number} message {said[:300]!r}")
        except BaseException as problem:
            print(f"{number} {type(problem).__name__} {str(problem)[:200]!r}")
        faulthandler.cancel_dump_traceback_later()
        if peak() - before > MEMORY:
            print(f"{number} memory {(peak() - before) >> 20} MiB")
            before = peak()
    print(f"read {read} of {count}, {(peak() - before) >> 20} MiB")
    (folder / "case").write_text("done")


if __name__ == "__main__":
    faulthandler.enable(io.TextIOWrapper(os.fdopen(os.dup(2), "wb"), write_through=True))
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
