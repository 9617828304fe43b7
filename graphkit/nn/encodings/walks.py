"""Random-walk encodings: return probabilities, and the mass that leaves or arrives."""

from __future__ import annotations

import joblib
import numpy as np
import scipy.sparse

from graphkit.nn.encodings.structure import Structure

DENSE = 256  # nodes up to which powers are dense matrices
BLOCK = 512  # most unit vectors walked at once on larger graphs
CACHE = 2**22  # bytes that a block should fit in


def rwse(structure: Structure, steps: int, threads: int = 1) -> np.ndarray:
    """Return (n, steps) float64: diag(P^1), ..., diag(P^steps) for P = D^-1 A, rows by out-degree.

    Follows edges as they are directed; the row of an isolated node is zero. Graphs of more than :data:`DENSE` nodes are
    walked in blocks of at most :data:`BLOCK` unit vectors: O(steps m n) time, O(n) memory per block and thread.
    """
    if structure.num_nodes <= DENSE:
        return _dense(structure.walk().toarray(), steps)
    matrix, block = structure.adjacency(), _directed_block
    walk = structure.walk()
    if (matrix != matrix.T).nnz == 0:
        degree = np.asarray(matrix.sum(axis=1)).ravel()
        root = scipy.sparse.diags(np.sqrt(np.divide(1.0, degree, out=np.zeros(len(degree)), where=degree > 0)))
        walk, block = (root @ matrix @ root).tocsr(), _symmetric_block
    work = (joblib.delayed(block)(walk, nodes, steps) for nodes in blocks(structure.num_nodes))
    return np.concatenate(joblib.Parallel(n_jobs=threads, prefer="threads")(work))


def blocks(n: int, least: int = 16) -> list[np.ndarray]:
    """Nodes 0..n-1 in pieces of ``least`` to :data:`BLOCK`, so that their (n, piece) float64 vectors stay in the
    cache.
    """
    width = int(np.clip(CACHE // (8 * n), least, BLOCK))
    return [np.arange(start, min(start + width, n)) for start in range(0, n, width)]


def _dense(walk: np.ndarray, steps: int) -> np.ndarray:
    out, power = np.empty((len(walk), steps)), walk
    for step in range(steps):
        power = power if step == 0 else power @ walk
        out[:, step] = power.diagonal()
    return out


def units(n: int, nodes: np.ndarray) -> np.ndarray:
    """(n, nodes) columns e_i of the given nodes."""
    x = np.zeros((n, len(nodes)))
    x[nodes, np.arange(len(nodes))] = 1.0
    return x


def _directed_block(walk, nodes: np.ndarray, steps: int) -> np.ndarray:
    x, out = units(walk.shape[0], nodes), np.empty((len(nodes), steps))
    for step in range(steps):
        x = walk @ x
        out[:, step] = x[nodes, np.arange(len(nodes))]
    return out


def _symmetric_block(walk, nodes: np.ndarray, steps: int) -> np.ndarray:
    """S = D^-1/2 A D^-1/2 has the powers' diagonals of P, and (S^(a+b))_ii = <S^a e_i, S^b e_i> halves the products."""
    x, out = units(walk.shape[0], nodes), np.empty((len(nodes), steps + 1))
    for step in range(0, steps, 2):
        following = walk @ x
        out[:, step] = np.einsum("nb,nb->b", x, following)
        out[:, step + 1] = np.einsum("nb,nb->b", following, following)
        x = following
    return out[:, :steps]


def walk_sums(structure: Structure, steps: int, side: str) -> np.ndarray:
    """Return (n, steps): sums over the entries of P^k off its diagonal, k = 1..steps.

    side ``rows``: the probability that a walk from the node is elsewhere after k steps. ``columns``: the probabilities
    that walks from each other node end here, summed; what arrives in excess of what leaves tells hubs from leaves.
    O(steps m) beyond :func:`rwse`.
    """
    walk = structure.walk()
    matrix = walk if side == "rows" else walk.T.tocsr()
    out, x = np.empty((structure.num_nodes, steps)), np.ones(structure.num_nodes)
    for step in range(steps):
        x = matrix @ x
        out[:, step] = x
    return out - rwse(structure, steps)
