"""Options of Cleora."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import Config, option


@dataclass(frozen=True)
class CleoraConfig(Config):
    """Options of Cleora."""

    dim: int = option(128, "length of each vector", min=1)
    iterations: int = option(4, "times of averaging over neighbours and normalising", min=0)
