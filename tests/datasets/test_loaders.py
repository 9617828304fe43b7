"""Every loader on tiny files whose content is known, and on the real files where they are."""

import numpy as np
import pytest
import torch

from graphkit import datasets
from graphkit.core.errors import DataError
from graphkit.datasets import describe

N = 30
RING = {frozenset((k, (k + step) % N)) for k in range(N) for step in (1, 7)}


def pairs(graph):
    """The set of edges of a graph; fails where one direction of an edge is missing or doubled."""
    src, dst = (ids.tolist() for ids in graph.edges())
    directed = list(zip(src, dst))
    assert len(set(directed)) == len(directed)
    assert {(v, u) for u, v in directed} == set(directed)
    return {frozenset(edge) for edge in directed}


RING_SETS = [
    "cora",
    "minesweeper",
    "acm",
    "blogcatalog",
    "usair",
    "facebook100-reed98",
    "airports-brazil",
    "ppi-node2vec",
    "ppi-yeast",
    "lgc-ca-grqc",
    "lgc-minnesota",
    "twitch-ptbr",
    "ogbl-ddi",
]


@pytest.mark.parametrize("name", RING_SETS)
def test_all_loaders_give_the_same_ring(use_tiny, name):
    dataset = datasets.load(name)
    assert pairs(dataset.graph) == RING
    assert dataset.graph.idtype == torch.int64 and not dataset.directed and not dataset.weighted
    assert dataset.source.licence and dataset.source.url and dataset.split is None


@pytest.mark.parametrize(
    "name, file, like",
    [
        ("squirrel-filtered", "heterophilous/squirrel_filtered.npz", "heterophilous/minesweeper.npz"),
        ("actor", "heterophilous/actor.npz", "heterophilous/minesweeper.npz"),
        ("roman-empire", "heterophilous/roman_empire.npz", "heterophilous/minesweeper.npz"),
        ("amazon-computers", "graphdata/amazon_cs.npz", "graphdata/acm.npz"),
        ("coauthor-physics", "graphdata/coauthor_phy.npz", "graphdata/acm.npz"),
    ],
)
def test_sets_of_the_same_form_load_once_their_file_is_there(tiny, tmp_path, monkeypatch, name, file, like):
    monkeypatch.setenv("GRAPHKIT_DATA", str(tmp_path))
    with pytest.raises(DataError, match=rf"{file} not found.*graphkit data fetch {name}"):
        datasets.load(name)
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_bytes((tiny / like).read_bytes())
    assert pairs(datasets.load(name).graph) == RING
    assert len(describe.describe(name)["tasks"]) == 2


def test_planetoid(use_tiny):
    dataset = datasets.load("cora", task="node")
    rng = np.random.default_rng(0)
    assert np.array_equal(dataset.features.numpy(), (rng.random((N, 6)) < 0.4).astype(np.float32))
    assert dataset.labels.tolist() == [k % 3 for k in range(N)]
    assert dataset.split.train.tolist() == list(range(6)) and sorted(dataset.split.test) == list(range(20, 30))
    fixed = datasets.load("cora", task="node", split="geom-gcn-4")
    order = np.random.default_rng(4).permutation(N)
    assert sorted(fixed.split.train) == sorted(order[:14]) and fixed.splitter is None
    by_seed = datasets.load("cora", task="node", split="geom-gcn", seed=14)
    assert np.array_equal(by_seed.split.train, fixed.split.train)
    assert not np.array_equal(by_seed.for_seed(5).split.train, fixed.split.train)


