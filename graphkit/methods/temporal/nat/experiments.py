"""NAT's tables against dictionaries that are filled event by event, for the claims and the tests."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import torch

from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.events import in_order, static_graph
from graphkit.datasets.splits.events import finish_events
from graphkit.graph import splitmix
from graphkit.methods.temporal.nat.method import NAT
from graphkit.methods.temporal.nat.neighbour_cache import slots_of

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
        self.written: dict[
            tuple[int, int, int], int
        ] = {}  # (hop, node, slot) -> event that wrote it, of the last batch
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
        slot = (
            slot_of(key, size, self.seed)
            if self.rule == "paper"
            else int(slots_of(np.array([key]), size, self.seed, self.rule)[0])
        )
        held = before[hop].get(node, {}).get(slot)
        if held is not None and held[0] != key:
            place = (event * (LARGEST_HOP + 1) + hop) * (4 * max(self.sizes)) + position
            if splitmix.uniform(self.seed, np.array([place]))[0] >= self.alpha:
                return
            self.evicted += 1
        self.tables[hop].setdefault(node, {})[slot] = (key, event if kept is None else kept)
        self.written[hop, node, slot] = event

    def codes(self, u: int, v: int) -> Counter:
        """How often each code comes in the joint neighbourhood of a pair: 2^hop for u, 8 2^hop for v, added up over the
        slots of a key.
        """
        found: dict[int, int] = {}
        for side, node in enumerate((u, v)):
            keys = [(0, node)] + [
                (hop, key) for hop in range(1, len(self.sizes)) for key, _ in self.tables[hop].get(node, {}).values()
            ]
            for hop, key in keys:
                found[key] = found.get(key, 0) + 2 ** (hop + 3 * side)
        return Counter(found.values())

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
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, num_nodes, (2, count))
    events = in_order(src, dst, np.sort(rng.integers(0, count // 2, count)).astype(np.float64))
    return finish_events(
        GraphDataset("random stream", static_graph(events, num_nodes), events=events), split, None, seed
    )


def tables(dataset: GraphDataset) -> dict[str, float]:
    """Stream random events among as many nodes as the data set has through NAT's tables and through dictionaries.

    Return "wrong_slots" over all batches for alpha 0, 0.5 and 1; "evicted_at_0", keys of the tables that gave way to
    others at alpha 0, and "evicted_at_1"; "unreached", slots of a table of 32 that no key of 0..31 reaches, over ten
    seeds; and "wrong_codes", how many of the codes that the pooling sees differ from where the dictionaries have the
    keys.
    """
    stream = random_stream(dataset.num_nodes, EVENTS, 0)
    found = {"wrong_slots": 0.0, "wrong_codes": 0.0}
    for alpha in (0.0, 0.5, 1.0):
        torch.manual_seed(0)
        learner = NAT(cache=(8, 4), alpha=alpha, self_dim=4, batch_size=BATCH)
        learner.prepare(stream, seed=0, device="cpu")
        plain = Dictionaries(learner.sizes, alpha, 0, "paper")
        evicted = 0
        for start in range(0, EVENTS, BATCH):
            numbers = np.arange(start, min(start + BATCH, EVENTS))
            src, dst = stream.events.src[numbers], stream.events.dst[numbers]
            before = {hop: learner.memory[f"key{hop}"].clone() for hop in (1, 2)}
            codes = _codes_seen(learner, numbers, dst)
            found["wrong_codes"] += sum(
                seen != plain.codes(u, v) for seen, u, v in zip(codes, src.tolist(), dst.tolist())
            )
            evicted += sum(
                int(((held >= 0) & (learner.memory[f"key{hop}"] != held)).sum()) for hop, held in before.items()
            )
            plain.take_in(src, dst, numbers)
            found["wrong_slots"] += plain.differences(learner.memory)
        found[f"evicted_at_{alpha:g}"] = float(evicted)
    reached = [len(np.unique(slots_of(np.arange(32), 32, seed, "paper"))) for seed in range(10)]
    return {**found, "unreached": float(sum(32 - count for count in reached))}


def _codes_seen(learner, numbers, dst) -> list[dict[int, int]]:
    """Score a batch, the destinations as negatives; return for each event how often the pooling saw each code."""
    seen = []
    handle = learner.model.pool

    def record(summed, code, row, pairs):
        seen.extend([Counter(code[row == pair].tolist()) for pair in range(len(numbers))])
        return handle(summed, code, row, pairs)

    learner.model.pool = record
    try:
        learner.score_batch(numbers, dst)
    finally:
        del learner.model.pool
    return seen
