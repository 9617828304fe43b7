"""graphkit predict on runs of labels, as its user meets it: string ids, own features, another graph, and what goes
wrong.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from graphkit.cli.main import main

NAMES = [f"person {k}" for k in range(30)]


def write_graph(folder, stem, order, edges, features):
    """An edge list by name and a table of features, in the given order of nodes."""
    (folder / f"{stem}.csv").write_text("from,to\n" + "".join(f"{NAMES[u]},{NAMES[v]}\n" for u, v in edges))
    head = "id," + ",".join(f"f{k}" for k in range(features.shape[1]))
    rows = [f"{NAMES[k]}," + ",".join(f"{value:.5f}" for value in features[k]) for k in order]
    (folder / f"{stem}-features.csv").write_text("\n".join([head, *rows]) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    rng = np.random.default_rng(0)
    edges = [(k, (k + step) % 30) for k in range(30) for step in (1, 4)]
    features = rng.normal(size=(30, 3))
    write_graph(folder, "my", range(30), edges, features)
    backwards = [(v, u) for u, v in reversed(edges)]
    write_graph(folder, "other", rng.permutation(30), backwards, features)
    write_graph(folder, "wide", range(30), edges, rng.normal(size=(30, 4)))
    labels = "".join(f"{name},{('red', 'green', 'blue')[k % 3]}\n" for k, name in enumerate(NAMES))
    (folder / "labels.csv").write_text("id,label\n" + labels)
    words = ["train", "sage", "--edges", "my.csv", "--labels", "labels.csv", "--epochs", "3", "--hidden-dim", "8"]
    words[3], words[5] = str(folder / "my.csv"), str(folder / "labels.csv")
    for extra in (
        ["--features", str(folder / "my-features.csv"), "--out", str(folder / "run")],
        ["--out", str(folder / "bare")],
    ):
        with pytest.raises(SystemExit) as stop:
            main([*words, *extra, "-q"])
        assert stop.value.code == 0
    return folder


@pytest.fixture
def graphkit(capsys):
    def call(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([*map(str, words)])
        found = capsys.readouterr()
        return stop.value.code, found.out, found.err

    return call


def rows_of(text):
    head, *rows = [line.split("\t") for line in text.splitlines()]
    return head, {row[0]: row[1:] for row in rows}


def test_the_run_labels_its_own_nodes_by_their_ids(graphkit, folder):
    code, out, err = graphkit("predict", folder / "run")
    assert code == 0, err
    head, rows = rows_of(out)
    assert head == ["id", "prediction", "p_blue", "p_green", "p_red"] and set(rows) == set(NAMES)
    for label, *p in rows.values():
        values = [float(value) for value in p]
        assert sum(values) == pytest.approx(1, abs=1e-4) and label == ("blue", "green", "red")[int(np.argmax(values))]


def test_another_graph_is_labelled_by_the_ids_it_has(graphkit, folder, tmp_path):
    """The other files hold the same graph and features in another order: every id gets what it had."""
    _, out, _ = graphkit("predict", folder / "run")
    code, text, err = graphkit(
        "predict",
        folder / "run",
        "--graph",
        folder / "other.csv",
        "--features",
        folder / "other-features.csv",
        "-o",
        tmp_path / "o.tsv",
    )
    assert code == 0 and text == "", err
    mine, theirs = rows_of(out)[1], rows_of((tmp_path / "o.tsv").read_text())[1]
    assert set(mine) == set(theirs)
    for name in NAMES:
        assert [float(p) for p in theirs[name][1:]] == pytest.approx([float(p) for p in mine[name][1:]], abs=1e-4)
    code, out, _ = graphkit(
        "predict",
        folder / "run",
        "--edges",
        folder / "other.csv",
        "--features",
        folder / "other-features.csv",
        "--json",
    )
    found = {row["id"]: row for row in json.loads(out)}
    assert code == 0 and found["person 7"]["p_red"] == pytest.approx(float(mine["person 7"][3]), abs=1e-4)


def test_graphs_are_predicted_by_their_numbers_and_a_file_as_one_graph(graphkit, tmp_path):
    words = (
        "train",
        "gin",
        "--dataset",
        "csl:copies=5",
        "--folds",
        "--epochs",
        1,
        "--hidden-dim",
        4,
        "--out",
        tmp_path / "run",
        "--json",
    )
    code, out, err = graphkit(*words)
    assert code == 0, err
    result = json.loads(out)
    assert result["seeds"] == list(range(5)) and result["folds"] == 5 and result["split"] == "folds"
    code, out, err = graphkit("predict", tmp_path / "run", "--seed", 2)
    head, rows = rows_of(out)
    assert code == 0 and head[:3] == ["id", "prediction", "p_skip 2"] and list(rows) == [str(k) for k in range(50)]
    (tmp_path / "one.csv").write_text("".join(f"{k},{(k + step) % 41}\n" for k in range(41) for step in (1, 2)))
    code, out, err = graphkit("predict", tmp_path / "run", "--seed", 2, "--graph", tmp_path / "one.csv")
    assert code == 0, err
    assert [float(p) for p in rows_of(out)[1]["0"][1:]] == pytest.approx([float(p) for p in rows["0"][1:]], abs=1e-4)


@pytest.mark.parametrize(
    "run, words, code, message",
    [
        (
            "run",
            ["--graph", "wide.csv", "--features", "wide-features.csv"],
            3,
            "the data have 4 node features, expected 3 as in training",
        ),
        ("run", ["--graph", "my.csv"], 3, "the data have 0 node features, expected 3 as in training"),
        ("run", ["--dataset", "csl:copies=5"], 2, "holds 50 graphs, but the run's model labels the nodes of one graph"),
        ("run", ["--pairs", "my.csv"], 2, "--pairs is for runs of links"),
        ("run", ["--top-k", 3], 2, "--top-k is for runs of links"),
        ("run", ["--features", "my-features.csv"], 2, "--features: says how to read a graph, but none is given"),
        ("run", ["--no-header", "--self-loops", "keep"], 2, "--no-header, --self-loops: says how to read a graph"),
        ("run", ["--graph", "absent.csv"], 3, "absent.csv"),
        ("run", ["--json", "-o", "out.tsv"], 2, "--json prints to stdout"),
        ("bare", ["--graph", "my.csv"], 2, "learned a vector for each node of its graph"),
        ("absent", [], 3, "not a run folder"),
    ],
)
def test_wrong_use_is_told_in_one_line(graphkit, folder, run, words, code, message):
    places = [folder / word if str(word).endswith(".csv") else word for word in words]
    found, out, err = graphkit("predict", folder / run, *places)
    assert found == code and message in err and out == ""
    assert len([line for line in err.splitlines() if "error" in line]) == 1 and "Traceback" not in err


@pytest.mark.parametrize(
    "words, message",
    [
        (["--dataset", "csl:copies=5", "--folds", "--seeds", 3], "--seeds and --folds exclude each other"),
        (["--dataset", "csl:copies=5", "--folds", "--split", "random-0.6/0.2/0.2"], "is not one of several"),
    ],
)
def test_folds_with_what_does_not_go_with_them(graphkit, tmp_path, words, message):
    code, out, err = graphkit("train", "gin", *words, "--out", tmp_path / "run")
    assert code == 2 and message in err and out == ""


def test_data_without_folds(graphkit, tmp_path):
    code, _, err = graphkit("train", "gcn", "--dataset", "karate", "--folds", "--out", tmp_path / "run")
    assert code == 3 and "has no folds" in err
