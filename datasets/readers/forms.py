"""Files and folders of published forms, by path: what the catalogue reads under a name, for a user's own copy.

The form is seen from the content (members of an archive, the files of a folder, the first lines), and the catalogue's
own loaders read it. A set of many graphs, or a graph that brings its labels and splits, comes back whole; the options
for the files of one's own graph (``--labels``, ``--columns`` ...) are refused with it but for those that a form names.
"""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from graphkit.core.errors import DataError, UsageError
from graphkit.core.read_options import SILENT, ReadOptions
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.readers import graph6, matlab, npz_graphs, smiles_tables, triples, tu
from graphkit.datasets.readers.mat5 import MatFile
from graphkit.datasets.sources import musae, planetoid
from graphkit.datasets.splits.loaded import Loaded
from graphkit.io.formats import SUFFIXES, dataset_name, read_blob

HEAD = 1 << 16  # bytes that tell the form of a text
GIN_LINES = 40
TRIPLE_PARTS = ("train.txt", "valid.txt", "test.txt")


@dataclass(frozen=True)
class OwnEntry(Entry):
    """An entry of the catalogue whose files lie in a folder of the user's; ``own`` loaders report what they drop.

    root: the folder. directed: whether the user asks for directions.
    """

    root: Path = Path()
    directed: bool = False
    own = True

    def path(self, relative: str) -> Path:
        """The path of one of its files; raises :class:`DataError` where it is not beside the others."""
        path = self.root / relative
        if not path.exists():
            raise DataError(f"{path}: no such file, expected it beside the others of this form")
        return path

    def optional(self, relative: str) -> Path | None:
        """The path of a file that may be absent."""
        path = self.root / relative
        return path if path.exists() else None


@dataclass(frozen=True)
class Form:
    """What a path holds.

    says: the form in a few words. load: reads it. options: the fields of :class:`ReadOptions` that it takes.
    """

    says: str
    load: Callable[[ReadOptions, bool], Loaded]
    options: tuple[str, ...] = ()


def find(path: str, read: ReadOptions | None = None) -> Form | None:
    """The form of a file or folder, or None for what :mod:`graphkit.datasets.readers.files` reads, an edge list for
    instance.
    """
    place = Path(path)
    if path == "-" or not place.exists():
        return None
    if place.is_dir():
        return _folder(place)
    if not place.is_file():
        return None
    suffixes = [suffix.lower() for suffix in place.suffixes[-2:]]
    if suffixes[-2:] == [".tar", ".gz"] or suffixes[-1:] in ([".tgz"], [".tar"]):
        return _archive(place)
    suffix = suffixes[0] if suffixes[-1:] == [".gz"] and len(suffixes) == 2 else (suffixes or [""])[-1]
    if suffix == ".npz":
        return _npz(place)
    if suffix == ".mat":
        return _mat(place)
    if suffix in SUFFIXES and SUFFIXES[suffix] != "edge list":
        return None
    return _text(place, suffix, read or ReadOptions())


def load(form: Form, path: str, read: ReadOptions, many: bool = False) -> Loaded:
    """Read a path of this form; raises :class:`UsageError` for options that it does not take."""
    if given := [name for name in changed(read) if name not in form.options]:
        flags = ", ".join(f"--{name}".replace("_", "-") for name in given)
        raise UsageError(f"{flags}: found with {path}, which is {form.says} and is read in one way only")
    return form.load(read, many)


def changed(read: ReadOptions) -> list[str]:
    """Names of the options that are not at their default."""
    return [item.name for item in fields(read) if item.name not in SILENT and getattr(read, item.name) != item.default]


def _entry(path: Path, read: ReadOptions) -> OwnEntry:
    return OwnEntry(dataset_name(path.name), "", root=path.parent, directed=read.directed)


# Archives and matrices ------------------------------------------------------------------------------------------------


def _npz(path: Path) -> Form | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, UnicodeDecodeError):
        return None  # the reader of npz files says what is wrong with it

    def catalogued(function: str) -> Callable[[ReadOptions, bool], Loaded]:
        return lambda read, many: getattr(npz_graphs, function)(_entry(path, read), file=path.name)

    if {"node_features", "node_labels", "edges"} <= names:
        return Form("a graph in the form of the heterophilous benchmark", catalogued("heterophilous"), ("directed",))
    if "adj_matrix" in names:
        return Form("a graph in the form of GraphData", catalogued("graphdata"), ("directed",))
    if {"adj_data", "adj_indices", "adj_indptr", "adj_shape"} <= names:
        return Form(
            "a graph in the form of gnn-benchmark (Shchur et al., 2018)", catalogued("gnn_benchmark"), ("directed",)
        )
    return None


