"""Which column of a file about nodes holds their ids, and nodes that such a file alone names.

The id column is the one that ``--id-column`` names; else the one that the header calls ``id`` (or node, node_id ...);
else the one whose values are the ids of the graph, which is reported. Where no column is, rows go by order: row k
belongs to the k-th node, which is reported too unless the ids of the graph are 0..n-1. What is in doubt is an error
that names ``--id-column``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas

from graphkit.core import reading
from graphkit.datasets.readers.assemble import EdgeTable
from graphkit.datasets.readers.id_lists import ID_NAMES
from graphkit.datasets.readers.node_tables import NodeRows, TextRows, whole_numbers
from graphkit.datasets.readers.text import counted, is_number

COUNTER_NAMES = frozenset(("", "unnamed: 0", "index", "__index_level_0__"))  # what pandas calls a column of row numbers
NO_COLUMN = "none"
MOST, HALF = 0.9, 0.5  # shares of a column that are ids of the graph: it holds ids; it may hold ids
CLEAR_ROWS = 5  # from as many rows on different whole numbers are no coincidence
SAMPLED = 32  # columns of a table from which on the first rows decide which are looked at


class NodeIndex:
    """Finds node numbers by the ids that a user writes, in a table of edges or a data set."""

    def __init__(self, table_or_dataset):
        self.ids, self.n = table_or_dataset.node_ids, table_or_dataset.num_nodes
        self.strings = self.ids is not None and self.ids.dtype.kind in "OU"
        if self.strings:
            self.index = pandas.Index(self.ids)

    def find(self, ids) -> np.ndarray:
        """(k,) node numbers of ids given as int64 or as str; -1 for those that the graph lacks."""
        ids = np.asarray(ids)
        if self.strings:
            return self.index.get_indexer(ids.astype(str).astype(object))
        if ids.dtype.kind not in "iu":
            ids = whole_numbers(ids)
        if self.ids is None:
            return np.where((ids >= 0) & (ids < self.n), ids, -1)
        if not self.n:
            return np.full(len(ids), -1)
        place = np.minimum(np.searchsorted(self.ids, ids), self.n - 1)
        return np.where(self.ids[place] == ids, place, -1)

    def typed(self, rows: NodeRows, cells: np.ndarray, number: int | None) -> np.ndarray:
        """The ids of a column as the graph has them: int64 or an object array of str; raises :class:`DataError` for
        others.
        """
        where = "" if number is None else f" in {rows.title(number)}"
        if self.strings:
            texts = cells.astype(str).astype(object)
            for row in np.flatnonzero(texts == "")[:1]:
                raise rows.error(int(row), f"empty cell{where}, expected an id")
            return texts
        numbers = whole_numbers(cells) if cells.dtype == object else cells
        for row in np.flatnonzero(numbers < 0)[:1]:
            found = str(cells[row])
            if not found:
                raise rows.error(int(row), f"empty cell{where}, expected an id")
            if found.lstrip("-").isdigit() and found.startswith("-"):
                raise rows.error(int(row), f"negative node id {found}, expected 0 or more")
            raise rows.error(int(row), f"id {found!r}, expected integers as in the graph")
        return numbers


@dataclass
class Match:
    """How a column goes with the ids of the graph.

    share: of its rows that are ids; covered: share of the nodes that it names; distinct: number of different values;
    rows: their number; whole: whether all are integers from 0; text: whether most are no numbers.
    """

    share: float
    covered: float
    distinct: int
    rows: int
    whole: bool
    text: bool
    skips_first: bool  # the first row is not an id while the rest is: it may be a header

    @property
    def holds_ids(self) -> bool:
        """Whether the values are the graph's ids, nearly all of them."""
        telling = self.distinct > 2 or self.rows <= 4  # of 0 and 1 there are many columns
        return telling and max(self.share, self.covered) >= MOST

    @property
    def unique(self) -> bool:
        return self.distinct == self.rows


def match(rows: NodeRows, index: NodeIndex, number: int) -> Match:
    """Hold a column against the ids of the graph."""
    cells = rows.cells(number)
    place = index.find(cells)
    known = place >= 0
    text = cells.dtype == object and not all(is_number(cell) for cell in cells[1:51].tolist() if cell)
    headless = rows.names is None and len(known) > 1 and not known[0]
    judged = known[1:] if headless else known
    values = cells[1:] if headless else cells
    return Match(
        share=float(judged.mean()) if len(judged) else 0.0,
        covered=len(np.unique(place[known])) / max(index.n, 1),
        distinct=int(pandas.unique(values).size),
        rows=len(values),
        whole=bool((whole_numbers(values) >= 0).all()),
        text=text,
        skips_first=headless and bool(len(judged)) and judged.mean() >= MOST,
    )


