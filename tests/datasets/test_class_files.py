"""Communities, gene sets, JSON and MATLAB variables as labels and features, against the files read another way."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from graphkit import datasets
from graphkit.core.errors import DataError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers.files import read_graph
from graphkit.datasets.sources import folders

EDGES = "10,20\n20,30\n30,40\n40,10\n"


def put(path, text):
    path.write_text(text)
    return str(path)


@pytest.fixture
def graph(tmp_path):
    return put(tmp_path / "g.csv", EDGES)


def load(graph, **options):
    return datasets.load(graph, read=ReadOptions(**options))


def members(dataset):
    """{class: ids} of several labels a node."""
    names = dataset.class_names
    ids, labels = dataset.ids(), dataset.labels.numpy()
    return {name: set(ids[labels[:, k] > 0].tolist()) for k, name in enumerate(names)}


def test_communities(graph, tmp_path):
    found = load(graph, labels=put(tmp_path / "y.cmty", "10\t20\t\n\n20 30\n40\n"))
    assert members(found) == {"0": {10, 20}, "2": {20, 30}, "3": {40}}
    single = load(graph, labels=put(tmp_path / "y.cmty", "10 20\n30 40\n"))
    assert (single.labels.tolist(), single.class_names) == ([0, 0, 1, 1], ["0", "1"])


def test_gene_sets(graph, tmp_path):
    found = load(graph, labels=put(tmp_path / "y.gmt", "KEGG A\thttp://a\t10\t20\t20\nKEGG B\t\t20\t30\t40\t\n"))
    assert members(found) == {"KEGG A": {10, 20}, "KEGG B": {20, 30, 40}}


def test_json_of_features_and_labels(graph, tmp_path):
    lists = put(tmp_path / "x.json", json.dumps({"40": [2, 0], "10": [1], "30": [], "20": [1, 1, 2]}))
    assert load(graph, features=lists).features.tolist() == [[0, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1]]
    dense = put(tmp_path / "x.json", json.dumps({"40": [2.5, 0], "10": [1, 2], "30": [0, 0], "20": [1, 1]}))
    assert load(graph, features=dense).features.tolist() == [[1, 2], [1, 1], [0, 0], [2.5, 0]]
    rows = put(tmp_path / "x.json", json.dumps([[1, 2], [3, 4], [5, 6], [7, 8]]))
    assert load(graph, features=rows).features.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    labels = put(tmp_path / "y.json", json.dumps({"40": "a", "10": "b", "30": "a"}))
    found = load(graph, labels=labels)
    assert (found.labels.tolist(), found.class_names) == ([1, -1, 0, 0], ["a", "b"])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x.json", "{", "not JSON"),
        ("x.json", "[" * 100_000, "JSON nested too deeply"),
        ("x.json", "3", "a JSON int, expected"),
        ("x.json", '{"10": [1], "20": 3}', "values of several kinds"),
        ("x.json", '{"10": ["a"], "20": [1]}', "expected lists of whole numbers"),
        ("x.json", '{"10": [-1], "20": [1]}', "feature number -1"),
        ("x.json", '{"10": [99999999], "20": [1]}', "feature number 99999999"),
        ("x.json", '{"10": [0.5], "20": [1, 2]}', "lists of 1 to 2 values"),
        ("x.json", '{"10": [0.5, NaN], "20": [1, 2]}', "feature nan"),
        ("x.json", "[[1, 2], [3]]", "lists of 1 to 2 values"),
        ("x.json", "\udcff", "is not UTF-8"),
        ("y.gmt", "A\tb\n", "line 1: found 2 columns"),
        ("y.cmty", "\n\n", "no nodes, expected some"),
    ],
)
def test_hostile_files_end_in_one_line(graph, tmp_path, name, text, said):
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=said) as problem:
        load(graph, **{"features" if name[0] == "x" else "labels": str(path)})
    assert "\n" not in str(problem.value) and name in str(problem.value)


@pytest.mark.parametrize(
    ("names", "shape"),
    [
        (("network", "group"), "several"),
        (("Network", "Label"), "classes"),
        (("A", "gnd"), "row"),
        (("W", "Class"), "classes"),
    ],
)
def test_labels_and_features_inside_a_mat(tmp_path, names, shape):
    matrix = sp.csc_matrix(np.ones((4, 4)) - np.eye(4))
    several, classes = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]]), np.array([[3.0], [7], [3], [9]])
    values = {"several": sp.csc_matrix(several.astype(float)), "classes": classes, "row": classes.T}[shape]
    attributes = sp.csc_matrix(np.arange(8.0).reshape(4, 2))
    scipy.io.savemat(tmp_path / "g.mat", {names[0]: matrix, names[1]: values, "Attributes": attributes})
    found = datasets.load(str(tmp_path / "g.mat"))
    assert found.features.tolist() == attributes.toarray().tolist()
    if shape == "several":
        assert found.labels.tolist() == several.tolist()
    else:
        assert (found.labels.tolist(), found.class_names) == ([0, 1, 0, 2], ["3", "7", "9"])
    assert found.reading == ()
    loaded = scipy.io.loadmat(tmp_path / "g.mat")
    assert found.graph.num_edges() == loaded[names[0]].nnz


def test_a_mat_with_two_candidates_says_which(tmp_path):
    matrix = sp.csc_matrix(np.ones((4, 4)) - np.eye(4))
    labels = {"Label": np.array([[0.0], [1], [0], [1]]), "Class": np.array([[1.0], [2], [3], [4]])}
    scipy.io.savemat(tmp_path / "g.mat", {"Network": matrix, **labels})
    found = datasets.load(str(tmp_path / "g.mat"))
    assert found.labels.tolist() == [0, 1, 0, 1]
    assert found.reading == (f"{tmp_path / 'g.mat'}: 'Label' is read as the labels; not Class",)
    scipy.io.savemat(tmp_path / "h.mat", {"net": matrix, "y": np.array([[0.5], [1], [0], [1]])})
    assert "holds numbers that are no classes" in datasets.load(str(tmp_path / "h.mat")).reading[0]


@pytest.mark.data
def test_real_files_give_what_the_catalogue_gives(real):
    known = real("ppi-node2vec")
    root = folders.find("ppi-node2vec")
    found = read_graph(str(root / "PPI.ungraph"), ReadOptions(labels=str(root / "PPI.cmty")))
    assert found.ids().tolist() == known.ids().tolist()
    columns = [found.class_names.index(str(k)) for k in range(known.labels.shape[1])]
    assert (found.labels[:, columns] == known.labels).all()
    blog = real("blogcatalog")
    by_path = datasets.load(str(folders.find("blogcatalog/blogcatalog.mat")))
    assert by_path.checksum() == blog.checksum()


@pytest.mark.data
def test_real_gene_sets(real):
    known = real("biogrid")
    root = folders.find("obnb-biogrid")
    found = read_graph(str(root / "BioGRID.edg"), ReadOptions(labels=str(root / "DisGeNet.gmt")))
    inside = np.isin(found.ids(), known.ids())
    labels = found.labels.numpy()[inside]
    large = {name: labels[:, k] for k, name in enumerate(found.class_names) if labels[:, k].sum() >= 50}
    assert set(large) == set(known.class_names)
    for k, name in enumerate(known.class_names):
        np.testing.assert_array_equal(large[name], known.labels[:, k].numpy())
