"""Nodes by the ids that a user writes: a list of them, a file or a pipe with one a line, and the rows of a text file as they come."""

from __future__ import annotations

import contextlib
import csv
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from graphkit.errors import DataError, did_you_mean
from graphkit.lazy import np

if TYPE_CHECKING:
    import numpy

    from graphkit.datasets.base import GraphDataset

HEADER_WORDS = {"id", "node", "node_id", "nodes"}


def numbers_of(dataset: GraphDataset) -> dict[str, int]:
    """Node number by id, as text."""
    return {str(node): place for place, node in enumerate(dataset.ids().tolist())}


def nodes_of(ids: Sequence[str], dataset: GraphDataset, option: str) -> numpy.ndarray:
    """Return the (k,) int64 numbers of ids, each node once; raises :class:`DataError` for one that is not in the graph."""
    number = numbers_of(dataset)
    found = [find_node(number, word, f"{option} {word}") for word in ids]
    return np.array(list(dict.fromkeys(found)), dtype=np.int64)


def read_ids(path: str, dataset: GraphDataset, option: str) -> numpy.ndarray:
    """Read the (k,) int64 numbers of the nodes in the first column of a text file, ``-`` for stdin, each once and in its order.

    A header such as ``id``, empty lines and those that start with # are left out. Raises :class:`DataError` with the line for an id
    that is not in the graph.
    """
    number, found = numbers_of(dataset), {}
    name = "<stdin>" if path == "-" else path
    for line, cells in read_rows(path):
        if not found and cells[0].lower() in HEADER_WORDS and cells[0] not in number:
            continue
        found[find_node(number, cells[0], f"{option} {name}, line {line}")] = None
    return np.array(list(found), dtype=np.int64)


def read_classes(path: str, dataset: GraphDataset, option: str) -> dict[str, numpy.ndarray]:
    """Read (k,) node numbers by class from a text file of ids and classes, classes in the order of their names.

    A header, empty lines and those that start with # are left out. Raises :class:`DataError` with the line for an unknown id, a line
    without a class and a node in two classes, and for a file without a class.
    """
    number, found = numbers_of(dataset), {}
    name = "<stdin>" if path == "-" else path
    for line, cells in read_rows(path):
        place = f"{option} {name}, line {line}"
        if not found and cells[0].lower() in HEADER_WORDS and cells[0] not in number:
            continue
        if len(cells) < 2 or not cells[1]:
            raise DataError(f"{place}: found {len(cells)} column, expected an id and a class")
        node = find_node(number, cells[0], place)
        if found.setdefault(node, cells[1]) != cells[1]:
            raise DataError(f"{place}: {cells[0]!r} is of class {cells[1]!r}, before it was of class {found[node]!r}")
    if not found:
        raise DataError(f"{option} {name}: found no ids, expected an id and a class on each line")
    return {one: np.array([node for node, other in found.items() if other == one]) for one in sorted(set(found.values()))}


def read_rows(path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of a text file or, for ``-``, of stdin, each line as soon as it is there.

    The first line says whether cells are separated by tab, comma, semicolon or blanks; empty lines and those that start with # are
    left out. Raises :class:`DataError` for a file that cannot be read and for what is not UTF-8.
    """
    number, delimiter = 0, None
    with contextlib.ExitStack() as stack:
        try:
            stream = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))
            # readline, as iterating over stdin would wait for a full buffer.
            for raw in iter(stream.readline, b""):
                for line in raw.decode("utf-8-sig").splitlines():
                    number += 1
                    if not line.strip() or line.startswith("#"):
                        continue
                    if delimiter is None:
                        delimiter = next((mark for mark in "\t,;" if mark in line), " ")
                    cells = line.split() if delimiter == " " else next(csv.reader([line], delimiter=delimiter))
                    yield number, [cell.strip() for cell in cells]
        except OSError as problem:
            raise DataError(f"{path}: {problem.strerror or problem}") from None
        except UnicodeDecodeError:
            raise DataError(f"{path}, line {number + 1}: is not UTF-8, expected text") from None


def find_node(number: dict[str, int], cell: str, place: str) -> int:
    """Return the number of the node that a cell names; raises :class:`DataError` that begins with ``place``."""
    if cell in number:
        return number[cell]
    hint = did_you_mean(cell, number) if len(number) <= 100_000 else ""
    raise DataError(f"{place}: {cell!r} is not a node of the graph{hint}")
