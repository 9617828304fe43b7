"""Files about nodes that are no tables: communities (``.cmty``), gene sets (``.gmt``) and JSON.

``.cmty``: line k names the nodes of community k. ``.gmt``: a set a line, its name, a description, then its members,
separated by tabs. JSON: ``{node: [numbers]}``, whole numbers of the features that a node has, or all its values where
they are real numbers, or 0 and 1 in lists of one length; ``{node: label}``; or a list of lists of values, in order of
the nodes.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from graphkit.datasets.readers.node_tables import MatrixRows, NodeRows
from graphkit.datasets.readers.text import is_number
from graphkit.datasets.sources.musae import lists_of
from graphkit.io.blob import Blob
from graphkit.io.formats import memory_limit


class PairRows(NodeRows):
    """Rows (node, label) that a file of another form holds; ``kind`` is "multilabel" where a node has several."""

    def __init__(self, blob: Blob, ids: list[str], labels: list[str]):
        self.blob, self.names, self.width = blob, ["id", "label"], 2
        self._cells = [np.array(column, dtype=object) for column in (ids, labels)]
        self.kind = "multilabel" if len(set(ids)) < len(ids) else None

    def __len__(self) -> int:
        return len(self._cells[0])

    def cells(self, number: int) -> np.ndarray:
        """(rows,) text."""
        return self._cells[number]

    def sample(self) -> list[list[str]]:
        """The cells of the first rows."""
        return [list(row) for row in zip(*(column[:100].tolist() for column in self._cells))]

    def numbers(self, columns: list[int]) -> np.ndarray:
        """(rows, columns) float64."""
        for number in columns:
            wrong = next((cell for cell in self._cells[number].tolist() if not is_number(cell)), None)
            if wrong is not None:
                raise self.blob.error(f"{wrong!r} in {self.title(number)}, expected a number")
        return np.stack([self._cells[number].astype(np.float64) for number in columns], axis=1)


def open_rows(blob: Blob) -> NodeRows:
    """Open a file ``.cmty``, ``.gmt`` or ``.json``; raises :class:`DataError`."""
    if blob.suffix == ".json":
        return _json(blob)
    lines = _text(blob).split("\n")
    ids, labels = [], []
    for number, line in enumerate(lines, 1):
        cells = [cell.strip() for cell in line.split("\t" if blob.suffix == ".gmt" or "\t" in line else None)]
        if not any(cells):
            continue
        if blob.suffix == ".gmt" and len(cells) < 3:
            raise blob.error(
                f"found {len(cells)} columns, expected a name, a description and the members of a set", number
            )
        name, members = (cells[0], cells[2:]) if blob.suffix == ".gmt" else (str(number - 1), cells)
        members = list(dict.fromkeys(member for member in members if member))
        ids += members
        labels += [name] * len(members)
    if not ids:
        raise blob.error("no nodes, expected some on each line")
    return PairRows(blob, ids, labels)


def _text(blob: Blob) -> str:
    try:
        return blob.data.decode("utf-8-sig")
    except UnicodeDecodeError as bad:
        line = blob.data.count(b"\n", 0, bad.start) + 1
        raise blob.error(f"byte 0x{blob.data[bad.start]:02x} is not UTF-8 text", line) from None


def _json(blob: Blob) -> NodeRows:
    try:
        content = json.loads(_text(blob), parse_constant=lambda word: float(word.replace("Infinity", "inf")))
    except json.JSONDecodeError as problem:
        raise blob.error(f"not JSON: {problem.msg} in column {problem.colno}", problem.lineno) from None
    except RecursionError:
        raise blob.error("JSON nested too deeply, expected {node: [numbers]}") from None
    if isinstance(content, list):
        return MatrixRows(blob, _matrix(blob, content))
    if not isinstance(content, dict) or not content:
        raise blob.error(
            f"a JSON {type(content).__name__}, expected {{node: [numbers]}}, {{node: label}} or a list of lists"
        )
    if not any(isinstance(value, (list, dict)) for value in content.values()):
        return PairRows(blob, list(content), ["" if value is None else str(value) for value in content.values()])
    values = list(content.values())
    if not all(isinstance(value, list) for value in values):
        raise blob.error("a JSON object with values of several kinds, expected a list or a label for each node")
    return MatrixRows(blob, _matrix(blob, values) if _dense(values) else _multi_hot(blob, content), _ids(content))


def _dense(values: list[list[Any]]) -> bool:
    """Whether lists are the values of all features, and not the numbers of those that a node has."""
    if any(type(item) is float for value in values for item in value):
        return True
    same = len({len(value) for value in values}) == 1 and len(values[0]) > 1
    return same and all(item in (0, 1) for value in values for item in value)


def _matrix(blob: Blob, values: list[Any]) -> np.ndarray:
    rows = [value if isinstance(value, list) else [value] for value in values]
    widths = {len(row) for row in rows}
    if len(widths) != 1:
        raise blob.error(
            f"lists of {min(widths, default=0)} to {max(widths, default=0)} values, expected equally many for each node"
        )
    wrong = next((item for row in rows for item in row if type(item) not in (int, float)), None)
    if wrong is not None or not rows or not rows[0]:
        raise blob.error(
            f"the value {str(wrong)[:40]!r}, expected numbers" if wrong is not None else "no values, expected numbers"
        )
    return np.array(rows, dtype=np.float64)


def _multi_hot(blob: Blob, content: dict[str, list[Any]]) -> np.ndarray:
    place = {node: k for k, node in enumerate(content)}
    try:
        nodes, columns = lists_of({place[node]: items for node, items in content.items()})
    except (ValueError, TypeError, OverflowError) as problem:
        raise blob.error(f"{problem}, expected lists of whole numbers") from None
    width = int(columns.max(initial=-1)) + 1
    if columns.min(initial=0) < 0 or not 0 < width <= 100 * len(columns) + 1000:
        raise blob.error(
            f"feature number {columns.min(initial=0) if columns.min(initial=0) < 0 else width - 1}, expected numbers"
            " from 0"
        )
    if width * len(content) * 8 > memory_limit():
        raise blob.error(f"{len(content)} nodes with {width} features exceed the memory available")
    out = np.zeros((len(content), width))
    out[nodes, columns] = 1
    return out


def _ids(content: dict[str, Any]) -> np.ndarray:
    """The nodes as integers where all are written as such, else as text."""
    names = list(content)
    whole = all(name.isascii() and name.isdigit() and len(name) < 19 and str(int(name)) == name for name in names)
    return np.array([int(name) for name in names]) if whole else np.array(names, dtype=object)
