"""How alike a GCN's dropout copies read generated features: the score by which LAGNN stops its generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import nn
from torch.nn import functional

from graphkit.methods.node.lagnn.model import dropped_linear, kipf_uniform_
from graphkit.nn.sparse import Structure, product


class DropoutJudge(nn.Module):
    """A two-layer GCN on the training nodes alone, trained on true features, that scores generated ones.

    U(X) = NLL(mean_m p_m, y) - mean_m NLL(p_m, y) over the training nodes, with p_m the softmax of M passes with
    dropout active: at most 0 by Jensen's inequality, and the nearer to 0 the more the passes agree. Only the rows of
    the training nodes enter, so that the nodes within two hops of them suffice (``nodes``); their weights in A = D^-1/2
    (A + I) D^-1/2 are those of the whole graph. A pass is O(edges hidden + nodes F).

    graph: DGLGraph without loops. rows: (T,) training nodes. labels: (T,) int64, -1 where unknown. features: F.
        classes: C.

    Reference: Liu et al.: Local Augmentation for Graph Neural Networks, ICML 2022.
    """

    def __init__(
        self,
        graph,
        rows: np.ndarray,
        labels: torch.Tensor,
        features: int,
        classes: int,
        *,
        hidden: int = 32,
        dropout: float = 0.5,
        lr: float = 0.01,
        weight_decay: float = 5e-4,
        device: str = "cpu",
    ):
        super().__init__()
        self.dropout, self.labels = dropout, labels.to(device)
        adjacency = normalized_adjacency(graph)
        outer = adjacency[rows]
        middle = np.unique(outer.indices)
        inner = adjacency[middle]
        self.nodes = np.unique(inner.indices)
        self.structures, self.weights = zip(
            *(_structure(part, device) for part in (inner[:, self.nodes], outer[:, middle]))
        )
        self.first = kipf_uniform_(nn.Linear(features, hidden, bias=False))
        self.last = kipf_uniform_(nn.Linear(hidden, classes, bias=False))
        s, t = hidden**-0.5, classes**-0.5
        self.biases = nn.ParameterList([torch.empty(hidden).uniform_(-s, s), torch.empty(classes).uniform_(-t, t)])
        self.to(device)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=lr, weight_decay=weight_decay)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(T, C) logits of the training nodes from the (len(nodes), F) features of their neighbourhood."""
        h = dropped_linear(self.first, x, self.dropout, self.training)
        h = torch.relu(product(self.structures[0], self.weights[0], h) + self.biases[0])
        h = self.last(functional.dropout(h, self.dropout, self.training))
        return product(self.structures[1], self.weights[1], h) + self.biases[1]

    def fit(self, x: torch.Tensor, epochs: int) -> None:
        """Train on features of ``nodes``."""
        self.train()
        for _ in range(epochs):
            self.optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(self(x), self.labels, ignore_index=-1).backward()
            self.optimizer.step()

    @torch.no_grad()
    def score(self, x: torch.Tensor, passes: int) -> float:
        """U of features of ``nodes`` over M = ``passes`` passes."""
        self.train()
        return u_score(lambda: self(x).log_softmax(1), self.labels, passes)

    @torch.no_grad()
    def classes(self, x: torch.Tensor) -> torch.Tensor:
        """(T,) most likely classes of the rows from features of ``nodes``, without dropout."""
        self.eval()
        return self(x).argmax(1)

    def state(self) -> dict[str, Any]:
        """Weights and optimiser, for a checkpoint."""
        return {"model": self.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        self.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


def u_score(draw: Callable[[], torch.Tensor], labels: torch.Tensor, passes: int) -> float:
    """NLL of the mean of M predictions less the mean of their NLLs; ``draw`` returns (T, C) log-probabilities of one
    pass.
    """
    total, losses = 0.0, 0.0
    for _ in range(passes):
        logs = draw()
        total = total + logs.exp()
        losses += float(functional.nll_loss(logs, labels, ignore_index=-1))
    mean = (total / passes).clamp(min=1e-30).log()
    return float(functional.nll_loss(mean, labels, ignore_index=-1)) - losses / passes


def normalized_adjacency(graph) -> scipy.sparse.csr_matrix:
    """D^-1/2 (A + I) D^-1/2 of a graph, row i holding what node i receives, float32."""
    src, dst = (ends.cpu().numpy() for ends in graph.edges())
    n = graph.num_nodes()
    other = src != dst
    loops = np.arange(n)
    rows, columns = np.concatenate([dst[other], loops]), np.concatenate([src[other], loops])
    matrix = scipy.sparse.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=(n, n))
    scale = [scipy.sparse.diags(np.asarray(matrix.sum(axis)).ravel() ** -0.5) for axis in (1, 0)]
    return (scale[0] @ matrix @ scale[1]).tocsr().astype(np.float32)


def _structure(matrix: scipy.sparse.csr_matrix, device: str) -> tuple[Structure, torch.Tensor]:
    matrix = matrix.tocsr()
    return Structure.from_numpy(matrix.indptr, matrix.indices, matrix.shape, device), torch.from_numpy(matrix.data).to(
        device
    )
