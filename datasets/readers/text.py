"""Text tables: what separates columns, whether there is a header, and which line is wrong when one is.

pyarrow parses; this module finds out what to ask of it, and goes through the lines in Python only to name the one
that cannot be read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.compute as pc
import pyarrow.csv

from graphkit.core.errors import UsageError, did_you_mean
from graphkit.core.reading import note
from graphkit.datasets.readers.number_forms import COMMA, commas_are_decimal
from graphkit.io.blob import Blob, refuse_binary

SAMPLE = 1 << 16
SAMPLE_ROWS = 100
SEPARATORS = ("\t", ",", ";", "|")
DELIMITER_WORDS = {"\\t": "\t", "tab": "\t", "comma": ",", "space": " ", "semicolon": ";", "pipe": "|"}
COMMENT = (b"#", b"%")
MIDDLE_COMMENT = re.compile(rb"(?m)^[ \t]*[#%].*$")


class ConversionError(Exception):
    """A cell is not of the type asked for."""


@dataclass
class TextTable:
    """The rows of a text file below its comments and header.

    body: the file with comment lines blanked, so that line numbers stay. start: offset of the first data row.
    width: columns of the first row. names: cells of the header, or None.
    """

    blob: Blob
    body: bytes
    start: int
    delimiter: str
    width: int
    names: list[str] | None = None
    first: int = 0  # offset of the first row, the header where there is one

    def column(self, word: str, option: str = "--columns") -> int:
        """Number of the column that the user calls by name or by number from 0."""
        return find_column(self.blob, word, self.names, self.width, option)

    def sample(self) -> list[list[str]]:
        """Cells of up to 100 data rows."""
        return _sample(self.body, self.start, self.delimiter)

    def take_header(self) -> None:
        """Read the first row as the names of the columns."""
        self.names = [name.strip() for name in self.sample()[0]]
        self.first, self.start = self.start, _next_line(self.body, self.start)

    def return_header(self) -> None:
        """Read the names of the columns as the first row."""
        self.names, self.start = None, self.first

    def read(self, types: dict, empty: bool = False):
        """Parse the columns of ``types`` (number -> pyarrow type) and return them as a list of ChunkedArrays.

        empty: whether cells may be empty, which are nulls then. Raises ConversionError where a cell is not of its type,
        and DataError for ragged rows and bad encoding.
        """
        if not self.body[self.start :].strip():
            raise self.blob.error("no rows below the header, expected edges" if self.names else "no rows")
        if (
            self.names is not None and len(first := self.sample()[0]) > self.width
        ):  # the parser would leave out what is beyond
            raise self.error(0, f"found {len(first)} columns, expected {self.width} as in the header")
        fields = {f"f{number}": kind for number, kind in types.items()}
        decimal = self.delimiter != "," and pyarrow.float64() in types.values()
        if decimal and (found := with_decimal_comma(self, types, empty)) is not None:
            return found
        try:
            table = pyarrow.csv.read_csv(
                pyarrow.BufferReader(pyarrow.py_buffer(self.body)[self.start :]),
                read_options=pyarrow.csv.ReadOptions(autogenerate_column_names=True, block_size=1 << 22),
                parse_options=pyarrow.csv.ParseOptions(delimiter=self.delimiter),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=fields, include_columns=list(fields), null_values=[""], strings_can_be_null=True
                ),
            )
        except (pyarrow.ArrowInvalid, pyarrow.ArrowKeyError) as problem:
            self._explain(problem)
        columns = [table.column(name) for name in fields]
        for number, column in zip(types, columns):
            if column.null_count and not empty:
                row = first_true(column.is_null())
                raise self.error(row, f"empty cell in {self.title(number)}, expected a value")
        return columns

    def error(self, row: int, text: str):
        """A DataError that names the line of a data row, counted from 0."""
        line = next((line for place, (line, _) in enumerate(self.rows()) if place == row), None)
        return self.blob.error(text, line)

    def title(self, number: int) -> str:
        """A column as messages call it."""
        return f"column {self.names[number]!r}" if self.names and number < len(self.names) else f"column {number}"

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (line number in the file, cells) of every data row, slowly."""
        first = self.body.count(b"\n", 0, self.start)
        for place, line in enumerate(self.body[self.start :].split(b"\n"), start=first + 1):
            if line.strip(b"\r"):
                yield place, cells(line.decode("utf-8", errors="replace"), self.delimiter)

    def find_cell(self, number: int, wrong) -> tuple[int, str] | None:
        """Return (line, cell) of the first row whose cell in this column is wrong."""
        for line, row in self.rows():
            if number < len(row) and wrong(row[number]):
                return line, row[number]
        return None

    def _explain(self, problem) -> None:
        if "conversion error" in str(problem) and "UTF8" not in str(problem):
            raise ConversionError(str(problem)) from None
        for line, row in self.rows():
            if len(row) != self.width:
                columns = "column" if len(row) == 1 else "columns"
                raise self.blob.error(f"found {len(row)} {columns}, expected {self.width}", line) from None
        try:
            self.body.decode("utf-8")
        except UnicodeDecodeError as bad:
            line = self.body.count(b"\n", 0, bad.start) + 1
            raise self.blob.error(f"byte 0x{self.body[bad.start]:02x} is not UTF-8 text", line) from None
        raise self.blob.error(f"cannot be read as a table: {problem}") from None


