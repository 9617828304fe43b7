"""Interactions in time as they were published."""

from __future__ import annotations

from graphkit.core.read_options import ReadOptions
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.readers import event_files, jodie_files
from graphkit.datasets.readers.build import check, compact, integer_table, plain_ids
from graphkit.datasets.readers.events import in_order, static_graph
from graphkit.datasets.splits.loaded import Loaded
from graphkit.io.formats import read_blob


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
    path = entry.path(file)
    with open(path, "rb") as stream:
        own = stream.readline().strip().lower().endswith(jodie_files.LAST_NAME.encode())
    if own:
        return Loaded(event_files.read_events(read_blob(path), ReadOptions(), entry.name))
    return timed_edges(entry, file=file, delimiter=",", skip=1, labels=True)
