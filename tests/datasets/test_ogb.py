"""OGB folders: OGB's own writer as the other side, and the traps of the official loaders."""

import contextlib
import io

import numpy as np
import pytest
import torch

from graphkit import datasets
from graphkit.core.errors import DataError
from graphkit.datasets.sources import ogb

EDGES = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]])


@pytest.fixture
def saver(tmp_path, monkeypatch):
    """ogb.io.DatasetSaver, which writes below the working folder."""
    monkeypatch.chdir(tmp_path)

    def make(name, graphs, split, task, labels=None):
        writer = ogb.import_ogb("ogb.io").DatasetSaver
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            out = writer(dataset_name=name, is_hetero="edge_index_dict" in graphs[0], version=1)
            out.save_graph_list(graphs)
            if labels is not None:
                out.save_target_labels(labels)
            out.save_split(split, split_name="given")
        return out.dataset_dir

    return make


def both(edges):
    return np.concatenate([edges, edges[:, ::-1]]).T


def test_link_folder_of_ogbs_writer(saver):
    graph = {"edge_index": both(EDGES), "num_nodes": 5, "node_feat": np.eye(5, dtype=np.float32)}
    split = {
        "train": {"edge": EDGES},
        "valid": {"edge": np.array([[0, 2]]), "edge_neg": np.array([[1, 3]])},
        "test": {"edge": np.array([[1, 4]]), "edge_neg": np.array([[2, 4], [0, 3]])},
    }
    dataset = datasets.load(saver("ogbl-toy", [graph], split, "link"), task="link")
    assert dataset.graph.num_edges() == 10 and not dataset.directed and dataset.ogb_name is None
    assert dataset.features.tolist() == np.eye(5).tolist()
    assert dataset.split.train.pos.tolist() == EDGES.tolist()
    assert dataset.split.test.neg.tolist() == [[2, 4], [0, 3]] and dataset.split_name == "given"
    assert dataset.metric == "auc"


@pytest.mark.parametrize(("negatives", "metric"), [(100, "auc"), (101, "hits@100")])
def test_a_folder_that_names_no_metric_gets_one_by_its_negatives(saver, negatives, metric):
    graph = {"edge_index": both(EDGES), "num_nodes": 5}
    split = {
        part: {"edge": np.array([[0, 2]]), "edge_neg": np.array([[1, 3]] * negatives)} for part in ("valid", "test")
    }
    split["train"] = {"edge": EDGES}
    assert datasets.load(saver("ogbl-toy", [graph], split, "link"), task="link").metric == metric


def test_a_folder_with_own_negatives_of_each_positive_gets_mrr(saver):
    graph = {"edge_index": both(EDGES), "num_nodes": 5}
    held = {"source_node": np.array([0]), "target_node": np.array([2]), "target_node_neg": np.array([[3, 3]])}
    train = {"source_node": EDGES[:, 0], "target_node": EDGES[:, 1]}
    folder = saver("ogbl-toy", [graph], {"train": train, "valid": held, "test": held}, "link")
    assert datasets.load(folder, task="link").metric == "mrr"


def test_edges_stored_once_get_their_reverses(saver):
    graph = {"edge_index": EDGES.T, "num_nodes": 5, "edge_weight": np.arange(5, dtype=np.float32)[:, None]}
    split = {
        "train": {"edge": EDGES},
        "valid": {"edge": EDGES[:0], "edge_neg": EDGES[:0]},
        "test": {"edge": EDGES[:0], "edge_neg": EDGES[:0]},
    }
    dataset = datasets.load(saver("ogbl-once", [graph], split, "link"), task="link")
    src, dst = (ids.tolist() for ids in dataset.graph.edges(order="eid"))
    weight = dict(zip(zip(src, dst), dataset.graph.edata["weight"].tolist()))
    assert len(weight) == 10 and all(weight[u, v] == weight[v, u] for u, v in weight)


def test_held_out_edges_inside_the_graph_are_refused(saver):
    graph = {"edge_index": both(EDGES), "num_nodes": 5}
    split = {
        "train": {"edge": EDGES[:3]},
        "valid": {"edge": EDGES[3:4], "edge_neg": np.array([[0, 2]])},
        "test": {"edge": EDGES[4:], "edge_neg": np.array([[0, 2]])},
    }
    with pytest.raises(DataError, match="1 of 1 valid edges in the raw graph"):
        datasets.load(saver("ogbl-leak", [graph], split, "link"), task="link")


def test_node_folder_of_ogbs_writer(saver):
    graph = {"edge_index": both(EDGES), "num_nodes": 5, "node_feat": np.ones((5, 2), dtype=np.float32)}
    split = {"train": np.array([0, 1]), "valid": np.array([2]), "test": np.array([3, 4])}
    labels = np.array([[0], [1], [1], [0], [1]])
    dataset = datasets.load(saver("ogbn-toy", [graph], split, "node", labels), task="node")
    assert dataset.labels.tolist() == [0, 1, 1, 0, 1] and dataset.split.test.tolist() == [3, 4]


