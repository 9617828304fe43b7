"""Interactions in time: sorted, numbered, and split by the clock (NAT, TGN and their followers).

Names of splits:
    ``chrono-a/b/c``: cut at the quantiles a and a + b of the times; an event at a cut belongs to the earlier part, so
    that equal
        times stay together. Every event is judged (transductive).
    ``chrono-historical-a/b/c``, ``chrono-inductive-a/b/c``: the same parts; the negatives are pairs of the training
    events, or pairs of
        the judged part that did not train, see :mod:`graphkit.datasets.splits.event_negatives`.
    ``inductive-a/b/c``: the same cuts. A tenth of all nodes, drawn per seed among those active after the first cut, are
    masked: an event
        with one of them neither trains nor validates, and the test judges only events with at least one of them. As NAT
        has it, a part's negatives are drawn from the destinations of its own and all earlier parts.
    ``inductive-judged-a/b/c``: the same parts; the test's negatives are drawn from the destinations of the judged
    events alone, as TGN
        draws them for new nodes.
    ``tgb``: the parts of ``chrono-0.7/0.15/0.15`` with the negatives that TGB gives, see
        :mod:`graphkit.datasets.sources.tgb`.
"""

from __future__ import annotations

import numpy as np
import torch

from graphkit.core.errors import DataError
from graphkit.datasets.base import Events
from graphkit.datasets.readers.build import graph_of


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
