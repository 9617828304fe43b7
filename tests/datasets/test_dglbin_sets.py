"""A user's set of labelled graphs: dgl.save_graphs on one side, our reader and the commands on the other."""

from __future__ import annotations

import json
from pathlib import Path

import dgl
import numpy as np
import pytest
import torch

from graphkit import datasets
from graphkit.cli.main import main
from graphkit.core.errors import DataError, UsageError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers.files import read_graph

COUNT = 40


def cycles_and_paths(count=COUNT, widths=(3, 2)):
    """Cycles (class 1) and paths (class 0) of 3..8 nodes, in both directions, with features of nodes and edges."""
    made, rng = [], np.random.default_rng(0)
    for number in range(count):
        n = int(rng.integers(3, 9))
        ends = [(k, (k + 1) % n) for k in range(n if number % 2 else n - 1)]
        src, dst = zip(*ends, *[(v, u) for u, v in ends])
        graph = dgl.graph((torch.tensor(src), torch.tensor(dst)), num_nodes=n)
        graph.ndata["feat"], graph.edata["feat"] = torch.rand(n, widths[0]), torch.rand(graph.num_edges(), widths[1])
        made.append(graph)
    return made


def saved(tmp_path, graphs, **named):
    dgl.save_graphs(str(tmp_path / "mine.bin"), graphs, {name: torch.as_tensor(value) for name, value in named.items()})
    return str(tmp_path / "mine.bin")


def command(*words):
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, words)))
    return stop.value.code


def test_graphs_features_and_labels_come_back(tmp_path):
    graphs = cycles_and_paths()
    found = datasets.load(saved(tmp_path, graphs, label=np.arange(COUNT) % 2), task="labels")
    assert found.task == "graph" and found.metric == "accuracy" and not found.directed and found.name == "mine"
    assert found.graph_labels.tolist() == [k % 2 for k in range(COUNT)]
    for mine, graph in zip(found.graphs, graphs):
        for given, expected in zip(
            (*mine.edges(order="eid"), mine.ndata["feat"], mine.edata["feat"]),
            (*graph.edges(order="eid"), graph.ndata["feat"], graph.edata["feat"]),
        ):
            assert torch.equal(given, expected)
    parts = [found.split.train, found.split.valid, found.split.test]
    assert [len(part) for part in parts] == [32, 4, 4] and sorted(np.concatenate(parts)) == list(range(COUNT))
    assert not np.array_equal(found.for_seed(1).split.train, found.split.train)
    folds = datasets.load(saved(tmp_path, graphs, label=np.arange(COUNT) % 2), task="graph", split="10fold")
    assert folds.folds == 10 and len(folds.split.test) == 4


def test_given_parts_are_the_split(tmp_path):
    masks = {f"{part}_mask": np.arange(COUNT) % 4 == k for k, part in ((0, "val"), (1, "test"))}
    masks["train_mask"] = np.arange(COUNT) % 4 > 1
    found = datasets.load(saved(tmp_path, cycles_and_paths(), labels=np.arange(COUNT) % 3, **masks), task="graph")
    assert found.split_name == "given" and found.splitter is None
    for part in ("valid", "test"):
        assert getattr(found.split, part).tolist() == list(range(part == "test", COUNT, 4))


@pytest.mark.parametrize(
    "labels, metric",
    [
        (np.linspace(-2, 3, COUNT, dtype=np.float32), "mae"),
        (np.stack([np.arange(COUNT) % 2, np.arange(COUNT) % 3 == 0], 1), "rocauc"),
        (np.where(np.arange(COUNT) % 5, np.arange(COUNT) % 2, np.nan), "rocauc"),
        (np.where(np.arange(COUNT) % 5, np.arange(COUNT) % 3, np.nan), "mae"),
        ((np.arange(COUNT) % 2).astype(np.float32), "rocauc"),
        (np.arange(COUNT) % 4 - 1, "accuracy"),
    ],
)
def test_kind_of_label(tmp_path, labels, metric):
    found = datasets.load(saved(tmp_path, cycles_and_paths(), y=labels), task="graph")
    assert found.metric == metric
    np.testing.assert_array_equal(
        found.graph_labels.numpy().reshape(labels.shape), labels.astype(found.graph_labels.numpy().dtype)
    )
    known = labels >= 0 if metric == "accuracy" else ~np.isnan(labels.reshape(COUNT, -1)).all(1)
    parts = np.sort(np.concatenate(list(vars(found.split).values())))  # a graph without a label is in none
    assert parts.tolist() == np.flatnonzero(known).tolist()


