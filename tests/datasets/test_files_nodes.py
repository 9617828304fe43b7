"""Features, labels and splits reach the nodes they were written for; held-out links leave the graph."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from click.testing import CliRunner

from graphkit.core.errors import DataError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers.files import read_graph

NAMES = ["bob", "ann", "eve", "dan", "zoe"]
RING = "".join(f"{NAMES[i]},{NAMES[(i + 1) % 5]}\n" for i in range(5))


@pytest.fixture
def ring(tmp_path):
    (tmp_path / "g.csv").write_text(RING)
    return tmp_path / "g.csv"


def put(path, text):
    path.write_text(text)
    return str(path)


def test_features_by_id_and_in_order_are_the_same(ring, tmp_path):
    import pandas

    values = np.arange(15.0).reshape(5, 3)
    rows = [(name, *row) for name, row in zip(NAMES, values.tolist())][::-1]
    put(tmp_path / "a.csv", "id,x,y,z\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    put(tmp_path / "b.tsv", "".join("\t".join(map(str, row)) + "\n" for row in rows))
    pandas.DataFrame(rows, columns=["id", "x", "y", "z"]).to_parquet(tmp_path / "c.parquet")
    np.save(tmp_path / "d.npy", values)
    np.savez(tmp_path / "e.npz", features=values, other=np.ones(2))
    scipy.sparse.save_npz(tmp_path / "f.npz", scipy.sparse.csr_matrix(values))
    put(tmp_path / "h.csv", "\n".join(",".join(map(str, row)) for row in values.tolist()))
    np.save(tmp_path / "i.npy", np.asfortranarray(values.astype("f4")))
    for name in ("a.csv", "b.tsv", "c.parquet", "d.npy", "e.npz", "f.npz", "h.csv", "i.npy"):
        found = read_graph(ring, ReadOptions(features=str(tmp_path / name)))
        assert found.ids().tolist() == NAMES
        assert found.features.numpy().tolist() == values.tolist(), name


def test_rows_of_ids_without_edges_are_isolated_nodes(tmp_path):
    graph = put(tmp_path / "g.csv", "1,4\n4,6\n")
    np.save(tmp_path / "x.npy", np.arange(8.0)[:, None])
    by_order = read_graph(graph, ReadOptions(features=str(tmp_path / "x.npy")))
    assert by_order.node_ids is None
    assert by_order.num_nodes == 8
    assert by_order.graph.edges()[0].tolist() == [1, 4, 4, 6]
    table = put(tmp_path / "x.csv", "id,x\n9,90\n1,10\n4,40\n6,60\n5,50\n")
    by_id = read_graph(graph, ReadOptions(features=table))
    assert by_id.ids().tolist() == [1, 4, 5, 6, 9]
    assert by_id.features[:, 0].tolist() == [10, 40, 50, 60, 90]
    src, dst = by_id.graph.edges()
    assert {(by_id.ids()[u], by_id.ids()[v]) for u, v in zip(src, dst)} == {(1, 4), (4, 1), (4, 6), (6, 4)}
    np.save(tmp_path / "x.npy", np.arange(3.0)[:, None])  # as many rows as nodes, but ids above: in sorted order
    assert read_graph(graph, ReadOptions(features=str(tmp_path / "x.npy"))).features[:, 0].tolist() == [0, 1, 2]


def test_labels(ring, tmp_path):
    cases = {
        "id,label\nann,red\nbob,blue\neve,red\n": ([0, 1, 1, -1, -1], ["blue", "red"]),
        "ann 10\nbob 9\neve 10\n": ([0, 1, 1, -1, -1], ["9", "10"]),
        "5\n6\n5\n-1\n6\n": ([0, 1, 0, -1, 1], ["5", "6"]),
        "node,class\nann,x\nann,y\nbob,y\n": ([[0, 1], [1, 1], [0, 0], [0, 0], [0, 0]], ["x", "y"]),
        "id,p,q\nann,1,0\nbob,1,1\n": ([[1, 1], [1, 0], [0, 0], [0, 0], [0, 0]], None),
    }
    for text, (expected, names) in cases.items():
        found = read_graph(ring, ReadOptions(labels=put(tmp_path / "y.txt", text)))
        assert found.labels.tolist() == expected, text
        assert found.class_names == names
    np.save(tmp_path / "y.npy", np.array([2.0, 0, 1, -1, 2]))
    found = read_graph(ring, ReadOptions(labels=str(tmp_path / "y.npy")))
    assert found.labels.tolist() == [2, 0, 1, -1, 2]


def test_node_split_of_a_file_is_fixed(ring, tmp_path):
    labels = put(tmp_path / "y.csv", "id,label\nann,1\nbob,0\neve,1\ndan,0\nzoe,0\n")
    splits = put(tmp_path / "s.csv", "id,part\nzoe,train\nann,train\neve,val\nbob,test\n")
    found = read_graph(ring, ReadOptions(labels=labels, splits=splits), task="node")
    assert [part.tolist() for part in (found.split.train, found.split.valid, found.split.test)] == [[1, 4], [2], [0]]
    assert (found.metric, found.split_name) == ("accuracy", "file")
    assert found.for_seed(7) is found


def test_drawn_splits_depend_on_the_seed(tmp_path):
    rng = np.random.default_rng(0)
    graph = put(tmp_path / "g.csv", "".join(f"{u},{v}\n" for u, v in rng.integers(0, 300, (2000, 2))))
    np.save(tmp_path / "y.npy", rng.integers(0, 3, read_graph(graph).num_nodes))
    nodes = read_graph(graph, ReadOptions(labels=str(tmp_path / "y.npy")), task="node")
    assert nodes.split_name == "random-0.6/0.2/0.2"
    assert not np.array_equal(nodes.split.train, nodes.for_seed(1).split.train)
    links = read_graph(graph, task="link")
    assert (links.split_name, links.metric) == ("random-0.7/0.1/0.2", "hits@100")
    assert links.graph.num_edges() == 2 * len(links.split.train.pos)
    assert not np.array_equal(links.split.test.pos, links.for_seed(1).split.test.pos)


@pytest.mark.parametrize("directed", [False, True])
def test_link_split_of_a_file(ring, tmp_path, directed):
    splits = put(
        tmp_path / "s.csv", "src,dst,part,label\nbob,ann,valid,1\ndan,zoe,test,1\nbob,eve,test,0\nann,dan,valid,0\n"
    )
    found = read_graph(ring, ReadOptions(splits=splits, directed=directed), task="link")
    src, dst = (part.tolist() for part in found.graph.edges())
    assert {(0, 1), (1, 0), (3, 4), (4, 3)}.isdisjoint(zip(src, dst))
    assert found.graph.num_edges() == (3 if directed else 6)
    assert found.split.train.pos.tolist() == ([[1, 2], [2, 3], [4, 0]] if directed else [[0, 4], [1, 2], [2, 3]])
    assert found.split.valid.pos.tolist() == [[0, 1]]
    assert found.split.valid.neg.tolist() == [[1, 3]]
    assert found.split.test.pos.tolist() == [[3, 4]]
    assert found.split.test.neg.tolist() == [[0, 2]]
    assert found.split_name == "file"
    assert found.metric == "auc"


def test_link_split_without_negatives_draws_non_edges(ring, tmp_path):
    splits = put(tmp_path / "s.csv", "bob,ann,valid\nann,zoe,test\n")  # the test edge is in no other file
    found = read_graph(ring, ReadOptions(splits=splits), task="link")
    edges = {tuple(sorted((i, (i + 1) % 5))) for i in range(5)} | {(1, 4)}
    for part in (found.split.valid, found.split.test):
        assert len(part.neg) == 1
        assert tuple(part.neg[0].tolist()) not in edges


def test_mat_in_the_form_of_blogcatalog_brings_its_labels(tmp_path):
    ring = scipy.sparse.csc_matrix(np.roll(np.eye(5), 1, axis=0) + np.roll(np.eye(5), -1, axis=0))
    group = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 0], [0, 0, 3.0]])
    for kind in (scipy.sparse.csc_matrix, np.asarray):
        scipy.io.savemat(tmp_path / "u.mat", {"network": ring, "group": kind(group)}, do_compression=True)
        found = read_graph(tmp_path / "u.mat", task="node")
        assert found.labels.tolist() == (group != 0).tolist() and found.metric == "micro-f1"
    scipy.io.savemat(tmp_path / "odd.mat", {"network": ring, "group": group[:4]})
    assert read_graph(tmp_path / "odd.mat").labels is None
    np.save(tmp_path / "x.npy", np.ones((7, 2)))
    with pytest.raises(DataError, match=r"u\.mat: holds labels of 5 nodes, but there are 7"):
        read_graph(tmp_path / "u.mat", ReadOptions(features=str(tmp_path / "x.npy")))


def test_labels_and_features_from_mat(ring, tmp_path):
    group = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [1, 0.0]])
    scipy.io.savemat(tmp_path / "y.mat", {"network": np.eye(5), "group": scipy.sparse.csc_matrix(group)})
    assert read_graph(ring, ReadOptions(labels=str(tmp_path / "y.mat"))).labels.tolist() == group.tolist()
    for column in (np.array([[3], [1], [3], [2], [1]]), np.array([[3, 1, 3, 2, 1]])):
        scipy.io.savemat(tmp_path / "y.mat", {"gnd": column})
        assert read_graph(ring, ReadOptions(labels=str(tmp_path / "y.mat"))).labels.tolist() == [2, 0, 2, 1, 0]
    values = np.arange(15.0).reshape(5, 3)
    scipy.io.savemat(tmp_path / "x.mat", {"features": values, "y": column})
    assert read_graph(ring, ReadOptions(features=str(tmp_path / "x.mat"))).features.tolist() == values.tolist()


@pytest.mark.parametrize(
    ("text", "header", "said"),
    [
        ("person,friend\nann,bob\nbob,cy\n", None, True),
        ("# a comment\n\nperson friend\nann bob\n", None, True),
        ("person,friend\nann,bob\n", False, False),
        ("person,friend\nann,bob\n", True, False),
        ("from,to\nann,bob\n", None, False),
        ("0,1\n1,2\n", None, False),
        ("007,008\n008,009\n", None, False),
    ],
)
def test_a_first_line_of_words_that_is_read_as_an_edge_is_said(tmp_path, caplog, text, header, said):
    caplog.set_level("INFO", logger="graphkit")
    path = put(tmp_path / "g.csv", text)
    read_graph(path, ReadOptions(header=header))
    line = next(number for number, line in enumerate(text.split("\n"), 1) if line and not line.startswith("#"))
    assert (f"{path}: line {line} is read as an edge; --header takes it as column names" in caplog.messages) == said


def test_convert_command(ring, tmp_path):
    from graphkit.cli.convert import command

    result = CliRunner().invoke(command, [str(ring), str(tmp_path / "g.graphml")], catch_exceptions=False)
    assert result.exit_code == 0
    result = CliRunner().invoke(command, [str(tmp_path / "g.graphml"), "-"], catch_exceptions=False)
    assert result.stdout.splitlines() == ["src\tdst", "bob\tann", "bob\tzoe", "ann\teve", "eve\tdan", "dan\tzoe"]
    result = CliRunner().invoke(command, ["karate", "-"], catch_exceptions=False)
    assert len(result.stdout.splitlines()) == 79
    result = CliRunner().invoke(command, ["-", str(tmp_path / "h.mtx")], input=RING, catch_exceptions=False)
    assert read_graph(tmp_path / "h.mtx").ids().tolist() == NAMES
