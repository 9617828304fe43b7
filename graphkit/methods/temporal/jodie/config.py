"""Options of JODIE."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import option
from graphkit.core.options import EventVectorsConfig


@dataclass(frozen=True)
class JODIEConfig(EventVectorsConfig):
    """Options of JODIE."""

    memory_dim: int = option(100, "width of a node's vector", min=1)
    updater: str = option("rnn", "cell that works an event into the vectors", choices=("gru", "rnn"))
    coupled: bool = option(True, "one cell for sources and another for destinations; else one for both")
