"""Orders of the nodes of a graph by a structural score, with ties that are seen as ties."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch

ORDERS = ("ppr", "degree", "random")
RESTART = 0.15
DIGITS = 7  # of n times PageRank: what differs by less is a tie


def ranks(graph, node_counts: np.ndarray, order: str) -> torch.Tensor:
    """Return (n,) int64 ranks, ascending with the score; nodes of equal score have equal rank.

    graph: DGLGraph of parts laid end to end, ``node_counts`` nodes each. order: ``ppr`` (:func:`pagerank`), ``degree``
    (edges that arrive and leave), or ``random``, where all nodes are equal.
    """
    n = graph.num_nodes()
    if order == "random" or n == 0:
        return torch.zeros(n, dtype=torch.int64)
    if order == "degree":
        return (graph.in_degrees() + graph.out_degrees()).long().cpu()
    sizes = np.repeat(node_counts, node_counts)
    # Nodes that a symmetry exchanges get the same score but for the rounding of sums in another order.
    _, rank = np.unique(np.round(pagerank(graph, node_counts) * sizes, DIGITS), return_inverse=True)
    return torch.from_numpy(rank.reshape(-1).astype(np.int64))


def pagerank(graph, node_counts: np.ndarray, *, restart: float = RESTART, tolerance: float = 1e-10) -> np.ndarray:
    """Return (n,) float64 Personalised PageRank of each part of a graph, averaged over all nodes of the part as its
    centre.

    The average of the vectors p_v = restart e_v + (1 - restart) P^T p_v over v is PageRank with a uniform restart,
    found by
    iteration: O(m log(1 / tolerance)). P = D^-1 A follows the edges; a node that none leaves goes back to a uniform
        node.
    """
    n = graph.num_nodes()
    source, target = (ends.cpu().numpy() for ends in graph.edges(order="eid"))
    degree = np.bincount(source, minlength=n)
    step = scipy.sparse.csr_matrix((1.0 / degree[source], (target, source)), shape=(n, n))
    owner, sizes = np.repeat(np.arange(len(node_counts)), node_counts), np.repeat(node_counts, node_counts)
    uniform, stuck = 1.0 / sizes, degree == 0
    score = uniform
    for _ in range(int(np.ceil(np.log(tolerance) / np.log(1 - restart))) + 1):
        lost = np.bincount(owner, score * stuck, len(node_counts))[owner]
        following = restart * uniform + (1 - restart) * (step @ score + lost * uniform)
        done = np.abs((following - score) * sizes).max() < tolerance
        score = following
        if done:
            break
    return score
