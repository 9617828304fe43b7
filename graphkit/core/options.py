"""Options that several methods share."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import Config, idle_unless, option


@dataclass(frozen=True)
class LearnerConfig(Config):
    """Options that every trained method has."""

    epochs: int = option(100, "passes over the training set", min=0)
    patience: int = option(
        0, "stop after this many evaluations without a better validation score; 0 never stops", min=0
    )
    min_gain: float = option(
        0.0, "a gain by less than this share of the last score that counted does not reset the patience", min=0
    )
    eval_every: int = option(1, "epochs between evaluations", min=1)


SAMPLERS = ("full", "neighbor", "labor", "shadow", "cluster", "saint")


@dataclass(frozen=True)
class SupervisedConfig(LearnerConfig):
    """Options of every learner of labels."""

    lr: float = option(0.01, "learning rate", min=0)
    weight_decay: float = option(0.0, "L2 penalty of adam, decoupled decay of adamw", min=0)
    optimizer: str = option("adam", "optimiser", choices=("adam", "adamw"))
    schedule: str = option("constant", "learning rate over the epochs", choices=("constant", "cosine", "step"))
    warmup: int = option(0, "epochs over which the learning rate rises linearly", min=0)
    decay_every: int = option(50, "epochs between two cuts of the step schedule", min=1)
    decay: float = option(0.5, "factor of each cut", min=0, max=1)
    clip_norm: float = option(0.0, "clip the gradient to this norm; 0: no clipping", min=0)
    batch_size: int = option(32, "graphs, or seed nodes of a sampler, per step", min=1)
    steps: int = option(
        0, "graphs: random batches per epoch, each drawn anew (GIN's protocol); 0: one pass over all", min=0
    )
    eval_batch_size: int = option(256, "graphs per step when evaluating", min=1)
    class_weights: str = option("none", "weigh the classes of each batch by their rarity", choices=("none", "batch"))
    row_normalize: bool = option(False, "divide each node's features by their sum")
    sampler: str = option(
        "full", "how a step's graph is drawn from one large graph; evaluation sees all of it", choices=SAMPLERS
    )
    fanout: tuple[int, ...] = option(
        (10,), "neighbor, labor, shadow: neighbours per layer, for all or for each; -1 all", min=-1
    )
    parts: int = option(50, "cluster: METIS parts of the graph", min=1)
    parts_per_batch: int = option(5, "cluster: parts per step", min=1)
    saint_mode: str = option("walk", "saint: what a subgraph is drawn by", choices=("node", "edge", "walk"))
    saint_budget: tuple[int, ...] = option((500, 4), "saint: nodes, edges, or walks and their length", min=1)
    workers: int = option(0, "processes that draw a sampler's pieces ahead; 0 draws in the training process", min=0)

    def idle(self, data: str | None = None) -> dict[str, str]:
        """Options of other samplers, schedules and kinds of data."""
        sampler, full = f"--sampler {self.sampler}", self.sampler == "full"
        return {
            **super().idle(data),
            **idle_unless(self.sampler in ("neighbor", "labor", "shadow"), sampler, "fanout"),
            **idle_unless(self.sampler == "cluster", sampler, "parts", "parts_per_batch"),
            **idle_unless(self.sampler == "saint", sampler, "saint_mode", "saint_budget"),
            **idle_unless(not full, sampler, "workers"),
            **idle_unless(self.sampler != "cluster", sampler, "batch_size"),
            **idle_unless(self.schedule == "step", f"--schedule {self.schedule}", "decay_every", "decay"),
            **idle_unless(data in (None, "graphs"), "a task on nodes", "pool"),
            **idle_unless(data != "graph", "training on one graph", "steps", "eval_batch_size"),
            **idle_unless(data != "graph" or not full, "training on a whole graph", "batch_size"),
        }


@dataclass(frozen=True)
class EventVectorsConfig(LearnerConfig):
    """Options of all learners of vectors in time."""

    epochs: int = option(50, "passes over the training events", min=0)
    patience: int = option(
        5, "stop after this many evaluations without a better validation score; 0 never stops", min=0
    )
    time_dim: int = option(100, "frequencies of the encoding of time", min=1)
    lr: float = option(1e-4, "learning rate of Adam", min=0)
    batch_size: int = option(200, "events per step", min=1)
    eval_batch_size: int = option(200, "events judged before they are taken in", min=1)


@dataclass(frozen=True)
class ReweightConfig(LearnerConfig):
    """Options of the re-weighting."""

    reweight: str = option(
        "none",
        "tc: raise the weights of edges that the predictor believes in, which raises topological concentration",
        choices=("none", "tc"),
    )
    reweight_alpha: float = option(1.0, "tc: how much; 1 adds as much weight to a node's edges as they have", min=0)
    reweight_interval: int = option(1, "tc: epochs between new weights", min=1)
    reweight_warm_up: int = option(1, "tc: epochs before the first", min=0)
    reweight_aggregation: str = option(
        "gcn", "tc: mean of neighbours that an edge is scored by", choices=("gcn", "sage")
    )
    reweight_normalize: str = option(
        "receiver",
        "tc: end whose edges are normalised together; the official code's is the sender",
        choices=("receiver", "sender"),
    )

    def idle(self, data: str | None = None) -> dict[str, str]:
        """The options of the re-weighting where there is none."""
        names = ("alpha", "interval", "warm_up", "aggregation", "normalize")
        return idle_unless(self.reweight == "tc", "--reweight none", *(f"reweight_{name}" for name in names))
