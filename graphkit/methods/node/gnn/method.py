"""Graph neural networks for node and graph labels: the baselines of every comparison."""

from __future__ import annotations

import dgl
import torch

from graphkit.core.errors import UsageError
from graphkit.methods.node.gnn.config import GNNConfig
from graphkit.nn.gnn import LabelGNN
from graphkit.nn.symmetric import keep_degrees
from graphkit.training.supervised import SupervisedLearner


class GNN(SupervisedLearner):
    """Logits of nodes or graphs from GCN, GraphSAGE (mean), GAT, GIN, GINE, GatedGCN, GCNII, or an MLP that sees no
    edges.

    Plain blocks follow the layers' own papers: h' = act(norm(conv(dropout(h)))), on raw features and, for nodes, with
    the last convolution as output where the layer allows. Residual blocks are those of Platonov et al.: h' = h +
    FFN(conv(LN(h))). Where a sampler drew some of a node's neighbours, gcn and gcnii scale their sum to that of all,
    sage and gat average, gin and gine sum what was drawn. Memory O(m + n d); with edge vectors (gine, gatedgcn) O(m d).

    References: Kipf, Welling 2017; Hamilton et al. 2017; Velickovic et al. 2018; Xu et al. 2019; Hu et al. 2020;
    Bresson, Laurent 2017; Chen et al. 2020; Platonov et al. 2023.
    """

    Config = GNNConfig
    config: GNNConfig

    def build(self, dims):
        """Return the model; raises :class:`UsageError` for options that do not go together."""
        config = self.config
        if config.conv == "gat" and config.hidden_dim % config.heads:
            raise UsageError(f"--heads is {config.heads}, expected a divisor of --hidden-dim {config.hidden_dim}")
        if config.conv == "gatedgcn" and config.sampler in ("neighbor", "labor"):
            raise UsageError(
                f"--sampler is {config.sampler!r}, whose layers see different edges, but gatedgcn carries edge vectors"
                " from layer to layer; expected shadow, cluster or saint"
            )
        return LabelGNN(config, dims)

    def last_layers(self):
        """The heads, of ``readout`` sum one for every layer, or the convolution to the logits."""
        return [self.model.layers[-1]] if self.model.heads is None else list(self.model.heads)

    def make_optimizer(self):
        """Adam with the weight decay on all parameters, or on those of the first layer."""
        if not self.config.decay_first:
            return super().make_optimizer()
        first = {id(p) for p in (self.model.input or self.model.layers[0]).parameters()}
        parts = [[p for p in self.model.parameters() if (id(p) in first) == wanted] for wanted in (True, False)]
        groups = [{"params": parts[0], "weight_decay": self.config.weight_decay}, {"params": parts[1]}]
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[self.config.optimizer]
        return kind(groups, lr=self.config.lr, weight_decay=0.0, foreach=True)

    def prepare_graph(self, graph):
        """Add a self-loop to every node where the layer wants one, and the degrees that a sampler's pieces would not
        show.
        """
        config = self.config
        if config.add_loops and config.conv in ("gcn", "gat", "gcnii"):
            graph = dgl.add_self_loop(dgl.remove_self_loop(graph))
        if config.sampler != "full" and config.conv in ("gcn", "gcnii"):
            return keep_degrees(graph)
        return graph