def open_table(
    blob: Blob, header: bool | None, delimiter: str | None, known: frozenset, named: bool = False
) -> TextTable:
    """Find comments, delimiter and header of a text table.

    known: words that columns of such a table are called by. named: whether the user names columns by words, which
    then must stand in a header.
    """
    data = blob.data[3:] if blob.data.startswith(b"\xef\xbb\xbf") else blob.data
    refuse_binary(blob, data)
    if b"\r" in data[:SAMPLE] and b"\n" not in data[:SAMPLE]:
        data = data.replace(b"\r", b"\n")
    if any(mark in data for mark in COMMENT):
        data = MIDDLE_COMMENT.sub(b"", data)
    delimiter = separator(data, delimiter)
    if delimiter == " ":
        data = single_blanks(data)
    start = _skip_blank(data)
    sample = _sample(data, start, delimiter)
    if not sample:
        raise blob.error("no rows below the comments, expected a table")
    table = TextTable(blob, data, start, delimiter, len(sample[0]), first=start)
    if header is None:
        header = named or is_header(sample, known)
    if header:
        table.take_header()
    return table


def separator(data: bytes, given: str | None) -> str:
    """The delimiter: as given, else the one that gives the first rows equally many columns; " " stands for blanks."""
    if given is not None:
        found = DELIMITER_WORDS.get(given, given)
        if len(found) != 1 or ord(found) > 127 or found in '"\n\r':
            raise UsageError(f"--delimiter: found {given!r}, expected one ASCII character, tab or space")
        return found
    lines = [line.decode("utf-8", "replace") for line in data[:SAMPLE].split(b"\n") if line.strip()]
    lines = lines[:-1][:SAMPLE_ROWS] if len(lines) > 1 and len(data) > SAMPLE else lines[:SAMPLE_ROWS]
    regular = [
        mark
        for mark in SEPARATORS
        if len(counts := {len(cells(line, mark)) for line in lines}) == 1 and counts.pop() > 1
    ]
    if regular[:1] in ([","], []):  # a comma may be the decimal mark of numbers between other separators
        others = [mark for mark in regular if mark in ";|"]
        others += [" "] if len({len(line.split()) for line in lines}) == 1 and len(lines[0].split()) > 1 else []
        regular = [mark for mark in others if commas_are_decimal(lines, mark)] + regular
    if regular:
        return regular[0]
    # No delimiter is regular: take what the first line has, so that a ragged row is reported by its line.
    first = lines[0] if lines else ""
    if not any(mark in first for mark in ",;|") and len({len(line.split()) for line in lines}) == 1:
        return " "  # blanks and tabs mixed
    return next((candidate for candidate in SEPARATORS if len(cells(first.strip(), candidate)) > 1), " ")


