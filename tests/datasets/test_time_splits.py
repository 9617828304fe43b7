"""Splits of links by time, from files of interactions in any order."""

import gzip

import numpy as np
import pytest

from graphkit import datasets
from graphkit.core.errors import DataError

ROWS = np.random.default_rng(0).integers(0, 30, size=(400, 2))
TIMES = np.random.default_rng(1).integers(0, 200, size=400)


@pytest.fixture
def collegemsg(tmp_path, monkeypatch):
    path = tmp_path / "temporal" / "CollegeMsg" / "CollegeMsg.txt.gz"
    path.parent.mkdir(parents=True)
    with gzip.open(path, "wt") as stream:
        stream.writelines(f"{5 * u} {5 * v} {t}\n" for (u, v), t in zip(ROWS.tolist(), TIMES.tolist()))
    monkeypatch.setenv("GRAPHKIT_DATA", str(tmp_path))
    return path


def first_times():
    found = {}
    for (u, v), t in zip(ROWS.tolist(), TIMES.tolist()):
        if u != v:
            pair = min(u, v), max(u, v)
            found[pair] = min(t, found.get(pair, t))
    return found


def test_links_are_cut_at_quantiles_of_their_first_times(collegemsg):
    dataset, times = datasets.load("collegemsg", task="link"), first_times()
    number = {tuple(pair): t for pair, t in times.items()}
    ids = dataset.ids() // 5
    parts = [dataset.split.train.pos, dataset.split.valid.pos, dataset.split.test.pos]
    found = [[number[tuple(sorted(ids[pair].tolist()))] for pair in part] for part in parts]
    assert sum(map(len, found)) == len(times) and dataset.split_name == "time-0.7/0.1/0.2"
    assert max(found[0]) < min(found[1]) and max(found[1]) < min(found[2])
    low, high = np.quantile(list(times.values()), [0.7, 0.8])
    assert max(found[0]) <= low < min(found[1]) and max(found[1]) <= high < min(found[2])
    assert all(part == sorted(part) for part in found)
    edges = {tuple(sorted(ids[pair].tolist())) for pair in np.stack([e.numpy() for e in dataset.graph.edges()], 1)}
    assert edges == {tuple(sorted(ids[pair].tolist())) for pair in parts[0]}


def test_only_negatives_depend_on_the_seed(collegemsg):
    one, other = (datasets.load("collegemsg", task="link", seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(one.split.test.pos, other.split.test.pos)
    assert not np.array_equal(one.split.test.neg, other.split.test.neg)
    np.testing.assert_array_equal(one.for_seed(1).split.test.neg, other.split.test.neg)
    links = set(first_times())
    ids = one.ids() // 5
    assert not links & {
        tuple(sorted(ids[pair].tolist())) for pair in np.concatenate([one.split.valid.neg, one.split.test.neg])
    }


@pytest.mark.parametrize(
    "name, split, message",
    [
        ("karate", "time-0.7/0.1/0.2", "'karate': its edges have no times to split by"),
        ("collegemsg", "time-0.7/0.1/0.1", "the fractions sum to 0.9, expected 1"),
        ("collegemsg", "time-0.999/0.0005/0.0005", "links are too few for the split by time"),
        ("collegemsg", "tme-0.7/0.1/0.2", "did you mean 'time-0.7/0.1/0.2'"),
    ],
)
def test_splits_that_cannot_be(collegemsg, name, split, message):
    with pytest.raises(DataError, match=message):
        datasets.load(name, task="link", split=split)


def test_a_file_of_two_columns_is_named(collegemsg):
    with gzip.open(collegemsg, "wt") as stream:
        stream.write("1 2\n")
    with pytest.raises(DataError, match=r"CollegeMsg.txt.gz: cannot be read as a table of at least 3 columns"):
        datasets.load("collegemsg")
