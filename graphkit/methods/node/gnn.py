"""Graph neural networks for node and graph labels: the baselines of every comparison."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.config import idle_unless, option
from graphkit.errors import UsageError
from graphkit.lazy import dgl, torch
from graphkit.methods.supervised import SupervisedConfig, SupervisedLearner

CONVS = ("mlp", "gcn", "sage", "gat", "gin", "gatedgcn", "gcnii")


@dataclass(frozen=True)
class GNNConfig(SupervisedConfig):
    """Options of the baselines."""

    conv: str = option("gcn", "message-passing layer", choices=CONVS)
    num_layers: int = option(2, "message-passing layers", min=1)
    hidden_dim: int = option(64, "width of all layers", min=1)
    heads: int = option(8, "attention heads of gat; must divide the width", min=1)
    out_heads: int = option(1, "attention heads of gat's last layer, averaged", min=1)
    dropout: float = option(
        0.5, "dropout of raw features and after each layer, or inside a residual block", min=0, max=1
    )
    head_dropout: float = option(
        0.0, "dropout of the heads' logits with --readout sum (GIN's final dropout)", min=0, max=1
    )
    attn_dropout: float = option(0.0, "dropout of gat's attention weights", min=0, max=1)
    norm: str = option(
        "none", "norm after each layer, and inside gin's MLPs for batch", choices=("none", "batch", "layer")
    )
    act: str = option("relu", "activation", choices=("relu", "gelu", "elu", "silu"))
    last_act: bool = option(True, "activation after the last layer too, where a linear head follows")
    stack: str = option(
        "plain", "what stands around a layer; residual: Platonov et al.'s blocks", choices=("plain", "residual")
    )
    input_linear: bool = option(False, "bring the features to the width by a linear layer first, and end in one")
    add_loops: bool = option(True, "add self-loops for gcn, gat and gcnii")
    edge_features: bool = option(False, "let gin see edge features (gine); gatedgcn always does")
    learn_eps: bool = option(False, "learn gin's epsilon")
    mlp_factor: int = option(1, "inner width of gin's MLPs over the outer one", min=1)
    readout: str = option("last", "read the last layer, or the sum over all layers' own heads", choices=("last", "sum"))
    pool: str = option("mean", "node vectors to graph vector", choices=("mean", "add", "max"))
    decay_first: bool = option(False, "weight decay on the first layer alone, as Kipf and Welling have it")
    alpha: float = option(0.1, "gcnii: share of the first layer's vectors", min=0, max=1)
    lamda: float = option(0.5, "gcnii: strength of the weights over the layers", min=0)

    def idle(self, data: str | None = None) -> dict[str, str]:
        """Options of other layers, stacks and read-outs, beside the base's."""
        plain, gin, stack = self.stack == "plain", self.conv == "gin", f"{self.conv} with --stack {self.stack}"
        heads_follow = data in ("parts", "graphs") or self.input_linear or self.readout == "sum" or not plain
        return {
            **super().idle(data),
            **idle_unless(self.conv == "gat", self.conv, "heads", "out_heads", "attn_dropout"),
            **idle_unless(gin, self.conv, "learn_eps", "mlp_factor", "edge_features"),
            **idle_unless(self.conv == "gcnii", self.conv, "alpha", "lamda"),
            **idle_unless(self.conv in ("gcn", "gat", "gcnii"), self.conv, "add_loops"),
            **idle_unless(self.readout == "sum", f"--readout {self.readout}", "head_dropout"),
            # GatedGCN has its norm and activation inside, a residual block those of its feed-forward part; GIN's MLPs
            # have both.
            **idle_unless((plain and self.conv != "gatedgcn") or (gin and self.norm == "batch"), stack, "norm"),
            **idle_unless(plain or gin or self.conv == "gatedgcn", stack, "act"),
            **idle_unless(plain and self.conv != "gatedgcn", stack, "last_act"),
            **idle_unless(not heads_follow, "a last layer that a linear head follows", "out_heads"),
        }


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

    def build(self, dims):
        """Return the model; raises :class:`UsageError` for options that do not go together."""
        from graphkit.nn.gnn import LabelGNN

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
        from graphkit.nn.symmetric import keep_degrees

        config = self.config
        if config.add_loops and config.conv in ("gcn", "gat", "gcnii"):
            graph = dgl.add_self_loop(dgl.remove_self_loop(graph))
        if config.sampler != "full" and config.conv in ("gcn", "gcnii"):
            return keep_degrees(graph)
        return graph
