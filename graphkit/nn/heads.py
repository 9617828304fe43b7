"""From node vectors to logits, per node or per graph."""

from __future__ import annotations

import dgl
import torch
from torch import nn

from graphkit.nn.local_layers import activation

POOLS = ("mean", "add", "max")


def pool(graph, h: torch.Tensor, how: str) -> torch.Tensor:
    """(G, d) mean, sum or maximum of the (n, d) node vectors of each graph of a batch; 0 for a graph without nodes."""
    out = dgl.ops.segment_reduce(graph.batch_num_nodes().to(h.device), h, reducer={"add": "sum"}.get(how, how))
    return torch.where(torch.isfinite(out), out, torch.zeros_like(out)) if how == "max" else out


class NodeHead(nn.Module):
    """An MLP of ``layers`` linear layers on every node."""

    def __init__(self, dim: int, out_dim: int, *, layers: int = 1, act: str = "relu", dropout: float = 0.0):
        super().__init__()
        hidden = [m for _ in range(layers - 1) for m in (nn.Linear(dim, dim), activation(act), nn.Dropout(dropout))]
        self.layers = nn.Sequential(*hidden, nn.Linear(dim, out_dim))

    def forward(self, graph, h: torch.Tensor) -> torch.Tensor:
        """Return (n, out_dim) logits."""
        return self.layers(h)


class GraphHead(nn.Module):
    """Pooled node vectors through an MLP; ``san`` halves the width twice (d, d/2, d/4, out), ``mlp`` keeps it."""

    def __init__(
        self,
        dim: int,
        out_dim: int,
        *,
        kind: str = "mlp",
        layers: int = 1,
        pool: str = "mean",
        act: str = "relu",
        dropout: float = 0.0,
    ):
        super().__init__()
        self.how = pool
        widths = [dim, max(1, dim // 2), max(1, dim // 4)] if kind == "san" else [dim] * layers
        hidden = [
            m for a, b in zip(widths, widths[1:]) for m in (nn.Linear(a, b), activation(act), nn.Dropout(dropout))
        ]
        self.layers = nn.Sequential(*hidden, nn.Linear(widths[-1], out_dim))

    def forward(self, graph, h: torch.Tensor) -> torch.Tensor:
        """Return (G, out_dim) logits."""
        return self.layers(pool(graph, h, self.how))
