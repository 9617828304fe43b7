"""Options of RandNE."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import Config, option


@dataclass(frozen=True)
class RandNEConfig(Config):
    """Options of RandNE."""

    dim: int = option(128, "length of each vector", min=1)
    weights: tuple[float, ...] = option((1.0, 100.0, 10000.0, 100000.0), "weight of each power, from power 0 on")
    input_matrix: str = option("transition", "P = D^-1 A or A itself", choices=("transition", "adjacency"))
    orthogonal: bool = option(True, "make the columns of the random matrix orthonormal first")
