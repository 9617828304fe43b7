"""Graph networks whose first layer sees several views of the node features, each through weights of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union

import numpy as np
import torch
from dgl import ops
from torch import nn
from torch.nn import functional

from graphkit.graph.splitmix import LEVELS, dropout_level
from graphkit.nn.gnn import GCNII
from graphkit.nn.sparse import SparseFeatures
from graphkit.nn.symmetric import degrees, spread

STACKS = ("gcn", "sage", "gat")
ACTIVATIONS = {"relu": nn.ReLU, "elu": lambda: nn.ELU(0.2)}  # the official GAT hands its alpha of .2 to ELU
View = Union[torch.Tensor, SparseFeatures]


def kipf_uniform_(linear: nn.Linear) -> nn.Linear:
    """Draw weight and bias from U(-s, s), s = 1/sqrt(outputs), as the reference GCN does; returns the layer."""
    s = linear.out_features**-0.5
    nn.init.uniform_(linear.weight, -s, s)
    if linear.bias is not None:
        nn.init.uniform_(linear.bias, -s, s)
    return linear


def dropped_linear(linear: nn.Linear, x: View, dropout: float, training: bool) -> torch.Tensor:
    """linear(dropout(x)) of dense features, or of sparse ones without making them dense."""
    rate = dropout if training else 0.0
    if isinstance(x, SparseFeatures):
        return x.linear(linear.weight, linear.bias, rate)
    if x.device.type != "cpu" or not 0 < rate < 1:
        return linear(functional.dropout(x, rate, training=rate > 0))
    kept, share = kept_entries(x.shape, rate)
    return functional.linear(x * kept, linear.weight / share, linear.bias)


def kept_entries(shape: tuple[int, ...], rate: float) -> tuple[torch.Tensor, float]:
    """Return a mask on the CPU of entries that dropout keeps, and their expected share, 1 - rate rounded to 1/65536.

    16 random bits per entry, drawn from a number of torch's generator: torch's own dropout draws a double per entry,
    which on wide features costs more than all else of a step.
    """
    count = 1
    for size in shape:
        count *= size
    bits = np.random.SFC64(int(torch.randint(2**62, ()))).random_raw(-(-count // 4)).view(np.int16)[:count]
    dropped, share = dropout_level(rate)
    return torch.from_numpy(bits).view(shape) >= dropped - LEVELS // 2, share


class ViewConv(nn.Module):
    """Dropout, then one convolution, of dense or sparse features, on a graph or a sampled block.

    ``gcn``: D^-1/2 A D^-1/2 x W + b with the graph's own self-loops. ``sage``: x_i W1 + mean_j x_j W2 + b.
    """

    def __init__(self, kind: str, in_dim: int, out_dim: int):
        super().__init__()
        self.kind = kind
        self.linear = kipf_uniform_(nn.Linear(in_dim, out_dim * (2 if kind == "sage" else 1), bias=False))
        self.bias = nn.Parameter(torch.empty(out_dim).uniform_(-(out_dim**-0.5), out_dim**-0.5))

    def forward(self, graph, x: View, dropout: float) -> torch.Tensor:
        """Return (destinations, out_dim) of (sources, in_dim)."""
        h = dropped_linear(self.linear, x, dropout, self.training)
        if self.kind == "gcn":
            return spread(graph, h) + self.bias
        own, sent = h.chunk(2, dim=1)
        return own[: graph.num_dst_nodes()] + ops.copy_u_mean(graph, sent) + self.bias


class ViewGAT(nn.Module):
    """Dropout, then attention over in-neighbours, of dense or sparse features, on a graph or a sampled block.

    a_ij = softmax_j LeakyReLU(l . W x_j + r . W x_i) per head, h'_i = sum_j a_ij W x_j + b; heads side by side, or
    averaged.
    target: False leaves r out. symmetric: h'_i = d_i^1/2 sum_j a_ij d_j^-1/2 W x_j + b, d_j out-degrees and d_i
        in-degrees.
    residual: adds V x_i, of the features that dropout left, and has no b.

    Reference: Velickovic et al., ICLR 2018; both variations: Wang et al., Bag of Tricks for Node Classification, 2021.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        *,
        heads: int,
        dropout: float = 0.0,
        average: bool = False,
        target: bool = True,
        symmetric: bool = False,
        residual: bool = False,
    ):
        super().__init__()
        self.heads, self.dropout, self.average, self.symmetric, self.residual = (
            heads,
            dropout,
            average,
            symmetric,
            residual,
        )
        # W, and V below it: both see the same dropped features.
        self.linear = nn.Linear(in_dim, heads * out_dim * (2 if residual else 1), bias=False)
        self.to_source = nn.Parameter(torch.empty(1, heads, out_dim))
        self.to_target = nn.Parameter(torch.empty(1, heads, out_dim)) if target else None
        self.bias = None if residual else nn.Parameter(torch.zeros(out_dim if average else heads * out_dim))
        for weight in (*self.linear.weight.split(heads * out_dim), self.to_source, self.to_target):
            if weight is not None:
                nn.init.xavier_normal_(weight, gain=nn.init.calculate_gain("relu"))

    def forward(self, graph, x: View, dropout: float) -> torch.Tensor:
        """Return (destinations, out_dim) of (sources, in_dim)."""
        values = dropped_linear(self.linear, x, dropout, self.training)
        values, own = values.chunk(2, dim=1) if self.residual else (values, None)
        values = values.reshape(x.shape[0], self.heads, -1)
        logits = ops.copy_u(graph, (values * self.to_source).sum(-1))
        if self.to_target is not None:
            logits = ops.e_add_v(graph, logits, (values[: graph.num_dst_nodes()] * self.to_target).sum(-1))
        weight = ops.edge_softmax(graph, functional.leaky_relu(logits, 0.2))
        weight = functional.dropout(weight, self.dropout, training=self.training)
        sources, targets = degrees(graph) if self.symmetric else (None, None)
        if self.symmetric:
            values = values * sources.clamp(min=1).to(values.dtype).rsqrt().view(-1, 1, 1)
        out = ops.u_mul_e_sum(graph, values, weight.unsqueeze(-1))
        if self.symmetric:
            out = out * targets.to(out.dtype).sqrt().view(-1, 1, 1)
        if own is not None:
            out = out + own[: len(out)].reshape(out.shape)
        out = out.mean(1) if self.average else out.flatten(1)
        return out if self.bias is None else out + self.bias


