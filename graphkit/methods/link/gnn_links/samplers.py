"""Mini-batches for link prediction through DGL's samplers, by name, with the target edges out of every message graph.

``full`` uses the whole graph; ``neighbor`` and ``labor`` sample a block per layer around the end points; ``shadow``
takes the end points' k-hop subgraph. These three score a batch of training edges and given negatives. ``cluster`` and
``saint`` draw a subgraph first, and score some of its own edges and non-edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import dgl
import numpy as np
import torch

from graphkit.graph.non_edges import contains, uniform_non_edges
from graphkit.nn.adjacency import EdgeIndex
from graphkit.sampling.samplers import count_parts, make_sampler, seeded


class LinkBatch(NamedTuple):
    """What a step sees.

    graph: a DGLGraph or a list of blocks without the target edges; ``edata[dgl.EID]`` are the training graph's edges.
    nodes: (k,) int64 nodes whose features go in. positive, negative: (B, 2) int64 pairs as positions in the encoder's
        output.
    """

    graph: object
    nodes: torch.Tensor
    positive: torch.Tensor
    negative: torch.Tensor


class LinkSampler:
    """Cuts a training graph into :class:`LinkBatch` es.

    graph: DGLGraph on the CPU, may hold self-loops and copies. positives: (P, 2) training edges. fanout: neighbours per
    layer, -1 all; one number for each layer or one for all. parts, parts_per_batch: of ``cluster``. saint_mode,
    saint_budget: node, edge or walk (roots, length) of GraphSAINT.
    """

    def __init__(
        self,
        graph,
        positives: np.ndarray,
        *,
        name: str,
        num_layers: int,
        batch_size: int,
        fanout=(10,),
        parts: int = 50,
        parts_per_batch: int = 5,
        saint_mode: str = "walk",
        saint_budget=(500, 4),
    ):
        self.graph, self.positives, self.name, self.batch_size = graph, positives, name, batch_size
        self.edges = EdgeIndex.from_graph(graph)
        self.numbers = self.edges.edge_numbers(positives)
        self._index_copies()
        self.parts, self.parts_per_batch = count_parts(parts, graph.num_nodes()), parts_per_batch
        self.sampler = make_sampler(
            graph, name, num_layers, fanout=fanout, parts=self.parts, saint_mode=saint_mode, saint_budget=saint_budget
        )

    def _index_copies(self) -> None:
        """Group the graph's edge ids by undirected edge, so that all copies of a target can be named at once."""
        src, dst = self.graph.edges()
        numbers = self.edges.edge_numbers(torch.stack([src, dst], 1).numpy())
        order = np.argsort(numbers, kind="stable")
        self.copies = order[np.searchsorted(numbers[order], 0) :]
        self.starts = np.searchsorted(numbers[self.copies], np.arange(len(self.edges.codes) + 1))

    def edge_ids(self, numbers: np.ndarray) -> np.ndarray:
        """Ids of every copy and direction of the undirected edges with these numbers."""
        numbers = np.unique(numbers[numbers >= 0])
        counts = self.starts[numbers + 1] - self.starts[numbers]
        ends = np.cumsum(counts)
        offsets = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
        return self.copies[np.repeat(self.starts[numbers], counts) + offsets]

    def batches(self, generator: np.random.Generator) -> Iterator[LinkBatch]:
        """Yield an epoch's batches; every draw, DGL's too, follows from the generator."""
        if self.name in ("cluster", "saint"):
            yield from self._from_subgraphs(generator)
            return
        negatives = uniform_non_edges(self.edges.codes, self.edges.num_nodes, len(self.positives), generator)
        order = generator.permutation(len(self.positives))
        for start in range(0, len(order) - self.batch_size + 1, self.batch_size):
            chosen = order[start : start + self.batch_size]
            seed = int(generator.integers(2**31))
            yield self._around(self.positives[chosen], negatives[chosen], self.edge_ids(self.numbers[chosen]), seed)

    def _around(self, positive, negative, targets, seed) -> LinkBatch:
        if self.name == "full":
            graph = dgl.remove_edges(self.graph, torch.from_numpy(targets), store_ids=True)
            nodes = torch.arange(graph.num_nodes())
            return LinkBatch(graph, nodes, torch.from_numpy(positive), torch.from_numpy(negative))
        ends, place = np.unique(np.concatenate([positive, negative]), return_inverse=True)
        place = torch.from_numpy(place.reshape(-1, 2))
        if self.name == "labor":
            self.sampler.set_seed(seed)  # LABOR keeps a generator of its own
        with seeded(seed):
            nodes, _, graph = self.sampler.sample(
                self.graph, torch.from_numpy(ends), exclude_eids=torch.from_numpy(targets)
            )
        return LinkBatch(graph, nodes, place[: len(positive)], place[len(positive) :])

    def _from_subgraphs(self, generator) -> Iterator[LinkBatch]:
        if self.name == "cluster":
            order = generator.permutation(self.parts)
            groups = [order[at : at + self.parts_per_batch] for at in range(0, self.parts, self.parts_per_batch)]
        else:
            groups = [None] * max(1, len(self.positives) // self.batch_size)
        for group in groups:
            seed = int(generator.integers(2**31))
            with seeded(seed):
                part = self.sampler.sample(self.graph, 0 if group is None else torch.from_numpy(group))
            batch = self._within(part, generator)
            if batch is not None:
                yield batch

    def _within(self, part, generator) -> LinkBatch | None:
        """Targets and negatives among a subgraph's own nodes; None where it has no edge to hide or no non-edge."""
        nodes = part.ndata[dgl.NID].numpy()
        src, dst = (ends.numpy() for ends in part.edges())
        inside = EdgeIndex.build(src, dst, len(nodes))
        low, high = inside.codes // len(nodes), inside.codes % len(nodes)
        # At least half of the edges stay, or there would be nothing to pass messages along.
        count = min(self.batch_size, len(inside.codes) // 2)
        negative = self._non_edges_among(nodes, count, generator)
        if count == 0 or len(negative) == 0:
            return None
        chosen = generator.choice(len(inside.codes), size=count, replace=False)
        hidden = np.zeros(len(inside.codes), dtype=bool)
        hidden[chosen] = True
        numbers = inside.edge_numbers(np.stack([src, dst], 1))
        targets = np.flatnonzero((numbers >= 0) & hidden[numbers])
        positive = np.stack([low[chosen], high[chosen]], axis=1)
        graph = dgl.remove_edges(part, torch.from_numpy(targets), store_ids=True)
        graph.edata[dgl.EID] = part.edata[dgl.EID][graph.edata[dgl.EID]]
        return LinkBatch(graph, torch.from_numpy(nodes), torch.from_numpy(positive), torch.from_numpy(negative))

    def _non_edges_among(self, nodes, count, generator, rounds: int = 20) -> np.ndarray:
        found, missing = [np.empty((0, 2), dtype=np.int64)], count
        for _ in range(rounds if len(nodes) > 1 else 0):
            drawn = generator.integers(len(nodes), size=(missing * 2 + 16, 2))
            ends = nodes[drawn]
            codes = ends.min(1) * self.edges.num_nodes + ends.max(1)
            found.append(drawn[(drawn[:, 0] != drawn[:, 1]) & ~contains(self.edges.codes, codes)][:missing])
            missing -= len(found[-1])
            if missing <= 0:
                break
        return np.concatenate(found)
