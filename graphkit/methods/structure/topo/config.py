"""Options of Topo."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import Config, option


@dataclass(frozen=True)
class TopoConfig(Config):
    """Options of the measure."""

    hops: int = option(1, "longest walks whose ends are compared", min=1, max=6)
    beta: float | None = option(None, "weight of a further step of a walk; by default 1 / mean degree", min=0)
    exact: bool = option(True, "compute the concentration itself (tc_*, tds), not its estimate alone (atc_*)")
    max_entries: int = option(
        100_000_000, "most pairs of ends of walks that the exact measure may hold, 12 bytes each", min=1
    )
    dim: int = option(256, "random dimensions of the estimate; 0 computes none", min=0)
    part: str = option("test", "part that a run is judged on", choices=("valid", "test"))
    outcome: str = option(
        "recall@10",
        "what of a run is held against the measures: recall, precision, f1, hits or ndcg at 5, 10, 20, 50 or 100; rr",
    )
    nodes: int | None = option(None, "rank for this many random nodes only; by default for all", min=1)
    known_links: bool = option(False, "rank known links too, for graphs where links come again")
    bins: int = option(10, "bins of each measure, of equally many nodes", min=1)
