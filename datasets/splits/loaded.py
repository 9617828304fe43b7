"""What a loader gives: the data set, its own splits and the default of each task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graphkit.datasets.base import EventSplit, GraphDataset, LinkSplit


@dataclass
class Loaded:
    """What a loader gives: the whole graph, the splits that come with it, and the defaults of each task.

    given: name -> NodeSplit or GraphSplit, a list of them (a family, chosen by seed), or a function without
        arguments that returns either.
    given_events: name -> function without arguments that returns an EventSplit.
    links: the official link split, whose training edges are the graph, or None.
    defaults: task -> (split name, metric). own: whether the labels are a user's own, which are held against each split.
    """

    dataset: GraphDataset
    given: dict[str, Any] = field(default_factory=dict)
    given_events: dict[str, Callable[[], EventSplit]] = field(default_factory=dict)
    links: LinkSplit | None = None
    links_name: str = "official"
    defaults: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    own: bool = False
