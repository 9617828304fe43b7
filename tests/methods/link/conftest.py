"""Small link data sets for the link methods."""

from __future__ import annotations

import dgl
import numpy as np
import pytest
import torch

from graphkit.datasets.base import EdgeSet, GraphDataset, LinkSplit


def make_dataset(edges, n, *, features=None, train=None, valid=None, test=None, name="tiny"):
    """A link data set whose graph holds both directions of ``edges``, which are the training edges too."""
    edges = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
    graph = dgl.graph(tuple(torch.from_numpy(np.concatenate([edges, edges[:, ::-1]]).T.copy())), num_nodes=n)
    if features is not None:
        graph.ndata["feat"] = torch.as_tensor(features, dtype=torch.float32)

    def part(pos):
        pos = np.asarray(pos if pos is not None else edges[:1], dtype=np.int64).reshape(-1, 2)
        return EdgeSet(pos, neg=np.array([[0, n - 1], [1, n - 1]], dtype=np.int64))

    split = LinkSplit(EdgeSet(edges if train is None else np.asarray(train, dtype=np.int64)), part(valid), part(test))
    return GraphDataset(name, graph=graph, task="link", split=split, metric="hits@1")


def random_edges(n, count, seed):
    """Distinct undirected edges without loops."""
    low, high = np.triu_indices(n, 1)
    chosen = np.random.default_rng(seed).choice(len(low), size=count, replace=False)
    return np.stack([low[chosen], high[chosen]], axis=1)


@pytest.fixture
def dataset_of():
    """The maker of data sets."""
    return make_dataset


@pytest.fixture
def random_graph():
    """A data set over 12 nodes, one of them isolated, with dense features."""
    features = np.random.default_rng(1).normal(size=(12, 5))
    return make_dataset(random_edges(11, 22, 0), 12, features=features)


ZOO = {
    "single edge": ([(0, 1)], 3),
    "isolated nodes": ([(0, 1), (1, 2)], 6),
    "self-loop": ([(0, 0), (0, 1), (1, 2)], 4),
    "multi-edge": ([(0, 1), (0, 1), (1, 0), (1, 2), (2, 3)], 4),
    "disconnected": ([(0, 1), (1, 2), (3, 4), (4, 5)], 6),
    "star": ([(0, k) for k in range(1, 7)], 7),
    "bipartite": ([(a, b) for a in range(3) for b in range(3, 6) if a != b - 3], 6),
    "complete less one": ([(a, b) for a in range(5) for b in range(a) if (a, b) != (4, 0)], 5),
}


@pytest.fixture(params=list(ZOO))
def zoo(request):
    """Corner cases."""
    edges, n = ZOO[request.param]
    return make_dataset(edges, n, name=request.param)
