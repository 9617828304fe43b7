"""graphkit analyze topo as its user meets it: alone, on a run, in a pipe, and what goes wrong."""

from __future__ import annotations

import json

import networkx
import numpy as np
import pandas
import pytest

from graphkit.cli.main import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("topo")
    lines = [f"{a},{b}\n" for a, b in networkx.les_miserables_graph().edges]
    (folder / "my.csv").write_text("from,to\n" + "".join(lines))
    words = (
        ["gcn-link", "--epochs", "3", "--hidden-dim", "8", "--seeds", "2"],
        ["gcn", "--dataset", "sbm:n=40,k=2", "--epochs", "1"],
    )
    for name, options in zip(("links", "labels"), ([*words[0], "--edges", str(folder / "my.csv")], words[1])):
        with pytest.raises(SystemExit) as stop:
            main(["train", *options, "--out", str(folder / name), "-q"])
        assert stop.value.code == 0
    return folder


@pytest.fixture
def analyze(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    return lambda *words: command("analyze", "topo", *words)


def test_nodes_of_an_own_graph_in_a_pipe(analyze):
    code, out, err = analyze("--edges", "my.csv", "-o", "-")
    head, *rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and head[:4] == ["id", "degree_train", "degree_valid", "degree_test"] and "tds" in head
    assert {row[0] for row in rows} == set(networkx.les_miserables_graph().nodes)
    assert all(len(row) == len(head) for row in rows) and "" in {cell for row in rows for cell in row}
    assert err.splitlines()[-1].startswith("atc_test")


def test_a_run_is_held_against_the_measures(analyze, folder):
    code, out, _ = analyze("links", "--json", "-o", "nodes.parquet", "--bins", "4", "--seed", "1")
    found, nodes = json.loads(out), pandas.read_parquet(folder / "nodes.parquet")
    assert code == 0 and (found["part"], found["outcome"], found["run"]) == ("test", "recall@10", "links")
    ranked = nodes[nodes["degree_test"] > 0]
    assert found["ranked"] == len(ranked) and nodes["recall@10"].notna().sum() == len(ranked)
    assert found["outcome_mean"] == pytest.approx(ranked["recall@10"].mean())
    judged = ranked[ranked["tc_train"].notna() & ranked["tc_test"].notna()]
    for name in ("tc_test", "degree_train", "atc_test"):
        expected = np.corrcoef(judged[name], judged["recall@10"])[0, 1]
        assert found["correlations"][name]["pearson"]["r"] == pytest.approx(expected)
        assert found["correlations"][name]["nodes"] == len(judged) == sum(row["nodes"] for row in found["bins"][name])


def test_the_plot_shows_every_measure(analyze, folder):
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    assert analyze("links", "--plot", "tc.svg", "--bins", "4")[0] == 0
    drawing = (folder / "tc.svg").read_text()
    assert "<svg" in drawing and drawing.count('id="axes_') >= 3


def test_a_sample_of_nodes_and_repeats(analyze):
    code, out, _ = analyze("links", "--json", "--nodes", "7", "--part", "valid", "--outcome", "rr")
    assert code == 0 and json.loads(out)["ranked"] == 7
    few, all_of_them = (
        json.loads(analyze("links", "--json", *more)[1])["outcome_mean"] for more in ([], ["--known-links"])
    )
    assert few > all_of_them  # links of training are ranked high, and now stand before those of the test


def test_an_outcome_that_no_score_can_change_is_said(analyze):
    """77 nodes: each has all its links among the first 100, whoever scores them."""
    code, out, err = analyze("links", "--json", "--outcome", "recall@100")
    assert code == 0 and json.loads(out)["outcome_mean"] == 1
    assert "recall@100 of 77 nodes is the same whatever the scores" in err
    assert "whatever" not in analyze("links", "--json", "--outcome", "recall@20")[2]
    assert "whatever" not in analyze("links", "--json", "--outcome", "ndcg@100")[2]


def test_the_table_for_people(analyze):
    code, out, _ = analyze("links")
    assert code == 0 and "recall@10 of links, test: " in out
    assert any(line.startswith("tc_test ") and len(line.split()) == 8 for line in out.splitlines())


@pytest.mark.parametrize(
    "words, code, message",
    [
        (
            ["links", "--dataset", "karate"],
            2,
            "--dataset: found with RUN links, which is analysed on its own data and split",
        ),
        (["links", "--no-header"], 2, "--no-header: found with RUN links"),
        (["labels"], 2, "labels: a run of a method that scores no links"),
        (["absent"], 3, "absent"),
        ([], 2, "--dataset and --edges: found neither"),
        (["--dataset", "karate", "--plot", "x.png"], 2, "--plot needs RUN"),
        (["--dataset", "karate", "--known-links"], 2, "--known-links needs RUN"),
        (["links", "--plot", "x.bmp"], 2, "--plot x.bmp: found the ending '.bmp', expected one of .png, .pdf, .svg"),
        (
            ["links", "--outcome", "recall@11"],
            2,
            "--outcome is 'recall@11', expected rr or recall, precision, f1, hits, ndcg at one of 5, 10",
        ),
        (["links", "-o", "x.xls"], 2, "-o x.xls: found the ending '.xls'"),
        (["links", "-o", "-", "--json"], 2, "--json and -o -: both write to stdout"),
        (["--dataset", "karate", "--hops", "9"], 2, "--hops is 9, expected"),
        (["--dataset", "csl:copies=5"], 3, "csl"),
        (["--edges", "empty.csv"], 3, "empty.csv"),
        (["--edges", "one.csv"], 3, "'one': 1 edges are too few for the split"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_one_line_says_what_is_wrong(analyze, folder, words, code, message):
    (folder / "empty.csv").write_text("")
    (folder / "one.csv").write_text("a,b\n")
    found, out, err = analyze(*words)
    assert (found, out) == (code, "") and message in err.splitlines()[-1] and "Traceback" not in err
    assert not list(folder.glob("x.*"))


def test_an_unknown_analysis(command):
    code, _, err = command("analyze", "topp")
    assert code == 2 and "unknown analysis 'topp'; did you mean 'topo'?" in err
