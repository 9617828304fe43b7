"""FastRP: node vectors from a very sparse random projection of powers of the transition matrix."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphkit.config import Config, option
from graphkit.errors import DataError, UsageError
from graphkit.lazy import np
from graphkit.methods.base import Embedder
from graphkit.sizes import parse_bytes

if TYPE_CHECKING:
    import numpy

    from graphkit.datasets.base import GraphDataset

log = logging.getLogger(__name__)
# From this s on, the first product reads R in sparse form. Below it, R is so full that a dense product is faster, and
# its sparse form would not fit into 3 n d beside the other matrices.
SPARSE_FROM = 32.0


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


class FastRP(Embedder):
    r"""Vectors of walk similarity: the paper's N = sum_k w_k norm(P^k L R), then standardised columns.

    P = D^-1 A is the transition matrix of the graph (A[u, v] the weight of the edge from u to v, D its row sums),
    L = diag(deg_v^r) damps or stresses hubs (r is ``strength``), and R (n, d) is random with E[R R^T] = I: entries are
    +-sqrt(s/d) with probability 1/(2s) each and 0 otherwise, or Gaussian. ``norm`` divides each row by its length.
    N N^T then approximates the similarities of S = sum_k w_k P^k L by the lemma of Johnson and Lindenstrauss.

    Follows Algorithm 1 of the paper and the authors' normalisation of every power and standardisation of the sum,
    except:

    - Row i of R depends on the seed and the original id of node i alone, so that vectors survive a re-ordering of nodes
      and edges (up to the rounding of sums).
    - Without ``weights`` the norm(P^k L R) stand side by side, (n, q d), as they are.
    - A node without outgoing edges has an empty row in P (its powers are zero) and factor 1 in L.
    - ``property_ratio`` > 0 starts the last dim * ratio columns from the features X (n, F) as X V, V (F, .) sparse
      random with s = 3, as in the Neo4j variant. With 1 nothing depends on the ids: new nodes can be embedded alike.

    ``variant="gds"`` is the FastRP of Neo4j Graph Data Science: s = 3, sums of weight * vector are divided by the
    number of edges whatever their weights, ``self_influence`` adds norm(R), and columns are not standardised. Vectors
    have its distribution, not its bits (it draws from java.util.Random).

    Time O(q m d), 2 q m d in blocks; memory at most 3 n d float32 plus the graph in core. A very sparse R (s of at
    least 32) is made dense only for ``self_influence``: the first product reads its entries. Products run on graphkit's
    own numba kernel rather than DGL's SpMM, which it beats several times over on the CPU
    (``benchmarks/bench_fastrp.py`` measures both; :mod:`graphkit.kernels.propagation` says why); ``backend="dgl"`` uses
    DGL's, and is what runs on CUDA.

    Reference: Chen, Sultan, Tian, Chen, Skiena: Fast and Accurate Network Embeddings via Very Sparse Random Projection,
    CIKM 2019, arXiv 1908.11512. Neo4j variant: Graph Data Science manual, "Fast Random Projection".

    >>> import dgl
    >>> from graphkit.datasets.base import GraphDataset
    >>> ring = dgl.to_bidirected(dgl.graph(([0, 1, 2, 3], [1, 2, 3, 0])))
    >>> vectors = FastRP(dim=8, weights=(0, 1, 1)).embed(GraphDataset("ring", graph=ring), seed=42)
    >>> vectors.shape, str(vectors.dtype)
    ((4, 8), 'float32')
    """

    Config = FastRPConfig

    #: what the last search found: strength, weights, objective, value, trials; None where there was none
    tuned: dict | None = None

    def embed(self, dataset: GraphDataset, *, seed: int = 0, device: str = "cpu") -> numpy.ndarray:
        """Return (n, dim) float32 vectors, (n, dim * powers) where powers are concatenated.

        With ``memory_limit`` the result may be a memory-mapped scratch file. Raises :class:`DataError` where features
        are asked for and missing, or edge weights are negative (paper) or not finite.
        """
        config = self.config
        if config.tune:
            from graphkit.methods.embedding.tuning import tune

            config, self.tuned = tune(config, dataset, seed=seed, device=device)
        if config.concatenates:
            count = sum(coefficient != 0 for coefficient in config.coefficients)
            text = "fastrp: without --weights its %d powers of %d dimensions stand side by side: %d columns"
            log.info(text, count, config.dim, count * config.dim)
        return self.prepared(config, dataset, seed, device)()

    @staticmethod
    def prepared(config: FastRPConfig, dataset: GraphDataset, seed: int, device: str = "cpu", concatenate=None):
        """Return a function of no arguments that computes the vectors, with the terms side by side if
        ``concatenate``.
        """
        from graphkit.datasets.weights import shares
        from graphkit.kernels.adjacency import adjacency
        from graphkit.kernels.powers import PowerSum

        if config.variant == "paper":
            shares(dataset, "a transition matrix (--variant gds takes others)")
        matrix = adjacency(dataset.graph)
        scale, amplitude = _scales(config, matrix)
        start = _start(config, dataset, amplitude, seed)
        side_by_side = config.concatenates if concatenate is None else concatenate
        powers = PowerSum(matrix, scale, config.coefficients, config.normalize, config.standardizes, side_by_side)
        if _backend(config, device) == "dgl":
            from graphkit.kernels.powers_dgl import power_sum

            return lambda: power_sum(powers, start, dataset.graph, device)
        block = start.dim
        if config.memory_limit is not None:
            block = powers.block_for(start, parse_bytes("--memory-limit", config.memory_limit))
        return lambda: powers.in_core(start) if block >= start.dim else powers.in_blocks(start, block)


def _at_least_one(text: str) -> bool:
    try:
        return 1 <= float(text) < float("inf")
    except ValueError:
        return False


def _backend(config: FastRPConfig, device: str) -> str:
    if config.backend == "auto":
        if device.startswith("cuda") and config.memory_limit is not None:
            raise UsageError("--memory-limit works on the CPU, found --device cuda; add --device cpu")
        return "dgl" if device.startswith("cuda") else "numba"
    if config.backend == "numba" and device.startswith("cuda"):
        raise UsageError("--backend numba runs on the CPU, found --device cuda; use --backend dgl or --device cpu")
    return config.backend


def _scales(config: FastRPConfig, matrix) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The row factors of the matrix (D^-1 or 1) and deg^strength, both (n,) float32."""
    degrees = matrix.degrees().astype(np.float64)
    if len(matrix.weights):
        if not np.isfinite(matrix.weights).all():
            raise DataError("edge weights: found one that is not finite, expected finite numbers")
        if config.variant == "paper":
            degrees = matrix.row_sums()
    safe = np.where(degrees > 0, degrees, 1.0)
    if config.input_matrix == "adjacency":
        scale = np.ones(len(safe), np.float32)
    else:
        scale = (1 / safe).astype(np.float32)
    return scale, (safe**config.strength).astype(np.float32)


