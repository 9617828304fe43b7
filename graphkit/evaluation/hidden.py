"""node2vec's link protocol: hide edges at random while the graph stays connected."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree

from graphkit.core.errors import DataError
from graphkit.datasets.base import EdgeSet, GraphDataset, LinkSplit
from graphkit.datasets.splits.links import non_edges, train_graph, unique_pairs


def hide_edges(dataset: GraphDataset, fraction: float = 0.5, seed: int = 0) -> GraphDataset:
    """Return the data set as a link task whose training graph lacks ``fraction`` of the edges.

    A random spanning forest always stays, so that no component falls apart and no node loses its last edge. The hidden
    edges and as many uniform non-edges are the test part; there is no validation part. Loops and repeated edges are
    dropped first. Raises :class:`DataError` where fewer edges can go than are asked for.
    """
    pairs, index = unique_pairs(dataset.graph, dataset.directed)
    n, count = dataset.num_nodes, int(fraction * len(pairs))
    rng = np.random.default_rng(seed)
    free = np.flatnonzero(~_in_forest(pairs, n, rng))
    if not 0 < count <= len(free):
        most = len(free) / max(len(pairs), 1)
        found = (
            f"{count} of {len(pairs)} edges to hide" if count <= 0 else f"only {len(free)} of {len(pairs)} edges can go"
        )
        raise DataError(
            f"{dataset.name}: {found}, expected --hide between 0 and {int(most * 1000) / 1000} (is {fraction:g})"
        )
    hidden = rng.choice(free, count, replace=False)
    kept = np.setdiff1d(np.arange(len(pairs)), hidden)
    assert dataset.graph is not None
    weight = dataset.graph.edata["weight"].numpy()[index] if dataset.weighted else None
    kept_weight = None if weight is None else weight[kept]
    negatives = non_edges(pairs, n, count, rng, dataset.directed, dataset.name)
    nothing = np.empty((0, 2), np.int64)
    split = LinkSplit(
        EdgeSet(pos=pairs[kept], weight=kept_weight),
        EdgeSet(pos=nothing, neg=nothing),
        EdgeSet(pos=pairs[hidden], neg=negatives),
    )
    return dataset.renamed(
        graph=train_graph(dataset, pairs[kept], kept_weight),
        task="link",
        split=split,
        split_name=f"connected-{fraction:g}",
        metric="auc",
        seed=seed,
        splitter=lambda other: hide_edges(dataset, fraction, other),
    )


def _in_forest(pairs: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """(P,) bool: the pairs of a random spanning forest, the smallest one under random weights."""
    # Weights are above zero: SciPy takes a zero for the absence of an edge.
    matrix = coo_matrix((1 + rng.random(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n)).tocsr()
    tree = minimum_spanning_tree(matrix).tocoo()
    return np.isin(pairs[:, 0] * n + pairs[:, 1], tree.row.astype(np.int64) * n + tree.col)
