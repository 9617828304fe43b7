"""Whom a node met before a moment, and neighbourhoods of several hops made of it, for the learners of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from graphkit.kernels import past_events


def writes_of(src: np.ndarray, dst: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(node, other, event) for both ends of each event, in the order of the stream; a loop counts once."""
    keep = np.ones((len(events), 2), dtype=bool)
    keep[:, 1] = src != dst
    ends = np.stack([src, dst], 1)
    return ends[keep], ends[:, ::-1][keep], np.repeat(events, 2)[keep.ravel()]


class RecentNeighbours:
    """The last k events of each node, in a ring.

    Answers queries of the present alone: what it holds must lie before their moments. O(n k) memory, O(k) per query and
    O(1) per event, however long the past is. Its tensors are put in ``memory``, where they are read at every call.
    """

    EMPTY_ROWS: ClassVar[dict[str, int]] = {
        "ring_node": past_events.NONE,
        "ring_event": past_events.NONE,
        "ring_count": 0,
    }

    def __init__(self, memory: dict[str, torch.Tensor], num_nodes: int, k: int):
        self.memory, self.k = memory, k
        memory["ring_node"] = torch.empty(num_nodes, k, dtype=torch.int64)
        memory["ring_event"] = torch.empty(num_nodes, k, dtype=torch.int64)
        memory["ring_count"] = torch.empty(num_nodes, dtype=torch.int64)
        self.empty()

    def _arrays(self):
        return tuple(self.memory[f"ring_{name}"].numpy() for name in ("node", "event", "count"))

    def empty(self) -> None:
        """Forget all events."""
        for name, value in self.EMPTY_ROWS.items():
            self.memory[name].fill_(value)

    def take_in(self, src: np.ndarray, dst: np.ndarray, events: np.ndarray) -> None:
        """Add (B,) events, in order."""
        past_events.write_rings(*self._arrays(), *writes_of(src, dst, events))

    def find(self, nodes: np.ndarray, moments: np.ndarray, draw: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return (R, k) other ends and event numbers, the latest first, -1 where there are fewer."""
        found = np.empty((2, len(nodes), self.k), dtype=np.int64)
        past_events.read_rings(*self._arrays(), nodes, *found)
        return found[0], found[1]


class PastNeighbours:
    """All events of each node, of which the last k before any moment are found, or k drawn evenly.

    Lists have room for the events of ``store`` when they are made; one that needs more moves to the end of a pool that
    grows, with twice its room, so that an event costs O(1) on average. O(n + E) memory; its tensors are in ``memory``.
    Draws depend on seed, ``draw``, node and moment alone.
    """

    EMPTY_ROWS: ClassVar[dict[str, int]] = {"past_room": 0, "past_start": 0, "past_count": 0}

    def __init__(self, memory: dict[str, torch.Tensor], store, num_nodes: int, k: int, *, uniform: bool, seed: int):
        self.memory, self.store, self.k, self.uniform, self.seed = memory, store, k, uniform, seed
        nodes = writes_of(store.src[: store.count], store.dst[: store.count], np.arange(store.count))[0]
        room = torch.from_numpy(np.bincount(nodes, minlength=num_nodes))
        memory["past_room"], memory["past_start"] = room, torch.cumsum(room, 0) - room
        memory["past_count"] = torch.zeros(num_nodes, dtype=torch.int64)
        memory["past_pool"] = torch.zeros(len(nodes), dtype=torch.int64)

    def empty(self) -> None:
        """Forget all events."""
        self.memory["past_count"].zero_()
        self.memory["past_pool"].zero_()

    def take_in(self, src: np.ndarray, dst: np.ndarray, events: np.ndarray) -> None:
        """Add (B,) events, in order."""
        nodes, _, numbers = writes_of(src, dst, events)
        self._make_room(nodes)
        pool, start, count = (self.memory[f"past_{name}"].numpy() for name in ("pool", "start", "count"))
        past_events.write_lists(pool, start, count, nodes, numbers)

    def _make_room(self, nodes: np.ndarray) -> None:
        different, more = np.unique(nodes, return_counts=True)
        room, start, count = (self.memory[f"past_{name}"].numpy() for name in ("room", "start", "count"))
        short = count[different] + more > room[different]
        for v, extra in zip(different[short].tolist(), more[short].tolist()):
            pool, held = self.memory["past_pool"], int(count[v])
            end, size = int((start + room).max()), max(2 * int(room[v]), held + extra, 4)
            if end + size > len(pool):
                pool = torch.cat([pool, pool.new_zeros(max(len(pool), size))])
            pool[end : end + held] = pool[int(start[v]) : int(start[v]) + held].clone()
            self.memory["past_pool"], start[v], room[v] = pool, end, size

    def find(self, nodes: np.ndarray, moments: np.ndarray, draw: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return (R, k) other ends and event numbers of events before (R,) moments, -1 where there are fewer."""
        found = np.empty((2, len(nodes), self.k), dtype=np.int64)
        lists = [self.memory[f"past_{name}"].numpy() for name in ("pool", "start", "count")]
        query = (*lists, self.store.src, self.store.dst, nodes, moments)
        if self.uniform:
            past_events.read_drawn(*query, np.uint64(self.seed) ^ (np.uint64(draw) << np.uint64(32)), *found)
        else:
            past_events.read_latest(*query, *found)
        return found[0], found[1]


@dataclass
class Hops:
    """Rows of nodes at moments, hop by hop, and the events that link each hop to the one before.

    nodes: all different nodes, (U,). at: for hop 0, 1, .. the place in ``nodes`` of each row. moments: for all hops but
    the last of several, the event number at whose time each row stands. links: for hop 1, 2, .. (row of the hop before,
    ascending; row of this hop; event), (L,) each. The rows of the last of several hops are ``nodes`` themselves.
    """

    nodes: np.ndarray
    at: list[np.ndarray]
    moments: list[np.ndarray]
    links: list[tuple[np.ndarray, np.ndarray, np.ndarray]]


def neighbourhoods(
    finder, nodes: np.ndarray, moments: np.ndarray, depth: int, mark: np.ndarray, *, back: bool, draw: int = 0
) -> Hops:
    """Return the neighbourhood of ``depth`` hops of (R,) nodes at (R,) moments.

    back: a neighbour stands at the moment of the event that made it one, and has its own neighbours before that (TGAT);
    else at the moment of the row it belongs to (TGN). A node that comes twice at one moment is one row. mark: (n,)
    int64 of -1, scratch.
    """
    rows, when, links = [nodes], [moments], []
    for hop in range(depth):
        other, event = finder.find(rows[-1], when[-1], draw)
        row, column = np.nonzero(event >= 0)
        other, event = other[row, column], event[row, column]
        if hop == depth - 1:
            links.append((row, other, event))
            break
        codes = (event if back else when[-1][row]) * len(mark) + other
        different, place = np.unique(codes, return_inverse=True)
        links.append((row, place.ravel(), event))
        rows.append(different % len(mark))
        when.append(different // len(mark))
    every = np.concatenate([*rows, links[-1][1]]) if depth else nodes
    different, place = past_events.number_nodes(every, mark)
    parts = np.split(place, np.cumsum([len(part) for part in rows]))
    if depth:
        links[-1] = (links[-1][0], parts[-1], links[-1][2])
        parts[-1] = np.arange(len(different))
    return Hops(different, parts if depth else parts[:1], when, links)
