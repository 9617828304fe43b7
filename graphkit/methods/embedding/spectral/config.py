"""Options of Spectral."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import Config, option


@dataclass(frozen=True)
class SpectralConfig(Config):
    """Options of the spectral embedding."""

    dim: int = option(128, "number of eigenvectors", min=1)
    drop_first: bool = option(True, "leave out the eigenvector of the largest eigenvalue, which only reflects degrees")
    scale_degrees: bool = option(False, "divide by the square root of the degree: eigenvectors of the random walk")
    tolerance: float = option(1e-6, "relative accuracy of the eigenvalues; 0 is machine precision", min=0)
