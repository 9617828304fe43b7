"""Cleora, RandNE, the spectral embedding and random walks against dense definitions and closed forms."""

import numpy as np
import pytest

from graphkit.core.errors import DataError
from graphkit.kernels.projection import node_keys, row_states, uniform_rows
from graphkit.methods.embedding.cleora.method import Cleora
from graphkit.methods.embedding.randne.method import RandNE
from graphkit.methods.embedding.spectral.method import Spectral
from graphkit.methods.embedding.walks.method import Walks


def transition(matrix):
    degree = matrix.sum(axis=1)
    return matrix * np.divide(1.0, degree, out=np.zeros(len(degree)), where=degree > 0)[:, None]


def normalized(rows):
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


@pytest.mark.parametrize("directed", [False, True])
def test_cleora_matches_its_dense_definition(make_dataset, random_matrix, directed):
    matrix = random_matrix(weighted=True, directed=directed)
    expected = uniform_rows(row_states(node_keys(np.arange(40)), 3, salt=2), 16).astype(float)
    assert (
        np.abs(expected).max() <= 1 and abs(expected.mean()) < 0.1 and expected.std() == pytest.approx(3**-0.5, rel=0.1)
    )
    for _ in range(4):
        expected = normalized(transition(matrix) @ expected)
    found = Cleora(dim=16, iterations=4).embed(make_dataset(matrix), seed=3)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("input_matrix", ["transition", "adjacency"])
def test_randne_matches_its_dense_definition(make_dataset, random_matrix, input_matrix):
    matrix, weights = random_matrix(weighted=True), (1.0, 10.0, 100.0)
    dataset = make_dataset(matrix)
    method = RandNE(dim=16, weights=weights, input_matrix=input_matrix)
    random = method.random_matrix(dataset, seed=2).astype(float)
    np.testing.assert_allclose(random.T @ random, np.eye(16), atol=1e-5)
    step = transition(matrix) if input_matrix == "transition" else matrix
    expected = sum(weight * np.linalg.matrix_power(step, k) @ random for k, weight in enumerate(weights))
    np.testing.assert_allclose(method.embed(dataset, seed=2), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_spectral_solves_the_eigenproblem(make_dataset, random_matrix):
    # 300 nodes: Lanczos; the first part of the check needs no eigensolver.
    matrix = random_matrix(300, 0.05, weighted=True)
    degree = matrix.sum(axis=1)
    root = np.divide(1.0, np.sqrt(degree), out=np.zeros(300), where=degree > 0)
    normal = root[:, None] * matrix * root[None, :]
    method = Spectral(dim=10, drop_first=False, tolerance=0.0)
    vectors = method.embed(make_dataset(matrix))
    np.testing.assert_allclose(normal @ vectors, vectors * method.eigenvalues, atol=1e-5)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(10), atol=1e-5)
    np.testing.assert_allclose(method.eigenvalues, np.linalg.eigvalsh(normal)[::-1][:10], atol=1e-8)
    assert method.eigenvalues[0] == pytest.approx(1)
    assert (vectors[np.abs(vectors).argmax(axis=0), np.arange(10)] > 0).all()


def test_spectral_of_a_ring_has_cosine_eigenvalues(make_dataset):
    n = 12
    method = Spectral(dim=4)
    vectors = method.embed(make_dataset(np.roll(np.eye(n), 1, axis=1) + np.roll(np.eye(n), -1, axis=1)))
    expected = np.cos(2 * np.pi * np.array([1, 1, 2, 2]) / n)
    np.testing.assert_allclose(method.eigenvalues, expected, atol=1e-9)
    # A pair of equal eigenvalues spans the circle: all nodes lie equally far from the origin.
    np.testing.assert_allclose(np.linalg.norm(vectors[:, :2], axis=1), np.sqrt(2 / n), atol=1e-6)


def test_walks_follow_edges_and_their_weights(make_dataset):
    # From node 0, the weights lead nine times out of ten to node 1.
    matrix = np.array([[0, 9.0, 1.0], [1, 0, 0], [1, 0, 0]])
    walks = Walks(num_walks=400, walk_length=10).walks(make_dataset(matrix), seed=0)
    steps = [(a, b) for walk in walks for a, b in zip(walk, walk[1:])]
    assert len(walks) == 1200 and all(len(walk) == 10 for walk in walks)
    assert all(matrix[a, b] > 0 for a, b in steps)
    from_zero = [b for a, b in steps if a == 0]
    assert from_zero.count(1) / len(from_zero) == pytest.approx(0.9, abs=0.02)


def test_node2vec_walks_return_as_p_says(make_dataset, random_matrix):
    def returns(p):
        walks = Walks(num_walks=30, walk_length=20, p=p, q=1.0).walks(make_dataset(random_matrix()), seed=0)
        steps = [walk[i] == walk[i - 2] for walk in walks for i in range(2, len(walk))]
        return sum(steps) / len(steps)

    assert returns(0.02) > returns(1.0) + 0.3 and returns(50.0) < returns(1.0)
    with pytest.raises(DataError, match="node2vec with p or q other than 1 .* expected --p 1 --q 1"):
        Walks(p=0.5).walks(make_dataset(random_matrix(weighted=True)), seed=0)


def test_walk_vectors_tell_components_apart_and_repeat(make_dataset):
    pytest.importorskip("gensim")
    matrix = np.kron(np.eye(2), np.ones((8, 8)) - np.eye(8))
    matrix = np.pad(matrix, ((0, 1), (0, 1)))
    method = Walks(dim=16, num_walks=20, walk_length=20)
    vectors = method.embed(make_dataset(matrix), seed=1)
    unit = normalized(vectors[:16].astype(float))
    cosine = unit @ unit.T
    assert cosine[:8, :8].mean() > cosine[:8, 8:].mean() + 0.3
    assert not vectors[16].any()
    np.testing.assert_array_equal(method.embed(make_dataset(matrix), seed=1), vectors)


@pytest.mark.parametrize(
    "method", [Cleora(dim=5), RandNE(dim=3), Spectral(dim=5), Walks(dim=4, num_walks=2, walk_length=4)]
)
def test_graph_zoo(zoo_dataset, method):
    if isinstance(method, Walks):
        pytest.importorskip("gensim")
    vectors = method.embed(zoo_dataset)
    assert vectors.shape == (zoo_dataset.num_nodes, method.config.dim) and vectors.dtype == np.float32
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize("method", [Cleora(dim=8), RandNE(dim=8)])
def test_vectors_follow_ids_where_nodes_move(make_dataset, random_matrix, method):
    if isinstance(method, RandNE):
        method = RandNE(dim=8, orthogonal=False)  # the sign of an orthonormal basis may turn with the order of rows
    matrix, ids = random_matrix(weighted=True), np.array([f"n{i}" for i in range(40)], dtype=object)
    order = np.random.default_rng(1).permutation(40)
    plain = method.embed(make_dataset(matrix, ids=ids))
    moved = method.embed(make_dataset(matrix[order][:, order], ids=ids[order]))
    np.testing.assert_allclose(moved, plain[order], rtol=1e-3, atol=1e-3 * np.abs(plain).max())


def test_walks_without_gensim_say_how_to_get_it(make_dataset, random_matrix, monkeypatch):
    import sys

    from graphkit.core.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(
        MissingExtraError, match=r"needs gensim, which is not installed; run: pip install 'graphkit\[deepwalk\]'"
    ):
        Walks().embed(make_dataset(random_matrix()))
