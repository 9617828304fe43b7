"""TGAT: temporal links from attention over two hops of past events, without a memory."""

from __future__ import annotations

from graphkit.methods.temporal.tgat.config import TGATConfig
from graphkit.training.event_vectors import EventVectorsLearner


class TGAT(EventVectorsLearner):
    """Scores whether two nodes interact now by their vectors h_u(t), h_v(t).

    h_i^l(t) = FFN([att | h_i^(l-1)(t)]) with att the attention of [h_i^(l-1)(t) | phi(0)] to [h_j^(l-1)(t_e) | f_e |
    phi(t - t_e)] of k past events e of i; a neighbour's own vector is that of the moment when it was met. h^0 are the
    node features, nothing where there are none: then only event features and times tell nodes apart. Where a node has
    more than k past events, k different ones are drawn; a node at a moment has one draw an epoch, whoever asks. A batch
    costs O(B k^l) links, fewer where neighbourhoods overlap, and a logarithm of the past; memory is O(n + E).
    Reference: Xu, Ruan, Korpeoglu, Kumar, Achan 2020.
    """

    Config = TGATConfig
    config: TGATConfig

    def parts(self) -> dict:
        """Attention alone, back in time."""
        config = self.config
        return {
            "embedding": "attention",
            "memory": None,
            "uniform": config.neighbour_choice == "uniform",
            "back": True,
            "within": config.within_batch,
        }
