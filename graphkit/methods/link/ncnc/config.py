"""Options of NCNC."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import idle_unless, option
from graphkit.core.options import ReweightConfig

VARIANTS = ("gae", "gae-cn", "ncn", "ncnc", "ncnc2", "ncn2", "ncn-diff")


@dataclass(frozen=True)
class NCNCConfig(ReweightConfig):
    """Options of NCN and NCNC; the names in brackets are those of the official scripts."""

    variant: str = option("ncnc", "what is added to the product of the two end points", choices=VARIANTS)
    depth: int | None = option(None, "levels of completion; default 1 for ncnc, 2 for ncnc2, 0 elsewhere", min=0, max=4)
    tlr: bool = option(True, "take the batch's target edges out of the graph (maskinput)")
    tlr_dedup: bool = option(True, "take every copy of a target edge out; off: only as many copies as the batch holds")
    node_input: str = option(
        "auto",
        "node features, an embedding per node, or one per one-hot category; auto: features if any",
        choices=("auto", "features", "embedding", "onehot"),
    )
    conv: str = option(
        "puregcn", "message passing: without weights, plain sum, or GCN", choices=("puregcn", "puresum", "gcn")
    )
    num_layers: int = option(1, "message-passing layers (mplayers)", min=0)
    hidden_dim: int = option(256, "width of all layers", min=1)
    jk: bool = option(True, "sum the layers with learned weights")
    res: bool = option(False, "add each layer's input to its output")
    layer_norm: bool = option(True, "LayerNorm in a weighted encoder (ln)")
    predictor_layer_norm: bool = option(True, "LayerNorm in the predictor (lnnn)")
    use_xlin: bool = option(True, "transform node vectors before pooling (use_xlin)")
    tail_act: bool = option(True, "end the pair and pool networks with an activation (tailact)")
    two_layer_lin: bool = option(False, "one more layer before the score (twolayerlin)")
    feature_dropout: float = option(0.3, "dropout of the features (xdp)", min=0, max=1)
    propagation_dropout: float = option(0.0, "dropout after the last pure layer (tdp)", min=0, max=1)
    edge_dropout: float = option(0.0, "dropout of edges in message passing (gnnedp)", min=0, max=0.99)
    hidden_dropout: float = option(0.1, "dropout in the encoder (gnndp)", min=0, max=1)
    predictor_dropout: float = option(0.05, "dropout in the predictor (predp)", min=0, max=1)
    predictor_edge_dropout: float = option(0.0, "dropout of edges in the neighbour sets (preedp)", min=0, max=0.99)
    lr: float = option(0.005, "learning rate of the encoder; 0 freezes it (gnnlr)", min=0)
    predictor_lr: float = option(0.003, "learning rate of the predictor (prelr)", min=0)
    weight_decay: float = option(0.0, "L2 penalty of all parameters, as Adam adds it to the gradient", min=0)
    batch_size: int = option(1024, "training edges per step", min=1)
    eval_batch_size: int = option(16384, "pairs scored at once when evaluating; bounds memory", min=1)
    scale: float = option(5.0, "slope of the completion probability")
    offset: float = option(3.0, "logit at which the completion probability turns")
    pt: float = option(0.5, "prior of a missing edge in the completion probability", min=0)
    alpha: float = option(1.0, "factor of the completion probability, may exceed 1", min=0)
    learn_pt: bool = option(False, "learn pt from the pair instead of fixing it (learnpt)")
    clean_recursion: bool = option(
        False, "complete with the encoder's vectors, as the paper writes it, not as its code does"
    )
    trn_deg: int = option(-1, "in training draw this many of each larger one-sided set; -1 takes all (trndeg)", min=-1)
    tst_deg: int = option(-1, "the same when evaluating (tstdeg)", min=-1)
    split_size: int = option(65536, "completed edges scored at once; bounds memory, not the result (splitsize)", min=1)
    val_edges_at_test: bool = option(
        False, "test on the graph of training and validation edges (ogbl-collab's exception)"
    )
    negatives: str = option(
        "uniform",
        "training negatives: uniform non-edges, or the source with a random destination",
        choices=("uniform", "destination"),
    )
    clip_norm: float = option(
        0.0, "clip the gradients of encoder and predictor to this norm each; 0: no clipping", min=0
    )
    init_from: str | None = option(None, "run folder whose model training starts from", path=True)
    init_parts: str = option("all", "what to take from that run", choices=("all", "encoder"))

    def idle(self, data: str | None = None) -> dict[str, str]:
        """What the variant has no use for."""
        completes, pools = self.variant in ("ncnc", "ncnc2"), self.variant != "gae"
        completion = (
            "depth",
            "scale",
            "offset",
            "pt",
            "alpha",
            "learn_pt",
            "clean_recursion",
            "trn_deg",
            "tst_deg",
            "split_size",
        )
        return {
            **super().idle(data),
            **idle_unless(completes, f"--variant {self.variant}", *completion),
            **idle_unless(pools, "--variant gae", "predictor_edge_dropout"),
            **idle_unless(pools and self.variant != "gae-cn", f"--variant {self.variant}", "use_xlin"),
            **idle_unless(self.tlr, "--no-tlr", "tlr_dedup"),
            **idle_unless(self.init_from is not None, "a run without --init-from", "init_parts"),
            **idle_unless(self.conv == "gcn", f"--conv {self.conv}", "layer_norm"),
        }

    @property
    def recursion_depth(self) -> int:
        """Levels of completion that the variant and ``depth`` ask for."""
        if self.variant not in ("ncnc", "ncnc2"):
            return 0
        return self.depth if self.depth is not None else {"ncnc": 1, "ncnc2": 2}[self.variant]
