"""Options of LAGNN: those of its generator, of the training of labels, and of its backbones and views."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from graphkit.core.config import Config, idle_unless, option
from graphkit.core.errors import UsageError
from graphkit.core.options import SupervisedConfig

BACKBONES = ("gcn", "gat", "sage", "gcnii", "grand")
ARCHITECTURE = ("latent_dim", "generator_hidden", "generator_norm", "reconstruction", "output_activation")
HELD_OUT = 0.1  # share of the edges held out where --select heldout names none
CONTROLS = ("none", "self", "shuffle", "random")


@dataclass(frozen=True)
class GeneratorConfig(Config):
    """Options of the generator."""

    latent_dim: int = option(10, "width of the generator's noise", min=1)
    generator_hidden: int = option(256, "width of the generator's hidden layers", min=1)
    generator_epochs: int = option(10, "passes of the generator over all edges", min=0)
    generator_steps: int = option(0, "steps of the generator in place of passes; 0: by passes", min=0)
    generator_batch: int = option(64, "pairs (node, neighbour) per step of the generator", min=1)
    generator_lr: float = option(0.01, "learning rate of the generator", min=0)
    generator_norm: bool = option(False, "BatchNorm in the generator, as the paper has it on OGB")
    reconstruction: str = option(
        "auto", "generator's loss; auto: bce for features in [0, 1], else squared", choices=("auto", "bce", "squared")
    )
    output_activation: str = option(
        "auto",
        "generator's last activation; auto: sigmoid with bce, tanh for features in [-1, 1], else none",
        choices=("auto", "sigmoid", "tanh", "none"),
    )
    select: str = option(
        "u-score",
        "which of the generator's steps is kept: by agreement of a GCN's dropout copies (u-score), by "
        "loss on held-out edges (heldout), or the last (none)",
        choices=("u-score", "heldout", "none"),
    )
    select_warmup: int = option(200, "steps of the generator before the first that can be kept", min=0)
    u_every: int = option(1, "steps between two scores of the generator", min=1)
    u_samples: int = option(100, "passes with dropout per score", min=1)
    u_epochs: int = option(100, "u-score: epochs of the GCN on true features", min=0)
    u_updates: int = option(20, "u-score: epochs of the GCN on the generated features of a better step", min=0)
    held_out: float = option(
        0.0,
        "share of the edges kept out of the generator's pairs to score it on; 0: a tenth with --select "
        "heldout, none otherwise",
        min=0,
        max=0.9,
    )

    row_normalize: bool = option(
        False,
        "divide each node's features by their sum, the generated ones too; the generator itself learns "
        "from the features as they are",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reconstruction == "bce" and self.output_activation not in ("auto", "sigmoid"):
            raise UsageError(
                f"--output-activation is {self.output_activation!r}, but --reconstruction bce needs sigmoid"
            )

    @property
    def held_share(self) -> float:
        """The share that is held out."""
        return self.held_out or (HELD_OUT if self.select == "heldout" else 0.0)


@dataclass(frozen=True)
class GeneratorTuningConfig(Config):
    """Options of the generator trained alone, beside its own."""

    tune: int = option(0, "with --generator-only: sets of the generator's options to try; 0: the given ones", min=0)
    tune_runs: int = option(
        100, "with --generator-only --tune: GCNs on generated features alone that score a set of options", min=1
    )


@dataclass(frozen=True)
class LAGNNConfig(GeneratorConfig, SupervisedConfig):
    """Options of LAGNN."""

    backbone: str = option(
        "gcn",
        "graph network; the words lagat, lasage, lagcnii, lagrand have the published options of the others",
        choices=BACKBONES,
    )
    hidden_dim: int = option(64, "width of a layer per view; of gat: of a head", min=1)
    num_layers: int = option(2, "convolutions", min=1)
    dropout: float = option(0.5, "dropout between layers", min=0, max=1)
    input_dropout: float = option(0.5, "dropout of the features and of the generated ones", min=0, max=1)
    attention_dropout: float = option(0.0, "dropout of the attention weights of gat", min=0, max=1)
    heads: int = option(4, "attention heads of gat", min=1)
    out_heads: int = option(1, "heads of gat's last layer, averaged", min=1)
    attention_target: bool = option(True, "let gat's attention depend on the receiving node too")
    symmetric_norm: bool = option(
        False, "scale gat's messages by the sender's degree^-1/2 and sums by the receiver's degree^1/2"
    )
    residual: bool = option(
        False, "add a linear map of its input to each of gat's layers, and one bias behind the last to the sum"
    )
    act: str = option("relu", "activation; elu with alpha 0.2, as the paper's gat has it", choices=("relu", "elu"))
    norm: str = option("none", "normalisation behind each layer but the last", choices=("none", "batch"))
    alpha: float = option(0.1, "gcnii: share of the initial vectors in every layer", min=0, max=1)
    lamda: float = option(0.5, "gcnii: strength of a layer's own weights", min=0)
    conv_weight_decay: float = option(
        0.01, "gcnii: L2 penalty of the convolutions; --weight-decay is that of the rest", min=0
    )
    node_dropout: float = option(0.5, "grand: share of nodes whose features are dropped", min=0, max=1)
    grand_order: int = option(8, "grand: steps of propagation", min=0)
    views: int = option(1, "generated feature vectors per node beside the true one; 0: the backbone alone", min=0)
    samples: int = option(4, "draws per step, whose predictions are tied together", min=1)
    mode: str = option(
        "concat",
        "views join after a first layer of their own (concat), as one input (input), or as their mean (average)",
        choices=("concat", "average", "input"),
    )
    lam: float = option(1.0, "weight of the consistency loss", min=0)
    temp: float = option(0.5, "temperature of the sharpened mean prediction", min=1e-3)
    label_input: float = option(
        0.0,
        "share of the training nodes whose classes are input of a step, which learns the others; 0: no class is input",
        min=0,
        max=0.99,
    )
    log_loss: bool = option(
        False, "learn log(e + cross-entropy), e = 1 - log 2, in place of the cross-entropy: outliers weigh less"
    )
    optimizer: str = option("adam", "optimiser", choices=("adam", "adamw", "rmsprop"))
    control: str = option(
        "none",
        "control: views are the node's own features (self), another node's (shuffle), or those of an untrained "
        "generator (random)",
        choices=CONTROLS,
    )
    generator: str | None = option(None, "file of --generator-only to use in place of training a generator", path=True)
    keep: str = option(
        "metric",
        "epoch that is kept, and that --patience waits for: of the best validation metric, or of the lowest "
        "validation loss",
        choices=("metric", "loss"),
    )
    patience_by_either: bool = option(
        False,
        "--patience starts again at a lower validation loss and at a better validation metric, "
        "whichever of them --keep looks at",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backbone in ("gcn", "gat", "sage") and self.num_layers < 2:
            raise UsageError(f"--num-layers is {self.num_layers}, expected at least 2 for --backbone {self.backbone}")
        if self.backbone in ("gcnii", "grand") and self.sampler in ("neighbor", "labor"):
            raise UsageError(
                f"--sampler is {self.sampler!r}, but --backbone {self.backbone} needs whole subgraphs: shadow, cluster"
                " or saint"
            )
        if self.backbone == "grand" and (self.views > 1 or self.mode != "concat"):
            raise UsageError(
                "--backbone grand takes one generated view, by itself: expected --views 0 or 1 and --mode concat"
            )
        if self.backbone == "grand" and self.label_input > 0:
            raise UsageError(
                f"--label-input is {self.label_input:g}, expected 0 for --backbone grand, which drops whole nodes"
            )
        if self.generator is not None and (self.control != "none" or self.views == 0):
            other = f"--control {self.control}" if self.views else "--views 0"
            raise UsageError(f"--generator and {other} exclude each other: found both")

    def idle(self, data: str | None = None) -> dict[str, str]:
        """Options of other backbones, and of views and consistency where there are none, beside the base's."""
        word, backbone = f"--backbone {self.backbone}", self.backbone
        gat = ("attention_dropout", "heads", "out_heads", "attention_target", "symmetric_norm", "residual")
        return {
            **super().idle(data),
            **self._idle_generator(),
            **idle_unless(backbone == "gat", word, *gat),
            **idle_unless(backbone == "gcnii", word, "alpha", "lamda", "conv_weight_decay"),
            **idle_unless(backbone == "grand", word, "node_dropout", "grand_order"),
            **idle_unless(backbone not in ("gcnii", "grand"), word, "act"),
            **idle_unless(backbone != "gcnii", word, "norm", "input_dropout"),
            **idle_unless(backbone != "grand", word, "num_layers"),
            **idle_unless(self.views > 0, "--views 0", "control", "mode"),
            **idle_unless(self.lam > 0, "--lam 0", "temp"),
            **idle_unless(self.patience > 0, "--patience 0", "patience_by_either"),
        }

    def _idle_generator(self) -> dict[str, str]:
        """The generator's options where there is none, and those of its training where it is not trained."""
        names = [item.name for item in dataclasses.fields(GeneratorConfig) if item.name != "row_normalize"]
        if self.views == 0 or self.control in ("self", "shuffle"):
            return dict.fromkeys(names, "--views 0" if self.views == 0 else f"--control {self.control}")
        if self.generator is not None or self.control == "random":
            training = [name for name in names if name not in ARCHITECTURE]
            return dict.fromkeys(training, "--generator" if self.generator is not None else "--control random")
        return {
            **idle_unless(self.select != "none", "--select none", "select_warmup", "u_every"),
            **idle_unless(self.select == "u-score", f"--select {self.select}", "u_samples", "u_epochs", "u_updates"),
        }
