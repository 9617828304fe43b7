"""Generators against their definitions."""

import numpy as np
import pytest
from scipy import stats

from graphkit import datasets
from graphkit.core.errors import DataError
from graphkit.datasets.generators import synthetic


def undirected(graph):
    src, dst = (ids.numpy() for ids in graph.edges())
    pairs = np.stack([src, dst], 1)
    assert (src != dst).all() and len(np.unique(pairs, axis=0)) == len(pairs)
    assert {tuple(p) for p in pairs.tolist()} == {tuple(p) for p in pairs[:, ::-1].tolist()}
    return pairs[src < dst]


def test_numbers_of_pairs_run_through_the_triangle():
    pairs = [(u, v) for v in range(60) for u in range(v)]
    assert list(zip(*(part.tolist() for part in synthetic._triangle(np.arange(len(pairs)))))) == pairs
    big = np.array([10**17, 10**17 + 1])
    u, v = synthetic._triangle(big)
    assert (v * (v - 1) // 2 + u == big).all() and (u < v).all() and (u >= 0).all()


def test_sbm_has_the_probabilities_of_its_blocks():
    dataset = datasets.load("sbm:n=600,k=3,p_in=0.2,p_out=0.02,seed=1")
    pairs, labels = undirected(dataset.graph), dataset.labels.numpy()
    assert np.bincount(labels).tolist() == [200] * 3
    inside = int((labels[pairs[:, 0]] == labels[pairs[:, 1]]).sum())
    for found, possible, p in ((inside, 3 * 200 * 199 // 2, 0.2), (len(pairs) - inside, 3 * 200 * 200, 0.02)):
        assert stats.binomtest(found, possible, p).pvalue > 1e-4


def test_erdos():
    graph = datasets.load("erdos:n=200,p=0.05,seed=2").graph
    assert stats.binomtest(len(undirected(graph)), 200 * 199 // 2, 0.05).pvalue > 1e-4
    assert len(undirected(datasets.load("erdos:n=50,m=321").graph)) == 321
    assert len(undirected(datasets.load("erdos:n=50,m=1225").graph)) == 1225
    assert datasets.load("erdos:n=50,p=0").graph.num_edges() == 0


def test_barabasi_has_m_edges_a_node_and_a_heavy_tail():
    dataset = datasets.load("barabasi:n=2000,m=3,seed=5")
    pairs = undirected(dataset.graph)
    assert len(pairs) == 3 + (2000 - 4) * 3
    newer = np.bincount(pairs[:, 1], minlength=2000)  # links to nodes that were there before
    assert (newer[4:] == 3).all()
    # the share of nodes of degree k tends to 2 m (m + 1) / (k (k + 1) (k + 2)): 2/5 at k = m = 3
    degrees = dataset.graph.in_degrees().numpy()
    assert abs((degrees == 3).mean() - 0.4) < 0.05 and degrees.max() > 40


def test_rmat_size_and_skew():
    dataset = datasets.load("rmat:scale=12,degree=16,seed=1")
    pairs = undirected(dataset.graph)
    assert dataset.num_nodes == 4096 and 0.7 * 4096 * 8 < len(pairs) <= 4096 * 8
    assert dataset.graph.in_degrees().max() > 10 * 16
    flat = undirected(datasets.load("rmat:scale=12,degree=16,a=0.25,b=0.25,c=0.25").graph)
    assert len(flat) > 0.98 * 4096 * 8  # equal quarters are a uniform graph: hardly a duplicate


@pytest.mark.parametrize(
    "name", ["sbm:n=200,k=4,features=3", "barabasi:n=100,m=2", "erdos:n=100,p=0.1", "rmat:scale=6"]
)
def test_the_same_name_gives_the_same_graph(name):
    assert datasets.load(name).checksum() == datasets.load(name).checksum()
    assert datasets.load(name).checksum() != datasets.load(name + ",seed=9").checksum()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sbm:n=ten", "n is 'ten', expected an integer"),
        ("sbm:p_inn=0.1", "did you mean 'p_in'"),
        ("sbm:n=10,k=20", "k is 20, expected at most n=10"),
        ("erdos:p=1.5", "p is 1.5, expected 0..1"),
        ("erdos:n=10,m=100", "m is 100, expected at most 45"),
        ("rmat:scale=40", "scale is 40, expected 1..30"),
        ("barabasi:n=5,m=5", "m is 5, expected 1..4"),
        ("smb:n=10", "did you mean 'sbm:'"),
    ],
)
def test_wrong_parameters(name, message):
    with pytest.raises(DataError) as problem:
        datasets.load(name)
    assert message in str(problem.value)
