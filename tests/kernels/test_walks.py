"""Sampled tokens: walks against their plain definition and their odds, sets and subgraphs against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from graphkit.graph.adjacency import Adjacency
from graphkit.graph.splitmix import next_words, uniform
from graphkit.methods.graph.graph_mamba import walks as kernel


def rows_of(dense):
    """Row u lists v as often as dense[u, v] says."""
    dense = np.asarray(dense)
    rows, columns = np.nonzero(dense)
    repeat = dense[rows, columns]
    rows, columns = np.repeat(rows, repeat), np.repeat(columns, repeat)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(dense)))]).astype(np.int64)
    return Adjacency(indptr, columns.astype(np.int32), np.empty(0, np.float32))


def random_graph(n, p, seed, directed=False, loops=False, repeats=False):
    rng = np.random.default_rng(seed)
    dense = (rng.random((n, n)) < p).astype(int)
    if repeats:
        dense *= rng.integers(1, 4, (n, n))
    if not loops:
        np.fill_diagonal(dense, 0)
    return dense if directed else np.triu(dense, 1) + np.triu(dense).T


ZOO = {
    "undirected": random_graph(30, 0.15, 0),
    "directed with sinks": random_graph(30, 0.04, 1, directed=True),
    "loops and repeated edges": random_graph(20, 0.2, 2, loops=True, repeats=True),
    "no edges": np.zeros((5, 5), int),
    "one node": np.zeros((1, 1), int),
    "star": np.pad(np.ones((1, 39), int), ((0, 39), (1, 0))) + np.pad(np.ones((1, 39), int), ((0, 39), (1, 0))).T,
}
EVERY = pytest.mark.parametrize("name", list(ZOO))
OPTIONS = {"m": 3, "walks": 4, "repeats": 2}


def drawn(dense, nodes=None, seed=3, **options):
    matrix = rows_of(dense)
    nodes = np.arange(len(dense)) if nodes is None else np.asarray(nodes)
    return matrix, kernel.token_walks(matrix, nodes, seed=seed, **{**OPTIONS, **options})


def test_words_are_splitmix64():
    """The generator's published first outputs for the seed 1234567."""
    state, words = np.array([1234567], np.uint64), []
    for _ in range(5):
        state, word = next_words(state)
        words.append(int(word[0]))
    assert words == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_uniform_numbers_depend_on_their_place_alone_and_spread():
    numbers = uniform(5, np.arange(40_000))
    assert (numbers[100:200] == uniform(5, np.arange(100, 200))).all() and (
        numbers != uniform(6, np.arange(40_000))
    ).mean() > 0.99
    counts = np.bincount((numbers * 20).astype(int), minlength=20)
    assert ((counts - 2000) ** 2 / 2000).sum() < 46  # chi-square of 19 degrees: p < 0.0005


@EVERY
@pytest.mark.parametrize("m, walks, repeats", [(3, 4, 2), (1, 1, 1), (0, 2, 3), (5, 7, 1)])
def test_kernel_equals_the_plain_definition(name, m, walks, repeats):
    matrix = rows_of(ZOO[name])
    nodes = np.random.default_rng(0).integers(len(ZOO[name]), size=17)
    options = {"m": m, "walks": walks, "repeats": repeats, "seed": 2**62 - 5}
    found = kernel.token_walks(matrix, nodes, **options)
    assert found.shape == (17, m * repeats + 1, walks, m + 1) and found.dtype == np.int32
    assert (found == kernel.token_walks_plain(matrix, nodes, **options)).all()


@EVERY
def test_every_step_is_an_edge_and_lengths_fall(name):
    dense = ZOO[name]
    _, walks = drawn(dense)
    lengths = [3, 3, 2, 2, 1, 1, 0]
    assert kernel.token_lengths(3, 2).tolist() == lengths
    stuck = dense.sum(1) == 0
    for v, tokens in enumerate(walks):
        for token, length in zip(tokens, lengths):
            for walk in token.tolist():
                assert walk[0] == v and min(walk[: length + 1]) >= 0 and walk[length + 1 :] == [-1] * (3 - length)
                for a, b in zip(walk, walk[1 : length + 1]):
                    assert dense[a, b] > 0 or (stuck[a] and a == b)


def test_frequencies_are_those_of_uniform_walks():
    """Ends of walks of 1, 2 and 3 steps follow the powers of D^-1 A, repeated edges counted; within 4 sigma each."""
    dense = random_graph(12, 0.4, 4, loops=True, repeats=True)
    step = dense / dense.sum(1, keepdims=True)
    _, walks = drawn(dense, nodes=[7], walks=30_000, repeats=1)
    power = np.eye(12)
    for k in (1, 2, 3):
        power = power @ step
        ends = walks[0, 0, :, k]
        share, odds = np.bincount(ends, minlength=12) / len(ends), power[7]
        sigma = np.sqrt(odds * (1 - odds) / len(ends))
        assert (np.abs(share - odds) <= 4 * sigma + 1e-12).all()
        assert (share[odds == 0] == 0).all()


