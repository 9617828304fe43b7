"""Options of OrbitAdjacency."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import Config, option
from graphkit.core.orbit_keys import keys_of


@dataclass(frozen=True)
class OrbitAdjacencyConfig(Config):
    """Options of the embedding."""

    dim: int = option(128, "length of each vector", min=1)
    source: str = option(
        "orbits", "what is counted between two nodes: graphlets on two orbits, or walks", choices=("orbits", "walks")
    )
    orbits: str = option(
        "2:1-1", "orbits: H:A-B (hops, orbits of row and column), G0 to G8, all, or a list, whose counts are added"
    )
    window: int = option(3, "walks: steps within which two nodes count as met", min=1)
    shift: float = option(1.0, "b, the number of negative samples: log b is taken off the mutual information", min=1e-9)
    tolerance: float = option(3e-3, "accuracy of the singular vectors, relative to the largest singular value", min=0)
    max_memory: float = option(8.0, "GB; refuse a matrix that takes more", min=1e-9)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.wanted()

    def wanted(self) -> list[tuple[int, int, int]]:
        """The keys (hops, orbit, orbit) whose counts are added; raises :class:`UsageError` for a word that names
        none.
        """
        return keys_of(self.orbits, transposes=True)
