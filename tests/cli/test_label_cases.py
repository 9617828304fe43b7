"""Label files that users have, as `train` and `evaluate embedding` meet them: never a figure that means nothing.

The files in tests/cases are labels of ``g40.csv``, 40 nodes in two communities.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import r2_score

CASES = Path(__file__).resolve().parent.parent / "cases"
GRAPH = CASES / "g40.csv"


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Vectors that know nothing of the labels."""
    path = tmp_path_factory.mktemp("noise") / "noise.npy"
    np.save(path, np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32))
    return path


def judge(command, noise, labels, *more, protocol="node"):
    words = [
        "evaluate",
        "embedding",
        noise,
        "--edges",
        GRAPH,
        "--labels",
        labels,
        "--json",
        "--protocol",
        protocol,
        "--shuffles",
        3,
        *more,
    ]
    return command(*words, *(["--train-ratio", 0.5] if protocol == "node" else []))


def train(command, folder, labels, *more):
    words = [
        "train",
        "gcn",
        "--edges",
        GRAPH,
        "--labels",
        labels,
        "--epochs",
        3,
        "--hidden-dim",
        4,
        "--out",
        folder / "run",
        "--json",
    ]
    return command(*words, *more)


@pytest.mark.parametrize(
    "name, said",
    [
        ("lab-pm1", None),
        ("lab-neg100", "'-100' is read as a class; --unlabelled -100 takes it as no label"),
        ("lab-dupsame", "1 row with a label that its node already has: dropped"),
        ("lab-dup", "1 node with several labels (u3: 0, 1): read as several labels a node"),
    ],
)
def test_random_vectors_are_never_right_throughout(command, noise, name, said):
    code, out, err = judge(command, noise, CASES / f"{name}.csv")
    assert code == 0, err
    found = json.loads(out)["metrics"]["micro_f1@0.5"]["values"]
    assert max(found) < 0.9 and (said is None or said in err)
    if name != "lab-dup":
        code, out, err = judge(command, noise, CASES / f"{name}.csv", protocol="clustering")
        assert code == 0 and max(json.loads(out)["metrics"]["accuracy"]["values"]) < 0.9, err


@pytest.mark.parametrize(
    "name, metric, classes", [("lab-pm1", "accuracy", 2), ("lab-dupsame", "accuracy", 2), ("lab-dup", "micro-f1", 2)]
)
def test_what_a_learner_is_trained_for(command, tmp_path, name, metric, classes):
    code, out, err = train(command, tmp_path, CASES / f"{name}.csv")
    assert code == 0, err
    assert json.loads(out)["metric"] == metric
    head, *rows = command("predict", tmp_path / "run", "-q")[1].splitlines()
    assert len(rows) == 40 and len([name for name in head.split("\t") if name.startswith("p_")]) == classes


def test_minus_one_and_minus_hundred(command, tmp_path, noise):
    """-1 beside two other classes is unlabelled, and counted; -100 is a class unless it is said to be none."""
    values = [line.split(",")[1] for line in (CASES / "lab-neg100.csv").read_text().splitlines()[1:]]
    assert set(values) == {"-100", "0", "1"}
    found = json.loads(judge(command, noise, CASES / "lab-neg100.csv", "--unlabelled", "-100")[1])
    assert found["metrics"]["micro_f1@0.5"]["mean"] < 0.9
    path = tmp_path / "y.csv"
    path.write_text((CASES / "lab-neg100.csv").read_text().replace("-100", "-1"))
    code, out, err = train(command, tmp_path, path)
    assert code == 0 and f"{values.count('-100')} labels '-1': read as unlabelled" in err
    assert json.loads(out)["reading"] == [
        f"{path}: {values.count('-100')} labels '-1': read as unlabelled, as --unlabelled -1 would say"
    ]
    code, _, err = command("train", "gcn", "--edges", GRAPH, "--labels", path, "--out", tmp_path / "strict", "--strict")
    assert code == 3 and "refused by --strict" in err and not (tmp_path / "strict").exists()


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "40 classes of 40 labelled nodes, 40 of one node"),
        ("".join(f"u{k},a\n" for k in range(40)), "one class only (a, 40 nodes)"),
        ("".join(f"u{k},u{k}\n" for k in range(40)), "40 classes of 40 labelled nodes"),
        ("".join(f"u{k},\n" for k in range(40)), "no node has a label"),
    ],
)
def test_labels_without_meaning_are_refused(command, tmp_path, noise, text, message):
    path = CASES / "lab-real.csv"
    if text is not None:
        path = tmp_path / "y.csv"
        path.write_text("id,label\n" + text)
    calls = [
        judge(command, noise, path),
        judge(command, noise, path, protocol="clustering"),
        train(command, tmp_path, path),
    ]
    for code, out, err in calls:
        assert code == 3 and out == "" and message in err and str(path) in err, err
    assert not (tmp_path / "run").exists()


