"""The plain graph neural networks that every comparison needs, for nodes and for graphs, on whole graphs and sampled
blocks.
"""

from __future__ import annotations

import math

import torch
from dgl import ops
from torch import nn
from torch.nn import functional

from graphkit.nn.heads import pool
from graphkit.nn.inputs import Dims, EdgeInput, NodeInput
from graphkit.nn.local_layers import GAT, GCN, GIN, SAGE, GatedGCN, activation, normed, targets_of
from graphkit.nn.symmetric import spread

CONVS = ("mlp", "gcn", "sage", "gat", "gin", "gatedgcn", "gcnii")
# These add vectors of one width and so need the input brought to it first.
SAME_WIDTH = ("gatedgcn", "gcnii")


class Linear(nn.Linear):
    """A linear layer in the place of a convolution: it sees neither neighbours nor edges."""

    own_residual = False

    def forward(self, graph, h, e):
        """Return the new vectors of the destination nodes."""
        return super().forward(targets_of(graph, h)), e


class GCNII(nn.Module):
    """h' = ((1 - a) P h + a h0) ((1 - b) I + b W), P the symmetric normalised adjacency, b = log(lamda / layer + 1).

    Reference: Chen et al., Simple and Deep Graph Convolutional Networks, ICML 2020, equation 5.
    """

    own_residual = False

    def __init__(self, dim: int, layer: int, *, alpha: float, lamda: float):
        super().__init__()
        self.alpha, self.beta = alpha, math.log(lamda / layer + 1)
        self.weight = nn.Parameter(torch.empty(dim, dim))
        nn.init.uniform_(self.weight, -1 / math.sqrt(dim), 1 / math.sqrt(dim))
        self.first: torch.Tensor | None = None

    def forward(self, graph, h, e):
        """Return the new node vectors; ``first`` holds h0."""
        mixed = (1 - self.alpha) * spread(graph, h) + self.alpha * self.first
        return (1 - self.beta) * mixed + self.beta * mixed @ self.weight, e


class FeedForward(nn.Sequential):
    """Two linear layers with GELU and dropout, as in the residual blocks of Platonov et al."""

    def __init__(self, in_dim: int, dim: int, dropout: float):
        drop = nn.Dropout(dropout)
        super().__init__(nn.Linear(in_dim, dim), drop, nn.GELU(), nn.Linear(dim, dim), drop)


class Block(nn.Module):
    """A convolution with what stands around it.

    plain: convolution, norm, activation, dropout. residual: h + FeedForward(convolution(LayerNorm(h))), with [h, mean
    of the neighbours] as the convolution of sage, as in Platonov et al., ICLR 2023.
    """

    def __init__(self, conv: nn.Module, config, in_dim: int, out_dim: int, *, bare: bool = False, act: bool = True):
        super().__init__()
        self.conv, self.residual = conv, config.stack == "residual"
        # A convolution with a residual of its own has norm, activation and dropout inside.
        self.bare = bare or getattr(conv, "own_residual", False)
        if self.residual:
            self.norm: nn.Module = nn.LayerNorm(in_dim)
            self.feed_forward = FeedForward(out_dim, in_dim, config.dropout)
        else:
            kinds = {
                "none": nn.Identity,
                "batch": lambda: nn.BatchNorm1d(out_dim),
                "layer": lambda: nn.LayerNorm(out_dim),
            }
            self.norm = nn.Identity() if self.bare else kinds[config.norm]()
            self.act = activation(config.act) if act and not self.bare else nn.Identity()
            self.dropout = nn.Identity() if self.bare else nn.Dropout(config.dropout)

    def forward(self, graph, h, e):
        """Return the new node and edge vectors."""
        if self.residual:
            out, e = self.conv(graph, self.norm(h), e)
            return targets_of(graph, h) + self.feed_forward(out), e
        out, e = self.conv(graph, h, e)
        return self.dropout(self.act(normed(self.norm, out))), e


class MeanConcat(nn.Module):
    """[h_i, mean_j h_j]: GraphSAGE's input to the feed-forward part of a residual block."""

    own_residual = False

    def forward(self, graph, h, e):
        """Return (n, 2 d) vectors."""
        mean = ops.copy_u_mean(graph, h)
        return torch.cat([targets_of(graph, h), mean], dim=1), e


