"""Options of GraphGPS."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import idle_unless, option
from graphkit.core.options import SupervisedConfig

LOCAL = ("gatedgcn", "gine", "gin", "gcn", "gat", "sage", "pna", "none")


RAW = ("rwse", "rwcols", "rwrows", "hkdiag", "elstatic")  # encodings that go through a BatchNorm as they are


ATTENTION = ("transformer", "performer", "bigbird", "none")


@dataclass(frozen=True)
class GraphGPSConfig(SupervisedConfig):
    """Options of GraphGPS; the defaults are those that its published configurations share."""

    local: str = option("gatedgcn", "message-passing layer beside the attention", choices=LOCAL)
    attn: str = option(
        "transformer",
        "attention among all nodes of a graph; performer and bigbird are linear in them",
        choices=ATTENTION,
    )
    pe: str = option(
        "none",
        "encodings NAME[:K[:DIM]],...: lappe, lappe-sym, lappe-mean, signnet-mlp, signnet-ds, "
        "rwse, rwcols, rwrows, hkdiag, elstatic[:DIM], peg[:K]",
    )
    num_layers: int = option(4, "layers of message passing beside attention", min=1)
    hidden_dim: int = option(64, "width of all layers", min=1)
    heads: int = option(4, "attention heads, of gat too; must divide the width", min=1)
    dropout: float = option(0.0, "dropout after both branches and in the feed-forward part", min=0, max=1)
    attn_dropout: float = option(
        0.5, "dropout of the attention weights; of performer's output, which has none", min=0, max=1
    )
    performer_kernel: str = option("softmax", "performer: kernel of the random features", choices=("softmax", "relu"))
    performer_head_dim: int = option(64, "performer: width of each head; 0: hidden-dim over heads", min=0)
    norm: str = option(
        "batch", "norm after each branch and after the feed-forward part", choices=("none", "batch", "layer")
    )
    act: str = option("relu", "activation", choices=("relu", "gelu", "elu", "silu"))
    pool: str = option("mean", "node vectors to graph vector", choices=("mean", "add", "max"))
    head: str = option(
        "default", "graph head: an MLP, or one that halves the width twice (san)", choices=("default", "san")
    )
    head_layers: int = option(1, "linear layers of the node head and of the default graph head", min=1)
    lap_encoder: str = option("deepset", "lappe: network over the frequencies", choices=("deepset", "transformer"))
    lap_layers: int = option(2, "lappe: linear or Transformer layers", min=1)
    lap_post_layers: int = option(0, "lappe: layers of an MLP after the sum over frequencies", min=0)
    raw_encoder: str = option(
        "linear", "rwse, hkdiag, elstatic: network after the BatchNorm of the raw values", choices=("linear", "mlp")
    )
    lr: float = option(0.001, "learning rate", min=0)
    weight_decay: float = option(1e-5, "L2 penalty of adam, decoupled decay of adamw", min=0)
    optimizer: str = option("adamw", "optimiser", choices=("adam", "adamw"))
    schedule: str = option("cosine", "learning rate over the epochs", choices=("constant", "cosine", "step"))
    warmup: int = option(5, "epochs over which the learning rate rises linearly", min=0)
    clip_norm: float = option(1.0, "clip the gradient to this norm; 0: no clipping", min=0)

    def idle(self, data: str | None = None) -> dict[str, str]:
        """Options of other attentions, encodings and heads, beside the base's."""
        names = {part.strip().partition(":")[0] for part in self.pe.split(",")}
        attn, pe = f"--attn {self.attn}", f"--pe {self.pe}"
        return {
            **super().idle(data),
            **idle_unless(self.attn != "none", attn, "attn_dropout", *(() if self.local == "gat" else ("heads",))),
            **idle_unless(self.attn == "performer", attn, "performer_kernel", "performer_head_dim"),
            **idle_unless(
                any(name.startswith("lappe") for name in names), pe, "lap_encoder", "lap_layers", "lap_post_layers"
            ),
            **idle_unless(not names.isdisjoint(RAW), pe, "raw_encoder"),
            **idle_unless(data in (None, "graphs"), "a task on nodes", "head"),
            **idle_unless(data != "graphs" or self.head != "san", "--head san", "head_layers"),
        }
