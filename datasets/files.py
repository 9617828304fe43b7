"""The user's own graph: one function reads every file format, from a path or from stdin.

Edge lists (csv, tsv, txt, any of them gzipped), Parquet, Matrix Market, SciPy npz, MATLAB ``.mat``, GraphML and DGL
``.bin``, which may hold many labelled graphs too (:mod:`graphkit.datasets.dglbin_sets`). Node ids are kept and come
back in ``GraphDataset.node_ids``:

- integer ids are sorted; ``node_ids`` is None where they are exactly 0..n-1;
- ids of any other kind are strings, in the order of their first appearance, read row by row, source first. They come
  back as an object array of ``str``. An id with leading zeros ("007") makes all ids strings;
- a matrix has ids 0..n-1, also where it is written with numbers from 1.

Files are not trusted: a declared size is compared with the size of the file before anything is allocated, all that is
read counts against one budget (:mod:`graphkit.datasets.budget`), pickles are refused unread, and whatever is wrong with
a file is a :class:`DataError` of one line.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from graphkit.datasets import budget, contents
from graphkit.errors import DataError, UsageError, did_you_mean
from graphkit.reading import note
from graphkit.sizes import shown as size

if TYPE_CHECKING:
    from graphkit.datasets.base import GraphDataset

log = logging.getLogger("graphkit")

STDIN = "-"
SILENT = ("id_column_elsewhere", "read_limit")  # fields of ReadOptions that say nothing of how a file is read
# format -> (module, function that turns a Blob and the options into EdgeTable, suffixes)
FORMATS = {
    "edge list": (
        "graphkit.datasets.tables",
        "read_table",
        (".csv", ".tsv", ".txt", ".edges", ".edgelist", ".ungraph"),
    ),
    "Parquet": ("graphkit.datasets.tables", "read_parquet", (".parquet", ".pq")),
    "Matrix Market": ("graphkit.datasets.matrices", "read_mtx", (".mtx", ".mm")),
    "npz": ("graphkit.datasets.matrices", "read_npz", (".npz",)),
    "mat": ("graphkit.datasets.matrices", "read_mat", (".mat",)),
    "GraphML": ("graphkit.datasets.graphml", "read_graphml", (".graphml", ".xml")),
    "DGL bin": ("graphkit.datasets.dglbin", "read_dglbin", (".bin", ".dgl")),
}
SUFFIXES = {suffix: name for name, (_, _, suffixes) in FORMATS.items() for suffix in suffixes}
ZIP = b"PK\x03\x04"
# how a file of a format begins, for stdin and for unknown suffixes
MAGIC = {
    b"PAR1": "Parquet",
    ZIP: "npz",
    b"%%MatrixMarket": "Matrix Market",
    b"MATLAB 5.0": "mat",
    b"\x3f\xa1\xb4\x46\xf0\x4f\x2e\xdd": "DGL bin",
    b"<?xml": "GraphML",
    b"<graphml": "GraphML",
}


@dataclass(frozen=True)
class ReadOptions:
    """How to read a user's graph.

    columns: ``"src,dst"`` or ``"src,dst,weight"``, names or numbers from 0, in any order of the file; of events
        ``"src,dst,time"`` and more, see :mod:`graphkit.datasets.event_files`.
    header: whether the first line names the columns; None detects it.
    directed: False stores both directions of every edge; an edge given in both directions is then one edge.
    self_loops: ``"drop"`` or ``"keep"``. duplicates: ``"first"``, ``"sum"`` (of weights, or counts) or ``"keep"``.
    features, labels, splits: paths of files about the nodes, see :mod:`graphkit.datasets.attach`.
    delimiter: one character, ``"\\t"`` or ``" "`` (runs of blanks); None detects it.
    weight: column of edge weights by name or number; the name of the edge attribute in GraphML.
    id_column: columns with the ids of nodes, by name or number from 0, in features, labels and splits: of each file the
        first that it has; ``"none"`` says that rows go by order. See :mod:`graphkit.datasets.node_ids`.
        id_column_elsewhere: whether a column that none of them has may be one of a list of nodes.
    unlabelled: labels that mean "no label", see :mod:`graphkit.datasets.labels`. label_kind: ``"classification"``,
        ``"multilabel"`` or ``"regression"``; None reads it off the labels, never as a regression.
    read_as: what the lines of a text are: ``"edges"``, ``"adjacency"`` (a node and its neighbours) or ``"user-items"``,
        see :mod:`graphkit.datasets.line_lists`; None reads edges and refuses what may be one of the others.
    read_limit: bytes that all files of the data set may take, unfolded, as a number or e.g. ``"4GB"``; None is the
        limit of the process, see :mod:`graphkit.datasets.budget`. It changes nothing of what is read.
    """

    columns: str | None = None
    header: bool | None = None
    directed: bool = False
    self_loops: str = "drop"
    duplicates: str = "first"
    features: str | None = None
    labels: str | None = None
    splits: str | None = None
    delimiter: str | None = None
    weight: str | None = None
    id_column: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    label_kind: str | None = None
    read_as: str | None = None
    id_column_elsewhere: bool = False
    read_limit: str | int | None = None

    def __post_init__(self):
        for name in ("id_column", "unlabelled"):  # a list where they come from YAML, one word where a program gives it
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(map(str, value or ())))
        for name, allowed in (("self_loops", ("drop", "keep")), ("duplicates", ("first", "sum", "keep"))):
            found = getattr(self, name)
            if found not in allowed:
                raise UsageError(f"--{name.replace('_', '-')}: found {found!r}, expected {' or '.join(allowed)}")
        if self.read_as not in (None, "edges", "adjacency", "user-items"):
            raise UsageError(f"--read-as: found {self.read_as!r}, expected edges, adjacency or user-items")
        if self.label_kind not in (None, "classification", "multilabel", "regression"):
            raise UsageError(f"--task: found {self.label_kind!r}, expected classification, multilabel or regression")


@dataclass
class Blob:
    """The bytes of a file and the name that messages call it by."""

    name: str
    data: bytes
    suffix: str = ""

    def error(self, text: str, line: int | None = None) -> DataError:
        """A :class:`DataError` that names this file, and the line where one is known."""
        place = self.name if line is None else f"{self.name}, line {line}"
        return DataError(f"{place}: {_one_line(text)}")


def read_graph(
    path,
    options: ReadOptions | None = None,
    task: str | None = None,
    split: str | None = None,
    seed: int = 0,
    many: bool = False,
) -> GraphDataset:
    """Read a user's graph, or set of graphs, from a file, from stdin for ``"-"``, or from what :func:`read_blob` gave.

    Without ``task`` the whole graph comes back, with the node split where a splits file or the graph file has one. With
    ``task="link"`` the graph holds the training edges only; with ``task="events"`` every row is an interaction with a
    time. Splits come from ``options.splits``, else they are drawn by :mod:`graphkit.datasets.splits`. ``many``: a
    ``.bin`` of one graph is a set of one, as for a model of graphs.
    Raises :class:`DataError` for whatever is wrong with a file and :class:`UsageError` for options that cannot be.
    """
    options = options or ReadOptions()
    with budget.scope(options.read_limit):
        return _read_graph(path, options, task, split, seed, many)


def _read_graph(path, options: ReadOptions, task: str | None, split: str | None, seed: int, many: bool) -> GraphDataset:
    from graphkit.datasets import assemble, attach, splits

    if task not in (None, "labels", *splits.TASKS):
        raise UsageError(f"task {task!r}: expected one of {', '.join(splits.TASKS)}")
    if task == "events":
        return _read_events(path, options, split, seed)
    blob = read_blob(path)
    if task in (None, "link") and (timed := _timed_graph(blob, options)) is not None:
        return attach.with_task(timed, options, task, split, seed)
    if format_of(blob) == "DGL bin" and (several := _graph_set(blob, options, many)) is not None:
        return splits.finish(several, "graph" if task == "labels" else task, split, seed)
    task = "node" if task == "labels" else task
    if task == "graph":
        raise UsageError(f"task 'graph': {blob.name} holds one graph, which has the tasks node, link and events")
    table = read_edges(blob, options)
    nodes, rows = attach.read_nodes(table, options, task)
    dataset = assemble.build(table, nodes, options, name=dataset_name(blob.name))
    return attach.with_task(dataset, options, task, split, seed, rows)


def _read_events(path, options: ReadOptions, split: str | None, seed: int) -> GraphDataset:
    from graphkit.datasets import event_files, event_splits, events

    blob = read_blob(path, "events")
    dataset = event_files.read_events(blob, options, dataset_name(blob.name))
    if options.splits is None:
        return events.finish_events(dataset, split, None, seed)
    if split not in (None, "file"):
        raise UsageError(f"--split {split} and --splits {options.splits} name two splits, expected one")
    default = events.split_events(dataset, (0.7, 0.15, 0.15), seed, inductive=False)
    given = event_splits.read(dataset, read_blob(options.splits, "a split"), default)
    metric = "mrr" if given.test_neg.ndim == 2 else "ap"
    return events.finish_events(dataset, "file", metric, seed, {"file": lambda: given})


def _timed_graph(blob: Blob, options: ReadOptions) -> GraphDataset | None:
    """The graph of the pairs of events, with the events, where ``--columns SRC,DST,TIME`` names a time and nothing asks
    for a graph.
    """
    from graphkit.datasets import event_files

    asked = {item.name for item in fields(options) if getattr(options, item.name) != item.default}
    if options.columns is None or not asked <= {"columns", "header", "delimiter"}:
        return None
    with one_line(blob, "events"):
        if not event_files.names_time(blob, options):
            return None
    dataset = event_files.read_events(blob, options, dataset_name(blob.name))
    pairs = dataset.graph.num_edges() // 2
    if pairs < len(dataset.events):
        found = f"{len(dataset.events)} events are {pairs} edges as a graph"
        note(blob.name, f"{found}, one for each pair, with its first time; loops are dropped")
    return dataset


def read_edges(blob: Blob, options: ReadOptions):
    """Edges and ids of a file as an :class:`~graphkit.datasets.assemble.EdgeTable`, before cleaning."""
    module, function, _ = FORMATS[format_of(blob)]
    if format_of(blob) in ("edge list", "GraphML"):
        from graphkit.datasets.not_edges import refuse_file
        from graphkit.datasets.text import refuse_binary

        if format_of(blob) == "edge list":
            refuse_binary(
                blob, blob.data.removeprefix(b"\xef\xbb\xbf")
            )  # before its bytes are taken for words of any kind
        refuse_file(blob)
    if format_of(blob) == "edge list" and options.read_as != "edges":
        from graphkit.datasets import line_lists

        if options.read_as is not None:
            with one_line(blob, options.read_as):
                return line_lists.read_lists(blob, options)
        if options.columns is None and options.delimiter is None:
            line_lists.refuse_lists(blob)
    with one_line(blob, format_of(blob)):
        return getattr(import_module(module), function)(blob, options)


def _graph_set(blob: Blob, options: ReadOptions, many: bool):
    """The set of graphs in a ``.bin``, or None where it holds one that is to be read as such."""
    from graphkit.datasets import dglbin, dglbin_sets

    names = [
        item.name for item in fields(options) if item.name not in SILENT and getattr(options, item.name) != item.default
    ]
    given = ["--task" if name == "label_kind" else f"--{name}".replace("_", "-") for name in names]
    with one_line(blob, "DGL bin"):
        if dglbin.opened(blob)[1] == 1 and (given or not many):
            return None
        if given:
            raise UsageError(f"{given[0]}: found with {blob.name}, which holds many graphs, expected with one graph")
        return dglbin_sets.read_graphs(blob, dataset_name(blob.name))


def format_of(blob: Blob) -> str:
    """The format by the file's suffix, and by its first bytes where the suffix says nothing."""
    if blob.suffix in SUFFIXES:
        return SUFFIXES[blob.suffix]
    start = blob.data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, name in MAGIC.items():
        if start.startswith(magic):
            return name
    return "edge list"


