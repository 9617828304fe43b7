"""graphkit data, as a user types it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import served

from graphkit import datasets
from graphkit.cli import main
from graphkit.cli.data import _negatives, _split_rows
from graphkit.datasets.base import EdgeSet


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("GRAPHKIT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*words):
        with pytest.raises(SystemExit) as stop:
            main.main(["data", *words])
        out = capsys.readouterr()
        return stop.value.code, out.out, out.err

    return call


def test_list(run):
    code, out, _ = run("list", "--task", "graph", "--json")
    names = [row["name"] for row in json.loads(out)]
    assert code == 0 and "mutag" in names and "cora" not in names and "ogbg-molhiv" in names
    code, out, _ = run("list", "--available")
    assert code == 0 and "karate" in out and "cora" not in out and "sbm:n=1000,k=5" in out


def test_info(run):
    code, out, _ = run("info", "karate", "--json")
    report = json.loads(out)
    assert code == 0 and (report["nodes"], report["edges"], report["components"]) == (34, 78, 1)
    assert report["tasks"]["link"]["sizes"]["test"] == 15 and len(report["checksum"]) == 64 and report["licence"]
    code, out, _ = run("info", "les-miserables")
    assert code == 0 and "weighted    yes" in out and "The Stanford GraphBase" in out


def test_info_and_split_of_ones_own_file_take_the_options_of_reading(run, tmp_path):
    (tmp_path / "my.csv").write_text("".join(f"{k},x,{(k + 1) % 9}\n" for k in range(9)))
    (tmp_path / "y.csv").write_text("id,label\n" + "".join(f"{k},{'ab'[k % 2]}\n" for k in range(9)))
    (tmp_path / "x.csv").write_text("id,f,g\n" + "".join(f"{k},1,2\n" for k in range(9)))
    words = ["--columns", "0,2", "--labels", str(tmp_path / "y.csv"), "--features", str(tmp_path / "x.csv")]
    code, out, _ = run("info", str(tmp_path / "my.csv"), *words, "--directed", "--json")
    report = json.loads(out)
    assert code == 0 and {key: report[key] for key in ("nodes", "edges", "directed", "classes", "features")} == {
        "nodes": 9,
        "edges": 9,
        "directed": True,
        "classes": 2,
        "features": 2,
    }
    code, out, _ = run("split", str(tmp_path / "my.csv"), *words, "--task", "node")
    assert code == 0 and len(out.splitlines()) == 10


def test_split(run, tmp_path):
    code, out, _ = run("split", "les-miserables", "--seed", "3", "--negatives")
    header, *rows = [line.split("\t") for line in out.splitlines()]
    parts = [part for _, _, part in rows]
    assert code == 0 and header == ["src", "dst", "part"] and parts.count("test") == parts.count("valid_neg") == 50
    assert any("Valjean" in row for row in rows)
    target = tmp_path / "split.tsv"
    assert run("split", "karate", "--task", "node", "-o", str(target))[:2] == (0, "")
    rows = [line.split("\t") for line in target.read_text().splitlines()]
    assert rows[0] == ["id", "part"] and sorted(int(k) for k, _ in rows[1:]) == list(range(34))


def test_negatives_of_every_form_are_listed():
    kinds = {
        "neg": (np.array([[0, 3], [1, 3]]), [(0, 3), (1, 3)]),
        "neg_dst": (np.array([[3, 4], [0, 5]]), [(0, 3), (0, 4), (1, 0), (1, 5)]),
        "neg_src": (np.array([[3, 4], [0, 5]]), [(3, 1), (4, 1), (0, 2), (5, 2)]),
    }
    for name, (given, expected) in kinds.items():
        assert list(_negatives(EdgeSet(np.array([[0, 1], [1, 2]]), **{name: given}))) == expected


def test_split_of_events_lists_the_negatives_that_are_there(run, tmp_path):
    words = ("split", "repeats:n=40,events=200", "--task", "events")
    plain = [line.split("\t") for line in run(*words)[1].splitlines()[1:]]
    both = [line.split("\t") for line in run(*words, "--negatives")[1].splitlines()[1:]]
    true = {row[0]: row for row in plain}
    wrong = [row for row in both if row[-1].endswith("_neg")]
    assert [row for row in both if not row[-1].endswith("_neg")] == plain
    assert len(wrong) == sum(row[-1] != "train" for row in plain) > 0
    for event, src, dst, time, part in wrong:
        assert [src, time] == [true[event][1], true[event][3]] and part == true[event][-1] + "_neg" and dst.isdigit()
    dataset = datasets.load("repeats:n=40,events=200", task="events")
    padded = np.array([[5, -1], [6, 7]])
    split = replace(dataset.split, valid=dataset.split.valid[:2], valid_neg=padded)
    rows = _split_rows(replace(dataset, split=split), "events", True)[1]
    assert [row[2] for row in rows if row[-1] == "valid_neg"] == [dataset.ids()[k] for k in (5, 6, 7)]


def test_split_as_json(run):
    code, out, _ = run("split", "karate", "--task", "link", "--json")
    assert code == 0 and len(json.loads(out)["rows"]) == 78


def test_fetch_of_a_bundled_set(run):
    code, out, err = run("fetch", "karate")
    assert (code, out) == (0, "") and "bundled" in err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("info", "corra"), 3, "did you mean 'cora'"),
        (("info", "cora"), 3, "graphkit data fetch cora"),
        (("lsit",), 2, "did you mean 'list'"),
        (("info", "ogbn-mag"), 3, "heterogeneous"),
        (("fetch", "ogbl-biokg"), 3, "heterogeneous"),
        (("split", "karate", "--split", "shchur", "--task", "node"), 3, "needs more than 50"),
        (("split", "karate", "--seed", "-1"), 2, "-1"),
        (
            ("split", "karate", "--task", "node", "--negatives"),
            2,
            "--negatives: found with --task node, expected link or events",
        ),
        (("info", "karate", "--directed"), 2, "--directed: found with karate"),
        (("split", "sbm:n=50,k=2", "--labels", "y.csv"), 2, "--labels: found with sbm:n=50,k=2"),
        (("convert", "karate", "-", "--no-header"), 2, "--no-header: found with karate"),
        (("info", "corra", "--directed"), 3, "did you mean 'cora'"),
    ],
)
def test_errors_are_one_line(run, words, code, message):
    found, out, err = run(*words)
    assert found == code and message in err and out == "" and err.count("\n") == 1


def test_help_shows_examples(run):
    for verb in ("list", "info", "fetch", "split"):
        code, out, _ = run(verb, "--help")
        assert code == 0 and f"graphkit data {verb}" in out.split("Example")[1]


@pytest.mark.parametrize(
    "header, more", [("src,dst", []), ("src,dst,time", ["--columns", "src,dst,time"])], ids=["edges", "events"]
)
def test_info_of_stdin_says_what_it_says_of_the_file(tmp_path, header, more):
    """Every task's split is described, though stdin can be read only once."""
    rows = [(k % 13, 13 + (k * 7 + k // 13) % 17, k) for k in range(120)]
    text = "\n".join([header, *(",".join(map(str, row[: header.count(",") + 1])) for row in rows)]) + "\n"
    (tmp_path / "stdin.csv").write_text(text)
    piped, read = (
        served.graphkit("data", "info", name, *more, "--json", stdin=given)
        for name, given in (("-", text), (tmp_path / "stdin.csv", None))
    )
    assert piped.returncode == read.returncode == 0, piped.stderr
    found, expected = json.loads(piped.stdout), json.loads(read.stdout)
    assert found.pop("use") == expected.pop("use").replace(str(tmp_path / "stdin.csv"), "-") and found == expected
    assert all(task["split"] for task in found["tasks"].values()), found["tasks"]
