"""A package from elsewhere with a method of every kind: each runs through its verb, without an edit to graphkit."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

TAKES = "{directed: false, weighted: false, attributed: false, featureless: true, inductive: false, multi_graph: false}"

# name -> (kind and other lines of the sheet, options, class)
METHODS = {
    "degree-vectors": (
        "kind: embedder",
        'power: int = option(1, "power of the degree", min=1, max=9)',
        """
        from graphkit.methods.kinds import Embedder

        class Method(Embedder):
            "The degree of every node, to a power."
            Config = MethodConfig

            def embed(self, dataset, *, seed=0, device="cpu"):
                return dataset.graph.in_degrees().numpy()[:, None].astype(np.float32) ** self.config.power
        """,
    ),
    "wedges": (
        "kind: counter",
        'of: str = option("nodes", "what a row is", choices=("nodes", "edges"))',
        """
        from graphkit.methods.kinds import Counter, Counts

        class Method(Counter):
            "Wedges around nodes, or at both ends of edges."
            Config = MethodConfig

            def count(self, dataset, *, report=None):
                source, target = (ends.numpy() for ends in dataset.graph.edges())
                degree = np.bincount(target, minlength=dataset.num_nodes)
                if self.config.of == "nodes":
                    return Counts({"wedges": degree * (degree - 1) // 2})
                once = source < target
                ends = np.stack([source[once], target[once]], axis=1)
                return Counts({"wedges": (degree[ends] - 1).sum(axis=1)}, ends)
        """,
    ),
    "parity": (
        "kind: clusterer\nseeds: false",
        'modulus: int = option(2, "number of clusters", min=2)',
        """
        from graphkit.methods.kinds import Clusterer

        class Method(Clusterer):
            "Nodes by the remainder of their degree."
            Config = MethodConfig
            needs_seeds = False

            def partition(self, dataset, *, seed=0, device="cpu"):
                return (dataset.graph.in_degrees().numpy() % self.config.modulus).astype(np.int64)
        """,
    ),
    "ego": (
        "kind: clusterer",
        'hops: int = option(1, "steps from the seeds", min=1)',
        """
        from graphkit.methods.kinds import Clusterer, LocalCluster

        class Method(Clusterer):
            "All nodes within so many steps of the seeds."
            Config = MethodConfig

            def cluster(self, graph, seeds, *, volume=None):
                inside = set(seeds.tolist())
                for _ in range(self.config.hops):
                    inside |= {int(v) for u in inside for v in graph.indices[graph.indptr[u] : graph.indptr[u + 1]]}
                nodes = np.array(sorted(inside))
                cut, size = graph.plain().cut_and_volume(nodes)
                score = cut / size
                return LocalCluster(
                    nodes, np.ones(len(nodes)), score, cut, size, score, len(nodes), 0, None, "converged"
                )
        """,
    ),
    "popularity": (
        "kind: learner\ntask: link",
        """epochs: int = option(0, "nothing is trained", min=0, max=0)
    power: float = option(1.0, "power of the degrees", min=0)""",
        """
        import torch
        from graphkit.training.learner import LinkLearner

        class Method(LinkLearner):
            "Pairs by the product of their degrees."
            Config = MethodConfig

            def prepare(self, dataset, *, seed, device):
                self.dataset, self.device, self.optimizers = dataset, device, []
                self.degree = dataset.graph.in_degrees().double() ** self.config.power

            def score_pairs(self, pairs):
                return self.degree[pairs].prod(-1)

            def predict(self, split):
                part = getattr(self.dataset.split, split)
                found = (torch.as_tensor(pairs).long() for pairs in (part.pos, part.neg))
                return dict(zip(("y_pred_pos", "y_pred_neg"), map(self.score_pairs, found)))
        """,
    ),
    "degree-gap": (
        "kind: analysis",
        'absolute: bool = option(False, "without the sign")',
        """
        from graphkit.methods.kinds import Analysis

        class Method(Analysis):
            "How far a node's degree is above the mean."
            Config = MethodConfig

            def measure(self, dataset, *, seed=0):
                degree = dataset.graph.in_degrees().numpy()
                gap = degree - degree.mean()
                return {"gap": abs(gap) if self.config.absolute else gap}
        """,
    ),
    "lines": (
        "kind: analysis",
        'empty: bool = option(False, "count empty lines too")',
        """
        from graphkit.methods.kinds import Analysis, Findings

        class Method(Analysis):
            "Lines of files."
            Config = MethodConfig
            of = "files"

            def analyze(self, subject, *, seed=0, report=None):
                lines = [[x for x in f.read_text().splitlines() if x or self.config.empty] for f in subject.files]
                counts = np.array([len(one) for one in lines])
                names = np.array([file.name for file in subject.files], dtype=object)
                rows = list(zip(names.tolist(), counts.tolist()))
                table = {"file": names, "lines": counts}
                return Findings({"files": table}, {"lines": rows}, [(None, ("file", "n"), rows)])
        """,
    ),
}


def write_method(folder: Path, name: str, kind: str, options: str, body: str) -> None:
    """One method's package: sheet, options, class, a preset."""
    module = f"graphkit_other.{folder.name}"
    folder.mkdir()
    base = "LearnerConfig" if "learner" in kind else "Config"
    source = "graphkit.core.options" if "learner" in kind else "graphkit.core.config"
    (folder / "__init__.py").write_text("")
    (folder / "config.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        f"from {source} import {base}\nfrom graphkit.core.config import option\n\n\n"
        f"@dataclass(frozen=True)\nclass MethodConfig({base}):\n    {options}\n"
    )
    (folder / "method.py").write_text(
        f"import numpy as np\nfrom {module}.config import MethodConfig\n{textwrap.dedent(body)}"
    )
    (folder / "sheet.yaml").write_text(
        f"class: Method\n{kind}\nnames: {{{name}: {{}}}}\nsummary: Made elsewhere to be {name}.\n"
        f"takes: {TAKES}\nresult: exact\nmemory: O(n)\n"
    )
    field = options.partition(":")[0].strip()
    values = {"power": "3", "of": "edges", "modulus": "4", "hops": "2", "absolute": "true", "empty": "true"}
    if field in values:
        (folder / "presets.yaml").write_text(f"other:\n  karate: {{{field}: {values[field]}}}\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """What pip leaves behind of the package, on the path of the commands."""
    folder = tmp_path_factory.mktemp("site")
    package, info = folder / "graphkit_other", folder / "graphkit_other-0.1.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").write_text("")
    for name, (kind, options, body) in METHODS.items():
        write_method(package / name.replace("-", "_"), name, kind, options, body)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: graphkit-other\nVersion: 0.1\n")
    points = "".join(f"{name} = graphkit_other.{name.replace('-', '_')}\n" for name in METHODS)
    (info / "entry_points.txt").write_text(f"[graphkit.methods]\n{points}")
    return folder


@pytest.fixture
def graphkit(site):
    def run(*words, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "graphkit", *map(str, words)],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "PYTHONPATH": str(site)},
        )
        assert done.returncode == code, done.stderr
        return done

    return run


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


# Zachary's club: 78 ties; the instructor (node 0) has 16 friends, the president (33) has 17; 528 wedges.
def test_an_embedder(graphkit, tmp_path):
    found = rows_of(graphkit("embed", "--method", "degree-vectors", "--dataset", "karate", "-o", "-").stdout)
    assert sum(float(row["dim_0"]) for row in found) == 2 * 78
    done = graphkit(
        "embed", "--method", "degree-vectors", "--dataset", "karate", "--power", 2, "--out", tmp_path / "run", "--json"
    )
    assert json.loads(done.stdout)["config"] == {"power": 2}
    assert json.loads((tmp_path / "run" / "result.json").read_text())["method"] == "degree-vectors"
    assert "did you mean 'degree-vectors'" in graphkit("embed", "--method", "degree-vector", code=2).stderr


def test_a_counter_of_nodes_and_of_edges(graphkit, tmp_path):
    nodes = rows_of(graphkit("count", "wedges", "karate", "-o", "-").stdout)
    assert sum(int(row["wedges"]) for row in nodes) == 528 and list(nodes[0]) == ["id", "wedges"]
    graphkit("count", "wedges", "karate", "--of", "edges", "-o", tmp_path / "e.tsv", "--out", tmp_path / "run")
    edges = rows_of((tmp_path / "e.tsv").read_text())
    assert len(edges) == 78 and list(edges[0]) == ["source", "target", "wedges"]
    assert sum(int(row["wedges"]) for row in edges) == 2 * 528
    kept = json.loads((tmp_path / "run" / "result.json").read_text())
    assert kept["rows"] == 78 and kept["config"] == {"of": "edges"}
    assert kept["command"].startswith("graphkit count wedges")
    preset = rows_of(graphkit("count", "wedges", "--dataset", "karate", "--preset", "other", "-o", "-").stdout)
    assert preset == edges
    assert "already holds a run" in graphkit("count", "wedges", "karate", "--out", tmp_path / "run", code=2).stderr
    assert "did you mean 'wedges'" in graphkit("count", "wegdes", "karate", code=2).stderr


def test_a_clusterer_without_seeds(graphkit, tmp_path):
    found = rows_of(graphkit("cluster", "parity", "karate").stdout)
    assert len(found) == 34 and {row["cluster"] for row in found} == {"0", "1"}
    words = ["--modulus", 3, "-o", tmp_path / "c.csv", "--out", tmp_path / "run", "--seed", 1, "--json"]
    said = json.loads(graphkit("cluster", "parity", "--dataset", "karate", *words).stdout)
    assert said["clusters"] == 3 and said["config"] == {"modulus": 3} and said["seeds"] == [1]
    assert json.loads((tmp_path / "run" / "result.json").read_text())["clusters"] == 3
    refused = graphkit("cluster", "local", "karate", "--method", "parity", "--seeds", 0, code=2).stderr
    assert "takes no seeds" in refused and "graphkit cluster parity" in refused


def test_a_clusterer_around_seeds(graphkit):
    one = graphkit("cluster", "local", "karate", "--method", "ego", "--seeds", 0).stdout.split()
    two = graphkit("cluster", "local", "karate", "--method", "ego", "--seeds", 0, "--hops", 2).stdout.split()
    assert len(one) == 17 and set(one) < set(two)
    said = json.loads(graphkit("cluster", "local", "karate", "--method", "ego", "--seeds", 0, "--json").stdout)
    assert said["nodes"] == 17 and said["status"] == "converged"
    assert (
        "--sink"
        in graphkit("cluster", "local", "karate", "--method", "ego", "--seeds", 0, "--sink", "unit", code=2).stderr
    )


def test_a_learner(graphkit, tmp_path):
    words = ["train", "popularity", "--dataset", "karate", "--out", tmp_path / "run", "--power", 0.5, "--json"]
    said = json.loads(graphkit(*words).stdout)
    assert said["config"]["power"] == 0.5 and 0 <= said["test"]["mean"] <= 1
    assert json.loads(graphkit(*words, "--resume").stdout) == said
    scores = graphkit("predict", tmp_path / "run", "--top-k", 3).stdout.splitlines()
    assert len(scores) == 4


def test_analyses_of_data_and_of_files(graphkit, tmp_path):
    said = json.loads(graphkit("analyze", "degree-gap", "--dataset", "karate", "--json").stdout)
    assert said["means"]["gap"] == pytest.approx(0, abs=1e-12) and said["method"] == "degree-gap"
    table = rows_of(graphkit("analyze", "degree-gap", "--dataset", "karate", "--absolute", "-o", "-").stdout)
    assert max(float(row["gap"]) for row in table) == pytest.approx(17 - 2 * 78 / 34)
    graphkit("analyze", "degree-gap", "--dataset", "karate", "--out", tmp_path / "run")
    assert len(rows_of((tmp_path / "run" / "nodes.tsv").read_text())) == 34
    assert json.loads((tmp_path / "run" / "result.json").read_text())["files"] == ["nodes.tsv"]
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    (tmp_path / "b.txt").write_text("three\n")
    text = graphkit("analyze", "lines", tmp_path / "a.txt", tmp_path / "b.txt").stdout
    assert text.splitlines()[-2:] == ["a.txt  2", "b.txt  1"]
    graphkit("analyze", "lines", tmp_path / "a.txt", "--out", tmp_path / "files")
    kept = json.loads((tmp_path / "files" / "result.json").read_text())
    assert kept["lines"] == [["a.txt", 2]] and kept["dataset"] is None
    assert "expected the files" in graphkit("analyze", "lines", code=2).stderr
    assert "RUN" in graphkit("analyze", "degree-gap", tmp_path, code=2).stderr


@pytest.mark.parametrize(
    "words",
    [
        ("embed", "--method", "degree-vectors"),
        ("count", "wedges"),
        ("cluster", "parity"),
        ("train", "popularity"),
        ("analyze", "degree-gap"),
    ],
    ids=lambda words: words[0],
)
def test_help_of_each_shows_its_options_and_listings_name_it(graphkit, words):
    name = words[-1]
    text = graphkit(*words, "--help").stdout
    option = METHODS[name][1].split("\n")[-1].strip().partition(":")[0]
    assert f"--{option}" in text and f"Made elsewhere to be {name}." in " ".join(text.split())
    assert name in graphkit(words[0], "--help").stdout
    assert name in graphkit("methods").stdout


def test_a_word_of_a_verb_is_refused_as_a_name(tmp_path):
    from graphkit.core import registry
    from graphkit.core.errors import DataError

    write_method(tmp_path / "orbits", "orbits", *METHODS["wedges"])
    with pytest.raises(DataError, match="the name 'orbits' is a word of the command line for any counter"):
        registry._load_sheet(tmp_path / "orbits", "graphkit_other.orbits", "plug-in")
    (tmp_path / "orbits" / "sheet.yaml").write_text(
        (tmp_path / "orbits" / "sheet.yaml")
        .read_text()
        .replace("kind: counter", "kind: [counter, analysis]")
        .replace("names: {orbits: {}}", "names: {wedge-figures: {}}")
    )
    assert registry._load_sheet(tmp_path / "orbits", "graphkit_other.orbits", "plug-in").kinds == (
        "counter",
        "analysis",
    )
