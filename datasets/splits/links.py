"""Splits of the edges of a graph, with negatives that are no edges."""

from __future__ import annotations

from collections.abc import Sequence

import dgl
import numpy as np

from graphkit.core.errors import DataError
from graphkit.datasets.base import EdgeSet, GraphDataset, LinkSplit
from graphkit.datasets.readers.build import graph_of


def link_metric(links: LinkSplit) -> str:
    """The metric of a split that names none: by the negatives of the test edges, each positive's own or common to
    all.
    """
    if links.test.neg_dst is not None:
        return "mrr"
    # With no more than 100 negatives Hits@100 is 1 whatever the scores are.
    return "hits@100" if links.test.neg is not None and len(links.test.neg) > 100 else "auc"


def split_links(dataset: GraphDataset, fractions: Sequence[float], seed: int, *, heart: bool = False):
    """Draw train, validation and test edges with negatives; return (graph of the training edges, LinkSplit).

    As in NCNC (Wang et al., 2024, appendix): the test part and a pool of the same size are drawn, validation takes its
    share of the pool, the rest of the pool returns to training; negatives are uniform non-edges, as many as test edges
    for validation and for test both. With ``heart`` the validation part is drawn directly and each part has as many
    negatives as positives. Loops and repeated edges are dropped first. Negatives are non-edges of the whole graph, no
    two alike.
    """
    pairs, index = unique_pairs(dataset.graph, dataset.directed)
    count = len(pairs)
    num_test = int(fractions[2] * count)
    pool = num_test if not heart and fractions[1] <= fractions[2] else int(fractions[1] * count)
    num_valid = pool if heart or fractions[1] > fractions[2] else int(pool * fractions[1] / fractions[2])
    num_train = min(count - num_test - num_valid, count)
    if abs(sum(fractions) - 1) > 1e-9:
        num_train = int(fractions[0] * count)
    if min(num_train, num_valid, num_test) < 1:
        raise DataError(
            f"data set {dataset.name!r}: {count} edges are too few for the split "
            f"{'/'.join(map(str, fractions))} (train {num_train}, valid {num_valid}, test {num_test})"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(count)
    test, valid, train = np.split(order[: num_test + num_valid + num_train], [num_test, num_test + num_valid])
    num_valid_neg, num_test_neg = (num_valid, num_test) if heart else (num_test, num_test)
    negatives = non_edges(pairs, dataset.num_nodes, num_valid_neg + num_test_neg, rng, dataset.directed, dataset.name)
    weight = dataset.graph.edata["weight"].numpy()[index] if dataset.weighted else None
    parts = [
        EdgeSet(pos=pairs[rows], neg=neg, weight=None if weight is None else weight[rows])
        for rows, neg in ((np.sort(train), None), (valid, negatives[:num_valid_neg]), (test, negatives[num_valid_neg:]))
    ]
    return train_graph(dataset, parts[0].pos, parts[0].weight), LinkSplit(*parts)


def unique_pairs(graph: dgl.DGLGraph, directed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return ((P, 2) distinct edges without loops, u < v where undirected; (P,) number of the first edge of each)."""
    src, dst = (ids.numpy() for ids in graph.edges(order="eid"))
    keep = np.flatnonzero(src != dst)
    src, dst = src[keep], dst[keep]
    if not directed:
        src, dst = np.minimum(src, dst), np.maximum(src, dst)
    codes, first = np.unique(src * max(graph.num_nodes(), 1) + dst, return_index=True)
    n = max(graph.num_nodes(), 1)
    return np.stack([codes // n, codes % n], 1), keep[first]


def train_graph(dataset: GraphDataset, pairs: np.ndarray, weight: np.ndarray | None = None):
    """The graph of these (P, 2) edges with the node data of the whole graph."""
    graph = graph_of(pairs[:, 0], pairs[:, 1], dataset.num_nodes, directed=dataset.directed, weight=weight, simple=True)
    for key, value in dataset.graph.ndata.items():
        graph.ndata[key] = value
    return graph


def non_edges(pairs, n: int, count: int, rng, directed: bool, name: str) -> np.ndarray:
    """Draw (count, 2) distinct uniform non-edges without loops, u < v where undirected; pairs sorted as codes."""
    possible = n * (n - 1) // (1 if directed else 2) - len(pairs)
    if possible < count:
        raise DataError(f"data set {name!r}: {count} negative pairs are wanted, but only {possible} pairs are no edges")
    taken = np.sort(pairs[:, 0] * n + pairs[:, 1])
    if possible < 4 * count:
        return _choose_non_edges(taken, n, count, rng, directed)
    found = np.empty(0, dtype=np.int64)
    while len(found) < count:
        u, v = rng.integers(n, size=(2, 2 * (count - len(found)) + 16))
        if not directed:
            u, v = np.minimum(u, v), np.maximum(u, v)
        codes = (u * n + v)[u != v]
        codes = np.concatenate([found, codes[~_contains(taken, codes)]])
        _, first = np.unique(codes, return_index=True)
        found = codes[np.sort(first)]
    codes = found[:count]
    return np.stack([codes // n, codes % n], 1)


def _choose_non_edges(taken, n: int, count: int, rng, directed: bool) -> np.ndarray:
    """For graphs so dense that rejection would be slow: list all non-edges (about as many as are wanted)."""
    chosen = [np.empty(0, dtype=np.int64)]
    for u in range(n):
        others = np.arange(0 if directed else u + 1, n, dtype=np.int64)
        codes = u * n + others[others != u]
        chosen.append(codes[~_contains(taken, codes)])
    codes = rng.permutation(np.concatenate(chosen))[:count]
    return np.stack([codes // n, codes % n], 1)


def _contains(taken: np.ndarray, codes: np.ndarray) -> np.ndarray:
    if len(taken) == 0:
        return np.zeros(len(codes), dtype=bool)
    place = np.minimum(np.searchsorted(taken, codes), len(taken) - 1)
    return taken[place] == codes
