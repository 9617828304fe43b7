"""DeepWalk and node2vec: word vectors of random walks, walked by DGL and trained by gensim."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphkit.config import Config, option
from graphkit.datasets.weights import shares
from graphkit.errors import DataError
from graphkit.methods.base import Embedder

if TYPE_CHECKING:
    import numpy

    from graphkit.datasets.base import GraphDataset

log = logging.getLogger("graphkit")


@dataclass(frozen=True)
class WalksConfig(Config):
    """Options of DeepWalk and node2vec."""

    dim: int = option(128, "length of each vector", min=1)
    num_walks: int = option(80, "walks that start at each node", min=1)
    walk_length: int = option(40, "nodes of a walk", min=2)
    window: int = option(10, "nodes to each side that count as context", min=1)
    p: float = option(1.0, "return parameter: large values keep a walk from going back", min=1e-9)
    q: float = option(1.0, "in-out parameter: large values keep a walk close to where it was", min=1e-9)
    hierarchical: bool = option(True, "hierarchical softmax; otherwise negative sampling")
    negative_samples: int = option(5, "negative samples of each pair", min=1)
    epochs: int = option(1, "passes over the walks", min=1)
    learning_rate: float = option(0.025, "learning rate at the start", min=1e-9)
    workers: int = option(1, "threads of the training; with more than 1 results differ from run to run", min=1)


class Walks(Embedder):
    """Skip-gram vectors in which nodes that meet on random walks are alike.

    DeepWalk walks with steps in proportion to the edge weights, never over an edge that weighs 0;
    node2vec weights the next step by 1/p back to the node
    before, 1 to its neighbours, 1/q elsewhere (edge weights do not enter there, DGL's sampler ignores them). Directed
    graphs are walked along their edges; a walk ends early at a node without outgoing ones. Nodes without edges are
    zero.

    Time O(num_walks * walk_length * window * n * dim), memory O(n dim + n num_walks walk_length).

    References: Perozzi, Al-Rfou, Skiena: DeepWalk, KDD 2014. Grover, Leskovec: node2vec, KDD 2016.
    """

    Config = WalksConfig

    def embed(self, dataset: GraphDataset, *, seed: int = 0, device: str = "cpu") -> numpy.ndarray:
        """Return (n, dim) float32 vectors, computed on the CPU; needs the extra ``deepwalk``.

        Raises :class:`MissingExtraError` without gensim, :class:`DataError` where p or q differ from 1 on a weighted
        graph, and for a weight below 0. Nodes whose edges all weigh 0 are zero, which a line says.
        """
        from graphkit.sampling.skip_gram import require_gensim, skip_gram

        require_gensim()
        config, graph = self.config, dataset.graph
        result = skip_gram(
            self.walks(dataset, seed),
            dataset.num_nodes,
            config.dim,
            window=config.window,
            negative_samples=0 if config.hierarchical else config.negative_samples,
            epochs=config.epochs,
            learning_rate=config.learning_rate,
            seed=seed,
            workers=config.workers,
        )
        alone = (graph.in_degrees() + graph.out_degrees()) == 0
        result[alone.cpu().numpy()] = 0
        if dataset.weighted and (still := int(((result == 0).all(axis=1) & ~alone.cpu().numpy()).sum())):
            log.warning(
                "%s: %d nodes are on no walk, as their edges weigh 0; their vectors are zero", dataset.name, still
            )
        return result

    def walks(self, dataset: GraphDataset, seed: int) -> list[list[int]]:
        """Random walks in random order, each a list of nodes; nodes without outgoing edges start none."""
        from graphkit.sampling.skip_gram import random_walks

        config = self.config
        if (config.p != 1 or config.q != 1) and dataset.weighted:
            raise DataError(
                f"{dataset.name}: has edge weights, which node2vec with p or q other than 1 does not take; expected --p"
                " 1 --q 1, or a graph without weights"
            )
        shares(dataset, "steps of walks")
        return random_walks(
            dataset.graph,
            num_walks=config.num_walks,
            walk_length=config.walk_length,
            seed=seed,
            p=config.p,
            q=config.q,
            weight="weight" if dataset.weighted else None,
        )
