"""What is no edge list is refused by what it is, and columns that no word names are said.

A table is an edge list where two of its columns hold ids of nodes. Which two is known from ``--columns``, from a header
of known words, or because there are only two. Else the first two are taken, which is noted, unless what stands in them
is something else: numbers with fractions, free text, or columns that a header calls labels, features, times,
coordinates.
"""

from __future__ import annotations

import re

from graphkit.core.reading import note
from graphkit.datasets.readers.text import is_number
from graphkit.io.blob import Blob

# How files of other kinds begin; those of graphs in formats that are not read come with what reads them.
BEGINNINGS = (
    (re.compile(rb"[{\[]"), "JSON", "an edge list or a graph file"),
    (re.compile(rb"<!doctype html|<html", re.I), "a web page (HTML)", "the file itself"),
    (
        re.compile(rb"<\?xml[^>]*>\s*(<!--.*?-->\s*)*<gexf|<gexf", re.S),
        "GEXF",
        "GraphML, which Gephi and networkx write too",
    ),
    (re.compile(rb"(creator\b[^\n]*\n\s*)?graph\s*\[", re.I), "GML", "GraphML, which networkx and igraph write too"),
    (re.compile(rb"(strict\s+)?(di)?graph\b[^\n\[]*\{", re.I), "Graphviz DOT", "GraphML or an edge list"),
    (re.compile(rb"\*(vertices|network)\b", re.I), "Pajek", "GraphML or an edge list"),
    (re.compile(rb"C?OFF\s"), "a mesh (OFF)", "a graph"),
    (re.compile(rb"ply\s"), "a mesh (PLY)", "a graph"),
    (re.compile(rb"solid\s"), "a mesh (STL)", "a graph"),
    (re.compile(rb"%PDF"), "PDF", "a graph"),
)
MESH_LINES = frozenset(("v", "vn", "vt", "vp", "f", "l", "o", "g", "s", "mtllib", "usemtl"))
ROW_NAMES = frozenset(("", "index", "idx", "row", "unnamed: 0", "__index_level_0__", "level_0"))
NODE_NAMES = frozenset(("id", "node", "node_id", "nodeid", "vertex", "name"))
LABELS = frozenset(("label", "labels", "class", "classes", "y", "group", "category", "part", "split", "set", "fold"))
OTHERS = {
    **dict.fromkeys(LABELS, "labels or parts"),
    **dict.fromkeys(("time", "timestamp", "ts", "unixtime", "date", "datetime"), "times"),
    **dict.fromkeys(("lat", "lon", "lng", "latitude", "longitude", "z"), "coordinates"),
    **dict.fromkeys(("smiles", "canonical_smiles"), "molecules (SMILES)"),
    **dict.fromkeys(("text", "title", "abstract", "description", "sentence"), "texts"),
}
WORDS = frozenset((*NODE_NAMES, *OTHERS))  # of headers of other tables
FEATURES = re.compile(r"(f|feat|feature|features|dim|x|v|pc|attr|col|emb)_?\d+")
MANY_COLUMNS = 8  # without a header: more are a matrix
LONG_TEXT = 60  # characters of a cell that names no node


def refuse_file(blob: Blob) -> None:
    """Raise a DataError for a text that begins as another kind of file does."""
    start = blob.data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    for pattern, kind, expected in BEGINNINGS:
        if pattern.match(start):
            raise blob.error(f"found {kind}, expected {expected}")
    lines = [line.split() for line in start.splitlines() if line.strip() and not line.startswith((b"#", b"%"))][:50]
    words = {line[0].decode("latin1") for line in lines}
    if lines and words <= MESH_LINES and "v" in words and any(line[0] == b"v" and len(line) >= 4 for line in lines):
        raise blob.error(
            "found a mesh (Wavefront .obj), expected a graph; its faces have to be turned into edges first"
        )


def first_pair(blob: Blob, names: list[str] | None, width: int, rows: list[list[str]]) -> tuple[int, int]:
    """The first two columns, but for one that counts the rows, as pandas writes it; of triples (head, relation, tail)
    the outer ones.
    """
    if names and names[0].strip().lower() in ROW_NAMES and width > 2:
        note(blob.name, f"column 0 {names[0]!r} counts the rows and is not read")
        return 1, 2
    if names is None and width == 3 and len(rows) > 2 and all(len(row) == 3 for row in rows):
        heads, words, tails = ({row[place] for row in rows} for place in range(3))
        if len(words) < max(len(heads), len(tails)) and not words & (heads | tails) and not any(map(is_number, words)):
            return 0, 2
    return 0, 1


