"""JODIE: temporal links from two coupled recurrent networks and a projection of each node's vector to the present."""

from __future__ import annotations

from graphkit.methods.temporal.jodie.config import JODIEConfig
from graphkit.training.event_vectors import EventVectorsLearner


class JODIE(EventVectorsLearner):
    """Scores whether two nodes interact now by their projected vectors s_u (1 + w dt_u) and s_v (1 + w dt_v).

    An event of a source u with a destination v changes both: s_u <- RNN_U([s_v | phi(dt_u) | f_e], s_u) and
    s_v <- RNN_I([s_u | phi(dt_v) | f_e], s_v) with dt the time since each last changed. The form is the one in which
    TGN's paper compares it. It differs from the original in these points: that learns to foretell the vector of the
    next item and ranks items by distance, here pairs are classified against random destinations; it batches events so
    that all of a node's are worked in (t-batch), here the last one of a batch is; it adds a fixed one-hot vector a
    node, here there is none, so that new nodes can be scored; and dt enters the RNN as phi(dt), not as a number. A
    batch costs O(B d^2), memory is O(n d). Reference: Kumar, Zhang, Leskovec 2019.
    """

    Config = JODIEConfig
    config: JODIEConfig

    def parts(self) -> dict:
        """Memory with a cell for each side, and the projection."""
        update = {"updater": self.config.updater, "own": False, "sides": 1 + self.config.coupled}
        return {"embedding": "time", "memory": update, "last": True}
