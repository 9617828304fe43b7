"""The time that NAT takes for an event, beside what causal anonymous walks take to be drawn (CAW: Wang et al. 2021)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from graphkit.lazy import np, torch

if TYPE_CHECKING:
    import numpy

    from graphkit.datasets.base import GraphDataset

WALKS, STEPS, BATCH, EVENTS = 64, 2, 100, 4000


class WalkSampler:
    """``WALKS`` walks of ``STEPS`` events back in time from a node, each step drawn evenly from the events before the last one's.

    A node of a walk is anonymised as how often the walks of either end of the pair have it at each position.
    """

    def __init__(self, dataset: GraphDataset):
        from graphkit.methods.streams import EventStore
        from graphkit.sampling.past_neighbours import PastNeighbours

        self.store, self.num_nodes = EventStore(dataset.events, "cpu"), dataset.num_nodes
        self.past = PastNeighbours({}, self.store, dataset.num_nodes, WALKS, uniform=True, seed=0)

    def walks(self, nodes: numpy.ndarray, moments: numpy.ndarray) -> numpy.ndarray:
        """Return (R, WALKS, STEPS + 1) nodes; -1 from where a walk has no event to follow."""
        self.past.k = WALKS
        found = [np.repeat(nodes[:, None], WALKS, 1), *self.past.find(nodes, moments)]
        out, event = [found[0], found[1]], found[2]
        self.past.k = 1
        for _ in range(STEPS - 1):
            alive = np.flatnonzero(event.ravel() >= 0)
            other, before = self.past.find(out[-1].ravel()[alive], event.ravel()[alive])
            step, event = np.full((2, event.size), -1)
            step[alive], event[alive] = other[:, 0], before[:, 0]
            out.append(step.reshape(found[0].shape))
            event = event.reshape(found[0].shape)
        return np.stack(out, axis=2)

    def anonymous(self, first: numpy.ndarray, second: numpy.ndarray) -> numpy.ndarray:
        """Return (P, 2 WALKS, STEPS + 1, 2, STEPS + 1): of each node of both ends' walks, its counts by end and position; 0 for none."""
        both = np.concatenate([first, second], axis=1)
        pairs, walks, positions = both.shape
        place = np.arange(pairs)[:, None, None] * self.num_nodes + both
        different, node = np.unique(np.where(both >= 0, place, -1), return_inverse=True)
        side = (np.arange(walks) >= WALKS).astype(np.int64)[None, :, None]
        code = (node.reshape(both.shape) * 2 + side) * positions + np.arange(positions)
        counts = np.bincount(code.ravel(), minlength=len(different) * 2 * positions).reshape(-1, 2, positions)
        if different[0] < 0:
            counts[0] = 0
        return counts[node.reshape(both.shape)]

    def draw(self, numbers: numpy.ndarray, negatives: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Return the anonymous walks of the events' pairs and of their negatives, then take the events in."""
        src, dst = self.store.src[numbers], self.store.dst[numbers]
        drawn = self.walks(np.concatenate([src, dst, negatives]), np.tile(numbers, 3))
        u, v, w = np.split(drawn, 3)
        self.past.take_in(src, dst, numbers)
        return self.anonymous(u, v), self.anonymous(u, w)


def speed(dataset: GraphDataset) -> dict[str, float]:
    """Events per second of the processor over the same stretch: NAT's training, its judging, and the drawing of walks alone."""
    from graphkit.methods.temporal.nat import NAT

    learner, sampler = NAT(batch_size=BATCH, eval_batch_size=BATCH), WalkSampler(dataset)
    torch.manual_seed(0)
    learner.prepare(dataset, seed=0, device="cpu")
    negatives = np.random.default_rng(0).choice(dataset.events.dst, EVENTS)

    def train(numbers, wrong):
        learner.optimizers[0].zero_grad(set_to_none=True)
        learner.loss((numbers, wrong)).backward()
        learner.optimizers[0].step()

    found = {}
    for name, work in (("trained", train), ("judged", learner._judge), ("walks", sampler.draw)):
        learner.on_epoch_start(0)
        for start in range(0, EVENTS, BATCH):
            if start == EVENTS // 4:  # all is compiled, and there is a past
                begun = time.process_time()
            work(np.arange(start, start + BATCH), negatives[start : start + BATCH])
        found[name] = 0.75 * EVENTS / (time.process_time() - begun)
    return found
