"""A user's table of molecules as a set of graphs: a csv or tsv with a column of SMILES, or a ``.smi`` file.

``--columns SMILES[,TARGET,...]`` names the columns, by name or number from 0. Without it the column called ``smiles``
is read, and the only other column that can be a target is one. A target of 0 and 1 is a label to judge by ROC-AUC,
other numbers are a regression, words are classes, a list of 0 and 1 in one cell is several labels; an empty cell is an
unknown one.
"""

from __future__ import annotations

import ast
import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from graphkit.core import reading as notes
from graphkit.core.errors import UsageError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.smiles_cache import STATES, molecules
from graphkit.datasets.readers.text import find_column, is_number, separator
from graphkit.datasets.splits.loaded import Loaded
from graphkit.datasets.splits.nodes import as_tensor
from graphkit.io.blob import Blob, one_line
from graphkit.io.formats import dataset_name, read_blob

SUFFIXES = (".smi", ".smiles")
TARGETS = frozenset(("target", "label", "labels", "y", "class"))
LARGEST_CELL = 1 << 20


def has_smiles(lines: list[str]) -> bool:
    """Whether the first line is a header with a column of SMILES."""
    if not lines or len(lines) < 2:
        return False
    return any(_smiles_column(cells) is not None for cells in (_cells(lines[0], mark) for mark in ",\t;"))


def load(path: str | Path, read: ReadOptions) -> Loaded:
    """Read a table of molecules; raises :class:`DataError` that names the line of an empty SMILES or a row of another
    width.
    """
    blob = read_blob(path, "a table of molecules")
    with one_line(blob, "a table of molecules"):
        names, rows, lines = _rows(blob)
        words = [] if read.columns is None else [word.strip() for word in read.columns.split(",")]
        if read.columns is not None and not all(words):
            raise UsageError(f"--columns: found {read.columns!r}, expected SMILES or SMILES,TARGET,...")
        width = len(rows[0])
        places = [find_column(blob, word, names, width, "--columns") for word in words]
        smiles = places[0] if places else _smiles_column(names) if names else 0
        texts = [row[smiles] for row in rows]
        if "" in texts:
            raise blob.error("no SMILES, expected one", lines[texts.index("")])
        targets = places[1:] if words else _guessed(blob, names, rows, smiles)
        labels, classes, metric = _labels(blob, names, rows, lines, targets)
    name = dataset_name(blob.name)
    name = name[: -len(blob.suffix)] if blob.suffix in SUFFIXES and name.lower().endswith(blob.suffix) else name
    parsed = molecules(name, texts)
    refused = np.bincount(parsed.state, minlength=len(STATES)).tolist()
    if refused[0] == 0:
        raise blob.error(f"none of {len(texts)} rows is SMILES that RDKit accepts, the first is {texts[0][:40]!r}")
    dataset = GraphDataset(name, graphs=parsed.graphs(), class_names=classes)
    dataset.graph_labels = None if labels is None else as_tensor(labels)
    return Loaded(dataset, defaults={} if labels is None else {"graph": ("random-0.8/0.1/0.1", metric)})


