"""graphkit predict --vectors: what the last layer reads, and that it makes the labels of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from graphkit.cli.main import main
from graphkit.io import embeddings
from graphkit.runs.execution import load_run

NODES, GRAPHS = "sbm:n=60,k=3,features=4", "csl:copies=5"
SMALL = "--hidden-dim 8 --epochs 2 -q"
RUNS = [  # method, data, options, width of the vectors
    ("graph-mamba", NODES, f"{SMALL} --m 1 --eval-draws 2", 8),
    ("graph-mamba", GRAPHS, f"{SMALL} --m 0", 8),
    ("graphgps", NODES, f"{SMALL} --local gine", 8),
    ("graphgps", GRAPHS, f"{SMALL} --pool add", 8),
    ("largegt", NODES, f"{SMALL} --k 5 --centroids 8 --global-dim 4", 2 * 2 * 8),
    ("lagcnii", NODES, f"{SMALL} --generator-steps 2", 16),
    ("lagrand", NODES, f"{SMALL} --control random", 8),
    ("gin", NODES, f"{SMALL} --input-linear", 8),
    ("gin", GRAPHS, f"{SMALL} --readout sum", 3 * 8),
]


def command(*words):
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, words)))
    return stop.value.code


@pytest.mark.parametrize("name, data, words, width", RUNS, ids=lambda part: str(part).split(" ")[0])
def test_the_last_layer_makes_the_labels_of_the_vectors(name, data, words, width, tmp_path, capsys):
    assert command("train", name, "--dataset", data, *words.split(), "--out", tmp_path / "run") == 0
    capsys.readouterr()
    assert command("predict", tmp_path / "run", "--vectors", tmp_path / "v.npy", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    vectors = np.load(tmp_path / "v.npy")
    learner, _ = load_run(tmp_path / "run").restore()
    layers = learner.last_layers()
    parts = torch.from_numpy(vectors).split(vectors.shape[1] // len(layers), dim=1)
    with torch.no_grad():
        logits = sum(layer(part) for layer, part in zip(layers, parts))
    expected = learner.targets.probabilities(logits).numpy()
    found = np.array([[row[key] for key in row if key.startswith("p_")] for row in shown])
    assert vectors.shape == (len(found), width) and vectors.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_a_convolution_at_the_end_reads_the_layer_before(tmp_path, capsys):
    assert command("train", "gcn", "--dataset", NODES, *SMALL.split(), "--out", tmp_path / "run") == 0
    assert command("predict", tmp_path / "run", "--vectors", tmp_path / "v.npy") == 0
    learner, _ = load_run(tmp_path / "run").restore()
    with torch.no_grad():
        batch = learner.full_batch("train")
        hidden, _ = learner.model.layers[0](batch.graph, batch.x, None)
    np.testing.assert_allclose(np.load(tmp_path / "v.npy"), hidden.numpy(), atol=1e-6)


def test_vectors_of_another_graph_bear_its_ids(tmp_path, capsys):
    assert command("train", "sage", "--dataset", NODES, *SMALL.split(), "--out", tmp_path / "run") == 0
    (tmp_path / "other.csv").write_text("from,to\nx,y\ny,z\n")
    (tmp_path / "features.csv").write_text("id,a,b,c,d\nz,0,0,1,1\nx,1,0,1,0\ny,0,1,0,1\n")
    words = ("predict", tmp_path / "run", "--graph", tmp_path / "other.csv", "--features", tmp_path / "features.csv")
    assert command(*words, "--vectors", tmp_path / "v.tsv") == 0
    vectors, ids = embeddings.read(tmp_path / "v.tsv")
    assert ids.tolist() == ["x", "y", "z"] and vectors.shape == (3, 8)


def test_one_graph_for_a_model_of_graphs_is_row_zero(tmp_path, capsys):
    assert command("train", "gin", "--dataset", GRAPHS, *SMALL.split(), "--out", tmp_path / "run") == 0
    (tmp_path / "other.csv").write_text("from,to\nx,y\ny,z\n")
    assert command("predict", tmp_path / "run", "--graph", tmp_path / "other.csv", "--vectors", tmp_path / "v.tsv") == 0
    vectors, ids = embeddings.read(tmp_path / "v.tsv")
    assert vectors.shape == (1, 8) and ids.tolist() == ["0"]


def test_what_cannot_be_is_said(tmp_path, capsys):
    assert command("train", "gcn", "--dataset", NODES, *SMALL.split(), "--out", tmp_path / "run") == 0
    assert command("train", "cn", "--dataset", "karate", "-q", "--out", tmp_path / "links") == 0
    capsys.readouterr()
    for words, message in (
        (["run", "--vectors", "-"], "--vectors -: stdout is for the labels"),
        (["run", "--vectors", "v.xls"], "--vectors v.xls: found the ending '.xls'"),
        (["run", "--vectors", "..", "-o", "l.tsv"], "--vectors ..: found the ending 'none'"),
        (["run", "--vectors", "v.tsv", "-o", "./v.tsv"], "two tables for one file"),
        (["run", "--vectors", "v.npy", "-o", "v.ids.tsv"], "two tables for one file"),
        (["links", "--top-k", "1", "--vectors", "v.tsv"], "--vectors is for runs of labels;"),
    ):
        assert command("predict", tmp_path / words[0], *words[1:]) == 2
        found = capsys.readouterr()
        assert message in found.err and len(found.err.splitlines()) == 1 and found.out == ""
    for words in (
        ["--vectors", tmp_path / "v.npy", "-o", "/proc/l.tsv"],
        ["--vectors", "/proc/v.npy", "-o", tmp_path / "l.tsv"],
    ):
        assert command("predict", tmp_path / "run", *words) == 2
        assert "error: /proc/" in capsys.readouterr().err
    assert not (tmp_path / "v.npy").exists() and not (tmp_path / "l.tsv").exists()
