"""What a model on labels is built for, and the layers that bring node and edge data to a common width."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Dims:
    """Sizes that the data fix.

    in_dim, edge_dim: columns of the node and edge features, 0 where there are none. node_tables, edge_tables: number of
    categories per column where the features are integers, else None. out_dim: logits per node or graph. num_nodes:
    nodes of the one graph of a node task, 0 elsewhere. task: "node" or "graph".
    """

    in_dim: int
    edge_dim: int
    out_dim: int
    task: str
    node_tables: tuple[int, ...] | None = None
    edge_tables: tuple[int, ...] | None = None
    num_nodes: int = 0


class Categories(nn.Module):
    """Sum of one embedding per column of (n, C) categories, as OGB encodes atoms and bonds.

    Each table has a last row for categories that the training data do not hold.
    """

    def __init__(self, sizes: tuple[int, ...], width: int):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size + 1, width) for size in sizes)
        for table in self.tables:
            nn.init.xavier_uniform_(table.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, width) sums for (n, C) int64 categories."""
        return sum(table(x[:, k].clamp(0, table.num_embeddings - 1)) for k, table in enumerate(self.tables))


class NodeInput(nn.Module):
    """Node features -> (n, width): a linear layer, tables of categories, or learned vectors where there are none.

    Without features the one graph of a node task gets a vector per node, the nodes of many graphs one vector for all.
    """

    def __init__(self, dims: Dims, width: int):
        super().__init__()
        self.kind = "tables" if dims.node_tables else "linear" if dims.in_dim else "nodes" if dims.num_nodes else "one"
        if self.kind == "tables":
            self.layer: nn.Module = Categories(dims.node_tables, width)
        elif self.kind == "linear":
            self.layer = nn.Linear(dims.in_dim, width)
        else:
            self.layer = nn.Embedding(dims.num_nodes if self.kind == "nodes" else 1, width)
            nn.init.xavier_uniform_(self.layer.weight)

    def forward(self, x: torch.Tensor | None, graph) -> torch.Tensor:
        """Return (n, width) vectors. x: (n, in_dim), or (n,) node numbers or None where the data have no features."""
        if self.kind in ("linear", "tables"):
            return self.layer(x)
        if self.kind == "one":
            return self.layer.weight.expand(_sources(graph), -1)
        return self.layer.weight if x is None else self.layer(x)


def _sources(graph) -> int:
    return (graph[0] if isinstance(graph, (list, tuple)) else graph).num_src_nodes()


class EdgeInput(nn.Module):
    """Edge features -> (m, width): a linear layer, tables of categories, or one learned vector where there are none."""

    def __init__(self, dims: Dims, width: int):
        super().__init__()
        self.kind = "tables" if dims.edge_tables else "linear" if dims.edge_dim else "one"
        if self.kind == "tables":
            self.layer: nn.Module = Categories(dims.edge_tables, width)
        elif self.kind == "linear":
            self.layer = nn.Linear(dims.edge_dim, width)
        else:
            self.layer = nn.Embedding(1, width)

    def forward(self, e: torch.Tensor | None, graph) -> torch.Tensor:
        """Return (m, width) vectors of the (m, edge_dim) features or None."""
        return self.layer.weight.expand(graph.num_edges(), -1) if self.kind == "one" else self.layer(e)
