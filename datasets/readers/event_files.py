"""The user's own events: a row is an interaction with its source, destination and time, in any order of time.

Text or Parquet, as for edges. The columns are those of ``--columns src,dst,time[,weight[,label[,feature...]]]``, by
name or number from 0; else those that the header calls by the words for ends of an edge and for times, and ``weight``;
else the first three that are no index. So the tables of TGAT, TGN and DyGLib (``,u,i,ts,label,idx``) are known by their
header, and JODIE's files too, see :mod:`graphkit.datasets.readers.jodie_files`. Repeated pairs and self-loops are
events like any other. Times are numbers or dates, see :mod:`graphkit.datasets.readers.event_times`.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import numpy as np
import pyarrow
from pyarrow import types

from graphkit.core import reading
from graphkit.core.errors import UsageError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers import event_times, jodie_files
from graphkit.datasets.readers.event_columns import EVENT_SOURCES, EVENT_TARGETS, TIMES
from graphkit.datasets.readers.events import in_order, static_graph
from graphkit.datasets.readers.tables import WEIGHTS, finite, open_parquet, parquet_ids, parquet_numbers, read_ids
from graphkit.datasets.readers.text import ConversionError, find_column, is_number, open_table
from graphkit.io.blob import Blob, one_line
from graphkit.io.formats import format_of

log = logging.getLogger("graphkit")

LABELS = ("label", "state_label")
INDEX = ("", "idx", "index", "unnamed: 0", "__index_level_0__")  # the row's own number
KNOWN = frozenset((*EVENT_SOURCES, *EVENT_TARGETS, *TIMES, *WEIGHTS, *LABELS))


def read_events(blob: Blob, options: ReadOptions, name: str) -> GraphDataset:
    """Read the interactions of a file as a data set with ``events``; its graph is that of the pairs that ever interact.

    Raises :class:`DataError` that names the line of a missing, negative or non-numeric cell, :class:`UsageError` for
    options of graphs.
    """
    given = [flag for flag in ("features", "labels") if getattr(options, flag) is not None]
    given += ["duplicates"] if options.duplicates == "sum" else []
    if given:
        raise UsageError(
            f"{', '.join('--' + flag for flag in given)}: found with a file of events, expected with a graph only"
        )
    kind = format_of(blob)
    if kind not in ("edge list", "Parquet"):
        raise blob.error(f"is {kind}, expected events in text or Parquet")
    with one_line(blob, "events"):
        ids, columns = (_from_text if kind == "edge list" else _from_parquet)(blob, options)
    src, dst, node_ids, count = ids
    if len(columns["time"]) > 1 and (np.diff(columns["time"]) < 0).any():
        log.info("%s: the events are not in order of time; sorted", blob.name)
    events = in_order(src, dst, columns.pop("time"), **columns)
    return GraphDataset(name, static_graph(events, count), events=events, directed=False, node_ids=node_ids)


def _from_text(blob: Blob, options: ReadOptions):
    words = _words(options)
    named = any(not word.isdigit() for word in words) and options.header is not False
    table = open_table(blob, options.header, options.delimiter, KNOWN, named=named)
    if not words and options.weight is None and jodie_files.is_jodie(table):
        table = jodie_files.widened(table)
        places = jodie_files.places(table)
        src, dst, node_ids, count = jodie_files.read_ends(table)
    else:
        places = _choose(blob, words, options.weight, table.names, table.width)
        src, dst, _, node_ids, count = read_ids(table, *places["ends"])
    _refuse_split_dates(table, places)

    def numbers(wanted: dict[int, str]):
        types = {number: pyarrow.string() if what == "time" else pyarrow.float64() for number, what in wanted.items()}
        try:
            columns = table.read(types)
        except ConversionError:
            for number, what in wanted.items():
                wrong = None if what == "time" else table.find_cell(number, lambda text: not is_number(text))
                if wrong is not None:
                    raise blob.error(
                        f"{what} {wrong[1]!r} in {table.title(number)}, expected a number", wrong[0]
                    ) from None
            raise
        return [
            event_times.from_texts(column, blob.name, table.title(number), table.error)
            if what == "time"
            else finite(table, number, column.to_numpy(), what)
            for (number, what), column in zip(wanted.items(), columns)
        ]

    return (src, dst, node_ids, count), _columns(blob, places, numbers)


def _refuse_split_dates(table, places: dict[str, Any]) -> None:
    """A date and a time of day that a blank parts are two columns, of which the second would be lost."""
    after = places["time"] + 1
    line, row = next(table.rows(), (None, []))
    if (
        after < len(row)
        and re.match(event_times.DATE, row[after - 1].strip())
        and re.match(r"[0-9]{2}:[0-9]{2}", row[after].strip())
    ):
        found, whole = (f"{row[after - 1]}{mark}{row[after]}" for mark in " T")
        raise table.blob.error(
            f"the time {found!r} is parted in two columns, expected {whole} or another separator", line
        )


def _from_parquet(blob: Blob, options: ReadOptions):
    file = open_parquet(blob)
    names = file.schema_arrow.names
    places = _choose(blob, _words(options), options.weight, names, len(names))
    table = file.read(columns=[names[place] for place in (*places["ends"], *_numeric(places))])
    ids = parquet_ids(blob, table, *(names[place] for place in places["ends"]))

    def numbers(wanted: dict[int, str]):
        return [
            event_times.from_parquet(table.column(names[number]), blob.name, names[number])
            if what == "time"
            else parquet_numbers(blob, names[number], table.column(names[number]))
            for number, what in wanted.items()
        ]

    return ids, _columns(blob, places, numbers)


def _words(options: ReadOptions) -> list[str]:
    words = [word.strip() for word in options.columns.split(",")] if options.columns is not None else []
    if options.columns is not None and (len(words) < 3 or not all(words)):
        raise UsageError(
            f"--columns: found {options.columns!r}, expected SRC,DST,TIME for events, or SRC,DST,TIME,WEIGHT,LABEL,..."
        )
    return words


def _choose(blob: Blob, words: list[str], weight: str | None, names: list[str] | None, width: int) -> dict[str, Any]:
    """{"ends": two column numbers, "time", "weight", "label": number or None, "features": numbers}."""
    if width < 3:
        raise blob.error(f"found {width} column{'s' * (width > 1)}, expected at least 3 (source, destination, time)")
    features: list[int] = []
    if words:
        found = [find_column(blob, word, names, width, "--columns") for word in words]
        pick, features = [*found[:5], *[None] * (5 - len(found[:5]))], found[5:]
    else:
        pick = _guess(blob, names, width)
    if weight is not None:
        pick[3] = find_column(blob, weight, names, width, "--weight")
    used = [place for place in (*pick, *features) if place is not None]
    if len(set(used)) < len(used):
        again = next(place for place in used if used.count(place) > 1)
        raise blob.error(f"column {again} is named twice, expected different columns")
    return {"ends": pick[:2], "time": pick[2], "weight": pick[3], "label": pick[4], "features": features}


def _guess(blob: Blob, names: list[str] | None, width: int) -> list[int | None]:
    """Column numbers of source, destination, time, weight and label by the words of the header, else the first three
    that are no index.
    """
    lower = [name.strip().lower() for name in names or []]
    kinds = (EVENT_SOURCES, EVENT_TARGETS, TIMES, WEIGHTS, LABELS)
    pick = [next((lower.index(word) for word in known if word in lower), None) for known in kinds]
    if None not in pick[:3] and len(set(pick[:3])) == 3:
        if any(word in INDEX for word in lower):
            ends = " and ".join(names[place] for place in pick[:2])
            log.info(
                "%s: a table of events with an index: %s are the ends, %s is the time", blob.name, ends, names[pick[2]]
            )
        return pick
    first = [place for place in range(width) if place >= len(lower) or lower[place] not in INDEX][:3]
    if len(first) < 3:
        raise blob.error(
            f"found {len(first)} columns beside the index, expected at least 3 (source, destination, time)"
        )
    if names is not None or width > 3:
        title = [repr(names[place]) if names and place < len(names) else str(place) for place in first]
        reading.note(
            blob.name,
            f"the columns {', '.join(title)} are taken for source, destination and time; --columns names others",
        )
    return [*first, *(None if place in first else place for place in pick[3:])]


def names_time(blob: Blob, options: ReadOptions) -> bool:
    """Whether ``--columns SRC,DST,TIME`` names a column of times: by the word for it, or by the date in its first
    row.
    """
    words = [word.strip() for word in (options.columns or "").split(",")]
    if len(words) < 3 or format_of(blob) not in ("edge list", "Parquet"):
        return False
    if format_of(blob) == "Parquet":
        schema = open_parquet(blob).schema_arrow
        place = find_column(blob, words[2], schema.names, len(schema.names), "--columns")
        return schema.names[place].lower() in TIMES or types.is_temporal(schema.field(place).type)
    named = any(not word.isdigit() for word in words) and options.header is not False
    table = open_table(blob, options.header, options.delimiter, KNOWN, named=named)
    place = find_column(blob, words[2], table.names, table.width, "--columns")
    row = next(table.rows(), (None, []))[1]
    dated = place < len(row) and re.match(event_times.DATE, row[place].strip()) is not None
    return dated or (table.names is not None and table.names[place].strip().lower() in TIMES)


def _numeric(places: dict[str, Any]) -> dict[int, str]:
    """Column number -> what it holds, of all columns of numbers."""
    single = {places[what]: what for what in ("time", "weight", "label") if places[what] is not None}
    return {**single, **dict.fromkeys(places["features"], "feature")}


def _columns(blob: Blob, places: dict[str, Any], numbers) -> dict[str, Any]:
    """Times, weights, labels and features as arrays by name, those that are there; ``numbers`` reads columns, all at
    once.
    """
    wanted = _numeric(places)
    values = dict(zip(wanted, numbers(wanted)))
    found = {what: values[number] for number, what in wanted.items() if what not in ("feature", "time")}
    times = values[places["time"]]
    found.update(time=times.values, written=times.written, ticks=times.ticks, dates=times.dates)
    if "label" in found:
        label = found["label"]
        wrong = label[(label != np.rint(label)) | (np.abs(label) >= 1 << 53)]
        if len(wrong):
            raise blob.error(f"label {wrong[0]:g}, expected whole numbers")
        found["label"] = label.astype(np.int64)
    if places["features"]:
        features = np.stack([values[number] for number in places["features"]], axis=1)
        if np.abs(features).max(initial=0) > np.finfo(np.float32).max:
            raise blob.error(f"feature {np.abs(features).max():g} is beyond float32")
        found["feat"] = features.astype(np.float32)
    return found
