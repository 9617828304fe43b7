"""Options of NAT."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import option
from graphkit.core.options import LearnerConfig

HOPS = 2


@dataclass(frozen=True)
class NATConfig(LearnerConfig):
    """Options of NAT; the names in brackets are those of the official scripts."""

    epochs: int = option(50, "passes over the training events", min=0)
    patience: int = option(
        3, "stop after this many evaluations without a better validation score; 0 never stops", min=0
    )
    min_gain: float = option(
        1e-3, "a gain by less than this share of the last score that counted does not reset the patience", min=0
    )
    hops: int = option(2, "tables of neighbours: of direct ones, and of theirs (ngh_dim hops)", min=0, max=HOPS)
    cache: tuple[int, ...] = option((32, 16), "slots of a node for each hop (n_degree)", min=1)
    alpha: float = option(0.9, "probability that a newcomer takes a slot with another key (replace_prob)", min=0, max=1)
    cache_hash: str = option(
        "paper", "slot of a key: the paper's polynomial, or a well-mixed word", choices=("paper", "mix")
    )
    self_dim: int = option(72, "width of a node's own vector", min=1)
    slot_dim: int = option(4, "width of the vector in a slot (ngh_dim)", min=1)
    pos_dim: int = option(16, "width of the vector for the 64 codes of where a shared neighbour sits", min=1)
    time_dim: int = option(1, "frequencies of the encoding of time", min=1)
    time_input: str = option(
        "absolute", "encode the time since the first event, or the age of what is stored", choices=("absolute", "age")
    )
    hop2_event: str = option(
        "bringing",
        "hop 2: a slot keeps the event that brought its key, or the key's own with the node between",
        choices=("bringing", "own"),
    )
    heads: int = option(2, "heads of the pooling (attn_n_head)", min=1)
    pool: str = option(
        "sum",
        "pooling over neighbours: plain sum, as the official code runs; attention, as the paper says; none",
        choices=("sum", "attention", "none"),
    )
    pool_dim: int = option(0, "width of a pooled vector; 0: that of what is pooled", min=0)
    dropout: float = option(0.1, "dropout of the pooled vectors", min=0, max=0.99)
    lr: float = option(1e-4, "learning rate of Adam", min=0)
    batch_size: int = option(64, "events per step", min=1)
    eval_batch_size: int = option(32, "events judged before the tables take them in", min=1)
