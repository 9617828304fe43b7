"""graphkit encode as its user meets it: real processes, pipes, files, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from served import graphkit

EDGES = "src,dst\nann,bob\nbob,cy\ncy,ann\ncy,dan\n"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def encode(*words, stdin=None):
    return graphkit("encode", *words, stdin=stdin)


def expected_rwse(names):
    """diag(P), diag(P^2), diag(P^3) of a triangle with a tail, for ids in any order."""
    order = ["ann", "bob", "cy", "dan"]
    a = np.array([[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 0]], dtype=float)
    p = a / a.sum(1, keepdims=True)
    table = np.stack([p.diagonal(), (p @ p).diagonal(), (p @ p @ p).diagonal()], axis=1)
    return table[[order.index(name) for name in names]]


def test_pipe_in_tsv_out_with_the_users_ids():
    done = encode("--pe", "rwse:3", "--edges", "-", stdin=EDGES)
    assert done.returncode == 0, done.stderr
    header, *rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert header == ["id", "rwse_1", "rwse_2", "rwse_3"]
    np.testing.assert_allclose(
        np.array([row[1:] for row in rows], dtype=float), expected_rwse([row[0] for row in rows]), atol=1e-7
    )
    assert done.stderr.splitlines()[-1].startswith("rwse:3 of stdin: 4 nodes")


def test_npz_of_one_graph_and_json(tmp_path):
    out = tmp_path / "pe.npz"
    edges = tmp_path / "edges.csv"
    edges.write_text(EDGES)
    done = encode("--pe", "rwse:3,lappe:6", "--edges", edges, "-o", out, "--json")
    assert done.returncode == 0, done.stderr
    assert "lappe has no value in 8 of 24 places, where a graph has fewer nodes than it asks for" in done.stderr
    about = json.loads(done.stdout)
    assert about["arrays"] == {"id": [4], "rwse": [4, 3], "lappe": [4, 6], "lappe_eigenvalue": [4, 6]} and about[
        "file"
    ] == str(out)
    with np.load(out, allow_pickle=False) as found:
        names = found["id"].tolist()
        np.testing.assert_allclose(found["rwse"], expected_rwse(names), atol=1e-7)
        assert np.isnan(found["lappe"][:, 4:]).all() and np.isnan(found["lappe_eigenvalue"][:, 4:]).all()
        # A triangle with a tail: eigenvalues 0, 1, 3, 4.
        np.testing.assert_allclose(found["lappe_eigenvalue"][:, :4], [[0, 1, 3, 4]] * 4, atol=1e-6)
        np.testing.assert_allclose(found["lappe"][:, 0], 0.5, atol=1e-6)


def test_many_graphs_say_which_graph_a_node_is_in(tmp_path):
    out = tmp_path / "pe.npz"
    done = encode("--pe", "rwse:4", "--dataset", "csl:copies=5", "-o", out)
    assert done.returncode == 0, done.stderr
    assert "50 graphs, 2,050 nodes" in done.stderr
    with np.load(out) as found:
        assert found["graph"].tolist() == [k for k in range(50) for _ in range(41)]
        assert found["id"].tolist() == list(range(41)) * 50
        np.testing.assert_allclose(found["rwse"][:, :2], [[0, 0.25]] * 2050)
    done = encode(
        "--pe", "elstatic", "--dataset", "ring-transfer:train=2,valid=1,test=1,radius=2", "-o", tmp_path / "pe.tsv"
    )
    assert done.returncode == 0, done.stderr
    header, *rows = [line.split("\t") for line in (tmp_path / "pe.tsv").read_text().splitlines()]
    assert header[:3] == ["id", "graph", "elstatic_1"] and len(header) == 12
    assert [row[:2] for row in rows] == [[str(node), str(graph)] for graph in range(4) for node in range(4)]
    values = np.array([row[2:] for row in rows], dtype=float)
    np.testing.assert_allclose(values, np.repeat(values[:1], 16, axis=0), atol=1e-6)  # all nodes of all rings are alike


MISTAKES = [
    (["--pe", "rwsee:3", "--dataset", "karate"], 2, "--pe: found 'rwsee'; did you mean 'rwse'?"),
    (["--pe", "rwse:0", "--dataset", "karate"], 2, "expected rwse[:K[:DIM]]"),
    (["--pe", "none", "--dataset", "karate"], 2, "--pe none: found no encoding"),
    (
        ["--pe", "rwse:3", "--dataset", "karate", "-o", "pe.png"],
        2,
        "-o pe.png: found the ending '.png', expected one of .tsv, .csv",
    ),
    (["--pe", "rwse:3", "--dataset", "karate", "--json"], 2, "--json and -o -"),
    (["--pe", "rwse:3", "--dataset", "nowhere"], 3, "unknown data set 'nowhere'"),
    (["--pe", "rwse:3"], 2, "--dataset and --edges: found neither"),
    (["--dataset", "karate"], 2, "--pe"),
]
PROBE = """
import contextlib, io, json, sys
from graphkit.cli.main import main
found = []
for words in json.loads(sys.argv[1]):
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            main(["encode", *words])
        except SystemExit as stop:
            found.append([stop.code, out.getvalue(), errors.getvalue()])
json.dump(found, sys.stdout)
"""


def test_mistakes_end_in_one_line():
    words = json.dumps([words for words, *_ in MISTAKES])
    done = subprocess.run([sys.executable, "-c", PROBE, words], capture_output=True, text=True, check=True, timeout=300)
    outcomes = json.loads(done.stdout)
    assert len(outcomes) == len(MISTAKES)
    for (words, code, message), (found, out, errors) in zip(MISTAKES, outcomes):
        assert found == code and message in errors, (words, errors)
        assert len(errors.splitlines()) == 1 and out == ""
