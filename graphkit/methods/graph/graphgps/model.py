"""GraphGPS: message passing and attention side by side in every layer."""

from __future__ import annotations

import dgl
import torch
from torch import nn

from graphkit.core.errors import UsageError
from graphkit.methods.graph.graphgps.attention import SelfAttention
from graphkit.methods.graph.graphgps.attention_layout import Layout
from graphkit.nn.encodings.encoders import EdgeGate
from graphkit.nn.encodings.stack import EncodingStack
from graphkit.nn.heads import GraphHead, NodeHead
from graphkit.nn.inputs import Dims, EdgeInput, NodeInput
from graphkit.nn.local_layers import activation, make_local, normed, with_own_loops

GATED = ("gine", "gatedgcn")  # local layers whose messages PEG can weigh


class GPSLayer(nn.Module):
    """One layer: h' = Norm(x + FFN(x)) with x = Norm(h + MPNN(h, e)) + Norm(h + Attn(h)).

    Both branches read the same h. Dropout falls after each branch and in the feed-forward part. GatedGCN carries its
    own residual and dropout, so that its output is normed as it is, and it alone changes e. A branch that is ``none``
    is left out of the sum. Every Norm has weights of its own.

    local: of :data:`graphkit.nn.local_layers.LOCAL` or ``none``; attn: of
        :data:`graphkit.methods.graph.graphgps.attention.KINDS` or ``none``; norm:
    ``batch`` (over all nodes of the batch), ``layer`` or ``none``. peg: gate the local messages by distances. kernel:
    performer's, of :data:`graphkit.methods.graph.graphgps.attention.KERNELS`; head_dim: width of an attention head, 0
    for ``dim / heads``.
    """

    def __init__(
        self,
        dim: int,
        *,
        local: str = "gatedgcn",
        attn: str = "transformer",
        heads: int = 4,
        dropout: float = 0.0,
        attn_dropout: float = 0.0,
        norm: str = "batch",
        act: str = "relu",
        peg: bool = False,
        kernel: str = "softmax",
        head_dim: int = 0,
    ):
        super().__init__()
        make = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "none": lambda dim: nn.Identity()}[norm]
        self.local = None if local == "none" else make_local(local, dim, dropout=dropout, heads=heads, act=act)
        self.attn = None if attn == "none" else SelfAttention(dim, heads, attn, attn_dropout, kernel, head_dim)
        self.gate = EdgeGate(dim, act=act) if peg else None
        self.local_norm = None if self.local is None else make(dim)
        self.attn_norm = None if self.attn is None else make(dim)
        self.dropout = nn.Dropout(dropout)
        self.feed_forward = nn.Sequential(
            nn.Linear(dim, 2 * dim), activation(act), nn.Dropout(dropout), nn.Linear(2 * dim, dim), nn.Dropout(dropout)
        )
        self.out_norm = make(dim)

    def forward(
        self, graph, h: torch.Tensor, e: torch.Tensor | None, layout: Layout, positions: torch.Tensor | None = None
    ):
        """Return the new (n, d) node and (m, d) edge vectors."""
        total, edges = 0, e
        if self.local is not None:
            gate = {} if self.gate is None else {"edge_gate": self.gate(graph, positions)}
            out, edges = self.local(graph, h, e, **gate)
            out = out if self.local.own_residual else h + self.dropout(out)
            total = total + normed(self.local_norm, out)
        if self.attn is not None:
            total = total + normed(self.attn_norm, h + self.dropout(self.attn(graph, h, layout)))
        return normed(self.out_norm, total + self.feed_forward(total)), edges


