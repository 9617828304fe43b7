"""The one rule of reading: nothing is reinterpreted silently.

Whatever a reader takes otherwise than it stands in the file, though no option asked for it and although it can change a
result (a column guessed, rows matched by their order, a label taken as missing, lines merged, edges dropped, a type
narrowed), is reported with :func:`note`: one line that says what and how many. The lines are printed on stderr, each
once; they stand in ``result.json`` under ``reading``; with ``--strict`` the first of them is a :class:`DataError`.

What an option asked for is no guess, nor is a column that a header of known words names.

>>> with ledger() as found:
...     note("my.csv", "3 labels are empty and taken as missing")
>>> found.lines
['my.csv: 3 labels are empty and taken as missing']
>>> with ledger(strict=True):
...     note("my.csv", "3 labels are empty and taken as missing")
Traceback (most recent call last):
graphkit.core.reading.Reinterpreted: my.csv: 3 labels are empty and taken as missing (refused by --strict)
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from graphkit.core.errors import DataError

log = logging.getLogger("graphkit")


class Reinterpreted(DataError):
    """Under ``--strict``: something would have been read otherwise than it stands."""


class Ledger:
    """The notes of one command, or of one load; each line once, in the order in which they came."""

    def __init__(self, strict: bool = False, outer: Ledger | None = None):
        self.strict, self.outer = strict, outer
        self._lines: dict[str, None] = {}

    @property
    def lines(self) -> list[str]:
        """The lines so far."""
        return list(self._lines)

    def add(self, line: str) -> None:
        """Keep a line and pass it outwards; the outermost ledger prints what is new to it."""
        if self.strict:
            raise Reinterpreted(f"{line} (refused by --strict)")
        new = line not in self._lines
        self._lines[line] = None
        if self.outer is not None:
            self.outer.add(line)
        elif new:
            log.warning("%s", line)


_current: ContextVar[Ledger | None] = ContextVar("graphkit_reading", default=None)


def note(source: str, text: str) -> None:
    """Report that ``source`` (a file or data set) is read otherwise than it stands.

    text: one line that says what was taken for what, and how many. Raises :class:`Reinterpreted` under ``--strict``.
    """
    (_current.get() or Ledger()).add(f"{source}: {text}")


def lines() -> list[str]:
    """The notes of the command that runs, or of the block of :func:`ledger`; empty outside of both."""
    current = _current.get()
    return [] if current is None else current.lines


@contextmanager
def ledger(strict: bool = False) -> Iterator[Ledger]:
    """Collect the notes of a block in a ledger of their own; those around it see them too, and their strictness
    holds.
    """
    outer = _current.get()
    inner = Ledger(strict or (outer is not None and outer.strict), outer)
    before = _current.set(inner)
    try:
        yield inner
    finally:
        _current.reset(before)
