"""Options of GNNLinks."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import idle_unless, option
from graphkit.core.options import ReweightConfig

SAMPLERS = ("full", "neighbor", "labor", "shadow", "cluster", "saint")


@dataclass(frozen=True)
class GNNLinksConfig(ReweightConfig):
    """Options of the baselines."""

    conv: str = option("gcn", "DGL layer", choices=("gcn", "sage", "gat"))
    num_layers: int = option(2, "message-passing layers", min=1)
    hidden_dim: int = option(256, "width of all layers", min=1)
    heads: int = option(4, "attention heads of gat; must divide the width", min=1)
    dropout: float = option(0.3, "dropout between layers", min=0, max=1)
    decoder: str = option("mlp", "score of a pair: MLP of the product, or dot product", choices=("mlp", "dot"))
    decoder_layers: int = option(2, "layers of the MLP", min=1)
    lr: float = option(0.005, "learning rate of Adam", min=0)
    batch_size: int = option(1024, "training edges per step", min=1)
    eval_batch_size: int = option(65536, "pairs scored at once when evaluating", min=1)
    node_embedding: bool = option(False, "learn a vector per node even where there are features")
    sampler: str = option("full", "how a step's graph is drawn", choices=SAMPLERS)
    fanout: tuple[int, ...] = option(
        (10,), "neighbor, labor, shadow: neighbours per layer, for all or for each; -1 all", min=-1
    )
    parts: int = option(50, "cluster: METIS parts of the graph", min=1)
    parts_per_batch: int = option(5, "cluster: parts per step", min=1)
    saint_mode: str = option("walk", "saint: what a subgraph is drawn by", choices=("node", "edge", "walk"))
    saint_budget: tuple[int, ...] = option((500, 4), "saint: nodes, edges, or walks and their length", min=1)
    val_edges_at_test: bool = option(
        False, "test on the graph of training and validation edges (ogbl-collab's exception)"
    )
    clip_norm: float = option(1.0, "clip the gradients of encoder and decoder to this norm each; 0: no clipping", min=0)

    def idle(self, data: str | None = None) -> dict[str, str]:
        """What layer, decoder and sampler have no use for."""
        sampler = f"--sampler {self.sampler}"
        return {
            **super().idle(data),
            **idle_unless(self.conv == "gat", f"--conv {self.conv}", "heads"),
            **idle_unless(self.decoder == "mlp", f"--decoder {self.decoder}", "decoder_layers"),
            **idle_unless(self.sampler in ("neighbor", "labor", "shadow"), sampler, "fanout"),
            **idle_unless(self.sampler == "cluster", sampler, "parts", "parts_per_batch"),
            **idle_unless(self.sampler == "saint", sampler, "saint_mode", "saint_budget"),
        }
