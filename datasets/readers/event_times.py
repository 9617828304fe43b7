"""Times of events: whole numbers, real numbers or ISO 8601 dates, each kept as exactly as 64 bits can.

Whole numbers are int64, other numbers float64. Dates are int64 since 1970 in UTC: in seconds or, if some have fractions
of a second, in the coarsest of milli-, micro- and nanoseconds that loses none; ``ticks`` is how many of them are a
second. What the file writes is kept beside a value that would come out in another form.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow
import pyarrow.compute as compute
from pyarrow import types

from graphkit.core import reading
from graphkit.core.errors import DataError

WHOLE = r"^[+-]?[0-9]+$"
DATE = (
    r"^(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r" ?(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?$"
)
BEYOND = 1 << 63  # whole numbers from here on do not fit
EXACT = 1 << 53  # from here on not every whole number is a float64
LONG = r"[0-9](?:[.]?[0-9]){16}"  # more digits than any float64 keeps
DAY = 86_400
EXPECTED = "expected a number or an ISO 8601 date"
FRACTIONS = (0, 3, 6, 9)  # digits of a second's fraction
UNITS = {0: "seconds", 3: "milliseconds", 6: "microseconds", 9: "nanoseconds"}

RowError = Callable[[int, str], DataError]


@dataclass
class Times:
    """Times of E events.

    values: (E,) int64 or float64. ticks: how many units of ``values`` are a second, for dates; 1 elsewhere. written:
    (E,) bytes as in the file, or None where the values are written so. dates: whether the file has dates.
    """

    values: np.ndarray
    ticks: int = 1
    written: np.ndarray | None = None
    dates: bool = False


def from_texts(column, source: str, title: str, error: RowError) -> Times:
    """Read a pyarrow column of strings.

    source: the file, title: the column, as messages call them. error: makes the :class:`DataError` of a row, counted
    from 0. Raises it for a cell that is neither number nor date, and for a whole number that does not fit in 64 bits,
    or in 53 beside real numbers.
    """
    column = compute.utf8_trim_whitespace(column)
    texts = pyarrow.concat_arrays(column.chunks) if isinstance(column, pyarrow.ChunkedArray) else column
    whole = _match(texts, WHOLE)
    if whole.all():
        return _whole(texts, title, error)
    dated = _match(texts, DATE)
    if dated.all():
        return _dates(texts, source, title, error)
    if dated[0]:
        row = int(np.argmin(dated))
        raise error(row, f"time {texts[row].as_py()!r} in {title}, expected an ISO 8601 date as in the first row")
    return _reals(texts, whole, source, title, error)


def from_parquet(column, source: str, name: str) -> Times:
    """Read a column of a Parquet file: numbers, timestamps, dates or strings; raises :class:`DataError` as
    :func:`from_texts` does.
    """

    def error(row: int, text: str) -> DataError:
        return DataError(f"{source}: row {row}: {text}")

    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        row = next(row for row, cell in enumerate(column.is_null().to_pylist()) if cell)
        raise DataError(f"{source}: column {name!r}, row {row}: empty, expected a time")
    if types.is_string(column.type) or types.is_large_string(column.type):
        return from_texts(column.cast(pyarrow.string()), source, f"column {name!r}", error)
    if types.is_timestamp(column.type) or types.is_date(column.type):
        return _stamps(column, source, name)
    if types.is_integer(column.type):
        if types.is_uint64(column.type) and len(column) and (largest := int(column.to_numpy().max())) >= BEYOND:
            raise DataError(
                f"{source}: column {name!r}: time {largest} is beyond 64 bits, expected whole numbers below 2^63"
            )
        return Times(column.cast(pyarrow.int64()).to_numpy())
    if not types.is_floating(column.type):
        raise DataError(
            f"{source}: column {name!r} is of type {column.type}, {EXPECTED.replace('an ISO 8601 date', 'a timestamp')}"
        )
    values = column.cast(pyarrow.float64()).to_numpy()
    if not np.isfinite(values).all():
        row = int(np.argmax(~np.isfinite(values)))
        raise DataError(f"{source}: column {name!r}, row {row}: {values[row]}, expected a finite number")
    return Times(values)


def _match(texts, pattern: str) -> np.ndarray:
    return compute.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)


def _bytes(texts) -> np.ndarray:
    """(E,) fixed-width bytes of a pyarrow array of ASCII strings."""
    return texts.to_numpy(zero_copy_only=False).astype("S")


def _whole(texts, title: str, error: RowError) -> Times:
    try:
        values = compute.cast(compute.ascii_ltrim(texts, "+"), pyarrow.int64()).to_numpy()
    except pyarrow.ArrowInvalid:
        row = next(row for row, cell in enumerate(texts.to_pylist()) if not -BEYOND <= int(cell) < BEYOND)
        raise error(
            row, f"time {texts[row]!s} in {title} is beyond 64 bits, expected whole numbers below 2^63"
        ) from None
    same = compute.all(compute.equal(compute.cast(pyarrow.array(values), pyarrow.string()), texts)).as_py()
    return Times(values, written=None if same else _bytes(texts))


def _reals(texts, whole, source: str, title: str, error: RowError) -> Times:
    """Numbers some of which are no whole ones, in float64."""
    try:
        values = compute.cast(texts, pyarrow.float64()).to_numpy()
    except pyarrow.ArrowInvalid:
        row = next(row for row, cell in enumerate(texts.to_pylist()) if real(cell) is None)
        raise error(row, f"time {texts[row].as_py()!r} in {title}, {EXPECTED}") from None
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise error(row, f"time {texts[row]!s} in {title}, expected a finite number")
    large = np.flatnonzero(whole & (np.abs(values) >= EXACT))
    if len(large):
        row = int(large[0])
        raise error(
            row,
            f"time {texts[row]!s} in {title} stands beside numbers with a fraction and has more digits than a 64-bit"
            " real number keeps; expected whole numbers alone, or below 2^53",
        )
    long = np.flatnonzero(_match(texts, LONG))
    lost = sum(Decimal(texts[int(row)].as_py()) != Decimal(repr(float(values[row]))) for row in long)
    if lost:
        reading.note(
            source,
            f"{lost} of {len(values)} times in {title} have more digits than a 64-bit real number keeps; rounded",
        )
    return Times(values, written=_bytes(texts))


def _dates(texts, source: str, title: str, error: RowError) -> Times:
    fields = compute.extract_regex(texts, DATE)
    parts = {name: fields.field(k) for k, name in enumerate(re.compile(DATE).groupindex)}

    def number(name: str) -> np.ndarray:
        cells = parts[name].to_numpy(zero_copy_only=False)
        return np.where(cells == "", "0", cells).astype("S").astype(np.int64)

    hour, minute, second = number("hour"), number("minute"), number("second")
    zone = parts["zone"].to_numpy(zero_copy_only=False).astype("S")
    wrong = np.flatnonzero((hour > 23) | (minute > 59) | (second > 59))
    try:
        days = _bytes(parts["date"]).astype("datetime64[D]").astype(np.int64)
    except ValueError:
        wrong = np.array([row for row, cell in enumerate(texts.to_pylist()) if _seconds(re.match(DATE, cell)) is None])
    if len(wrong):
        raise error(
            int(wrong[0]),
            f"time {texts[int(wrong[0])].as_py()!r} in {title} is no moment of the calendar, expected one",
        )
    kinds, place = np.unique(zone, return_inverse=True)
    shift = np.array([offset(kind.decode()) for kind in kinds])[place.ravel()]
    seconds = days * DAY + hour * 3600 + minute * 60 + second - shift
    fraction = parts["fraction"].to_numpy(zero_copy_only=False).astype("S9")
    used = np.char.rstrip(fraction, b"0")
    digits = next(step for step in FRACTIONS if step >= np.char.str_len(used).max(initial=0))
    rest = np.char.ljust(used, 9, b"0").astype(np.int64) // 10 ** (9 - digits)
    _check_span(seconds, digits, title, lambda row: error(row, f"time {texts[row].as_py()!r}"))
    bare = int((zone == b"").sum())
    _say(source, title, bare, len(seconds), digits)
    return Times(seconds * 10**digits + rest, 10**digits, _bytes(texts), dates=True)


def _stamps(column, source: str, name: str) -> Times:
    """Timestamps and dates of Parquet, which come out as ISO 8601."""
    written = _bytes(pyarrow.concat_arrays(column.cast(pyarrow.string()).chunks))
    if types.is_date(column.type):
        column = column.cast(pyarrow.timestamp("s"))
    per_second = {"s": 0, "ms": 3, "us": 6, "ns": 9}[column.type.unit]
    values = column.cast(pyarrow.int64()).to_numpy()
    digits = next(step for step in FRACTIONS if step == per_second or not (values % 10 ** (per_second - step)).any())
    _say(source, f"column {name!r}", 0 if column.type.tz else len(values), len(values), digits)
    return Times(values // 10 ** (per_second - digits), 10**digits, written, dates=True)


def _check_span(seconds, digits: int, title: str, error) -> None:
    far = np.flatnonzero(np.abs(seconds) >= BEYOND // 10**digits - 1)
    if len(far):
        problem = error(int(far[0]))
        raise DataError(
            f"{problem} in {title} is beyond what 64 bits hold in {UNITS[digits]}, expected the years 1678 to 2261"
        )


def _say(source: str, title: str, bare: int, count: int, digits: int) -> None:
    """Dates without a zone are taken for UTC: that is a guess; those with one are not."""
    if bare:
        which = "" if bare == count else f" ({bare} of {count} without a zone)"
        reading.note(source, f"the times in {title} are dates{which}, read as UTC in {UNITS[digits]} since 1970")


def offset(zone: str) -> int:
    """Seconds east of Greenwich of a zone as ISO 8601 writes it; an empty one and Z are 0."""
    if zone in ("", "Z", "z"):
        return 0
    figures = zone[1:].replace(":", "")
    seconds = int(figures[:2]) * 3600 + int(figures[2:] or 0) * 60
    return -seconds if zone[0] == "-" else seconds


def _seconds(match: re.Match) -> int | None:
    """Seconds since 1970 of a date without its fraction; None for one that the calendar lacks."""
    try:
        day = int(np.datetime64(match["date"], "D").astype(np.int64))
    except ValueError:
        return None
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    if hour > 23 or minute > 59 or second > 59:
        return None
    return day * DAY + hour * 3600 + minute * 60 + second - offset(match["zone"] or "")


def real(cell: str) -> float | None:
    """The number that a cell writes, or None."""
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None


class Clock:
    """Reads single times as those of given events were read, for events that come later.

    Raises :class:`DataError` that begins with ``place`` for a time of another kind, or of a finer one.
    """

    def __init__(self, events):
        self.whole, self.dates, self.ticks = events.time.dtype.kind == "i", events.dates, events.ticks
        self.largest = max(abs(int(events.time[0])), abs(int(events.time[-1])))

    def is_time(self, cell: str) -> bool:
        """Whether a cell has the form of a time."""
        return real(cell) is not None or re.match(DATE, cell) is not None

    def read(self, cell: str, place: str) -> int | float:
        """The time in the unit of the events."""
        if self.dates:
            return self._date(cell, place)
        if self.whole:
            return self._whole(cell, place)
        value = real(cell)
        if value is None or not math.isfinite(value):
            raise DataError(f"{place}: time {cell!r}, expected a finite number")
        if re.match(WHOLE, cell) and abs(int(cell)) > EXACT:
            raise DataError(f"{place}: time {cell} has more digits than a 64-bit real number keeps, expected fewer")
        return value

    def _whole(self, cell: str, place: str) -> int:
        value = real(cell)
        if value is None or not math.isfinite(value):
            raise DataError(f"{place}: time {cell!r}, expected a finite number")
        exact = Decimal(cell)
        if exact != int(exact):
            if self.largest < EXACT and abs(value) < EXACT:
                return value
            raise DataError(f"{place}: time {cell}, expected a whole number, as the times of the run are, from 2^53 on")
        if not -BEYOND <= exact < BEYOND:
            raise DataError(f"{place}: time {cell} is beyond 64 bits, expected a whole number below 2^63")
        return int(exact)

    def _date(self, cell: str, place: str) -> int:
        match = re.match(DATE, cell)
        seconds = None if match is None else _seconds(match)
        if seconds is None:
            raise DataError(f"{place}: time {cell!r}, expected an ISO 8601 date, as the times of the run are")
        rest, remainder = divmod(int((match["fraction"] or "").ljust(9, "0")) * self.ticks, 10**9)
        if remainder:
            raise DataError(
                f"{place}: time {cell} is finer than the 1/{self.ticks} s of the run's times, expected none finer"
            )
        if abs(seconds) >= BEYOND // self.ticks - 1:
            raise DataError(f"{place}: time {cell} is beyond 64 bits, expected a date nearer to those of the run")
        return seconds * self.ticks + rest
