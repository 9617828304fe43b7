"""Every ``-o``: the file is what its ending says, for another program that reads it."""

from __future__ import annotations

import json

import networkx as nx
import numpy as np
import pandas
import pytest
from served import graphkit

NAMES = [f"v,{k}" if k % 3 == 0 else f'"v{k}"' if k % 3 == 1 else f"v {k}" for k in range(34)]
EDGES = [(NAMES[a], NAMES[b]) for a, b in nx.karate_club_graph().edges]
ENDINGS = [".csv", ".tsv", ".csv.gz", ".parquet"]


def frame(path):
    if path.suffix == ".parquet":
        return pandas.read_parquet(path)
    return pandas.read_csv(path, sep="\t" if ".tsv" in path.name else ",", keep_default_na=False)


@pytest.fixture(scope="module")
def edges(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "my.csv"
    pandas.DataFrame(EDGES, columns=["src", "dst"]).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def runs(edges):
    """A run of links and one of labels on the same graph."""
    from graphkit.cli.main import main

    labels = edges.with_name("labels.csv")
    pandas.DataFrame({"id": NAMES, "label": ["a,b", "c"] * 17}).to_csv(labels, index=False)
    found = {}
    for method, more in (("cn", []), ("gcn", ["--labels", str(labels), "--epochs", "1"])):
        found[method] = edges.with_name(method)
        with pytest.raises(SystemExit) as stop:
            main(["-q", "train", method, "--edges", str(edges), "--out", str(found[method]), *more])
        assert stop.value.code == 0
    return found


@pytest.mark.parametrize("ending", ENDINGS)
def test_predict(command, runs, tmp_path, ending):
    top, why = tmp_path / f"top{ending}", tmp_path / f"labels{ending}"
    code, out, err = command("predict", runs["cn"], "--top-k", 3, "--node", NAMES[0], "--node", NAMES[1], "-o", top)
    assert (code, out) == (0, ""), err
    found = frame(top)
    assert list(found) == ["source", "target", "score"]
    assert found["source"].tolist() == [NAMES[0]] * 3 + [NAMES[1]] * 3
    assert set(found["target"]) <= set(NAMES)
    assert command("predict", runs["gcn"], "-o", why)[0] == 0
    found = frame(why)
    assert found["id"].tolist() == list(dict.fromkeys(name for pair in EDGES for name in pair))
    assert list(found) == ["id", "prediction", "p_a,b", "p_c"]
    np.testing.assert_allclose(found["p_a,b"] + found["p_c"], 1, rtol=1e-6)


def test_several_nodes_are_the_answers_for_each(command, runs, tmp_path):
    wanted = [NAMES[5], NAMES[0], NAMES[5]]
    (tmp_path / "nodes.txt").write_text("".join(f'"{name}"\n'.replace('""', '"""') for name in wanted[1:]))
    single = {name: command("predict", runs["cn"], "--top-k", 2, "--node", name)[1].splitlines() for name in wanted}
    both = command("predict", runs["cn"], "--top-k", 2, "--node", wanted[0], "--node", wanted[1])[1].splitlines()
    assert both == [*single[wanted[0]], *single[wanted[1]][1:]]
    code, _, err = command("predict", runs["cn"], "--nodes", tmp_path / "nodes.txt", "--pairs", "x")
    assert code == 2 and "--nodes needs --top-k" in err


@pytest.mark.parametrize("ending", ENDINGS)
def test_tables_of_the_graph(command, edges, tmp_path, ending):
    graph = nx.Graph(EDGES)
    path = tmp_path / f"out{ending}"
    for words, check in {
        ("count", "orbits"): lambda f: dict(zip(f["id"], f["o0"])) == dict(graph.degree),
        ("encode", "--pe", "rwse:2"): lambda f: set(f["id"]) == set(graph) and list(f)[1:] == ["rwse_1", "rwse_2"],
        ("embed", "--method", "fastrp", "--dim", "4", "--weights", "0,1"): lambda f: (
            set(f["id"]) == set(graph) and f.shape == (34, 5)
        ),
        ("analyze", "topo"): lambda f: set(f["id"]) == set(graph) and "tc_test" in f,
        ("cluster", "local", "--seeds", NAMES[2], "--volume", "40"): lambda f: (
            set(f["id"]) <= set(graph) and len(f) > 1
        ),
        ("evaluate", "hide", "--hide", "0.2"): lambda f: graph.has_edge(f["src"][0], f["dst"][0]) and len(f) < 78,
    }.items():
        code, _, err = command(*words, "--edges", edges, "-o", path)
        assert code == 0, (words, err)
        assert check(frame(path)), words
    code, _, err = command("data", "split", edges, "-o", path)
    assert code == 0, err
    found = frame(path)
    assert all(graph.has_edge(a, b) for a, b in zip(found["src"], found["dst"]))
    assert set(found["part"]) == {"train", "valid", "test"}


def test_what_embed_writes_as_csv_is_judged_and_tables_of_figures_are_written(command, edges, runs, tmp_path):
    path, scores = tmp_path / "x.csv", tmp_path / "scores.parquet"
    assert command("embed", "--method", "spectral", "--dim", 4, "--edges", edges, "-o", path)[0] == 0
    code, out, err = command(
        "evaluate",
        "embedding",
        path,
        "--edges",
        edges,
        "--labels",
        edges.with_name("labels.csv"),
        "--shuffles",
        2,
        "--train-ratio",
        0.5,
        "-o",
        scores,
        "--json",
    )
    assert code == 0, err
    metrics = json.loads(out)["metrics"]
    assert dict(zip(frame(scores)["metric"], frame(scores)["mean"])) == pytest.approx(
        {name: one["mean"] for name, one in metrics.items()}
    )
    assert command("runs", "list", edges.parent, "-o", tmp_path / "runs.csv")[0] == 0
    found = frame(tmp_path / "runs.csv").set_index("method")
    result = json.loads((runs["cn"] / "result.json").read_text())
    assert float(found["test"]["cn"]) == pytest.approx(result["test"]["mean"], rel=1e-6)
    assert command("runs", "compare", runs["cn"], runs["cn"], "-o", tmp_path / "both.csv")[0] == 0
    assert (frame(tmp_path / "both.csv")["difference"] == 0).all()


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "no-run", "--top-k", "3"),
        ("embed", "--method", "fastrp", "--dataset", "karate"),
        ("data", "split", "karate"),
        ("evaluate", "hide", "--dataset", "karate"),
        ("count", "orbits", "karate"),
        ("encode", "--pe", "rwse:2", "--dataset", "karate"),
        ("cluster", "local", "karate", "--seeds", "3", "--volume", "9"),
        ("analyze", "topo", "--dataset", "karate"),
        ("runs", "list", "."),
        ("reproduce", "fastrp", "--stored"),
        ("cluster", "ncp", "karate"),
    ],
)
def test_an_unknown_ending_is_wrong_usage_before_any_work(command, tmp_path, words):
    code, out, err = command(*words, "-o", tmp_path / "x.xlsx")
    assert (code, out) == (2, "")
    assert "'.xlsx', expected one of" in err and ".parquet" in err and len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("embed", "--method", "spectral", "--dim", "2", "--dataset", "karate"),
        ("data", "split", "karate"),
        ("count", "orbits", "karate"),
    ],
)
def test_a_full_disk_is_one_line_and_exit_code_1(words, tmp_path):
    for ending in (".csv", ".tsv.gz", ".parquet", ".npz"):
        full = tmp_path / f"full{ending}"
        full.symlink_to("/dev/full")
        done = graphkit(*words, "-o", full)
        assert done.returncode == 1, (ending, done.stderr)
        assert done.stderr.splitlines()[-1].endswith("No space left on device"), done.stderr
        assert sum("error" in line for line in done.stderr.splitlines()) == 1 and "internal" not in done.stderr