def _start(config: FastRPConfig, dataset: GraphDataset, amplitude, seed: int):
    """L R, with the columns that start from node features behind the random ones."""
    from graphkit.kernels.powers import Start
    from graphkit.kernels.projection import gaussian_rows, node_keys, row_states, sparse_columns, sparse_rows

    n, dim = dataset.num_nodes, config.dim
    own = dim - int(dim * config.property_ratio)
    states = row_states(node_keys(dataset.ids()), seed)
    s = config.density_inverse(n) if config.projection == "sparse" else 1.0
    amplitude = amplitude * np.float32((s / dim) ** 0.5)

    def random_columns(a: int, b: int) -> numpy.ndarray:
        sparse = config.projection == "sparse"
        block = sparse_columns(states, a, b, s) if sparse else gaussian_rows(states, a, b)
        block *= amplitude[:, None]
        return block

    if s >= SPARSE_FROM:
        random = Start(n, own, sparse_rows(states, own, s), amplitude)
    else:
        random = Start(n, own, dense=random_columns)
    if own == dim:
        return random
    features = _features(dataset)
    signs = sparse_rows(row_states(np.arange(features.shape[1], dtype=np.uint64), seed, salt=1), dim - own, 3.0)
    signs = signs.dense(0, dim - own) * np.float32((3 / dim) ** 0.5)

    def columns(a: int, b: int) -> numpy.ndarray:
        block = np.empty((n, b - a), np.float32)
        middle = min(max(own, a), b)
        block[:, : middle - a] = random.columns(a, middle)
        if middle < b:
            np.matmul(features, signs[:, middle - own : b - own], out=block[:, middle - a :])
        return block

    return Start(n, dim, dense=columns)


def _features(dataset: GraphDataset) -> numpy.ndarray:
    if dataset.features is None:
        raise DataError(f"{dataset.name}: --property-ratio needs node features, found none; give them with --features")
    return dataset.features.cpu().numpy().astype(np.float32, copy=False).reshape(dataset.num_nodes, -1)
