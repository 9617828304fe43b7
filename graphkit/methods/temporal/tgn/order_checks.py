"""What the order of events in time is worth to a learner of events: training on the same events with their times
permuted.
"""

from __future__ import annotations

import numpy as np

from graphkit.core import registry
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.events import in_order
from graphkit.training import fit

SEEDS = 3


def nat(dataset: GraphDataset) -> dict[str, list[float]]:
    """Test AP of NAT after 5 epochs on training events in their order and permuted, as :func:`permuted_times` gives
    them.
    """
    return permuted_times(dataset, "nat", epochs=5)


def tgn(dataset: GraphDataset) -> dict[str, list[float]]:
    """Test AP of TGN after 5 epochs, neighbours known within the batch, as :func:`permuted_times` gives them."""
    return permuted_times(dataset, "tgn", epochs=5, within_batch=True)


def permuted_times(dataset: GraphDataset, method: str, **options) -> dict[str, list[float]]:
    """Test AP of a method trained on the training events as they are, ``ordered``, and with their times permuted,
    ``permuted``.

    One value for each of :data:`SEEDS` seeds, which draw the permutation too. Validation and test are the same for
    both, and so is what is stored of the past before them but for its order.
    """
    events, split = dataset.events, dataset.split
    found: dict[str, list[float]] = {"ordered": [], "permuted": []}
    for seed in range(SEEDS):
        order = np.arange(len(events))
        order[split.train] = np.random.default_rng(seed).permutation(split.train)
        more = {
            key: None if value is None else value[order]
            for key, value in vars(events).items()
            if key in ("weight", "label", "feat")
        }
        shuffled = dataset.renamed(
            events=in_order(events.src[order], events.dst[order], events.time, ticks=events.ticks, **more)
        )
        for name, stream in (("ordered", dataset), ("permuted", shuffled)):
            found[name].append(fit(registry.method(method)(**options), stream, seed=seed).best["ap"]["test"])
    return found
