"""A trained run judges events as they come: each is scored with all that came before it, then taken in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from graphkit.datasets.id_lists import find_node, read_rows
from graphkit.errors import DataError

if TYPE_CHECKING:
    from graphkit.datasets.base import GraphDataset

HEADER = ("source", "target", "time", "score")


def score_events(learner, dataset: GraphDataset, path: str, after: str = "test") -> Iterator[tuple[Any, Any, str, float]]:
    """Yield (source, target, time as it is written, score) of every line of a file or, for ``-``, of stdin, before the next is read.

    Columns are source, target, time and, where the data have them, the features of the event. A first line that names neither nodes
    nor a time is a header. The stream follows the part ``after`` of the run's data. Raises :class:`DataError` with the line for an
    unknown node, a time that is no number or before the last event, and missing features.
    """
    learner.start_stream(after)
    known = dataset.events.time[: dataset.split.before] if after == "valid" else dataset.events.time
    number, ids = {str(node): place for place, node in enumerate(dataset.ids().tolist())}, dataset.ids()
    width = 0 if dataset.events.feat is None else dataset.events.feat.shape[1]
    latest, first = float(known[-1]), True
    for line, cells in read_rows(path):
        place = f"{path}, line {line}"
        if len(cells) < 3 + width:
            more = f" and {width} features" if width else ""
            raise DataError(f"{place}: found {len(cells)} column{'s' * (len(cells) != 1)}, expected source, target, time{more}")
        values = [_number(cell) for cell in cells[2 : 3 + width]]
        header = first and values[0] is None and not (cells[0] in number or cells[1] in number)
        first = False
        if header:
            continue
        for cell, value, what in zip(cells[2:], values, ["time", *["feature"] * width]):
            if value is None or not math.isfinite(value):
                raise DataError(f"{place}: {what} {cell!r}, expected a finite number")
        src, dst = (find_node(number, cell, place) for cell in cells[:2])
        if values[0] < latest:
            raise DataError(f"{place}: time {cells[2]} comes after {latest:.12g}, the last so far; expected events in order of time")
        latest = values[0]
        yield ids[src], ids[dst], cells[2], learner.score_event(src, dst, latest, values[1:] if width else None)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
