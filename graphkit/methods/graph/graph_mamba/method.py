"""Graph Mamba: selective state-space models on sequences of sampled subgraphs, and of nodes, for node and graph
labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import dgl
import numpy as np
import torch

from graphkit.core.errors import UsageError
from graphkit.graph.splitmix import uniform
from graphkit.methods.graph.graph_mamba.config import GraphMambaConfig
from graphkit.methods.graph.graph_mamba.model import GraphMamba as Model
from graphkit.methods.graph.graph_mamba.node_order import ranks
from graphkit.methods.graph.graph_mamba.walk_tokens import WalkTokens
from graphkit.nn import encodings
from graphkit.nn.mamba import decay_groups
from graphkit.training.supervised import Batch, SupervisedLearner

NODES_AT_ONCE = 4096  # whose tokens are encoded together when evaluating
# What the numbers drawn for a node are for; they come from one seed.
TIES, BUCKETS, SHUFFLE = 0, 1, 2
STEP = 2**32  # more than any number of a node


class Drawn(NamedTuple):
    """A batch and the seed of its walks, ties and buckets."""

    batch: Batch
    seed: int


class GraphMamba(SupervisedLearner):
    """Logits of nodes or graphs from bidirectional Mamba blocks, with message passing beside them.

    m >= 1: token (k, r) of a node is the subgraph induced by the nodes that M random walks of k steps visit, k = m..0,
    s of each but the last; a local encoder makes a vector of it, Mamba layers run over the sequence of the m s + 1
    vectors, from the widest subgraph to the node itself, and the last place (or the mean) is the node's vector. Then,
    and with m = 0 from the start, H <- BiMamba(H) + MPNN(H, E) with the nodes of a graph as one sequence, in ascending
    order of PageRank or degree; ties fall at random. Walks, ties and buckets are drawn anew for every step of training,
    and by a fixed seed when evaluating. See :mod:`graphkit.methods.graph.graph_mamba.model` and
    :class:`graphkit.nn.mamba.BiMamba` for the formulas.

    No code of the method was published. Read-out and final scan follow accounts of the paper; norms and residuals are
    ours.

    Time and memory linear in nodes and edges: O(n (m s + 1)(M m + d N) + |E| d) per epoch. With a sampler, a step draws
    the subgraphs of the nodes of its piece alone, from the whole graph; when evaluating they are encoded by 4,096 nodes
    at a time.

    Reference: Behrouz, Hashemi: Graph Mamba: Towards Learning on Graphs with State Space Models, KDD 2024.
    """

    Config = GraphMambaConfig
    config: GraphMambaConfig

    def sampled_layers(self) -> int:
        """Layers of neighbours that a sampler has to draw."""
        return max(1, len(self.config.scans()))

    def prepare_all(self, graphs: list) -> list:
        """Add the raw encodings."""
        chosen = encodings.parse(self.config.graph_pe)
        used = sum(encoding.dim for encoding in chosen)
        if used >= self.config.hidden_dim:
            raise UsageError(
                f"--pe {self.config.pe}: takes {used} of --hidden-dim {self.config.hidden_dim}, expected less"
            )
        encodings.compute(graphs, chosen, torch.get_num_threads())
        return graphs

    def _read(self, dataset):
        """As the base has it; nodes know their number and the rank of their score, and walks have a source."""
        config, (graphs, whole) = self.config, super()._read(dataset)
        base = whole if graphs is None else graphs.whole
        counts = np.array([base.num_nodes()]) if graphs is None else np.diff(graphs.node_starts.numpy())
        base.ndata["_id"] = torch.arange(base.num_nodes())
        base.ndata["_rank"] = ranks(base, counts, config.order)
        self.base, self.source = base, None
        if config.m:
            rwf = config.local_encoder == "rwf"
            self.source = WalkTokens(
                base,
                m=config.m,
                walks=config.walks,
                repeats=config.repeats,
                paths=rwf,
                visits=config.visit_counts,
                subgraphs=config.local_encoder == "gatedgcn",
                window=config.walk_window if rwf else 0,
            )
        return graphs, whole

    def prepare(self, dataset, *, seed: int, device: str) -> None:
        """As the base has it, after a check that the scan can run on the device."""
        if self.config.scan == "numba" and torch.device(device).type != "cpu":
            raise UsageError(
                f"--scan is numba, which runs on the CPU alone, but the device is {device}; expected auto or chunked"
            )
        super().prepare(dataset, seed=seed, device=device)

    def build(self, dims):
        """Return the model."""
        return Model(self.config, encodings.parse(self.config.graph_pe), dims)

    def last_layers(self):
        """The head, behind the pooling of a graph's nodes."""
        return [self.model.head.layers]

    def make_optimizer(self):
        """The optimiser, without weight decay on A_log and D."""
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[self.config.optimizer]
        return kind(decay_groups(self.model, self.config.weight_decay), lr=self.config.lr)

    def batches(self, epoch: int, generator: np.random.Generator) -> Iterator[Drawn]:
        """Yield the base's batches, each with a seed from the generator."""
        for batch in super().batches(epoch, generator):
            yield Drawn(batch, int(generator.integers(2**62)))

    def loss(self, drawn: Drawn) -> torch.Tensor:
        """The loss of the batch's scored rows, with walks and ties of its seed."""
        batch = drawn.batch
        logits = self.logits_by(batch.graph, batch.x, batch.e, drawn.seed)
        logits = logits if batch.rows is None else logits[batch.rows]
        return self.targets.loss(logits, batch.y, self.config.class_weights)

    def forward(self, graph, x, e) -> torch.Tensor:
        """Logits of an evaluation: the mean over ``eval_draws`` draws, which the learner's seed fixes."""
        draws = self.config.eval_draws
        seeds = np.random.default_rng([self.seed, 1]).integers(2**62, size=draws).tolist()
        return sum(self.logits_by(graph, x, e, seed) for seed in seeds) / draws

    def logits_by(self, graph, x, e, seed: int) -> torch.Tensor:
        """Logits of a graph, or a list of blocks, with walks, ties and buckets of a seed."""
        first = graph[0] if isinstance(graph, list) else graph
        ids, rank = first.srcdata["_id"], first.srcdata["_rank"]
        if self.config.m:
            h, positions = self._token_vectors(ids.cpu().numpy(), seed)
        else:
            h, positions = self.model.embed(_holder(first.srcdata), x)
        noise = self._uniform(seed, ids, TIES)
        buckets = (self._uniform(seed, ids, BUCKETS) * self.config.buckets).long() if self.config.buckets > 1 else None
        return self.model(graph, h, positions, e, rank, noise, buckets)

    def _token_vectors(self, ids: np.ndarray, seed: int):
        if self.model.training:
            return self._some_token_vectors(ids, seed)
        parts = [
            self._some_token_vectors(ids[at : at + NODES_AT_ONCE], seed) for at in range(0, len(ids), NODES_AT_ONCE)
        ]
        return tuple(torch.cat(found) for found in zip(*parts))

    def _some_token_vectors(self, ids: np.ndarray, seed: int):
        tokens = self.source.draw(ids, seed).to(self.device)
        base, nodes = self.base, tokens.nodes.to(self.base.device)
        x = base.ndata["feat"][nodes].to(self.device) if "feat" in base.ndata else tokens.nodes
        e = None
        if tokens.edges is not None and "feat" in base.edata:
            e = base.edata["feat"][tokens.edges.to(base.device)].to(self.device)
        raw = {key: value[nodes].to(self.device) for key, value in base.ndata.items() if key.startswith("_pe_")}
        order = None
        if self.config.shuffle_tokens:
            places = torch.from_numpy(ids).unsqueeze(1) * len(tokens.lengths) + torch.arange(len(tokens.lengths))
            order = self._uniform(seed, places, SHUFFLE).argsort(1)
        return self.model.token_vectors(_holder(raw, len(tokens.nodes), self.device), x, e, tokens, order)

    def _uniform(self, seed: int, places: torch.Tensor, purpose: int) -> torch.Tensor:
        return torch.from_numpy(uniform(seed, places.cpu().numpy() + purpose * STEP)).to(self.device)

    def logits_of(self, dataset) -> torch.Tensor:
        """As the base has it, with walks on the new graph."""
        mine = self.base, self.source
        try:
            return super().logits_of(dataset)
        finally:
            self.base, self.source = mine


def _holder(values, count: int | None = None, device=None):
    """A graph without edges that holds the raw encodings of nodes."""
    count = len(values["_id"]) if count is None else count
    graph = dgl.graph(([], []), num_nodes=count, device=device or values["_id"].device)
    for key in [key for key in values if key.startswith("_pe_")]:
        graph.ndata[key] = values[key]
    return graph
