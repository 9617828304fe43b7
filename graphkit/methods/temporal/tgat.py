"""TGAT: temporal links from attention over two hops of past events, without a memory."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.config import option
from graphkit.methods.event_vectors import EventVectorsConfig, EventVectorsLearner


@dataclass(frozen=True)
class TGATConfig(EventVectorsConfig):
    """Options of TGAT."""

    hidden_dim: int = option(100, "width of all layers", min=1)
    num_layers: int = option(2, "attention layers, hops of neighbours", min=1, max=3)
    heads: int = option(2, "attention heads", min=1)
    neighbours: int = option(20, "past events that a node looks at in each layer", min=1)
    neighbour_choice: str = option(
        "uniform", "some of all of the past, drawn evenly, or the last events", choices=("recent", "uniform")
    )
    within_batch: bool = option(
        False, "know the neighbours met earlier in the same batch too, as the published codes do"
    )
    dropout: float = option(0.1, "dropout of the attention weights", min=0, max=0.99)


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
