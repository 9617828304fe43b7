"""JODIE's csv of interactions: user, item, time, state label, and what is left of the row as features of the event.

The published files (wikipedia, reddit, mooc, lastfm) have a header of five names over rows of 4 + F columns, and number
users and items each from 0, so that one number means two nodes. Source: Kumar, Zhang, Leskovec 2019.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy
import pyarrow

from graphkit.datasets.readers.assemble import number_integers
from graphkit.datasets.readers.tables import refuse_negative
from graphkit.datasets.readers.text import ConversionError, TextTable, is_number

log = logging.getLogger("graphkit")

LAST_NAME = "comma_separated_list_of_features"
FIXED = 4  # columns before the features


def is_jodie(table: TextTable) -> bool:
    """Whether the header is that of JODIE's files."""
    return table.names is not None and len(table.names) == FIXED + 1 and table.names[-1].lower() == LAST_NAME


def widened(table: TextTable) -> TextTable:
    """The same table with a name for every column that its first row has."""
    width = len(next(table.rows(), (0, table.names))[1])
    return replace(table, width=width, names=[*table.names[:FIXED], *(f"feature {k}" for k in range(width - FIXED))])


def places(table: TextTable) -> dict[str, Any]:
    """Which column holds what, as :func:`graphkit.datasets.readers.event_files.read_events` asks."""
    if table.width < FIXED:
        line = next(table.rows())[0]
        raise table.blob.error(
            f"found {table.width} columns, expected at least {FIXED} (user, item, time, label)", line
        )
    return {"ends": [0, 1], "time": 2, "weight": None, "label": 3, "features": list(range(FIXED, table.width))}


def read_ends(table: TextTable) -> tuple[numpy.ndarray, numpy.ndarray, Any, int]:
    """(src, dst, node_ids, n): users, and items as the numbers after them, the convention of TGN, PyG and TGB.

    Raises :class:`DataError` that names the line of what is no whole number from 0.
    """
    try:
        users, items = (column.to_numpy() for column in table.read({0: pyarrow.int64(), 1: pyarrow.int64()}))
    except ConversionError:
        for number in (0, 1):
            if (
                wrong := table.find_cell(number, lambda text: not text.strip().isdigit() or int(text) >= 1 << 63)
            ) is not None:
                what = "beyond 64 bits" if wrong[1].strip().isdigit() else "a number" if is_number(wrong[1]) else "text"
                raise table.blob.error(
                    f"{table.title(number)} {wrong[1]!r} is {what}, expected a whole number from 0", wrong[0]
                ) from None
        raise
    refuse_negative(table, (0, 1), (users, items))
    first = int(users.max()) + 1
    if first + int(items.max()) >= 1 << 63:
        raise table.blob.error(f"item {items.max()} after {first} users is beyond 64 bits, expected smaller numbers")
    log.info("%s: JODIE's form: item i is node %d + i, after the users 0..%d", table.blob.name, first, first - 1)
    return number_integers(users, items + first)
