"""Drawn splits against their definitions."""

import numpy as np
import pytest

from graphkit import datasets
from graphkit.core.errors import DataError
from graphkit.datasets.splits import drawn as splits
from graphkit.datasets.splits import links, nodes


def codes(pairs):
    return {tuple(pair) for pair in np.sort(pairs, 1).tolist()}


@pytest.mark.parametrize("name", ["les-miserables", "sbm:n=300,k=3", "digits"])
@pytest.mark.parametrize("split", ["random-0.7/0.1/0.2", "heart-0.85/0.05/0.1"])
def test_link_split_partitions_the_edges(name, split):
    whole = datasets.load(name)
    src, dst = (ids.numpy() for ids in whole.graph.edges())
    edges = codes(np.stack([src, dst], 1))
    dataset = datasets.load(name, task="link", split=split, seed=3)
    parts = [codes(getattr(dataset.split, part).pos) for part in ("train", "valid", "test")]
    assert set.union(*parts) == edges and sum(map(len, parts)) == len(edges)
    train_src, train_dst = (ids.numpy() for ids in dataset.graph.edges())
    assert codes(np.stack([train_src, train_dst], 1)) == parts[0]
    assert dataset.graph.num_edges() == 2 * len(parts[0]) and dataset.num_nodes == whole.num_nodes
    negatives = np.concatenate([dataset.split.valid.neg, dataset.split.test.neg])
    assert len(codes(negatives)) == len(negatives) and not codes(negatives) & edges
    assert (negatives[:, 0] != negatives[:, 1]).all() and dataset.split.train.neg is None


def test_ncnc_sizes():
    """20 % test, a pool of 20 % of which half returns to training, negatives 20 % for both (NCNC, point 7)."""
    split = datasets.load("les-miserables", task="link").split  # 254 edges
    assert [len(split.train.pos), len(split.valid.pos), len(split.test.pos)] == [254 - 50 - 25, 25, 50]
    assert len(split.valid.neg) == len(split.test.neg) == 50 and split.valid.weight is not None


def test_heart_is_one_fixed_split():
    first = datasets.load("digits", task="link", split="heart-0.85/0.05/0.1", seed=0)
    other = datasets.load("digits", task="link", split="heart-0.85/0.05/0.1", seed=7)
    assert first.checksum() == other.checksum() and first.metric == "mrr" and first.splitter is None
    assert len(first.split.valid.neg) == len(first.split.valid.pos) and len(first.split.test.neg) == len(
        first.split.test.pos
    )


def test_redrawn_per_seed_and_repeatable():
    one = datasets.load("karate", task="link", seed=1)
    two = one.for_seed(2)
    assert one.checksum() != two.checksum() == datasets.load("karate", task="link", seed=2).checksum()
    assert one.for_seed(1) is one and two.for_seed(1).checksum() == one.checksum()


def test_directed_links_keep_their_direction(monkeypatch, tmp_path):
    from graphkit.datasets.base import GraphDataset
    from graphkit.datasets.readers.build import graph_of
    from graphkit.datasets.splits.loaded import Loaded

    rng = np.random.default_rng(0)
    src, dst = rng.integers(40, size=(2, 300))
    whole = GraphDataset("own", graph_of(src, dst, 40, directed=True), directed=True)
    edges = set(zip(*(ids.tolist() for ids in whole.graph.edges())))
    dataset = splits.finish(Loaded(whole), "link", None, 0)
    parts = [set(map(tuple, getattr(dataset.split, part).pos.tolist())) for part in ("train", "valid", "test")]
    assert set.union(*parts) == edges == {(u, v) for u, v in zip(src.tolist(), dst.tolist()) if u != v}
    assert set(zip(*(ids.tolist() for ids in dataset.graph.edges()))) == parts[0]
    assert not set(map(tuple, dataset.split.test.neg.tolist())) & edges


def test_weights_travel_with_the_training_edges():
    whole = datasets.load("les-miserables")
    src, dst = whole.graph.edges()
    weight = {(u, v): w for u, v, w in zip(src.tolist(), dst.tolist(), whole.graph.edata["weight"].tolist())}
    dataset = datasets.load("les-miserables", task="link")
    src, dst = dataset.graph.edges()
    got = zip(src.tolist(), dst.tolist(), dataset.graph.edata["weight"].tolist())
    assert all(weight[u, v] == w for u, v, w in got)
    test = dataset.split.test
    assert all(weight[u, v] == w for (u, v), w in zip(test.pos.tolist(), test.weight.tolist()))


def test_negatives_of_a_nearly_complete_graph():
    full = np.array([(u, v) for u in range(20) for v in range(u + 1, 20)])
    rng = np.random.default_rng(0)
    absent = rng.choice(len(full), 12, replace=False)
    edges = np.delete(full, absent, axis=0)
    drawn = links.non_edges(edges, 20, 12, rng, False, "own")
    assert codes(drawn) == codes(full[absent])
    with pytest.raises(DataError, match="13 negative pairs are wanted, but only 12"):
        links.non_edges(edges, 20, 13, rng, False, "own")


def test_negatives_are_uniform():
    """Each of the 66 non-edges of a path of 13 nodes equally often; chi-squared with 65 degrees of freedom."""
    path = np.stack([np.arange(12), np.arange(1, 13)], 1)
    rng = np.random.default_rng(0)
    counts = {}
    for _ in range(2000):
        for pair in map(tuple, links.non_edges(path, 13, 5, rng, False, "path").tolist()):
            counts[pair] = counts.get(pair, 0) + 1
    expected = 2000 * 5 / 66
    assert len(counts) == 66 and sum((c - expected) ** 2 / expected for c in counts.values()) < 110


def test_shchur_takes_20_and_30_a_class():
    dataset = datasets.load("digits", task="node", seed=4)
    labels = dataset.labels.numpy()
    split = dataset.split
    assert np.bincount(labels[split.train]).tolist() == [20] * 10
    assert np.bincount(labels[split.valid]).tolist() == [30] * 10
    assert sorted(np.concatenate([split.train, split.valid, split.test])) == list(range(1797))
    with pytest.raises(DataError, match="class 0 has 17 nodes, the split shchur needs more than 50"):
        datasets.load("karate", task="node", split="shchur")


def test_random_node_fractions():
    split = datasets.load("karate", task="node", split="random-0.5/0.2/0.3", seed=1).split
    assert [len(split.train), len(split.valid), len(split.test)] == [17, 6, 11]
    assert sorted(np.concatenate([split.train, split.valid, split.test])) == list(range(34))


@pytest.mark.parametrize(
    ("task", "split", "message"),
    [
        ("node", "schur", "unknown node split 'schur'; did you mean 'shchur'"),
        ("node", "random-0.9/0.2/0.2", "sum at most 1"),
        ("link", "random-0.999/0.0005/0.0005", "too few for the split"),
        ("link", "hart-0.85/0.05/0.1", "did you mean 'heart-0.85/0.05/0.1'"),
        ("nodes", None, "did you mean 'node'"),
        (None, "shchur", "needs a task"),
        ("graph", None, "it has no graph task"),
    ],
)
def test_wrong_splits_say_what_is_wrong(task, split, message):
    with pytest.raises(DataError) as problem:
        datasets.load("karate", task=task, split=split)
    assert message in str(problem.value) and "\n" not in str(problem.value)


def test_folds():
    folds = nodes.stratified_folds(np.array([0, 1] * 30))
    assert sorted(np.concatenate(folds)) == list(range(60)) and all(len(fold) == 6 for fold in folds)
    assert all((fold % 2).sum() == 3 for fold in folds)