class one_line:
    """Turns what a third-party parser raises on a malformed file into one :class:`DataError`."""

    def __init__(self, blob: Blob, what: str):
        self.blob, self.what = blob, what

    def __enter__(self):
        return self

    def __exit__(self, kind, problem, trace):
        # Parsers fail on rubbish in every way there is (IndexError, UnicodeError, zlib.error, OverflowError ...).
        if isinstance(problem, Exception) and not isinstance(problem, (DataError, UsageError)):
            if isinstance(problem, (ImportError, NameError, AttributeError)):
                return False  # a fault of ours, not of the file
            said = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
            raise self.blob.error(f"cannot be read as {self.what}: {said}") from None
        return False


def read_blob(path, what: str = "a graph") -> Blob:
    """Read a file or stdin whole, and unpack gzip whatever the suffix; raises :class:`DataError`.

    path: of the file, ``"-"``, or what was read of it before, as stdin can be read only once.
    what: the content that the message about an empty file expects.
    """
    if isinstance(path, Blob):
        return path
    if str(path) == STDIN:
        return Blob("<stdin>", contents.read(sys.stdin.buffer, "<stdin>", what, text=True))
    path, name = Path(path), str(path)
    suffix = contents.suffix_of(path)
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            raise DataError(f"{name}: is a folder, expected a file")
        with open(path, "rb") as handle:
            return Blob(name, contents.read(handle, name, what, text=suffix in ("", *FORMATS["edge list"][2])), suffix)
    except OSError as problem:
        raise DataError(f"{name}: {problem.strerror or problem}{_neighbours(path)}") from None


def dataset_name(name: str) -> str:
    """``runs/my.graph.csv.gz`` is ``my.graph``."""
    if name == "<stdin>":
        return "stdin"
    stem = Path(name).name
    for _ in range(2):
        head, suffix = os.path.splitext(stem)
        if head and (suffix.lower() in SUFFIXES or suffix.lower() == ".gz"):
            stem = head
    return stem


def memory_limit() -> int:
    """Bytes that a reader may still ask for; :func:`graphkit.datasets.budget.take` counts what it takes."""
    return budget.current().left


def check_size(blob: Blob, what: str, declared: int, held: int) -> None:
    """Refuse a header that declares more bytes than the file can hold."""
    if declared > held:
        raise blob.error(f"{what} declares {size(declared)}, but the file holds {size(held)}")


def _neighbours(path: Path) -> str:
    try:
        return did_you_mean(path.name, [entry.name for entry in path.parent.iterdir()][:1000])
    except OSError:
        return ""


def _one_line(text) -> str:
    text = " ".join(str(text).split())
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:400]
