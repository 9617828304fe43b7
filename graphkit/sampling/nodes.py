"""Mini-batches for node labels through DGL's samplers, by name.

``full`` uses the whole graph; ``neighbor`` and ``labor`` sample a block per layer around the seed nodes; ``shadow``
takes their k-hop subgraph; ``cluster`` and ``saint`` draw a subgraph and score the training nodes that it holds, all
alike (GraphSAINT's paper weighs them by how often they are drawn).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import dgl
import numpy as np
import torch

from graphkit.sampling.samplers import count_parts, make_sampler, seeded


class Sampled(NamedTuple):
    """A drawn piece of a graph.

    graph: a DGLGraph or a list of blocks, with ``dgl.NID`` and ``dgl.EID`` of the whole graph. nodes: (k,) int64 nodes
    of the whole graph whose features go in. rows: (B,) rows of the model's output that are scored. seeds: (B,) the
    nodes they belong to.
    """

    graph: Any
    nodes: torch.Tensor
    rows: torch.Tensor
    seeds: torch.Tensor


class NodeSampler(torch.utils.data.Dataset):
    """Cuts a graph into :class:`Sampled` pieces around its training nodes.

    graph: DGLGraph on the CPU. train: (T,) int64 training nodes. The options are those of
    :func:`graphkit.sampling.samplers.make_sampler`; workers: processes that draw ahead, 0 draws in this one.
    """

    def __init__(
        self,
        graph,
        train: np.ndarray,
        *,
        name: str,
        num_layers: int,
        batch_size: int,
        fanout=(10,),
        parts: int = 50,
        parts_per_batch: int = 5,
        saint_mode: str = "walk",
        saint_budget=(500, 4),
        workers: int = 0,
    ):
        # The structure alone: pieces go between processes, and their data are looked up by number afterwards.
        self.graph = dgl.graph(graph.edges(order="eid"), num_nodes=graph.num_nodes())
        self.train, self.name = np.asarray(train, dtype=np.int64), name
        self.batch_size, self.workers = batch_size, workers
        self.parts, self.parts_per_batch = count_parts(parts, graph.num_nodes()), parts_per_batch
        self.is_train = torch.zeros(graph.num_nodes(), dtype=torch.bool)
        self.is_train[torch.from_numpy(self.train)] = True
        self.make = functools.partial(
            make_sampler,
            self.graph,
            name,
            num_layers,
            fanout=fanout,
            parts=self.parts,
            saint_mode=saint_mode,
            saint_budget=saint_budget,
        )
        # METIS takes long on a large graph, and a restored run never draws.
        self.sampler = None if name == "cluster" else self.make()
        self.jobs: list[tuple[np.ndarray, int]] = []

    def batches(self, generator: np.random.Generator) -> Iterator[Sampled]:
        """Yield an epoch's pieces; every draw, DGL's too, follows from the generator."""
        self.sampler = self.sampler or self.make()
        if self.name == "cluster":
            order, size = generator.permutation(self.parts), self.parts_per_batch
        else:
            order, size = generator.permutation(self.train), self.batch_size
        groups = [order[at : at + size] for at in range(0, len(order), size)]
        self.jobs = [(group, int(generator.integers(2**31))) for group in groups]
        # Each piece comes from a seed of its own, so that it is the same whichever process draws it. The loader draws a
        # number as well, which must not come from the generator that dropout takes its own from: a resumed epoch is
        # drawn twice.
        pieces = torch.utils.data.DataLoader(
            self, batch_size=None, num_workers=self.workers, generator=torch.Generator()
        )
        yield from (piece for piece in pieces if len(piece.rows))

    def __len__(self) -> int:
        return len(self.jobs)

    def __getitem__(self, number: int) -> Sampled:
        if number >= len(self.jobs):
            raise IndexError(number)
        group, seed = self.jobs[number]
        if self.name == "labor":
            self.sampler.set_seed(seed)  # LABOR keeps a generator of its own
        with seeded(seed):
            if self.name in ("cluster", "saint"):
                part = self.sampler.sample(self.graph, 0 if self.name == "saint" else torch.from_numpy(group))
                nodes = part.ndata[dgl.NID]
                rows = self.is_train[nodes].nonzero().squeeze(1)
                return Sampled(part, nodes, rows, nodes[rows])
            seeds = torch.from_numpy(group)
            nodes, _, graph = self.sampler.sample(self.graph, seeds)
        return Sampled(graph, nodes, torch.arange(len(seeds)), seeds)
