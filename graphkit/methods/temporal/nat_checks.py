"""NAT's tables against dictionaries that are filled event by event, for the claims and the tests."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from graphkit.kernels import splitmix
from graphkit.kernels.neighbour_cache import join_keys, slots_of
from graphkit.lazy import np

if TYPE_CHECKING:
    import numpy

    from graphkit.datasets.base import GraphDataset

EVENTS, BATCH = 500, 20
LARGEST_HOP = 2


def slot_of(key: int, size: int, seed: int) -> int:
    """Slot of a node by the paper's polynomial, in Python's own whole numbers."""
    s, a = random.Random(seed).randint(0, 100), key + 1
    s = (s if s % 2 else s + 1) % 100
    return (a * s + a**2 * (s + 1)) % size


class Dictionaries:
    """What the tables of every node hold: for each hop, node -> {slot: (key, event)}.

    own: hop-2 slots keep the key's own event, not the one that brought it.
    """

    def __init__(self, sizes, alpha: float, seed: int, rule: str, own: bool = False):
        self.sizes, self.alpha, self.seed, self.rule, self.own = sizes, alpha, seed, rule, own
        self.tables: list[dict] = [{} for _ in sizes]
        self.written: dict[tuple[int, int, int], int] = {}  # (hop, node, slot) -> event that wrote it, of the last batch
        self.evicted = 0

    def take_in(self, src, dst, events) -> None:
        """Write a batch by the letter of the paper: each write is judged by what the tables held before the batch."""
        self.written = {}
        before = [{node: dict(slots) for node, slots in table.items()} for table in self.tables]
        for u, v, event in zip(src.tolist(), dst.tolist(), events.tolist()):
            for side, (own, other) in enumerate(((u, v), (v, u))):
                self._write(before, 0, own, own, event, side)
                if len(self.sizes) > 1:
                    self._write(before, 1, own, other, event, side)
                if len(self.sizes) > 2:
                    for slot, (key, met) in sorted(before[1].get(other, {}).items()):
                        self._write(before, 2, own, key, event, side * self.sizes[1] + slot, met if self.own else None)

    def _write(self, before, hop: int, node: int, key: int, event: int, position: int, kept: int | None = None) -> None:
        size = self.sizes[hop]
        slot = slot_of(key, size, self.seed) if self.rule == "paper" else int(slots_of(np.array([key]), size, self.seed, self.rule)[0])
        held = before[hop].get(node, {}).get(slot)
        if held is not None and held[0] != key:
            place = (event * (LARGEST_HOP + 1) + hop) * (4 * max(self.sizes)) + position
            if splitmix.uniform(self.seed, np.array([place]))[0] >= self.alpha:
                return
            self.evicted += 1
        self.tables[hop].setdefault(node, {})[slot] = (key, event if kept is None else kept)
        self.written[hop, node, slot] = event

    def differences(self, memory) -> int:
        """How many slots of the learner's ``memory`` hold another key or event than these."""
        wrong = 0
        for hop, (table, size) in enumerate(zip(self.tables, self.sizes)):
            keys, events = memory[f"key{hop}"].numpy(), memory[f"event{hop}"].numpy()
            for node in range(len(keys)):
                own = table.get(node, {})
                wrong += sum((int(keys[node, s]), int(events[node, s])) != own.get(s, (-1, -1)) for s in range(size))
        return wrong


def random_stream(num_nodes: int, count: int, seed: int, split: str = "chrono-0.7/0.15/0.15") -> GraphDataset:
    """A data set of ``count`` events between random nodes, many at the same time, a few of a node with itself."""
    from graphkit.datasets.base import GraphDataset
    from graphkit.datasets.events import finish_events, in_order, static_graph

    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, num_nodes, (2, count))
    events = in_order(src, dst, np.sort(rng.integers(0, count // 2, count)).astype(np.float64))
    return finish_events(GraphDataset("random stream", static_graph(events, num_nodes), events=events), split, None, seed)


def tables(dataset: GraphDataset) -> dict[str, float]:
    """Stream random events among as many nodes as the data set has through NAT's tables and through dictionaries.

    Return "wrong_slots" over all batches for alpha 0, 0.5 and 1, "evicted_at_0", and "code_of_a_common_neighbour", 2 + 16.
    """
    from graphkit.methods.temporal.nat import NAT

    stream = random_stream(dataset.num_nodes, EVENTS, 0)
    wrong, evicted = 0, {}
    for alpha in (0.0, 0.5, 1.0):
        learner = NAT(cache=(8, 4), alpha=alpha, self_dim=4, batch_size=BATCH)
        learner.prepare(stream, seed=1, device="cpu")
        plain = Dictionaries(learner.sizes, alpha, 1, "paper")
        for start in range(0, EVENTS, BATCH):
            numbers = np.arange(start, min(start + BATCH, EVENTS))
            src, dst = stream.events.src[numbers], stream.events.dst[numbers]
            learner.score_batch(numbers, dst)
            plain.take_in(src, dst, numbers)
            wrong += plain.differences(learner.memory)
        evicted[alpha] = plain.evicted
    bits: numpy.ndarray = np.array([1, 2, 4, 8, 16, 32])
    _, code, _ = join_keys(np.array([[0, 7, -1, 1, 7, -1]]), bits)  # node 7 is a neighbour of both 0 and 1
    return {"wrong_slots": float(wrong), "evicted_at_0": float(evicted[0.0]), "code_of_a_common_neighbour": float(code.max())}
