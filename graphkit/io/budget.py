"""How much memory reading may take: one budget for all files of a data set.

Whatever is read is counted as it unfolds: the bytes of a file or pipe, the content of gzip and zip, the decoded columns
of Parquet, an array that a sparse matrix or a list of places is spread out into, and what a generator is about to make.
What would pass the budget is refused in one line, before its memory is taken. The graph itself and the working memory
of the parsers come on top: two to four times the bytes of a text file.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator

import psutil

from graphkit.core.errors import DataError, UsageError
from graphkit.core.sizes import parse_bytes, shown

OPTION = "--read-limit"
SHARE = 0.25  # of the memory available, where no limit is given
# The limit that the command line sets for everything that it reads, and the budget of the data set being read.
_limit: contextvars.ContextVar[int | None] = contextvars.ContextVar("read_limit", default=None)
_current: contextvars.ContextVar[Budget | None] = contextvars.ContextVar("read_budget", default=None)


class Budget:
    """A number of bytes and how many of them are used."""

    def __init__(self, limit: int):
        self.limit, self.used = limit, 0

    @property
    def left(self) -> int:
        """Bytes that may still be taken."""
        return max(self.limit - self.used, 0)

    def take(self, count: int, place: object, what: str = "content") -> None:
        """Count bytes that are about to be taken; raises :class:`DataError` that names the place where there are not as
        many left.
        """
        if count > self.left:
            raise DataError(f"{place}: {what} of {shown(count)} exceeds the {self.describe()}")
        self.used += count

    def describe(self) -> str:
        """The limit for a message, with what is left of it."""
        rest = f", of which {shown(self.left)} are left" if self.used else ""
        return f"{shown(self.limit)} that reading may take ({OPTION}){rest}"


def set_limit(limit: str | int | None) -> None:
    """Limit all that this process reads from now on, as ``"4GB"`` or in bytes; None is the default share of the memory
    available.
    """
    _limit.set(_bytes(limit))


def limit() -> int:
    """Bytes that one data set may take: as set, else a quarter of the memory available."""
    chosen = _limit.get()
    return int(available() * SHARE) if chosen is None else chosen


def current() -> Budget:
    """The budget of the data set being read; a new one outside of :func:`scope`."""
    return _current.get() or Budget(limit())


@contextlib.contextmanager
def scope(limit_given: str | int | None = None) -> Iterator[Budget]:
    """One budget for all that is read within the block; within another block that one goes on, unless a limit is
    given.
    """
    if limit_given is None and (outer := _current.get()) is not None:
        yield outer
        return
    given = None if limit_given is None else _bytes(limit_given)
    budget = Budget(limit() if given is None else given)
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _current.reset(token)


def take(count: int, place: object, what: str = "content") -> None:
    """Count bytes against the current budget; see :meth:`Budget.take`."""
    current().take(count, place, what)


def refuse_large(count: int, place: object, what: str) -> None:
    """Raise :class:`UsageError` where a generator asked for on the command line would take more than is left."""
    budget = current()
    if count > budget.left:
        raise UsageError(f"{place}: {what} would take about {shown(count)}, more than the {budget.describe()}")


def available() -> int:
    """Bytes of memory that are free for this process: the machine's, or what its control group leaves."""
    free = psutil.virtual_memory().available
    for most, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            free = min(free, max(_number(most) - _number(used), 0))
    return free


def _number(path: str | os.PathLike) -> int:
    with open(path, encoding="ascii") as stream:
        return int(stream.read())


def _bytes(limit: str | int | None) -> int | None:
    return parse_bytes(OPTION, limit) if isinstance(limit, str) else limit
