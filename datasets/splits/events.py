"""Splits of interactions in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphkit.core.errors import DataError, did_you_mean
from graphkit.datasets.base import Events, EventSplit, GraphDataset
from graphkit.datasets.splits import event_negatives
from graphkit.datasets.splits.nodes import parse_fractions

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


def quantile(times: np.ndarray, share: float):
    """The last of ascending ``times`` that is at or below their quantile ``share``, interpolated linearly.

    An event is before or at that quantile if and only if it is before or at this time. It is exact for any int64.
    """
    return times[int((len(times) - 1) * min(share, 1.0))]


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


def draw_masked(events: Events, first: int, num_nodes: int, seed: int) -> np.ndarray:
    """Draw a tenth of all nodes among those of the events from number ``first`` on, or all of those where they are
    fewer.
    """
    late = np.unique(np.concatenate([events.src[first:], events.dst[first:]]))
    count = min(int(MASKED_SHARE * num_nodes), len(late))
    return np.sort(np.random.default_rng(seed).choice(late, count, replace=False))
