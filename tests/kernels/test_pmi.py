"""PPMI of counts and of walks, and the truncated SVD, against dense NumPy."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
import scipy.sparse

from graphkit.methods.embedding.orbit_adjacency import pmi, truncated_svd


def dense_pmi(counts, shift):
    counts = counts.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(counts * counts.sum() / np.outer(counts.sum(1), counts.sum(0))) - np.log(shift)
    return np.where(counts > 0, np.maximum(found, 0), 0)


def random_counts(shape, density, seed=0):
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 10**6, shape) * (generator.random(shape) < density)
    counts[3], counts[:, 5] = 0, 0
    return counts


@pytest.mark.parametrize("shift", [1.0, 0.5, 5.0])
@pytest.mark.parametrize("shape", [(40, 40), (30, 50)])
def test_pmi_is_its_definition(shape, shift):
    counts = random_counts(shape, 0.2)
    found = pmi.positive_pmi(scipy.sparse.csr_array(counts), shift)
    np.testing.assert_allclose(found.toarray(), dense_pmi(counts, shift), rtol=1e-5, atol=1e-6)
    assert (found.data > 0).all() and found.nnz < (counts > 0).sum()


def test_pmi_of_large_counts_and_of_none():
    counts = random_counts((20, 20), 0.5).astype(np.int64) * 2**40
    np.testing.assert_allclose(
        pmi.positive_pmi(scipy.sparse.csr_array(counts)).toarray(), dense_pmi(counts, 1), rtol=1e-5, atol=1e-6
    )
    assert pmi.positive_pmi(scipy.sparse.csr_array((4, 4), dtype=np.int64)).nnz == 0


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("window", [1, 2, 3])
def test_walks_follow_deepwalks_closed_form(window, shift, monkeypatch):
    monkeypatch.setattr(pmi, "COLUMNS", 7)
    graph = networkx.gnp_random_graph(60, 0.08, seed=window)
    graph.remove_edges_from(list(graph.edges(5)))
    near = networkx.to_numpy_array(graph, weight=None)
    inverse = np.diag(np.divide(1, near.sum(1), out=np.zeros(60), where=near.sum(1) > 0))
    walks = (
        sum(np.linalg.matrix_power(inverse @ near, t) for t in range(1, window + 1))
        @ inverse
        * near.sum()
        / (shift * window)
    )
    expected = np.log(np.maximum(walks, 1))
    found = pmi.walk_pmi(scipy.sparse.csr_array(near), window, shift).toarray()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # and the PMI of the expected number of meetings of two nodes, which ties it to the orbits' way
    meetings = near.sum(1)[:, None] * sum(np.linalg.matrix_power(inverse @ near, t) for t in range(1, window + 1))
    np.testing.assert_allclose(found, dense_pmi(meetings, shift), atol=1e-5)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("size", [60, 700])
def test_svd_is_numpys(size, symmetric):
    generator = np.random.default_rng(1)
    dense = np.abs(generator.standard_normal((size, size))) * (generator.random((size, size)) < 0.05)
    dense[7], dense[:, 7] = 0, 0
    dense = dense + dense.T if symmetric else dense
    found, values = truncated_svd.left_factors(
        scipy.sparse.csr_array(dense.astype(np.float32)), 20, symmetric=symmetric, tolerance=1e-3
    )
    left, expected, _ = np.linalg.svd(dense)
    np.testing.assert_allclose(values, expected[:20], rtol=1e-3)
    np.testing.assert_allclose(
        found.T @ found, np.diag(values), atol=1e-3 * values[0]
    )  # columns sqrt(s) long, at right angles
    gap = 1 - np.linalg.norm(
        left[:, :20].T @ (found / np.sqrt(values))[:, :10], axis=0
    )  # of the first ten to the space of twenty
    assert np.abs(gap).max() < 1e-3 and not found[7].any()
    assert (found[np.abs(found).argmax(0), np.arange(20)] > 0).all()


def test_svd_rebuilds_a_matrix_of_low_rank():
    generator = np.random.default_rng(2)
    thin = generator.random((600, 5))
    found, values = truncated_svd.left_factors(
        scipy.sparse.csr_array((thin @ thin.T).astype(np.float32)), 40, symmetric=True
    )
    assert len(values) == 5
    np.testing.assert_allclose(found @ found.T, thin @ thin.T, rtol=1e-4)


def test_svd_of_nothing():
    found, values = truncated_svd.left_factors(scipy.sparse.csr_array((5, 5), dtype=np.float32), 3, symmetric=True)
    assert found.shape == (5, 0) and values.shape == (0,)
