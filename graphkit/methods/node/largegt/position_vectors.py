"""Position vectors of nodes, from the structure alone: FastRP, node2vec or eigenvectors of the Laplacian."""

from __future__ import annotations

import dgl
import numpy as np

from graphkit.graph.adjacency import adjacency
from graphkit.kernels.powers import PowerSum, Start
from graphkit.kernels.projection import node_keys, row_states, sparse_rows
from graphkit.methods.node.largegt.hop_tokens import cached_vectors
from graphkit.nn import encodings
from graphkit.sampling.skip_gram import random_walks, require_gensim, skip_gram

KINDS = ("fastrp", "node2vec", "lappe")
# The walks of the official node2vec vectors: 10 of 40 nodes from each node, context 20, one pass, one negative sample.
WALKS = {"num_walks": 10, "walk_length": 40}
SKIP_GRAM = {"window": 20, "negative_samples": 1, "epochs": 1, "learning_rate": 0.01}
# FastRP's powers 1 to 6, of which the lists of LargeGT see the first two; those say little of a node of degree 1 or 2.
COEFFICIENTS = (0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0)


def position_vectors(dataset, kind: str, dim: int, seed: int) -> np.ndarray:
    """Return (n, dim) float32 position vectors of the nodes of one graph; features and edge weights do not enter.

    fastrp: the method of that name, powers 3 to 6 with equal weights (:mod:`graphkit.kernels.powers`); O(m dim).
        node2vec: p = q =
    1 and the official walks, kept in the user's cache; needs the extra ``deepwalk``. lappe: eigenvectors of the
    normalised Laplacian, the first left out, of length sqrt(n), so that their entries are about 1; 0 beyond the number
    of nodes.
    """
    bare = dgl.graph(dataset.graph.edges(order="eid"), num_nodes=dataset.num_nodes)
    if kind == "fastrp":
        return _projection(adjacency(bare), dataset.ids(), dim, seed)
    if kind == "lappe":
        return _eigenvectors(bare, dim)
    return cached_vectors(
        bare, f"node2vec-{dim}-{seed}", (dataset.num_nodes, dim), lambda: _walk_vectors(bare, dim, seed)
    )


def _projection(matrix, ids: np.ndarray, dim: int, seed: int) -> np.ndarray:
    """FastRP with r = 0: sum_k norm(P^k R), standardised; row i of the very sparse R depends on the id of node i."""
    n = matrix.num_nodes
    s = max(n, 1) ** 0.5
    rows = sparse_rows(row_states(node_keys(ids), seed), dim, s)
    start = Start(n, dim, rows, np.full(n, (s / dim) ** 0.5, np.float32))
    scale = (1 / np.maximum(matrix.degrees(), 1)).astype(np.float32)
    return PowerSum(matrix, scale, COEFFICIENTS, standardize=True).in_core(start)


def _walk_vectors(graph, dim: int, seed: int) -> np.ndarray:
    require_gensim()
    return skip_gram(random_walks(graph, seed=seed, **WALKS), graph.num_nodes(), dim, seed=seed, **SKIP_GRAM)


def _eigenvectors(graph, dim: int) -> np.ndarray:
    wanted = encodings.parse(f"lappe-sym:{dim + 1}")
    encodings.compute([graph], wanted)
    vectors = graph.ndata[wanted[0].key][:, 1:, 0].numpy()
    return np.nan_to_num(vectors).astype(np.float32) * np.float32(graph.num_nodes() ** 0.5)