def test_planetoid_without_allx_is_structure_only(use_tiny, tmp_path, monkeypatch, caplog):
    copy = tmp_path / "data" / "planetoid-cora"
    copy.mkdir(parents=True)
    for file in (use_tiny / "planetoid-cora").iterdir():
        if not file.name.endswith(".allx"):
            (copy / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv("GRAPHKIT_DATA", str(tmp_path / "data"))
    dataset = datasets.load("cora", task="node", split="public")
    assert dataset.features is None and dataset.labels is not None
    assert "without features" in caplog.text


def test_several_data_folders_are_searched_in_order(use_tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHKIT_DATA", f"{tmp_path / 'nothing'}:{use_tiny}")
    assert datasets.load("cora").num_nodes == N


def test_npz_graphs(use_tiny):
    dataset = datasets.load("minesweeper", task="node", seed=3)
    assert dataset.metric == "rocauc" and len(dataset.split.train) == 15
    assert not np.array_equal(dataset.split.train, dataset.for_seed(4).split.train)
    acm = datasets.load("acm")
    assert acm.labels.tolist() == [k % 2 for k in range(N)] and acm.features.shape == (N, 5)


def test_matlab_graphs(use_tiny):
    labels = datasets.load("blogcatalog").labels
    assert torch.equal(labels, torch.eye(4)[torch.arange(N) % 4])
    facebook = datasets.load("facebook100-reed98")
    assert facebook.labels.tolist() == [0, 1, -1] * (N // 3)
    columns = ("status", "gender", "major", "minor", "dorm", "year", "high_school")
    assert [int(facebook.graph.ndata[name][1]) for name in columns] == [2, 2, 6, 1, 0, 2007, 4]
    # 2 status, 2 majors, 1 minor, 1 dorm, 3 years, 2 schools; zero (missing) has no column
    assert facebook.features.shape == (N, 11)


def test_text_graphs(use_tiny):
    assert datasets.load("airports-brazil").labels.tolist() == [k % 4 for k in range(N)]
    labels = datasets.load("ppi-node2vec").labels
    assert labels.sum(0).tolist() == [15, 10, 30] and labels[6].tolist() == [1, 1, 1]
    genes = datasets.load("biogrid")
    assert genes.node_ids.tolist() == list(range(1000, 1060)) and genes.class_names == ["D1"]
    mips = datasets.load("lgc-ppi-mips")
    assert mips.node_ids.tolist() == [f"n{k}" for k in range(5)] and mips.class_names == ["c", "d"]
    src, dst = mips.graph.edges()
    assert torch.equal(mips.graph.edata["weight"], torch.minimum(src, dst) + 0.5)


def test_twitch_labels_go_by_new_id(use_tiny):
    dataset = datasets.load("twitch-ptbr")
    assert dataset.labels.tolist() == [int((N - 1 - k) % 3 == 0) for k in range(N)]
    assert dataset.features[4].nonzero().ravel().tolist() == [4, 104]


def test_gin_text(use_tiny):
    dataset = datasets.load("mutag", task="graph", seed=2)
    assert [graph.num_edges() for graph in dataset.graphs] == [4, 6] * 10
    assert dataset.graph_labels.tolist() == [0, 1] * 10
    assert dataset.graphs[1].ndata["feat"].tolist() == [[1, 0], [0, 1], [0, 1]]
    assert dataset.split.test.tolist() == [4, 5] and dataset.split.valid.tolist() == [6, 7]
    assert sorted([*dataset.split.train, 4, 5, 6, 7]) == list(range(20))
    gin = datasets.load("mutag", task="graph", split="gin-10fold", seed=2).split
    assert gin.valid.tolist() == gin.test.tolist() == [4, 5] and len(gin.train) == 18


def test_raw_tu(use_tiny):
    dataset = datasets.load("enzymes-raw", task="graph")
    assert [graph.num_edges() for graph in dataset.graphs] == [4] * 20
    assert dataset.graphs[1].ndata["feat"].tolist()[0] == [3.5, -1.25, 1, 0, 0]
    tests = [datasets.load("enzymes-raw", task="graph", seed=k).split.test for k in range(10)]
    assert sorted(np.concatenate(tests)) == list(range(20))


# Real files: the counts of the data README, which were taken from the files by other means.
COUNTS = {
    "cora": (2708, 5278),
    "citeseer": (3327, 4552),
    "pubmed": (19717, 44324),
    "minesweeper": (10000, 39402),
    "chameleon-filtered": (890, 8854),
    "texas": (183, 279),
    "acm": (3025, 13128),
    "polblogs": (1490, 16715),
    "dblp": (17716, 52867),
    "blogcatalog": (10312, 333983),
    "ppi-node2vec": (3890, 37845),
    "dblp-prone": (51264, 127968),
    "biogrid": (20558, 238474),
    "usair": (332, 2126),
    "ns": (1589, 2742),
    "pb": (1222, 16714),
    "celegans": (297, 2148),
    "power": (4941, 6594),
    "yeast": (2375, 11693),
    "astroph": (18772, 198050),
    "twitch-ptbr": (1912, 31299),
    "airports-brazil": (131, 1003),
    "airports-europe": (399, 5993),
    "facebook100-reed98": (962, 18812),
    "lgc-ppi-mips": (1096, 13221),
    "lgc-minnesota": (2642, 3303),
    "lgc-dolphins": (62, 159),
    "ogbl-ddi": (4267, 1067911),
}


@pytest.mark.data
@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_the_real_files(real, name):
    facts = describe.facts(real(name))
    assert (facts["nodes"], facts["edges"]) == COUNTS[name]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "graphs", "nodes", "edges"), [("mutag", 188, 17.9, 19.8), ("enzymes-raw", 600, 32.6, 62.1)]
)
def test_counts_of_the_real_graph_sets(real, name, graphs, nodes, edges):
    facts = describe.facts(real(name))
    assert (facts["graphs"], round(facts["mean_nodes"], 1), round(facts["mean_edges"], 1)) == (graphs, nodes, edges)


@pytest.mark.data
def test_real_splits(real):
    cora = real("cora", task="node").split
    assert [len(part) for part in (cora.train, cora.valid, cora.test)] == [140, 500, 1000]
    citeseer = real("citeseer", task="node")
    assert int((citeseer.labels == -1).sum()) == 15 and int((citeseer.labels[citeseer.split.test] < 0).sum()) == 0
    geom = real("cora", task="node", split="geom-gcn").split
    assert [len(part) for part in (geom.train, geom.valid, geom.test)] == [1192, 796, 497]
    blogcatalog = real("blogcatalog")
    assert int(blogcatalog.labels.sum()) == 14476
    ddi = real("ogbl-ddi", task="link")
    assert [len(getattr(ddi.split, part).pos) for part in ("train", "valid", "test")] == [1067911, 133489, 133489]
    assert (len(ddi.split.valid.neg), len(ddi.split.test.neg)) == (101882, 95599)
    assert ddi.metric == "hits@20" and ddi.ogb_name == "ogbl-ddi"


@pytest.mark.data
def test_real_common_neighbour_auc_is_near_the_published_one(real):
    """SEAL, Table 1: CN on USAir 93.80 with 10 % held out; measured over 5 splits 93.92."""
    from sklearn.metrics import roc_auc_score

    values = []
    for seed in range(5):
        dataset = real("usair", task="link", split="random-0.89/0.01/0.1", seed=seed)
        dense = np.zeros((332, 332))
        src, dst = (ids.numpy() for ids in dataset.graph.edges())
        dense[src, dst] = 1
        common = dense @ dense
        test = dataset.split.test
        scores = [common[part[:, 0], part[:, 1]] for part in (test.pos, test.neg)]
        values.append(roc_auc_score([1] * len(test.pos) + [0] * len(test.neg), np.concatenate(scores)))
    assert abs(np.mean(values) - 0.938) < 0.02


def test_unknown_names_and_missing_files(use_tiny):
    with pytest.raises(DataError, match=r"unknown data set 'corra'.*did you mean 'cora'"):
        datasets.load("corra")
    with pytest.raises(
        DataError, match=r"planetoid-citeseer/ind.citeseer.graph not found.*graphkit data fetch citeseer"
    ):
        datasets.load("citeseer")
    with pytest.raises(DataError, match="no labels"):
        datasets.load("usair", task="node")
    with pytest.raises(DataError, match="holds many graphs"):
        datasets.load("mutag", task="node")
    with pytest.raises(DataError, match="heterogeneous"):
        datasets.load("ogbl-biokg")


def test_names_do_not_import_the_numerical_packages():
    import subprocess
    import sys

    code = (
        "import sys, graphkit.datasets as d; d.names(); print({'numpy', 'torch', 'dgl', 'pandas'} & set(sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "set()"
    )
