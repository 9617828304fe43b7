"""A trained run judges events as they come: each is scored with all that came before it, then taken in."""

from __future__ import annotations

import contextlib
import csv
import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from graphkit.errors import DataError
from graphkit.predict import find_node

if TYPE_CHECKING:
    from graphkit.datasets.base import GraphDataset

HEADER = ("source", "target", "time", "score")


def score_events(learner, dataset: GraphDataset, path: str) -> Iterator[tuple[Any, Any, str, float]]:
    """Yield (source, target, time as it is written, score) of every line of a file or, for ``-``, of stdin, before the next is read.

    Columns are source, target, time and, where the data have them, the features of the event; they are separated by tab, comma or
    blanks. A first line without a number for its time is a header; empty lines and those that start with # are ignored. ``learner`` has
    been brought to the start of the stream. Raises :class:`DataError` with the line for an unknown node, a time that is no number or
    before the last, and missing features.
    """
    number, ids = {str(node): place for place, node in enumerate(dataset.ids().tolist())}, dataset.ids()
    width = 0 if dataset.events.feat is None else dataset.events.feat.shape[1]
    latest, first = -math.inf, True
    for line, cells in _rows(path):
        place = f"{path}, line {line}"
        if len(cells) < 3 + width:
            more = f" and {width} features" if width else ""
            raise DataError(f"{place}: found {len(cells)} column{'s' * (len(cells) != 1)}, expected source, target, time{more}")
        values = [_number(cell) for cell in cells[2 : 3 + width]]
        if first and values[0] is None:
            first = False
            continue
        first = False
        for cell, value, what in zip(cells[2:], values, ["time", *["feature"] * width]):
            if value is None or not math.isfinite(value):
                raise DataError(f"{place}: {what} {cell!r}, expected a finite number")
        src, dst = (find_node(number, cell, place) for cell in cells[:2])
        if values[0] < latest:
            raise DataError(f"{place}: time {cells[2]} comes after {latest:.12g}; expected events in order of time")
        latest = values[0]
        yield ids[src], ids[dst], cells[2], learner.score_event(src, dst, latest, values[1:] if width else None)


def _rows(path: str) -> Iterator[tuple[int, list[str]]]:
    with contextlib.ExitStack() as stack:
        try:
            stream = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))
            # readline, as iterating over stdin would wait for a full buffer.
            for number, raw in enumerate(iter(stream.readline, b""), start=1):
                line = raw.decode("utf-8-sig").strip("\r\n")
                if not line.strip() or line.startswith("#"):
                    continue
                mark = next((mark for mark in "\t," if mark in line), None)
                yield number, line.split() if mark is None else [cell.strip() for cell in next(csv.reader([line], delimiter=mark))]
        except OSError as problem:
            raise DataError(f"{path}: {problem.strerror or problem}") from None
        except UnicodeDecodeError:
            raise DataError(f"{path}, line {number}: is not UTF-8, expected text") from None


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
