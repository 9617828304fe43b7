"""Generated sets of many graphs, and the Minesweeper board, against their definitions."""

import networkx as nx
import numpy as np
import pytest
import torch
from scipy import stats

from graphkit import datasets
from graphkit.core.errors import DataError
from graphkit.datasets.readers import graph_sets

NODE_SETS = [
    "pattern:train=12,valid=4,test=5",
    "cluster:train=12,valid=4,test=5",
    "ring-transfer:train=12,valid=4,test=5",
]


def parts_of(dataset):
    """The graphs of a node-level set, cut by the batch structure."""
    import dgl

    return dgl.unbatch(dataset.graph)


def adjacency(graph):
    matrix = np.zeros((graph.num_nodes(),) * 2, dtype=int)
    src, dst = (ends.numpy() for ends in graph.edges())
    np.add.at(matrix, (src, dst), 1)
    assert (matrix == matrix.T).all() and matrix.max() <= 1 and np.trace(matrix) == 0
    return matrix


# Circulants -----------------------------------------------------------------------------------------------------------


def test_csl_graphs_are_relabelled_circulants():
    dataset = datasets.load("csl:copies=5", task="graph")
    assert len(dataset.graphs) == 50 and torch.bincount(dataset.graph_labels).tolist() == [5] * 10
    for label, skip in enumerate(graph_sets.CSL_SKIPS):
        graph = dataset.graphs[5 * label + 2]
        assert (adjacency(graph).sum(1) == 4).all() and "feat" not in graph.ndata
        assert nx.is_isomorphic(nx.from_numpy_array(adjacency(graph)), nx.circulant_graph(41, [1, skip]))
        assert not np.array_equal(adjacency(graph), adjacency(dataset.graphs[5 * label + 3]))


def test_csl_classes_differ_in_their_spectra():
    dataset = datasets.load("csl:copies=5")
    spectra = np.array([np.linalg.eigvalsh(adjacency(dataset.graphs[5 * k])) for k in range(10)])
    assert min(np.abs(a - b).max() for k, a in enumerate(spectra) for b in spectra[:k]) > 1e-3


def test_csl_folds_are_stratified_and_rotate():
    tests = []
    for seed in range(5):
        dataset = datasets.load("csl:", task="graph", seed=seed)
        split = dataset.split
        assert sorted(np.concatenate([split.train, split.valid, split.test])) == list(range(150))
        for part, count in ((split.train, 9), (split.valid, 3), (split.test, 3)):
            assert np.bincount(dataset.graph_labels[part]).tolist() == [count] * 10
        tests.append(split.test)
    assert sorted(np.concatenate(tests)) == list(range(150)) and dataset.metric == "accuracy"
    assert np.array_equal(datasets.load("csl:", task="graph", split="folds-1").split.valid, tests[2])


# Node labels in many graphs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NODE_SETS)
def test_parts_of_a_node_set(name):
    dataset = datasets.load(name, task="node")
    graph = dataset.graph
    owner = graph.ndata["_graph"]
    src, dst = graph.edges(order="eid")
    assert torch.equal(owner[src], owner[dst]) and (owner.diff() >= 0).all() and (owner[src].diff() >= 0).all()
    assert torch.equal(torch.bincount(owner), graph.batch_num_nodes())
    assert torch.equal(torch.bincount(owner[src]), graph.batch_num_edges()) and len(graph.batch_num_nodes()) == 21
    graphs = [np.unique(owner[part]).tolist() for part in vars(dataset.split).values()]
    assert graphs == [list(range(12)), list(range(12, 16)), list(range(16, 21))]
    labelled = torch.nonzero(dataset.labels >= 0).ravel().tolist()
    assert sorted(np.concatenate(list(vars(dataset.split).values()))) == labelled
    for part in parts_of(dataset):
        adjacency(part)
    report = datasets.info(name)
    assert report["graphs"] == 21 and list(report["tasks"]) == ["node"] and dataset.for_seed(7) is dataset


