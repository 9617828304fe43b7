"""The message-passing encoder of NCN and NCNC: one pass over the whole graph per batch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from graphkit.nn.adjacency import Adjacency
from graphkit.nn.sparse import SparseFeatures

PURE = ("puregcn", "puresum")


class LinkEncoder(nn.Module):
    """Node vectors h (n, d) from features or node identities.

    ``puregcn`` layers are D^-1/2 (A + I) D^-1/2 x, ``puresum`` layers A x, both without weights; ``gcn`` layers
    multiply by a weight and add a bias. Follows the official encoder: pure layers are bare, with one dropout after the
    last; after each weighted layer but the last comes LayerNorm, dropout, ReLU, and after a single layer too.

    in_dim: width F of the features; None where nodes are known by a category, of which there are ``categories``.
    config: the options of :class:`graphkit.methods.link.ncnc.config.NCNCConfig`.
    """

    def __init__(self, config, in_dim: int | None, categories: int = 0):
        super().__init__()
        self.config = config
        width, depth = config.hidden_dim, config.num_layers
        self.pure = config.conv in PURE
        self.embedding = self.input = None
        if in_dim is None:
            self.embedding = nn.Embedding(categories, width)
            nn.init.orthogonal_(self.embedding.weight)
        elif self.pure or depth == 0:
            self.input = nn.Linear(in_dim, width)
        first = in_dim if in_dim is not None and self.input is None else width
        self.convs, self.blocks = nn.ModuleList(), nn.ModuleList()
        if not self.pure:
            for layer in range(depth):
                self.convs.append(WeightedConv(first if layer == 0 else width, width))
                followed = depth == 1 or layer < depth - 1
                self.blocks.append(_block(width, config) if followed else nn.Identity())
        self.jump = nn.Parameter(torch.randn(depth)) if config.jk and depth else None

    def forward(self, features, adjacency: Adjacency, factors: torch.Tensor | None = None) -> torch.Tensor:
        """Encode (n, F) features, dense or :class:`SparseFeatures`, or (n,) int64 categories.

        factors: (2E + n,) of the adjacency's entries and of its diagonal, see :mod:`graphkit.nn.reweight`.
        """
        config, depth = self.config, self.config.num_layers
        x = self._input(features)
        states = []
        for layer in range(depth):
            out = self._layer(layer, x, adjacency, factors)
            x = out + x if config.res and not isinstance(x, SparseFeatures) and out.shape == x.shape else out
            states.append(x)
        if self.jump is not None:
            return sum(weight * state for weight, state in zip(self.jump, states))
        return x

    def _input(self, features):
        config = self.config
        if self.embedding is not None:
            return self._dropout(self.embedding(features), config.hidden_dropout)
        if self.input is None:
            # The first weighted layer multiplies sparse features itself.
            return features if isinstance(features, SparseFeatures) else self._dropout(features, config.feature_dropout)
        if isinstance(features, SparseFeatures):
            rate = config.feature_dropout if self.training else 0.0
            x = features.linear(self.input.weight, self.input.bias, rate)
        else:
            x = self.input(self._dropout(features, config.feature_dropout))
        return self._dropout(x, config.hidden_dropout)

    def _layer(self, layer: int, x, adjacency: Adjacency, factors: torch.Tensor | None) -> torch.Tensor:
        config = self.config
        values = adjacency.values(config.edge_dropout if self.training else 0.0)
        if not self.pure:
            rate = config.feature_dropout if self.training else 0.0
            return self.blocks[layer](self.convs[layer](x, adjacency, values, rate, factors))
        if config.conv == "puresum":
            x = adjacency.propagate(x, values if factors is None else values * factors[: len(values)])
        else:
            x = adjacency.propagate_normalised(x, values, factors)
        return self._dropout(x, config.propagation_dropout) if layer == config.num_layers - 1 else x

    def _dropout(self, x: torch.Tensor, rate: float) -> torch.Tensor:
        return functional.dropout(x, rate, training=self.training)


class WeightedConv(nn.Module):
    """Graph convolution D^-1/2 (A + I) D^-1/2 x W + b (Kipf and Welling, 2017)."""

    def __init__(self, in_dim: int, out_dim: int):
        super().__init__()
        self.linear = nn.Linear(in_dim, out_dim, bias=False)
        self.bias = nn.Parameter(torch.zeros(out_dim))
        nn.init.xavier_uniform_(self.linear.weight)

    def forward(
        self,
        x,
        adjacency: Adjacency,
        values: torch.Tensor,
        sparse_dropout: float = 0.0,
        factors: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Convolve (n, F) features; ``sparse_dropout`` applies to sparse ones, which arrive without dropout."""
        x = x.linear(self.linear.weight, None, sparse_dropout) if isinstance(x, SparseFeatures) else self.linear(x)
        return adjacency.propagate_normalised(x, values, factors) + self.bias


def _block(width: int, config) -> nn.Sequential:
    norm = nn.LayerNorm(width) if config.layer_norm else nn.Identity()
    return nn.Sequential(norm, nn.Dropout(config.hidden_dropout), nn.ReLU())
