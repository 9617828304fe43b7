"""Link scores without training: common neighbours and their weightings, degrees, Katz paths, personalised PageRank."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch

from graphkit.evaluation.pairs import in_chunks, score_split
from graphkit.kernels.neighbour_sets import common_weight
from graphkit.methods.link.heuristics.config import HeuristicConfig
from graphkit.nn.adjacency import EdgeIndex
from graphkit.training.learner import LinkLearner


class Heuristic(LinkLearner):
    """Scores of node pairs from the graph alone, all of them symmetric; multiple edges, directions and weights are
    ignored.

    With N the neighbours of a node and C = N(i) & N(j): ``cn`` |C|; ``aa`` sum over u in C of 1 / log |N(u)|; ``ra``
    the same of 1 / |N(u)|; ``jaccard`` |C| / |N(i) | N(j)|; ``pa`` |N(i)| |N(j)|; ``katz`` sum over l <= max_length of
    beta^l (A^l)_ij; ``ppr`` pi_i(j) + pi_j(i), pi_i = teleport sum over l of (1 - teleport)^l (A D^-1)^l e_i, a walk at
    a node without neighbours staying there.

    Neighbourhood scores take O(|N(i)| + |N(j)|) per pair; katz and ppr O(m) per distinct node of the pairs and step,
    and O(n block) memory. References: Adamic, Adar 2003; Zhou, Lü, Zhang 2009; Katz 1953; Page et al. 1999;
    Liben-Nowell, Kleinberg 2007.
    """

    Config = HeuristicConfig
    config: HeuristicConfig

    def prepare(self, dataset, *, seed: int, device: str) -> None:
        """Index the training graph; there is nothing to learn."""
        self.dataset, self.device, self.optimizers = dataset, device, []
        self.graph = self.test_graph = EdgeIndex.from_graph(dataset.graph).adjacency()
        if self.config.val_edges_at_test:
            self.test_graph = EdgeIndex.from_graph(dataset.graph, extra=dataset.split.valid.pos).adjacency()

    def predict(self, split: str) -> dict[str, torch.Tensor]:
        """Score the positives and negatives of a split."""
        graph = self.test_graph if split == "test" else self.graph
        return score_split(getattr(self.dataset.split, split), lambda pairs: self._score(graph, pairs), 1 << 20)

    def score_pairs(self, pairs: torch.Tensor) -> torch.Tensor:
        """Return (P,) float64 scores of (P, 2) pairs on the training graph."""
        return in_chunks(lambda part: self._score(self.graph, part), pairs, 1 << 20)

    def _score(self, graph, pairs: torch.Tensor) -> torch.Tensor:
        pairs, kind = pairs.numpy(), self.config.score
        degree = np.diff(graph.index.indptr).astype(np.float64)
        if kind in ("katz", "ppr"):
            return torch.from_numpy(self._path_scores(graph, degree, pairs))
        if kind == "pa":
            return torch.from_numpy(degree[pairs[:, 0]] * degree[pairs[:, 1]])
        # A common neighbour of two different nodes has degree 2 or more, except in a pair of a node with itself.
        weight = {"aa": 1 / np.log(np.maximum(degree, 2)), "ra": 1 / np.maximum(degree, 1)}.get(
            kind, np.ones_like(degree)
        )
        found = common_weight(graph.rows(), pairs, weight)
        if kind == "jaccard":
            union = degree[pairs[:, 0]] + degree[pairs[:, 1]] - found
            found = found / np.maximum(union, 1)
        return torch.from_numpy(found)

    def _path_scores(self, graph, degree, pairs: np.ndarray) -> np.ndarray:
        matrix = graph.to_scipy()
        if self.config.score == "katz":
            # The count of paths is symmetric, so only the end that has fewer distinct nodes is a source.
            side = int(len(np.unique(pairs[:, 0])) > len(np.unique(pairs[:, 1])))
            return self._from_sources(lambda block: self._katz(matrix, block), pairs[:, side], pairs[:, 1 - side])
        walk = _walk_matrix(matrix, degree)
        scores = [
            self._from_sources(lambda block: self._ppr(walk, block), pairs[:, side], pairs[:, 1 - side])
            for side in (0, 1)
        ]
        return scores[0] + scores[1]

    def _from_sources(self, vectors, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Look up (P,) scores: column k of ``vectors(sources)`` holds those of one source with all nodes."""
        out = np.empty(len(source))
        nodes, place = np.unique(source, return_inverse=True)
        order = np.argsort(place, kind="stable")
        for start in range(0, len(nodes), self.config.block):
            block = nodes[start : start + self.config.block]
            low, high = np.searchsorted(place[order], [start, start + len(block)])
            chosen = order[low:high]
            out[chosen] = vectors(block)[target[chosen], place[chosen] - start]
        return out

    def _katz(self, matrix, sources: np.ndarray) -> np.ndarray:
        step = _unit_columns(matrix.shape[0], sources)
        total = np.zeros_like(step)
        for _ in range(self.config.max_length):
            step = self.config.beta * (matrix @ step)
            total += step
        return total

    def _ppr(self, walk, sources: np.ndarray) -> np.ndarray:
        teleport, step = self.config.teleport, _unit_columns(walk.shape[0], sources)
        total, left = teleport * step, 1 - teleport
        # After l steps the terms not yet summed add up to left per source, since the walk keeps probability.
        while left > self.config.tolerance:
            step = walk @ step
            total += teleport * left * step
            left *= 1 - teleport
        return total


def _unit_columns(size: int, nodes: np.ndarray) -> np.ndarray:
    out = np.zeros((size, len(nodes)))
    out[nodes, np.arange(len(nodes))] = 1.0
    return out


def _walk_matrix(matrix, degree: np.ndarray):
    """A D^-1, with a step onto itself at a node without neighbours."""
    alone = (degree == 0).astype(np.float64)
    return (matrix @ scipy.sparse.diags(1 / np.maximum(degree, 1)) + scipy.sparse.diags(alone)).tocsr()
