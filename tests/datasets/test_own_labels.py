"""Labels of a user's file: what is missing, what is a class, what has several, and what no figure can be made of."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from graphkit.core import reading
from graphkit.core.errors import DataError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers.files import read_graph

NODES = [f"u{k}" for k in range(20)]


@pytest.fixture
def graph(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("src,dst\n" + "".join(f"u{k},u{(k + step) % 20}\n" for k in range(20) for step in (1, 3)))
    return path


def load(graph, rows, task=None, header="id,label", **options):
    """(data set, lines); rows are labels in the order of the nodes, or pairs."""
    pairs = [row if isinstance(row, tuple) else (NODES[k], row) for k, row in enumerate(rows)]
    path = graph.parent / "y.csv"
    path.write_text(f"{header}\n" + "".join(f"{node},{value}\n" for node, value in pairs))
    with reading.ledger() as notes:
        return read_graph(graph, ReadOptions(labels=str(path), **options), task=task), notes.lines


def names_of(dataset):
    """Class names in the order of the numbers in the nodes' ids."""
    found = {int(node[1:]): value for node, value in zip(dataset.ids().tolist(), dataset.labels.tolist())}
    return ["" if found[k] < 0 else dataset.class_names[found[k]] for k in sorted(found)]


MIXED = ["-1", "0", "1", "0", "1"] * 4


@pytest.mark.parametrize(
    "labels, options, expected, said",
    [
        (["-1", "1"] * 10, {}, {"-1", "1"}, None),
        (MIXED, {}, {"0", "1"}, "4 labels '-1': read as unlabelled"),
        (MIXED, {"unlabelled": ("-1",)}, {"0", "1"}, None),
        (MIXED, {"unlabelled": ("1",)}, {"-1", "0"}, None),
        (MIXED, {"unlabelled": ("",)}, {"-1", "0", "1"}, None),
        (MIXED, {"unlabelled": ("0", "1")}, {"-1"}, None),
        (["-100", "0", "1", "0", "1"] * 4, {}, {"-100", "0", "1"}, None),
        (["-100", "0", "1", "0", "1"] * 4, {"unlabelled": ("-100",)}, {"0", "1"}, None),
        (["-1.0", "0.0", "1.0", "0.0", "1.0"] * 4, {"unlabelled": ("-1",)}, {"0.0", "1.0"}, None),
        (["", "a", "b", "a", "b"] * 4, {}, {"a", "b"}, None),
        (["NA", "a", "b", "a", "b"] * 4, {}, {"a", "b"}, "4 labels 'NA': read as unlabelled"),
        (["nan", "a", "b", "NaN", "b"] * 4, {}, {"a", "b"}, "4 labels 'nan': read as unlabelled"),
        (["NA", "a", "b", "a", "b"] * 4, {"unlabelled": ("?",)}, {"NA", "a", "b"}, None),
        (["Na", "None", "?", "a", "b"] * 4, {}, {"Na", "None", "?", "a", "b"}, None),
        (["1", "1.0", "2", "2", "1"] * 4, {}, {"1", "2"}, "the labels 1 and 1.0 are the same number"),
        (["01", "1", "2", "2", "1"] * 4, {}, {"01", "1", "2"}, None),
        ([str(2**60), str(2**60 + 1)] * 10, {}, {str(2**60), str(2**60 + 1)}, None),
    ],
)
def test_what_is_unlabelled_and_what_is_a_class(graph, labels, options, expected, said):
    found, lines = load(graph, labels, **options)
    assert set(names_of(found)) - {""} == expected == set(found.class_names)
    unlabelled = sum(name == "" for name in names_of(found))
    assert unlabelled == sum(label not in expected and label not in ("1.0", "2.0", "0.0") for label in labels)
    assert [said in line for line in lines if said] == (
        [True] if said and said.count("nan") == 0 else [True, False][: len(lines)]
    )
    assert bool(lines) == (said is not None)


def test_arrays_follow_the_same_rule(graph):
    for values, names, expected in (
        (np.array([-1, 0, 1, 2] * 5), ["0", "1", "2"], [-1, 0, 1, 2]),
        (np.array([-1.0, 1.0] * 10), ["-1", "1"], [0, 1, 0, 1]),
        (np.array([np.nan, 0, 1, -100] * 5), ["-100", "0", "1"], [-1, 1, 2, 0]),
    ):
        np.save(graph.parent / "y.npy", values)
        found = read_graph(graph, ReadOptions(labels=str(graph.parent / "y.npy")))
        order = [int(name[1:]) for name in found.ids().tolist()]
        assert found.class_names == names
        assert found.labels.tolist()[:4] == expected and sorted(order) == list(range(20))


def test_marks_that_stay_classes_are_hinted_at(graph, caplog):
    with caplog.at_level(logging.INFO, logger="graphkit"):
        load(graph, ["?", "a", "b", "a"] * 5)
        load(graph, ["-9", "0", "1", "1"] * 5)
    assert any("'?' is read as a class; --unlabelled ? takes it as no label" in line for line in caplog.messages)
    assert any("'-9' is read as a class" in line for line in caplog.messages)


