"""Options of TGAT."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import option
from graphkit.core.options import EventVectorsConfig


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