def test_graph_folder_of_ogbs_writer(saver):
    graphs = [{"edge_index": both(EDGES), "num_nodes": 5, "edge_feat": np.full((10, 1), k)} for k in range(4)]
    split = {"train": np.array([0, 1]), "valid": np.array([2]), "test": np.array([3])}
    labels = np.array([[0.5, np.nan], [1, 0], [0, 1], [1, 1]], dtype=np.float32)
    dataset = datasets.load(saver("ogbg-toy", graphs, split, "graph", labels), task="graph")
    assert [int(graph.edata["feat"][0, 0]) for graph in dataset.graphs] == [0, 1, 2, 3]
    assert torch.isnan(dataset.graph_labels[0, 1]) and dataset.graph_labels.shape == (4, 2)
    assert dataset.split.train.tolist() == [0, 1]


def test_heterogeneous_folder_is_refused_in_one_line(saver):
    relation = ("a", "to", "b")
    graph = {"edge_index_dict": {relation: EDGES.T}, "num_nodes_dict": {"a": 5, "b": 5}}
    split = {part: {"head": EDGES[:, 0]} for part in ("train", "valid", "test")}
    with pytest.raises(DataError, match="heterogeneous") as problem:
        datasets.load(saver("ogbl-hetero", [graph], split, "link"), task="link")
    assert "\n" not in str(problem.value)


def test_a_folder_without_train_file_takes_the_raw_edges(use_tiny):
    dataset = datasets.load("ogbl-ddi", task="link")
    ring = [[k, (k + step) % 30] for step in (1, 7) for k in range(30)]
    assert dataset.split.train.pos.tolist() == ring
    assert dataset.split.valid.pos.tolist() == [[0, 3], [1, 4]] and len(dataset.split.test.neg) == 3
    assert (dataset.metric, dataset.ogb_name, dataset.split_name) == ("hits@20", "ogbl-ddi", "target")
    assert dataset.source.version == "OGB v1" and dataset.for_seed(5) is dataset


def test_collab_keeps_weights_years_and_repeated_pairs(use_tiny):
    dataset = datasets.load("ogbl-collab", task="link")
    assert dataset.graph.num_edges() == 122
    assert dataset.graph.edata["weight"][:4].tolist() == [1, 1, 2, 2]
    assert dataset.graph.edata["year"][-1] == 2060 and dataset.metric == "hits@50"
    train = dataset.split.train
    assert train.year.tolist() == list(range(2000, 2061)) and train.weight[1] == 2
    assert dataset.split.test.year.tolist() == [2018] * 3


def test_arxiv_is_directed(use_tiny):
    dataset = datasets.load("ogbn-arxiv", task="node")
    assert dataset.directed and dataset.graph.num_edges() == 60 and dataset.metric == "acc"
    assert dataset.labels.tolist() == [k % 3 for k in range(30)] and len(dataset.split.train) == 18
    assert datasets.load(str(use_tiny / "ogbn_arxiv"), task="node").ogb_name == "ogbn-arxiv"


def test_citation_and_knowledge_graph_forms(tmp_path):
    part = {
        "source_node": np.array([0, 1]),
        "target_node": np.array([2, 3]),
        "target_node_neg": np.array([[1, 4], [0, 4]]),
    }
    edges = ogb._edge_set(part, 5, tmp_path / "test.pt")
    assert edges.pos.tolist() == [[0, 2], [1, 3]] and edges.neg_dst.shape == (2, 2) and edges.neg is None
    part = {
        "head": np.array([0]),
        "tail": np.array([1]),
        "relation": np.array([7]),
        "head_neg": np.array([[2, 3]]),
        "tail_neg": np.array([[4, 2]]),
    }
    edges = ogb._edge_set(part, 5, tmp_path / "test.pt")
    assert edges.relation.tolist() == [7] and edges.neg_src.tolist() == [[2, 3]] and edges.neg_dst.tolist() == [[4, 2]]
    with pytest.raises(DataError, match=r"found node id 9, expected 0\.\.4"):
        ogb._edge_set({"edge": np.array([[0, 9]])}, 5, tmp_path / "test.pt")


def test_the_catalogue_agrees_with_ogbs_own_table():
    from graphkit.datasets import catalogue

    for name, entry in catalogue.entries().items():
        if name.startswith("ogb"):
            facts, (task,) = ogb.master(name), entry.tasks
            assert entry.tasks[task] == {"split": facts["split"], "metric": facts["eval metric"]}, name
    known = [row for kind in ("ogbn-", "ogbl-", "ogbg-") for row in _columns(kind)]
    assert set(known) == {name for name in catalogue.entries() if name.startswith("ogb")}


def _columns(kind):
    import csv
    import importlib.util
    from pathlib import Path

    root = Path(importlib.util.find_spec("ogb").submodule_search_locations[0])
    with open(root / ogb.KINDS[kind[:4]][0] / "master.csv", newline="") as file:
        return next(csv.reader(file))[1:]


def test_importing_ogb_starts_no_thread_and_prints_nothing():
    import subprocess
    import sys

    code = (
        "import threading, sys; threading.Thread.start = lambda self: sys.exit('a thread was started');"
        "from graphkit.datasets.sources.ogb import import_ogb; import_ogb('ogb.linkproppred');"
        "assert sys.modules['ogb.version'].check_outdated is None"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and result.stdout == "", result.stderr
