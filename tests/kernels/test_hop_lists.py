"""Hop lists against their definition on dense matrices, their frequencies, and the hop features against dense
products.
"""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphkit.graph.adjacency import Adjacency
from graphkit.methods.node.largegt.hop_features import hop_features
from graphkit.methods.node.largegt.hop_lists import hop_lists, random_lists


def rows_of(dense, repeat=None):
    """A 0/1 matrix as sorted rows; ``repeat`` stores the edges of that row twice."""
    found = [np.flatnonzero(row) for row in dense]
    if repeat is not None:
        found[repeat] = np.repeat(found[repeat], 2)
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in found])]).astype(np.int64)
    return Adjacency(indptr, np.concatenate([*found, []]).astype(np.int32), np.empty(0, np.float32))


def copies_of(matrix, count):
    """Disjoint copies of a graph, one after the other: as many independent draws in one call."""
    n, m = matrix.num_nodes, len(matrix.indices)
    copy = np.arange(count)[:, None]
    indptr = np.append((matrix.indptr[:-1] + copy * m).ravel(), count * m)
    return Adjacency(indptr, (matrix.indices + copy * n).astype(np.int32).ravel(), matrix.weights)


def pool_of(dense, v):
    """The definition: neighbours, then non-zero columns of row v of A @ A."""
    return [*np.flatnonzero(dense[v]).tolist(), *np.flatnonzero(dense[v] @ dense).tolist()]


def random_graph(n, density, seed, directed):
    dense = (np.random.default_rng(seed).random((n, n)) < density).astype(int)
    np.fill_diagonal(dense, 0)
    return dense if directed else np.maximum(dense, dense.T)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.floats(0, 0.5), st.integers(0, 10**6), st.booleans(), st.integers(1, 40))
def test_lists_are_draws_from_the_pool(n, density, seed, directed, k):
    dense = random_graph(n, density, seed, directed)
    lists = hop_lists(rows_of(dense), k, seed=seed)
    assert lists.shape == (n, k) and lists.dtype == np.int32
    for v in range(n):
        pool, drawn = pool_of(dense, v), lists[v, 1:].tolist()
        assert lists[v, 0] == v
        if not pool:
            assert all(0 <= u < n for u in drawn)
        elif len(pool) < k:
            assert drawn == (pool * k)[: k - 1]
        else:  # no node more often than in the multiset
            assert all(drawn.count(u) <= pool.count(u) for u in drawn)


def test_whole_pool_of_exactly_k_minus_one():
    path = random_graph(3, 0, 0, False)
    path[[0, 1, 1, 2], [1, 0, 2, 1]] = 1
    assert hop_lists(rows_of(path), 4)[0].tolist() == [0, 1, 0, 2]  # neighbour 1, then the walks 0-1-0 and 0-1-2
    assert hop_lists(rows_of(path), 8)[1].tolist() == [1, 0, 2, 1, 0, 2, 1, 0]


def test_frequencies_of_nodes_in_both_parts_are_two_to_one():
    # A hub in the middle of six leaves, two of which are joined: from a joined leaf the other one is one and two steps
    # away.
    dense = np.zeros((7, 7), int)
    dense[0, 1:] = dense[1:, 0] = 1
    dense[1, 2] = dense[2, 1] = 1
    pool, draws = pool_of(dense, 1), 10_000
    matrix = copies_of(rows_of(dense), draws)
    counts = np.bincount(hop_lists(matrix, 2)[1::7, 1] % 7, minlength=7)
    share = np.bincount(pool, minlength=7) / len(pool)
    assert share[2] == 2 * share[3]
    assert np.abs(counts / draws - share).max() <= 3 * np.sqrt(share * (1 - share) / draws).max()
    chosen = share > 0
    assert (
        (counts - draws * share)[chosen] ** 2 / (draws * share[chosen])
    ).sum() < 24  # chi-square of 6 degrees: p < 0.0005
    # Drawn without replacement, K - 1 of P items: each item with probability (K - 1) / P.
    counts = np.bincount(hop_lists(matrix, 5, seed=1)[1::7, 1:].ravel() % 7, minlength=7)
    item = 4 / len(pool)
    single = np.bincount(pool, minlength=7) == 1
    assert np.abs(counts[single] / draws - item).max() <= 3.5 * np.sqrt(item * (1 - item) / draws)
    assert abs(counts[2] / draws - 2 * item) <= 3.5 * np.sqrt(2 * item * (1 - item) / draws)


