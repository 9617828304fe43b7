"""The bytes of a file that is not trusted, and the one way its faults become a :class:`DataError` of one line."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.errors import DataError, UsageError
from graphkit.core.sizes import shown as size

SAMPLE = 1 << 16


@dataclass
class Blob:
    """The bytes of a file and the name that messages call it by."""

    name: str
    data: bytes
    suffix: str = ""

    def error(self, text: str, line: int | None = None) -> DataError:
        """A :class:`DataError` that names this file, and the line where one is known."""
        place = self.name if line is None else f"{self.name}, line {line}"
        return DataError(f"{place}: {_one_line(text)}")


class one_line:
    """Turns what a third-party parser raises on a malformed file into one :class:`DataError`."""

    def __init__(self, blob: Blob, what: str):
        self.blob, self.what = blob, what

    def __enter__(self):
        return self

    def __exit__(self, kind, problem, trace):
        # Parsers fail on rubbish in every way there is (IndexError, UnicodeError, zlib.error, OverflowError ...).
        if isinstance(problem, Exception) and not isinstance(problem, (DataError, UsageError)):
            if isinstance(problem, (ImportError, NameError, AttributeError)):
                return False  # a fault of ours, not of the file
            said = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
            raise self.blob.error(f"cannot be read as {self.what}: {said}") from None
        return False


def check_size(blob: Blob, what: str, declared: int, held: int) -> None:
    """Refuse a header that declares more bytes than the file can hold."""
    if declared > held:
        raise blob.error(f"{what} declares {size(declared)}, but the file holds {size(held)}")


def refuse_binary(blob: Blob, data: bytes) -> None:
    """Raise a DataError for what is not text: a zero byte, or mostly control characters."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise blob.error("UTF-16 text, expected UTF-8")
    place = data.find(b"\0")
    sample = data[:SAMPLE]
    odd = len(sample.translate(None, bytes(range(32, 256)) + b"\t\n\r\f"))
    if place >= 0 or odd > len(sample) // 20:
        where = f"a zero byte at offset {place}" if place >= 0 else "control characters"
        raise blob.error(f"binary data ({where}), expected a text table such as csv or tsv")


def _one_line(text) -> str:
    text = " ".join(str(text).split())
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:400]
