"""GraphGPS: a graph Transformer with local message passing, for node and graph labels."""

from __future__ import annotations

import logging

import dgl
import torch

from graphkit.methods.graph.graphgps.attention import check_size
from graphkit.methods.graph.graphgps.config import GraphGPSConfig
from graphkit.methods.graph.graphgps.model import GPS, check
from graphkit.nn import encodings
from graphkit.nn.symmetric import keep_degrees
from graphkit.training.supervised import SupervisedLearner

log = logging.getLogger(__name__)


class GraphGPS(SupervisedLearner):
    """Logits of nodes or graphs from layers that run message passing and attention side by side.

    h' = Norm(x + FFN(x)) with x = Norm(h + MPNN(h, e)) + Norm(h + Attn(h)), on h = [features; encodings]; see
    :class:`graphkit.methods.graph.graphgps.model.GPS` for the layer and :mod:`graphkit.nn.encodings` for the encodings,
    which are computed once and kept in the user's cache. Attention stays within each graph.

    Memory: O(sum N^2 heads) of a batch's graphs with full attention, refused above 8,192 nodes; O(m d + n d) with
    performer, bigbird or none.

    Reference: Rampasek et al., Recipe for a General, Powerful, Scalable Graph Transformer, NeurIPS 2022.
    """

    Config = GraphGPSConfig
    config: GraphGPSConfig

    def prepare_all(self, graphs: list) -> list:
        """Add the raw encodings, and self-loops for gcn, after checking what does not need them."""
        chosen = encodings.parse(self.config.pe)
        check(self.config, chosen)
        check_size(self.config.attn, max((graph.num_nodes() for graph in graphs), default=0))
        encodings.compute(graphs, chosen, torch.get_num_threads())
        if self.config.local != "gcn":
            return graphs
        looped = [dgl.add_self_loop(dgl.remove_self_loop(graph)) for graph in graphs]
        return looped if self.config.sampler == "full" else [keep_degrees(graph) for graph in looped]

    def build(self, dims):
        """Return the model and tell how its parameters spread over its parts."""
        model = GPS(self.config, chosen := encodings.parse(self.config.pe), dims)
        peg = any(encoding.name == "peg" for encoding in chosen)
        local = self.config.local
        if local == "gat" or (peg and local == "gatedgcn") or (local == "gcn" and self.dataset.directed):
            # Weights of these models were learned under other formulas before: a run without this mark is refused, not
            # reinterpreted.
            model.register_buffer("formula", torch.tensor(2))
        counts = model.parts()
        log.info(
            "%s parameters: %s",
            f"{sum(counts.values()):,}",
            ", ".join(f"{name} {count:,}" for name, count in counts.items()),
        )
        return model

    def last_layers(self):
        """The head, behind the pooling of a graph's nodes."""
        return [self.model.head.layers]