def test_a_node_that_only_the_labels_name(command, tmp_path):
    code, _out, err = train(command, tmp_path, CASES / "lab-extra.csv")
    assert code == 0 and "lab-extra.csv: 1 id in no edge (ghost): read as isolated nodes" in err
    assert "ghost" in command("predict", tmp_path / "run")[1]


def test_a_note_comes_once(command, tmp_path):
    _, _, err = command("data", "info", GRAPH, "--labels", CASES / "lab-extra.csv")
    assert err.count("read as isolated nodes") == 1


def regression(command, folder, scale, shift):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 3))
    y = scale * (x @ [1.0, -0.5, 0.25]) + shift
    (folder / "x.csv").write_text(
        "id,a,b,c\n" + "".join(f"u{k}," + ",".join(map(repr, row)) + "\n" for k, row in enumerate(x.tolist()))
    )
    (folder / "y.csv").write_text("id,label\n" + "".join(f"u{k},{value!r}\n" for k, value in enumerate(y.tolist())))
    words = [
        "train",
        "mlp",
        "--edges",
        GRAPH,
        "--features",
        folder / "x.csv",
        "--labels",
        folder / "y.csv",
        "--task",
        "regression",
    ]
    code, out, err = command(
        *words, "--epochs", 150, "--threads", 1, "--out", folder / "run", "--save-predictions", "--json"
    )
    assert code == 0, err
    rows = [line.split("\t") for line in command("predict", folder / "run")[1].splitlines()]
    return json.loads(out), {f"u{k}": value for k, value in enumerate(y.tolist())}, rows


def test_numbers_are_learned_in_their_own_units(command, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    found, truth, rows = regression(command, tmp_path / "a", 1.0, 0.0)
    assert found["metric"] == "rmse" and set(found["metrics"]) == {"rmse", "mae", "r2"}
    assert found["metrics"]["r2"]["test"]["mean"] > 0.5  # a linear function of the features
    arrays = np.load(tmp_path / "a/run/predictions.npz")
    true, guess = arrays["y_true"].ravel().astype(float), arrays["y_pred"].ravel().astype(float)
    assert found["metrics"]["rmse"]["test"]["mean"] == pytest.approx(np.sqrt(np.mean((true - guess) ** 2)), rel=1e-5)
    assert all(np.isclose(list(truth.values()), value, atol=1e-4).any() for value in true)
    assert rows[0] == ["id", "value"] and {row[0] for row in rows[1:]} == set(truth)
    large, truth, rows = regression(command, tmp_path / "b", 1e5, 3e6)
    for part in ("valid", "test"):
        assert large["metrics"]["r2"][part]["mean"] == pytest.approx(found["metrics"]["r2"][part]["mean"], abs=0.02)
        assert large["metrics"]["rmse"][part]["mean"] == pytest.approx(
            1e5 * found["metrics"]["rmse"][part]["mean"], rel=0.02
        )
    guess = {row[0]: float(row[1]) for row in rows[1:]}
    assert r2_score([truth[node] for node in truth], [guess[node] for node in truth]) > 0.5


def test_ids_in_lists_of_nodes(command, tmp_path):
    """A list may have a header, ids in a later column, or blanks in its ids; what is guessed is told, a wrong id stays
    an error.
    """

    def members(text, *more):
        (tmp_path / "n.txt").write_text(text)
        code, out, err = command("analyze", "set", "--edges", GRAPH, "--nodes", tmp_path / "n.txt", "--json", *more)
        return (json.loads(out)["nodes"] if code == 0 else code), err

    assert members("u1\nu2\nu3\n") == (3, "")
    assert members("id\nu1\nu2\n") == (2, "")
    found, err = members("account\nu1\nu2\n")
    assert found == 2 and "its first line (account) is read as the name of the column" in err
    assert members("account\nu1\nu2\n", "--id-column", "account") == (2, "")
    assert members("score,id\n0.5,u1\n0.25,u2\n") == (2, "")
    found, err = members("0.5,u1\n0.25,u2\n")
    assert found == 2 and "column 1 is read as the ids" in err
    assert members("0.5,u1\n0.25,u2\n", "--id-column", "1") == (2, "")
    found, err = members("u100\nu1\nu2\n")
    assert found == 3 and "line 1: 'u100' is not a node of the graph" in err
    (tmp_path / "g.csv").write_text("person 1,person 2\nperson 2,person 3\n")
    (tmp_path / "n.txt").write_text("person 1\nperson 2\n")
    code, out, _ = command("analyze", "set", "--edges", tmp_path / "g.csv", "--nodes", tmp_path / "n.txt", "--json")
    assert code == 0 and json.loads(out)["nodes"] == 2


@pytest.mark.parametrize(
    "words, message",
    [
        (["--id-column", "account"], "--id-column account: expected with a file about nodes"),
        (["--unlabelled", "0"], "--unlabelled: expected with --labels"),
        (["--task", "regression"], "--task: expected with --labels"),
    ],
)
def test_options_without_their_file(command, tmp_path, words, message):
    code, _, err = command("train", "gcn", "--edges", GRAPH, *words, "--out", tmp_path / "run")
    assert code == 2 and message in err