def check_guess(
    blob: Blob, names: list[str] | None, width: int, pair: tuple[int, int], rows: list[list[str]], weight: int | None
) -> None:
    """Refuse a pair of columns that nobody named and that is no pair of ids; note it where there are more columns than
    two.

    names: the header's words, or None. rows: cells of the first rows. weight: the column with weights, or None.
    """
    if names:
        _check_words(blob, names, pair, [row[pair[0]] for row in rows if len(row) > pair[0]])
    elif width > MANY_COLUMNS:
        raise blob.error(
            f"found {width} columns without a header, expected an edge list; --columns SRC,DST says which two are the"
            " ends"
        )
    for place in pair:
        _check_cells(
            blob,
            f"column {names[place]!r}" if names else f"column {place}",
            [row[place] for row in rows if place < len(row)],
        )
    shown = [repr(names[place]) if names else str(place) for place in pair]
    if width > 2 + (weight is not None):
        left = [place for place in range(width) if place not in (*pair, weight)]
        more = "" if names or not left else f"; not read: {', '.join(map(str, left))}"
        numbers = [place for place in left if names is None and rows and is_number(rows[0][place])]
        more += f"; --weight {numbers[0]} takes weights from it" if len(numbers) == 1 and weight is None else ""
        note(blob.name, f"columns {shown[0]} and {shown[1]} are read as source and target{more}")


def _check_words(blob: Blob, names: list[str], pair: tuple[int, int], first: list[str]) -> None:
    lower = [names[place].strip().lower() for place in pair]
    how = "; --columns SRC,DST says which two are the ends"
    row_each = len(names) > 2 and len(first) > 2 and len(set(first)) == len(first)  # a node is named by one row
    if lower[0] in NODE_NAMES and (
        row_each or lower[1] in LABELS or lower[1] == "target" or FEATURES.fullmatch(lower[1])
    ):
        raise blob.error(
            f"columns {names[pair[0]]!r} and {names[pair[1]]!r} are those of a table of nodes, expected an edge list; "
            f"--features, --labels and --splits take such tables{how}"
        )
    for place, word in zip(pair, lower):
        other = OTHERS.get(word) or ("features" if FEATURES.fullmatch(word) else None)
        if other:
            raise blob.error(f"column {names[place]!r} holds {other}, expected ids of nodes{how}")


def _check_cells(blob: Blob, title: str, cells: list[str]) -> None:
    how = "; --columns SRC,DST says which two are the ends"
    cells = [cell.strip() for cell in cells]
    numbers = [
        cell.replace(",", ".") if cell.count(",") == 1 else cell for cell in cells
    ]  # "0,5" is one in many places
    fractions = [cell for cell, number in zip(cells, numbers) if is_number(number) and float(number) % 1 != 0]
    if cells and len(fractions) * 2 > len(cells):
        raise blob.error(f"{title} holds numbers with fractions ({fractions[0]}), expected ids of nodes{how}")
    texts = [cell for cell in cells if (len(cell) > LONG_TEXT and " " in cell) or cell.count(" ") > 5]
    if cells and len(texts) * 2 > len(cells):
        raise blob.error(f"{title} holds free text ({texts[0][:40]!r} ...), expected ids of nodes{how}")


def header_of_words(rows: list[list[str]], pair: tuple[int, int]) -> bool:
    """Whether the first row has words without a digit above ids that all have one (``account,friend`` above
    ``u0,u1``).
    """
    below = rows[1:]
    if len(below) < 2 or any(len(row) <= max(pair) for row in rows) or not first_line_stands_alone(rows, pair):
        return False
    return all(not _has_digit(rows[0][place]) and all(_has_digit(row[place]) for row in below) for place in pair)


def _has_digit(text: str) -> bool:
    return any(letter.isdigit() for letter in text)


def first_line_stands_alone(rows: list[list[str]], pair: tuple[int, int]) -> bool:
    """Whether the first of several rows names two nodes that no other of them names: it may be a header."""
    if len(rows) < 2 or len(rows[0]) <= max(pair):
        return False
    others = {row[place] for row in rows[1:] for place in pair if place < len(row)}
    return not {rows[0][place] for place in pair} & others
