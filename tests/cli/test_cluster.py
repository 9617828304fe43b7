"""graphkit cluster as its user meets it: ids in, ids out, averages, and what goes wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas
import pytest

CLIQUES = [(a, b) for start in (0, 6) for a in range(start, start + 6) for b in range(a + 1, start + 6)] + [(5, 6)]


@pytest.fixture
def cluster(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cliques.txt").write_text("".join(f"n{a} n{b}\n" for a, b in CLIQUES) + "x y\n")
    (tmp_path / "six.txt").write_text("id\n" + "".join(f"n{a}\n" for a in range(6)))
    return lambda *words: command("cluster", *words)


OWN = ("--edges", "cliques.txt", "--no-header")


def test_local_prints_ids_alone_on_stdout(cluster):
    code, out, err = cluster("local", *OWN, "--seeds", "n1", "--volume", "31", "--mass", "1.5")
    assert code == 0 and sorted(out.split()) == [f"n{a}" for a in range(6)]
    assert "conductance 0.03226" in err and "f1" not in err


@pytest.mark.parametrize("name", ["out.txt", "out.tsv", "out.parquet"])
def test_local_writes_files(cluster, name):
    code, out, _ = cluster("local", *OWN, "--seeds", "n1", "--volume", "31", "--mass", "1.5", "-o", name)
    assert code == 0 and out == ""
    if name.endswith(".txt"):
        ids = Path(name).read_text().split()
    else:
        table = pandas.read_parquet(name) if name.endswith("parquet") else pandas.read_csv(name, sep="\t")
        assert (np.diff(table["value"]) <= 0).all()
        ids = table["id"].tolist()
    assert sorted(ids) == [f"n{a}" for a in range(6)]


def test_seeds_come_through_a_pipe_and_the_target_gives_the_volume(cluster, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"n1\n\nn2\n")))
    code, out, _ = cluster("local", *OWN, "--seed-file", "-", "--target-file", "six.txt", "--mass", "1.5", "--json")
    found = json.loads(out)
    assert code == 0 and found["seeds"] == ["n1", "n2"] and found["f1"] == 1.0 and found["nodes"] == 6
    assert found["volume"] == 31 and found["cut"] == 1 and found["conductance"] == pytest.approx(1 / 31)


def test_each_seed_has_a_line(cluster):
    code, out, _ = cluster(
        "local", *OWN, "--seeds", "n1,n9,x", "--volume", "31", "--mass", "1.5", "--each", "--method", "ppr-push"
    )
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [row["seeds"] for row in rows] == [["n1"], ["n9"], ["x"]]
    assert sorted(rows[1]["members"]) == sorted(f"n{a}" for a in range(6, 12))
    assert sorted(rows[2]["members"]) == ["x", "y"] and rows[2]["conductance"] == 0


def test_noisy_labels_from_a_file_keep_the_cluster_inside(cluster):
    words = (*OWN, "--volume", "31", "--method", "weighted-flow", "--noisy", "six.txt")
    code, out, err = cluster("local", *words, "--seeds", "n1", "--epsilon", "0", "--rounding", "support")
    assert code == 0 and sorted(out.split()) == [f"n{a}" for a in range(6)]
    code, _, err = cluster("local", *words, "--seeds", "n8")
    assert code == 0 and "seed n8: its own noisy label is 0" in err


def test_averages_over_seeds_of_a_target(cluster):
    model = "target-cluster:n=300,k=60,p=0.3,q=0.02,outside=0.02"
    words = (model, "--target", "label=1", "--method", "weighted-flow", "--accuracy", "0.9,0.9")
    code, out, _ = cluster("local", *words, "--all-seeds", "5", "--json")
    found = json.loads(out)
    assert (
        code == 0
        and len(found["seeds"]) == 5
        and found["means"]["f1"] == pytest.approx(np.mean([row["f1"] for row in found["seeds"]]))
    )
    assert cluster("local", *words, "--all-seeds", "5")[1].count("±") == 8, "the header's and those of seven figures"


def test_evaluate_compares_methods_on_every_class(cluster):
    code, out, _ = cluster("evaluate", "sbm:n=200,k=4,p_in=0.4,p_out=0.02,features=4", "--trials", "2", "--json")
    found = json.loads(out)
    assert code == 0 and found["trials"] == 8 and len(found["clusters"]) == 4
    assert set(found["methods"]) == {"flow", "weighted-flow", "ppr-push", "weighted-ppr-push", "labels"}
    assert found["methods"]["weighted-flow"]["f1"] > 0.7


def test_noise_marks_the_regime(cluster):
    model = "target-cluster:n=300,k=60,p=0.3,q=0.05,outside=0.05"
    code, out, _ = cluster("noise", model, "--accuracies", "0.5,1", "--grid", "--trials", "3", "--json")
    rows = json.loads(out)["rows"]
    assert code == 0 and [(row["a1"], row["a0"]) for row in rows] == [(0.5, 0.5), (0.5, 1), (1, 0.5), (1, 1)]
    assert rows[0]["regime"] is False and rows[3]["regime"] is True and rows[3]["f1 labels"] == 1


@pytest.mark.parametrize(
    "words, code, message",
    [
        (("--seeds", "zebra", "--volume", "9"), 3, "--seeds zebra: 'zebra' is not a node of the graph"),
        (("--seed-file", "bad.txt", "--volume", "9"), 3, "--seed-file bad.txt, line 3: 'n99' is not a node"),
        (("--seed-file", "absent.txt", "--volume", "9"), 3, "absent.txt: No such file"),
        (("--seeds", "n1"), 2, "--volume: expected about the sum"),
        (("--volume", "9"), 2, "--seeds and --seed-file: found neither"),
        (("--seeds", "n1", "--target", "label=1"), 3, "has no column 'label'"),
        (("--seeds", "n1", "--target", "label"), 2, "found no COLUMN=VALUE"),
        (("--seeds", "n1", "--volume", "9", "--method", "weighted-flow"), 2, "weighted methods need noisy labels"),
        (("--seeds", "n1", "--volume", "9", "--method", "flo"), 2, "unknown clusterer 'flo'; did you mean 'flow'"),
        (("--seeds", "n1", "--volume", "9", "--noisy", "six.txt"), 2, "expected a weighted-... method"),
        (
            ("--seeds", "n1", "--volume", "9", "--method", "weighted-flow", "--samples", "3"),
            2,
            "--samples needs --target",
        ),
        (("--seeds", "n1", "--volume", "9", "-o", "out.png"), 2, "found the ending '.png', expected one of .txt"),
        (
            ("--seeds", "n1", "--target-file", "six.txt", "--method", "weighted-flow", "--samples", "3"),
            3,
            "no node features",
        ),
        (("--all-seeds", "3"), 2, "--all-seeds needs --target"),
        (
            ("--all-seeds", "3", "--target-file", "six.txt", "--method", "weighted-flow"),
            2,
            "weighted methods need noisy labels",
        ),
        (
            ("--seeds", "n1", "--target-file", "six.txt", "--accuracy", "2,0", "--method", "weighted-flow"),
            2,
            "found 2, expected numbers",
        ),
    ],
)
def test_bad_input_is_one_line(cluster, words, code, message):
    Path("bad.txt").write_text("n1\nn2\nn99\n")
    found, out, err = cluster("local", *OWN, *words)
    assert (found, out) == (code, "") and message in err and len(err.strip().splitlines()) == 1


def test_a_value_that_no_node_has_is_named(cluster):
    code, _, err = cluster("local", "karate", "--seeds", "0", "--target", "label=7")
    assert code == 3 and "--target label=7: no node of karate has it, expected one of 0, 1" in err
    assert cluster("local", "karate", "--seeds", "0", "--target", "label=Officer")[0] == 0


def test_a_graph_without_edges_is_refused(cluster):
    Path("loop.txt").write_text("a a\n")
    code, _, err = cluster(
        "local", "--edges", "loop.txt", "--no-header", "--self-loops", "keep", "--seeds", "a", "--volume", "3"
    )
    assert code == 3 and "found no edges" in err


def test_improve_takes_ids_and_gives_ids(cluster, monkeypatch):
    pytest.importorskip("igraph", reason="needs the extra flow")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"n0\nn1\nn2\nn3\n")))
    code, out, err = cluster("improve", *OWN, "--nodes", "-", "--method", "flow-improve")
    assert code == 0 and sorted(out.split()) == [f"n{a}" for a in range(6)] and "conductance 0.4 -> 0.03226" in err
    found = json.loads(cluster("improve", *OWN, "--nodes", "six.txt", "--json")[1])
    assert found["before"] == found["after"] and found["after"]["cut"] == 1


def test_a_set_is_described_with_its_classes(command, cluster):
    Path("labels.csv").write_text("id,label\n" + "".join(f"n{a},{'left' if a < 6 else 'right'}\n" for a in range(12)))
    Path("some.txt").write_text("n4\nn5\nn6\nn4\n")
    words = ("analyze", "set", *OWN, "--labels", "labels.csv", "--nodes", "some.txt")
    code, out, _ = command(*words, "--json")
    found = json.loads(out)
    assert code == 0 and found["nodes"] == 3 and found["volume"] == 17 and found["cut"] == 13 and found["edges"] == 2
    assert (
        found["parts"] == 1
        and found["density"] == pytest.approx(2 / 3)
        and found["conductance"] == pytest.approx(13 / 17)
    )
    assert [(row["class"], row["nodes"]) for row in found["classes"]] == [("left", 2), ("right", 1)]
    assert found["classes"][0]["recall"] == pytest.approx(2 / 6)
    assert "left" in command(*words)[1]


def test_profile_of_two_cliques_dips_at_their_size(cluster):
    code, out, _ = cluster("ncp", *OWN, "--seed-count", "20", "--method", "flow")
    rows = [line.split("\t") for line in out.splitlines()]
    table = {int(size): float(conductance) for size, conductance, *_ in rows[1:]}
    assert code == 0 and rows[0] == ["size", "conductance", "volume", "seed"] and min(table, key=table.get) in (2, 6)
    assert table[6] == pytest.approx(1 / 31, abs=1e-5)


def test_profile_is_drawn(cluster):
    pytest.importorskip("matplotlib")
    assert cluster("ncp", *OWN, "--seed-count", "5", "--plot", "ncp.png", "-o", "ncp.tsv")[0] == 0
    assert Path("ncp.png").read_bytes().startswith(b"\x89PNG")
    code, _, err = cluster("ncp", *OWN, "--plot", "ncp.jpg")
    assert code == 2 and "--plot ncp.jpg: found the ending '.jpg'" in err


def test_classes_from_known_nodes(cluster):
    Path("known.tsv").write_text("id\tclass\nn1\tleft\nn9\tright\n")
    code, out, _ = cluster("classes", *OWN, "--seed-file", "known.tsv", "-o", "-")
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in out.splitlines()}
    assert code == 0 and rows["id"] == ["class", "score"]
    assert all(rows[f"n{a}"][0] == ("left" if a < 6 else "right") for a in range(12))
    assert rows["x"] == ["", ""]


@pytest.mark.parametrize(
    "text, message",
    [
        ("n1\n", "line 1: found 1 column, expected an id and a class"),
        ("n1 a\nn1 b\n", "line 2: 'n1' is of class 'b', before it was of class 'a'"),
        ("zebra a\n", "line 1: 'zebra' is not a node"),
        ("id class\n", "found no ids"),
    ],
)
def test_bad_classes_are_one_line(cluster, text, message):
    Path("known.txt").write_text(text)
    code, out, err = cluster("classes", *OWN, "--seed-file", "known.txt")
    assert (code, out) == (3, "") and message in err and len(err.strip().splitlines()) == 1
