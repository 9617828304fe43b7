"""Options of OrbitCounter."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import Config, option


@dataclass(frozen=True)
class OrbitCounterConfig(Config):
    """Options of the counter."""

    rows: str = option("nodes", "what is counted: the orbits of nodes or of edges", choices=("nodes", "edges"))
    max_memory: float = option(
        8.0, "GB; refuse a result, in memory or in a file, or a list of triangles that takes more", min=1e-9
    )
