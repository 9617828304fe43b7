"""Vectors of nodes at a time from those whom they met before: temporal attention (TGAT), temporal sum (TGN), and stacks
of either.

A link joins a row, a node at a time t, to a neighbour j met at an event e at t_e <= t. What the row sees of it is
x = [h_j | f_e | phi(t - t_e)]: the neighbour's vector, the event's features, and how long ago it was.
References: Xu et al. 2020 (TGAT), equations 6 to 8; Rossi et al. 2020 (TGN), equations 8 to 11.
"""

from __future__ import annotations

import dgl
import torch
from torch import nn

from graphkit.core.errors import UsageError

BLOCK = 1024  # links at a time in the gradient: the vectors of their rows stay in the cache


class Merge(nn.Module):
    """W1 relu(W0 [a | b] + b0) + b1."""

    def __init__(self, a_dim: int, b_dim: int, hidden_dim: int, out_dim: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(a_dim + b_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, out_dim))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """(R, a_dim) and (R, b_dim) to (R, out_dim)."""
        return self.layers(torch.cat([a, b], 1))


def link_graph(row: torch.Tensor, rows: int):
    """Block of L sources, the links, each with one edge to its row of ``rows``; row: (L,) int64."""
    return dgl.create_block(
        (torch.arange(len(row), device=row.device), row), num_src_nodes=len(row), num_dst_nodes=rows
    )


class _Attend(torch.autograd.Function):
    """(heads, R, |x|) sums of what links see (L, |x|), weighted by the softmax of their products with (heads, R, |x|)
    vectors of the rows.

    stays: (L, heads) factors of the weights, dropout's, or None. Both directions are DGL's kernels on the graph of
    links; the gradient of a link is taken from its only row, for which DGL's own gradient would fill an (L, |x|) array
    for each head and product.
    """

    @staticmethod
    def forward(ctx, inputs, asked, graph, row, stays):
        scores = torch.cat([dgl.ops.u_dot_v(graph, inputs, of_head) for of_head in asked], 1)
        weight = dgl.ops.edge_softmax(graph, scores)
        ctx.graph = graph
        ctx.save_for_backward(inputs, asked, row, weight, stays)
        used = weight if stays is None else weight * stays
        return torch.stack([dgl.ops.u_mul_e_sum(graph, inputs, of_head[:, None]) for of_head in used.unbind(1)])

    @staticmethod
    def backward(ctx, gradient):
        inputs, asked, row, weight, stays = ctx.saved_tensors
        graph, gradient = ctx.graph, gradient.contiguous()
        slope = torch.cat([dgl.ops.u_dot_v(graph, inputs, of_head) for of_head in gradient], 1)
        used = weight if stays is None else weight * stays
        slope = slope if stays is None else slope * stays
        slope = weight * (slope - dgl.ops.copy_e_sum(graph, weight * slope)[row])
        to_asked = torch.stack([dgl.ops.u_mul_e_sum(graph, inputs, of_head[:, None]) for of_head in slope.unbind(1)])
        if not ctx.needs_input_grad[0]:
            return None, to_asked, None, None, None
        factors, of_rows = (
            torch.cat([used, slope], 1)[:, None],
            torch.cat([gradient, asked]).transpose(0, 1).contiguous(),
        )
        to_inputs = torch.empty_like(inputs)
        for start in range(0, len(row), BLOCK):
            part = slice(start, start + BLOCK)
            to_inputs[part] = torch.bmm(factors[part], of_rows[row[part]])[:, 0]
        return to_inputs, to_asked, None, None, None


