"""graphkit count as its user meets it: tables, matrices, pipes, and what goes wrong."""

from __future__ import annotations

import json

import networkx
import numpy as np
import pandas
import pytest
import scipy.io
import scipy.sparse

PAW = "a b\nb c\nc a\nc d\n"


@pytest.fixture
def count(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paw.txt").write_text(PAW)
    return lambda *words: command("count", *words)


def test_orbits_of_a_paw(count):
    code, out, _ = count("orbits", "--edges", "paw.txt", "--no-header", "-o", "-")
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in out.splitlines()}
    assert code == 0 and rows["id"] == [f"o{k}" for k in range(15)]
    assert [
        int(rows[node][orbit]) for node, orbit in (("a", 10), ("b", 10), ("c", 11), ("d", 9), ("c", 2), ("d", 3))
    ] == [1, 1, 1, 1, 2, 0]


def test_edge_orbits_are_by_ids(count):
    assert count("edge-orbits", "--edges", "paw.txt", "--no-header", "-o", "edges.parquet")[0] == 0
    table = pandas.read_parquet("edges.parquet").set_index(["source", "target"])
    assert table.loc[("c", "d"), "9-11"] == 1 and table.loc[("a", "b"), "10-10"] == 1 and table.shape == (4, 12)


@pytest.mark.parametrize("kind", ["npz", "mtx", "tsv", "parquet"])
def test_formats_hold_the_same_matrix(count, kind):
    code, out, _ = count(
        "orbit-adjacency", "karate", "--orbits", "2:1-1,1:2-1", "--format", kind, "-o", "out", "--json"
    )
    assert code == 0 and [row["orbits"] for row in json.loads(out)] == ["2:1-1", "1:2-1"]
    near = networkx.to_numpy_array(networkx.karate_club_graph(), weight=None).astype(int)
    wedges = near @ near * (1 - near)
    np.fill_diagonal(wedges, 0)
    ends = near * (near.sum(1)[:, None] - 1 - near @ near)  # row: the centre
    for name, expected in (("2-1-1", wedges), ("1-2-1", ends)):
        np.testing.assert_array_equal(_read(f"out/{name}.{kind}", kind), expected)


def test_a_matrix_too_large_is_left_out_and_the_folder_says_so(count, tmp_path):
    code, out, err = count(
        "orbit-adjacency", "barabasi:n=200,m=2", "--orbits", "2:1-1,3:4-4,1:3-3", "--max-memory", "0.0002", "-o", "out"
    )
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (
        code == 2 and err.count("\n") == 1 and "left out: 3:4-4; the other 2 are in out" in err and "3:4-4" not in out
    )
    assert [row["orbits"] for row in summary["matrices"]] == ["2:1-1", "1:3-3"] and summary["refused"] == ["3:4-4"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"ids.tsv", "summary.json", "2-1-1.npz", "1-3-3.npz"}


def test_the_matrices_of_a_graphlet(count):
    code, out, _ = count("orbit-adjacency", "karate", "--orbits", "G4,1:7-6", "-o", "out", "--json")
    assert code == 0 and [row["orbits"] for row in json.loads(out)] == ["1:6-7", "2:6-6", "1:7-6"]


def _read(path, kind):
    if kind == "npz":
        return scipy.sparse.load_npz(path).toarray()
    if kind == "mtx":
        return scipy.io.mmread(path).toarray()
    table = pandas.read_parquet(path) if kind == "parquet" else pandas.read_csv(path, sep="\t")
    dense = np.zeros((34, 34), dtype=int)
    dense[table["source"], table["target"]] = table["count"]
    return dense


def test_check_holds_on_karate(count):
    code, out, _ = count("check", "karate", "--json")
    rows = json.loads(out)["identities"]
    assert code == 0 and len(rows) > 50 and all(row["holds"] for row in rows)


def test_check_finds_a_wrong_count(count, monkeypatch):
    from graphkit.kernels import orbits

    right = orbits.one_hop

    def wrong(*words):
        counts = right(*words)
        counts[4, 0] += 1
        return counts

    monkeypatch.setattr(orbits, "one_hop", wrong)
    code, out, err = count("check", "karate")
    assert code == 4 and "NO" in out and "rows of 1:5-5 = 1 x orbit 5" in err


def test_the_reduction_is_announced_once(count, tmp_path):
    (tmp_path / "multi.csv").write_text("from,to,w\na,b,2\nb,a,3\na,b,4\nb,b,1\nb,c,1\n")
    read = ["--edges", "multi.csv", "--weight", "w", "--directed", "--self-loops", "keep", "--duplicates", "keep"]
    code, out, err = count("orbits", *read, "-o", "-")
    assert code == 0 and "b\t2\t0\t1" in out
    assert (
        err.count("read as a simple undirected graph: directions ignored, weights ignored, 1 loops dropped, 1 copies")
        == 1
    )


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["orbits", "karate", "-o", "x.foo"], 2, "found the ending '.foo'"),
        (
            ["orbits", "karate", "--edges", "paw.txt", "-o", "x.tsv"],
            2,
            "DATASET karate: found with --dataset or --edges",
        ),
        (["orbits", "-o", "x.tsv"], 2, "--dataset and --edges: found neither"),
        (
            ["orbit-adjacency", "karate", "--orbits", "1:8-9", "-o", "x"],
            2,
            "found '1:8-9', expected all, G0 to G8 or some of 1:0-0",
        ),
        (["orbit-adjacency", "karate", "-o", "paw.txt"], 2, "-o paw.txt: found a file, expected a folder"),
        (
            ["orbit-adjacency", "karate", "--max-memory", "0.00001", "-o", "x"],
            2,
            "--max-memory: the counts of edges takes",
        ),
    ],
)
def test_bad_input(count, tmp_path, words, code, text):
    found, out, err = count(*words)
    assert (found, out) == (code, "") and text in err and err.count("\n") == 1
    assert not [path for path in tmp_path.iterdir() if path.name != "paw.txt"]
