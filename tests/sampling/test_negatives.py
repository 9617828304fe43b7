"""Training negatives: never a training edge, every other pair alike, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from graphkit.core.errors import DataError
from graphkit.graph.non_edges import uniform_destinations, uniform_non_edges


def codes_of(edges, n):
    return np.unique([min(u, v) * n + max(u, v) for u, v in edges]).astype(np.int64)


@pytest.mark.parametrize("density", [0.0, 0.2, 0.9])
def test_uniform_over_non_edges(density):
    n = 12
    rng = np.random.default_rng(0)
    edges = [(u, v) for u in range(n) for v in range(u) if rng.random() < density]
    codes = codes_of(edges, n) if edges else np.empty(0, dtype=np.int64)
    free = n * (n - 1) // 2 - len(codes)
    pairs = uniform_non_edges(codes, n, 400 * free, np.random.default_rng(1))
    found, counts = np.unique(pairs.min(1) * n + pairs.max(1), return_counts=True)
    assert pairs.shape == (400 * free, 2) and (pairs[:, 0] != pairs[:, 1]).all()
    assert not np.isin(found, codes).any() and len(found) == free
    # Each non-edge is expected 400 times with a standard deviation of 20.
    assert abs(counts - 400).max() < 120
    assert 0.4 < (pairs[:, 0] < pairs[:, 1]).mean() < 0.6


def test_seeded_and_empty():
    codes = codes_of([(0, 1), (2, 3)], 50)
    draws = [uniform_non_edges(codes, 50, 100, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert (draws[0] == draws[1]).all() and (draws[0] != draws[2]).any()
    assert uniform_non_edges(codes, 50, 0, np.random.default_rng(0)).shape == (0, 2)


def test_complete_graph_has_none():
    with pytest.raises(DataError, match="all 3 pairs of its 3 nodes are edges"):
        uniform_non_edges(codes_of([(0, 1), (0, 2), (1, 2)], 3), 3, 1, np.random.default_rng(0))


def test_destinations_keep_sources():
    pairs = uniform_destinations(np.array([4, 4, 1]), 10, np.random.default_rng(0))
    assert pairs[:, 0].tolist() == [4, 4, 1] and pairs.max() < 10
