"""Texts whose lines are lists of different lengths: the neighbours of a node, or the items of a user.

``node neighbour neighbour ...`` and ``user item item ...`` look alike, and numbers may be both users and items; so
``--read-as`` says which it is: ``adjacency`` (networkx calls it adjlist) or ``user-items``, whose nodes are ``u`` and
``i`` before the name in the file.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphkit.core.errors import UsageError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers.assemble import EdgeTable, number_integers, number_strings
from graphkit.io.blob import Blob, refuse_binary

KINDS = ("adjacency", "user-items")
SAMPLE = 1 << 16
LEAST_LINES, LEAST_LONGEST = 3, 4


def refuse_lists(blob: Blob) -> None:
    """Raise a DataError for a text of such lists, which without ``--read-as`` could be either."""
    lines = [
        line.split() for line in blob.data[:SAMPLE].split(b"\n") if line.strip() and not line.startswith((b"#", b"%"))
    ]
    lines = lines[:-1] if len(blob.data) > SAMPLE else lines
    sizes = [len(line) for line in lines]
    if (
        len(sizes) < LEAST_LINES
        or max(sizes) < LEAST_LONGEST
        or any(mark in blob.data[:SAMPLE] for mark in (b",", b";", b"|"))
    ):
        return
    if sum(size != max(set(sizes), key=sizes.count) for size in sizes) * 4 > len(
        sizes
    ):  # one wrong line is a wrong line
        raise blob.error(
            f"found lines of {min(sizes)} to {max(sizes)} words, expected an edge list; --read-as adjacency reads a"
            " node and its neighbours from each, --read-as user-items a user and items"
        )


def read_lists(blob: Blob, options: ReadOptions) -> EdgeTable:
    """Read the edges of a text of lists: from the first word of a line to each other one."""
    given = [
        f"--{name.replace('_', '-')}" for name in ("columns", "weight", "header") if getattr(options, name) is not None
    ]
    if given:
        raise UsageError(f"{given[0]}: found with --read-as {options.read_as}, whose lines have no columns")
    refuse_binary(blob, blob.data)
    rows = list(_rows(blob, options.delimiter))
    if not any(len(row) > 1 for row in rows):
        raise blob.error("no line of two words, expected a list on each")
    sizes = [len(row) - 1 for row in rows]
    if options.read_as == "user-items":
        src, dst = [f"u{row[0]}" for row in rows], [f"i{item}" for row in rows for item in row[1:]]
    else:
        src, dst = [row[0] for row in rows], [other for row in rows for other in row[1:]]
        if all(
            word.isdigit() and word.isascii() and (word == "0" or word[0] != "0") and len(word) < 19
            for word in (*src, *dst)
        ):
            # A node alone on its line is one too: it goes through the numbering and out again.
            alone = [word for word, size in zip(src, sizes) if not size]
            first = np.array(
                [*np.repeat(np.array(src, dtype=np.int64), sizes).tolist(), *map(int, alone)], dtype=np.int64
            )
            second = np.array([*map(int, dst), *map(int, alone)], dtype=np.int64)
            src_number, dst_number, node_ids, n = number_integers(first, second)
            return EdgeTable(blob.name, src_number[: len(dst)], dst_number[: len(dst)], None, node_ids, n)
    alone = [word for word, size in zip(src, sizes) if not size]
    first = [*(word for word, size in zip(src, sizes) for _ in range(size)), *alone]
    second = [*dst, *alone]
    names = np.array(list(dict.fromkeys((*first, *second))), dtype=object)
    number = {name: k for k, name in enumerate(names.tolist())}
    codes = np.array([number[word] for word in (*first, *second)], dtype=np.int64)
    src_number, dst_number, node_ids, n = number_strings(codes, names)
    return EdgeTable(blob.name, src_number[: len(dst)], dst_number[: len(dst)], None, node_ids, n)


def _rows(blob: Blob, delimiter: str | None) -> Iterator[list[str]]:
    try:
        text = blob.data.decode("utf-8-sig")
    except UnicodeDecodeError as bad:
        line = blob.data.count(b"\n", 0, bad.start) + 1
        raise blob.error(f"byte 0x{blob.data[bad.start]:02x} is not UTF-8 text", line) from None
    mark = (
        None
        if delimiter in (None, " ", "space")
        else {"\\t": "\t", "tab": "\t", "comma": ","}.get(delimiter, delimiter)
    )
    for line in text.splitlines():
        words = [word.strip() for word in line.split(mark) if word.strip()]
        if words and words[0][0] not in "#%":
            yield words
