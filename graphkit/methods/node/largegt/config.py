"""Options of LargeGT."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import idle_unless, option
from graphkit.core.errors import UsageError
from graphkit.core.options import SupervisedConfig


@dataclass(frozen=True)
class LargeGTConfig(SupervisedConfig):
    """Options of LargeGT."""

    mode: str = option("full", "which branches feed the head", choices=("local", "global", "full"))
    k: int = option(50, "length of each node's list, itself first; 1 leaves the node alone", min=1)
    hidden_dim: int = option(128, "width of a layer, and of each head", min=1)
    heads: int = option(2, "attention heads, each of the full width", min=1)
    global_dim: int = option(64, "width of the position vectors and of the features beside them in the codebook", min=1)
    centroids: int = option(1024, "centroids of the codebook", min=1)
    pos: str = option(
        "fastrp",
        "position vectors; the paper's are node2vec, FastRP is cheaper",
        choices=("fastrp", "node2vec", "lappe"),
    )
    lists: str | None = option(
        None, "folder of --prepare-only; omitted: lists are drawn, and kept in the user's cache", path=True
    )
    sample_seed: int = option(0, "seed of lists and position vectors, the same for all training seeds", min=0)
    hub_cap: int = option(
        0, "walk on from a neighbour of more edges by this many random steps; 0: by all, which is exact", min=0
    )
    hop_dtype: str = option("float32", "type of the stored hop features", choices=("float32", "float16"))
    dropout: float = option(0.5, "dropout between layers", min=0, max=1)
    residual_dropout: float = option(
        0.3, "dropout of the attention's result and of its sum with the skip", min=0, max=1
    )
    attention_dropout: float = option(0.0, "dropout of the attention weights", min=0, max=1)
    reassign_all: bool = option(
        False, "assign every node to its centroid once per epoch; otherwise those of the batches alone"
    )
    hop_tokens: bool = option(True, "give each listed node its 1- and 2-hop mean features as tokens beside its own")
    place_vectors: bool = option(
        False,
        "learned vectors of the places of the list, so that a token shows whether it is the node's own; "
        "not in the paper",
    )
    shuffle_lists: bool = option(False, "control: list random nodes in place of neighbours")
    count_bias: bool = option(True, "let a centroid weigh as many nodes as it stands for (log n_c); off is a control")
    freeze_assignments: bool = option(False, "control: nodes keep the random centroid they start with")
    lr: float = option(0.001, "learning rate", min=0)
    batch_size: int = option(1024, "seed nodes per step; memory is that of batch * 3 k * features", min=1)
    eval_batch_size: int = option(1024, "nodes per step when evaluating", min=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampler != "full":
            raise UsageError(
                f"--sampler is {self.sampler!r}, but largegt trains on lists drawn beforehand; see --k and --lists"
            )
        if self.reassign_all and self.freeze_assignments:
            raise UsageError("--reassign-all and --freeze-assignments exclude each other: found both")
        if self.lists is not None and self.shuffle_lists:
            raise UsageError("--lists and --shuffle-lists exclude each other: found both")

    def idle(self, data: str | None = None) -> dict[str, str]:
        """Options of the branch that the mode leaves out, and of lists that are not drawn, beside the base's."""
        base = {name: why for name, why in super().idle(data).items() if name not in ("batch_size", "eval_batch_size")}
        word, mode = f"--mode {self.mode}", self.mode
        local = (
            "k",
            "lists",
            "hub_cap",
            "hop_dtype",
            "residual_dropout",
            "hop_tokens",
            "place_vectors",
            "shuffle_lists",
        )
        codebook = ("global_dim", "centroids", "pos", "reassign_all", "count_bias", "freeze_assignments")
        return {
            **base,
            **idle_unless(mode != "local", word, *codebook),
            **idle_unless(
                self.lists is None, "--lists", "hub_cap", "hop_dtype", *(("sample_seed",) if mode == "local" else ())
            ),
            **idle_unless(mode != "global", word, *local),
        }
