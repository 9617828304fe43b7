"""Labels of nodes from a file: classes, several labels a node, or numbers to learn.

Unlabelled is an empty cell, ``NA`` or ``nan``, and ``-1`` beside at least two other classes, as in scikit-learn; with
``--unlabelled VALUE`` an empty cell and these values alone. Whatever else there is, is a class. A node with several
rows has several labels; a row that is there twice counts once.
"""

from __future__ import annotations

import logging

import numpy as np
import pandas

from graphkit.core import reading
from graphkit.core.sizes import shown as size
from graphkit.datasets.readers.assemble import EdgeTable
from graphkit.datasets.readers.node_tables import NodeRows
from graphkit.datasets.readers.text import counted, is_number
from graphkit.io.formats import memory_limit

LABEL_NAMES = frozenset(("label", "labels", "class", "y", "target", "group"))
MISSING = ("NA", "nan", "NaN", "NAN")
PLACEHOLDERS = ("?", "-", "none", "null", "n/a", "unknown", "unk", "missing", "unlabelled", "unlabeled")
KINDS = ("classification", "multilabel", "regression")


def read_labels(
    table: EdgeTable,
    rows: NodeRows,
    place: np.ndarray,
    columns: list[int],
    kind: str | None,
    unlabelled: tuple[str, ...],
):
    """Return (label, class names): (n,) int64 with -1 for unlabelled, (n, L) float32 of 0 and 1, or (n,) float64 with
    NaN.

    place: (rows,) node of each row. columns: those beside the ids. kind: what ``--task`` says, or None.
    """
    if not columns:
        raise rows.blob.error("no label columns")
    columns = _label_columns(rows, columns)
    if len(columns) > 1:
        if kind not in (None, "multilabel"):
            raise rows.blob.error(f"found {len(columns)} label columns, expected one with --task {kind}")
        return _indicator(table, rows, place, columns), None
    values, codes = _distinct(rows.cells(columns[0]))
    if kind == "regression":
        return _numbers(table, rows, place, values, codes, unlabelled), None
    known = _known(rows, values, codes, unlabelled)
    return _classes(table, rows, place, values, codes, known, kind)


def _label_columns(rows: NodeRows, columns: list[int]) -> list[int]:
    """All columns, if they hold 0 and 1; else the one that the header calls a label, the others being reported."""
    if len(columns) == 1:
        return columns
    names = rows.lower_names()
    called = [k for k in columns if k < len(names) and names[k] in LABEL_NAMES]
    if len(called) != 1 or all(set(np.unique(rows.cells(k)).tolist()) <= {"0", "1", 0, 1} for k in columns):
        return columns
    others = [rows.names[k] for k in columns if k != called[0]]
    shown = ", ".join(others[:4]) + (", ..." if len(others) > 4 else "")
    reading.note(rows.blob.name, f"{rows.title(called[0])} is read as the label; not used: {shown}")
    return called


def _distinct(cells: np.ndarray) -> tuple[list[str], np.ndarray]:
    """(distinct values as text, (rows,) number of each row's value)."""
    codes, values = pandas.factorize(cells)
    return [str(value) for value in values.tolist()], codes


def _known(rows: NodeRows, values: list[str], codes: np.ndarray, unlabelled: tuple[str, ...]) -> np.ndarray:
    """(values,) bool: which are classes; reports those that are taken for "unlabelled"."""
    counts = np.bincount(codes, minlength=len(values))
    known = np.array([value != "" for value in values], dtype=bool)
    if unlabelled:
        said = set(unlabelled) | {_number(word) for word in unlabelled if is_number(word)}
        known &= np.array([value not in said and not (is_number(value) and _number(value) in said) for value in values])
        return known
    for word in MISSING:
        if word in values:
            at = values.index(word)
            known[at] = False
            _report_missing(rows, word, counts[at])
    minus = [k for k, value in enumerate(values) if is_number(value) and known[k] and _number(value) == -1]
    if minus and known.sum() - len(minus) >= 2:
        known[minus] = False
        _report_missing(rows, "-1", counts[minus].sum())
    _hint(rows, [value for value, ok in zip(values, known) if ok])
    return known


def _report_missing(rows: NodeRows, word: str, count: int) -> None:
    reading.note(
        rows.blob.name, f"{counted(count, 'label')} {word!r}: read as unlabelled, as --unlabelled {word} would say"
    )


def _hint(rows: NodeRows, classes: list[str]) -> None:
    """Tell of classes that look like marks for a missing label; they are read as they stand."""
    numbers = [_number(value) for value in classes if is_number(value)]
    odd = [value for value in classes if value.lower() in PLACEHOLDERS]
    if len(numbers) == len(classes) and sum(number >= 0 for number in numbers) >= 2:
        odd += [value for value in classes if _number(value) < 0]
    for value in odd[:2]:
        _log().info("%s: %r is read as a class; --unlabelled %s takes it as no label", rows.blob.name, value, value)


def _log() -> logging.Logger:
    return logging.getLogger("graphkit")


def _number(text: str) -> float:
    return float(text)


