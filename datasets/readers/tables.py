"""Edge lists in text (csv, tsv, blanks; gzipped or not) and in Parquet.

A row is an edge. Lines that begin with ``#`` or ``%`` are comments. The columns are those of ``--columns``, else those
that the header calls source and target (or src and dst, from and to, u and v ...), else the first two. A column called
``weight`` holds weights without being asked for.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow
import pyarrow.compute

from graphkit.core.errors import UsageError
from graphkit.core.read_options import ReadOptions
from graphkit.core.reading import note
from graphkit.datasets.readers import not_edges
from graphkit.datasets.readers.assemble import EdgeTable, number_integers, number_strings
from graphkit.datasets.readers.event_columns import SOURCES, TARGETS, TIMES, interactions
from graphkit.datasets.readers.number_forms import hint
from graphkit.datasets.readers.text import (
    ConversionError,
    TextTable,
    counted,
    find_column,
    first_true,
    is_number,
    open_table,
)
from graphkit.graph.narrow import as_float64
from graphkit.io.blob import Blob
from graphkit.io.parquet_files import ParquetTable

WEIGHTS = ("weight", "weights", "edge_weight")
KNOWN = frozenset((*SOURCES, *TARGETS, *WEIGHTS))
BIG = 1 << 62


def read_table(blob: Blob, options: ReadOptions) -> EdgeTable:
    """Read an edge list in text; a million rows take about a second."""
    words = column_words(options)
    named = any(not word.isdigit() for word in words) and options.header is not False
    table = open_table(blob, options.header, options.delimiter, KNOWN | not_edges.WORDS, named=named)
    rows = table.sample()
    columns = choose_columns(blob, options, table.names, table.width, rows)
    if table.names is None and options.header is None and rows:
        line = next(table.rows())[0]
        if not_edges.header_of_words(rows, columns[:2]):
            note(
                blob.name,
                f"line {line} is read as column names, as ids below have digits; --no-header takes it as an edge",
            )
            table.take_header()
        elif not_edges.first_line_stands_alone(rows, columns[:2]) and not any(
            is_number(rows[0][place]) for place in columns[:2]
        ):
            note(blob.name, f"line {line} is read as an edge; --header takes it as column names")
    return EdgeTable(blob.name, *read_ids(table, *columns))


def column_words(options: ReadOptions) -> list[str]:
    """The words of ``--columns`` and ``--weight``; raises UsageError where they are not two or three."""
    words = [] if options.columns is None else [word.strip() for word in options.columns.split(",")]
    if options.columns is not None and (len(words) not in (2, 3) or not all(words)):
        raise UsageError(f"--columns: found {options.columns!r}, expected SRC,DST or SRC,DST,WEIGHT")
    if options.weight is not None:
        if len(words) == 3 and words[2] != options.weight:
            raise UsageError(f"--weight {options.weight!r} and --columns {options.columns!r} name different weights")
        words = [*words[:2], options.weight]
    return words


def choose_columns(
    blob: Blob, options: ReadOptions, names: list[str] | None, width: int, rows: list[list[str]] | None = None
) -> tuple:
    """(source, target, weight or None) as column numbers; of a guess the first ``rows`` are looked at."""
    if width < 2:
        raise blob.error("found 1 column, expected at least 2 (source and target); --delimiter names the separator")
    words = column_words(options)
    lower = [name.lower() for name in names or []]
    pick = [next((lower.index(word) for word in known if word in lower), None) for known in (SOURCES, TARGETS, WEIGHTS)]
    guessed = options.columns is None and (pick[0] is None or pick[1] is None or pick[0] == pick[1])
    if guessed:
        known = interactions(blob, names)
        guessed, pick[:2] = known is None, known or not_edges.first_pair(blob, names, width, rows or [])
    if len(words) >= 2 and options.columns is not None:
        pick[:2] = [find_column(blob, word, names, width, "--columns") for word in words[:2]]
    if options.weight is not None or len(words) == 3:
        option = "--columns" if options.weight is None else "--weight"
        pick[2] = find_column(blob, words[-1], names, width, option)
        if options.weight is None and pick[2] is not None and pick[2] < len(lower) and lower[pick[2]] in TIMES:
            note(
                blob.name,
                f"column {names[pick[2]]!r} holds times and is no weight; --weight {names[pick[2]]} takes it as one",
            )
            pick[2] = None
    elif options.columns is not None or pick[2] in pick[:2]:
        pick[2] = None if pick[2] in pick[:2] else pick[2]
    if len({place for place in pick if place is not None}) < sum(place is not None for place in pick):
        raise blob.error(
            f"column {pick[0] if pick[0] in pick[1:] else pick[1]} is named twice, expected different columns"
        )
    if guessed:
        not_edges.check_guess(blob, names, width, tuple(pick[:2]), rows or [], pick[2])
    return tuple(pick)


def read_ids(table: TextTable, first: int, second: int, weight: int | None = None):
    """(src, dst, weight, node_ids, n) of the columns: integer ids where all are integers, strings elsewhere.

    Raises DataError that names the line of a negative id, an empty cell, or a weight that is no finite number.
    """
    types = {} if weight is None else {weight: pyarrow.float64()}
    if not spelled(table, first, second):
        try:
            src, dst, *rest = table.read({first: pyarrow.int64(), second: pyarrow.int64(), **types})
        except ConversionError:
            pass
        else:
            src, dst = src.to_numpy(), dst.to_numpy()
            refuse_negative(table, (first, second), (src, dst))
            weights = finite(table, weight, rest[0].to_numpy(), "weight") if rest else None
            report_rounded(table, weight, weights)
            return _with_weight(number_integers(src, dst), weights)
    try:
        src, dst, *rest = table.read({first: pyarrow.string(), second: pyarrow.string(), **types})
    except ConversionError:
        line, cell = table.find_cell(weight, lambda text: not is_number(text)) or (None, "text")
        raise table.blob.error(
            f"weight {cell!r} in {table.title(weight)}, expected a number{hint(cell)}", line
        ) from None
    weights = finite(table, weight, rest[0].to_numpy(), "weight") if rest else None
    report_rounded(table, weight, weights)
    return _with_weight(number_columns(src, dst), weights)


def report_rounded(table: TextTable, number: int | None, values) -> None:
    """Note whole numbers of a column that float64 cannot hold."""
    if values is None or not len(values) or np.abs(values).max() < 1 << 53:
        return
    large = np.flatnonzero(np.abs(values) >= 1 << 53)
    cells = [cell.strip() for cell in table.read({number: pyarrow.string()})[0].take(pyarrow.array(large)).to_pylist()]
    changed = [
        cell
        for cell, value in zip(cells, values[large].tolist())
        if cell.lstrip("+-").isdigit() and int(cell) != int(value)
    ]
    if changed:
        note(
            table.blob.name,
            f"{counted(len(changed), 'weight')} beyond 2^53, the first is {changed[0]}: rounded to float64",
        )


def _with_weight(numbered, weight):
    src, dst, node_ids, n = numbered
    return src, dst, weight, node_ids, n


def spelled(table: TextTable, *numbers: int) -> bool:
    """Whether some id is spelled so that reading it as an integer would lose it: 007, 0x10."""
    mark = b" " if table.delimiter == " " else re.escape(table.delimiter.encode())
    zero = rb'[ "]{0,2}0[0-9xX]'
    # Two searches with a literal beginning are ten times as fast as one with an alternative.
    inside = any(re.compile(begin + zero).search(table.body, max(table.start - 1, 0)) for begin in (rb"\n", mark))
    if not inside and not re.match(zero, table.body[table.start : table.start + 8]):
        return False
    columns = table.read({number: pyarrow.string() for number in numbers})  # it may have been in another column
    matches = (pyarrow.compute.match_substring_regex(column, r"^\s*0[0-9xX]") for column in columns)
    return any(pyarrow.compute.any(match).as_py() for match in matches)


def refuse_negative(table: TextTable, numbers, columns) -> None:
    """Integer ids count from 0; a negative one is a sign of a wrong column or a marker for "missing"."""
    rows = [int(np.argmax(column < 0)) if (column < 0).any() else BIG for column in columns]
    if min(rows) < BIG:
        which = int(np.argmin(rows))
        found = int(columns[which][rows[which]])
        raise table.error(rows[which], f"negative node id {found} in {table.title(numbers[which])}, expected 0 or more")


def number_columns(src, dst):
    """Number two pyarrow string columns by first appearance; returns (src, dst, node_ids, n)."""
    chunks = [pyarrow.compute.utf8_trim_whitespace(chunk) for column in (src, dst) for chunk in column.chunks]
    encoded = pyarrow.chunked_array(chunks).dictionary_encode().unify_dictionaries()
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks]).astype(np.int64)
    values = encoded.chunk(0).dictionary.to_numpy(zero_copy_only=False).astype(object)
    return number_strings(codes, values)


def finite(table: TextTable, number: int, values, what: str):
    """The values, unless one of them is NaN or infinite."""
    wrong = ~np.isfinite(values)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.error(row, f"{what} {values[row]} in {table.title(number)}, expected a finite number")
    return values


def read_parquet(blob: Blob, options: ReadOptions) -> EdgeTable:
    """Read an edge list from Parquet; columns as in a text table, ids integers or strings."""
    file = open_parquet(blob)
    names = file.schema_arrow.names
    columns = choose_columns(blob, options, names, len(names))
    table = file.read(columns=list(dict.fromkeys(names[place] for place in columns if place is not None)))
    weight = None
    if columns[2] is not None:
        weight = parquet_numbers(blob, names[columns[2]], table.column(names[columns[2]]))
    return EdgeTable(blob.name, *_with_weight(parquet_ids(blob, table, names[columns[0]], names[columns[1]]), weight))


def parquet_ids(blob: Blob, table, first: str, second: str):
    """(src, dst, node_ids, n) of two columns of a pyarrow table: integer ids where both are integers, strings
    elsewhere.
    """
    src, dst = (plain_ids(blob, name, table.column(name)) for name in (first, second))
    if not len(src):
        raise blob.error("no rows, expected edges")
    if src.type != dst.type:
        src, dst = src.cast(pyarrow.string()), dst.cast(pyarrow.string())
    if src.type == pyarrow.string():
        return number_columns(src, dst)
    src, dst = src.to_numpy(), dst.to_numpy()
    for name, column in ((first, src), (second, dst)):
        if (column < 0).any():
            row = int(np.argmax(column < 0))
            raise blob.error(f"negative node id {column[row]} in column {name!r}, row {row}, expected 0 or more")
    return number_integers(src, dst)


def open_parquet(blob: Blob) -> ParquetTable:
    """A Parquet file whose declared size fits in memory."""
    return ParquetTable(blob)


def plain_ids(blob: Blob, name: str, column):
    """An id column as int64 or string, without nulls."""
    if pyarrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        raise blob.error(f"column {name!r}, row {first_true(column.is_null())}: empty, expected an id")
    if pyarrow.types.is_integer(column.type):
        return column.cast(pyarrow.int64())
    if pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type):
        return column.cast(pyarrow.string())
    raise blob.error(f"column {name!r} is of type {column.type}, expected integers or strings as ids")


def parquet_numbers(blob: Blob, name: str, column):
    """A numeric column as float64, finite."""
    if not (pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type)):
        raise blob.error(f"column {name!r} is of type {column.type}, expected numbers")
    if column.null_count:
        raise blob.error(f"column {name!r}, row {first_true(column.is_null())}: empty, expected a number")
    if pyarrow.types.is_integer(column.type):
        return as_float64(column.to_numpy(), blob.name, f"value in column {name!r}")
    values = column.cast(pyarrow.float64(), safe=False).to_numpy()
    if not np.isfinite(values).all():
        row = int(np.argmax(~np.isfinite(values)))
        raise blob.error(f"column {name!r}, row {row}: {values[row]}, expected a finite number")
    return values
