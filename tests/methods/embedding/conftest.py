import dgl
import numpy as np
import pytest
import torch

from graphkit.datasets.base import GraphDataset


def make_dataset(matrix, name="test", ids=None, features=None, directed=True, multiplicity=1):
    """A data set of a dense adjacency matrix; weights other than 0 and 1 become edge weights."""
    matrix = np.asarray(matrix, dtype=float)
    source, target = np.nonzero(matrix)
    weights = matrix[source, target]
    source, target = np.tile(source, multiplicity), np.tile(target, multiplicity)
    graph = dgl.graph((torch.from_numpy(source), torch.from_numpy(target)), num_nodes=len(matrix))
    if (weights != 1).any():
        graph.edata["weight"] = torch.from_numpy(np.tile(weights, multiplicity)).float()
    if features is not None:
        graph.ndata["feat"] = torch.from_numpy(np.asarray(features, dtype=np.float32))
    return GraphDataset(name, graph=graph, directed=directed, node_ids=ids)


def random_matrix(n=40, density=0.15, weighted=False, directed=False, seed=0):
    generator = np.random.default_rng(seed)
    matrix = (generator.random((n, n)) < density) * (generator.random((n, n)) + 0.5 if weighted else 1.0)
    matrix = matrix if directed else np.triu(matrix, 1) + np.triu(matrix, 1).T
    matrix[3], matrix[:, 3] = 0, 0  # an isolated node
    return matrix


ZOO = {
    "empty": np.zeros((0, 0)),
    "one node": np.zeros((1, 1)),
    "no edges": np.zeros((4, 4)),
    "self-loop": np.array([[1.0, 1, 0], [1, 0, 1], [0, 1, 0]]),
    "disconnected": np.kron(np.eye(2), np.ones((3, 3)) - np.eye(3)),
    "directed": np.triu(np.ones((5, 5)), 1),
    "weighted": np.array([[0, 2.5, 0], [2.5, 0, 0.1], [0, 0.1, 0]]),
    "bipartite": np.kron([[0, 1], [1, 0]], np.ones((3, 3))),
}


@pytest.fixture(params=[*ZOO, "multi-edge"])
def zoo_dataset(request):
    if request.param == "multi-edge":
        return make_dataset(ZOO["bipartite"], "multi-edge", multiplicity=2)
    return make_dataset(ZOO[request.param], request.param)


@pytest.fixture(name="make_dataset")
def make_dataset_fixture():
    return make_dataset


@pytest.fixture(name="random_matrix")
def random_matrix_fixture():
    return random_matrix
