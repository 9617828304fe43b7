"""Options of FastRP."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import Config, option
from graphkit.core.errors import UsageError
from graphkit.core.sizes import parse_bytes


@dataclass(frozen=True)
class FastRPConfig(Config):
    """Options of FastRP; the defaults that differ between the variants are None here and filled in by
    ``for_variant``.
    """

    dim: int = option(
        128, "length of each random vector, and of the result unless the powers stand side by side", min=1
    )
    variant: str = option("paper", "the paper's algorithm or Neo4j Graph Data Science's", choices=("paper", "gds"))
    weights: tuple[float, ...] | None = option(
        None, "weight of each power, from one hop on; omitted: the powers stand side by side (paper) or 0,1,1 (gds)"
    )
    powers: int = option(4, "number of powers where --weights is omitted (paper)", min=1)
    strength: float = option(0.0, "exponent r of the degree that scales a node's random vector; below 0 damps hubs")
    projection: str = option("sparse", "distribution of the random vectors", choices=("sparse", "gaussian"))
    s: str = option("auto", "an entry is non-zero with probability 1/s; auto: sqrt(nodes) (paper) or 3 (gds)")
    normalize: bool = option(True, "divide each row of every power by its length before it is added")
    standardize: bool | None = option(
        None,
        "give each dimension mean 0 and deviation 1; omitted: yes for a weighted sum (paper), no for powers side by"
        " side and gds",
    )
    input_matrix: str = option("transition", "P = D^-1 A or A itself", choices=("transition", "adjacency"))
    self_influence: float = option(0.0, "weight of a node's own random vector (power 0)")
    property_ratio: float = option(0.0, "share of the dimensions that start from the node features", min=0, max=1)
    memory_limit: str | None = option(None, "e.g. 4GB: work in column blocks, result in a scratch file under $TMPDIR")
    backend: str = option(
        "auto", "kernels of the products; auto: numba on the CPU, dgl on CUDA", choices=("auto", "numba", "dgl")
    )
    tune: int = option(0, "search trials for --strength and the last weight (needs optuna); 0: no search", min=0)
    tune_objective: str = option("labels", "what the search maximises", choices=("labels", "links"))
    tune_dim: int = option(64, "dimensions during the search", min=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.s != "auto" and not _at_least_one(self.s):
            raise UsageError(f"--s is {self.s!r}, expected auto or a number of at least 1")
        if self.weights is not None and not any(self.weights) and not self.self_influence:
            raise UsageError("--weights has no non-zero number, expected at least one unless --self-influence is set")
        if self.memory_limit is not None:
            parse_bytes("--memory-limit", self.memory_limit)
            if self.backend == "dgl":
                raise UsageError("--memory-limit works with --backend numba, found dgl")
        if self.tune and self.weights is None and self.variant == "paper":
            raise UsageError("--tune needs --weights, e.g. 0,0,1,1: found none; it searches the last weight")

    @property
    def coefficients(self) -> tuple[float, ...]:
        """Weights of the powers 0, 1, ..., q."""
        omitted = (1.0,) * self.powers if self.variant == "paper" else (0.0, 1.0, 1.0)
        return (self.self_influence, *(omitted if self.weights is None else self.weights))

    @property
    def concatenates(self) -> bool:
        """Whether powers stand side by side."""
        return self.weights is None and self.variant == "paper"

    @property
    def standardizes(self) -> bool:
        """Whether the columns of the result are standardised: in the official code that is part of the weighted sum."""
        return self.variant == "paper" and not self.concatenates if self.standardize is None else self.standardize

    def density_inverse(self, num_nodes: int) -> float:
        """s: one entry in s of a random vector is not zero."""
        if self.s != "auto":
            return float(self.s)
        return 3.0 if self.variant == "gds" else max(num_nodes, 1) ** 0.5


def _at_least_one(text: str) -> bool:
    try:
        return 1 <= float(text) < float("inf")
    except ValueError:
        return False