def find_ids(
    rows: NodeRows, index: NodeIndex, wanted: tuple[str, ...], values: frozenset, one_each: bool
) -> int | None:
    """Number of the id column, or None where rows go by order; reports what was guessed and mends a header that was
    taken wrongly.

    wanted: words of ``--id-column``. values: words by which the header calls what is no id. one_each: whether a node
        has one row
    (features), so that its id comes once. Raises :class:`DataError` where no choice is safe.
    """
    if isinstance(rows, TextRows) and rows.names is None and set(wanted) & set(rows.sample()[0]):
        rows.take_header()  # a column that is asked for by name has one
    for word in wanted:
        if (number := rows.column(word)) is not None:
            if not rows.names or word not in rows.names:
                _mend_header(rows, index, number, values, match(rows, index, number))
            return number
    if NO_COLUMN in wanted or not rows.sample():
        return None
    number, known = _choose(rows, index, values, one_each)
    if number is None:
        return None
    found = match(rows, index, number)
    had = rows.names
    known = _mend_header(rows, index, number, values, found) or known
    if not known and not (had is None and rows.names is None and rows.width == 2 and number == 0):
        what = "its values are those of the graph" if found.holds_ids else "the others hold no ids"
        option = rows.names[number] if rows.names and rows.names[number] else number
        reading.note(
            rows.blob.name, f"{rows.title(number)} is read as the ids of nodes: {what}; --id-column {option} says so"
        )
    return number


def _choose(rows: NodeRows, index: NodeIndex, values: frozenset, one_each: bool) -> tuple[int | None, bool]:
    """(column or None, whether a word of the header says so)."""
    names = rows.lower_names()
    candidates = [k for k in _telling(rows, index) if not (k < len(names) and names[k] in values)]
    found = {k: match(rows, index, k) for k in candidates}
    called = [k for k, name in enumerate(names) if name in ID_NAMES]
    good = [k for k in candidates if found[k].holds_ids and (not one_each or found[k].text or _nearly_unique(found[k]))]
    for k in called:
        if k in good:
            return k, True
    if good:
        good.sort(key=lambda k: (not found[k].unique, -found[k].distinct, k))
        first, *others = good
        if others and not found[first].unique and found[others[0]].distinct == found[first].distinct:
            raise rows.blob.error(
                f"{rows.title(first)} and {rows.title(others[0])} may both hold ids; --id-column names the one that"
                " does"
            )
        return first, False
    sure = [k for k in called if k == 0 or names[k] not in ("name", "user", "item")]
    if sure:
        return sure[0], True
    return _by_elimination(rows, found, values, names, one_each), False


def _by_elimination(rows, found: dict[int, Match], values: frozenset, names: list[str], one_each: bool) -> int | None:
    """The id column where no values tell it: the only column of text among numbers, or what is beside the only value
    column.
    """
    for k, one in found.items():
        if one_each and one.whole and _nearly_unique(one) and max(one.share, one.covered) >= HALF:
            raise rows.blob.error(
                f"{rows.title(k)} holds {one.share:.0%} ids of the graph and may be the ids of nodes; expected nearly"
                " all, or --id-column"
            )
    texts = [k for k, one in found.items() if one.text and (one_each or max(one.share, one.covered) > 0)]
    if one_each:
        return texts[0] if len(texts) == 1 else None
    if texts:
        return max(texts, key=lambda k: (found[k].share, -k))
    if rows.width != 2:
        return None
    if any(name in values for name in names):
        return next(k for k, name in enumerate(names) if name not in values) if names[0] != names[1] else None
    zero_one = all(found[k].distinct <= 2 and found[k].whole for k in found) and len(found) == 2
    if zero_one and rows.names is None and len(rows) > 4:
        raise rows.blob.error(
            "both columns hold two values only; --id-column 0 or 1 names the one with ids, none says that there is none"
        )
    return None if zero_one else 0


def _telling(rows: NodeRows, index: NodeIndex) -> list[int]:
    """Columns that may hold ids by their first rows; all of a table of few columns."""
    sample = rows.sample()
    if rows.width <= SAMPLED:
        return list(range(rows.width))
    names, found = rows.lower_names(), []
    for k in range(rows.width):
        cells = [row[k] for row in sample if k < len(row)]
        called = k < len(names) and (names[k] in ID_NAMES or names[k] in COUNTER_NAMES)
        below = cells[1:] or cells
        if called or (
            len(set(below)) > 0.9 * len(below) and not any(is_number(cell) and "." in cell for cell in below)
        ):
            found.append(k)
    return found


def _nearly_unique(one: Match) -> bool:
    return one.distinct >= 0.98 * one.rows


