"""Tokens of Graph Mamba: sampled subgraphs around nodes, all of a batch as one block-diagonal graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from graphkit.graph.adjacency import Adjacency, adjacency
from graphkit.methods.graph.graph_mamba import walks as kernel


@dataclass(frozen=True)
class Tokens:
    """The tokens of B nodes, T each: token b T + t is the t-th of the b-th node.

    nodes: (U,) int64 distinct nodes of the base graph that occur. row: (P,) int64 row of ``nodes`` of every node of the
    block-diagonal graph, token after token. sizes: (B T,) int64 nodes of each token. src, dst: (E,) int64 edges of the
    block-diagonal graph; edges: (E,) int64 their numbers in the base graph. lengths: (T,) steps of each token's walks.
    place: (B, T, M, m + 1) int64 entry of ``row`` that a walk is at, -1 beyond its end. visits: (P, m + 1) float32
    shares of the walks that are at the node after each number of steps. bits: (B, T, M, m + 1, 2 w) uint8, see
    :func:`graphkit.methods.graph.graph_mamba.walks.walk_bits`. The last three, and the edges, only where they were
    asked for, else None.
    """

    nodes: torch.Tensor
    row: torch.Tensor
    sizes: torch.Tensor
    lengths: np.ndarray
    src: torch.Tensor | None = None
    dst: torch.Tensor | None = None
    edges: torch.Tensor | None = None
    place: torch.Tensor | None = None
    visits: torch.Tensor | None = None
    bits: torch.Tensor | None = None

    def to(self, device) -> Tokens:
        """The same on a device."""
        return Tokens(
            **{key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in vars(self).items()}
        )


class WalkTokens:
    """Draws tokens of the nodes of a base graph.

    graph: DGLGraph; walks follow its edges. m, walks, repeats: as in :mod:`graphkit.methods.graph.graph_mamba.walks`.
    subgraphs: find the edges among the nodes of a token. paths: give the walks themselves. visits: count them. window:
    of the bits of walks, 0 for none.

    Memory O(B T M m) for a batch of B nodes, and O(n + m) for the graph.
    """

    def __init__(
        self,
        graph,
        *,
        m: int,
        walks: int,
        repeats: int,
        subgraphs: bool = True,
        paths: bool = False,
        visits: bool = False,
        window: int = 0,
    ):
        bare = graph.local_var().cpu()
        bare.edata.pop("weight", None)  # steps are uniform
        self.matrix: Adjacency = adjacency(bare)
        source, target = (ends.numpy() for ends in bare.edges(order="eid"))
        self.edge_of = np.lexsort((target, source))  # place in the rows -> edge
        self.sizes = {"m": m, "walks": walks, "repeats": repeats}
        self.subgraphs, self.paths, self.visits, self.window = subgraphs, paths, visits, window

    def draw(self, nodes: np.ndarray, seed: int) -> Tokens:
        """Return the tokens of (B,) nodes; a node's tokens depend on the seed and the node alone."""
        walks = kernel.token_walks(self.matrix, nodes, seed=seed, **self.sizes)
        visited, starts, place = kernel.unions(walks)
        unique, row = np.unique(visited, return_inverse=True)
        found = {
            "nodes": unique.astype(np.int64),
            "row": row.reshape(-1).astype(np.int64),
            "sizes": np.diff(starts),
        }
        if self.subgraphs:
            found["src"], found["dst"], entry = kernel.induced(self.matrix, visited, starts)
            found["edges"] = self.edge_of[entry]
        if self.paths:
            found["place"] = place
        if self.visits:
            found["visits"] = kernel.visit_counts(place, len(visited))
        if self.window:
            found["bits"] = kernel.walk_bits(self.matrix, walks, self.window)
        lengths = kernel.token_lengths(self.sizes["m"], self.sizes["repeats"])
        return Tokens(lengths=lengths, **{key: torch.from_numpy(value) for key, value in found.items()})
