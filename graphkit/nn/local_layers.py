"""Message-passing layers on a graph or a sampled block, with edge features where the layer sees them.

Every layer is called ``layer(graph, h, e)`` and returns ``(h', e')``. graph: a DGLGraph, or a block whose first source
nodes are its destinations. h: (source nodes, d). e: (edges, d) or None. h': (destination nodes, d).
"""

from __future__ import annotations

import dgl
import dgl.nn
import torch
from dgl import ops
from torch import nn
from torch.nn import functional

from graphkit.nn.symmetric import scales

LOCAL = ("gatedgcn", "gine", "gin", "gcn", "gat", "sage", "pna")
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "elu": nn.ELU, "silu": nn.SiLU}


def activation(name: str) -> nn.Module:
    """Make an activation by name."""
    return ACTIVATIONS[name]()


def targets_of(graph, h: torch.Tensor) -> torch.Tensor:
    """The rows of ``h`` that belong to the destination nodes."""
    return h[: graph.num_dst_nodes()]


def mlp(widths, *, act: str = "relu", norm: bool = False) -> nn.Sequential:
    """Linear layers of the given widths with an activation (after BatchNorm where ``norm``) between them."""
    layers: list[nn.Module] = []
    for number, (a, b) in enumerate(zip(widths, widths[1:])):
        if number:
            layers += [nn.BatchNorm1d(a)] * norm + [activation(act)]
        layers.append(nn.Linear(a, b))
    return nn.Sequential(*layers)


