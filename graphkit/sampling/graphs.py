"""Many graphs as one structure, cut into batches by slicing: no graph object is made per graph and step."""

from __future__ import annotations

import dgl
import numpy as np
import torch

from graphkit.core.errors import DataError


class GraphSet:
    """G graphs laid end to end.

    whole: a DGLGraph, nodes and edges ordered by graph, with the data of both. node_starts, edge_starts: (G + 1,)
        int64.
    """

    def __init__(self, whole, node_counts: torch.Tensor, edge_counts: torch.Tensor):
        self.whole = whole
        self.node_starts, self.edge_starts = (
            torch.cat([c.new_zeros(1), c.cumsum(0)]) for c in (node_counts, edge_counts)
        )
        self.src, self.dst = whole.edges(order="eid")

    @classmethod
    def from_graphs(cls, graphs: list) -> GraphSet:
        """Lay a list of DGLGraphs end to end; raises :class:`DataError` where their data differ in kind."""
        if not graphs:
            raise DataError("found no graphs, expected at least one")
        try:
            whole = dgl.batch(graphs)
        except dgl.DGLError as problem:
            raise DataError(
                f"the graphs differ in their node or edge data: {' '.join(str(problem).split())[:150]}"
            ) from None
        counts = whole.batch_num_nodes(), whole.batch_num_edges()
        return cls(whole, *counts)

    @classmethod
    def from_parts(cls, graph, owner: torch.Tensor) -> GraphSet:
        """Cut one graph into the parts that ``owner`` (n,) numbers from 0, in ascending order.

        Raises :class:`DataError` where nodes are not ordered by part or an edge joins two parts.
        """
        if (owner.diff() < 0).any():
            raise DataError("the nodes are not ordered by their graph's number")
        src, dst = graph.edges(order="eid")
        if not torch.equal(owner[src], owner[dst]):
            raise DataError("an edge joins two graphs")
        order = torch.argsort(owner[src], stable=True)
        whole = dgl.graph((src[order], dst[order]), num_nodes=graph.num_nodes())
        for key, value in graph.ndata.items():
            whole.ndata[key] = value
        for key, value in graph.edata.items():
            whole.edata[key] = value[order]
        count = int(owner.max()) + 1 if len(owner) else 0
        return cls(whole, torch.bincount(owner, minlength=count), torch.bincount(owner[src], minlength=count))

    def __len__(self) -> int:
        return len(self.node_starts) - 1

    def nodes(self, numbers: torch.Tensor) -> torch.Tensor:
        """Node numbers of the graphs with these numbers, graph by graph."""
        return _ranges(self.node_starts, numbers)

    def batch(self, numbers: torch.Tensor):
        """Return a batched DGLGraph of the graphs with these (B,) numbers, with their node and edge data."""
        nodes, edges = self.nodes(numbers), _ranges(self.edge_starts, numbers)
        node_counts, edge_counts = (s[numbers + 1] - s[numbers] for s in (self.node_starts, self.edge_starts))
        moved = torch.cat([node_counts.new_zeros(1), node_counts.cumsum(0)])[:-1] - self.node_starts[numbers]
        shift = moved.repeat_interleave(edge_counts)
        graph = dgl.graph((self.src[edges] + shift, self.dst[edges] + shift), num_nodes=len(nodes))
        for key, value in self.whole.ndata.items():
            graph.ndata[key] = value[nodes]
        for key, value in self.whole.edata.items():
            graph.edata[key] = value[edges]
        graph.set_batch_num_nodes(node_counts)
        graph.set_batch_num_edges(edge_counts)
        return graph

    def owners(self) -> np.ndarray:
        """(n,) number of the graph that each node belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.node_starts.numpy()))


def _ranges(starts: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Concatenation of starts[k] .. starts[k + 1] - 1 over the given k."""
    counts = starts[numbers + 1] - starts[numbers]
    before = counts.cumsum(0) - counts
    return torch.arange(int(counts.sum())) + (starts[numbers] - before).repeat_interleave(counts)
