"""Checks that LargeGT's claims run in place of a training: a data set in, figures out."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse.csgraph import shortest_path

from graphkit.graph.adjacency import Adjacency, adjacency
from graphkit.methods.node.largegt.config import LargeGTConfig
from graphkit.methods.node.largegt.hop_lists import hop_lists
from graphkit.methods.node.largegt.model import LocalModule

HOPS, WALKS = 2, 2  # of the features, of the lists
DRAWS = 10_000


def four_hops_from_two(dataset) -> dict[str, float]:
    """Measure how far a node's local vector sees, and hold the lists against their definition.

    On a path of 20 nodes and on a random tree of 40, with K as large as the largest pool, for every node v:
    ``wrong_reach`` counts the v for which the furthest node with a gradient is not at distance min(4, eccentricity),
    ``wrong_reach_without`` the same with 2 and without hop tokens; ``beyond`` is the largest gradient of a node further
    away. On the data set's graph with two isolated nodes added: ``wrong_lists`` counts lists that are none (see
    :func:`_wrong_lists`), and ``sigmas`` says how far, in standard errors over 10,000 draws, nodes that are neighbours
    of both kinds are from being drawn twice as often as others.
    """
    path = [(v, v + 1) for v in range(19)]
    draw = np.random.default_rng(0)
    tree = [(int(draw.integers(v)), v) for v in range(1, 40)]
    found = {"wrong_reach": 0.0, "wrong_reach_without": 0.0, "beyond": 0.0}
    for edges in (path, tree):
        adjacency, distance = _dense(edges)
        for hop_tokens, key in ((True, "wrong_reach"), (False, "wrong_reach_without")):
            limit = WALKS + HOPS * hop_tokens
            for v, gradient in enumerate(_gradients(adjacency, hop_tokens)):
                furthest = distance[v][gradient > 0].max()
                found[key] += furthest != min(limit, distance[v].max())
                found["beyond"] = max(found["beyond"], float(gradient[distance[v] > limit].max(initial=0.0)))
    found = {key: float(value) for key, value in found.items()}
    return {**found, "wrong_lists": float(_wrong_lists(dataset.graph)), "sigmas": _sigmas(dataset.graph)}


def _dense(edges):
    """(A, all distances) of an undirected graph without isolated nodes."""
    n = max(max(edge) for edge in edges) + 1
    adjacency = np.zeros((n, n))
    adjacency[tuple(zip(*edges))] = 1
    adjacency += adjacency.T
    return adjacency, shortest_path(adjacency, unweighted=True)


def _matrix(adjacency):
    rows, columns = np.nonzero(adjacency)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(adjacency)))]).astype(np.int64)
    return Adjacency(indptr, columns.astype(np.int32), np.empty(0, np.float32))


def _gradients(adjacency, hop_tokens: bool):
    """Yield for each node v the (n,) largest gradients of a random projection of o_local(v) by the raw features of each
    node.
    """
    n = len(adjacency)
    pool = int(((adjacency > 0).sum(1) + (adjacency @ adjacency > 0).sum(1)).max())
    lists = torch.from_numpy(hop_lists(_matrix(adjacency), pool + 1).astype(np.int64))
    with_loops = torch.from_numpy(adjacency + np.eye(n))
    scale = with_loops.sum(1).rsqrt()
    step = scale[:, None] * with_loops * scale
    torch.manual_seed(0)
    module = LocalModule(LargeGTConfig(hidden_dim=8, heads=2), 5).double().eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(n, 5, dtype=torch.double, requires_grad=True)
    tokens = torch.stack([x, step @ x, step @ step @ x] if hop_tokens else [x], dim=1)
    vectors = module(tokens[lists].flatten(1, 2)) @ torch.randn(16, dtype=torch.double)
    for v in range(n):
        yield torch.autograd.grad(vectors[v], x, retain_graph=True)[0].abs().amax(1).numpy()


def _wrong_lists(graph, k: int = 25) -> int:
    """Count lists whose length or first item is wrong, which leave two hops, or are no cyclic repetition of a small
    pool.
    """
    n = graph.num_nodes()
    adjacency = np.zeros((n + 2, n + 2), np.int64)  # the last two are isolated
    adjacency[tuple(ends.numpy() for ends in graph.edges())] = 1
    lists, two, wrong = hop_lists(_matrix(adjacency), k), adjacency @ adjacency, 0
    for v, found in enumerate(lists):
        pool = [*np.flatnonzero(adjacency[v]), *np.flatnonzero(two[v])]
        drawn, right = found[1:].tolist(), found[0] == v and lists.shape[1] == k
        if len(pool) == 0:
            right &= all(0 <= u < n + 2 for u in drawn)
        elif len(pool) < k - 1:
            right &= drawn == (pool * k)[: k - 1]
        else:
            right &= all(drawn.count(u) <= pool.count(u) for u in drawn)
        wrong += not right
    return wrong


def _sigmas(graph) -> float:
    """Draw one item for the best-connected node of 10,000 disjoint copies of the graph, each copy a draw of its own."""
    matrix = adjacency(graph)
    n, v = matrix.num_nodes, int(matrix.degrees().argmax())
    row = np.zeros(n, np.int64)
    neighbours = np.unique(matrix.indices[matrix.indptr[v] : matrix.indptr[v + 1]])
    for u in neighbours:
        row[matrix.indices[matrix.indptr[u] : matrix.indptr[u + 1]]] = 1
    both = neighbours[row[neighbours] > 0]
    share = 2 * len(both) / (len(neighbours) + row.sum())
    copy = np.arange(DRAWS)[:, None]
    indptr = np.append((matrix.indptr[:-1] + copy * len(matrix.indices)).ravel(), DRAWS * len(matrix.indices))
    copies = Adjacency(indptr, (matrix.indices + copy * n).astype(np.int32).ravel(), np.empty(0, np.float32))
    drawn = hop_lists(copies, 2)[v::n, 1] % n
    return float(abs(np.isin(drawn, both).mean() - share) / (share * (1 - share) / DRAWS) ** 0.5)
