"""Link prediction by a plain graph neural network: GCN, GraphSAGE or GAT node vectors and a decoder of pairs."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import dgl
import numpy as np
import torch
from torch.nn.functional import softplus

from graphkit.core.errors import DataError, UsageError
from graphkit.evaluation.pairs import in_chunks, score_split
from graphkit.methods.link.gnn_links.config import GNNLinksConfig
from graphkit.methods.link.gnn_links.dgl_stack import GraphStack, PairDecoder
from graphkit.methods.link.gnn_links.samplers import LinkBatch, LinkSampler
from graphkit.nn import reweight
from graphkit.nn.reweight import Edges
from graphkit.training.reweighting import Reweighted

log = logging.getLogger(__name__)


class GNNLinks(Reweighted):
    """logit(i, j) = decoder(h_i * h_j), h from DGL's GraphConv, SAGEConv or GATConv layers.

    Trained with binary cross-entropy on the edges and as many uniform non-edges of the training graph; in every step
    the target edges, their reverses and their copies are out of the graph that messages pass along. Whatever the
    sampler is in training, evaluation encodes all nodes on the whole training graph: memory O(m + n d).

    References: Kipf, Welling, ICLR 2017; Hamilton, Ying, Leskovec, NeurIPS 2017; Velickovic et al., ICLR 2018.
    """

    Config = GNNLinksConfig
    config: GNNLinksConfig

    def prepare(self, dataset, *, seed: int, device: str) -> None:
        """Build the graph with self-loops where the layer wants them, the model and the sampler."""
        config = self.config
        if config.conv == "gat" and config.hidden_dim % config.heads:
            raise UsageError(f"--heads is {config.heads}, expected a divisor of --hidden-dim {config.hidden_dim}")
        if config.conv == "gat" and config.reweight == "tc":
            raise UsageError("--reweight tc: found --conv gat, which weighs its edges itself; expected gcn or sage")
        self.prepare_reweighting()
        self.dataset, self.device = dataset, device
        self.graph = self._message_graph(dataset.graph)
        self.test_graph = self.graph
        if config.val_edges_at_test:
            valid = torch.as_tensor(dataset.split.valid.pos)
            ends = torch.cat([valid, valid.flip(1)]).unbind(1)
            self.test_graph = self._message_graph(dgl.add_edges(_bare(dataset.graph), *ends))
        features = dataset.features
        learned = features is None or features.shape[1] == 0 or config.node_embedding
        in_dim, width = config.hidden_dim if learned else features.shape[1], config.hidden_dim
        encoder = GraphStack(config.conv, in_dim, width, width, config.num_layers, config.dropout, config.heads)
        decoder = PairDecoder(config.decoder, width, config.decoder_layers, config.dropout)
        parts = {"encoder": encoder, "decoder": decoder}
        if learned:
            parts["embedding"] = torch.nn.Embedding(dataset.num_nodes, in_dim)
            torch.nn.init.xavier_uniform_(parts["embedding"].weight)
        self.features = None if learned else features.float().to(device)
        self.model = torch.nn.ModuleDict(parts).to(device)
        self.optimizers = [torch.optim.Adam(self.model.parameters(), lr=config.lr)]
        if config.epochs:
            self.sampler = self._make_sampler()

    def on_epoch_start(self, epoch: int) -> None:
        """Score the edges where it is due; raises :class:`UsageError` where nothing would be trained."""
        if epoch == 0 and self.config.lr == 0:
            raise UsageError("--lr is 0: nothing would be trained; expected more than 0, or --epochs 0")
        super().on_epoch_start(epoch)

    def _message_graph(self, graph):
        graph = _bare(graph)
        if self.config.conv == "sage":
            return graph
        return dgl.add_self_loop(dgl.remove_self_loop(graph))

    def _make_sampler(self):
        config = self.config
        positives = np.ascontiguousarray(self.dataset.split.train.pos, dtype=np.int64)
        if len(positives) == 0:
            raise DataError(f"{self.dataset.name}: found no training edges, expected at least one")
        most = max(1, len(positives) // 2)  # a batch of all edges would leave no graph to see
        return LinkSampler(
            self.graph,
            positives,
            name=config.sampler,
            num_layers=config.num_layers,
            batch_size=min(config.batch_size, most),
            fanout=config.fanout,
            parts=config.parts,
            parts_per_batch=config.parts_per_batch,
            saint_mode=config.saint_mode,
            saint_budget=config.saint_budget,
        )

    def batches(self, epoch: int, generator: np.random.Generator) -> Iterator[LinkBatch]:
        """Yield the sampler's batches."""
        if epoch == 0 and self.sampler.batch_size < self.config.batch_size:
            text = "--batch-size %d is too large for %d training edges; using %d"
            log.warning(text, self.config.batch_size, len(self.sampler.positives), self.sampler.batch_size)
        return self.sampler.batches(generator)

    def loss(self, batch: LinkBatch) -> torch.Tensor:
        """Binary cross-entropy of the batch's targets and negatives."""
        graph = (
            [b.to(self.device) for b in batch.graph] if isinstance(batch.graph, list) else batch.graph.to(self.device)
        )
        h = self.model["encoder"](graph, self._inputs(batch.nodes.to(self.device)), self._weigh())
        scores = [self._decode(h, pairs.to(self.device)) for pairs in (batch.positive, batch.negative)]
        return softplus(-scores[0]).mean() + softplus(scores[1]).mean()

    def _inputs(self, nodes: torch.Tensor) -> torch.Tensor:
        return self.model["embedding"](nodes) if self.features is None else self.features[nodes]

    def _decode(self, h: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        return self.model["decoder"](h[pairs[:, 0]], h[pairs[:, 1]])

    def on_backward_end(self) -> None:
        """Clip the gradients of each part."""
        if self.config.clip_norm > 0:
            for part in self.model.values():
                if weights := list(part.parameters()):  # a dot product has none
                    torch.nn.utils.clip_grad_norm_(weights, self.config.clip_norm)

    def predict(self, split: str) -> dict[str, torch.Tensor]:
        """Logits of the split's positives and negatives."""
        graph = self.test_graph if split == "test" else self.graph
        return score_split(getattr(self.dataset.split, split), self._scorer(graph), self.config.eval_batch_size)

    def score_pairs(self, pairs: torch.Tensor) -> torch.Tensor:
        """Return (P,) logits of (P, 2) pairs on the training graph."""
        return in_chunks(self._scorer(self.graph), pairs, self.config.eval_batch_size)

    def _encode(self, graph) -> torch.Tensor:
        inputs = self._inputs(torch.arange(graph.num_nodes(), device=self.device))
        return self.model["encoder"](graph.to(self.device), inputs, self._weigh())

    def _weigh(self):
        """What tells the encoder the factors of a graph's or block's edges; None where nothing is re-weighted."""
        if self.edge_scores is None:
            return None

        def weigh(graph):
            config = self.config
            numbers = graph.edata.get(dgl.EID, slice(None))  # the whole graph has its own order
            return reweight.factors(
                _edges(graph), self.edge_scores[numbers], config.conv, config.reweight_alpha, config.reweight_normalize
            )

        return weigh

    def score_edges(self) -> torch.Tensor:
        """Probabilities of the training graph's edges, self-loops included, in its order."""
        decode = self.model["decoder"]  # sees the product of two vectors only
        edges = _edges(self.graph.to(self.device))
        return self.edge_probabilities(edges, self._encode(self.graph), lambda x: decode(x, torch.ones_like(x)))

    def _scorer(self, graph):
        self.model.eval()
        with torch.no_grad():
            h = self._encode(graph)

        def score(pairs):
            with torch.no_grad():
                return self._decode(h, pairs.to(self.device))

        return score


def _edges(graph):
    sender, receiver = graph.edges(order="eid")
    return Edges(receiver, sender, graph.num_dst_nodes(), graph.num_src_nodes())


def _bare(graph):
    """The edges alone: features would be copied with every sampled graph."""
    return dgl.graph(graph.edges(order="eid"), num_nodes=graph.num_nodes())
