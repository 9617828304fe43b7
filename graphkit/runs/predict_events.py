"""A trained run judges events as they come: each is scored with all that came before it, then taken in."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator
from typing import Any

from graphkit.core import reading
from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.event_files import KNOWN
from graphkit.datasets.readers.event_times import DATE, Clock, real
from graphkit.datasets.readers.id_lists import find_node, numbers_of, read_rows

log = logging.getLogger("graphkit")
HEADER = ("source", "target", "time", "score")


def score_events(
    learner, dataset: GraphDataset, path: str, after: str = "test", new_nodes: bool = False
) -> Iterator[tuple[Any, Any, str, float]]:
    """Yield (source, target, time as it is written, score) of every line of a file or, for ``-``, of stdin, before the
    next is read.

    Columns are source, target, time and, where the data have them, the features of the event. A first line that names
    neither nodes nor a time is a header. The stream follows the part ``after`` of the run's data. With ``new_nodes`` a
    node that the run does not know is taken in, without a past and with features of 0. Times are of the kind of the
    run's: whole numbers, real numbers or dates. Raises :class:`DataError` with the line for an unknown node otherwise,
    a time of another kind or before the last event, and missing features.
    """
    learner.start_stream(after)
    clock, last = Clock(dataset.events), (dataset.split.before if after == "valid" else len(dataset.events)) - 1
    number, ids, added = numbers_of(dataset), dataset.ids().tolist(), 0
    width = 0 if dataset.events.feat is None else dataset.events.feat.shape[1]
    latest, first = dataset.events.time[last].item(), True
    shown = dataset.events.times_of([last])[0]
    for line, cells in read_rows(path):
        place = f"{path}, line {line}"
        if len(cells) < 3 + width:
            more = f" and {width} features" if width else ""
            raise DataError(
                f"{place}: found {len(cells)} column{'s' * (len(cells) != 1)}, expected source, target, time{more}"
            )
        header = first and not clock.is_time(cells[2]) and not (cells[0] in number or cells[1] in number)
        first = False
        if header:
            if not {cell.lower() for cell in cells[:3]} <= KNOWN:
                reading.note(path, f"line {line} is taken for a header: {', '.join(cells[:3])}")
            continue
        if len(cells) > 3 + width:
            if re.match(DATE, cells[2]) and re.match(r"[0-9]{2}:[0-9]{2}", cells[3]):
                raise DataError(
                    f"{place}: the time '{cells[2]} {cells[3]}' is parted in two columns, expected"
                    f" {cells[2]}T{cells[3]}"
                )
            reading.note(path, f"the columns after the first {3 + width} are not used")
        time, features = clock.read(cells[2], place), [_feature(cell, place) for cell in cells[3 : 3 + width]]
        for cell in cells[:2]:
            if new_nodes and cell not in number:
                _check_new(cell, ids, place)
                number[cell], added = learner.add_node(), added + 1
                ids.append(int(cell) if isinstance(ids[0], int) else cell)
                if added == 1:
                    log.info(
                        "%s: %r is new to the run and taken in without a past; later ones are not named", place, cell
                    )
        src, dst = (_known(number, cell, place) for cell in cells[:2])
        if time < latest:
            raise DataError(
                f"{place}: time {cells[2]} comes after {shown}, the last so far; expected events in order of time"
            )
        latest, shown = time, cells[2]
        yield ids[src], ids[dst], cells[2], learner.score_event(src, dst, time, features if width else None)


def _check_new(cell: str, ids: list, place: str) -> None:
    """Raise :class:`DataError` for what is no name of a new node: nothing, or where all nodes are whole numbers another
    form.
    """
    if not cell.strip():
        raise DataError(f"{place}: an empty cell, expected a node")
    if ids and isinstance(ids[0], int) and (not cell.isdecimal() or str(int(cell)) != cell):
        raise DataError(f"{place}: node {cell!r}, expected a whole number from 0, as the nodes of the run are")


def _known(number: dict[str, int], cell: str, place: str) -> int:
    try:
        return find_node(number, cell, place)
    except DataError as problem:
        raise DataError(f"{problem}; --new-nodes takes such nodes in") from None


def _feature(cell: str, place: str) -> float:
    value = real(cell)
    if value is None or not math.isfinite(value):
        raise DataError(f"{place}: feature {cell!r}, expected a finite number")
    return value
