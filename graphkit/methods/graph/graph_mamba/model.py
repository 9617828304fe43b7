"""Graph Mamba: node vectors from sequences of sampled subgraphs, then scans over the nodes with message passing beside
them.
"""

from __future__ import annotations

from dataclasses import dataclass

import dgl
import torch
from torch import nn
from torch.nn import functional

from graphkit.methods.graph.graph_mamba.walk_tokens import Tokens
from graphkit.nn.encodings.stack import EncodingStack
from graphkit.nn.heads import GraphHead, NodeHead
from graphkit.nn.inputs import Dims, EdgeInput, NodeInput
from graphkit.nn.local_layers import GatedGCN, activation, make_local, normed, targets_of
from graphkit.nn.mamba import MambaLayer

KERNEL = 3  # width of the convolutions along walks


@dataclass(frozen=True)
class Sequences:
    """The nodes of a batch as padded sequences (G, L), one per graph, or per bucket of a graph.

    slot: (n,) place of every node in the sequences laid end to end. lengths: (G,).
    """

    slot: torch.Tensor
    lengths: torch.Tensor

    @classmethod
    def of(
        cls,
        node_counts: torch.Tensor,
        ranks: torch.Tensor,
        noise: torch.Tensor,
        buckets: torch.Tensor | None = None,
        count: int = 1,
    ) -> Sequences:
        """Sort the nodes of each graph by rank, and by noise where ranks are equal.

        node_counts: (graphs,). ranks: (n,), the least comes first. noise: (n,). buckets: (n,) numbers below ``count``:
        those of a graph are sequences of their own.
        """
        node_counts = node_counts.to(ranks.device)
        group = torch.arange(len(node_counts), device=ranks.device).repeat_interleave(node_counts) * count
        group = group if buckets is None else group + buckets
        order = torch.argsort(noise)
        for key in (ranks, group):
            order = order[torch.argsort(key[order], stable=True)]
        lengths = torch.bincount(group, minlength=len(node_counts) * count)
        place = torch.arange(len(order), device=order.device) - (lengths.cumsum(0) - lengths)[group[order]]
        slot = torch.empty_like(order)
        slot[order] = group[order] * int(lengths.max() if len(lengths) else 0) + place
        return cls(slot, lengths)

    def padded(self, h: torch.Tensor) -> torch.Tensor:
        """(G, L, d) of the (n, d) vectors, 0 at pads."""
        rows, longest = len(self.lengths), int(self.lengths.max()) if len(self.lengths) else 0
        return h.new_zeros(rows * longest, h.shape[1]).index_copy(0, self.slot, h).view(rows, longest, h.shape[1])

    def nodes(self, x: torch.Tensor) -> torch.Tensor:
        """(n, d) of (G, L, d)."""
        return x.flatten(0, 1)[self.slot]


class SubgraphEncoder(nn.Module):
    """Tokens -> (B T, d) by message passing on their induced subgraphs: GatedGCN layers, then the mean or sum over the
    nodes.
    """

    def __init__(self, dim: int, layers: int, *, pool: str, dropout: float, act: str):
        super().__init__()
        self.layers, self.pool = nn.ModuleList(GatedGCN(dim, dropout=dropout, act=act) for _ in range(layers)), pool

    def forward(self, h: torch.Tensor, e: torch.Tensor | None, tokens: Tokens) -> torch.Tensor:
        """h: (P, d) vectors of the token's nodes, e: (E, d) of their edges or None."""
        graph = dgl.graph((tokens.src, tokens.dst), num_nodes=len(tokens.row))
        for layer in self.layers:
            h, e = layer(graph, h, e)
        return dgl.ops.segment_reduce(tokens.sizes, h, reducer=self.pool)


