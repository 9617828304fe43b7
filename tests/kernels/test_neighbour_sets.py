"""The set kernel against SciPy's row algebra and against Python sets."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from graphkit.kernels.neighbour_sets import (
    COMMON,
    ONLY_LEFT,
    ONLY_RIGHT,
    NeighbourSets,
    Rows,
    common_neighbours,
    common_weight,
    neighbour_sets,
    neighbour_sets_scipy,
    sample_one_sided,
)


def random_rows(n, density, seed, off=0.0):
    """A random 0/1 matrix as Rows with some entries off, and as SciPy with those entries gone."""
    rng = np.random.default_rng(seed)
    dense = rng.random((n, n)) < density
    matrix = scipy.sparse.csr_matrix(dense)
    matrix.sort_indices()
    keep = (rng.random(matrix.nnz) >= off).astype(np.uint8)
    rows = Rows(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), keep)
    kept = scipy.sparse.csr_matrix((keep.astype(float), matrix.indices, matrix.indptr), shape=(n, n))
    kept.eliminate_zeros()
    return rows, kept


def as_lists(sets):
    return [value.tolist() for value in sets]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 25), st.floats(0, 1), st.floats(0, 1), st.integers(0, 10**6), st.integers(0, 40))
def test_union_equals_scipy_and_python_sets(n, density, off, seed, count):
    rows, matrix = random_rows(n, density, seed, off)
    pairs = np.random.default_rng(seed + 1).integers(n, size=(count, 2))
    found = neighbour_sets(rows, rows, pairs)
    assert as_lists(found) == as_lists(neighbour_sets_scipy(matrix, pairs))
    for p, (i, j) in enumerate(pairs):
        left, right = set(matrix[i].indices.tolist()), set(matrix[j].indices.tolist())
        part = slice(found.ptr[p], found.ptr[p + 1])
        by_kind = {
            kind: set(found.node[part][found.kind[part] == kind].tolist()) for kind in (COMMON, ONLY_LEFT, ONLY_RIGHT)
        }
        assert by_kind == {COMMON: left & right, ONLY_LEFT: left - right, ONLY_RIGHT: right - left}


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(0, 10**6))
def test_intersection_of_rows_of_two_matrices(n, seed):
    left, left_matrix = random_rows(n, 0.3, seed, 0.2)
    right, right_matrix = random_rows(n, 0.5, seed + 1, 0.2)
    pairs = np.random.default_rng(seed).integers(n, size=(15, 2))
    ptr, node = common_neighbours(left, right, pairs)
    expected = left_matrix[pairs[:, 0]].multiply(right_matrix[pairs[:, 1]]).tocsr()
    expected.sort_indices()
    assert ptr.tolist() == expected.indptr.tolist() and node.tolist() == expected.indices.tolist()


def test_weighted_intersection_equals_sum():
    rows, matrix = random_rows(30, 0.4, 3, 0.1)
    pairs = np.random.default_rng(0).integers(30, size=(50, 2))
    weight = np.random.default_rng(1).random(30)
    expected = (matrix[pairs[:, 0]].multiply(matrix[pairs[:, 1]]) @ weight).ravel()
    np.testing.assert_allclose(common_weight(rows, pairs, weight), expected)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_graph_without_edges_and_no_pairs(n):
    rows = Rows(np.zeros(n + 1, dtype=np.int64), np.empty(0, dtype=np.int32), np.empty(0, dtype=np.uint8))
    pairs = np.zeros((2 if n else 0, 2), dtype=np.int64)
    assert neighbour_sets(rows, rows, pairs).ptr.tolist() == [0] * (len(pairs) + 1)
    assert len(neighbour_sets(rows, rows, np.empty((0, 2), dtype=np.int64)).node) == 0


def test_sampling_keeps_small_sets_and_is_unbiased():
    """Over many seeds the mean weight of every member is 1, and each draw's weights sum to the size of the set."""
    rows, _ = random_rows(40, 0.5, 5)
    pairs = np.array([[0, 1], [2, 3]])
    sets = neighbour_sets(rows, rows, pairs)
    total, draws = np.zeros(len(sets.node)), 4000
    for seed in range(draws):
        found, weight = sample_one_sided(sets, pairs, 5, seed)
        for p in range(2):
            for kind in (ONLY_LEFT, ONLY_RIGHT):
                whole = (sets.rows() == p) & (sets.kind == kind)
                part = (found.rows() == p) & (found.kind == kind)
                assert weight[part].sum() == pytest.approx(whole.sum(), rel=1e-5)
                assert part.sum() <= max(5, 0) or whole.sum() <= 5
                total[np.flatnonzero(whole)[np.isin(sets.node[whole], found.node[part])]] += weight[part]
        assert (weight[found.kind == COMMON] == 1).all()
    one_sided = sets.kind != COMMON
    # Standard error of a mean weight: sqrt((|R| - 1) / limit / draws) < 0.03 for |R| <= 20.
    np.testing.assert_allclose(total[one_sided] / draws, 1, atol=0.15)


def test_sampling_does_not_depend_on_order():
    rows, _ = random_rows(40, 0.6, 8)
    pairs = np.array([[0, 1], [5, 9], [9, 5]])
    sets = neighbour_sets(rows, rows, pairs)
    alone = neighbour_sets(rows, rows, pairs[1:2])
    found, weight = sample_one_sided(sets, pairs, 3, 7)
    single, single_weight = sample_one_sided(alone, pairs[1:2], 3, 7)
    part = slice(found.ptr[1], found.ptr[2])
    assert found.node[part].tolist() == single.node.tolist() and weight[part].tolist() == single_weight.tolist()
    swapped = slice(found.ptr[2], found.ptr[3])
    assert found.node[swapped].tolist() == single.node.tolist()
    assert (found.kind[swapped] == np.array([COMMON, ONLY_RIGHT, ONLY_LEFT])[single.kind]).all()


def test_rows_of_sets():
    sets = NeighbourSets(np.array([0, 2, 2, 3]), np.zeros(3, dtype=np.int32), np.zeros(3, dtype=np.uint8))
    assert sets.rows().tolist() == [0, 0, 2]
