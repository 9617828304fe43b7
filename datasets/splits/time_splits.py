"""Link splits by time: links that are known early train, those that come later are held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphkit.core.errors import DataError
from graphkit.datasets.base import EdgeSet, GraphDataset, LinkSplit
from graphkit.datasets.splits.events import quantile
from graphkit.datasets.splits.links import non_edges, train_graph, unique_pairs


def split_links_by_time(dataset: GraphDataset, fractions: Sequence[float], seed: int):
    """Cut the distinct links at quantiles of the time of their first edge; return (graph of the training edges,
    LinkSplit).

    Links up to the first quantile train, those up to the second (of the sum of the first two fractions) validate, the
    rest test, so that equal times stay together. Negatives are uniform non-edges of the whole graph, as many as test
    links for both parts, drawn from the seed; nothing else depends on it. Raises :class:`DataError` where edges have no
    times or a part is left empty.
    """
    if "time" not in dataset.graph.edata:
        raise DataError(
            f"data set {dataset.name!r}: its edges have no times to split by; expected a split such as"
            " random-0.7/0.1/0.2"
        )
    if abs(sum(fractions) - 1) > 1e-9:
        raise DataError(
            f"split time-{'/'.join(map(str, fractions))}: the fractions sum to {sum(fractions):g}, expected 1"
        )
    pairs, first = unique_pairs(dataset.graph, dataset.directed)
    times = dataset.graph.edata["time"].numpy()[first]
    order = np.argsort(times, kind="stable")
    cuts = [quantile(times[order], share) for share in (fractions[0], fractions[0] + fractions[1])]
    part = np.searchsorted(np.array(cuts), times, side="left")
    rows = [order[part[order] == k] for k in range(3)]
    if min(map(len, rows)) == 0:
        found = ", ".join(f"{name} {len(own)}" for name, own in zip(("train", "valid", "test"), rows))
        raise DataError(f"data set {dataset.name!r}: {len(pairs)} links are too few for the split by time ({found})")
    count, rng = len(rows[2]), np.random.default_rng(seed)
    negatives = non_edges(pairs, dataset.num_nodes, 2 * count, rng, dataset.directed, dataset.name)
    parts = [EdgeSet(pos=pairs[own], neg=neg) for own, neg in zip(rows, (None, negatives[:count], negatives[count:]))]
    return train_graph(dataset, parts[0].pos), LinkSplit(*parts)