def _rows(blob: Blob) -> tuple[list[str] | None, list[list[str]], list[int]]:
    """(names of the columns or None, rows of cells, line number of each)."""
    text = blob.data.decode("utf-8-sig")
    if blob.suffix in SUFFIXES and not has_smiles(text[: 1 << 12].splitlines()):
        pairs = [(line.split(None, 1), number) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        if not pairs:
            raise blob.error("no molecules, expected a SMILES a line")
        return (
            None,
            [[cells[0], cells[1].strip() if len(cells) > 1 else ""] for cells, _ in pairs],
            [number for _, number in pairs],
        )
    csv.field_size_limit(LARGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator(blob.data, None), strict=True)
    names, rows, lines = [cell.strip() for cell in next(reader)], [], []
    try:
        for row in reader:
            if not row:
                continue
            if len(row) != len(names):
                raise blob.error(f"found {len(row)} columns, expected {len(names)}", reader.line_num)
            rows.append([cell.strip() for cell in row])
            lines.append(reader.line_num)
    except csv.Error as problem:
        raise blob.error(f"{problem}", reader.line_num) from None
    if not rows:
        raise blob.error("no molecules below the header, expected one a line")
    return names, rows, lines


def _cells(line: str, mark: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(mark)]


def _smiles_column(names: list[str]) -> int | None:
    return next((k for k, name in enumerate(names) if name.lower().endswith("smiles")), None)


def _guessed(blob: Blob, names: list[str] | None, rows: list[list[str]], smiles: int) -> list[int]:
    """The column that is the target without being asked for: one called so, or the only one that can be."""
    if names is None:
        return []
    called = [k for k, name in enumerate(names) if name.lower() in TARGETS and k != smiles]
    if len(called) == 1:
        return called
    able = [k for k in range(len(names)) if k != smiles and _kind([row[k] for row in rows]) in ("numbers", "lists")]
    if len(able) == 1:
        notes.note(
            blob.name,
            f"column {names[able[0]]!r} is read as the target; --columns {names[smiles]},TARGET names another one",
        )
        return able
    if able:
        shown = ", ".join(repr(names[k]) for k in able[:8])
        notes.note(
            blob.name,
            f"read without targets: {len(able)} columns can be one ({shown}); --columns {names[smiles]},TARGET"
            " takes it",
        )
    return []


def _kind(cells: list[str]) -> str:
    known = [cell for cell in cells if cell]
    if known and all(is_number(cell) for cell in known):
        return "numbers"
    return "lists" if known and all(cell[0] == "[" and cell[-1] == "]" for cell in known) else "words"


def _labels(
    blob: Blob, names, rows, lines, targets: list[int]
) -> tuple[np.ndarray | None, list[str] | None, str | None]:
    """((G,) classes or (G, T) numbers or None, names of the classes, metric)."""
    if not targets:
        return None, None, None
    columns: list[Any] = []
    for k in targets:
        cells, title = [row[k] for row in rows], repr(names[k]) if names else f"column {k}"
        kind = _kind(cells)
        if kind == "lists":
            columns += list(_lists(blob, cells, lines, title).T)
        elif kind == "numbers":
            columns.append(_numbers(blob, cells, lines, title))
        elif len(targets) > 1:
            row = next(row for row, cell in enumerate(cells) if cell and not is_number(cell))
            raise blob.error(
                f"target {cells[row][:40]!r} in {title}, expected numbers where there are several targets", lines[row]
            )
        else:
            return _classes(blob, cells, title)
    values = np.stack(columns, axis=1)
    if np.isnan(values).all():
        raise blob.error("all targets are empty, expected some")
    binary = np.isin(values[~np.isnan(values)], (0.0, 1.0)).all()
    return values.astype(np.float32), None, None if binary else "mae"


def _classes(blob: Blob, cells: list[str], title: str) -> tuple[np.ndarray, list[str], None]:
    classes = sorted(set(cells) - {""})
    if len(classes) > max(2, len(cells) // 2):
        raise blob.error(
            f"{title} holds {len(classes)} different words for {len(cells)} molecules, expected numbers or classes"
        )
    number = {word: k for k, word in enumerate(classes)}
    return np.array([number.get(cell, -1) for cell in cells], dtype=np.int64), classes, None


def _numbers(blob: Blob, cells: list[str], lines: list[int], title: str) -> np.ndarray:
    values = np.array([float(cell) if cell else np.nan for cell in cells])
    for row in np.flatnonzero(~(np.abs(values) < np.finfo(np.float32).max)).tolist():
        if cells[row]:
            raise blob.error(f"target {cells[row]!r} in {title}, expected a finite number", lines[row])
    return values


def _lists(blob: Blob, cells: list[str], lines: list[int], title: str) -> np.ndarray:
    out = []
    for cell, line in zip(cells, lines):
        try:
            found = ast.literal_eval(cell) if cell else None
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found = "rubbish"
        width = len(out[0]) if out else len(found) if isinstance(found, list) else 0
        if found is None and out:
            found = [np.nan] * width
        if (
            not isinstance(found, list)
            or not found
            or len(found) != width
            or any(type(x) not in (int, float) for x in found)
        ):
            raise blob.error(f"targets {cell[:60]!r} in {title}, expected a list of {width or 'some'} numbers", line)
        out.append(found)
    return np.array(out, dtype=np.float64)