def normed(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return norm(x); BatchNorm cannot take statistics of fewer than two rows: a single node or edge passes as it
    is.
    """
    if isinstance(norm, nn.BatchNorm1d) and norm.training and len(x) < 2:
        return x
    return norm(x) if len(x) else x


class GatedGCN(nn.Module):
    """e'_ij = A1 h_i + A2 h_j + A3 e_ij; h'_i = A4 h_i + sum_j g_ij * A5 h_j / (sum_j g_ij + 1e-6), g = r sigmoid(e').

    Then BatchNorm, activation, dropout and the residual, of nodes and edges alike: nothing around the layer may add
    another.
    r, ``edge_gate``: (m, 1) factors where a positional encoding gives them, else 1. They weigh a message against the
    others: the same factor everywhere changes nothing, but for the 1e-6.

    Reference: Bresson, Laurent, Residual Gated Graph ConvNets, 2017; Dwivedi et al., JMLR 2023.
    """

    own_residual = True

    def __init__(self, dim: int, *, dropout: float = 0.0, act: str = "relu"):
        super().__init__()
        self.target, self.source, self.edge, self.own, self.message = (nn.Linear(dim, dim) for _ in range(5))
        self.node_norm, self.edge_norm = nn.BatchNorm1d(dim), nn.BatchNorm1d(dim)
        self.act, self.dropout = activation(act), dropout

    def forward(self, graph, h, e, edge_gate: torch.Tensor | None = None):
        """Return the new node and edge vectors."""
        mine = targets_of(graph, h)
        logits = ops.u_add_v(graph, self.source(h), self.target(mine))
        if e is not None:
            logits = logits + self.edge(e)
        gate = torch.sigmoid(logits)
        weight = gate if edge_gate is None else gate * edge_gate
        out = self.own(mine) + ops.u_mul_e_sum(graph, self.message(h), weight) / (ops.copy_e_sum(graph, weight) + 1e-6)
        out = mine + self._finish(self.node_norm, out)
        return out, e if e is None else e + self._finish(self.edge_norm, logits)

    def _finish(self, norm, x):
        return functional.dropout(self.act(normed(norm, x)), self.dropout, training=self.training)


class GIN(nn.Module):
    """MLP((1 + eps) h_i + sum_j m_ij) with m_ij = h_j, or relu(h_j + e_ij) where edges have vectors (GINE).

    Reference: Xu et al., ICLR 2019; Hu et al., ICLR 2020. learn_eps: learn eps, else 0. mlp_dim: inner
    width, default ``out_dim``.
    """

    own_residual = False

    def __init__(
        self,
        dim: int,
        out_dim: int | None = None,
        *,
        edges: bool,
        act: str = "relu",
        learn_eps: bool = False,
        mlp_dim: int | None = None,
        norm: bool = False,
    ):
        super().__init__()
        out_dim = out_dim or dim
        self.edges, self.mlp = edges, mlp([dim, mlp_dim or out_dim, out_dim], act=act, norm=norm)
        self.eps = nn.Parameter(torch.zeros(1)) if learn_eps else None

    def forward(self, graph, h, e, edge_gate: torch.Tensor | None = None):
        """Return the new node vectors, and the edges' as they are."""
        if self.edges and e is not None:
            message = functional.relu(ops.u_add_e(graph, h, e))
            total = ops.copy_e_sum(graph, message if edge_gate is None else message * edge_gate)
        else:
            total = ops.copy_u_sum(graph, h)
        mine = targets_of(graph, h)
        return self._apply_mlp((mine if self.eps is None else (1 + self.eps) * mine) + total), e

    def _apply_mlp(self, x):
        for layer in self.mlp:
            x = normed(layer, x) if isinstance(layer, nn.BatchNorm1d) else layer(x)
        return x


class GCN(nn.Module):
    """P h W + b with P = D^-1/2 A D^-1/2 of the graph with its own self-loops, on DGL's GraphConv; edge features are
    not seen.

    On directed graphs the D of the receiving node are in-degrees; those of the sender are out-degrees, as in DGL, or
    with ``in_degrees`` its in-degrees too, as in PyG.

    Reference: Kipf, Welling, Semi-Supervised Classification with Graph Convolutional Networks, ICLR 2017.
    """

    own_residual = False

    def __init__(self, dim: int, out_dim: int | None = None, *, in_degrees: bool = False):
        super().__init__()
        self.in_degrees = in_degrees
        # DGL's own norm would take the degrees of a sampler's piece for those of the graph.
        self.conv = dgl.nn.GraphConv(dim, out_dim or dim, norm="none", bias=False, allow_zero_in_degree=True)
        self.bias = nn.Parameter(torch.zeros(out_dim or dim))

    def forward(self, graph, h, e):
        """Return the new node vectors, and the edges' as they are."""
        source, target = scales(graph, h.dtype, in_degrees=self.in_degrees)
        return self.conv(graph, h * source) * target + self.bias, e


class SAGE(nn.Module):
    """W1 h_i + W2 mean_j h_j, DGL's SAGEConv; edge features are not seen."""

    own_residual = False

    def __init__(self, dim: int, out_dim: int | None = None):
        super().__init__()
        self.conv = dgl.nn.SAGEConv(dim, out_dim or dim, "mean")

    def forward(self, graph, h, e):
        """Return the new node vectors, and the edges' as they are."""
        return self.conv(graph, h), e


class GAT(nn.Module):
    """Attention over in-neighbours, heads of width d/heads side by side; edge vectors enter the logits.

    alpha_ij = softmax_j LeakyReLU(a_l W h_i + a_r W h_j + a_e W_e e_ij), h'_i = sum_j alpha_ij W h_j.
    Reference: Velickovic et al., ICLR 2018. Raises ValueError where ``heads`` does not divide ``out_dim``.
    """

    own_residual = False

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        out_dim: int | None = None,
        edges: bool = False,
        dropout: float = 0.0,
        feature_dropout: float = 0.0,
        average: bool = False,
    ):
        super().__init__()
        out_dim = out_dim or dim
        if out_dim % heads and not average:
            raise ValueError(f"{heads} heads do not divide a width of {out_dim}")
        self.heads, self.width, self.average = heads, out_dim if average else out_dim // heads, average
        self.linear = nn.Linear(dim, heads * self.width, bias=False)
        self.to_target, self.to_source = (nn.Parameter(torch.empty(1, heads, self.width)) for _ in range(2))
        self.edge = nn.Linear(dim, heads, bias=False) if edges else None
        self.bias = nn.Parameter(torch.zeros(out_dim))
        self.dropout, self.feature_dropout = dropout, feature_dropout
        gain = nn.init.calculate_gain("relu")
        for weight in (self.linear.weight, self.to_target, self.to_source):
            nn.init.xavier_normal_(weight, gain=gain)

    def forward(self, graph, h, e):
        """Return the new node vectors, and the edges' as they are."""
        h = functional.dropout(h, self.feature_dropout, training=self.training)
        values = self.linear(h).view(-1, self.heads, self.width)
        source, target = (values * self.to_source).sum(-1), (targets_of(graph, values) * self.to_target).sum(-1)
        logits = ops.u_add_v(graph, source, target)
        if self.edge is not None and e is not None:
            logits = logits + self.edge(e)
        weight = ops.edge_softmax(graph, functional.leaky_relu(logits, 0.2))
        weight = functional.dropout(weight, self.dropout, training=self.training)
        out = ops.u_mul_e_sum(graph, values, weight.unsqueeze(-1))
        return (out.mean(1) if self.average else out.flatten(1)) + self.bias, e


def with_own_loops(graph, e: torch.Tensor | None):
    """Return the graph with one loop at each node in place of those that it has, and the edge vectors with those of the
    loops.

    A loop's vector is the mean of those of its node's other incoming edges, 0 where there are none, as in PyG's
    GATConv. graph: a DGLGraph, batched or not, no block. e: (m, d) or None. The loops come last.
    """
    src, dst = graph.edges(order="eid")
    kept, nodes = src != dst, graph.nodes()
    bare = dgl.graph((src[kept], dst[kept]), num_nodes=len(nodes))
    looped = dgl.graph((torch.cat([src[kept], nodes]), torch.cat([dst[kept], nodes])), num_nodes=len(nodes))
    if e is None:
        return looped, None
    e = e[kept]
    mean = ops.copy_e_mean(bare, e) if len(e) else e.new_zeros(len(nodes), e.shape[1])
    return looped, torch.cat([e, mean])


class PNA(nn.Module):
    """Mean, maximum and sum of the messages Linear([h_i, h_j, e_ij]), without degree scalers, then Linear([h_i,
    aggregates]).

    The reduced form that the GraphGPS code uses. Reference: Corso et al., NeurIPS 2020.
    """

    own_residual = False

    def __init__(self, dim: int, *, edge_dim: int | None = None):
        super().__init__()
        edge_dim = edge_dim or min(128, dim)
        self.from_source, self.from_target = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.shrink, self.from_edge = nn.Linear(dim, edge_dim), nn.Linear(edge_dim, dim)
        self.out = nn.Sequential(nn.Linear(4 * dim, dim), nn.Linear(dim, dim))

    def forward(self, graph, h, e):
        """Return the new node vectors, and the edges' as they are."""
        mine = targets_of(graph, h)
        message = ops.u_add_v(graph, self.from_source(h), self.from_target(mine))
        if e is not None:
            message = message + self.from_edge(self.shrink(e))
        # A node that no message reaches would get an infinite maximum; DGL has none of no messages at all.
        largest = ops.copy_e_max(graph, message) if len(message) else torch.zeros_like(mine)
        largest = torch.where(torch.isfinite(largest), largest, torch.zeros_like(largest))
        parts = [mine, ops.copy_e_mean(graph, message), largest, ops.copy_e_sum(graph, message)]
        return self.out(torch.cat(parts, dim=1)), e


def make_local(kind: str, dim: int, *, dropout: float = 0.0, heads: int = 4, act: str = "relu") -> nn.Module:
    """Make a layer of width ``dim`` by name, one of :data:`LOCAL`, as the hybrid models use it beside attention.

    ``gcn`` and ``gat`` expect a graph with self-loops, see :func:`with_own_loops`.
    """
    makers = {
        "gatedgcn": lambda: GatedGCN(dim, dropout=dropout, act=act),
        "gine": lambda: GIN(dim, edges=True, act=act),
        "gin": lambda: GIN(dim, edges=False, act=act),
        "gcn": lambda: GCN(dim, in_degrees=True),
        "gat": lambda: GAT(dim, heads=heads, edges=True),
        "sage": lambda: SAGE(dim),
        "pna": lambda: PNA(dim),
    }
    return makers[kind]()
