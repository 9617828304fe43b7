"""Embeddings of orbit adjacencies and of walks against brute force, a full SVD, and under a relabelling."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse

from graphkit.core import registry
from graphkit.core.errors import DataError, UsageError
from graphkit.methods.embedding.orbit_adjacency.method import OrbitAdjacency


def squares(matrix, hops):
    """Brute force over 4-cycles: pairs of neighbours (1) or of opposite corners (2)."""
    n = len(matrix)
    found = np.zeros((n, n))
    for some in itertools.combinations(range(n), 4):
        part = matrix[np.ix_(some, some)]
        if (part.sum(1) == 2).all() and part.sum() == 8:
            found[np.ix_(some, some)] += part if hops == 1 else 1 - part - np.eye(4)
    return found


def positive(counts, shift=1.0):
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(counts * counts.sum() / np.outer(counts.sum(1), counts.sum(0)) / shift)
    return np.where(counts > 0, np.maximum(found, 0), 0)


@pytest.mark.parametrize("hops", [1, 2])
def test_vectors_are_the_svd_of_the_pmi_of_brute_force(make_dataset, random_matrix, hops):
    matrix = random_matrix(18, 0.3)
    expected = positive(squares(matrix, hops))
    left, values, _ = np.linalg.svd(expected)
    vectors = OrbitAdjacency(orbits=f"{hops}:8-8", dim=5).embed(make_dataset(matrix, directed=False))
    np.testing.assert_allclose(vectors @ vectors.T, left[:, :5] * values[:5] @ left[:, :5].T, atol=1e-4)


def test_a_list_adds_counts_and_a_graphlet_has_both_transposes(make_dataset, random_matrix):
    matrix = random_matrix(18, 0.3)
    dataset = make_dataset(matrix, directed=False)
    found = OrbitAdjacency(orbits="1:1-2,1:2-1,2:1-1", dim=18).embed(dataset)
    np.testing.assert_array_equal(found, OrbitAdjacency(orbits="G1", dim=18).embed(dataset))
    both = positive(squares(matrix, 1) + squares(matrix, 2))
    left, values, _ = np.linalg.svd(both)
    vectors = OrbitAdjacency(orbits="1:8-8, 2:8-8", dim=4).embed(dataset)
    np.testing.assert_allclose(vectors @ vectors.T, left[:, :4] * values[:4] @ left[:, :4].T, atol=1e-4)


def test_a_key_and_its_transpose_are_the_two_sides_of_one_matrix(make_dataset, random_matrix):
    matrix = random_matrix(40, 0.15)
    dataset = make_dataset(matrix, directed=False)
    rows, columns = (OrbitAdjacency(orbits=word, dim=40, tolerance=0.0) for word in ("2:9-10", "2:10-9"))
    one, other = rows.embed(dataset), columns.embed(dataset)
    np.testing.assert_allclose(rows.singular_values, columns.singular_values, atol=1e-4)
    whole = rows.positive_pmi(scipy.sparse.csr_array(matrix.astype(int))).toarray()
    np.testing.assert_allclose(np.abs(one.T @ whole @ other), np.diag(rows.singular_values**2), atol=1e-3)


@pytest.mark.parametrize(
    "options", [{"orbits": "1:4-5"}, {"orbits": "2:6-6"}, {"orbits": "all"}, {"source": "walks", "window": 2}]
)
def test_a_relabelling_moves_the_rows(make_dataset, random_matrix, options):
    matrix = random_matrix(450, 0.02, seed=3)
    order = np.random.default_rng(0).permutation(450)
    method = OrbitAdjacency(dim=8, tolerance=1e-6, **options)
    vectors = method.embed(make_dataset(matrix, directed=False))
    moved = method.embed(make_dataset(matrix[np.ix_(order, order)], directed=False))
    np.testing.assert_allclose(moved @ moved.T, (vectors @ vectors.T)[np.ix_(order, order)], atol=1e-3)
    assert not vectors[3].any() and np.abs(vectors).sum() > 0  # node 3 has no edges


def test_walks_are_factorised_the_same_way(make_dataset, random_matrix):
    matrix = random_matrix(30, 0.2)
    degree = np.maximum(matrix.sum(1), 1)
    step = matrix / degree[:, None]
    walks = (step + step @ step) / degree[None, :] * matrix.sum() / 2
    left, values, _ = np.linalg.svd(np.log(np.maximum(walks, 1)))
    method = registry.method("rwpmi")(registry.resolve_config("rwpmi", overrides={"window": 2, "dim": 6}))
    vectors = method.embed(make_dataset(matrix, directed=False))
    np.testing.assert_allclose(vectors @ vectors.T, left[:, :6] * values[:6] @ left[:, :6].T, atol=1e-4)


def test_a_graph_of_any_kind_is_read_as_simple(zoo_dataset):
    method = OrbitAdjacency(orbits="all", dim=3)
    if not zoo_dataset.graph.num_edges():
        with pytest.raises(DataError, match="found no graphlet of --orbits all, expected at least one"):
            method.embed(zoo_dataset)
        return
    vectors = method.embed(zoo_dataset)
    assert vectors.shape == (zoo_dataset.num_nodes, 3) and vectors.dtype == np.float32 and np.isfinite(vectors).all()


def test_what_cannot_be_embedded_is_said(make_dataset):
    path = make_dataset(np.eye(5, k=1) + np.eye(5, k=-1), "path", directed=False)
    with pytest.raises(DataError, match="path: found no graphlet of --orbits 1:14-14"):
        OrbitAdjacency(orbits="1:14-14").embed(path)
    with pytest.raises(DataError, match="path: found no positive entry for --window 2 and --shift 1e"):
        OrbitAdjacency(source="walks", window=2, shift=1e6).embed(path)
    with pytest.raises(UsageError, match="--orbits 1:7-8: found '1:7-8', expected all"):
        OrbitAdjacency(orbits="1:7-8")
    with pytest.raises(
        UsageError, match="--max-memory: 2:1-1 of 6 entries or more takes 7.2e-08 GB, expected at most 5e-08"
    ):
        OrbitAdjacency(orbits="2:1-1", max_memory=5e-8).embed(path)
    with pytest.raises(UsageError, match="--max-memory: the matrix of walks of 8 and more entries"):
        OrbitAdjacency(source="walks", window=1, max_memory=5e-8).embed(path)