def _mend_header(rows: NodeRows, index: NodeIndex, number: int, values: frozenset, found: Match) -> bool:
    """Take or return the first row of a text table as header by its id cell; returns whether words of it are known."""
    names = rows.lower_names()
    known = any(name in values or name in ID_NAMES for name in names)
    if not isinstance(rows, TextRows):
        return False
    if rows.names is not None:
        cell = rows.names[number]
        if not known and index.find(np.array([cell], dtype=object))[0] >= 0:
            rows.return_header()  # the id of a node is no name of a column
        return names[number] in ID_NAMES if number < len(names) else False
    if not found.skips_first:
        return False
    first, below = [cell.strip() for cell in rows.sample()[0]], rows.sample()[1:]
    others = [k for k in range(rows.width) if k != number]
    words = any(first[k].lower() in values for k in others)
    if not words and (not others or any(first[k] in (row[k].strip() for row in below if k < len(row)) for k in others)):
        return False
    rows.take_header()
    if not words:
        reading.note(
            rows.blob.name, f"its first row ({', '.join(first[:4])}) is read as a header: {first[number]!r} is no id"
        )
    return False


def value_columns(rows: NodeRows, number: int | None) -> list[int]:
    """The columns beside the ids, without one that only counts the rows, as pandas writes it; reports one that is left
    out.
    """
    found = [k for k in range(rows.width) if k != number]
    names = rows.lower_names()
    for k in found[:1] if len(found) > 1 else []:
        if names and names[k] in COUNTER_NAMES and np.array_equal(whole_numbers(rows.cells(k)), np.arange(len(rows))):
            reading.note(rows.blob.name, f"column {k} counts the rows and is left out")
            return found[1:]
    return found


def join(table: EdgeTable, rows: NodeRows, ids: np.ndarray) -> None:
    """Make isolated nodes of ids that are in no edge; reports how many. Raises :class:`DataError` where none is in an
    edge.
    """
    new = NodeIndex(table).find(ids) < 0
    if not new.any():
        return

    fresh = pandas.unique(ids[new])
    if new.all():
        raise rows.blob.error(
            f"none of its {len(ids)} ids is in the graph, the first is {ids[0]!s}; expected ids of {table.name}"
        )
    shown = ", ".join(map(str, fresh[:3].tolist())) + (", ..." if len(fresh) > 3 else "")
    reading.note(rows.blob.name, f"{counted(len(fresh), 'id')} in no edge ({shown}): read as isolated nodes")
    add_nodes(table, fresh)


def add_nodes(table: EdgeTable, ids: np.ndarray) -> None:
    """Put new ids into a table of edges: text at the end, integers in their order."""
    if NodeIndex(table).strings:
        table.node_ids = np.concatenate((table.node_ids, ids.astype(object)))
        table.num_nodes = len(table.node_ids)
        return
    old = np.arange(table.num_nodes) if table.node_ids is None else table.node_ids
    merged = np.union1d(old, ids)
    move = np.searchsorted(merged, old)
    table.src, table.dst, table.num_nodes = move[table.src], move[table.dst], len(merged)
    table.node_ids = None if merged[-1] == len(merged) - 1 else merged


def match_order(table: EdgeTable, rows: NodeRows, asked: bool) -> None:
    """Check that rows in the order of the nodes fit; ids that are in no edge but below the number of rows become nodes.

    asked: whether ``--id-column none`` says that rows go by order, which is reported else, unless the ids are 0..n-1.
    """
    count, name = len(rows), rows.blob.name
    strings = NodeIndex(table).strings
    highest = table.num_nodes - 1 if table.node_ids is None or strings else int(table.node_ids[-1])
    if not strings and highest < count and table.num_nodes < count:
        isolated = counted(count - table.num_nodes, "isolated node")
        reading.note(name, f"{count} rows, but {table.num_nodes} nodes with an edge: row k is node k, with {isolated}")
        if table.node_ids is not None:
            table.src, table.dst = table.node_ids[table.src], table.node_ids[table.dst]
        table.node_ids, table.num_nodes = None, count
    elif count != table.num_nodes:
        hint = "" if not rows.sample() else "; no column holds the ids of the graph"
        raise rows.blob.error(
            f"found {count} rows, expected {table.num_nodes}, one for each node of {table.name}{hint}"
        )
    elif table.node_ids is not None and not asked:
        order = "first appearance in the edges" if strings else "their ids"
        reading.note(name, f"holds no ids: its {count} rows go to the nodes in the order of {order}")


def report_counters(rows: NodeRows, columns: list[int]) -> None:
    """Report a feature column that is a different whole number in every row: ids that the graph does not have look like
    this.
    """
    names = rows.lower_names()
    if not rows.sample() or len(rows) < CLEAR_ROWS:
        return
    for k in columns if rows.width <= SAMPLED else columns[:1]:
        cells = rows.cells(k)
        numbers = whole_numbers(cells)
        if (numbers >= 0).all() and len(np.unique(numbers)) == len(numbers) and (names or k == 0):
            reading.note(
                rows.blob.name, f"{rows.title(k)}, a different whole number in every row, is read as a feature"
            )
