"""A package from elsewhere that adds a data set, a metric and a protocol; a broken one is left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from graphkit.evaluation.registry import better

CATALOGUE = """
two-rings:
  loader: rings:load
  options: {size: 12}
  tasks:
    node: {split: "random-0.5/0.25/0.25", metric: errors}
    link: {split: "ring-random", metric: auc}
  about: Two rings of nodes, each of its own class.
  paper: none
  licence: public domain
  url: "https://example.org"
"""
LOADER = """
import numpy as np
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.build import graph_of, set_features, set_labels
from graphkit.datasets.splits.loaded import Loaded


def load(entry, *, size):
    at = np.arange(2 * size)
    graph = graph_of(at, np.where((at + 1) % size, at + 1, at + 1 - size), 2 * size)
    set_labels(graph, at // size, "rings")
    set_features(graph, np.eye(2 * size, dtype=np.float32), "rings")
    return Loaded(GraphDataset(entry.name, graph))
"""
FIGURES = """
from graphkit.evaluation.registry import LABELS, Metric, Rule


def errors(predictions):
    guess = predictions["y_pred"].argmax(1)
    return (guess != predictions["y_true"].flatten()).sum()


figures = [
    Metric("errors", "min", LABELS, errors, beside="accuracy"),
    Rule("halves", ("random-0.5/0.25",), ("node",), "half of the nodes train"),
]
bad = Metric("wrong", "up", LABELS, errors)
"""


def install(folder: Path, points: str) -> Path:
    package, info = folder / "graphkit_rings", folder / "graphkit_rings-0.1.dist-info"
    package.mkdir()
    info.mkdir()
    for name, text in (("__init__", ""), ("rings", LOADER), ("figures", FIGURES)):
        (package / f"{name}.py").write_text(text)
    (package / "catalogue.yaml").write_text(CATALOGUE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: graphkit-rings\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(points)
    return folder


def graphkit(site: Path, *words):
    return subprocess.run(
        [sys.executable, "-m", "graphkit", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(site)},
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    points = (
        "[graphkit.datasets]\nrings = graphkit_rings\n\n[graphkit.metrics]\nfigures = graphkit_rings.figures:figures\n"
    )
    return install(tmp_path_factory.mktemp("site"), points)


def test_its_data_set_is_listed_and_described(site):
    assert "two-rings" in graphkit(site, "data", "list").stdout
    said = json.loads(graphkit(site, "data", "info", "two-rings", "--json").stdout)
    assert said["nodes"] == 24 and said["licence"] == "public domain"


def test_its_metric_selects_the_epoch_and_its_protocol_names_the_result(site, tmp_path):
    words = ["train", "gcn", "--dataset", "two-rings", "--epochs", 5, "--out", tmp_path / "run"]
    done = graphkit(site, *words, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["metric"] == "errors" and found["protocol"] == "halves"
    # Errors are counted, accuracy is their share: 6 nodes are tested.
    events = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(round(6 * (1 - one["valid"]["accuracy"])) == one["valid"]["errors"] for one in events)
    assert found["valid"]["mean"] == min(one["valid"]["errors"] for one in events)  # the good end is the lower one


@pytest.mark.parametrize(
    "points, words, message",
    [
        ("[graphkit.datasets]\nrings = graphkit_nothing\n", ("data", "list"), "graphkit_nothing cannot be found"),
        ("[graphkit.datasets]\nrings = graphkit_rings.rings\n", ("data", "list"), "expected a package with catalogue"),
        (
            "[graphkit.metrics]\nfigures = graphkit_rings.figures:bad\n",
            ("train", "cn", "--dataset", "karate", "--out", "OUT"),
            "metric 'wrong': better is 'up', expected max or min",
        ),
        (
            "[graphkit.metrics]\nfigures = graphkit_rings.figures:errors\n",
            ("train", "cn", "--dataset", "karate", "--out", "OUT"),
            "found function, expected a Metric",
        ),
    ],
    ids=["no-package", "one-file", "direction", "no-metric"],
)
def test_a_broken_one_is_left_out_with_a_line(tmp_path, points, words, message):
    folder = install(tmp_path, points)
    done = graphkit(folder, *(tmp_path / "run" if word == "OUT" else word for word in words))
    assert done.returncode == 0
    lines = [line for line in done.stderr.splitlines() if "left out" in line]
    assert len(lines) == 1 and message in lines[0], done.stderr


def test_built_in_directions():
    assert [better(name) for name in ("rmse", "mae", "loss")] == ["min"] * 3
    assert [better(name) for name in ("hits@50", "ap@200", "accuracy", "r2", "macro-f1", "mrr")] == ["max"] * 6