def test_walks_of_tokens_steps_and_seeds_are_independent():
    """Pairs of first steps, over places that could share random words, fill their table evenly."""
    dense = np.ones((5, 5), int) - np.eye(5, dtype=int)
    seeds = [kernel.token_walks(rows_of(dense), np.arange(5), m=2, walks=2, repeats=2, seed=s) for s in range(3000)]
    steps = np.stack(seeds)  # (seeds, nodes, tokens, walks, 3)
    pairs = {
        "walks": (steps[:, 0, 0, 0, 1], steps[:, 0, 0, 1, 1]),
        "repeats": (steps[:, 0, 0, 0, 1], steps[:, 0, 1, 0, 1]),
        "lengths": (steps[:, 0, 0, 0, 1], steps[:, 0, 2, 0, 1]),
        "nodes": (steps[:, 0, 0, 0, 1], steps[:, 1, 0, 0, 1]),
        "steps": (steps[:, 0, 0, 0, 1] - steps[:, 0, 0, 0, 0], (steps[:, 0, 0, 0, 2] - steps[:, 0, 0, 0, 1]) % 5),
        "seeds": (steps[:-1, 0, 0, 0, 1], steps[1:, 0, 0, 0, 1]),
    }
    for name, (a, b) in pairs.items():
        table = np.zeros((5, 5))
        np.add.at(table, (a, b), 1)
        table = table[table.sum(1) > 0][:, table.sum(0) > 0]
        expected = table.sum() / table.size
        assert table.shape == (4, 4) and ((table - expected) ** 2 / expected).sum() < 40, (
            name
        )  # chi-square of 15: p < 0.0005


def test_tokens_do_not_depend_on_the_batch():
    _, whole = drawn(ZOO["undirected"])
    _, some = drawn(ZOO["undirected"], nodes=[9, 2, 9])
    assert (some == whole[[9, 2, 9]]).all()
    _, other = drawn(ZOO["undirected"], seed=4)
    assert (other != whole).any()


def test_result_does_not_depend_on_threads(monkeypatch):
    monkeypatch.setattr("graphkit.graph.threads.LEAST", 10)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            matrix, walks = drawn(random_graph(200, 0.05, 5))
            nodes, starts, place = kernel.unions(walks)
            found.append([walks, nodes, starts, place, *kernel.induced(matrix, nodes, starts)])
    finally:
        torch.set_num_threads(before)
    assert all((a == b).all() for a, b in zip(*found))


@EVERY
def test_unions_and_induced_subgraphs_by_brute_force(name):
    dense = ZOO[name]
    matrix, walks = drawn(dense)
    nodes, starts, place = kernel.unions(walks)
    src, dst, entry = kernel.induced(matrix, nodes, starts)
    expected_edges = []
    tokens = walks.reshape(-1, *walks.shape[2:])
    for number, token in enumerate(tokens):
        right = sorted({int(v) for v in token.ravel() if v >= 0})
        low, high = starts[number], starts[number + 1]
        assert nodes[low:high].tolist() == right
        for a, b in itertools.product(range(len(right)), repeat=2):
            expected_edges += [(low + a, low + b)] * dense[right[a], right[b]]
    assert sorted(zip(src.tolist(), dst.tolist())) == sorted(expected_edges)
    rows = np.repeat(np.arange(len(dense)), matrix.degrees())
    assert (rows[entry] == nodes[src]).all() and (matrix.indices[entry] == nodes[dst]).all()
    assert len(set(zip(np.searchsorted(starts, src, "right").tolist(), entry.tolist()))) == len(
        entry
    )  # no edge twice in a token
    there = walks >= 0
    assert (place[~there] == -1).all() and (nodes[place[there]] == walks[there]).all()
    owner = np.searchsorted(starts, place, "right") - 1
    assert (
        owner[there] == np.broadcast_to(np.arange(len(tokens)).reshape(len(walks), -1, 1, 1), walks.shape)[there]
    ).all()


def test_visit_counts_by_brute_force():
    _, walks = drawn(ZOO["undirected"])
    nodes, starts, place = kernel.unions(walks)
    counts = kernel.visit_counts(place, len(nodes))
    for number, token in enumerate(walks.reshape(-1, *walks.shape[2:])):
        for row in range(starts[number], starts[number + 1]):
            assert counts[row].tolist() == [np.mean(token[:, step] == nodes[row]) for step in range(4)]


@EVERY
def test_bits_by_brute_force(name):
    dense = ZOO[name]
    matrix, walks = drawn(dense)
    bits = kernel.walk_bits(matrix, walks, 2)
    assert bits.shape == (*walks.shape, 4)
    for walk, found in zip(walks.reshape(-1, 4), bits.reshape(-1, 4, 4)):
        for t, j in itertools.product(range(4), (1, 2)):
            real = t - j >= 0 and walk[t] >= 0
            u, v = walk[t - j], walk[t]
            assert found[t, j - 1] == (real and u == v)
            assert found[t, 2 + j - 1] == (real and dense[u, v] + dense[v, u] > 0)


def test_wrong_sizes_are_refused():
    for wrong in ({"m": -1}, {"walks": 0}, {"repeats": 0}):
        with pytest.raises(ValueError, match="expected at least 0, 1 and 1"):
            drawn(ZOO["undirected"], **wrong)


def test_no_nodes():
    matrix, walks = drawn(ZOO["undirected"], nodes=[])
    nodes, starts, place = kernel.unions(walks)
    assert len(nodes) == 0 and starts.tolist() == [0] and place.shape == (0, 7, 4, 4)
    assert all(len(part) == 0 for part in kernel.induced(matrix, nodes, starts))
