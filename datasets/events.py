"""Interactions in time: sorted, numbered, and split by the clock (NAT, TGN and their followers).

Names of splits:
    ``chrono-a/b/c``: cut at the quantiles a and a + b of the times; an event at a cut belongs to the earlier part, so that equal
        times stay together. Every event is judged (transductive).
    ``inductive-a/b/c``: the same cuts. A tenth of all nodes, drawn per seed among those active after the first cut, are masked: an event
        with one of them neither trains nor validates, and the test judges only events with at least one of them.
    ``tgb``: the parts of ``chrono-0.7/0.15/0.15`` with the negatives that TGB gives, see :mod:`graphkit.datasets.tgb`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graphkit.datasets.base import Events, EventSplit, GraphDataset
from graphkit.datasets.build import check, compact, graph_of, integer_table, plain_ids
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.splits import Loaded, parse_fractions
from graphkit.errors import DataError, did_you_mean
from graphkit.lazy import np, torch

if TYPE_CHECKING:
    import numpy

CHRONO, INDUCTIVE = "chrono-0.7/0.15/0.15", "inductive-0.7/0.15/0.15"
MASKED_SHARE = 0.1
# Seeds of the random destinations, the same for every method and every seed of a run, so that differences are the methods'.
VALID_SEED, TEST_SEED = 0, 2


def timed_edges(entry: Entry, *, file: str, delimiter: str | None = None, skip: int = 0, labels: bool = False) -> Loaded:
    """Interactions ``u v time [label]``, one a line in any order.

    The graph is undirected and simple, without loops; its ``edata["time"]`` is the time of the first interaction of each pair.
    """
    path = entry.path(file)
    rows = integer_table(path, 4 if labels else 3, delimiter=delimiter, skip=skip)
    check(rows[:, :2].min() >= 0, path, f"node {rows[:, :2].min()}", "node numbers from 0")
    ids, (pairs,) = compact(rows[:, :2])
    events = in_order(pairs[:, 0], pairs[:, 1], rows[:, 2].astype(np.float64), label=rows[:, 3] if labels else None)
    return Loaded(GraphDataset(entry.name, static_graph(events, len(ids)), events=events, node_ids=plain_ids(ids)))


def jodie(entry: Entry, *, file: str) -> Loaded:
    """Interactions of users with items: rows ``user,item,time,label`` of whole numbers, or JODIE's own file, known by its header."""
    from graphkit.datasets import event_files, jodie_files
    from graphkit.datasets.files import ReadOptions, read_blob

    path = entry.path(file)
    with open(path, "rb") as stream:
        own = stream.readline().strip().lower().endswith(jodie_files.LAST_NAME.encode())
    if own:
        return Loaded(event_files.read_events(read_blob(path), ReadOptions(), entry.name))
    return timed_edges(entry, file=file, delimiter=",", skip=1, labels=True)


def in_order(src, dst, time, **more) -> Events:
    """Sort events by time; those at the same time keep their order."""
    order = np.argsort(time, kind="stable")
    rest = {key: None if value is None else value[order] for key, value in more.items()}
    return Events(src[order], dst[order], time[order], **rest)


def static_graph(events: Events, num_nodes: int):
    """The undirected simple graph of the pairs that ever interact, with ``edata["time"]`` of the first time (int64 where whole)."""
    other = events.src != events.dst
    u, v = np.minimum(events.src, events.dst)[other], np.maximum(events.src, events.dst)[other]
    codes, first = np.unique(u * max(num_nodes, 1) + v, return_index=True)  # the earliest: events are in order
    graph = graph_of(codes // max(num_nodes, 1), codes % max(num_nodes, 1), num_nodes, simple=True)
    times = np.tile(events.time[other][first], 2)
    whole = (times == np.rint(times)).all()
    graph.edata["time"] = torch.from_numpy(times.astype(np.int64) if whole else times)
    return graph


def finish_events(
    dataset: GraphDataset, name: str | None, metric: str | None, seed: int, given: Mapping[str, Callable[[], Any]] | None = None
) -> GraphDataset:
    """Return the data set with the split of its events of this name and seed, :data:`CHRONO` where there is none.

    given: name -> function without arguments that returns an :class:`EventSplit`, the same for every seed.
    """
    name, given = name or CHRONO, given or {}
    if name in given:
        return dataset.renamed(task="events", split=given[name](), split_name=name, metric=metric or "mrr", seed=seed, splitter=None)
    chrono, inductive = parse_fractions(name, "chrono"), parse_fractions(name, "inductive")
    if (fractions := inductive or chrono) is None:
        known = [*given, CHRONO, INDUCTIVE]
        raise DataError(f"data set {dataset.name!r}: unknown split of events {name!r}{did_you_mean(name, known)}"
                        f"; expected {' or '.join(known)}, or other fractions")  # fmt: skip
    split = split_events(dataset, fractions, seed, inductive=inductive is not None)
    splitter = (lambda other: finish_events(dataset, name, metric, other)) if inductive else None
    return dataset.renamed(task="events", split=split, split_name=name, metric=metric or "ap", seed=seed, splitter=splitter)


def split_events(dataset: GraphDataset, fractions: Sequence[float], seed: int, *, inductive: bool) -> EventSplit:
    """Cut the events of a data set by time; only the masked nodes of an inductive split depend on the seed.

    Random destinations are drawn evenly from the distinct ones seen by the end of the part (of all judged events where inductive), as
    TGN and NAT draw them; one may by chance be the true one. Raises :class:`DataError` where a part is left empty.
    """
    events = dataset.events
    if events is None:
        raise DataError(f"data set {dataset.name!r}: has no events, expected interactions with times")
    if abs(sum(fractions) - 1) > 1e-9:
        raise DataError(f"split of the events: the fractions sum to {sum(fractions):g}, expected 1")
    cuts = np.quantile(events.time, [fractions[0], fractions[0] + fractions[1]])
    first, second = np.searchsorted(events.time, cuts, side="right")
    parts = [np.arange(first), np.arange(first, second), np.arange(second, len(events))]
    masked = np.empty(0, dtype=np.int64)
    if inductive:
        masked = draw_masked(events, int(first), dataset.num_nodes, seed)
        hidden = np.isin(events.src, masked) | np.isin(events.dst, masked)
        parts = [part[hidden[part] == (place == 2)] for place, part in enumerate(parts)]
    if min(map(len, parts)) == 0:
        found = ", ".join(f"{name} {len(part)}" for name, part in zip(("train", "valid", "test"), parts))
        raise DataError(f"data set {dataset.name!r}: {len(events)} events are too few, or their times too alike, for the split ({found})")
    known = [np.unique(events.dst[:second]), np.unique(events.dst[parts[2]] if inductive else events.dst)]
    negatives = [
        np.random.default_rng(own).choice(pool, len(part)) for own, pool, part in zip((VALID_SEED, TEST_SEED), known, parts[1:])
    ]
    return EventSplit(*parts, *negatives, masked=masked, before=int(second))


def draw_masked(events: Events, first: int, num_nodes: int, seed: int) -> numpy.ndarray:
    """Draw a tenth of all nodes among those of the events from number ``first`` on, or all of those where they are fewer."""
    late = np.unique(np.concatenate([events.src[first:], events.dst[first:]]))
    count = min(int(MASKED_SHARE * num_nodes), len(late))
    return np.sort(np.random.default_rng(seed).choice(late, count, replace=False))
