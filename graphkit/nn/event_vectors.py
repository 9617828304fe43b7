"""The network of the learners that score two nodes by their vectors at a time: node memory, neighbourhoods, and the
score of a pair.
"""

from __future__ import annotations

import torch
from torch import nn

from graphkit.nn.node_memory import MemoryUpdate
from graphkit.nn.temporal_attention import Merge, TemporalLayers
from graphkit.nn.time_encoding import TimeEncoding


class TimeProjection(nn.Module):
    """s (1 + w dt): where a node will be dt after its vector last changed (JODIE); dt less its mean, over its standard
    deviation.
    """

    def __init__(self, dim: int, mean: float, deviation: float):
        super().__init__()
        self.mean, self.deviation = mean, deviation
        self.weight = nn.Parameter(torch.randn(dim) / dim**0.5)

    def forward(self, vectors: torch.Tensor, gap: torch.Tensor) -> torch.Tensor:
        """(R, dim) vectors and (R,) float64 gaps to (R, dim)."""
        scaled = ((gap - self.mean) / self.deviation).float()
        return vectors * (1 + scaled[:, None] * self.weight)


class EventVectors(nn.Module):
    """Parts: ``update`` of the node memory or None, ``features`` (to add node features to it) or None, ``layers`` over
    neighbours or None, ``projection`` in time or None, and ``scorer``.

    widths: of the features of events and of nodes.
    """

    def __init__(
        self, config, edge_dim: int, node_dim: int, *, memory: dict | None, embedding: str, gaps: tuple[float, float]
    ):
        super().__init__()
        self.time = TimeEncoding(config.time_dim)
        self.update = self.features = self.layers = self.projection = None
        width = node_dim
        if memory is not None:
            width = config.memory_dim
            self.update = MemoryUpdate(self.time, config.time_dim, width, edge_dim, **memory)
            if node_dim:
                self.features = nn.Linear(node_dim, width, bias=False)
        if embedding in ("attention", "sum"):
            self.layers = TemporalLayers(
                embedding,
                self.time,
                width,
                edge_dim,
                config.time_dim,
                config.hidden_dim,
                layers=config.num_layers,
                heads=config.heads,
                dropout=config.dropout,
            )
            width = config.hidden_dim
        elif embedding == "time":
            self.projection = TimeProjection(width, *gaps)
        self.scorer = Merge(width, width, width, 1)

    def score(self, vectors: torch.Tensor, count: int) -> torch.Tensor:
        """(2, count) logits of sources with destinations and with negatives, from the (3 count, d) vectors of all of
        them in turn.
        """
        first = vectors[:count].repeat(2, 1)
        return self.scorer(first, vectors[count:]).view(2, count)
