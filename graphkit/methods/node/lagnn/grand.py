"""GRAND: random propagation of node features, then an MLP."""

from __future__ import annotations

import torch
from torch import nn

from graphkit.methods.node.lagnn.model import dropped_linear
from graphkit.nn.symmetric import spread


class Grand(nn.Module):
    """MLP(1/(K+1) sum_{k=0..K} A^k x), A = D^-1/2 (A + I) D^-1/2, with whole rows of x dropped in training (DropNode).

    DropNode at rate delta zeroes a node's features without rescaling the others; in evaluation x is scaled by 1 -
    delta. The MLP has two layers, dropout in front of each (``input_dropout``, ``dropout``) and BatchNorm there where
    ``norm``. The graph must have self-loops. O(K m F) per pass.

    Reference: Feng et al.: Graph Random Neural Networks for Semi-Supervised Learning on Graphs, NeurIPS 2020.
    """

    def __init__(
        self,
        in_dim: int,
        hidden: int,
        out_dim: int,
        *,
        order: int = 8,
        node_dropout: float = 0.5,
        input_dropout: float = 0.5,
        dropout: float = 0.5,
        norm: bool = False,
    ):
        super().__init__()
        self.order, self.node_dropout, self.input_dropout, self.dropout = order, node_dropout, input_dropout, dropout
        self.first, self.last = nn.Linear(in_dim, hidden), nn.Linear(hidden, out_dim)
        self.norms = nn.ModuleList([nn.BatchNorm1d(in_dim), nn.BatchNorm1d(hidden)]) if norm else None

    def drop_nodes(self, x: torch.Tensor) -> torch.Tensor:
        """x with whole rows zeroed in training, scaled by their expectation in evaluation."""
        if not self.training:
            return x * (1 - self.node_dropout)
        return x * (torch.rand(len(x), 1, device=x.device) >= self.node_dropout)

    def propagate(self, graph, x: torch.Tensor) -> torch.Tensor:
        """Return the (n, F) mean of A^k x over k = 0..K."""
        total = power = x
        for _ in range(self.order):
            power = spread(graph, power)
            total = total + power
        return total / (self.order + 1)

    def forward(self, graph, x: torch.Tensor, e=None) -> torch.Tensor:
        """Return (n, out_dim) logits of the (n, F) features of one view."""
        h = self._normed(self.propagate(graph, self.drop_nodes(x)), 0)
        h = self._normed(dropped_linear(self.first, h, self.input_dropout, self.training).relu(), 1)
        return dropped_linear(self.last, h, self.dropout, self.training)

    def _normed(self, h: torch.Tensor, number: int) -> torch.Tensor:
        # A single row has no variance: it passes as it is.
        return h if self.norms is None or (self.training and len(h) < 2) else self.norms[number](h)
