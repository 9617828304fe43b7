"""The format of a file of a graph by its ending or its first bytes, and its bytes from a path or from stdin."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from graphkit.core.errors import DataError, did_you_mean
from graphkit.io import budget, contents
from graphkit.io.blob import Blob

STDIN = "-"
# format -> its suffixes
FORMATS = {
    "edge list": (".csv", ".tsv", ".txt", ".edges", ".edgelist", ".ungraph"),
    "Parquet": (".parquet", ".pq"),
    "Matrix Market": (".mtx", ".mm"),
    "npz": (".npz",),
    "mat": (".mat",),
    "GraphML": (".graphml", ".xml"),
    "DGL bin": (".bin", ".dgl"),
}
SUFFIXES = {suffix: name for name, suffixes in FORMATS.items() for suffix in suffixes}
ZIP = b"PK\x03\x04"
# how a file of a format begins, for stdin and for unknown suffixes
MAGIC = {
    b"PAR1": "Parquet",
    ZIP: "npz",
    b"%%MatrixMarket": "Matrix Market",
    b"MATLAB 5.0": "mat",
    b"\x3f\xa1\xb4\x46\xf0\x4f\x2e\xdd": "DGL bin",
    b"<?xml": "GraphML",
    b"<graphml": "GraphML",
}


def format_of(blob: Blob) -> str:
    """The format by the file's suffix, and by its first bytes where the suffix says nothing."""
    if blob.suffix in SUFFIXES:
        return SUFFIXES[blob.suffix]
    start = blob.data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, name in MAGIC.items():
        if start.startswith(magic):
            return name
    return "edge list"


def read_blob(path, what: str = "a graph") -> Blob:
    """Read a file or stdin whole, and unpack gzip whatever the suffix; raises :class:`DataError`.

    path: of the file, ``"-"``, or what was read of it before, as stdin can be read only once.
    what: the content that the message about an empty file expects.
    """
    if isinstance(path, Blob):
        return path
    if str(path) == STDIN:
        return Blob("<stdin>", contents.read(sys.stdin.buffer, "<stdin>", what, text=True))
    path, name = Path(path), str(path)
    suffix = contents.suffix_of(path)
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            raise DataError(f"{name}: is a folder, expected a file")
        with open(path, "rb") as handle:
            return Blob(name, contents.read(handle, name, what, text=suffix in ("", *FORMATS["edge list"])), suffix)
    except OSError as problem:
        raise DataError(f"{name}: {problem.strerror or problem}{_neighbours(path)}") from None


def dataset_name(name: str) -> str:
    """``runs/my.graph.csv.gz`` is ``my.graph``."""
    if name == "<stdin>":
        return "stdin"
    stem = Path(name).name
    for _ in range(2):
        head, suffix = os.path.splitext(stem)
        if head and (suffix.lower() in SUFFIXES or suffix.lower() == ".gz"):
            stem = head
    return stem


def memory_limit() -> int:
    """Bytes that a reader may still ask for; :func:`graphkit.io.budget.take` counts what it takes."""
    return budget.current().left


def _neighbours(path: Path) -> str:
    try:
        return did_you_mean(path.name, [entry.name for entry in path.parent.iterdir()][:1000])
    except OSError:
        return ""