class ViewStack(nn.Module):
    """A GCN, GraphSAGE or GAT whose first layer is a convolution per view, joined by concatenation or, ``join`` sum, by
    a sum.

    h = dropout(act(norm([conv_1(x_1), ..., conv_V(x_V)]))), then ordinary layers of that width, the last to
    ``out_dim``. The sum of the convolutions is one convolution of the concatenated views (gcn, sage); gat concatenates
    the views themselves there.

    views: V. hidden: width per view, for ``gat`` per head. heads, out_heads: of gat; those of the last layer are
        averaged.
    input_dropout: of every view. dropout: between layers. norm: BatchNorm behind all but the last layer. attention:
        further options of
    :class:`ViewGAT`; with ``residual``, whose layers have no bias, one stands behind the last.
    """

    def __init__(
        self,
        kind: str,
        in_dim: int,
        hidden: int,
        out_dim: int,
        *,
        views: int = 1,
        num_layers: int = 2,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        heads: int = 1,
        out_heads: int = 1,
        join: str = "concat",
        norm: bool = False,
        act: str = "relu",
        attention: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.kind, self.join, self.dropout, self.input_dropout = kind, join, dropout, input_dropout
        self.act, wide = ACTIVATIONS[act](), kind == "gat" and join == "sum"
        unit = hidden * (heads if kind == "gat" else 1)
        width = unit * (views if join == "concat" else 1)

        def conv(a: int, b: int, last: bool = False) -> nn.Module:
            if kind != "gat":
                return ViewConv(kind, a, b)
            return ViewGAT(
                a, b if last else b // heads, heads=out_heads if last else heads, average=last, **(attention or {})
            )

        first = [conv(in_dim * views, unit)] if wide else [conv(in_dim, unit) for _ in range(views)]
        self.first = nn.ModuleList(first)
        self.middle = nn.ModuleList(conv(width, width) for _ in range(num_layers - 2))
        self.last = conv(width, out_dim, last=True)
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(num_layers - 1)) if norm else None
        bare = kind == "gat" and (attention or {}).get("residual", False)
        self.last_bias = nn.Parameter(torch.zeros(out_dim)) if bare else None

    def forward(self, graph, views: Sequence[View], e=None) -> torch.Tensor:
        """Return (destinations, out_dim) logits of V views of the (sources, in_dim) features on a graph or a block per
        layer.
        """
        blocks = graph if isinstance(graph, (list, tuple)) else [graph] * (len(self.middle) + 2)
        if self.kind == "gat" and self.join == "sum":
            views = [torch.cat(list(views), dim=1)]
        parts = [conv(blocks[0], x, self.input_dropout) for conv, x in zip(self.first, views)]
        h = self._between(torch.cat(parts, dim=1) if self.join == "concat" else sum(parts), 0)
        for number, (conv, block) in enumerate(zip(self.middle, blocks[1:]), start=1):
            h = self._between(conv(block, h, self.dropout), number)
        out = self.last(blocks[-1], h, self.dropout)
        return out if self.last_bias is None else out + self.last_bias

    def _between(self, h: torch.Tensor, number: int) -> torch.Tensor:
        if self.norms is not None and not (self.training and len(h) < 2):
            h = self.norms[number](h)
        return self.act(h)  # the next layer drops


