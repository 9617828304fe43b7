"""Graphs in McKay's graph6, sparse6 and digraph6: a line of printable characters for each graph.

A character less 63 holds six bits. ``N(n)`` comes first; graph6 has the upper triangle of the adjacency matrix column
by column, digraph6 (``&``) the whole matrix by rows, sparse6 (``:``) a list of edges. Source: B. D. McKay, "Description
of graph6, sparse6 and digraph6 encodings", 2015.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graphkit.core import reading as notes
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.build import graph_of
from graphkit.datasets.splits.loaded import Loaded
from graphkit.io import budget
from graphkit.io.blob import Blob, one_line
from graphkit.io.formats import dataset_name, read_blob

SUFFIXES = (".g6", ".s6", ".d6", ".graph6", ".sparse6", ".digraph6")
HEADERS = (b">>graph6<<", b">>sparse6<<", b">>digraph6<<")
ALONE = 1000  # nodes of a graph beyond this number need as many characters as edges would


def load(path: str | Path, read: ReadOptions, many: bool = False) -> Loaded:
    """Read all graphs of a file: one graph, or a set of them without labels where there are several or ``many`` asks
    for one.

    Raises :class:`DataError` that names the line of what is no graph.
    """
    blob = read_blob(path)
    with one_line(blob, "graph6"):
        found = [decoded(blob, number, text) for number, text in _lines(blob)]
    if not found:
        raise blob.error("no graphs, expected one a line")
    directed = any(way for *_, way in found)
    if directed and not all(way for *_, way in found):
        raise blob.error("graphs with and without directions, expected one kind")
    name = dataset_name(blob.name)
    name = name[: -len(blob.suffix)] if blob.suffix in SUFFIXES and name.lower().endswith(blob.suffix) else name
    loops = sum(int((src == dst).sum()) for src, dst, _, _ in found)
    if loops and read.self_loops == "drop":
        notes.note(blob.name, f"{loops} self-loop{'s' * (loops > 1)} dropped")
    keep = read.self_loops == "keep"
    if len(found) > 1 or many:
        graphs = [graph_of(src, dst, n, directed=directed, loops=keep) for src, dst, n, _ in found]
        return Loaded(GraphDataset(name, graphs=graphs, directed=directed))
    src, dst, n, _ = found[0]
    if not len(src):
        raise blob.error("no edges, expected a graph")
    if directed and not read.directed:
        notes.note(blob.name, "says that its edges are directed; read as undirected, --directed keeps directions")
    if read.directed and not directed:
        src, dst = np.concatenate([src, dst]), np.concatenate([dst, src])
    return Loaded(GraphDataset(name, graph_of(src, dst, n, directed=read.directed, loops=keep), directed=read.directed))


def count(path: str | Path) -> int:
    """Number of graphs in a file: of its lines that are not empty."""
    return sum(1 for _ in _lines(read_blob(path)))


def _lines(blob: Blob):
    """(line number, characters) of each graph."""
    for number, line in enumerate(blob.data.split(b"\n"), 1):
        text = line.strip()
        for header in HEADERS:
            text = text[len(header) :] if text.startswith(header) else text
        if text:
            yield number, text


def decoded(blob: Blob, line: int, text: bytes) -> tuple[np.ndarray, np.ndarray, int, bool]:
    """(src, dst, number of nodes, whether edges have directions) of the characters of one graph."""
    kind = {b":": "sparse6", b"&": "digraph6", b";": "incremental"}.get(text[:1], "graph6")
    if kind == "incremental":
        raise blob.error(
            "incremental sparse6 (a line that begins with ';'), expected graph6, sparse6 or digraph6", line
        )
    values = np.frombuffer(text, dtype=np.uint8)[kind != "graph6" :].astype(np.int64) - 63
    if len(values) and not 0 <= values.min() <= values.max() < 64:
        wrong = text[kind != "graph6" :][int(np.argmax((values < 0) | (values > 63)))]
        raise blob.error(f"the character {chr(wrong)!r}, expected those of graph6, '?' to '~'", line)
    n, values = _size(blob, line, values)
    if kind == "sparse6":
        return (*_sparse(blob, line, n, values), n, False)
    bits = n * n if kind == "digraph6" else n * (n - 1) // 2
    if len(values) != -(-bits // 6):
        raise blob.error(f"{len(values)} characters for {n} nodes, expected {-(-bits // 6)}", line)
    budget.take(bits, f"{blob.name}, line {line}", f"{n} nodes in {kind}")
    places = np.flatnonzero(_bits(values)[:bits])
    if kind == "digraph6":
        return places // n, places % n, n, True
    # Bit k of the triangle is in column c, the largest with c (c - 1) / 2 <= k.
    column = ((1 + np.sqrt(8.0 * places + 1)) // 2).astype(np.int64)
    column -= column * (column - 1) // 2 > places
    column += column * (column + 1) // 2 <= places
    return places - column * (column - 1) // 2, column, n, False


def _size(blob: Blob, line: int, values: np.ndarray) -> tuple[int, np.ndarray]:
    """(n, the values after it): one value, 63 and three, or 63 twice and six."""
    start, width = (0, 1) if values[:1] != 63 else (1, 3) if values[1:2] != 63 else (2, 6)
    if len(values) < start + width:
        raise blob.error("ends before its number of nodes", line)
    n = 0
    for value in values[start : start + width].tolist():
        n = n * 64 + value
    return n, values[start + width :]


def _bits(values: np.ndarray) -> np.ndarray:
    return np.unpackbits(values.astype(np.uint8)[:, None], axis=1)[:, 2:].reshape(-1)


def _sparse(blob: Blob, line: int, n: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if n > max(ALONE, 100 * len(values)):
        raise blob.error(
            f"{n} nodes in {len(values)} characters, expected at most {max(ALONE, 100 * len(values))}", line
        )
    width = max((n - 1).bit_length(), 1)
    bits = _bits(values)
    groups = bits[: len(bits) // (width + 1) * (width + 1)].reshape(-1, width + 1).astype(np.int64)
    steps, ends = groups[:, 0].tolist(), (groups[:, 1:] @ (1 << np.arange(width)[::-1])).tolist()
    src, dst, here = [], [], 0
    for step, end in zip(steps, ends):
        here += step
        if here >= n or end >= n:  # padding, or the end
            break
        if end > here:
            here = end
        else:
            src.append(end)
            dst.append(here)
    return np.array(src, dtype=np.int64), np.array(dst, dtype=np.int64)
