"""DeepWalk and node2vec: word vectors of random walks, walked by DGL and trained by gensim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphkit.config import Config, option
from graphkit.errors import DataError, MissingExtraError
from graphkit.lazy import dgl, np, torch
from graphkit.methods.base import Embedder

if TYPE_CHECKING:
    import numpy

    from graphkit.datasets.base import GraphDataset


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

    DeepWalk walks with steps in proportion to the edge weights; node2vec weights the next step by 1/p back to the node
    before, 1 to its neighbours, 1/q elsewhere (edge weights do not enter there, DGL's sampler ignores them). Directed
    graphs are walked along their edges; a walk ends early at a node without outgoing ones. Nodes without edges are zero.

    Time O(num_walks * walk_length * window * n * dim), memory O(n dim + n num_walks walk_length).

    References: Perozzi, Al-Rfou, Skiena: DeepWalk, KDD 2014. Grover, Leskovec: node2vec, KDD 2016.
    """

    Config = WalksConfig

    def embed(self, dataset: GraphDataset, *, seed: int = 0, device: str = "cpu") -> numpy.ndarray:
        """Return (n, dim) float32 vectors, computed on the CPU; needs the extra ``deepwalk``.

        Raises :class:`MissingExtraError` without gensim, :class:`DataError` where p or q differ from 1 on a weighted graph.
        """
        try:
            from gensim.models import Word2Vec
        except ImportError:
            raise MissingExtraError("gensim", "deepwalk", "deepwalk and node2vec") from None
        config, graph = self.config, dataset.graph
        result = np.zeros((dataset.num_nodes, config.dim), np.float32)
        walks = self.walks(dataset, seed)
        if not walks:
            return result
        model = Word2Vec(
            walks, vector_size=config.dim, window=config.window, sg=1, hs=int(config.hierarchical), min_count=0, sample=0,
            negative=0 if config.hierarchical else config.negative_samples, workers=config.workers, epochs=config.epochs,
            alpha=config.learning_rate, seed=seed + 1,
        )  # fmt: skip
        result[np.asarray(model.wv.index_to_key, dtype=np.int64)] = model.wv.vectors
        alone = (graph.in_degrees() + graph.out_degrees()) == 0
        result[alone.cpu().numpy()] = 0
        return result

    def walks(self, dataset: GraphDataset, seed: int) -> list[list[int]]:
        """Random walks in random order, each a list of nodes; nodes without outgoing edges start none."""
        config, graph = self.config, dataset.graph.cpu()
        biased = config.p != 1 or config.q != 1
        if biased and dataset.weighted:
            raise DataError(f"{dataset.name}: has edge weights, which node2vec with p or q other than 1 does not take here")
        dgl.seed(seed)
        starts = torch.nonzero(graph.out_degrees()).reshape(-1)
        generator = np.random.default_rng(seed)
        found: list[list[int]] = []
        for _ in range(config.num_walks if len(starts) else 0):
            order = starts[torch.from_numpy(generator.permutation(len(starts)))]
            if biased:
                traces = dgl.sampling.node2vec_random_walk(graph, order, config.p, config.q, config.walk_length - 1)
            else:
                weight = "weight" if dataset.weighted else None
                traces, _ = dgl.sampling.random_walk(graph, order, length=config.walk_length - 1, prob=weight)
            found.extend([node for node in walk if node >= 0] for walk in traces.tolist())
        return found