def _classes(table, rows: NodeRows, place, values, codes, known, kind):
    """Class numbers, or a matrix of them where some node has several."""
    names, number = _names(rows, values, known)
    if not names:
        raise rows.blob.error("no node has a label")
    codes = number[codes]
    keep = codes >= 0
    pairs = place[keep] * np.int64(len(names)) + codes[keep]
    distinct = np.unique(pairs)
    if len(distinct) < len(pairs):
        again = len(pairs) - len(distinct)
        reading.note(rows.blob.name, f"{counted(again, 'row')} with a label that its node already has: dropped")
    nodes, several = np.unique(distinct // len(names), return_counts=True)
    if kind == "multilabel" or several.max() > 1:
        if several.max() > 1 and kind != "multilabel":
            _several(table, rows, nodes, several, distinct, names, kind)
        _check_memory(rows, table.num_nodes, len(names))
        label = np.zeros((table.num_nodes, len(names)), dtype=np.float32)
        label[distinct // len(names), distinct % len(names)] = 1
        return label, names
    label = np.full(table.num_nodes, -1, dtype=np.int64)
    label[distinct // len(names)] = distinct % len(names)
    return label, names


def _several(table, rows: NodeRows, nodes, several, distinct, names, kind) -> None:
    """Report that nodes have several labels, or refuse it where one was asked for."""
    first, count = int(nodes[np.argmax(several > 1)]), int((several > 1).sum())
    has = [names[code] for code in (distinct % len(names))[distinct // len(names) == first].tolist()]
    node = first if table.node_ids is None else table.node_ids.tolist()[first]
    text = f"{counted(count, 'node')} with several labels ({node}: {', '.join(has[:4])})"
    if kind == "classification":
        raise rows.blob.error(f"{text}, expected one a node with --task classification")
    reading.note(rows.blob.name, f"{text}: read as several labels a node, as --task multilabel would say")


def _names(rows: NodeRows, values: list[str], known: np.ndarray) -> tuple[list[str], np.ndarray]:
    """(class names in order, (values,) class number or -1); numbers that are written in two ways, as 1 and 1.0, are one
    class.
    """
    classes = [value for value, ok in zip(values, known) if ok]
    same: dict[str, str] = {}
    if classes and all(is_number(value) and not _spelled(value) for value in classes):
        by_value: dict[float, str] = {}
        for value in sorted(classes, key=len):
            same[value] = by_value.setdefault(
                _number(value) if "." in value or "e" in value.lower() else int(value), value
            )
        if len(by_value) < len(classes):
            one = next(value for value in classes if same[value] != value)
            reading.note(rows.blob.name, f"the labels {same[one]} and {one} are the same number; read as one class")
    names = sorted({same.get(value, value) for value in classes}, key=_order)
    place = {name: k for k, name in enumerate(names)}
    return names, np.array(
        [place[same.get(value, value)] if ok else -1 for value, ok in zip(values, known)], dtype=np.int64
    )


def _spelled(text: str) -> bool:
    """Whether a number is written as codes are, 007, so that its value is not all of it; or is no finite number."""
    digits = text.lstrip("+-")
    return (digits[:1] == "0" and digits[1:2].isdigit()) or not np.isfinite(float(text))


def _order(text: str):
    """Numbers by their value before text."""
    if is_number(text) and np.isfinite(float(text)):
        return (0, int(text) if text.lstrip("-").isdigit() else float(text), text)
    return (1, 0, text)


def _numbers(table, rows: NodeRows, place, values, codes, unlabelled) -> np.ndarray:
    """(n,) float64 numbers to learn, NaN where there is none."""
    missing = set(unlabelled or MISSING) | {""}
    for k, value in enumerate(values):
        if value not in missing and not (is_number(value) and np.isfinite(float(value))):
            raise rows.error(
                int(np.argmax(codes == k)), f"label {value!r}, expected a finite number with --task regression"
            )
    if not unlabelled:
        for k, value in enumerate(values):
            if value in MISSING:
                _report_missing(rows, value, int((codes == k).sum()))
    numbers = np.array([float("nan") if value in missing else float(value) for value in values])[codes]
    keep = ~np.isnan(numbers)
    if not keep.any():
        raise rows.blob.error("no node has a label")
    label = np.full(table.num_nodes, np.nan)
    label[place[keep]] = numbers[keep]
    other = keep & (label[place] != numbers)
    if other.any():
        row = int(np.argmax(other))
        node = int(place[row])
        shown = node if table.node_ids is None else table.node_ids.tolist()[node]
        raise rows.error(
            row, f"node {shown} has the labels {numbers[row]:g} and {label[node]:g}, expected one number a node"
        )
    again = int(keep.sum()) - len(np.unique(place[keep]))
    if again:
        reading.note(rows.blob.name, f"{counted(again, 'row')} with a label that its node already has: dropped")
    return label


def _indicator(table, rows: NodeRows, place, columns: list[int]) -> np.ndarray:
    """(n, L) float32 of 0 and 1 from as many columns."""
    try:
        values = np.stack([rows.cells(k).astype(np.float64) for k in columns], axis=1)
    except ValueError as problem:
        raise rows.blob.error(f"{problem}; several label columns hold 0 and 1") from None
    wrong = np.argwhere(~np.isin(values, (0.0, 1.0)))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise rows.error(
            row,
            f"label {values[row, column]:g} in {rows.title(columns[column])}, expected 0 or 1 in several label columns",
        )
    _check_memory(rows, table.num_nodes, len(columns))
    label = np.zeros((table.num_nodes, len(columns)), dtype=np.float32)
    np.maximum.at(label, place, values.astype(np.float32))
    twice = np.flatnonzero((label[place] != values).any(1))
    if len(twice):
        row = int(twice[0])
        raise rows.error(
            row, "this node has another row with other labels, expected one row a node in several label columns"
        )
    if (again := len(place) - len(np.unique(place))) > 0:
        reading.note(rows.blob.name, f"{counted(again, 'row')} that repeat another one: dropped")
    return label


def _check_memory(rows: NodeRows, nodes: int, classes: int) -> None:
    if nodes * classes * 4 > memory_limit():
        raise rows.blob.error(
            f"{classes} labels of {nodes} nodes take {size(nodes * classes * 4)}, more than the memory available"
        )