class TemporalAttention(nn.Module):
    """Attention of a row to its links, heads of width out_dim / heads, then a merge with the row's own vector.

    Row r with q = W_Q [h_r | phi(0)], links with K = W_K x, V = W_V x: a = softmax(q . K / sqrt(width)) over the links
    of r, and h' = FFN([sum a V | h_r]); the sum is 0 for a row without links. The matrices are applied to rows, before
    and after the sum over links, which is the same by linearity; so a link costs O(heads |x|) and not O(out_dim |x|).
    """

    def __init__(self, in_dim: int, edge_dim: int, time_dim: int, out_dim: int, heads: int, dropout: float):
        super().__init__()
        if out_dim % heads:
            raise UsageError(f"--hidden-dim is {out_dim}, expected a multiple of --heads ({heads})")
        self.heads, self.width = heads, out_dim // heads
        self.query = nn.Linear(in_dim + time_dim, out_dim, bias=False)
        self.key = nn.Linear(in_dim + edge_dim + time_dim, out_dim, bias=False)
        self.value = nn.Linear(in_dim + edge_dim + time_dim, out_dim, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.merge = Merge(out_dim, in_dim, out_dim, out_dim)

    def forward(
        self, own: torch.Tensor, present: torch.Tensor, inputs: torch.Tensor, row: torch.Tensor
    ) -> torch.Tensor:
        """(R, out_dim) from own vectors (R, in_dim), phi(0) (1, time_dim), what links see (L, |x|) and their rows
        (L,).
        """
        rows = len(own)
        query = (
            self.query(torch.cat([own, present.expand(rows, -1)], 1)).view(rows, self.heads, self.width)
            / self.width**0.5
        )
        asked = torch.einsum("rhc,hcd->hrd", query, self.key.weight.view(self.heads, self.width, -1))
        graph = link_graph(row, rows)
        stays = self.dropout(torch.ones(len(row), self.heads, device=own.device)) if self.training else None
        summed = _Attend.apply(inputs, asked, graph, row, stays)
        attended = torch.einsum("hrd,hcd->rhc", summed, self.value.weight.view(self.heads, self.width, -1))
        return self.merge(attended.reshape(rows, self.heads * self.width), own)


class TemporalSum(nn.Module):
    """h' = W_2 [h | relu(sum over links of W_1 x)]; W_1 follows the sum, which is the same."""

    def __init__(self, in_dim: int, edge_dim: int, time_dim: int, out_dim: int):
        super().__init__()
        self.links = nn.Linear(in_dim + edge_dim + time_dim, out_dim, bias=False)
        self.out = nn.Linear(in_dim + out_dim, out_dim)

    def forward(
        self, own: torch.Tensor, present: torch.Tensor, inputs: torch.Tensor, row: torch.Tensor
    ) -> torch.Tensor:
        """(R, out_dim) from own vectors (R, in_dim), what links see (L, |x|) and their rows (L,); ``present`` is not
        used.
        """
        graph = link_graph(row, len(own))
        summed = dgl.ops.copy_u_sum(graph, inputs)
        return self.out(torch.cat([own, torch.relu(self.links(summed))], 1))


class TemporalLayers(nn.Module):
    """Layers of temporal attention or sum over the hops of :class:`graphkit.sampling.past_neighbours.Hops`.

    kind: ``attention`` or ``sum``. in_dim: width of the vectors of hop 0's inputs; 0 where nodes have none.
    """

    def __init__(
        self,
        kind: str,
        time: nn.Module,
        in_dim: int,
        edge_dim: int,
        time_dim: int,
        out_dim: int,
        *,
        layers: int,
        heads: int,
        dropout: float,
    ):
        super().__init__()
        self.time = time
        widths = [in_dim, *[out_dim] * (layers - 1)]
        if kind == "attention":
            made = [TemporalAttention(width, edge_dim, time_dim, out_dim, heads, dropout) for width in widths]
        else:
            made = [TemporalSum(width, edge_dim, time_dim, out_dim) for width in widths]
        self.layers = nn.ModuleList(made)

    def forward(self, vectors: torch.Tensor, at: list[torch.Tensor], links: list[tuple]) -> torch.Tensor:
        """(R, out_dim) vectors of the rows of hop 0.

        vectors: (U, in_dim) of all nodes. at: (R_l,) for each hop, the place of its rows in them. links: for each hop
            after hop 0
        (row (L,), column (L,), age (L,) float64, features (L, edge_dim) or None).
        """
        current = [vectors[places] for places in at]
        present = self.time(torch.zeros(1, dtype=torch.float64, device=vectors.device))
        fixed = [self.time(age) if feat is None else torch.cat([feat, self.time(age)], 1) for _, _, age, feat in links]
        for depth, layer in enumerate(self.layers):
            step = []
            for hop in range(len(links) - depth):
                row, column = links[hop][:2]
                near = current[hop + 1]
                seen = torch.cat([near[column], fixed[hop]], 1) if near.shape[1] else fixed[hop]
                step.append(layer(current[hop], present, seen, row))
            current = step
        return current[0]
