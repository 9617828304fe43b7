"""Options of Local."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import Config, option

DIFFUSIONS = ("flow", "pnorm", "ppr", "heat")


@dataclass(frozen=True)
class LocalClusteringConfig(Config):
    """Options of a local cluster; the volume is that of the cluster looked for, in the graph without labels."""

    diffusion: str = option("flow", "how mass spreads from the seeds", choices=DIFFUSIONS)
    weighted: bool = option(False, "weaken the edges whose ends have different noisy labels")
    epsilon: float = option(0.05, "weighted: share of its weight that such an edge keeps; 1: all of it", min=0, max=1)
    volume: float | None = option(
        None, "about the sum of the cluster's degrees (unit sinks: its nodes); by default the target's", min=1
    )
    mass: tuple[float, ...] = option(
        (3.0,), "flow: mass at the seeds, in volumes; of several the best cut is kept", min=0
    )
    sink: str = option(
        "degree", "flow: what a node keeps, its degree in the graph without labels or 1", choices=("degree", "unit")
    )
    tol: float = option(1e-3, "flow: mass above its sink that a node may keep", min=1e-12)
    passes: int = option(100, "flow: most passes over the nodes that hold too much; 0: no limit", min=0)
    p: float = option(4.0, "pnorm: p of the norm; larger ones make sharper boundaries, more slowly", min=2, max=8)
    alpha: float = option(0.05, "ppr: probability to start anew", min=1e-6, max=1)
    eps: float | None = option(
        None, "ppr and heat: residual over degree that is not spread; by default 0.1 or 2 over volume", min=1e-15
    )
    temperature: float = option(5.0, "heat: expected steps of the walk", min=1e-3, max=500)
    rounding: str = option(
        "sweep", "the best prefix of the nodes in order of value, or all that hold any", choices=("sweep", "support")
    )
