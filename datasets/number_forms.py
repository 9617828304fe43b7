"""Numbers as they are written in other places: a decimal comma is read where it can only be one, other forms are named.

A table whose cells are not separated by commas may have a comma for the decimal point. It is read so where every cell
of the column is a number then and one of them cannot be a number with thousands separated (``0,5`` or ``12,25``, but
not ``1,250``), and that is noted. Percent signs, minus signs of typesetting, separated thousands and Fortran's
exponents are refused with what was found.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from graphkit.reading import note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphkit.datasets.text import TextTable

COMMA = r"^\s*[+-]?[0-9]+,[0-9]+([eE][+-]?[0-9]+)?\s*$"
PLAIN = r"^\s*[+-]?[0-9]+([eE][+-]?[0-9]+)?\s*$"
THOUSANDS = r"^\s*[+-]?[1-9][0-9]{0,2},[0-9]{3}\s*$"
HINTS = (
    (re.compile("[\u2212\u2013\u2012\ufe63\uff0d]"), "the minus sign is another character than '-'"),
    (re.compile("[\u00a0\u202f\u2009']|[0-9],[0-9]{3}([,.]|$)"), "thousands are not separated"),
    (re.compile("%"), "a share is a number without %"),
    (re.compile(r"^\s*[-+]?[0-9.]+[dD][-+]?[0-9]+\s*$"), "the exponent's letter is E"),
    (re.compile(r"^\s*[-+]?[0-9]+,[0-9]+\s*$"), "the decimal mark is a point"),
    (re.compile(r"^\s*0[xX]"), "hexadecimal is not read"),
    (re.compile(r"^\s*(true|false|yes|no)\s*$", re.I), "1 or 0"),
)


def hint(cell: str) -> str:
    """``" (...)"`` with what is odd about the way a cell writes a number, or nothing."""
    return next((f" ({text})" for pattern, text in HINTS if pattern.search(cell)), "")


def commas_are_decimal(lines: Sequence[str], mark: str) -> bool:
    """Whether every comma of some lines stands inside of a number, when cells are separated by ``mark`` (" " for
    blanks).
    """
    found = False
    for line in lines:
        for cell in line.split() if mark == " " else line.split(mark):
            if "," in cell:
                if not re.match(COMMA, cell):
                    return False
                found = True
    return found


def with_decimal_comma(table: TextTable, types: Mapping[int, Any], empty: bool = False) -> list[Any] | None:
    """The columns of ``types`` with commas for decimal points in those of float64; None where none of these has commas.

    Raises :class:`DataError` with the line where all cells with a comma may as well have their thousands separated.
    """
    import pyarrow
    import pyarrow.compute as pc

    numbers = [number for number, kind in types.items() if kind == pyarrow.float64()]
    if b"," not in table.body:
        return None
    texts = table.read(
        {number: pyarrow.string() if number in numbers else kind for number, kind in types.items()}, empty
    )
    columns, changed = dict(zip(types, texts)), False
    for number in numbers:
        column = columns[number]
        commas = pc.match_substring_regex(column, COMMA)
        if not pc.any(commas).as_py():
            continue
        if not pc.all(pc.or_(commas, pc.match_substring_regex(column, PLAIN))).as_py():
            continue  # some cell is no number either way, and its line is named as usual
        if pc.all(pc.or_(pc.invert(commas), pc.match_substring_regex(column, THOUSANDS))).as_py():
            row = pc.index(commas, True).as_py()
            cell = column[row].as_py()
            point, none = cell.replace(",", "."), cell.replace(",", "")
            raise table.error(
                row,
                f"{cell!r} in {table.title(number)} may be {point} or {none}, expected a decimal point, no separators",
            )
        columns[number], changed = pc.replace_substring(column, ",", "."), True
        shown = column[pc.index(commas, True).as_py()].as_py()
        note(table.blob.name, f"{table.title(number)} is read with a decimal comma ({shown!r})")
    if not changed:
        return None
    try:
        for number in numbers:
            columns[number] = pc.utf8_trim_whitespace(columns[number]).cast(types[number])
        return list(columns.values())
    except pyarrow.ArrowInvalid:
        return None
