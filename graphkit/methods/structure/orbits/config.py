"""Options of OrbitCounter."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import Config, option


@dataclass(frozen=True)
class OrbitCounterConfig(Config):
    """Options of the counter."""

    max_memory: float = option(8.0, "GB; refuse a matrix that takes more", min=1e-9)
