"""Splits of events that a user gives, with or without the wrong pairs that stand against each judged event.

A row is ``[event,] src, dst, time, part``, as ``graphkit data split --task events [--negatives]`` writes it; the header
names the columns. ``event`` is the event's number in order of time; without it a row is matched by its ends and time,
the first row of several alike to the first event.

    ``train``, ``valid``, ``test``: the event's part; the parts follow each other in time.
    ``hidden``: an event before the test that neither trains nor validates, but is known when the test is judged.
    ``valid_neg``, ``test_neg``: a pair against the event; several rows are several negatives. Without ``event`` its
        source and time say which event it is.

Negatives alone keep the default parts. Without any, they are drawn as for ``chrono``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas
import pyarrow

from graphkit.datasets.base import EventSplit, GraphDataset
from graphkit.datasets.readers import event_times
from graphkit.datasets.readers.event_columns import EVENT_SOURCES, EVENT_TARGETS
from graphkit.datasets.readers.event_files import TIMES
from graphkit.datasets.readers.id_lists import numbers_of
from graphkit.datasets.readers.text import ConversionError, open_table
from graphkit.datasets.splits import event_negatives
from graphkit.io.blob import Blob, one_line
from graphkit.io.formats import format_of

EVENT, PART = ("event",), ("part", "split", "set")
KNOWN = frozenset((*EVENT, *EVENT_SOURCES, *EVENT_TARGETS, *TIMES, *PART))
NEGATIVE = 10  # added to a part's number for the pairs against its events
PARTS = {"train": 0, "valid": 1, "val": 1, "validation": 1, "dev": 1, "test": 2, "hidden": 3}
PARTS.update({f"{word}_neg": number + NEGATIVE for word, number in PARTS.items()})
NAMES = ("train", "valid", "test")


def read(dataset: GraphDataset, blob: Blob, default: EventSplit) -> EventSplit:
    """Read the split of a data set of events; ``default``: the parts where the file has negatives alone.

    Raises :class:`DataError` that names the line of a row that fits no event, of an event that is listed twice or in
    the wrong order, and what is missing.
    """
    if format_of(blob) != "edge list":
        raise blob.error(f"found {format_of(blob)}, expected a csv or tsv of events and their parts")
    with one_line(blob, "a table of splits"):
        table = open_table(blob, None, None, KNOWN)
        places = _places(blob, table)
        parts = _words(table, places["part"])
        ends = _nodes(dataset, table, places["src"], places["dst"])
        rows = {"src": ends[0], "dst": ends[1], "time": _times(dataset, table, places["time"]), "part": parts}
        own, against = np.flatnonzero(parts < NEGATIVE), np.flatnonzero(parts >= NEGATIVE)
        numbers = _numbers(dataset, table, places["event"])
        if numbers is None:
            numbers = np.empty(len(parts), dtype=np.int64)
            numbers[own] = _match(dataset, table, rows, own)
        else:
            _check_numbers(dataset, table, rows, numbers, own)
        split = _parts(dataset, table, parts, numbers, own) if len(own) else default
        if places["event"] is None:
            numbers[against] = _match_sources(dataset, table, rows, split, against)
        return _with_negatives(dataset, table, split, rows, numbers, against) if len(against) else split


def _places(blob: Blob, table) -> dict[str, int | None]:
    order = ("event", "src", "dst", "time", "part")
    if table.names is None:
        if table.width not in (4, 5):
            raise blob.error(f"found {table.width} columns, expected 4 or 5 ([event,] src, dst, time, part)")
        found = {name: place for place, name in enumerate(order[5 - table.width :])}
        return {"event": None, **found}
    lower = [name.strip().lower() for name in table.names]
    kinds = dict(zip(order, (EVENT, EVENT_SOURCES, EVENT_TARGETS, TIMES, PART)))
    found = {name: next((lower.index(word) for word in words if word in lower), None) for name, words in kinds.items()}
    missing = [name for name in order[1:] if found[name] is None]
    if missing:
        raise blob.error(f"has no column {missing[0]!r}, expected [event,] src, dst, time and part")
    return found


def _words(table, place: int) -> np.ndarray:
    words = [text.strip().lower() for text in table.read({place: pyarrow.string()})[0].to_pylist()]
    parts = np.array([PARTS.get(word, -1) for word in words])
    wrong = np.isin(parts, (-1, NEGATIVE, PARTS["hidden"] + NEGATIVE))  # training draws its own negatives
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.error(row, f"part {words[row]!r}, expected train, valid, test, hidden, valid_neg or test_neg")
    return parts


def _nodes(dataset: GraphDataset, table, *places: int) -> list[np.ndarray]:
    """Numbers of the nodes whose ids stand in each column."""
    number, found = numbers_of(dataset), []
    for place, column in zip(places, table.read({place: pyarrow.string() for place in places})):
        codes, words = pandas.factorize(column.to_numpy())
        known = np.array([number.get(word.strip(), -1) for word in words.tolist()])[codes]
        if (known < 0).any():
            row = int(np.argmax(known < 0))
            raise table.error(
                row, f"{table.title(place)} {words[codes[row]]!r} is not a node of the events, expected one"
            )
        found.append(known)
    return found


def _times(dataset: GraphDataset, table, place: int) -> np.ndarray:
    """Times in the unit and type of the data set's."""
    events = dataset.events
    (column,) = table.read({place: pyarrow.string()})
    found = event_times.from_texts(column, table.blob.name, table.title(place), table.error)
    if found.dates != events.dates:
        kinds = ["dates" if dates else "numbers" for dates in (found.dates, events.dates)]
        raise table.blob.error(f"{table.title(place)} holds {kinds[0]}, expected {kinds[1]} as the events have")
    if found.ticks > events.ticks:
        raise table.blob.error(
            f"{table.title(place)} has fractions of 1/{found.ticks} s, expected 1/{events.ticks} s as the events have"
        )
    return found.values * (events.ticks // found.ticks) if events.ticks > 1 else found.values


def _numbers(dataset: GraphDataset, table, place: int | None) -> np.ndarray | None:
    if place is None:
        return None
    try:
        numbers = table.read({place: pyarrow.int64()})[0].to_numpy()
    except ConversionError:
        line, cell = table.find_cell(place, lambda text: not text.strip().isdigit()) or (None, "text")
        raise table.blob.error(f"event {cell!r}, expected the event's number in order of time", line) from None
    wrong = (numbers < 0) | (numbers >= len(dataset.events))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.error(row, f"event {numbers[row]}, expected 0..{len(dataset.events) - 1}")
    return numbers


def _check_numbers(dataset: GraphDataset, table, rows, numbers, own) -> None:
    """Ends and time of a row must be those of its event; of a negative, the time."""
    events = dataset.events
    wrong = rows["time"] != events.time[numbers]
    for end in ("src", "dst"):
        wrong[own] |= rows[end][own] != getattr(events, end)[numbers[own]]
    if wrong.any():
        row = int(np.argmax(wrong))
        ids, k = dataset.ids(), int(numbers[row])
        known = f"{ids[events.src[k]]}, {ids[events.dst[k]]}, {events.times_of([k])[0]}"
        raise table.error(
            row, f"does not fit event {k}, which is {known}; expected the events of this file in order of time"
        )


def _match(dataset: GraphDataset, table, rows, own) -> np.ndarray:
    """Numbers of the events with the ends and time of the rows ``own``, in order where several are alike."""
    events, waiting = dataset.events, {}
    for number, key in enumerate(zip(events.src.tolist(), events.dst.tolist(), events.time.tolist())):
        waiting.setdefault(key, []).append(number)
    waiting = {key: iter(numbers) for key, numbers in waiting.items()}
    found = []
    for row in own.tolist():
        number = next(waiting.get((rows["src"][row], rows["dst"][row], rows["time"][row]), iter(())), None)
        if number is None:
            raise table.error(
                row, "is no event of the data, or is listed more often than it happens; expected its ends and time"
            )
        found.append(number)
    return np.array(found, dtype=np.int64)


def _parts(dataset: GraphDataset, table, parts, numbers, own) -> EventSplit:
    order = own[np.argsort(numbers[own], kind="stable")]
    twice = np.flatnonzero(np.diff(numbers[order]) == 0)
    if len(twice):
        raise table.error(
            int(order[twice + 1].min()), f"event {numbers[order[twice[0]]]} is listed twice, expected one part an event"
        )
    members = [numbers[order[parts[order] == k]] for k in range(4)]
    for name, found in zip(NAMES, members):
        if not len(found):
            raise table.blob.error(f"no event has the part {name}, expected train, valid and test")
    train, valid, test, hidden = members
    before = int(np.concatenate([train, valid, hidden]).max()) + 1
    for early, late, names in (
        (train[-1], valid[0], ("valid", "train")),
        (before - 1, test[0], ("test", "train, valid or hidden")),
    ):
        if late < early:
            found = f"event {late} is of part {names[0]}, but event {early} after it of {names[1]}"
            raise table.blob.error(f"{found}; expected parts in order of time")
    if before != len(train) + len(valid) + len(hidden):
        left = int(np.setdiff1d(np.arange(before), np.concatenate([train, valid, hidden]))[0])
        raise table.blob.error(
            f"event {left} is in no part, expected train, valid or hidden of every event before the test"
        )
    events = dataset.events
    trained = np.concatenate([train, valid])
    masked = np.setdiff1d(
        np.r_[events.src[hidden], events.dst[hidden]], np.r_[events.src[trained], events.dst[trained]]
    )
    drawn = {}
    for part, judged, seen in (("valid", valid, trained), ("test", test, np.r_[trained, test])):
        drawn[f"{part}_neg"] = event_negatives.random_destinations(part, np.unique(events.dst[seen]), len(judged))
    return EventSplit(train, valid, test, **drawn, masked=masked, before=before)


def _match_sources(dataset: GraphDataset, table, rows, split: EventSplit, against) -> np.ndarray:
    """Numbers of the judged events with the source and time of negative rows."""
    events, known = dataset.events, {}
    for part, number in (("valid", 1), ("test", 2)):
        judged = getattr(split, part)
        for k, u, t in zip(judged.tolist(), events.src[judged].tolist(), events.time[judged].tolist()):
            known.setdefault((number, u, t), []).append(k)
    found = []
    for row in against.tolist():
        own = known.get((rows["part"][row] - NEGATIVE, rows["src"][row], rows["time"][row]), ())
        if len(own) != 1:
            raise table.error(
                row,
                f"a negative of {len(own)} events of its source at its time, expected one; a column 'event' says which",
            )
        found.append(own[0])
    return np.array(found, dtype=np.int64)


def _with_negatives(dataset: GraphDataset, table, split: EventSplit, rows, numbers, against) -> EventSplit:
    changes, own_of, place_of = {}, {}, {}
    for part, number in (("valid", 1), ("test", 2)):
        judged = getattr(split, part)
        own = own_of[part] = against[rows["part"][against] == number + NEGATIVE]
        place = place_of[part] = np.minimum(np.searchsorted(judged, numbers[own]), len(judged) - 1)
        strange = judged[place] != numbers[own]
        if strange.any():
            row = int(own[np.argmax(strange)])
            raise table.error(
                row, f"a negative of event {numbers[row]}, which is not of the part {part}; expected one that is"
            )
    for part, own in own_of.items():
        judged, place = getattr(split, part), place_of[part]
        count = np.bincount(place, minlength=len(judged))
        if not count.all():
            missing = f"event {judged[np.argmin(count)]} of the part {part} has no negative"
            raise table.blob.error(
                f"{missing}, expected at least one for every event of valid and test, or none at all"
            )
        own = own[np.argsort(place, kind="stable")]
        row, width = np.repeat(np.arange(len(judged)), count), int(count.max())
        column = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        nodes = np.full((2, len(judged), width), -1, dtype=np.int64)
        nodes[0, row, column], nodes[1, row, column] = rows["src"][own], rows["dst"][own]
        same = (rows["src"][own] == dataset.events.src[judged[row]]).all()
        nodes = nodes[:, :, 0] if width == 1 else nodes
        changes.update({f"{part}_src": None if same else nodes[0], f"{part}_neg": nodes[1]})
    return replace(split, **changes)
