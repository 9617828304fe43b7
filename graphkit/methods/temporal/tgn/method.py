"""TGN: temporal links from a memory of each node, read through attention to whom it met last."""

from __future__ import annotations

from graphkit.core.errors import UsageError
from graphkit.methods.temporal.tgn.config import TGNConfig
from graphkit.training.event_vectors import EventVectorsLearner


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
    config: TGNConfig

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