def test_minus_one_beside_zeros_and_ones_is_unknown(tmp_path):
    labels = np.stack([np.arange(COUNT) % 2, np.arange(COUNT) % 3 - 1], 1)
    labels[0] = -1
    found = datasets.load(saved(tmp_path, cycles_and_paths(), y=labels), task="graph")
    assert found.metric == "rocauc" and torch.equal(torch.isnan(found.graph_labels), torch.from_numpy(labels == -1))
    assert 0 not in np.concatenate(list(vars(found.split).values()))


def test_a_graph_without_nodes_or_edges_is_one(tmp_path):
    graphs = cycles_and_paths()
    for number, n in ((5, 0), (6, 2)):
        graphs[number] = dgl.graph(([], []), num_nodes=n)
        graphs[number].ndata["feat"], graphs[number].edata["feat"] = torch.rand(n, 3), torch.rand(0, 2)
    found = read_graph(saved(tmp_path, graphs))
    assert [graph.num_nodes() for graph in found.graphs] == [graph.num_nodes() for graph in graphs]


def test_a_set_of_one_for_a_model_of_graphs(tmp_path):
    (graph,) = cycles_and_paths(1)
    graph.add_edges([0, 1], [0, 0], {"feat": torch.rand(2, 2)})  # a loop and a copy stay
    path = saved(tmp_path, [graph])
    found = datasets.load(path, many=True)
    assert found.graph is None and len(found.graphs) == 1 and found.graphs[0].num_edges() == graph.num_edges()
    assert datasets.load(path).graphs is None
    assert read_graph(path, ReadOptions(self_loops="keep"), many=True).graphs is None


def test_train_and_predict(tmp_path, capsys):
    graphs = cycles_and_paths()
    path = saved(tmp_path, graphs, label=np.arange(COUNT) % 2)
    assert (
        command(
            "train",
            "gine",
            "--dataset",
            path,
            "--epochs",
            "40",
            "--hidden-dim",
            "16",
            "--norm",
            "batch",
            "--json",
            "--out",
            tmp_path / "run",
        )
        == 0
    )
    result = json.loads(capsys.readouterr().out)
    assert result["metric"] == "accuracy" and result["dataset"] == "mine"
    other = tmp_path / "other"
    other.mkdir()
    fresh = saved(other, cycles_and_paths(7))  # without labels
    assert command("predict", tmp_path / "run", "--graph", fresh) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["id", "prediction", "p_0", "p_1"] and [row[0] for row in rows[1:]] == list(map(str, range(7)))
    assert command("predict", tmp_path / "run") == 0
    assert len(capsys.readouterr().out.splitlines()) == COUNT + 1
    together = rows[1:3]
    alone = saved(other, cycles_and_paths(7)[1:2])
    assert command("predict", tmp_path / "run", "--graph", alone) == 0
    single = capsys.readouterr().out.splitlines()[1].split("\t")
    assert single[1] == together[1][1]
    narrow = saved(other, cycles_and_paths(3, widths=(3, 5)))
    assert command("predict", tmp_path / "run", "--graph", narrow) == 3
    assert "5 edge features, expected 2 as in training" in capsys.readouterr().err


