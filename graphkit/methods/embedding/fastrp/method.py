"""FastRP: node vectors from a very sparse random projection of powers of the transition matrix."""

from __future__ import annotations

import logging

import numpy as np

from graphkit.core.errors import DataError, UsageError
from graphkit.core.sizes import parse_bytes
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.weights import shares
from graphkit.graph.adjacency import adjacency
from graphkit.kernels.powers import PowerSum, Start
from graphkit.kernels.projection import gaussian_rows, node_keys, row_states, sparse_columns, sparse_rows
from graphkit.methods.embedding.fastrp.config import FastRPConfig
from graphkit.methods.embedding.fastrp.powers_dgl import power_sum
from graphkit.methods.embedding.fastrp.tuning import tune
from graphkit.methods.kinds import Embedder

log = logging.getLogger(__name__)
# From this s on, the first product reads R in sparse form. Below it, R is so full that a dense product is faster, and
# its sparse form would not fit into 3 n d beside the other matrices.
SPARSE_FROM = 32.0


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
    config: FastRPConfig

    #: what the last search found: strength, weights, objective, value, trials; None where there was none
    tuned: dict | None = None

    def embed(self, dataset: GraphDataset, *, seed: int = 0, device: str = "cpu") -> np.ndarray:
        """Return (n, dim) float32 vectors, (n, dim * powers) where powers are concatenated.

        With ``memory_limit`` the result may be a memory-mapped scratch file. Raises :class:`DataError` where features
        are asked for and missing, or edge weights are negative (paper) or not finite.
        """
        config = self.config
        if config.tune:
            config, self.tuned = tune(config, dataset, self.prepared, seed=seed, device=device)
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
        if config.variant == "paper":
            shares(dataset, "a transition matrix (--variant gds takes others)")
        matrix = adjacency(dataset.graph)
        scale, amplitude = _scales(config, matrix)
        start = _start(config, dataset, amplitude, seed)
        side_by_side = config.concatenates if concatenate is None else concatenate
        powers = PowerSum(matrix, scale, config.coefficients, config.normalize, config.standardizes, side_by_side)
        if _backend(config, device) == "dgl":
            return lambda: power_sum(powers, start, dataset.graph, device)
        block = start.dim
        if config.memory_limit is not None:
            block = powers.block_for(start, parse_bytes("--memory-limit", config.memory_limit))
        return lambda: powers.in_core(start) if block >= start.dim else powers.in_blocks(start, block)


def _backend(config: FastRPConfig, device: str) -> str:
    if config.backend == "auto":
        if device.startswith("cuda") and config.memory_limit is not None:
            raise UsageError("--memory-limit works on the CPU, found --device cuda; add --device cpu")
        return "dgl" if device.startswith("cuda") else "numba"
    if config.backend == "numba" and device.startswith("cuda"):
        raise UsageError("--backend numba runs on the CPU, found --device cuda; use --backend dgl or --device cpu")
    return config.backend


def _scales(config: FastRPConfig, matrix) -> tuple[np.ndarray, np.ndarray]:
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
    n, dim = dataset.num_nodes, config.dim
    own = dim - int(dim * config.property_ratio)
    states = row_states(node_keys(dataset.ids()), seed)
    s = config.density_inverse(n) if config.projection == "sparse" else 1.0
    amplitude = amplitude * np.float32((s / dim) ** 0.5)

    def random_columns(a: int, b: int) -> np.ndarray:
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

    def columns(a: int, b: int) -> np.ndarray:
        block = np.empty((n, b - a), np.float32)
        middle = min(max(own, a), b)
        block[:, : middle - a] = random.columns(a, middle)
        if middle < b:
            np.matmul(features, signs[:, middle - own : b - own], out=block[:, middle - a :])
        return block

    return Start(n, dim, dense=columns)


def _features(dataset: GraphDataset) -> np.ndarray:
    if dataset.features is None:
        raise DataError(f"{dataset.name}: --property-ratio needs node features, found none; give them with --features")
    return dataset.features.cpu().numpy().astype(np.float32, copy=False).reshape(dataset.num_nodes, -1)
