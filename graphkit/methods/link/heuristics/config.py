"""Options of Heuristic."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import idle_unless, option
from graphkit.core.options import LearnerConfig

SCORES = ("cn", "aa", "ra", "jaccard", "pa", "katz", "ppr")


@dataclass(frozen=True)
class HeuristicConfig(LearnerConfig):
    """Options of the heuristics."""

    epochs: int = option(0, "nothing is trained", min=0, max=0)
    score: str = option("cn", "which heuristic", choices=SCORES)
    beta: float = option(
        0.005, "katz: weight of a path per step; the sum converges below 1 / largest eigenvalue", min=0
    )
    max_length: int = option(6, "katz: longest path counted", min=1)
    teleport: float = option(0.15, "ppr: probability of returning to the source", min=0.001, max=1)
    tolerance: float = option(1e-6, "ppr: stop when a source's change is at most this, in sum over nodes", min=1e-12)
    block: int = option(256, "katz and ppr: sources at once; bounds memory", min=1)
    val_edges_at_test: bool = option(
        False, "test on the graph of training and validation edges (ogbl-collab's exception)"
    )

    def idle(self, data: str | None = None) -> dict[str, str]:
        """Options of other scores."""
        return {
            **super().idle(data),
            **idle_unless(self.score == "katz", f"--score {self.score}", "beta", "max_length"),
            **idle_unless(self.score == "ppr", f"--score {self.score}", "teleport", "tolerance"),
            **idle_unless(self.score in ("katz", "ppr"), f"--score {self.score}", "block"),
        }
