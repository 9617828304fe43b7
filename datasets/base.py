"""The one thing loaders return: a graph (or many), the task, the split, the official metric and the source."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from graphkit.datasets.source import Source

if TYPE_CHECKING:
    import dgl
    import numpy


@dataclass(frozen=True)
class NodeSplit:
    """Node numbers of each part, int64 arrays."""

    train: numpy.ndarray
    valid: numpy.ndarray
    test: numpy.ndarray


@dataclass(frozen=True)
class GraphSplit:
    """Graph numbers of each part, int64 arrays."""

    train: numpy.ndarray
    valid: numpy.ndarray
    test: numpy.ndarray


@dataclass(frozen=True)
class EdgeSet:
    """Target edges of one part of a link split.

    pos: (P, 2) int64, each undirected edge once.
    neg: (Q, 2) int64 negatives shared by all positives, or None (training negatives are the method's choice).
    neg_dst: (P, N) int64, N destinations per positive with the positive's own source (ogbl-citation2), or None.
    neg_src: (P, N) int64, N sources per positive with the positive's own destination (knowledge graphs), or None.
    relation: (P,) int64 relation of each positive (knowledge graphs), or None.
    weight, year: (P,) as the data set gives them, or None.
    """

    pos: numpy.ndarray
    neg: numpy.ndarray | None = None
    neg_dst: numpy.ndarray | None = None
    neg_src: numpy.ndarray | None = None
    relation: numpy.ndarray | None = None
    weight: numpy.ndarray | None = None
    year: numpy.ndarray | None = None


@dataclass(frozen=True)
class LinkSplit:
    """Training, validation and test edges. Held-out edges are never in ``GraphDataset.graph``."""

    train: EdgeSet
    valid: EdgeSet
    test: EdgeSet


@dataclass(frozen=True)
class Events:
    """Interactions in time order; equal times keep the order of the file.

    src, dst: (E,) int64 nodes. time: (E,) int64 if all are whole numbers or dates, else float64; differences are to be
        taken before any conversion, as float64 has 53 bits. weight: (E,) float64, or None. label: (E,) int64 state of
        the source, or None.
    feat: (E, F) float32, or None. written: (E,) bytes, the times as their file writes them, or None where numbers are
        written alike.
    ticks: how many units of ``time`` are a second, of dates; 1 of numbers. dates: whether the times are dates.
    bipartite: whether sources and destinations share no node.
    """

    src: numpy.ndarray
    dst: numpy.ndarray
    time: numpy.ndarray
    weight: numpy.ndarray | None = None
    label: numpy.ndarray | None = None
    feat: numpy.ndarray | None = None
    written: numpy.ndarray | None = None
    ticks: int = 1
    dates: bool = False

    def __len__(self) -> int:
        return len(self.time)

    def first(self, count: int) -> Events:
        """The first ``count`` events."""
        arrays = {name: value[:count] for name, value in vars(self).items() if hasattr(value, "dtype")}
        return replace(self, **arrays)

    def times_of(self, numbers) -> list[int | float | str]:
        """Times of events by number as they came: numbers, or text where a number would come out in another form."""
        if self.written is None:
            return self.time[numbers].tolist()
        return [text.decode() for text in self.written[numbers].tolist()]

    @property
    def bipartite(self) -> bool:
        return not np.isin(np.unique(self.src), np.unique(self.dst)).any()


@dataclass(frozen=True)
class EventSplit:
    """Numbers of the events of each part, int64 ascending, and wrong destinations for each that is judged.

    before: number of events before the test period. A store of the past is rebuilt from all of them before the
        inductive test.
    valid_neg, test_neg: int64 destinations in place of the true ones: (P,) one random one an event, or (P, K) given
        ones, at least one an event and -1 at the end of a row where an event has fewer than K.
    masked: nodes that training must not see, ascending; empty where the split is transductive.
    valid_src, test_src: int64 sources of the wrong destinations, shaped alike, where pairs are drawn; None: the event's
        own.
    """

    train: numpy.ndarray
    valid: numpy.ndarray
    test: numpy.ndarray
    valid_neg: numpy.ndarray
    test_neg: numpy.ndarray
    masked: numpy.ndarray
    before: int
    valid_src: numpy.ndarray | None = None
    test_src: numpy.ndarray | None = None

    def negatives(self, part: str) -> tuple[numpy.ndarray, numpy.ndarray | None]:
        """Wrong destinations of ``"valid"`` or ``"test"``, and their sources where these are not the events' own."""
        return getattr(self, f"{part}_neg"), getattr(self, f"{part}_src")

    @property
    def hides(self) -> bool:
        """Whether there are events before the test that neither train nor validate, which the test then knows of."""
        return self.before != len(self.train) + len(self.valid)

    def history(self, part: str) -> numpy.ndarray:
        """Numbers of all events that a store of the past may hold by the end of ``"valid"`` or ``"test"``, ascending.

        An event is known once it has been judged; only those with a smaller number are known when an event is.
        """
        known = self.train if part == "valid" else np.arange(self.before)
        return np.concatenate([known, getattr(self, part)])


@dataclass
class GraphDataset:
    """One attributed graph, or many, with all that an experiment on it must fix.

    graph: homogeneous DGLGraph. An undirected graph holds both directions of every edge; for ``task="link"`` it holds
        the training edges only. ``ndata["feat"]`` (n, F) float32, ``ndata["label"]`` (n,) int64 with -1 for unlabelled,
        (n, L) float32 for multi-label, or (n,) float64 with NaN for numbers to learn, ``edata["weight"]`` (m,) float64
        where edges are weighted (float32 in the catalogue), ``edata["feat"]``.
    graphs: the list of graphs of a graph-level data set (then ``graph`` is None) and ``graph_labels`` (G,) or (G, T).
    events: the interactions in time order of a temporal data set, or None; ``task="events"`` looks at them and not at
        the graph.
    node_ids: (n,) the ids the user gave, in node order; None where they are 0..n-1.
    feature_names: names of the columns of features that a user's file gives, or None.
    metric: the official metric, e.g. ``"accuracy"``, ``"hits@50"``, ``"rocauc"``.
    splitter: draws the split anew from a seed, for protocols that re-draw it per run; None where the split is fixed.
    reading: what was read otherwise than it stands in the files, a line each (:mod:`graphkit.core.reading`).
    stored_checksum: of the stored graph that the graph and its data come from, in place of reading them; None
        elsewhere.
    folds: number of splits in the family that this one is of, one for each seed below it; 0 where it is of none.
    """

    name: str
    graph: dgl.DGLGraph | None = None
    graphs: list[dgl.DGLGraph] | None = None
    graph_labels: Any = None
    task: str | None = None
    split: NodeSplit | LinkSplit | GraphSplit | EventSplit | None = None
    split_name: str = ""
    metric: str | None = None
    directed: bool = False
    events: Events | None = None
    node_ids: numpy.ndarray | None = None
    class_names: list[str] | None = None
    feature_names: list[str] | None = None
    source: Source = field(default_factory=Source)
    ogb_name: str | None = None
    splitter: Callable[[int], GraphDataset] | None = None
    seed: int = 0
    folds: int = 0
    reading: tuple[str, ...] = ()
    stored_checksum: str | None = None

    @property
    def num_nodes(self) -> int:
        """Number of nodes, over all graphs."""
        if self.graph is not None:
            return self.graph.num_nodes()
        return sum(graph.num_nodes() for graph in self.graphs)

    @property
    def weighted(self) -> bool:
        """Whether edges carry weights."""
        return self.graph is not None and "weight" in self.graph.edata

    @property
    def features(self):
        """(n, F) float32 node features, or None."""
        return self.graph.ndata.get("feat")

    @property
    def labels(self):
        """(n,) int64 or (n, L) float32 labels, or None."""
        return self.graph.ndata.get("label")

    @property
    def label_kind(self) -> str | None:
        """What the node labels are: "classes", "several" (multi-label) or "numbers"; None where there are none."""
        if self.labels is None:
            return None
        if self.labels.ndim == 2:
            return "several"
        return "numbers" if self.labels.is_floating_point() else "classes"

    def ids(self) -> numpy.ndarray:
        """(n,) ids as the user gave them."""
        return np.arange(self.num_nodes) if self.node_ids is None else self.node_ids

    def ids_of(self, nodes: numpy.ndarray) -> numpy.ndarray:
        """(k,) ids of (k,) nodes."""
        return self.ids()[nodes]

    def numbers(self) -> Mapping[str, int]:
        """Node number by id, as text."""
        return {str(node): place for place, node in enumerate(self.ids().tolist())}

    def for_seed(self, seed: int) -> GraphDataset:
        """The same data with the split of this seed; itself where the split is fixed."""
        if self.splitter is None or seed == self.seed:
            return self
        return self.splitter(seed)

    def renamed(self, **changes) -> GraphDataset:
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def checksum(self) -> str:
        """SHA-256 over edges, events, features, labels and split: what a cached result depends on."""
        digest = hashlib.sha256()
        if self.stored_checksum is not None:
            digest.update(self.stored_checksum.encode())
            _update_split(digest, self.split)
            return digest.hexdigest()
        for graph in [self.graph] if self.graph is not None else self.graphs:
            for tensor in (*graph.edges(order="eid"), *_data_tensors(graph)):
                digest.update(np.ascontiguousarray(_narrow(tensor.numpy())))
            digest.update(str(graph.num_nodes()).encode())
        for value in (self.graph_labels, self.node_ids):
            if value is not None:
                digest.update(repr(value.tolist()).encode() if np.asarray(value).dtype == object else _bytes(value))
        if self.task == "events":
            _update_events(digest, self.events)
        _update_split(digest, self.split)
        return digest.hexdigest()


def _narrow(values: numpy.ndarray) -> numpy.ndarray:
    """The values as float32 where those are the same numbers: a type that is wide for nothing changes no checksum."""
    if values.dtype != np.float64:
        return values
    with np.errstate(over="ignore", under="ignore"):
        narrow = values.astype(np.float32)
    return narrow if np.array_equal(narrow, values) else values


def _data_tensors(graph) -> list:
    frames = (graph.ndata, graph.edata)
    return [frame[key] for frame in frames for key in sorted(frame) if not key.startswith("_")]


def _bytes(array) -> bytes:
    return np.ascontiguousarray(np.asarray(array)).tobytes()


def _update_events(digest, events: Events) -> None:
    time = events.time
    if time.dtype.kind == "i" and max(abs(int(time.min())), abs(int(time.max()))) <= 1 << 53:
        time = time.astype(np.float64)  # as whole times were kept before there were int64 ones: a run's checksum stays
    for value in (events.src, events.dst, time, events.weight, events.label, events.feat):
        if value is not None:
            digest.update(_bytes(value))
    if events.ticks != 1:
        digest.update(str(events.ticks).encode())


def _update_split(digest, split) -> None:
    if split is None:
        return
    for part in vars(split).values():
        values = vars(part).values() if isinstance(part, EdgeSet) else (part,)
        for value in values:
            if value is not None:
                digest.update(_bytes(value))
