"""A stack of DGL's convolutions that runs on a whole graph and on sampled blocks alike."""

from __future__ import annotations

from collections.abc import Callable

import dgl.nn
import torch
from torch import nn
from torch.nn import functional

CONVS = ("gcn", "sage", "gat")


class GraphStack(nn.Module):
    """Layers of GraphConv, SAGEConv (mean) or GATConv with ReLU and dropout between them.

    ``gcn`` and ``gat`` expect a graph with self-loops. conv: one of :data:`CONVS`. in_dim, hidden_dim, out_dim: widths;
    ``heads`` divides the widths that ``gat`` puts out.
    """

    def __init__(
        self, conv: str, in_dim: int, hidden_dim: int, out_dim: int, num_layers: int, dropout: float, heads: int = 4
    ):
        super().__init__()
        widths = [in_dim, *[hidden_dim] * (num_layers - 1), out_dim]
        self.layers = nn.ModuleList(_conv(conv, a, b, heads) for a, b in zip(widths, widths[1:]))
        self.dropout = dropout

    def forward(self, graph, x: torch.Tensor, weigh: Callable | None = None) -> torch.Tensor:
        """Encode (n, in_dim) features on a DGLGraph, or on one block per layer; returns (nodes of the last block,
        out_dim).

        weigh: graph or block -> (edges,) factors of the weights of its messages (``gcn`` and ``sage``); None weighs all
            alike.
        """
        blocks = graph if isinstance(graph, (list, tuple)) else [graph] * len(self.layers)
        for number, (layer, block) in enumerate(zip(self.layers, blocks)):
            x = (layer(block, x) if weigh is None else layer(block, x, edge_weight=weigh(block))).flatten(1)
            if number < len(self.layers) - 1:
                x = functional.dropout(functional.relu(x), self.dropout, training=self.training)
        return x


def _conv(conv: str, in_dim: int, out_dim: int, heads: int) -> nn.Module:
    if conv == "gcn":
        return dgl.nn.GraphConv(in_dim, out_dim, allow_zero_in_degree=True)
    if conv == "sage":
        return dgl.nn.SAGEConv(in_dim, out_dim, "mean")
    return dgl.nn.GATConv(in_dim, out_dim // heads, heads, allow_zero_in_degree=True)


class PairDecoder(nn.Module):
    """Logit of a pair from its vectors: their dot product, or an MLP of their elementwise product."""

    def __init__(self, kind: str, width: int, num_layers: int, dropout: float):
        super().__init__()
        self.layers = None
        if kind == "mlp":
            hidden = [
                m for _ in range(num_layers - 1) for m in (nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout))
            ]
            self.layers = nn.Sequential(*hidden, nn.Linear(width, 1))

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return (P,) logits of two (P, d) tensors."""
        return (left * right).sum(1) if self.layers is None else self.layers(left * right).squeeze(1)
