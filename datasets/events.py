"""Interactions in time: sorted, numbered, and split by the clock (NAT, TGN and their followers).

Names of splits:
    ``chrono-a/b/c``: cut at the quantiles a and a + b of the times; an event at a cut belongs to the earlier part, so
    that equal
        times stay together. Every event is judged (transductive).
    ``chrono-historical-a/b/c``, ``chrono-inductive-a/b/c``: the same parts; the negatives are pairs of the training
    events, or pairs of
        the judged part that did not train, see :mod:`graphkit.datasets.event_negatives`.
    ``inductive-a/b/c``: the same cuts. A tenth of all nodes, drawn per seed among those active after the first cut, are
    masked: an event
        with one of them neither trains nor validates, and the test judges only events with at least one of them. As NAT
        has it, a part's negatives are drawn from the destinations of its own and all earlier parts.
    ``inductive-judged-a/b/c``: the same parts; the test's negatives are drawn from the destinations of the judged
    events alone, as TGN
        draws them for new nodes.
    ``tgb``: the parts of ``chrono-0.7/0.15/0.15`` with the negatives that TGB gives, see :mod:`graphkit.datasets.tgb`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graphkit.datasets import event_negatives
from graphkit.datasets.base import Events, EventSplit, GraphDataset
from graphkit.datasets.build import check, compact, graph_of, integer_table, plain_ids
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.splits import Loaded, parse_fractions
from graphkit.errors import DataError, did_you_mean
from graphkit.lazy import np, torch

if TYPE_CHECKING:
    import numpy

CHRONO = "chrono-0.7/0.15/0.15"
MASKED_SHARE = 0.1
# The beginning of a split's name -> the nodes are masked, and where negatives come from.
FAMILIES = {
    "chrono": (False, "seen"),
    "chrono-historical": (False, "historical"),
    "chrono-inductive": (False, "unseen"),
    "inductive": (True, "seen"),
    "inductive-judged": (True, "judged"),
}


def timed_edges(
    entry: Entry, *, file: str, delimiter: str | None = None, skip: int = 0, labels: bool = False
) -> Loaded:
    """Interactions ``u v time [label]``, one a line in any order.

    The graph is undirected and simple, without loops; its ``edata["time"]`` is the time of the first interaction of
    each pair.
    """
    path = entry.path(file)
    rows = integer_table(path, 4 if labels else 3, delimiter=delimiter, skip=skip)
    check(rows[:, :2].min() >= 0, path, f"node {rows[:, :2].min()}", "node numbers from 0")
    ids, (pairs,) = compact(rows[:, :2])
    events = in_order(pairs[:, 0], pairs[:, 1], rows[:, 2], label=rows[:, 3] if labels else None)
    return Loaded(GraphDataset(entry.name, static_graph(events, len(ids)), events=events, node_ids=plain_ids(ids)))


def jodie(entry: Entry, *, file: str) -> Loaded:
    """Interactions of users with items: rows ``user,item,time,label`` of whole numbers, or JODIE's own file, known by
    its header.
    """
    from graphkit.datasets import event_files, jodie_files
    from graphkit.datasets.files import ReadOptions, read_blob

    path = entry.path(file)
    with open(path, "rb") as stream:
        own = stream.readline().strip().lower().endswith(jodie_files.LAST_NAME.encode())
    if own:
        return Loaded(event_files.read_events(read_blob(path), ReadOptions(), entry.name))
    return timed_edges(entry, file=file, delimiter=",", skip=1, labels=True)


def in_order(src, dst, time, *, ticks: int = 1, dates: bool = False, **more) -> Events:
    """Sort events by time; those at the same time keep their order.

    Raises :class:`DataError` for whole times whose differences do not fit in 64 bits.
    """
    order = np.argsort(time, kind="stable")
    rest = {key: None if value is None else value[order] for key, value in more.items()}
    time = time[order]
    if time.dtype.kind == "i" and len(time) and int(time[-1]) - int(time[0]) >= 1 << 63:
        raise DataError(f"times from {time[0]} to {time[-1]}, expected ones that are less than 2^63 apart")
    return Events(src[order], dst[order], time, ticks=ticks, dates=dates, **rest)


def quantile(times: numpy.ndarray, share: float):
    """The last of ascending ``times`` that is at or below their quantile ``share``, interpolated linearly.

    An event is before or at that quantile if and only if it is before or at this time. It is exact for any int64.
    """
    return times[int((len(times) - 1) * min(share, 1.0))]


def static_graph(events: Events, num_nodes: int):
    """The undirected simple graph of the pairs that ever interact, with ``edata["time"]`` of the first time (int64
    where whole).
    """
    other = events.src != events.dst
    u, v = np.minimum(events.src, events.dst)[other], np.maximum(events.src, events.dst)[other]
    codes, first = np.unique(u * max(num_nodes, 1) + v, return_index=True)  # the earliest: events are in order
    graph = graph_of(codes // max(num_nodes, 1), codes % max(num_nodes, 1), num_nodes, simple=True)
    times = np.tile(events.time[other][first], 2)
    whole = times.dtype.kind == "i" or ((times == np.rint(times)) & (np.abs(times) < 1 << 63)).all()
    graph.edata["time"] = torch.from_numpy(times.astype(np.int64) if whole else times)
    return graph


def finish_events(
    dataset: GraphDataset,
    name: str | None,
    metric: str | None,
    seed: int,
    given: Mapping[str, Callable[[], Any]] | None = None,
) -> GraphDataset:
    """Return the data set with the split of its events of this name and seed, :data:`CHRONO` where there is none.

    given: name -> function without arguments that returns an :class:`EventSplit`, the same for every seed.
    """
    name, given = name or CHRONO, given or {}
    if name in given:
        return dataset.renamed(
            task="events", split=given[name](), split_name=name, metric=metric or "mrr", seed=seed, splitter=None
        )
    found = {family: fractions for family in FAMILIES if (fractions := parse_fractions(name, family)) is not None}
    if not found:
        known = [*given, *(f"{family}-0.7/0.15/0.15" for family in FAMILIES)]
        raise DataError(
            f"data set {dataset.name!r}: unknown split of events {name!r}{did_you_mean(name, known)}"
            f"; expected one of {', '.join(known)}, or other fractions"
        )
    ((family, fractions),) = found.items()
    inductive, negatives = FAMILIES[family]
    split = split_events(dataset, fractions, seed, inductive=inductive, negatives=negatives)
    splitter = (lambda other: finish_events(dataset, name, metric, other)) if inductive else None
    return dataset.renamed(
        task="events", split=split, split_name=name, metric=metric or "ap", seed=seed, splitter=splitter
    )


def split_events(
    dataset: GraphDataset, fractions: Sequence[float], seed: int, *, inductive: bool, negatives: str = "seen"
) -> EventSplit:
    """Cut the events of a data set by time; only the masked nodes of an inductive split depend on the seed.

    negatives: ``seen``, drawn evenly from the distinct destinations of the part and of all parts before it, as TGN and
        NAT draw them;
    ``judged``, for the test from those of its own events; ``historical`` or ``unseen`` pairs. Raises :class:`DataError`
    where a part is left empty.
    """
    events = dataset.events
    if events is None:
        raise DataError(f"data set {dataset.name!r}: has no events, expected interactions with times")
    if abs(sum(fractions) - 1) > 1e-9:
        raise DataError(f"split of the events: the fractions sum to {sum(fractions):g}, expected 1")
    cuts = [quantile(events.time, share) for share in (fractions[0], fractions[0] + fractions[1])]
    first, second = np.searchsorted(events.time, cuts, side="right")
    parts = [np.arange(first), np.arange(first, second), np.arange(second, len(events))]
    masked = np.empty(0, dtype=np.int64)
    if inductive:
        masked = draw_masked(events, int(first), dataset.num_nodes, seed)
        hidden = np.isin(events.src, masked) | np.isin(events.dst, masked)
        parts = [part[hidden[part] == (place == 2)] for place, part in enumerate(parts)]
    if min(map(len, parts)) == 0:
        found = ", ".join(f"{name} {len(part)}" for name, part in zip(("train", "valid", "test"), parts))
        raise DataError(
            f"data set {dataset.name!r}: {len(events)} events are too few, or their times too alike, for the split"
            f" ({found})"
        )
    pools = [np.unique(events.dst[np.concatenate(parts[: place + 1])]) for place in (1, 2)]
    if negatives == "judged":
        pools = [np.unique(events.dst[:second]), np.unique(events.dst[parts[2]])]
    drawn: dict[str, Any] = {}
    for part, pool, judged in zip(("valid", "test"), pools, parts[1:]):
        if negatives in ("historical", "unseen"):
            found = event_negatives.pairs(
                events, dataset.num_nodes, part, parts[0], judged, pool, unseen=negatives == "unseen"
            )
            drawn[f"{part}_src"], drawn[f"{part}_neg"] = found
        else:
            drawn[f"{part}_neg"] = event_negatives.random_destinations(part, pool, len(judged))
    return EventSplit(*parts, **drawn, masked=masked, before=int(second))


def draw_masked(events: Events, first: int, num_nodes: int, seed: int) -> numpy.ndarray:
    """Draw a tenth of all nodes among those of the events from number ``first`` on, or all of those where they are
    fewer.
    """
    late = np.unique(np.concatenate([events.src[first:], events.dst[first:]]))
    count = min(int(MASKED_SHARE * num_nodes), len(late))
    return np.sort(np.random.default_rng(seed).choice(late, count, replace=False))
