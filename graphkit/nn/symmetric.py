"""The symmetric normalised adjacency P = D^-1/2 A D^-1/2 on whole graphs and on the pieces that a sampler cuts out of
them.
"""

from __future__ import annotations

import torch
from dgl import ops


def keep_degrees(graph):
    """Store the degrees of ``graph`` on its nodes, so that a sampler's pieces know them; returns the graph."""
    graph.ndata["_in_degree"], graph.ndata["_out_degree"] = graph.in_degrees(), graph.out_degrees()
    return graph


def degrees(graph) -> tuple[torch.Tensor, torch.Tensor]:
    """(sources,) out-degrees and (destinations,) in-degrees of the whole graph where :func:`keep_degrees` saw it, else
    of ``graph``.
    """
    if "_in_degree" not in graph.dstdata:
        return graph.out_degrees(), graph.in_degrees()
    return graph.srcdata["_out_degree"], graph.dstdata["_in_degree"]


def scales(graph, dtype: torch.dtype, *, in_degrees: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """(sources, 1) factors 1/sqrt(d_j) and (destinations, 1) factors of the sum over neighbours in P.

    d_j are out-degrees, with ``in_degrees`` in-degrees, which a block has only where :func:`keep_degrees` stored them;
    d_i are in-degrees. All are those of the whole graph, see :func:`degrees`. Of d_i neighbours a piece holds k_i,
    whose sum stands for that of all of them: the second factor is sqrt(d_i) / k_i, which is 1/sqrt(d_i) where all are
    there.
    """

    def column(count):
        return count.clamp(min=1).unsqueeze(1).to(dtype)

    sources, targets = degrees(graph)
    if in_degrees:
        sources = graph.srcdata["_in_degree"] if "_in_degree" in graph.srcdata else graph.in_degrees()
    return column(sources).rsqrt(), column(targets).sqrt() / column(graph.in_degrees())


def spread(graph, h: torch.Tensor) -> torch.Tensor:
    """Return P h, (destinations, d), of (sources, d)."""
    source, target = scales(graph, h.dtype)
    return ops.copy_u_sum(graph, h * source) * target