def _mat(path: Path) -> Form | None:
    try:
        shapes = {variable.name: variable.shape for variable in MatFile(read_blob(path)).variables}
    except (DataError, ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError):
        return None
    size = shapes.get("A", (0,))[0]
    if size and shapes.get("local_info") == (size, len(matlab.FACEBOOK_COLUMNS)):
        return Form(
            "a network of Facebook100", lambda read, many: matlab.facebook100(_entry(path, read), file=path.name)
        )
    return None


def _archive(path: Path) -> Form:
    return Form(
        "triples of a knowledge graph in a tar archive",
        lambda read, many: triples.from_archive(path, read),
        ("directed",),
    )


# Folders --------------------------------------------------------------------------------------------------------------


def _folder(path: Path) -> Form | None:
    names = sorted(entry.name for entry in path.iterdir())
    for stem in _stems(names, "_graph_indicator.txt"):
        if f"{stem}_A.txt" in names:
            return Form(
                "a set of graphs in TUDataset's raw form", _inside(path, partial(tu.raw, folder=".", name=stem), stem)
            )
    for stem in _stems(names, ".graph"):
        if stem.startswith("ind.") and f"{stem}.ally" in names:
            short = stem[4:]
            return Form(
                "a graph in Planetoid's files", _inside(path, partial(planetoid.load, name=short, folder="."), short)
            )
    if set(TRIPLE_PARTS) <= set(names):
        return Form("triples of a knowledge graph", lambda read, many: triples.from_folder(path, read), ("directed",))
    for stem in _stems(names, "_edges.csv"):
        if f"{stem}_target.csv" in names:
            return Form(
                "a graph in the form of MUSAE (edges, features, target)",
                _inside(path, partial(musae.load, stem=stem), stem),
            )
    for stem in _stems(names, ".txt"):
        if (stem == path.resolve().name or "10fold_idx" in names) and _is_gin(_lines(path / f"{stem}.txt")):
            return Form(
                "a set of graphs in GIN's text form", _inside(path, partial(tu.gin, folder=".", name=stem), stem)
            )
    return None


def _stems(names: list[str], end: str) -> Iterator[str]:
    return (name[: -len(end)] for name in names if name.endswith(end) and len(name) > len(end))


def _inner(path: Path, name: str, read: ReadOptions) -> OwnEntry:
    return OwnEntry(name, "", root=path, directed=read.directed)


def _inside(path: Path, loader: Callable[[Entry], Loaded], name: str) -> Callable[[ReadOptions, bool], Loaded]:
    return lambda read, many: loader(_inner(path, name, read))


# Text -----------------------------------------------------------------------------------------------------------------


def _text(path: Path, suffix: str, read: ReadOptions) -> Form | None:
    lines = _lines(path)
    if suffix in graph6.SUFFIXES or (lines and lines[0].startswith((">>graph6<<", ">>sparse6<<", ">>digraph6<<"))):
        if graph6.count(path) == 1:
            return Form(
                "a graph in graph6 or sparse6", partial(_graph6, path), tuple(changed(ReadOptions(directed=True)))
            )
        return Form("a set of graphs in graph6 or sparse6, one a line", partial(_graph6, path))
    if suffix in smiles_tables.SUFFIXES or smiles_tables.has_smiles(lines):
        return Form("a table of molecules (SMILES)", lambda read, many: smiles_tables.load(path, read), ("columns",))
    if suffix == ".txt" and _is_gin(lines):
        loader = partial(tu.gin, folder=".", name=path.name.removesuffix(".txt"))
        return Form("a set of graphs in GIN's text form", lambda read, many: loader(_entry(path, read)))
    return None


def _graph6(path: Path, read: ReadOptions, many: bool) -> Loaded:
    return graph6.load(path, read, many)


def _lines(path: Path) -> list[str]:
    """The first lines of a text, unpacked; nothing for what cannot be read, which its reader reports."""
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else open(path, "rb") as stream:
            head = stream.read(HEAD)
    except (OSError, EOFError, zlib.error):
        return []
    if b"\0" in head:
        return []
    lines = head.decode("utf-8-sig", "replace").splitlines()
    return lines[:-1] if len(head) == HEAD and len(lines) > 1 else lines


def _is_gin(lines: list[str]) -> bool:
    """Whether a text begins as GIN's: the number of graphs, then of each ``n label`` and n lines ``tag degree
    neighbours``.
    """
    numbers = [line.split() for line in lines[:GIN_LINES]]
    if (
        len(numbers) < 3
        or len(numbers[0]) != 1
        or not all(re.fullmatch(r"-?\d{1,9}", word) for row in numbers for word in row)
    ):
        return False
    place = 1
    while place < len(numbers):
        if len(numbers[place]) != 2:
            return False
        size = int(numbers[place][0])
        if size < 1 or any(
            len(row) < 2 or len(row) != 2 + int(row[1]) for row in numbers[place + 1 : place + 1 + size]
        ):
            return False
        place += 1 + max(size, 0)
    return True
