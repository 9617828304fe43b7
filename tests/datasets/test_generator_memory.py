"""Generators refuse what would not fit before they make it, and cost what their edges cost."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from graphkit import datasets
from graphkit.core.errors import UsageError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.generators import event_streams, synthetic
from graphkit.datasets.generators.memory import ESTIMATES, estimate
from graphkit.io import budget

HUGE = [
    "sbm:n=1000000000",
    "sbm:n=235868,k=20000,p_out=0.5",
    "sbm:n=1000000,k=1000000,features=100000",
    "target-cluster:n=10000000,k=1000000",
    "erdos:n=2000000000",
    "erdos:n=2000000000,m=2000000000",
    "barabasi:n=2000000000,m=1000000000",
    "rmat:scale=30",
    "csl:copies=2000000000",
    "pattern:train=2000000000",
    "pattern:instances=2000000000",
    "cluster:k=1000000",
    "ring-transfer:radius=1000000000",
    "ring-transfer:classes=1000000000",
    "minesweeper:rows=2000000000,cols=2000000000",
    "sparse-sbm:n=2000000000",
    "sparse-sbm:degree=1000000000",
    "repeats:events=2000000000",
    "repeats:n=2000000000,k=1000",
    "triads:n=2000000000",
    "triads:rounds=2000000000",
]


@pytest.mark.parametrize("word", HUGE)
def test_what_does_not_fit_is_refused_before_it_is_made(word):
    with pytest.raises(
        UsageError, match=r"would take about .*, more than the 8 GiB that reading may take \(--read-limit\)"
    ):
        datasets.load(word, read=ReadOptions(read_limit="8GiB"))


def test_every_generator_has_an_estimate():
    assert set(ESTIMATES) == set(synthetic.GENERATORS)
    for word, generator in synthetic.GENERATORS.items():
        assert 0 < estimate(word, generator.parameters) < 2**30
        with budget.scope(1000), pytest.raises(UsageError):
            synthetic.generate(f"{word}:")


def pairs_of(starts, p_in, p_out, seed=0):
    u, v = synthetic._all_blocks(np.asarray(starts), p_in, p_out, np.random.default_rng(seed))
    return list(zip(u.tolist(), v.tolist()))


@pytest.mark.parametrize("starts", [[0, 3, 4, 4, 9], [0, 1, 2, 3], [0, 5], [0, 0, 2, 6]])
def test_pairs_of_all_blocks_are_those_inside_and_those_across(starts):
    block = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    every = [(u, v) for v in range(starts[-1]) for u in range(v)]
    inside = [pair for pair in every if block[pair[0]] == block[pair[1]]]
    assert sorted(pairs_of(starts, 1.0, 0.0)) == sorted(inside)
    assert sorted(pairs_of(starts, 0.0, 1.0)) == sorted(set(every) - set(inside))
    assert sorted(pairs_of(starts, 1.0, 1.0)) == sorted(every)


def test_many_blocks_have_their_probabilities():
    n, k = 6000, 600
    dataset = datasets.load(f"sbm:n={n},k={k},p_in=0.4,p_out=0.0005,seed=3")
    src, dst = (ends.numpy() for ends in dataset.graph.edges())
    once, labels = src < dst, dataset.labels.numpy()
    assert k * (k + 1) / 2 > once.sum()  # fewer edges than pairs of blocks: not drawn pair by pair
    inside = int((labels[src[once]] == labels[dst[once]]).sum())
    possible = k * 10 * 9 // 2
    assert stats.binomtest(inside, possible, 0.4).pvalue > 1e-4
    assert stats.binomtest(int(once.sum()) - inside, n * (n - 1) // 2 - possible, 0.0005).pvalue > 1e-4


def test_favourites_are_distinct_and_all_alike(monkeypatch):
    monkeypatch.setattr(event_streams, "MOST_SORTED", 0)
    chosen = event_streams._favourites(6000, 7, 3, np.random.default_rng(1))
    assert all(len(set(row)) == 3 for row in chosen.tolist()) and chosen.min() == 0 and chosen.max() == 6
    sets, counts = np.unique(np.sort(chosen, axis=1), axis=0, return_counts=True)
    assert len(sets) == 35 and stats.chisquare(counts).pvalue > 1e-4


MEASURE = """
import sys
import dgl, sklearn.model_selection, scipy.sparse
from graphkit.datasets import synthetic
from graphkit.datasets.generator_memory import estimate
from graphkit.machine import peak_rss_mb
word, small = sys.argv[1:]
synthetic.generate(small)
before = peak_rss_mb()
synthetic.generate(word)
taken = int((peak_rss_mb() - before) * 2**20)
print(taken, estimate(*synthetic.parse(word)))
"""
LARGE = {
    "sbm:n=20000,p_in=0.05,p_out=0.01": "sbm:",
    "sbm:n=200000,k=20000,p_in=0.5,p_out=0.0001": "sbm:n=2000,k=1000",
    "erdos:n=100000,m=3000000": "erdos:",
    "barabasi:n=700000": "barabasi:",
    "csl:copies=1500": "csl:",
    "cluster:": "cluster:train=20,valid=5,test=5",
    "ring-transfer:radius=150": "ring-transfer:train=9,valid=9,test=9",
    "minesweeper:rows=900,cols=900": "minesweeper:",
    "sparse-sbm:n=400000": "sparse-sbm:",
    "repeats:n=2000,events=2000000": "repeats:",
    "triads:n=30000": "triads:",
}


@pytest.mark.slow
@pytest.mark.parametrize("word", LARGE)
def test_estimates_against_the_memory_that_is_taken(word):
    child = subprocess.run(
        [sys.executable, "-c", MEASURE, word, LARGE[word]], capture_output=True, text=True, timeout=900
    )
    taken, expected = map(int, child.stdout.split())
    assert taken > 50e6  # less is lost in what the libraries take
    assert taken / 1.5 < expected < 4 * taken
