"""How a user's own graph is to be read: the options that every reader takes."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.errors import UsageError

SILENT = ("id_column_elsewhere", "read_limit")  # fields of ReadOptions that say nothing of how a file is read


@dataclass(frozen=True)
class ReadOptions:
    """How to read a user's graph.

    columns: ``"src,dst"`` or ``"src,dst,weight"``, names or numbers from 0, in any order of the file; of events
        ``"src,dst,time"`` and more, see :mod:`graphkit.datasets.readers.event_files`.
    header: whether the first line names the columns; None detects it.
    directed: False stores both directions of every edge; an edge given in both directions is then one edge.
    self_loops: ``"drop"`` or ``"keep"``. duplicates: ``"first"``, ``"sum"`` (of weights, or counts) or ``"keep"``.
    features, labels, splits: paths of files about the nodes, see :mod:`graphkit.datasets.readers.attach`.
    delimiter: one character, ``"\\t"`` or ``" "`` (runs of blanks); None detects it.
    weight: column of edge weights by name or number; the name of the edge attribute in GraphML.
    id_column: columns with the ids of nodes, by name or number from 0, in features, labels and splits: of each file the
        first that it has; ``"none"`` says that rows go by order. See :mod:`graphkit.datasets.readers.node_ids`.
        id_column_elsewhere: whether a column that none of them has may be one of a list of nodes.
    unlabelled: labels that mean "no label", see :mod:`graphkit.datasets.readers.labels`. label_kind:
        ``"classification"``, ``"multilabel"`` or ``"regression"``; None reads it off the labels, never as a regression.
    read_as: what the lines of a text are: ``"edges"``, ``"adjacency"`` (a node and its neighbours) or ``"user-items"``,
        see :mod:`graphkit.datasets.readers.line_lists`; None reads edges and refuses what may be one of the others.
    read_limit: bytes that all files of the data set may take, unfolded, as a number or e.g. ``"4GB"``; None is the
        limit of the process, see :mod:`graphkit.io.budget`. It changes nothing of what is read.
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
