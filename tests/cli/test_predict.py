"""graphkit predict as its user meets it: own graph with string ids, no features; train, score, propose, explain."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from served import graphkit

from graphkit.datasets.base import EdgeSet, GraphDataset, LinkSplit
from graphkit.runs import prediction as predict

GRAPH = nx.relabel_nodes(nx.karate_club_graph(), lambda node: f"member {node}")


def tsv(text):
    return [line.split("\t") for line in text.splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    lines = ["from,to", *(f"{a},{b}" for a, b in GRAPH.edges)]
    (folder / "my.csv").write_text("\n".join(lines) + "\n")
    done = graphkit(
        "train", "ncnc", "--edges", folder / "my.csv", "--epochs", 2, "--hidden-dim", 16, "--out", folder / "run"
    )
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_scores_given_pairs_with_the_users_ids(run, tmp_path):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("source\ttarget\nmember 0\tmember 9\n# a comment\nmember 9\tmember 0\nmember 33\tmember 1\n")
    done = graphkit("predict", run, "--pairs", pairs)
    assert done.returncode == 0, done.stderr
    rows = tsv(done.stdout)
    assert rows[0] == ["source", "target", "score"]
    assert [row[:2] for row in rows[1:]] == [
        ["member 0", "member 9"],
        ["member 9", "member 0"],
        ["member 33", "member 1"],
    ]
    assert float(rows[1][2]) == pytest.approx(float(rows[2][2]), abs=1e-5)
    piped = graphkit("predict", run, "--pairs", "-", "--json", stdin="member 0;member 9\n")
    assert json.loads(piped.stdout)[0]["score"] == pytest.approx(float(rows[1][2]), rel=1e-5)


def test_unknown_id_names_the_line(run, tmp_path):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("member 0\tmember 9\nmember 1\tmembr 2\n")
    done = graphkit("predict", run, "--pairs", pairs)
    assert done.returncode == 3 and done.stdout == ""
    assert f"{pairs}, line 2: 'membr 2' is not a node of the graph; did you mean" in done.stderr


def test_proposes_links_that_are_missing(run, tmp_path):
    done = graphkit("predict", run, "--top-k", 5, "--explain", tmp_path / "why.tsv", "-o", tmp_path / "top.tsv")
    assert done.returncode == 0 and done.stdout == "", done.stderr
    rows = tsv((tmp_path / "top.tsv").read_text())[1:]
    scores = [float(row[2]) for row in rows]
    assert len(rows) == 5 and scores == sorted(scores, reverse=True)
    assert not any(GRAPH.has_edge(row[0], row[1]) for row in rows)
    why = tsv((tmp_path / "why.tsv").read_text())
    assert why[0] == ["source", "target", "node", "kind", "p"] and {row[3] for row in why[1:]} <= {
        "common",
        "source-only",
        "target-only",
    }
    done = graphkit("predict", run, "--top-k", 100, "--node", "member 0")
    rows = tsv(done.stdout)[1:]
    assert {row[0] for row in rows} == {"member 0"}
    assert {row[1] for row in rows} == set(GRAPH) - set(GRAPH["member 0"]) - {"member 0"}


@pytest.mark.parametrize(
    "words,code,message",
    [
        ([], 2, "--pairs and --top-k: found neither"),
        (["--pairs", "x", "--top-k", 1], 2, "found both"),
        (["--pairs", "x", "--node", "member 0"], 2, "--node needs --top-k"),
        (["--pairs", "no-such-file"], 3, "no-such-file: No such file"),
        (["--top-k", 1, "--node", "nobody"], 3, "'nobody' is not a node"),
    ],
)
def test_wrong_use(run, words, code, message):
    done = graphkit("predict", run, *words)
    assert done.returncode == code and message in done.stderr and done.stdout == ""


def test_output_goes_into_a_new_folder_and_comes_whole_or_not_at_all(run, tmp_path):
    done = graphkit("predict", run, "--top-k", 2, "-o", tmp_path / "new" / "top.tsv")
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "new" / "top.tsv").read_text().splitlines()) == 3
    (tmp_path / "file").write_text("in the way of a folder\n")
    for output, code in ((tmp_path / "file" / "top.tsv", 2), ("/dev/full", 1)):
        done = graphkit("predict", run, "--top-k", 2, "--explain", tmp_path / "why.tsv", "-o", output)
        assert done.returncode == code and len(done.stderr.splitlines()) == 1 and "internal" not in done.stderr
        assert not (tmp_path / "why.tsv").exists()
    done = graphkit("predict", run, "--top-k", 2, "-o", "/dev/null")
    assert done.returncode == 0 and Path("/dev/null").is_char_device()


@pytest.mark.parametrize("words", [["-o", "-"], ["--json"], ["-o", "-", "--json"]])
def test_two_tables_on_stdout_are_refused(run, words):
    done = graphkit("predict", run, "--top-k", 1, "--explain", "-", *words)
    assert done.returncode == 2 and done.stdout == "" and "two tables for stdout" in done.stderr


def spoilt(run, folder, name, change):
    """A copy of a run, one file of it changed."""
    shutil.copytree(run, folder / "copy")
    path = folder / "copy" / name
    path.write_text(change(path.read_text()))
    return folder / "copy"


@pytest.mark.parametrize(
    "name,change,message",
    [
        ("config.yaml", lambda text: re.sub(r"seeds:\n- 0\n", "seeds: 3\n", text), "seeds is 3, expected a list"),
        (
            "config.yaml",
            lambda text: text.replace("data:\n", "data:\n  colour: red\n"),
            "unexpected keyword argument 'colour'",
        ),
        ("config.yaml", lambda text: re.sub(r"data:\n  name: .*\n", "data:\n", text), "data has no name"),
        (
            "config.yaml",
            lambda text: text.replace("method: ncnc", "method: ncnz"),
            "unknown method 'ncnz'; did you mean",
        ),
        ("result.json", lambda text: "[]", "found list, expected a mapping"),
        ("result.json", lambda text: "{}", "expected the result of a run"),
    ],
)
def test_a_broken_run_is_a_line_about_its_file(run, tmp_path, name, change, message):
    folder = spoilt(run, tmp_path, name, change)
    done = graphkit("predict", folder, "--top-k", 1)
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 1, done.stderr
    assert str(folder / name) in done.stderr and message in done.stderr


def test_a_model_of_another_shape_and_the_run_of_an_embedder(run, tmp_path):
    from safetensors.torch import save_file

    shutil.copytree(run, tmp_path / "copy")
    save_file({"x": torch.zeros(1)}, str(tmp_path / "copy" / "model.safetensors"))
    result = json.loads((tmp_path / "copy" / "result.json").read_text())
    del result["models"]  # a run from before models had a checksum
    (tmp_path / "copy" / "result.json").write_text(json.dumps(result))
    done = graphkit("predict", tmp_path / "copy", "--top-k", 1)
    assert done.returncode == 3 and "model.safetensors: not the model of this run" in done.stderr
    words = ("--method", "fastrp", "--dim", 4, "--weights", 1, "--dataset", "karate", "--out", tmp_path / "embedded")
    assert graphkit("embed", *words).returncode == 0
    done = graphkit("predict", tmp_path / "embedded", "--top-k", 1)
    assert done.returncode == 3 and "a run of fastrp that holds no model" in done.stderr


def dataset_of(graph, held_out=()):
    import dgl

    edges = np.array([edge for edge in graph.edges if edge not in held_out], dtype=np.int64).reshape(-1, 2)
    both = np.concatenate([edges, edges[:, ::-1]])
    held = EdgeSet(np.array(held_out, dtype=np.int64).reshape(-1, 2))
    message = dgl.graph(tuple(torch.from_numpy(both.T.copy())), num_nodes=len(graph))
    return GraphDataset("g", graph=message, task="link", split=LinkSplit(EdgeSet(edges), held, held), metric="hits@1")


@pytest.mark.parametrize("block", [1, 40, 10**6])
def test_candidates_are_the_pairs_at_distance_two(monkeypatch, block):
    monkeypatch.setattr(predict, "CANDIDATES_AT_ONCE", block)
    graph = nx.gnm_random_graph(40, 70, seed=2)
    held_out = list(graph.edges)[:5]
    links = predict.known_links(dataset_of(graph, held_out))
    found = [tuple(pair) for part in predict.candidates(links) for pair in part.tolist()]
    distance = dict(nx.all_pairs_shortest_path_length(graph))
    expected = {(a, b) for a, b in itertools.combinations(range(40), 2) if distance[a].get(b) == 2}
    assert len(found) == len(set(found)) and set(found) == expected


def test_top_links_are_the_best_of_all_candidates(monkeypatch):
    monkeypatch.setattr(predict, "CANDIDATES_AT_ONCE", 30)
    graph = nx.gnm_random_graph(30, 60, seed=3)
    dataset = dataset_of(graph)
    weight = torch.randn(30, 30, generator=torch.Generator().manual_seed(0)).round(decimals=1)  # with ties

    class Table:
        def score_pairs(self, pairs):
            return (weight + weight.T)[pairs[:, 0], pairs[:, 1]]

    pairs, scores = predict.top_links(Table(), dataset, 10)
    links = predict.known_links(dataset)
    every = np.concatenate(list(predict.candidates(links)))
    values = Table().score_pairs(torch.from_numpy(every)).tolist()
    expected = sorted((-value, *pair) for value, pair in zip(values, every.tolist()))[:10]
    assert [(-score, *pair) for score, pair in zip(scores.tolist(), pairs.tolist())] == expected