class MeanEncoder(nn.Module):
    """Tokens -> (B T, d): the mean or sum of a layer's output on every node, blind to edges."""

    def __init__(self, dim: int, *, pool: str, act: str):
        super().__init__()
        self.layer, self.pool = nn.Sequential(nn.Linear(dim, dim), activation(act)), pool

    def forward(self, h: torch.Tensor, e: torch.Tensor | None, tokens: Tokens) -> torch.Tensor:
        """h: (P, d) vectors of the token's nodes; e is not used."""
        return dgl.ops.segment_reduce(tokens.sizes, self.layer(h), reducer=self.pool)


class WalkEncoder(nn.Module):
    """Tokens -> (B T, d) from their walks (RWF): two convolutions along each walk, then the mean or sum over its steps
    and the walks.

    A step's features: the vector of the node it is at, w bits "is the node of t - 1, ..., t - w" and w bits "is joined
    by an edge to the node of t - 1, ..., t - w". Reference of the features: Toenshoff et al., Walking Out of the
    Weisfeiler Leman Hierarchy, TMLR 2023.
    """

    def __init__(self, dim: int, window: int, *, pool: str, dropout: float, act: str):
        super().__init__()
        self.window, self.pool, self.dropout = window, pool, dropout
        self.convs = nn.ModuleList(
            nn.Conv1d(width, dim, KERNEL, padding=KERNEL // 2) for width in (dim + 2 * window, dim)
        )
        self.act = activation(act)

    def forward(self, h: torch.Tensor, e: torch.Tensor | None, tokens: Tokens) -> torch.Tensor:
        """h: (P, d) vectors of the token's nodes; e is not used."""
        batch, count = tokens.place.shape[:2]
        out = h.new_zeros(batch, count, h.shape[1])
        # Walks of one length at a time: none of them needs padding.
        for steps in sorted(set(tokens.lengths.tolist())):
            chosen = torch.from_numpy((tokens.lengths == steps).nonzero()[0]).to(h.device)
            place = tokens.place[:, chosen, :, : steps + 1]
            x = h[place]
            if self.window:
                x = torch.cat([x, tokens.bits[:, chosen, :, : steps + 1].to(h.dtype)], dim=-1)
            x = x.flatten(0, 2).transpose(1, 2)
            for conv in self.convs:
                x = functional.dropout(self.act(conv(x)), self.dropout, training=self.training)
            x = x.view(*place.shape[:3], -1, steps + 1)
            x = x.mean((2, 4)) if self.pool == "mean" else x.sum((2, 4))
            out = out.index_copy(1, chosen, x)
        return out.flatten(0, 1)


class TokenStage(nn.Module):
    """Tokens of B nodes -> (B, d): local encoding, bidirectional Mamba layers over each node's sequence, read-out.

    The sequence runs from the longest walks to the node itself, so that the last state is nearest the node; ``last``
    reads it out, ``mean`` all positions. With visits, a linear layer joins each node's vector and its share of the
    walks at every step.
    """

    def __init__(self, config, dims: Dims, options: dict, positions: int):
        super().__init__()
        d, common = config.hidden_dim, {"pool": config.token_pool, "act": config.act}
        makers = {
            "gatedgcn": lambda: SubgraphEncoder(d, config.local_layers, dropout=config.dropout, **common),
            "rwf": lambda: WalkEncoder(d, config.walk_window, dropout=config.dropout, **common),
            "mean": lambda: MeanEncoder(d, **common),
        }
        self.encoder = makers[config.local_encoder]()
        see_edges = config.local_encoder == "gatedgcn" and dims.edge_dim > 0
        self.edge_input = EdgeInput(dims, d) if see_edges else None
        differences = config.edge_pe and config.local_encoder == "gatedgcn"
        self.edge_positions = nn.Linear(positions, d, bias=False) if differences else None
        self.visits = nn.Linear(d + config.m + 1, d) if config.visit_counts else None
        self.layers = nn.ModuleList(MambaLayer(d, **options) for _ in range(config.token_layers))
        self.norm, self.readout = nn.LayerNorm(d), config.readout

    def forward(
        self,
        h: torch.Tensor,
        positions: torch.Tensor,
        e: torch.Tensor | None,
        tokens: Tokens,
        order: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return (B, d).

        h, positions: (U, d) vectors and (U, k) encodings of ``tokens.nodes``. e: (E, edge_dim) features of the tokens'
            edges, or None.
        order: (B, T) which token goes to each place, where a control wants another order.
        """
        h = h[tokens.row]
        if self.visits is not None:
            h = self.visits(torch.cat([h, tokens.visits.to(h.dtype)], dim=1))
        e = None if self.edge_input is None else self.edge_input(e, None)
        if self.edge_positions is not None:
            places = positions[tokens.row]
            gap = self.edge_positions((places[tokens.src] - places[tokens.dst]).abs())
            e = gap if e is None else e + gap
        x = self.encoder(h, e, tokens).view(-1, len(tokens.lengths), h.shape[1])
        if order is not None:
            x = x.gather(1, order.unsqueeze(-1).expand_as(x))
        for layer in self.layers:
            x = layer(x)
        return self.norm(x[:, -1] if self.readout == "last" else x.mean(1))


class NodeLayer(nn.Module):
    """H' = Norm(H + BiMamba(H)) + Norm(H + MPNN(H, E)), the nodes as the tokens of one sequence per graph.

    combine ``concat`` puts a linear layer on both side by side in place of the sum. GatedGCN has its residual inside.
    Either part can be left out. feed_forward: H'' = Norm(H' + FFN(H')), as in GPS layers. On a block, the sequence
    holds its source nodes.
    """

    def __init__(self, config, options: dict, *, scan: bool):
        super().__init__()
        d, make = (
            config.hidden_dim,
            {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "none": lambda dim: nn.Identity()}[config.norm],
        )
        self.scan = MambaLayer(d, **options) if scan else None
        self.local = (
            None if config.mpnn == "none" else make_local(config.mpnn, d, dropout=config.dropout, act=config.act)
        )
        self.scan_norm, self.local_norm = (None if part is None else make(d) for part in (self.scan, self.local))
        self.dropout, self.combine = nn.Dropout(config.dropout), None
        if config.combine == "concat" and self.scan is not None and self.local is not None:
            self.combine = nn.Linear(2 * d, d)
        self.feed_forward = None
        if config.feed_forward:
            self.feed_forward = nn.Sequential(
                nn.Linear(d, 2 * d),
                activation(config.act),
                nn.Dropout(config.dropout),
                nn.Linear(2 * d, d),
                nn.Dropout(config.dropout),
            )
            self.out_norm = make(d)

    def forward(self, graph, h: torch.Tensor, e: torch.Tensor | None, sequences: Sequences | None):
        """Return the new vectors of the destination nodes, and those of the edges."""
        parts, mine = [], targets_of(graph, h)
        if self.scan is not None:
            scanned = sequences.nodes(self.scan(sequences.padded(h), sequences.lengths))
            parts.append(normed(self.scan_norm, targets_of(graph, scanned)))
        if self.local is not None:
            out, e = self.local(graph, h, e)
            parts.append(normed(self.local_norm, out if self.local.own_residual else mine + self.dropout(out)))
        h = sum(parts) if self.combine is None else self.combine(torch.cat(parts, dim=1))
        if self.feed_forward is not None:
            h = normed(self.out_norm, h + self.feed_forward(h))
        return h, e


class GraphMamba(nn.Module):
    """Input and encodings, the token stage where m >= 1, node layers, and a head on nodes or pooled nodes.

    config: the options of :class:`graphkit.methods.graph.graph_mamba.config.GraphMambaConfig`; encodings: its ``pe``,
        parsed, without ``walks``.
    """

    def __init__(self, config, encodings, dims: Dims):
        super().__init__()
        self.config, d = config, config.hidden_dim
        options = {
            "dropout": config.dropout,
            "d_state": config.d_state,
            "d_conv": config.d_conv,
            "expand": config.expand,
            "scan": config.scan,
            "discretization": config.discretization,
        }
        self.encodings = EncodingStack(encodings, act=config.act)
        self.node_input = NodeInput(dims, d - self.encodings.dim)
        self.tokens = TokenStage(config, dims, options, self.encodings.dim) if config.m else None
        self.layers = nn.ModuleList(NodeLayer(config, options, scan=scan) for scan in config.scans())
        edges = config.mpnn != "none" and len(self.layers) > 0
        self.edge_input = EdgeInput(dims, d) if edges else None
        self.edge_positions = nn.Linear(self.encodings.dim, d, bias=False) if edges and config.edge_pe else None
        self.head = (
            NodeHead(d, dims.out_dim, layers=config.head_layers, act=config.act)
            if dims.task == "node"
            else GraphHead(d, dims.out_dim, layers=config.head_layers, pool=config.pool, act=config.act)
        )

    def embed(self, graph, x: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the (n, d) first vectors of nodes and the (n, k) part that is their encodings.

        graph: holds the nodes' raw encodings; edges and other nodes do not matter.
        """
        positions = self.encodings(graph)
        return torch.cat([self.node_input(x, graph), positions], dim=1), positions

    def token_vectors(
        self, holder, x, e, tokens: Tokens, order: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the (B, d) vectors of the nodes whose tokens these are, and the (B, k) encodings of the nodes.

        holder, x: graph with the raw encodings of ``tokens.nodes``, and their features. e, order: see
            :class:`TokenStage`.
        """
        h, positions = self.embed(holder, x)
        last = (
            tokens.sizes.cumsum(0)[len(tokens.lengths) - 1 :: len(tokens.lengths)] - 1
        )  # the token of k = 0 is its node alone
        return self.tokens(h, positions, e, tokens, order), positions[tokens.row[last]]

    def forward(
        self,
        graph,
        h: torch.Tensor,
        positions: torch.Tensor,
        e,
        ranks: torch.Tensor,
        noise: torch.Tensor,
        buckets: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return (destination nodes, out_dim) logits, or (G, out_dim) of a graph task.

        graph: DGLGraph, or a list of blocks for the layers. h, positions: (source nodes, d) and (source nodes, k) from
        :meth:`embed` or :meth:`token_vectors`. e: edge features, a list of them for blocks, or None. ranks, noise,
        buckets: (source nodes,), see :meth:`Sequences.of`. The vectors of edges, which gatedgcn changes, start anew in
            every block.
        """
        blocks = graph if isinstance(graph, list) else [graph] * len(self.layers)
        features = e if isinstance(e, list) else [e] * len(self.layers)
        sequences, edges, known = None, None, None
        for layer, block, raw in zip(self.layers, blocks, features):
            if block is not known:
                edges = self._edges(block, raw, positions)
                sequences = self._sequences(block, ranks, noise, buckets)
                known = block
            h, edges = layer(block, h, edges, sequences if layer.scan is not None else None)
        if isinstance(graph, list):
            h = targets_of(graph[-1], h)
        return self.head(graph, h)

    def _sequences(self, block, ranks, noise, buckets) -> Sequences | None:
        if not any(layer.scan is not None for layer in self.layers):
            return None
        n = block.num_src_nodes()
        counts = torch.tensor([n], device=block.device) if block.is_block else block.batch_num_nodes()
        return Sequences.of(counts, ranks[:n], noise[:n], None if buckets is None else buckets[:n], self.config.buckets)

    def _edges(self, block, raw, positions) -> torch.Tensor | None:
        if self.edge_input is None:
            return None
        e = self.edge_input(raw, block)
        if self.edge_positions is None:
            return e
        src, dst = block.edges(order="eid")
        return e + self.edge_positions((positions[src] - positions[dst]).abs())
