"""The format of a result by the ending of its file; light, as the help of every command names them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from graphkit.core.errors import UsageError, did_you_mean

FORMATS = {
    ".tsv": "tsv",
    ".csv": "csv",
    ".tsv.gz": "tsv",
    ".csv.gz": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".npz": "npz",
}


SHOWN = ".tsv .csv (also .gz) .parquet .npz"  # as the help of an option names them
SPARSE_FORMATS = ("npz", "mtx", "tsv", "csv", "parquet")  # of matrices


def ending_of(path: str | Path) -> str:
    """The ending of a file's name in small letters, ``.gz`` with the one before it."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def format_of(path: str | Path, option: str = "-o", formats: Mapping[str, str] | None = None) -> str:
    """Return the format that a file's name asks for; ``-``, a device and a pipe are tsv. Raises :class:`UsageError` for
    another ending.

    formats: format by ending, :data:`FORMATS` unless given.
    """
    formats = FORMATS if formats is None else formats
    if str(path) == "-":
        return "tsv"
    ending = ending_of(path)
    if ending not in formats and Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir():
        return "tsv"  # a device or a pipe, such as /dev/stdout
    if ending not in formats:
        hint = did_you_mean(ending, formats) if ending else ""
        raise UsageError(
            f"{option} {path}: found the ending {ending or 'none'!r}, expected one of {', '.join(formats)}{hint}"
        )
    return formats[ending]
