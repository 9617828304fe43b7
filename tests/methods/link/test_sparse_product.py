"""The sparse product and its gradients against dense algebra."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch

from graphkit.nn.adjacency import EdgeIndex
from graphkit.nn.sparse import Structure, product


def test_gradients_of_both_factors():
    matrix = scipy.sparse.random(7, 5, 0.4, format="csr", random_state=0)
    structure = Structure.from_numpy(matrix.indptr, matrix.indices, matrix.shape)
    values = torch.tensor(matrix.data, requires_grad=True)
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v, y: product(structure, v, y), (values, x))
    np.testing.assert_allclose(product(structure, values, x).detach(), matrix @ x.detach().numpy())


def test_adjacency_with_dropped_entries():
    """Dropout makes A unsymmetric; forward uses A and backward its transpose."""
    src, dst = np.array([0, 1, 2, 0, 3, 3]), np.array([1, 2, 0, 3, 0, 3])
    index = EdgeIndex.build(src, dst, 5)
    assert index.copies.tolist() == [1, 1, 2, 1]
    adjacency = index.adjacency()
    dense = np.zeros((5, 5))
    dense[[0, 1, 0, 0, 1, 2, 2, 3], [1, 0, 2, 3, 2, 0, 1, 0]] = 1
    np.testing.assert_array_equal(adjacency.to_scipy().toarray(), dense)
    torch.manual_seed(0)
    values = adjacency.values(dropout=0.5)
    dense_values = scipy.sparse.csr_matrix((values.numpy(), index.indices, index.indptr), shape=(5, 5)).toarray()
    x = torch.randn(5, 2, requires_grad=True)
    out = adjacency.propagate_normalised(x, values)
    scale = torch.diag((1 + torch.from_numpy(dense_values).sum(1)) ** -0.5)
    step = scale @ (torch.from_numpy(dense_values) + torch.eye(5)) @ scale
    torch.testing.assert_close(out, (step @ x).float())
    weight = torch.randn(5, 2)
    (out * weight).sum().backward()
    torch.testing.assert_close(x.grad, step.T @ weight)


def test_a_scipy_copy_leaves_the_index_alone():
    """Dropping zeros works in place; done on the index's own columns it would garble the graph of all later batches."""
    index = EdgeIndex.build(np.array([0, 1, 2, 0]), np.array([1, 2, 3, 3]), 4)
    whole = index.adjacency().to_scipy().toarray()
    cut = index.adjacency().without(np.array([0, 2])).to_scipy().toarray()
    assert cut.sum() == whole.sum() - 4
    np.testing.assert_array_equal(index.adjacency().to_scipy().toarray(), whole)


def test_edge_numbers_in_either_direction():
    index = EdgeIndex.build(np.array([3, 1]), np.array([0, 2]), 4)
    assert index.edge_numbers(np.array([[0, 3], [3, 0], [2, 1], [0, 1]])).tolist() == [0, 0, 1, -1]
    assert EdgeIndex.build(np.empty(0, int), np.empty(0, int), 4).edge_numbers(np.array([[0, 1]])).tolist() == [-1]
