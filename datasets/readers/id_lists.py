"""Nodes by the ids that a user writes: a list of them, a file or a pipe with one a line, and the rows of a text file as
they come.
"""

from __future__ import annotations

import contextlib
import csv
import sys
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from graphkit.core import reading
from graphkit.core.errors import DataError, did_you_mean
from graphkit.datasets.base import GraphDataset

ID_NAMES = frozenset(("id", "node", "node_id", "nodeid", "name", "vertex", "user", "item"))

LONGEST_LINE = 1 << 20
HEADER_WORDS = ID_NAMES | {"nodes", "ids"}
CLOSE_AMONG = 100_000  # ids among which one that is spelled alike is looked for


def numbers_of(dataset: GraphDataset) -> Mapping[str, int]:
    """Node number by id, as text."""
    return dataset.numbers()


def nodes_of(ids: Sequence[str], dataset: GraphDataset, option: str) -> np.ndarray:
    """Return the (k,) int64 numbers of ids, each node once; raises :class:`DataError` for one that is not in the
    graph.
    """
    number = numbers_of(dataset)
    found = [find_node(number, word, f"{option} {word}") for word in ids]
    return np.array(list(dict.fromkeys(found)), dtype=np.int64)


def read_ids(path: str, dataset: GraphDataset, option: str, id_column: Sequence[str] = ()) -> np.ndarray:
    """Read the (k,) int64 numbers of the nodes in a text file, ``-`` for stdin, each once and in its order.

    The ids are in the column that ``id_column`` names, or that the header calls id, else in the first one, or in the
    one that holds ids of the graph where the first does not, which is reported. Empty lines and those that start with #
    are left out. Raises :class:`DataError` with the line for an id that is not in the graph.
    """
    number = numbers_of(dataset)
    found = {}
    for line, cells, column in _list_rows(path, number, option, id_column):
        found[find_node(number, cells[column], f"{option} {_name(path)}, line {line}")] = None
    return np.array(list(found), dtype=np.int64)