class GPS(nn.Module):
    """Input and encodings side by side, layers, and a head on nodes or on the pooled nodes of each graph.

    Node vectors start as [input of width d - sum of the encodings' widths; encoding 1; encoding 2; ...]; encodings
    enter there and nowhere else, but for PEG's positions, which gate the local layers. Edge features are brought to the
    width d once.

    config: the options of :class:`graphkit.methods.graph.graphgps.config.GraphGPSConfig`; encodings: its ``pe``,
        parsed. Raises
    :class:`UsageError` for options that do not go together.
    """

    def __init__(self, config, encodings, dims: Dims):
        super().__init__()
        width = config.hidden_dim
        check(config, encodings)
        peg = any(encoding.name == "peg" for encoding in encodings)
        self.encodings = EncodingStack(
            encodings,
            lap=config.lap_encoder,
            lap_layers=config.lap_layers,
            lap_post_layers=config.lap_post_layers,
            raw=config.raw_encoder,
            act=config.act,
            peg_dim=width,
        )
        # gcn's graphs come with self-loops, which are that layer's own: SignNet's sums run without them.
        self.drop_loops = config.local == "gcn" and any(encoding.name.startswith("signnet") for encoding in encodings)
        self.add_loops = config.local == "gat"
        self.node_input = NodeInput(dims, width - self.encodings.dim)
        self.edge_input = EdgeInput(dims, width) if config.local in ("gatedgcn", "gine", "gat", "pna") else None
        self.layers = nn.ModuleList(
            GPSLayer(
                width,
                local=config.local,
                attn=config.attn,
                heads=config.heads,
                dropout=config.dropout,
                attn_dropout=config.attn_dropout,
                norm=config.norm,
                act=config.act,
                peg=peg,
                kernel=config.performer_kernel,
                head_dim=config.performer_head_dim if config.attn == "performer" else 0,
            )
            for _ in range(config.num_layers)
        )
        kind = {"san": "san", "default": "mlp"}[config.head]
        self.head = (
            NodeHead(width, dims.out_dim, layers=config.head_layers, act=config.act)
            if dims.task == "node"
            else GraphHead(width, dims.out_dim, kind=kind, layers=config.head_layers, pool=config.pool, act=config.act)
        )

    def forward(self, graph, x: torch.Tensor | None, e: torch.Tensor | None) -> torch.Tensor:
        """Return (n, out_dim) logits of a node task, (G, out_dim) of a graph task. graph: batched, with its raw
        encodings.
        """
        encodings = self.encodings(dgl.remove_self_loop(graph) if self.drop_loops else graph)
        h = torch.cat([self.node_input(x, graph), encodings], dim=1)
        e = None if self.edge_input is None else self.edge_input(e, graph)
        layout, positions = Layout.of(graph), self.encodings.positions(graph)
        messages, e = with_own_loops(graph, e) if self.add_loops else (graph, e)
        for layer in self.layers:
            h, e = layer(messages, h, e, layout, positions)
        return self.head(graph, h)

    def parts(self) -> dict[str, int]:
        """Number of learned values in each part."""
        groups = {"input": [self.node_input, self.edge_input], "encodings": [self.encodings], "head": [self.head]}
        groups["local"] = [part for layer in self.layers for part in (layer.local, layer.local_norm, layer.gate)]
        groups["attention"] = [part for layer in self.layers for part in (layer.attn, layer.attn_norm)]
        groups["feed-forward"] = [part for layer in self.layers for part in (layer.feed_forward, layer.out_norm)]
        return {
            name: sum(p.numel() for part in group if part is not None for p in part.parameters())
            for name, group in groups.items()
        }


def check(config, encodings) -> None:
    """Raise :class:`UsageError` for options that do not go together, before any encoding is computed."""
    used = sum(encoding.dim for encoding in encodings)
    if used >= config.hidden_dim:
        shown = ",".join(map(str, encodings))
        raise UsageError(
            f"--pe {shown}: takes {used} of --hidden-dim {config.hidden_dim}, expected less, so that features have room"
        )
    if config.local == "none" and config.attn == "none":
        raise UsageError("--local and --attn: found none for both, expected a layer for one of them")
    if config.sampler in ("neighbor", "labor"):
        raise UsageError(
            f"--sampler is {config.sampler}, expected full, cluster, shadow or saint: attention needs a graph"
        )
    free = config.attn == "none" or (config.attn == "performer" and config.performer_head_dim)  # of the width
    if config.hidden_dim % config.heads and (not free or config.local == "gat"):
        raise UsageError(f"--heads is {config.heads}, expected a divisor of --hidden-dim {config.hidden_dim}")
    if any(encoding.name == "peg" for encoding in encodings) and config.local not in GATED:
        raise UsageError(
            f"--pe peg: found --local {config.local}, expected one of {', '.join(GATED)}, whose messages it weighs"
        )
