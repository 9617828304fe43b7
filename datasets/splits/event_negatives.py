"""Wrong destinations of the events that are judged: random ones, or pairs that met before or will meet (Poursafaei et
al. 2022).

Historical: pairs of training events. Inductive: pairs of the judged part that no training event has. A pair is never
one of the events that are judged with it, which are :data:`STEP` at a time, TGN's batch. Where there are fewer than
that the rest are random destinations of the events' own sources. One seed for each part, the same for every method and
every seed of a run, so that differences are the methods'.
"""

from __future__ import annotations

import logging

import numpy as np

from graphkit.datasets.base import Events
from graphkit.graph.codes import distinct

log = logging.getLogger("graphkit")

SEEDS = {"valid": 0, "test": 2}
STEP = 200


def random_destinations(part: str, pool: np.ndarray, count: int) -> np.ndarray:
    """Draw ``count`` nodes evenly from the ``pool``; one may by chance be the true one."""
    return np.random.default_rng(SEEDS[part]).choice(pool, count)


def pairs(
    events: Events,
    num_nodes: int,
    part: str,
    train: np.ndarray,
    judged: np.ndarray,
    pool: np.ndarray,
    *,
    unseen: bool,
):
    """Return (sources, destinations) of a negative pair for each of the ``judged`` events (P,).

    train: numbers of the training events. pool: destinations for those that find no pair. unseen: pairs of the judged
    part that did not train, else pairs that did. In each step of :data:`STEP` judged events the pairs are different
    ones, drawn evenly.
    """
    rng = np.random.default_rng(SEEDS[part])
    codes = events.src * num_nodes + events.dst
    known = distinct(codes[train])
    found = np.setdiff1d(codes[judged], known) if unseen else known
    sources, destinations, random = events.src[judged].copy(), rng.choice(pool, len(judged)), 0
    for start in range(0, len(judged), STEP):
        own = judged[start : start + STEP]
        left = np.setdiff1d(found, codes[own], assume_unique=False)
        count = min(len(own), len(left))
        drawn = rng.choice(left, count, replace=False) if count else left[:0]
        place = start + rng.permutation(len(own))[:count]
        sources[place], destinations[place] = drawn // num_nodes, drawn % num_nodes
        random += len(own) - count
    if random:
        kind = "inductive" if unseen else "historical"
        log.info("%s: %d of %d negatives are random, as there are too few %s pairs", part, random, len(judged), kind)
    return sources, destinations