class LabelGNN(nn.Module):
    """Input layer, blocks, and a linear layer on nodes, on pooled nodes, or on the pools of every layer
    (``readout="sum"``, GIN).

    config: the options of :class:`graphkit.methods.node.gnn.config.GNNConfig`. dims: sizes of the data.
    """

    def __init__(self, config, dims: Dims):
        super().__init__()
        self.config, self.task, width = config, dims.task, config.hidden_dim
        project = config.input_linear or config.stack == "residual" or config.conv in SAME_WIDTH or dims.in_dim == 0
        edges = config.conv == "gatedgcn" or (config.conv == "gin" and config.edge_features)
        project = project or bool(dims.node_tables) or edges
        self.input = NodeInput(dims, width) if project else None
        # Each layer of GIN has an edge encoder of its own, as in OGB's; GatedGCN carries edge vectors along.
        count = config.num_layers if config.conv == "gin" else 1
        self.edge_inputs = nn.ModuleList(EdgeInput(dims, width) for _ in range(count)) if edges else None
        # A node task without a readout ends in a convolution to the logits, as Kipf and Welling's GCN does.
        self.ends_in_conv = dims.task == "node" and not project and config.readout == "last"
        widths = [width if project else dims.in_dim] + [width] * config.num_layers
        if self.ends_in_conv:
            widths[-1] = dims.out_dim
        self.layers = nn.ModuleList(self._block(number, a, b) for number, (a, b) in enumerate(zip(widths, widths[1:])))
        self.final_norm = nn.LayerNorm(width) if config.stack == "residual" else nn.Identity()
        read = widths if config.readout == "sum" else widths[-1:]
        self.heads = None if self.ends_in_conv else nn.ModuleList(nn.Linear(part, dims.out_dim) for part in read)

    def _block(self, number: int, in_dim: int, out_dim: int) -> Block:
        config, last = self.config, number == self.config.num_layers - 1
        makers = {
            "mlp": lambda: Linear(in_dim, out_dim),
            "gcn": lambda: GCN(in_dim, out_dim),
            "sage": lambda: SAGE(in_dim, out_dim),
            "gat": lambda: self._attention(in_dim, out_dim, last),
            "gin": lambda: GIN(
                in_dim,
                out_dim,
                edges=self.edge_inputs is not None,
                act=config.act,
                learn_eps=config.learn_eps,
                mlp_dim=config.mlp_factor * config.hidden_dim,
                norm=config.norm == "batch",
            ),
            "gatedgcn": lambda: GatedGCN(in_dim, dropout=config.dropout, act=config.act),
            "gcnii": lambda: GCNII(in_dim, number + 1, alpha=config.alpha, lamda=config.lamda),
        }
        if config.stack == "residual" and config.conv == "sage":
            return Block(MeanConcat(), config, in_dim, 2 * in_dim)
        bare, act = last and self.ends_in_conv, config.last_act or not last
        return Block(makers[config.conv](), config, in_dim, out_dim, bare=bare, act=act)

    def _attention(self, in_dim: int, out_dim: int, last: bool) -> GAT:
        config, end = self.config, last and self.ends_in_conv
        heads = config.out_heads if end else config.heads
        return GAT(in_dim, heads=heads, out_dim=out_dim, dropout=config.attn_dropout, average=end)

    def forward(self, graph, x: torch.Tensor | None, e) -> torch.Tensor:
        """Return (destination nodes, out_dim) logits, or (G, out_dim) for a graph task. graph: DGLGraph or a block per
        layer.
        """
        count = len(self.layers)
        blocks = graph if isinstance(graph, list) else [graph] * count
        features = e if isinstance(e, list) else [e] * count
        h = self._first(x, graph)
        first, kept, edges = h, [h], None
        for number, (layer, block) in enumerate(zip(self.layers, blocks)):
            if self.edge_inputs is not None and (edges is None or len(self.edge_inputs) > 1 or isinstance(graph, list)):
                edges = self.edge_inputs[min(number, len(self.edge_inputs) - 1)](features[number], block)
            if isinstance(layer.conv, GCNII):
                layer.conv.first = targets_of(block, first)
            h, edges = layer(block, h, edges)
            kept.append(h)
        if self.heads is None:
            return h
        return self._read_out(graph, h, kept)

    def _first(self, x, graph) -> torch.Tensor:
        config = self.config
        if self.input is None or config.conv == "gcnii":
            x = (
                x
                if x is None or not x.is_floating_point()
                else functional.dropout(x, config.dropout, training=self.training)
            )
        h = x if self.input is None else self.input(x, graph)
        if config.conv == "gcnii" or (config.input_linear and config.stack == "plain"):
            h = functional.dropout(functional.relu(h), config.dropout, training=self.training)
        return h

    def _read_out(self, graph, h, kept) -> torch.Tensor:
        config = self.config
        if config.readout == "sum":
            if isinstance(graph, list):  # destinations of later blocks come first in those of earlier ones
                kept = [part[: len(h)] for part in kept]
            parts = kept if self.task == "node" else [pool(graph, part, config.pool) for part in kept]
            logits = [head(part) for head, part in zip(self.heads, parts)]
            return sum(functional.dropout(part, config.head_dropout, training=self.training) for part in logits)
        h = self.final_norm(h)
        if self.task == "graph":
            h = pool(graph, h, config.pool)
        return self.heads[0](h)