def read_classes(path: str, dataset: GraphDataset, option: str, id_column: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Read (k,) node numbers by class from a text file of ids and classes, classes in the order of their names.

    Columns and lines are those of :func:`read_ids`; the class is in the first other column. Raises :class:`DataError`
    with the line for an unknown id, a line without a class and a node in two classes, and for a file without a class.
    """
    number, found = numbers_of(dataset), {}
    for line, cells, column in _list_rows(path, number, option, id_column):
        place = f"{option} {_name(path)}, line {line}"
        other = 1 if column == 0 else 0
        if len(cells) < 2 or not cells[other]:
            raise DataError(f"{place}: found {len(cells)} column, expected an id and a class")
        node = find_node(number, cells[column], place)
        if found.setdefault(node, cells[other]) != cells[other]:
            raise DataError(
                f"{place}: {cells[column]!r} is of class {cells[other]!r}, before it was of class {found[node]!r}"
            )
    if not found:
        raise DataError(f"{option} {_name(path)}: found no ids, expected an id and a class on each line")
    return {
        one: np.array([node for node, other in found.items() if other == one]) for one in sorted(set(found.values()))
    }


def _name(path: str) -> str:
    return "<stdin>" if path == "-" else path


def _list_rows(
    path: str, number: dict[str, int], option: str, id_column: Sequence[str]
) -> list[tuple[int, list[str], int]]:
    """(line, cells, column of the id) of every row below the header, where there is one."""
    rows = list(_split_lines(path))
    if not rows:
        return []
    source, first, below = f"{option} {_name(path)}", rows[0][1], rows[1:]
    if all(line in number for _, _, line in below) and not all(cells[0] in number for _, cells, _ in below):
        rows = [(at, [line], line) for at, _, line in rows]  # ids with blanks in them, one a line
        first, below = rows[0][1], rows[1:]
    lower = [cell.lower() for cell in first]
    named = [first.index(word) for word in id_column if word in first]
    numbered = [int(word) for word in id_column if word.isascii() and word.isdigit() and int(word) < len(first)]
    if named or numbered:
        column = (named or numbered)[0]
        header = bool(named) or first[column] not in number
        return [(at, cells, column) for at, cells, _ in (below if header else rows) if _has(cells, column, source, at)]
    called = [k for k, word in enumerate(lower) if word in HEADER_WORDS and first[k] not in number]
    column = called[0] if called else _best_column(rows, number, source)
    header = bool(called) or _is_header(rows, column, number, source)
    return [(at, cells, column) for at, cells, _ in (below if header else rows) if _has(cells, column, source, at)]


def _has(cells: list[str], column: int, source: str, line: int) -> bool:
    if column >= len(cells):
        raise DataError(f"{source}, line {line}: found {len(cells)} column, expected an id in column {column}")
    return True


def _best_column(rows, number: dict[str, int], source: str) -> int:
    """The first column, or the only one with ids where it has none."""
    judged = [cells for _, cells, _ in rows[1:] or rows]
    counts = [sum(k < len(cells) and cells[k] in number for cells in judged) for k in range(len(rows[0][1]))]
    full = [k for k, count in enumerate(counts) if count == len(judged)]
    if counts[0] or len(full) != 1:
        return 0
    reading.note(
        source, f"column {full[0]} is read as the ids: its values are those of the graph; --id-column {full[0]} says so"
    )
    return full[0]


def _is_header(rows, column: int, number: dict[str, int], source: str) -> bool:
    """Whether the first cell is no id, nor like one, while all below are."""
    cell = rows[0][1][column]
    if (
        cell in number
        or len(rows) < 3
        or not all(column < len(cells) and cells[column] in number for _, cells, _ in rows[1:])
    ):
        return False
    if len(number) <= CLOSE_AMONG and did_you_mean(cell, number):
        return False
    reading.note(source, f"its first line ({cell}) is read as the name of the column: it is no id")
    return True


def _split_lines(path: str) -> Iterator[tuple[int, list[str], str]]:
    """(line number, cells, the stripped line) of a text file or stdin, empty lines and comments left out, each as soon
    as it is there.
    """
    number, delimiter = 0, None
    with contextlib.ExitStack() as stack:
        try:
            stream = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))
            # readline, as iterating over stdin would wait for a full buffer.
            for raw in iter(lambda: stream.readline(LONGEST_LINE), b""):
                if len(raw) == LONGEST_LINE:
                    raise DataError(f"{path}, line {number + 1}: has more than {LONGEST_LINE} bytes, expected an id")
                for line in raw.decode("utf-8-sig").splitlines():
                    number += 1
                    if not line.strip() or line.startswith("#"):
                        continue
                    if delimiter is None:
                        delimiter = next((mark for mark in "\t,;" if mark in line), " ")
                    cells = line.split() if delimiter == " " else next(csv.reader([line], delimiter=delimiter))
                    yield number, [cell.strip() for cell in cells], line.strip()
        except OSError as problem:
            raise DataError(f"{path}: {problem.strerror or problem}") from None
        except UnicodeDecodeError:
            raise DataError(f"{path}, line {number + 1}: is not UTF-8, expected text") from None
        except csv.Error as problem:
            raise DataError(f"{_name(path)}, line {number}: {problem}") from None


def read_rows(path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of a text file or, for ``-``, of stdin, each line as soon as it is there.

    The first line says whether cells are separated by tab, comma, semicolon or blanks; empty lines and those that start
    with # are left out. Raises :class:`DataError` for a file that cannot be read and for what is not UTF-8.
    """
    for number, cells, _ in _split_lines(path):
        yield number, cells


def find_node(number: Mapping[str, int], cell: str, place: str) -> int:
    """Return the number of the node that a cell names; raises :class:`DataError` that begins with ``place``."""
    if cell in number:
        return number[cell]
    hint = did_you_mean(cell, number) if len(number) <= CLOSE_AMONG else ""
    raise DataError(f"{place}: {cell!r} is not a node of the graph{hint}")
