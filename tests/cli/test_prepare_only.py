"""graphkit train largegt --prepare-only as its user meets it: its folder, training on it, and what it refuses."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import served

from graphkit.cli.main import main
from graphkit.core import machine

PREPARE = ["train", "largegt", "--prepare-only"]
SPEC = "sparse-sbm:n=300,k=3,features=6"
TRAIN = ["--epochs", 1, "--hidden-dim", 8, "--mode", "local", "--k", 9, "--seed", 0, "--json"]


@pytest.fixture
def graphkit(capsys, monkeypatch, tmp_path):
    """The command line in this process, which has loaded the libraries already; returns (exit code, stdout, stderr)."""
    logger = logging.getLogger("graphkit")
    before = list(logger.handlers), logger.propagate, logger.level
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(machine, "set_threads", lambda threads: None)

    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main([*map(str, words)])
        return (stop.value.code, *capsys.readouterr())

    yield run
    logger.handlers[:], logger.propagate = before[:2]
    logger.setLevel(before[2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "lists"
    done = served.graphkit(
        *PREPARE, "--dataset", SPEC, "--k", 9, "--sample-seed", 4, "--out", out, "--threads", 1, "--json"
    )
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


def dense():
    from graphkit import datasets

    dataset = datasets.load(SPEC, task="node")
    adjacency = np.zeros((300, 300))
    adjacency[tuple(ends.numpy() for ends in dataset.graph.edges())] = 1
    return adjacency, dataset.features.numpy()


def test_folder_holds_lists_and_features_of_the_graph(folder):
    out, said = folder
    adjacency, features = dense()
    near = (np.eye(300) + adjacency + adjacency @ adjacency) > 0
    lists, hops = np.load(out / "lists.npy"), np.load(out / "hops.npy")
    assert lists.shape == (300, 9) and lists.dtype == np.int32 and (lists[:, 0] == np.arange(300)).all()
    assert near[np.arange(300)[:, None], lists].all()
    loops = adjacency + np.eye(300)
    step = loops / np.sqrt(np.outer(loops.sum(1), loops.sum(0)))
    np.testing.assert_allclose(hops, np.stack([features, step @ features, step @ step @ features], axis=1), atol=1e-5)
    kept = json.loads((out / "sample.json").read_text())
    assert {key: said[key] for key in kept} == kept
    expected = {
        "nodes": 300,
        "edges": int(adjacency.sum()),
        "k": 9,
        "seed": 4,
        "hub_cap": 0,
        "features": 6,
        "dtype": "float32",
    }
    assert {key: kept[key] for key in expected} == expected


def test_training_takes_the_folder_and_gives_the_result_of_the_same_seed(folder, graphkit, tmp_path):
    code, given, _ = graphkit(
        "train", "largegt", "--dataset", SPEC, "--lists", folder[0], "--out", tmp_path / "a", *TRAIN
    )
    assert code == 0 and not (tmp_path / "cache" / "graphkit" / "largegt").exists()  # nothing was drawn
    code, drawn, _ = graphkit(
        "train", "largegt", "--dataset", SPEC, "--sample-seed", 4, "--out", tmp_path / "b", *TRAIN
    )
    assert code == 0 and (tmp_path / "cache" / "graphkit" / "largegt").exists()
    assert json.loads(given)["metrics"] == json.loads(drawn)["metrics"]


def test_own_edge_list_without_features_gets_its_lists_alone(graphkit, tmp_path):
    (tmp_path / "mine.csv").write_text("from,to\nann,bob\nbob,cy\ncy,ann\ncy,dan\n")
    code, out, _ = graphkit(*PREPARE, "--edges", tmp_path / "mine.csv", "--k", 4, "--out", tmp_path / "l")
    assert code == 0 and "nodes" in out
    assert sorted(path.name for path in (tmp_path / "l").iterdir()) == ["lists.npy", "sample.json"]
    lists = np.load(tmp_path / "l" / "lists.npy")
    assert lists.shape == (4, 4) and (lists[:, 0] == np.arange(4)).all()


@pytest.mark.parametrize(
    "words, code, said",
    [
        (["sample", "largegt"], 2, "graphkit sample is now: graphkit train largegt --prepare-only"),
        ([*PREPARE, "--dataset", SPEC], 2, "--prepare-only: expected --out"),
        ([*PREPARE, "--dataset", SPEC, "--out", "x", "--seed", 1], 2, "--seed and --prepare-only cannot be combined"),
        ([*PREPARE, "--dataset", SPEC, "--out", "x", "--seeds", 2], 2, "--seeds and --prepare-only cannot be combined"),
        ([*PREPARE, "--dataset", SPEC, "--out", "x", "--lists", "y"], 2, "--lists y: found with --prepare-only"),
        ([*PREPARE, "--dataset", SPEC, "--k", 0, "--out", "x"], 2, "--k"),
        ([*PREPARE, "--dataset", SPEC, "--out", "FOLDER"], 2, "already holds lists"),
        ([*PREPARE, "--dataset", "csl:copies=5", "--out", "x"], 2, "holds 50 graphs, expected one graph"),
        (["train", "largegt", "--dataset", SPEC, "--lists", "FOLDER", "--k", 8], 2, "--k is 8, but the lists"),
        (
            ["train", "largegt", "--dataset", "sparse-sbm:n=301,k=3,features=6", "--lists", "FOLDER", "--k", 9],
            3,
            "the graph",
        ),
        (["train", "largegt", "--dataset", SPEC, "--lists", "nowhere", "--k", 9], 3, "nowhere: has no sample.json"),
    ],
    ids=["moved", "out", "seed", "seeds", "lists", "k", "folder", "graphs", "other-k", "other-graph", "no-folder"],
)
def test_what_does_not_fit_ends_in_one_line(folder, graphkit, tmp_path, words, code, said):
    words = [folder[0] if word == "FOLDER" else word for word in words]
    words += ["--out", tmp_path / "run"] if words[0] == "train" and "--prepare-only" not in words else []
    found, out, error = graphkit(*words)
    assert found == code and said in error and len(error.splitlines()) == 1 and out == ""