def single_blanks(data: bytes) -> bytes:
    """Make runs of blanks and tabs one blank, and drop those at the ends of lines."""
    data = data.replace(b"\t", b" ")
    for double, single in ((b"  ", b" "), (b"\r\n", b"\n"), (b"\n ", b"\n"), (b" \n", b"\n")):
        while double in data:
            data = data.replace(double, single)
    return data.strip(b" ") if data[:1] == b" " or data[-1:] == b" " else data


def cells(line: str, delimiter: str) -> list[str]:
    """Split one line as csv does."""
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])
    except csv.Error:
        return line.split(delimiter)


def is_header(sample: list[list[str]], known: frozenset) -> bool:
    """Whether the first row names the columns.

    It does where its cells are words that such columns are called by and do not come back below, or where a column
    holds numbers below a cell that is none.
    """
    head, rows = [cell.strip() for cell in sample[0]], sample[1:]
    named = [i for i, cell in enumerate(head) if cell.lower() in known]
    if len(named) >= min(2, len(head)) and not any(head[i] in (row[i] for row in rows if i < len(row)) for i in named):
        return True
    for i, cell in enumerate(head):
        below = [row[i].strip() for row in rows if i < len(row)]
        if cell and not is_number(cell) and below and all(is_number(text) for text in below):
            return True
    return False


def is_number(text: str) -> bool:
    """Whether a cell is a number; "nan" and "inf" are."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text and text.isascii()  # Python reads digits of every script, Arrow does not


def find_column(blob: Blob, word: str, names: list[str] | None, width: int, option: str) -> int:
    """Number of a column called by name or by number from 0; raises DataError with what there is."""
    word = word.strip()
    if names and word in names:
        return names.index(word)
    if word.isascii() and word.isdigit():
        if int(word) < width:
            return int(word)
        raise blob.error(f"{option} {word}: no such column, expected 0..{width - 1}")
    if names is None:
        raise blob.error(f"{option} {word!r}: the table has no header, expected a number 0..{width - 1}")
    shown = ", ".join(repr(name) for name in names[:8]) + (", ..." if len(names) > 8 else "")
    raise blob.error(f"{option} {word!r}: no such column{did_you_mean(word, names) or f', expected one of {shown}'}")


def counted(number: int, noun: str) -> str:
    """A number and its noun: "1 row", "3 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def first_true(mask) -> int:
    """Position of the first True of a pyarrow boolean array."""
    return pyarrow.compute.index(mask, True).as_py()


def _next_line(data: bytes, start: int) -> int:
    end = data.find(b"\n", start)
    return len(data) if end < 0 else end + 1


def _skip_blank(data: bytes) -> int:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if data[start:end].strip():
            return start
        start = end + 1
    return len(data)


def _sample(data: bytes, start: int, delimiter: str) -> list[list[str]]:
    end = len(data) if len(data) - start <= SAMPLE else max(data.rfind(b"\n", start, start + SAMPLE), start)
    if end == start:  # the first line is longer than the sample
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
    lines = [line for line in data[start:end].decode("utf-8", "replace").split("\n") if line.strip("\r ")]
    return [cells(line, delimiter) for line in lines[:SAMPLE_ROWS]]


PLAIN = r"^\s*[+-]?[0-9]+([eE][+-]?[0-9]+)?\s*$"


THOUSANDS = r"^\s*[+-]?[1-9][0-9]{0,2},[0-9]{3}\s*$"


def with_decimal_comma(table: TextTable, types: Mapping[int, Any], empty: bool = False) -> list[Any] | None:
    """The columns of ``types`` with commas for decimal points in those of float64; None where none of these has commas.

    Raises :class:`DataError` with the line where all cells with a comma may as well have their thousands separated.
    """
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
