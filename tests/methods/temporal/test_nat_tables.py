"""NAT's tables on any stream: as dictionaries that are filled by the letter of the paper, with slots by the printed
formula.
"""

from random import Random

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graphkit.datasets.base import EventSplit, GraphDataset
from graphkit.datasets.readers.events import in_order, static_graph
from graphkit.methods.temporal.nat.experiments import Dictionaries
from graphkit.methods.temporal.nat.method import NAT
from graphkit.methods.temporal.nat.neighbour_cache import slots_of

NODES, SIZES = 7, (3, 2)  # a few slots for seven keys: most writes meet another key
SMALL = {"self_dim": 3, "slot_dim": 2, "pos_dim": 2}
# A gap of 0 is an event at the same time as the one before it.
STREAMS = st.lists(
    st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1), st.integers(0, 2)), min_size=2, max_size=40
)


def stream_of(rows):
    src, dst, gaps = (np.array(column, dtype=np.int64) for column in zip(*rows))
    events = in_order(src, dst, np.cumsum(gaps).astype(np.float64))
    parts = np.array_split(np.arange(len(rows)), 3)
    split = EventSplit(
        *parts,
        *(events.dst[part] for part in parts[1:]),
        masked=np.empty(0, dtype=np.int64),
        before=int(parts[2][0]) if len(parts[2]) else len(rows),
    )
    return GraphDataset("stream", static_graph(events, NODES), events=events, split=split, task="events")


@settings(max_examples=150)
@given(
    STREAMS,
    st.integers(1, 7),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from(["paper", "mix"]),
    st.integers(0, 2),
    st.sampled_from([0, 1, 100, 237]),
)
@example(
    [(0, 1, 0), (0, 1, 0), (1, 0, 0), (2, 2, 0), (2, 2, 1), (0, 2, 0)], 3, 1.0, "paper", 2, 100
)  # repeats, loops, all at once
def test_tables_are_those_of_dictionaries_on_any_stream(rows, batch, alpha, rule, hops, seed):
    stream = stream_of(rows)
    learner = NAT(
        **SMALL, cache=SIZES, hops=hops, alpha=alpha, cache_hash=rule, batch_size=batch, eval_batch_size=batch
    )
    torch.manual_seed(0)
    learner.prepare(stream, seed=seed, device="cpu")
    learner.model.eval()
    plain = Dictionaries((1, *SIZES[:hops]), alpha, seed, rule)
    for start in range(0, len(rows), batch):
        numbers = np.arange(start, min(start + batch, len(rows)))
        positive, negative = learner.score_batch(numbers, stream.events.dst[numbers])
        torch.testing.assert_close(positive, negative)  # the negative is the destination: one pair, one score
        plain.take_in(stream.events.src[numbers], stream.events.dst[numbers], numbers)
        assert plain.differences(learner.memory) == 0
    seen = {node for u, v, _ in rows for node in (u, v)}
    for node in range(NODES):
        assert (int(learner.memory["key0"][node, 0]) == node) == (
            node in seen
        )  # stored; read as its own neighbour in any case
        last = max((k for k, (u, v, _) in enumerate(rows) if node in (u, v)), default=-1)
        assert int(learner.memory["event"][node]) == last  # events at one time keep the order of the file


@given(st.lists(st.integers(0, 10**6), min_size=1), st.integers(1, 64), st.integers(0, 10**6))
def test_slots_are_the_papers_polynomial_and_mixed_ones_are_in_the_table(keys, size, seed):
    s = (Random(seed).randint(0, 100) | 1) % 100
    assert slots_of(np.array(keys), size, seed, "paper").tolist() == [
        ((a + 1) * s + (a + 1) ** 2 * (s + 1)) % size for a in keys
    ]
    mixed = slots_of(np.array(keys), size, seed, "mix")
    assert mixed.min() >= 0 and mixed.max() < size and (mixed == slots_of(np.array(keys), size, seed, "mix")).all()
