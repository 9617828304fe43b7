"""TGN: temporal links from a memory of each node, read through attention to whom it met last."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.config import option
from graphkit.errors import UsageError
from graphkit.methods.event_vectors import EventVectorsConfig, EventVectorsLearner


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


class TGN(EventVectorsLearner):
    """Scores whether two nodes interact now by their vectors z_u(t), z_v(t).

    Memory: an event of i with j at t leaves i the raw message [s_i | s_j | phi(t - t_i) | f_e], t_i the time of i's
    last change, and j likewise. s_i <- GRU(agg(messages), s_i) is worked out when i is next read, so that the weights
    of message and cell learn from the scores of the next batch, and held once i is in a batch. Embedding: attention of
    [s_i | phi(0)] to [s_j | f_e | phi(t - t_e)] of i's last k events, or one of the simpler ones. Follows sections 3.1
    and 3.2 of the paper; neighbours are those met before the batch. A batch costs O(B k) reads of O(d), however long
    the past is (with uniform neighbours a logarithm of it); memory is O(n (d + k)), with uniform neighbours O(n d + E).
    Reference: Rossi, Chamberlain, Frasca, Eynard, Monti, Bronstein 2020.
    """

    Config = TGNConfig

    def parts(self) -> dict:
        """Memory with the chosen embedding."""
        config = self.config
        if not config.node_memory and config.embedding in ("time", "identity"):
            raise UsageError(
                f"--embedding {config.embedding} is of the memory alone, expected attention or sum with"
                " --no-node-memory"
            )
        update = {"updater": config.updater, "message": config.message, "message_dim": config.message_dim}
        return {
            "embedding": config.embedding,
            "memory": update if config.node_memory else None,
            "last": config.aggregator == "last",
            "uniform": config.neighbour_choice == "uniform",
            "within": config.within_batch,
        }