class ViewGCNII(nn.Module):
    """GCNII on several views: an input layer per view, concatenated (or summed), then the layers of that width.

    H0 = [ReLU(x_1 W_1 + b_1), ...], ``num_layers`` of :class:`graphkit.nn.gnn.GCNII` with ReLU, a last linear layer;
    dropout in front of every layer. Whole graphs and subgraphs only: H0 has no rows for the source nodes of a block.
    """

    def __init__(
        self,
        in_dim: int,
        hidden: int,
        out_dim: int,
        *,
        views: int = 1,
        num_layers: int = 2,
        dropout: float = 0.0,
        alpha: float = 0.1,
        lamda: float = 0.5,
        join: str = "concat",
    ):
        super().__init__()
        width = hidden * (views if join == "concat" else 1)
        self.join, self.dropout = join, dropout
        self.first = nn.ModuleList(nn.Linear(in_dim, hidden) for _ in range(views))
        self.convs = nn.ModuleList(
            GCNII(width, number, alpha=alpha, lamda=lamda) for number in range(1, num_layers + 1)
        )
        self.last = nn.Linear(width, out_dim)

    def forward(self, graph, views: Sequence[View], e=None) -> torch.Tensor:
        """Return (n, out_dim) logits of V views of the (n, in_dim) features."""
        parts = [dropped_linear(linear, x, self.dropout, self.training) for linear, x in zip(self.first, views)]
        start = h = torch.cat([part.relu() for part in parts], dim=1) if self.join == "concat" else sum(parts).relu()
        for conv in self.convs:
            conv.first = start
            h = conv(graph, functional.dropout(h, self.dropout, training=self.training), None)[0].relu()
            conv.first = None
        return self.last(functional.dropout(h, self.dropout, training=self.training))

    def conv_parameters(self) -> list[nn.Parameter]:
        """The weights of the propagating layers, which have a weight decay of their own."""
        return list(self.convs.parameters())