def test_isolated_nodes_draw_uniformly_from_all_nodes():
    lists = hop_lists(rows_of(np.zeros((20, 20), int)), 501)
    assert (lists[:, 0] == np.arange(20)).all()
    counts = np.bincount(lists[:, 1:].ravel(), minlength=20)
    assert ((counts - 500) ** 2 / 500).sum() < 46  # chi-square of 19 degrees: p < 0.0005


def test_directed_rows_follow_their_arrows():
    dense = np.zeros((4, 4), int)
    dense[0, 1] = dense[1, 2] = dense[2, 3] = 1
    assert hop_lists(rows_of(dense), 5)[:2].tolist() == [[0, 1, 2, 1, 2], [1, 2, 3, 2, 3]]


def test_loops_and_repeated_edges():
    dense = np.zeros((3, 3), int)
    dense[0, 0] = dense[0, 1] = dense[1, 0] = 1
    plain, repeated = (hop_lists(rows_of(dense, repeat), 9) for repeat in (None, 0))
    assert (plain == repeated)[:2].all()
    assert plain[0].tolist() == [0, *(pool_of(dense, 0) * 9)[:8]]


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
@pytest.mark.parametrize("cap", [0, 3])
def test_result_does_not_depend_on_threads_nor_on_where_it_is_written(tmp_path, cap):
    matrix = rows_of(random_graph(700, 0.02, 3, False))
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = hop_lists(matrix, 12, seed=4, hub_cap=cap)
        numba.set_num_threads(2)
        mapped = np.lib.format.open_memmap(tmp_path / "l.npy", mode="w+", dtype=np.int32, shape=alone.shape)
        assert (hop_lists(matrix, 12, seed=4, hub_cap=cap, out=mapped) == alone).all()
    finally:
        numba.set_num_threads(before)
    assert (hop_lists(matrix, 12, seed=5, hub_cap=cap) != alone).any()


def test_hub_cap_stays_within_two_hops_and_off_is_exact():
    dense = np.zeros((40, 40), int)
    dense[0, 1:] = dense[1:, 0] = 1
    capped = hop_lists(rows_of(dense), 60, hub_cap=5)
    assert len(set(capped[1, 2:].tolist())) <= 5 and capped[1, 1] == 0
    assert (hop_lists(rows_of(dense), 60, hub_cap=39) == hop_lists(rows_of(dense), 60)).all()


def test_progress_is_reported_up_to_the_end():
    seen = []
    hop_lists(rows_of(random_graph(300, 0.05, 0, False)), 3, report=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (300, 300) and [done for done, _ in seen] == sorted({done for done, _ in seen})


@pytest.mark.parametrize("n", [0, 1])
def test_no_and_one_node(n):
    assert hop_lists(rows_of(np.zeros((n, n), int)), 3).tolist() == [[0, 0, 0]] * n
    assert random_lists(n, 3).tolist() == [[0, 0, 0]] * n
    assert hop_features(rows_of(np.zeros((n, n), int)), np.ones((n, 2))).tolist() == [[[1, 1]] * 3] * n


def test_k_below_one_is_refused():
    with pytest.raises(ValueError, match="k is 0"):
        hop_lists(rows_of(np.zeros((2, 2), int)), 0)


def test_random_lists_keep_the_node_and_spread_over_all():
    lists = random_lists(30, 400, seed=1)
    assert (lists[:, 0] == np.arange(30)).all()
    counts = np.bincount(lists[:, 1:].ravel(), minlength=30)
    assert ((counts - 399) ** 2 / 399).sum() < 60  # chi-square of 29 degrees: p < 0.0006


@pytest.mark.parametrize("directed", [False, True])
def test_hop_features_equal_dense_products(directed, monkeypatch):
    dense, x = (
        random_graph(25, 0.15, 7, directed),
        np.random.default_rng(1).standard_normal((25, 10)).astype(np.float32),
    )
    with_loops = dense + np.eye(25)
    step = np.diag(with_loops.sum(1) ** -0.5) @ with_loops @ np.diag(with_loops.sum(0) ** -0.5)
    expected = np.stack([x, step @ x, step @ step @ x], axis=1)
    found = hop_features(rows_of(dense), x)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    monkeypatch.setattr("graphkit.methods.node.largegt.hop_features.BLOCK_VALUES", 75)  # three columns at a time
    assert (hop_features(rows_of(dense), x) == found).all()
    half = hop_features(rows_of(dense), x, out=np.empty((25, 3, 10), np.float16))
    assert (half == found.astype(np.float16)).all()
    with pytest.raises(ValueError, match="24 rows"):
        hop_features(rows_of(dense), x[:24])