def test_directed_graphs_are_seen(tmp_path):
    graphs = [*cycles_and_paths(20), dgl.graph(([0, 1], [1, 2]))]
    graphs[-1].ndata["feat"], graphs[-1].edata["feat"] = torch.rand(3, 3), torch.rand(2, 2)
    assert read_graph(saved(tmp_path, graphs)).directed


def test_what_is_wrong_is_said(tmp_path):
    graphs, labels = cycles_and_paths(), np.arange(COUNT) % 2
    cases = [
        ({"label": labels[:-1]}, "array 'label' has shape (39,), expected 40 rows"),
        ({"label": labels * 5000}, "holds 0..5000, expected class numbers from 0"),
        ({"label": np.full(COUNT, np.inf)}, "not a finite number"),
        ({"label": np.full(COUNT, 1e300)}, "not a finite number of float32"),
        ({"label": labels, "y": labels}, "found the arrays label and y, expected one"),
        ({"label": np.full(COUNT, np.nan)}, "all labels are unknown"),
        ({"label": labels, "train_mask": labels > 0}, "has no array valid_mask"),
        (
            {"label": labels, **{f"{part}_mask": np.arange(COUNT) for part in ("train", "valid", "test")}},
            "expected 40 of 0 and 1",
        ),
        (
            {"label": labels, **{f"{part}_mask": labels > 0 for part in ("train", "valid", "test")}},
            "graph 1 is in 3 of train_mask",
        ),
        (
            {"label": -labels, "train_mask": labels < 1, "valid_mask": labels > 0, "test_mask": labels > 1},
            "leaves no graphs to valid",
        ),
        (
            {"label": labels, **{f"{part}_mask": labels[:9] > 0 for part in ("train", "valid", "test")}},
            "of shape (9,): expected 40",
        ),
        ({}, "has no labels"),
    ]
    for named, message in cases:
        with pytest.raises(DataError) as problem:
            datasets.load(saved(tmp_path, graphs, **named), task="graph")
        assert message in str(problem.value) and "\n" not in str(problem.value)
    graphs[2].ndata["feat"][1, 1] = np.nan
    with pytest.raises(
        DataError, match="mine.bin, graph 2: node array 'feat' holds a value that is not a finite number"
    ):
        read_graph(saved(tmp_path, graphs, label=labels))
    graphs[2].ndata["feat"][1, 1] = 0
    graphs[3].ndata.pop("feat")
    with pytest.raises(DataError, match="graph 3 has 0 node features, but graph 0 has 3"):
        read_graph(saved(tmp_path, graphs, label=labels))
    with pytest.raises(DataError, match="holds many graphs: it has no link task"):
        datasets.load(saved(tmp_path, cycles_and_paths(), label=labels), task="link")
    with pytest.raises(UsageError, match="--labels: found with .*mine.bin, which holds many graphs"):
        read_graph(saved(tmp_path, cycles_and_paths()), ReadOptions(labels="y.csv"))
    with pytest.raises(UsageError, match="holds one graph, which has the tasks node, link and events"):
        datasets.load(saved(tmp_path, cycles_and_paths(1)), task="graph")


@pytest.mark.parametrize("at", [8, 24, 4100, 4200, 5000, 9000])
@pytest.mark.parametrize("byte", [0, 255])
def test_a_flipped_byte_is_one_line_or_nothing(tmp_path, at, byte):
    path = Path(saved(tmp_path, cycles_and_paths(10), label=np.arange(10) % 2))
    data = bytearray(path.read_bytes())
    data[at] = byte
    path.write_bytes(data)
    try:
        read_graph(path)
    except DataError as problem:
        assert "mine.bin" in str(problem) and "\n" not in str(problem)


@pytest.mark.parametrize("length", [20, 4090, 4110, 4300, 6000])
def test_a_truncated_file_is_one_line(tmp_path, length):
    path = Path(saved(tmp_path, cycles_and_paths(10), label=np.arange(10) % 2))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match="mine.bin(, graph [0-9]+)?: "):
        read_graph(path)
