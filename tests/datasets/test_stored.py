"""A stored graph is the graph it was made from, is read only where a command needs it, and is not believed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from graphkit import datasets
from graphkit.cli.main import main
from graphkit.core.errors import DataError, OutputError, UsageError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.local_graph import LocalGraph
from graphkit.datasets.readers import stored
from graphkit.datasets.writers import stored_writer
from graphkit.datasets.writers.graphs import write_graph
from graphkit.methods.local.clustering.method import LocalClustering


@pytest.fixture
def people(tmp_path):
    """A weighted graph with ids that are text, not in their order, some beyond ASCII, features and labels."""
    rng = np.random.default_rng(0)
    names = [f"p{k}" if k % 3 else f"é{k}" for k in rng.permutation(60)]
    pairs = {(min(i, j), max(i, j)) for i, j in rng.integers(0, 60, (400, 2)).tolist() if i != j}
    text = "a,b,w\n" + "".join(f"{names[i]},{names[j]},{rng.integers(1, 9)}\n" for i, j in sorted(pairs))
    (tmp_path / "people.csv").write_text(text)
    dataset = datasets.load(str(tmp_path / "people.csv"), read=ReadOptions(weight="w"))
    (tmp_path / "labels.csv").write_text(
        "id,label\n" + "".join(f"{name},{k % 3}\n" for k, name in enumerate(dataset.ids().tolist()))
    )
    np.save(tmp_path / "features.npy", rng.random((dataset.num_nodes, 4)).astype(np.float32))
    return tmp_path


def same(found, expected):
    assert (
        found.num_nodes == expected.num_nodes
        and found.directed == expected.directed
        and found.weighted == expected.weighted
    )
    assert [str(one) for one in found.ids().tolist()] == [str(one) for one in expected.ids().tolist()]
    for a, b in zip(found.graph.edges(order="eid"), expected.graph.edges(order="eid")):
        assert torch.equal(a, b)
    for ours, theirs in ((found.graph.ndata, expected.graph.ndata), (found.graph.edata, expected.graph.edata)):
        assert set(ours) == set(theirs)
        assert all(torch.equal(ours[key].double(), theirs[key].double()) for key in theirs)
    assert found.class_names == expected.class_names


@pytest.mark.parametrize("options", [{}, {"directed": True}, {"duplicates": "keep", "self_loops": "keep"}])
def test_round_trip(people, options):
    text = (people / "people.csv").read_text() + "p1,p2,3\np2,p1,4\np4,p4,1\n"
    (people / "people.csv").write_text(text)
    read = ReadOptions(weight="w", features=str(people / "features.npy"), labels=str(people / "labels.csv"), **options)
    expected = datasets.load(str(people / "people.csv"), read=read)
    write_graph(expected, people / "people.graph")
    found = datasets.load(str(people / "people.graph"))
    same(found, expected)
    assert found.stored.simple == (not options)
    for task, split in (("node", None), ("link", "random-0.7/0.1/0.2")):
        one, other = (
            datasets.load(str(people / name), task=task, split=split, read=read if name.endswith("csv") else None)
            for name in ("people.graph", "people.csv")
        )
        same(one, other)
        for part in ("train", "test"):
            ours, theirs = getattr(one.split, part), getattr(other.split, part)
            assert np.array_equal(getattr(ours, "pos", ours), getattr(theirs, "pos", theirs))


@pytest.mark.parametrize("name", ["karate", "les-miserables", "digits", "sbm:n=200,k=4,features=3"])
def test_data_sets_come_back(name, tmp_path):
    expected = datasets.load(name)
    write_graph(expected, tmp_path / "one.graph")
    found = datasets.load(str(tmp_path / "one.graph"))
    assert sorted(zip(*map(torch.Tensor.tolist, found.graph.edges()))) == sorted(
        zip(*map(torch.Tensor.tolist, expected.graph.edges()))
    )
    assert (found.labels is None) == (expected.labels is None) and (
        found.labels is None or torch.equal(found.labels, expected.labels)
    )
    assert found.features is None or torch.equal(found.features, expected.features)
    files = sorted((tmp_path / "one.graph").glob("*.npy"))
    assert found.checksum() == hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def test_ids_are_found_by_halving(people):
    for ids in (None, "big", "text"):
        text = (people / "people.csv").read_text()
        if ids != "text":
            rows = [line.split(",") for line in text.splitlines()[1:]]
            number = {
                name: 7 * k if ids else k for k, name in enumerate(sorted({name for row in rows for name in row[:2]}))
            }
            text = "a,b\n" + "".join(f"{number[a]},{number[b]}\n" for a, b, _ in rows)
        (people / "g.csv").write_text(text)
        expected = datasets.load(str(people / "g.csv"))
        write_graph(expected, people / "g.graph")
        found = datasets.load(str(people / "g.graph"))
        for place, name in enumerate(expected.ids().tolist()):
            assert str(name) in found.numbers() and found.numbers()[str(name)] == place
            assert found.ids_of(np.array([place])).tolist() == [name]
        for word in ("nobody", "", "-1", "3.0", "00", "99999999999999999999"):
            assert word not in found.numbers()
        assert dict(found.numbers()) == dict(expected.numbers())


@pytest.mark.parametrize(
    "options",
    [
        {"diffusion": "flow", "volume": 60},
        {"diffusion": "ppr", "volume": 60},
        {"diffusion": "heat", "volume": 60},
        {"diffusion": "pnorm", "volume": 60, "mass": 1.5},
        {"diffusion": "flow", "volume": 60, "weighted": True},
        {"diffusion": "heat", "volume": 60, "weighted": True},
    ],
)
def test_clusters_are_the_same(people, options):
    expected = datasets.load(str(people / "people.csv"), read=ReadOptions(weight="w"))
    write_graph(expected, people / "people.graph")
    graphs = [LocalGraph.of(one) for one in (expected, datasets.load(str(people / "people.graph")))]
    if options.get("weighted"):
        labels = np.random.default_rng(1).integers(0, 2, expected.num_nodes)
        graphs = [graph.labelled(labels, 0.05) for graph in graphs]
    for seed in range(0, 60, 7):
        one, other = (LocalClustering(**options).cluster(graph, np.array([seed])) for graph in graphs)
        assert (
            np.array_equal(one.nodes, other.nodes)
            and np.array_equal(one.values, other.values)
            and one.conductance == other.conductance
        )


def test_a_query_imports_neither_torch_nor_dgl(people):
    write_graph(datasets.load(str(people / "people.csv"), read=ReadOptions(weight="w")), people / "people.graph")
    code = (
        "import sys\nfrom graphkit.cli.main import main\ntry:\n    main(sys.argv[1:])\nfinally:\n    print([name for"
        " name in ('torch', 'dgl', 'pandas', 'scipy.stats') if name in sys.modules], file=sys.stderr)"
    )
    words = ["cluster", "local", str(people / "people.graph"), "--seeds", "é3", "--volume", "60", "-q"]
    found = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert found.returncode == 0 and found.stderr == "[]\n" and found.stdout.splitlines()[0]


def test_it_is_written_whole_or_not(people, monkeypatch):
    dataset = datasets.load(str(people / "people.csv"), read=ReadOptions(weight="w"))
    before = sorted(people.iterdir())

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(stored_writer, "_digest", full)
        with pytest.raises(OutputError, match=r"people\.graph: cannot be written: No space left"):
            stored_writer.write(dataset, people / "people.graph")
    assert sorted(people.iterdir()) == before
    for _ in range(2):  # the second replaces the first
        stored_writer.write(dataset, people / "people.graph")
        assert sorted(people.iterdir()) == sorted([*before, people / "people.graph"])
    (people / "other.graph").mkdir()
    with pytest.raises(UsageError, match="is there and is no stored graph"):
        stored_writer.write(dataset, people / "other.graph")
    with pytest.raises(UsageError, match="--weight: found with"):
        datasets.load(str(people / "people.graph"), read=ReadOptions(weight="w"))


def change(folder, name, make):
    array = np.load(folder / f"{name}.npy")
    make(array)
    np.save(folder / f"{name}.npy", array)


def edit(folder, **values):
    path = folder / stored.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


DAMAGE = {
    "no-json": lambda f: (f / stored.MANIFEST).write_text("{"),
    "list": lambda f: (f / stored.MANIFEST).write_text("[1]"),
    "nested": lambda f: (f / stored.MANIFEST).write_text("[" * 200_000),
    "version": lambda f: edit(f, version=2),
    "nodes": lambda f: edit(f, nodes=10**18),
    "negative": lambda f: edit(f, entries=-1),
    "bool": lambda f: edit(f, nodes=True),
    "volume": lambda f: edit(f, volume="large"),
    "outside": lambda f: edit(f, arrays={"../people": {"dtype": "<i8", "shape": [3]}}),
    "missing": lambda f: (f / "indices.npy").unlink(),
    "short": lambda f: (f / "indices.npy").write_bytes((f / "indices.npy").read_bytes()[:-40]),
    "empty": lambda f: (f / "indices.npy").write_bytes(b""),
    "rubbish": lambda f: (f / "indices.npy").write_bytes(b"rubbish" * 90),
    "pickle": lambda f: np.save(f / "degrees.npy", np.array([{}, []], dtype=object), allow_pickle=True),
    "dtype": lambda f: np.save(f / "indices.npy", np.load(f / "indices.npy").astype(np.int64)),
    "huge": (
        lambda f: (f / "indices.npy").write_bytes(
            (f / "indices.npy").read_bytes().replace(b"'shape': (", b"'shape': (9")
        )
    ),
    "columns": lambda f: np.save(f / "node_feat.npy", np.asfortranarray(np.load(f / "node_feat.npy"))),
}


@pytest.fixture
def folder(people):
    read = ReadOptions(weight="w", features=str(people / "features.npy"))
    write_graph(datasets.load(str(people / "people.csv"), read=read), people / "people.graph")
    return people / "people.graph"


def exit_code(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, words)))
    return stop.value.code, capsys.readouterr().err


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_folder_is_refused_when_it_is_opened(folder, damage, capsys):
    damage(folder)
    code, error = exit_code(["cluster", "local", folder, "--seeds", "p1", "--volume", "60", "-q"], capsys)
    assert code == 3 and error.startswith("graphkit: error: ") and error.count("\n") == 1 and "internal" not in error
    assert "pickle" not in error  # NumPy advises to load such files unsafely


ROWS = {
    "neighbour": ("indices", lambda a: a.__setitem__(slice(None), 2**30)),
    "below": ("indices", lambda a: a.__setitem__(slice(None), -5)),
    "start": ("indptr", lambda a: a.__setitem__(slice(1, None), 2**60)),
    "order": ("indptr", lambda a: a.__setitem__(slice(None), a[::-1].copy())),
    "negative": ("indptr", lambda a: a.__setitem__(slice(None), -a)),
    "weight": ("weights", lambda a: a.__setitem__(slice(None), np.nan)),
    "minus": ("weights", lambda a: a.__setitem__(slice(None), -1.0)),
    "degree": ("degrees", lambda a: a.__setitem__(slice(None), 0.0)),
}


@pytest.mark.parametrize(
    "method",
    ["flow", "pnorm-flow", "ppr-push", "heat-kernel", "weighted-flow", "weighted-ppr-push", "weighted-heat-kernel"],
)
@pytest.mark.parametrize("name, make", ROWS.values(), ids=ROWS)
def test_a_damaged_row_is_refused_where_it_is_read(folder, name, make, method, capsys):
    (folder.parent / "noisy.txt").write_text("p1\n")
    change(folder, name, make)
    noisy = ["--noisy", folder.parent / "noisy.txt"] if method.startswith("weighted") else []
    words = ["cluster", "local", folder, "--seeds", "p1", "--volume", "60", "--method", method, *noisy, "-q"]
    for _ in range(2):  # the first leaves nothing behind
        code, error = exit_code(words, capsys)
        assert code == 3 and "expected a sound row" in error and error.count("\n") == 1
    if name in ("indices", "indptr"):
        code, error = exit_code(["data", "info", folder], capsys)
        assert code == 3 and error.count("\n") == 1


def test_what_a_query_does_not_touch_is_not_read(tmp_path):
    """Two rings: damage to the rows of the one is none to a query in the other."""
    ring = [(k, (k + 1) % 50) for k in range(50)]
    (tmp_path / "g.csv").write_text("a,b\n" + "".join(f"{u},{v}\n{u + 50},{v + 50}\n" for u, v in ring))
    write_graph(datasets.load(str(tmp_path / "g.csv")), tmp_path / "g.graph")
    change(tmp_path / "g.graph", "indices", lambda a: a.__setitem__(slice(100, None), 10**9))
    graph = LocalGraph.of(datasets.load(str(tmp_path / "g.graph")))
    assert set(LocalClustering(volume=10).cluster(graph, np.array([7])).nodes.tolist()) <= set(range(50))
    with pytest.raises(DataError, match="expected a sound row"):
        LocalClustering(volume=10).cluster(graph, np.array([70]))


def test_a_stored_graph_is_described(tmp_path):
    from graphkit import datasets
    from graphkit.datasets import describe
    from graphkit.datasets.writers import graphs as writers

    path = tmp_path / "karate.graph"
    writers.write_graph(datasets.load("karate"), path)
    found = describe.describe(str(path))
    assert (found["nodes"], found["edges"], found["format"]) == (34, 78, "a stored graph") and str(path) in found["use"]
