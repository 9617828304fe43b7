"""Edge weights that a method takes for shares: of a node's steps, of its mass, of its degree."""

from __future__ import annotations

import numpy as np

from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset


def shares(dataset: GraphDataset, purpose: str) -> np.ndarray | None:
    """(m,) float64 weights of the stored edges, all of 0 or more, or None where edges have none.

    purpose: what they are for, as a message ends. Raises :class:`DataError` that names the first edge with another
        weight.
    """
    if not dataset.weighted:
        return None
    weights = dataset.graph.edata["weight"].cpu().numpy().astype(np.float64).reshape(-1)
    bad = np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))
    if len(bad):
        ends = [int(end[bad[0]]) for end in dataset.graph.edges(order="eid")]
        first, second = dataset.ids_of(np.array(ends)).tolist()
        found = f"the edge {first} - {second} weighs {weights[bad[0]]:g}"
        raise DataError(f"{dataset.name}: {found}, expected numbers of 0 or more for {purpose}")
    return weights