def test_equal_rows_count_once_and_others_are_several_labels(graph):
    labels = [str(k % 2) for k in range(20)]
    found, lines = load(graph, [*labels, ("u3", "1")])
    assert found.labels.ndim == 1 and names_of(found) == labels
    assert len(lines) == 1 and "1 row with a label that its node already has: dropped" in lines[0]
    found, lines = load(graph, [*labels, ("u3", "0"), ("u7", "0")])
    row = found.ids().tolist().index("u3")
    assert found.labels.shape == (20, 2) and found.labels[row].tolist() == [1, 1] and found.labels.sum() == 22
    assert len(lines) == 1 and "2 nodes with several labels (u3: 0, 1)" in lines[0]
    assert load(graph, [*labels, ("u3", "0")], label_kind="multilabel")[1] == []
    with pytest.raises(DataError, match=r"1 node with several labels \(u3: 0, 1\), expected one a node"):
        load(graph, [*labels, ("u3", "0")], label_kind="classification")
    found, _ = load(graph, labels, label_kind="multilabel")
    assert found.labels.sum(1).tolist() == [1] * 20
    found, _ = load(graph, [*labels, ("u3", "")])  # no label beside a label is no second one
    assert found.labels.ndim == 1 and names_of(found) == labels


@pytest.mark.parametrize(
    "labels, message",
    [
        (["a"] * 20, r"one class only \(a, 20 nodes\), expected at least two classes"),
        (["a", ""] * 10, r"one class only \(a, 10 nodes\)"),
        (NODES, "20 classes of 20 labelled nodes, 20 of one node, expected classes with several nodes"),
        ([f"{k / 7:.3f}" for k in range(20)], "20 classes of 20 labelled nodes.*--task regression learns numbers"),
        ([f"2024-01-{k + 1:02d}" for k in range(20)], "20 classes of 20 labelled nodes"),
        ([*"abcdefghijklmnop", "q", "q", "r", "r"], "18 classes of 20 labelled nodes, 16 of one node"),
        (["", "NA"] * 10, "no node has a label"),
    ],
)
def test_labels_of_which_no_figure_means_anything(graph, labels, message):
    with pytest.raises(DataError, match=message):
        load(graph, labels, task="node")


def test_several_labels_that_all_nodes_share(graph):
    path = graph.parent / "y.csv"
    path.write_text("id,p,q\n" + "".join(f"{node},1,0\n" for node in NODES))
    with pytest.raises(DataError, match="every labelled node has the same labels"):
        read_graph(graph, ReadOptions(labels=str(path)), task="node")
    path.write_text("id,p,q\n" + "".join(f"{node},1,{k % 2}\n" for k, node in enumerate(NODES)))
    with reading.ledger() as notes:
        read_graph(graph, ReadOptions(labels=str(path)), task="node")
    assert any(
        "every labelled node has the label 0, which is right whatever is predicted" in line for line in notes.lines
    )


def split_file(graph, parts):
    path = graph.parent / "s.csv"
    path.write_text("id,part\n" + "".join(f"{NODES[k]},{part}\n" for k, part in enumerate(parts)))
    return str(path)


def test_classes_of_one_node_and_parts_without_a_label_are_told(graph):
    labels = ["a", "b"] * 9 + ["", "c"]
    parts = ["train"] * 10 + ["valid"] * 5 + ["test"] * 5
    _, lines = load(graph, labels, task="node", splits=split_file(graph, parts))
    assert any("1 class of one node (c)" in line for line in lines)
    assert any("1 node of 5 of the part test without a label" in line for line in lines)
    assert any("1 node of the part test of a class that no training node has (c)" in line for line in lines)
    with pytest.raises(DataError, match="all training nodes are of the class a"):
        load(graph, ["a"] * 10 + ["b"] * 10, task="node", splits=split_file(graph, parts))
    with pytest.raises(DataError, match="no node of the part test has a label"):
        load(graph, ["a", "b"] * 7 + ["a"] + [""] * 5, task="node", splits=split_file(graph, parts))


def test_numbers_to_learn(graph):
    values = [f"{k / 7 - 1:.6f}" for k in range(20)]
    found, lines = load(graph, [*values[:-1], ""], task="node", label_kind="regression")
    assert found.label_kind == "numbers" and found.metric == "rmse" and lines == []
    known = {int(name[1:]): value for name, value in zip(found.ids().tolist(), found.labels.tolist())}
    assert [known[k] for k in range(19)] == [float(value) for value in values[:-1]] and np.isnan(known[19])
    assert 19 not in {
        int(found.ids()[k][1:]) for part in ("train", "valid", "test") for k in getattr(found.split, part)
    }
    assert load(graph, ["-1", "0", "1", "0.5"] * 5, label_kind="regression")[0].labels.min() == -1
    for wrong, message in (
        (["0,5"] * 2, "line 2: found 3 columns, expected 2 as in the header"),
        (["much", *values[1:]], "line 2: label 'much', expected a finite number with --task regression"),
        (["inf", *values[1:]], "label 'inf', expected a finite number"),
        ([*values, ("u3", "7")], "node u3 has the labels"),
        (["3"] * 20, "20 labels that are all 3, expected different numbers"),
    ):
        with pytest.raises(DataError, match=message):
            load(graph, wrong, task="node", label_kind="regression")


def test_the_label_column_among_others_is_the_one_that_is_called_so(graph):
    path = graph.parent / "y.csv"
    path.write_text(
        "id,age,class,name\n" + "".join(f"{node},{20 + k},{'ab'[k % 2]},x{k}\n" for k, node in enumerate(NODES))
    )
    with reading.ledger() as notes:
        found = read_graph(graph, ReadOptions(labels=str(path)))
    assert names_of(found) == ["a", "b"] * 10
    assert notes.lines == [f"{path}: column 'class' is read as the label; not used: age, name"]
