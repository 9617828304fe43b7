"""Numbers as they are written in other places: a decimal comma is read where it can only be one, other forms are named.

A table whose cells are not separated by commas may have a comma for the decimal point. It is read so where every cell
of the column is a number then and one of them cannot be a number with thousands separated (``0,5`` or ``12,25``, but
not ``1,250``), and that is noted. Percent signs, minus signs of typesetting, separated thousands and Fortran's
exponents are refused with what was found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

COMMA = r"^\s*[+-]?[0-9]+,[0-9]+([eE][+-]?[0-9]+)?\s*$"
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
