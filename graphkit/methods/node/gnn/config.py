"""Options of GNN."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import idle_unless, option
from graphkit.core.options import SupervisedConfig

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
