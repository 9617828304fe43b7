"""DeepWalk and node2vec: word vectors of random walks, walked by DGL and trained by gensim."""

from __future__ import annotations

import logging

import numpy

from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.weights import shares
from graphkit.methods.embedding.walks.config import WalksConfig
from graphkit.methods.kinds import Embedder
from graphkit.sampling.skip_gram import random_walks, require_gensim, skip_gram

log = logging.getLogger("graphkit")


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
    config: WalksConfig

    def embed(self, dataset: GraphDataset, *, seed: int = 0, device: str = "cpu") -> numpy.ndarray:
        """Return (n, dim) float32 vectors, computed on the CPU; needs the extra ``deepwalk``.

        Raises :class:`MissingExtraError` without gensim, :class:`DataError` where p or q differ from 1 on a weighted
        graph, and for a weight below 0. Nodes whose edges all weigh 0 are zero, which a line says.
        """
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
