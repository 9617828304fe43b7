"""The time that NAT takes for an event, beside what causal anonymous walks take to be drawn (CAW: Wang et al. 2021)."""

from __future__ import annotations

import time

import numpy as np
import torch

from graphkit.datasets.base import GraphDataset
from graphkit.methods.temporal.nat.anonymous_walks import count_places, draw_walks
from graphkit.methods.temporal.nat.method import NAT

WALKS, STEPS, BATCH, EVENTS = 64, 2, 100, 4000


class WalkSampler:
    """``WALKS`` walks of ``STEPS`` events back in time from a node, each step drawn evenly from the events before the
    last one's.

    A node of a walk is anonymised as how often the walks of either end of the pair have it at each position.
    """

    def __init__(self, dataset: GraphDataset, seed: int = 0):
        events = dataset.events
        self.src, self.dst = (np.asarray(end, dtype=np.int64) for end in (events.src, events.dst))
        self.state = seed
        ends = np.stack([self.src, self.dst], axis=1)
        # A meeting of a node with itself is one event of its list.
        kept = np.ones(ends.shape, dtype=bool)
        kept[:, 1] = self.src != self.dst
        order = np.argsort(ends[kept], kind="stable")
        self.pool = np.repeat(np.arange(len(ends)), 2).reshape(ends.shape)[kept][order]
        self.count = np.bincount(ends[kept], minlength=dataset.num_nodes)
        self.start = np.cumsum(self.count) - self.count
        self.scratch = np.zeros((dataset.num_nodes, 2, STEPS + 1), dtype=np.int64)

    def walks(self, nodes: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """Return (R, WALKS, STEPS + 1) nodes; -1 from where a walk has no event to follow."""
        out = np.empty((len(nodes), WALKS, STEPS + 1), dtype=np.int64)
        self.state = draw_walks(
            self.pool, self.start, self.count, self.src, self.dst, nodes, moments, np.uint64(self.state), out
        )
        return out

    def anonymous(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (P, 2 WALKS, STEPS + 1, 2, STEPS + 1): of each node of both ends' walks, its counts by end and
        position; 0 for none.
        """
        out = np.empty((len(first), 2 * WALKS, STEPS + 1, 2, STEPS + 1), dtype=np.int64)
        count_places(first, second, self.scratch, out)
        return out

    def draw(self, numbers: np.ndarray, negatives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the anonymous walks of the events' pairs and of their negatives."""
        nodes = np.concatenate([self.src[numbers], self.dst[numbers], negatives])
        u, v, w = np.split(self.walks(nodes, np.tile(numbers, 3)), 3)
        return self.anonymous(u, v), self.anonymous(u, w)


def speed(dataset: GraphDataset) -> dict[str, float]:
    """Events per second of the processor over the same stretch: NAT's training, its judging, and the drawing of walks
    alone.
    """
    learner, sampler = NAT(batch_size=BATCH, eval_batch_size=BATCH), WalkSampler(dataset)
    torch.manual_seed(0)
    learner.prepare(dataset, seed=0, device="cpu")
    negatives = np.random.default_rng(0).choice(dataset.events.dst, EVENTS)

    def train(numbers, wrong):
        learner.optimizers[0].zero_grad(set_to_none=True)
        learner.loss((numbers, wrong)).backward()
        learner.optimizers[0].step()

    found = {}
    work_of = {"trained": train, "judged": learner._judge, "walks": sampler.draw}
    for name, work in work_of.items():
        learner.on_epoch_start(0)
        for start in range(0, EVENTS, BATCH):
            if start == EVENTS // 4:  # all is compiled, and there is a past
                begun = time.process_time()
            work(np.arange(start, start + BATCH), negatives[start : start + BATCH])
        found[name] = 0.75 * EVENTS / (time.process_time() - begun)
    return found
