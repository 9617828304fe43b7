"""Random walks by DGL, and skip-gram vectors of what meets on them by gensim: the parts of DeepWalk and node2vec."""

from __future__ import annotations

import dgl
import numpy as np
import torch

from graphkit.core.errors import MissingExtraError
from graphkit.core.machine import seed_dgl


def random_walks(
    graph, *, num_walks: int, walk_length: int, seed: int, p: float = 1.0, q: float = 1.0, weight: str | None = None
) -> list[list[int]]:
    """Return walks of ``walk_length`` nodes, ``num_walks`` from every node that has outgoing edges, each round in
    random order.

    A walk ends early at a node without outgoing edges. weight: ``edata`` of numbers of 0 or more in proportion to which
    a step is taken, an edge of weight 0 being none (DGL's sampler aborts, or takes one, where a node has no others);
    not with p or q other than 1, the factors 1/p and 1/q of steps back and away (Grover, Leskovec: node2vec, KDD 2016).
    """
    graph = graph.cpu()
    if weight is not None:
        weights = graph.edata[weight].reshape(-1)
        if not bool(((weights >= 0) & torch.isfinite(weights)).all()):
            raise ValueError("found a weight below 0, expected numbers of 0 or more")
        if bool((weights == 0).any()):
            graph = dgl.edge_subgraph(graph, weights > 0, relabel_nodes=False)
    seed_dgl(seed)
    starts = torch.nonzero(graph.out_degrees()).reshape(-1)
    generator = np.random.default_rng(seed)
    found: list[list[int]] = []
    for _ in range(num_walks if len(starts) else 0):
        order = starts[torch.from_numpy(generator.permutation(len(starts)))]
        if p != 1 or q != 1:
            traces = dgl.sampling.node2vec_random_walk(graph, order, p, q, walk_length - 1)
        else:
            traces, _ = dgl.sampling.random_walk(graph, order, length=walk_length - 1, prob=weight)
        found.extend([node for node in walk if node >= 0] for walk in traces.tolist())
    return found


def require_gensim():
    """Return gensim's Word2Vec; raises :class:`MissingExtraError` without gensim, before any walk is drawn."""
    try:
        from gensim.models import Word2Vec
    except ImportError:
        raise MissingExtraError("gensim", "deepwalk", "deepwalk and node2vec") from None
    return Word2Vec


def skip_gram(
    walks: list[list[int]],
    num_nodes: int,
    dim: int,
    *,
    window: int,
    negative_samples: int,
    epochs: int,
    learning_rate: float,
    seed: int,
    workers: int = 1,
) -> np.ndarray:
    """Return (num_nodes, dim) float32 skip-gram vectors of nodes on walks; nodes on none are zero.

    window: nodes to each side. negative_samples: 0 for hierarchical softmax. With more than one worker results differ
    from run to run. Raises :class:`MissingExtraError` without gensim.
    """
    word2vec = require_gensim()
    result = np.zeros((num_nodes, dim), np.float32)
    if not walks:
        return result
    model = word2vec(
        walks,
        vector_size=dim,
        window=window,
        sg=1,
        hs=int(negative_samples == 0),
        min_count=0,
        sample=0,
        negative=negative_samples,
        workers=workers,
        epochs=epochs,
        alpha=learning_rate,
        seed=seed + 1,
    )
    result[np.asarray(model.wv.index_to_key, dtype=np.int64)] = model.wv.vectors
    return result
