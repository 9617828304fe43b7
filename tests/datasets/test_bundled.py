"""Bundled data sets against the packages that they come from."""

import ast
import sysconfig
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from graphkit import datasets
from graphkit.datasets import describe
from graphkit.datasets.sources import bundled


@pytest.fixture(autouse=True)
def no_data(monkeypatch, tmp_path):
    """Bundled sets need no data folder; the cache is a fresh one."""
    monkeypatch.delenv("GRAPHKIT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_karate():
    dataset = datasets.load("karate")
    assert nx.utils.graphs_equal(
        nx.Graph(zip(*(ids.tolist() for ids in dataset.graph.edges()))).to_undirected(),
        nx.Graph(nx.karate_club_graph().edges()),
    )
    assert dataset.labels.tolist().count(0) == 17 and dataset.labels[0] == 0 and dataset.labels[33] == 1


def test_les_miserables_keeps_names_and_weights():
    dataset = datasets.load("les-miserables")
    names = dataset.ids().tolist()
    src, dst = dataset.graph.edges()
    rows = zip(src.tolist(), dst.tolist(), dataset.graph.edata["weight"].tolist())
    weight = {frozenset((names[u], names[v])): w for u, v, w in rows}
    source = nx.les_miserables_graph()
    assert weight == {frozenset((u, v)): data["weight"] for u, v, data in source.edges(data=True)}


def test_nearest_breaks_ties_by_number():
    points = np.array([[0.0], [1.0], [-1.0], [3.0]])
    assert bundled.nearest(points, 2).tolist() == [[1, 2], [0, 2], [0, 1], [1, 0]]


def test_digits():
    dataset = datasets.load("digits", task="node")
    assert dataset.features.shape == (1797, 64) and float(dataset.features.max()) == 1.0
    assert int(dataset.graph.in_degrees().min()) >= bundled.NEIGHBOURS
    assert describe.homophily(dataset.graph) > 0.9


def test_python_imports(tmp_path, monkeypatch):
    first = datasets.load("python-imports")
    assert first.directed and (tmp_path / "graphkit").is_dir()
    names = first.ids().tolist()
    src, dst = first.graph.edges()
    edges = {(names[u], names[v]) for u, v in zip(src.tolist(), dst.tolist())}
    # json/__init__.py says "from .decoder import ..."; its own relative imports, read here by hand
    tree = ast.parse((Path(sysconfig.get_paths()["stdlib"]) / "json" / "__init__.py").read_text())
    relative = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1}
    assert relative == {"decoder", "encoder"} and {("json", "json.decoder"), ("json", "json.encoder")} <= edges
    assert ("json.decoder", "re") in edges and not any("site-packages" in name for name in names)
    monkeypatch.setattr(bundled, "_parse_library", None)  # the second time it comes from the cache
    assert datasets.load("python-imports").checksum() == first.checksum()


def test_a_damaged_cache_is_made_anew(tmp_path, monkeypatch):
    tiny = {
        "names": np.array(["a", "b"]),
        "edges": np.array([[0, 1]]),
        "features": np.zeros((2, bundled.HASHED), np.float32),
    }
    monkeypatch.setattr(bundled, "_parse_library", lambda root: tiny)
    assert datasets.load("python-imports").num_nodes == 2
    (cache,) = (tmp_path / "graphkit").iterdir()
    cache.write_bytes(b"PK rubbish")
    assert datasets.load("python-imports").num_nodes == 2 and cache.stat().st_size > 100


def test_facts_of_a_graph_by_networkx():
    dataset = datasets.load("karate")
    facts = describe.facts(dataset)
    graph = nx.karate_club_graph()
    club = nx.get_node_attributes(graph, "club")
    degrees = [degree for _, degree in graph.degree()]
    assert (facts["nodes"], facts["edges"], facts["components"]) == (34, 78, nx.number_connected_components(graph))
    assert facts["homophily"] == round(np.mean([club[u] == club[v] for u, v in graph.edges()]), 4)
    assert facts["degree"] == {"min": 1, "median": np.median(degrees), "mean": round(np.mean(degrees), 4), "max": 17}
