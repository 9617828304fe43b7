"""Options of TGN."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import option
from graphkit.core.options import EventVectorsConfig


@dataclass(frozen=True)
class TGNConfig(EventVectorsConfig):
    """Options of TGN."""

    node_memory: bool = option(
        True, "keep a memory of each node; without, only neighbours tell nodes apart (TGN-no-mem)"
    )
    memory_dim: int = option(100, "width of a node's memory", min=1)
    hidden_dim: int = option(100, "width of the vectors that attention or sum give", min=1)
    updater: str = option("gru", "cell that works messages into the memory", choices=("gru", "rnn"))
    message: str = option(
        "identity", "messages as they are, or through an MLP of two layers", choices=("identity", "mlp")
    )
    message_dim: int = option(100, "mlp: width of a message", min=1)
    aggregator: str = option(
        "last", "of a node's messages of one batch take the last, or their mean", choices=("last", "mean")
    )
    embedding: str = option(
        "attention",
        "memory to vector: attention to or sum over neighbours, projection in time, or as it is",
        choices=("attention", "sum", "time", "identity"),
    )
    num_layers: int = option(1, "attention, sum: hops of neighbours", min=1, max=2)
    heads: int = option(2, "attention: heads", min=1)
    neighbours: int = option(10, "attention, sum: past events that a node looks at", min=1)
    neighbour_choice: str = option(
        "recent", "attention, sum: the last events, or some of all of the past", choices=("recent", "uniform")
    )
    within_batch: bool = option(
        False, "know the neighbours met earlier in the same batch too, as the published codes do"
    )
    dropout: float = option(0.1, "attention: dropout of its weights", min=0, max=0.99)