def test_pattern_has_its_densities():
    dataset = datasets.load("pattern:train=60,valid=1,test=1,p=0.5,q=0.2,p_pattern=0.7,q_pattern=0.4", task="node")
    assert dataset.metric == "balanced-accuracy"
    found = dict.fromkeys(("inside", "across", "outside"), np.zeros(2, dtype=int))
    for part in parts_of(dataset):
        matrix, hidden = adjacency(part), part.ndata["label"].numpy() == 1
        inside, across, outside = (
            matrix[np.ix_(hidden, hidden)],
            matrix[np.ix_(~hidden, hidden)],
            matrix[np.ix_(~hidden, ~hidden)],
        )
        assert 5 <= hidden.sum() <= 34 and 25 <= (~hidden).sum() <= 170
        found["across"] = found["across"] + [across.sum(), across.size]
        for word, square in (("inside", inside), ("outside", outside)):
            found[word] = found[word] + [square.sum() // 2, len(square) * (len(square) - 1) // 2]
    assert stats.binomtest(*map(int, found["across"]), 0.4).pvalue > 1e-4
    assert abs(found["inside"][0] / found["inside"][1] - 0.7) < 0.05  # few instances: their draws are repeated
    assert 0.2 < found["outside"][0] / found["outside"][1] < 0.35  # a mixture of 0.5 and 0.2
    x = dataset.features
    assert x.shape[1] == 3 and (x.sum(1) == 1).all() and stats.chisquare(x[dataset.labels == 0].sum(0)).pvalue > 1e-4


def test_patterns_are_few_and_fixed():
    dataset = datasets.load("pattern:train=30,valid=1,test=1,instances=2", task="node")
    seen = set()
    for part in parts_of(dataset):
        hidden = part.ndata["label"].numpy() == 1
        inner = nx.from_numpy_array(adjacency(part)[np.ix_(hidden, hidden)])
        symbols = part.ndata["feat"][hidden].argmax(1).tolist()
        for node, symbol in enumerate(symbols):
            inner.nodes[node]["symbol"] = str(symbol)
        seen.add(nx.weisfeiler_lehman_graph_hash(inner, node_attr="symbol"))
    assert len(seen) == 2


def test_node_numbers_do_not_tell_the_pattern():
    dataset = datasets.load("pattern:train=200,valid=1,test=1", task="node")
    ranks = np.concatenate([np.arange(n) / (n - 1) for n in dataset.graph.batch_num_nodes().tolist()])
    assert stats.kstest(ranks[dataset.labels.numpy() == 1], "uniform").statistic < 0.05


def test_cluster_tells_one_node_of_each_community():
    dataset = datasets.load("cluster:train=40,valid=1,test=1,k=4,p=0.6,q=0.1", task="node")
    counts = {True: np.zeros(2, dtype=int), False: np.zeros(2, dtype=int)}
    for part in parts_of(dataset):
        labels, told = part.ndata["label"].numpy(), part.ndata["feat"].argmax(1).numpy()
        assert sorted(told[told > 0]) == [1, 2, 3, 4] and (told[told > 0] == labels[told > 0] + 1).all()
        assert (np.bincount(labels) >= 5).all() and (np.bincount(labels) <= 34).all()
        matrix, same = np.triu(adjacency(part), 1), np.triu(labels[:, None] == labels, 1)
        other = np.triu(labels[:, None] != labels, 1)
        counts[True] += [matrix[same].sum(), same.sum()]
        counts[False] += [matrix[other].sum(), other.sum()]
    assert stats.binomtest(*map(int, counts[True]), 0.6).pvalue > 1e-4
    assert stats.binomtest(*map(int, counts[False]), 0.1).pvalue > 1e-4
    assert dataset.features.shape[1] == 5 and dataset.metric == "balanced-accuracy"


@pytest.mark.parametrize("level", [0, 1])
def test_rings_hold_the_answer_opposite_the_flag(level):
    name = f"ring-transfer:train=20,valid=5,test=5,radius=4,classes=3,graph_level={level}"
    dataset = datasets.load(name, task="labels")
    graphs = dataset.graphs if level else parts_of(dataset)
    assert len(graphs) == 30 and dataset.task == ("graph" if level else "node")
    places = []
    for k, graph in enumerate(graphs):
        ring = nx.from_numpy_array(adjacency(graph))
        assert len(ring) == 8 and nx.is_isomorphic(ring, nx.cycle_graph(8))
        x = graph.ndata["feat"]
        holder, flag = int(x[:, :3].sum(1).argmax()), int(x[:, 3].argmax())
        assert nx.shortest_path_length(ring, holder, flag) == 4 and x.sum() == 2
        answer = int(x[holder, :3].argmax())
        labels = graph.ndata.get("label")
        assert (int(dataset.graph_labels[k]) if level else int(labels[flag])) == answer
        assert level or (labels >= 0).nonzero().ravel().tolist() == [flag]
        places.append(flag)
    assert len(set(places)) > 3
    assert [len(part) for part in vars(dataset.split).values()] == [20, 5, 5]


# Minesweeper ----------------------------------------------------------------------------------------------------------


def test_minesweeper_is_a_board():
    rows, cols = 7, 9
    dataset = datasets.load(f"minesweeper:rows={rows},cols={cols},mines=0.5,unknown=0.25,seed=3", task="node")
    matrix, labels, x = adjacency(dataset.graph), dataset.labels.numpy(), dataset.features.numpy()
    for u in range(rows * cols):
        for v in range(rows * cols):
            step = max(abs(u // cols - v // cols), abs(u % cols - v % cols))
            assert matrix[u, v] == (step == 1)
    assert labels.sum() == round(0.5 * rows * cols) and x[:, 0].sum() == round(0.25 * rows * cols)
    near = matrix @ labels
    known = x[:, 0] == 0
    assert (x.sum(1) == 1).all() and near.max() > 5  # the last column stands for five and more
    assert (x[known].argmax(1) == 1 + np.minimum(near[known], 5)).all()
    assert dataset.metric == "rocauc" and dataset.for_seed(1).split.train.tolist() != dataset.split.train.tolist()


@pytest.mark.data
def test_the_generated_board_is_built_like_the_published_one(real):
    published, ours = real("minesweeper"), datasets.load("minesweeper:")
    assert published.features.shape == ours.features.shape == (10000, 7)
    assert published.graph.num_edges() == ours.graph.num_edges() and published.labels.sum() == ours.labels.sum() == 2000
    src, dst = published.graph.edges()
    near = torch.zeros(10000, dtype=torch.int64).index_add_(0, dst, published.labels[src])
    known = published.features[:, 0] == 0
    assert torch.equal(published.features[known].argmax(1), 1 + near[known].clamp(max=5)) and int(known.sum()) == 5000
    assert {frozenset(e) for e in zip(src.tolist(), dst.tolist())} == {
        frozenset(e) for e in zip(*(ends.tolist() for ends in ours.graph.edges()))
    }


# All ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["csl:copies=5", *NODE_SETS, "ring-transfer:train=5,valid=2,test=2,graph_level=1", "minesweeper:rows=5,cols=5"],
)
def test_the_same_name_gives_the_same_graphs(name):
    first = datasets.load(name)
    assert first.name == name and first.source.paper
    assert first.checksum() == datasets.load(name).checksum() != datasets.load(name + ",seed=9").checksum()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("csl:copies=3", "copies is 3, expected at least 5"),
        ("pattern:train=0", "train is 0, expected 1.."),
        ("pattern:q=2", "q is 2, expected 0..1"),
        ("cluster:k=x", "k is 'x', expected an integer"),
        ("ring-transfer:radius=1", "radius is 1, expected 2.."),
        ("ring-transfer:graph_level=2", "graph_level is 2, expected 0..1"),
        ("minesweeper:row=5", "did you mean 'rows'"),
        ("patern:", "did you mean 'pattern:'"),
    ],
)
def test_wrong_parameters(name, message):
    with pytest.raises(DataError) as problem:
        datasets.load(name)
    assert message in str(problem.value)


def test_wrong_task():
    with pytest.raises(DataError, match="holds many graphs"):
        datasets.load("csl:copies=5", task="node")
    with pytest.raises(DataError, match="holds one graph"):
        datasets.load("pattern:train=2,valid=1,test=1", task="graph")
