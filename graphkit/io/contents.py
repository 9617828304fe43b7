"""The bytes of a file or pipe, gzip unfolded as they come, counted against the budget for reading and held once."""

from __future__ import annotations

import io
import os
import stat
import zlib
from pathlib import Path
from typing import BinaryIO

from graphkit.core.errors import DataError
from graphkit.core.sizes import shown
from graphkit.io import budget
from graphkit.io.blob import Blob, refuse_binary

GZIP = b"\x1f\x8b"
SAMPLE = 1 << 16
# how binary files begin that may come without a telling suffix: zip, Parquet, MATLAB, NumPy, DGL
BINARY = (b"PK", b"PAR1", b"MATLAB", b"\x93NUMPY", b"\x3f\xa1\xb4\x46")
CHUNK = 1 << 24
TIGHT = 30
MAX_DEFLATE = 1032  # deflate cannot pack more bytes into one


class _Sink:
    """Collects pieces without a second copy: its buffer is handed out as the bytes."""

    def __init__(self, name: str, what: str):
        self.name, self.what, self.budget = name, what, budget.current()
        self.buffer, self.total = io.BytesIO(), 0

    def add(self, part: bytes) -> None:
        if len(part) > self.budget.left:
            raise DataError(f"{self.name}: {self.what} exceeds the {self.budget.describe()}")
        self.budget.take(len(part), self.name)
        self.total += len(part)
        self.buffer.write(part)

    def content(self) -> bytes:
        return self.buffer.getvalue()


class _Count:
    """Counts pieces and forgets them."""

    def __init__(self, name: str):
        self.name, self.budget, self.total = name, budget.current(), 0

    def add(self, part: bytes) -> None:
        self.total += len(part)
        if self.total > self.budget.left:
            raise DataError(f"{self.name}: gzip content exceeds the {self.budget.describe()}")


def read(handle: BinaryIO, name: str, what: str, text: bool = False) -> bytes:
    """The whole content of an open binary file, unpacked where it is gzip; raises :class:`DataError`.

    what: the content that the message about an empty file expects. text: whether nothing but text is of use, so that a
    stream of zeros is refused at its begin.
    """
    first = handle.read(SAMPLE)
    if not first:
        raise DataError(f"{name}: empty, expected {what}")
    if first.startswith(GZIP):
        _refuse_early(handle, name, packed=True)
        if _tight(first) and os.path.isfile(name):
            with open(name, "rb") as again:  # counted before any of it is held
                _unfold(again.read(SAMPLE), again, _Count(name), text)
        sink = _Sink(name, "gzip content")
        _unfold(first, handle, sink, text)
        if not sink.total:
            raise DataError(f"{name}: empty gzip, expected {what}")
        return sink.content()
    _refuse_early(handle, name, packed=False)
    _refuse_zeros(first, name, text)
    sink = _Sink(name, "content")
    while first:
        sink.add(first)
        first = handle.read(CHUNK)
    return sink.content()


def guard(path: str | os.PathLike) -> None:
    """Refuse a file that another package is about to read and that unfolds to more than the budget; raises
    :class:`DataError`.

    Gzip whose packed size cannot hold as much is not gone through.
    """
    held = os.path.getsize(path)
    budget.take(held, path)
    with open(path, "rb") as handle:
        first = handle.read(SAMPLE)
        if first.startswith(GZIP) and held * MAX_DEFLATE > budget.current().left:
            _refuse_early(handle, str(path), packed=True)
            _unfold(first, handle, _Count(str(path)), False)


def _refuse_early(handle: BinaryIO, name: str, packed: bool) -> None:
    """Refuse what a regular file says of its own size: its length, and of gzip the length of the content modulo 2^32 at
    its end.
    """
    try:
        status = os.fstat(handle.fileno())
    except (OSError, ValueError, AttributeError):  # no file behind the stream
        return
    if not stat.S_ISREG(status.st_mode):
        return
    declared = status.st_size
    if packed:
        declared = int.from_bytes(os.pread(handle.fileno(), 4, max(status.st_size - 4, 0)), "little")
        if declared > status.st_size * MAX_DEFLATE:  # not the end of gzip
            return
    if declared > budget.current().left:
        what = "gzip content" if packed else "content"
        raise DataError(f"{name}: {what} of {shown(declared)} exceeds the {budget.current().describe()}")


def _tight(first: bytes) -> bool:
    """Whether the begin of gzip unfolds to far more than tables of numbers do, which is three to ten times."""
    try:
        return len(zlib.decompressobj(wbits=31).decompress(first, TIGHT * len(first))) == TIGHT * len(first)
    except zlib.error:
        return False


def _refuse_zeros(first: bytes, name: str, text: bool) -> None:
    if text and b"\0" in first and not first.startswith(BINARY):
        refuse_binary(Blob(name, first), first)


def _unfold(rest: bytes, handle: BinaryIO, sink: _Sink | _Count, text: bool) -> None:
    name = sink.name
    try:
        while rest.startswith(GZIP):  # gzip files may be concatenated
            rest = _unfold_one(rest, handle, sink, text)
            if len(rest) < len(GZIP):
                rest += handle.read(CHUNK)
    except zlib.error as problem:
        raise DataError(f"{name}: damaged gzip after {shown(sink.total)} of content: {problem}") from None
    rubbish = 0
    while rest:
        rubbish += len(rest) if rubbish else len(rest.lstrip(b"\0"))  # padding is allowed
        rest = handle.read(CHUNK)
    if rubbish:
        raise DataError(f"{name}: {rubbish} bytes of rubbish after the end of the gzip content")


def _unfold_one(rest: bytes, handle: BinaryIO, sink: _Sink | _Count, text: bool) -> bytes:
    """Unfold one gzip member; return what was read beyond it."""
    unpacker = zlib.decompressobj(wbits=31)
    while not unpacker.eof:
        rest = rest or handle.read(CHUNK)
        ended = not rest
        part = unpacker.decompress(rest, CHUNK)
        rest = unpacker.unconsumed_tail
        if ended and not part and not unpacker.eof:
            raise DataError(
                f"{sink.name}: truncated gzip: ends after {shown(sink.total)} of content, without its end mark"
            )
        if part and not sink.total:
            _refuse_zeros(part[:SAMPLE], sink.name, text)
        sink.add(part)
    return unpacker.unused_data


def suffix_of(path: Path) -> str:
    """The suffix that tells the format: of ``graph.csv.gz`` it is ``.csv``."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    suffix = suffixes[0] if suffixes[-1:] == [".gz"] and len(suffixes) == 2 else (suffixes or [""])[-1]
    return "" if suffix == ".gz" else suffix
