"""Published forms by path: what other programs see in the same files, and what the catalogue reads under a name."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from graphkit import datasets
from graphkit.core.errors import DataError, UsageError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers import forms, graph6
from graphkit.io.blob import Blob

N = 30


def pairs_of(dataset):
    """Stored edges by the user's ids."""
    ids = dataset.ids().tolist()
    return {(ids[u], ids[v]) for u, v in zip(*(ends.tolist() for ends in dataset.graph.edges()))}


# What the catalogue has under a name
# ------------------------------------------------------------------------------------

SAME = {
    "minesweeper": "heterophilous/minesweeper.npz",
    "acm": "graphdata/acm.npz",
    "facebook100-reed98": "facebook100/Reed98.mat",
    "cora": "planetoid-cora",
    "mutag": "tu-gin/MUTAG",
    "enzymes-raw": "tu-raw/ENZYMES",
    "twitch-ptbr": "twitch-explicit/PTBR",
}


@pytest.mark.parametrize("name", SAME)
def test_a_path_gives_what_the_name_gives(use_tiny, name):
    if name == "cora":  # features by path are named differently, the data are not
        shutil.rmtree(use_tiny / "planetoid-cora/__pycache__", ignore_errors=True)
    task = "graph" if name in ("mutag", "enzymes-raw") else "node"
    split = {"twitch-ptbr": "random-0.5/0.2/0.3", "acm": "random-0.5/0.2/0.3"}.get(name)
    known = datasets.load(name, task=task, split=split)
    found = datasets.load(str(use_tiny / SAME[name]), task=task, split=split or known.split_name)
    if name == "twitch-ptbr":  # by name the features are as wide as in all languages together
        width = found.features.shape[1]
        assert (known.features[:, :width] == found.features).all() and not known.features[:, width:].any()
        known.graph.ndata["feat"] = known.features[:, :width]
    assert found.checksum() == known.checksum()
    assert forms.find(str(use_tiny / SAME[name])) is not None


@pytest.mark.data
@pytest.mark.parametrize(
    ("path", "nodes", "edges"),
    [
        ("heterophilous/texas_4_classes.npz", 183, 279),
        ("graphdata/polblogs.npz", 1490, 16715),
        ("graphdata/dblp.npz", 17716, 52867),
        ("facebook100/Reed98.mat", 962, 18812),
        ("planetoid-citeseer", 3327, 4552),
        ("tu-gin/MUTAG/MUTAG.txt", 3371, 3721),
        ("tu-raw/ENZYMES", 19580, 37282),
        ("twitch-explicit/RU", 4385, 37304),
        ("sr-graphs/sr291467.g6", 41 * 29, 41 * 203),
        ("ogbl_ddi", 4267, 1067911),
    ],
)
def test_real_files_have_their_published_sizes(path, nodes, edges):
    from graphkit.datasets.sources import folders

    place = folders.find(path)
    if place is None:
        pytest.skip(f"GRAPHKIT_DATA lacks {path}")
    facts = datasets.info(str(place))
    assert (facts["nodes"], facts["edges"]) == (nodes, edges)


def test_files_of_a_tu_folder_that_are_not_read_are_said(use_tiny, tmp_path):
    folder = shutil.copytree(use_tiny / "tu-raw/ENZYMES", tmp_path / "ENZYMES")
    assert datasets.load(str(folder)).reading == ()
    (folder / "ENZYMES_edge_labels.txt").write_text("0\n" * 80)
    assert datasets.load(str(folder)).reading == ("ENZYMES: not read: ENZYMES_edge_labels.txt",)


# npz ------------------------------------------------------------------------------------------------------------------


def heterophilous(path, edges, n=N):
    masks = np.zeros((3, 2, n), dtype=bool)
    masks[0, :, :10] = masks[1, :, 10:20] = masks[2, :, 20:] = True
    np.savez(
        path,
        node_features=np.eye(n, dtype=np.float32),
        node_labels=np.arange(n) % 2,
        edges=np.array(edges),
        train_masks=masks[0],
        val_masks=masks[1],
        test_masks=masks[2],
    )
    return str(path)


def test_directions_of_a_heterophilous_file_are_kept_or_reported(tmp_path):
    ring = [(k, (k + 1) % N) for k in range(N)]
    path = heterophilous(tmp_path / "web.npz", [*ring, (1, 0), (5, 4)])
    found = datasets.load(path)
    assert found.reading == (
        f"{path}: its edges have directions (4 of 32 have their reverse too); read as undirected; "
        "--directed keeps directions",
    )
    assert pairs_of(found) == {*ring, *((v, u) for u, v in ring)}
    kept = datasets.load(path, read=ReadOptions(directed=True))
    assert kept.directed and not kept.reading and pairs_of(kept) == {*ring, (1, 0), (5, 4)}
    with pytest.raises(DataError, match="refused by --strict"):
        datasets.load(path, strict=True)
    for stored in ([(min(e), max(e)) for e in ring], [*ring, *((v, u) for u, v in ring)]):
        undirected = datasets.load(heterophilous(tmp_path / "plain.npz", stored))
        assert not undirected.reading and pairs_of(undirected) == {*ring, *((v, u) for u, v in ring)}


def test_what_npz_graphs_drop_is_counted(tmp_path):
    path = heterophilous(tmp_path / "a.npz", [(0, 1), (0, 1), (2, 2), (1, 3)])
    assert datasets.load(path).reading == (f"{path}: 1 self-loop dropped", f"{path}: 1 repeated edge dropped")
    matrix = sp.csr_matrix(([2.0, 1.0, 0.5], ([0, 1, 2], [1, 0, 3])), shape=(4, 4), dtype=np.float32)
    np.savez(tmp_path / "b.npz", adj_matrix=np.array(matrix, dtype=object), node_label=np.array([0, 1, 0, 1]))
    found = datasets.load(str(tmp_path / "b.npz"))
    assert [line.split(": ")[1] for line in found.reading] == [
        "2 of 3 entries are not 1; read as edges without weight",
        "1 of 3 edges have no reverse; read as undirected, --directed keeps directions",
    ]
    assert pairs_of(datasets.load(str(tmp_path / "b.npz"), read=ReadOptions(directed=True))) == {(0, 1), (1, 0), (2, 3)}


def test_gnn_benchmark(tmp_path):
    graph = nx.gnp_random_graph(20, 0.3, seed=1)
    adjacency, features = (
        nx.to_scipy_sparse_array(graph, format="csr"),
        sp.random(20, 7, 0.3, format="csr", random_state=0),
    )
    parts = {
        f"{stem}_{part}": np.asarray(getattr(matrix, part))
        for stem, matrix in (("adj", adjacency), ("attr", features))
        for part in ("data", "indices", "indptr", "shape")
    }
    np.savez(tmp_path / "photo.npz", **parts, labels=np.arange(20) % 3 + 1)
    found = datasets.load(str(tmp_path / "photo.npz"))
    assert pairs_of(found) == set(graph.to_directed().edges)
    np.testing.assert_allclose(found.features.numpy(), features.toarray(), rtol=1e-6)
    assert found.labels.tolist() == [k % 3 for k in range(20)] and found.class_names == ["1", "2", "3"]


# graph6 ---------------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(n=st.integers(1, 130), share=st.floats(0, 1), seed=st.integers(0, 9))
def test_graph6_and_sparse6_are_those_of_networkx(n, share, seed):
    graph = nx.gnp_random_graph(n, share**2, seed=seed)
    for text in (nx.to_graph6_bytes(graph, header=False), nx.to_sparse6_bytes(graph, header=False)):
        src, dst, nodes, directed = graph6.decoded(Blob("g", b""), 1, text.strip())
        assert (nodes, directed, len(src)) == (n, False, graph.number_of_edges())
        assert {frozenset(pair) for pair in zip(src.tolist(), dst.tolist())} == {
            frozenset(pair) for pair in graph.edges
        }


def test_files_of_graph6(tmp_path):
    graphs = [nx.cycle_graph(5), nx.petersen_graph(), nx.star_graph(70)]
    path = tmp_path / "three.g6"
    path.write_bytes(
        b"".join(nx.to_graph6_bytes(graph) for graph in graphs[:2]) + nx.to_sparse6_bytes(graphs[2], header=False)
    )
    found = datasets.load(str(path))
    assert found.name == "three" and [graph.num_nodes() for graph in found.graphs] == [5, 10, 71]
    assert [graph.num_edges() for graph in found.graphs] == [10, 30, 140]
    nx.write_sparse6(graphs[1], tmp_path / "one.txt")  # known by its header
    one = datasets.load(str(tmp_path / "one.txt"))
    assert pairs_of(one) == set(graphs[1].to_directed().edges)
    assert len(datasets.load(str(tmp_path / "one.txt"), many=True).graphs) == 1
    (tmp_path / "d.d6").write_bytes(b"&BP_\n")  # McKay's own format document has digraph6 by rows: 0 -> 2, 1 -> 0 ...
    bits = [1 if (ord("P") - 63) >> (5 - k) & 1 else 0 for k in range(6)] + [
        1 if (ord("_") - 63) >> (5 - k) & 1 else 0 for k in range(3)
    ]
    expected = {(k // 3, k % 3) for k, bit in enumerate(bits) if bit}
    directed = datasets.load(str(tmp_path / "d.d6"), read=ReadOptions(directed=True))
    assert pairs_of(directed) == expected
    assert "read as undirected" in datasets.load(str(tmp_path / "d.d6")).reading[0]


# Triples --------------------------------------------------------------------------------------------------------------

TRIPLES = {
    "train": [("a", "likes", "b"), ("b", "knows", "a"), ("b", "likes", "c"), ("d", "is", "d"), ("e", "likes", "f")],
    "valid": [("a", "is", "b"), ("c", "is", "d")],
    "test": [("d", "likes", "c"), ("a", "is", "e")],
}


def triple_text(part):
    return "".join("\t".join(row) + "\n" for row in TRIPLES[part])


def test_triples_of_a_folder_and_an_archive(tmp_path):
    folder = tmp_path / "umls"
    folder.mkdir()
    with tarfile.open(tmp_path / "umls.tar.gz", "w:gz") as archive:
        for part in TRIPLES:
            (folder / f"{part}.txt").write_text(triple_text(part))
            archive.add(folder / f"{part}.txt", f"umls/{part}.txt")
    for path in (folder, tmp_path / "umls.tar.gz"):
        found = datasets.load(str(path), task="link")
        assert found.name == "umls" and found.ids().tolist() == list("abcdef")
        assert pairs_of(found) == {(u, v) for a, _, b in TRIPLES["train"] if a != b for u, v in ((a, b), (b, a))}
        named = [
            [(found.ids()[u], found.ids()[v]) for u, v in part.pos.tolist()]
            for part in (found.split.valid, found.split.test)
        ]
        assert named == [[("c", "d")], [("a", "e")]]
        negatives = np.concatenate([found.split.valid.neg, found.split.test.neg])
        every = {frozenset((a, b)) for rows in TRIPLES.values() for a, _, b in rows}
        assert len(negatives) == 2 and not any(
            frozenset((found.ids()[u], found.ids()[v])) in every for u, v in negatives
        )
        said = " ".join(line.split(": ", 1)[1] for line in found.reading)
        assert (
            "the 3 relations of the triples are not used" in said
            and "1 triples of a pair that is there already are merged" in said
        )
        assert "1 of 2 valid pairs are joined by an earlier part" in said and "1 of 2 test pairs" in said
        directed = datasets.load(str(path), read=ReadOptions(directed=True))
        assert pairs_of(directed) == {(a, b) for a, _, b in TRIPLES["train"] if a != b}


# MUSAE ----------------------------------------------------------------------------------------------------------------


def musae(folder, targets, stem="musae_git", edges="id_1,id_2\n0,1\n1,2\n2,2\n", features=None):
    folder.mkdir(exist_ok=True)
    (folder / f"{stem}_edges.csv").write_text(edges)
    (folder / f"{stem}_target.csv").write_text(targets)
    if features is not None:
        (folder / f"{stem}_features.json").write_text(json.dumps(features))
    return str(folder)


def test_musae_folder(tmp_path):
    path = musae(
        tmp_path / "git", "id,name,ml_target\n1,b,0\n0,a,1\n2,c,0\n2,c,0\n", features={"0": [3, 0], "2": [1, 1]}
    )
    found = datasets.load(path, task=None)
    assert found.labels.tolist() == [1, 0, 0] and found.class_names == ["0", "1"]
    assert found.features.tolist() == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]]
    assert [line.split(": ", 1)[1] for line in found.reading] == [
        "1 row that repeat another one: dropped",
        "1 self-loop dropped",
        "column 'ml_target' is the label; not read: name",
    ]
    for text, said in {
        "id,ml_target\n0,1\n1,0\n1,1\n2,0\n": "line 4: node 1 is there before with other values",
        "id,ml_target\n0,1\n1,0\n3,0\n": "found id 3, expected 0..2",
        "node,y\n0,1\n": "found the columns node, y, expected new_id or id",
        "id,ml_target\n0,1,5\n": "line 2: found another number of columns",
        "id,ml_target\nx,1\n": "found id 'x', expected a node number",
    }.items():
        with pytest.raises(DataError, match=said):
            datasets.load(musae(tmp_path / "git", text))


def test_twitch_rows_that_repeat_make_no_nodes(use_tiny, tmp_path, monkeypatch):
    stem = "twitch-explicit/PTBR/musae_PTBR_target.csv"
    rows = (use_tiny / stem).read_text().splitlines(keepends=True)
    (tmp_path / stem).parent.mkdir(parents=True)
    (tmp_path / stem).write_text("".join([*rows, rows[3], rows[7]]))
    whole = datasets.load("twitch-ptbr")
    monkeypatch.setenv("GRAPHKIT_DATA", f"{tmp_path}{os.pathsep}{use_tiny}")
    found = datasets.load("twitch-ptbr")
    assert (found.num_nodes, found.labels.tolist()) == (30, whole.labels.tolist())
    assert found.reading[0].endswith("2 rows that repeat another one: dropped")
    (tmp_path / stem).write_text(
        "".join(
            [
                *rows,
                rows[3].replace("False", "True")
                if "False" in rows[3].split(",")[2]
                else rows[3].replace("True", "False", 1),
            ]
        )
    )
    with pytest.raises(DataError, match="line 32: node 27 is there before with other values"):
        datasets.load("twitch-ptbr")


# Molecules ------------------------------------------------------------------------------------------------------------

pytest_rdkit = pytest.mark.skipif(not __import__("importlib.util").util.find_spec("rdkit"), reason="needs rdkit")
ROWS = [("CCO", "0.5", "alcohol"), ("c1ccccc1", "", "ring"), ("C", "-1.25", "alcohol"), ("CC=O", "2", "ring")]


@pytest_rdkit
def test_smiles_tables(tmp_path, monkeypatch):
    from rdkit import Chem

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "mols.csv"
    path.write_text(
        "name,smiles,logp,kind\n" + "".join(f'"m,{k}",{row[0]},{row[1]},{row[2]}\n' for k, row in enumerate(ROWS))
    )
    found = datasets.load(str(path), task="graph", split="random-0.34/0.34/0.32")
    atoms = [Chem.MolFromSmiles(row[0]).GetNumAtoms() for row in ROWS]
    assert [graph.num_nodes() for graph in found.graphs] == atoms
    np.testing.assert_array_equal(found.graph_labels.numpy().ravel(), np.array([0.5, np.nan, -1.25, 2], np.float32))
    assert found.metric == "mae" and "column 'logp' is read as the target" in found.reading[0]
    words = datasets.load(str(path), task=None, read=ReadOptions(columns="smiles,kind"))
    assert (words.graph_labels.tolist(), words.class_names, words.reading) == ([0, 1, 0, 1], ["alcohol", "ring"], ())
    smi = tmp_path / "mols.smi"
    smi.write_text("".join(f"{row[0]} molecule {k}\n" for k, row in enumerate(ROWS)))
    assert [graph.num_edges() for graph in datasets.load(str(smi)).graphs] == [
        2 * Chem.MolFromSmiles(row[0]).GetNumBonds() for row in ROWS
    ]
    path.write_text("SMILES\ty\tz\nCCO\t[0, 1]\t3\nC\t\t4\n")
    lists = datasets.load(str(path), read=ReadOptions(columns="SMILES,y"))
    np.testing.assert_array_equal(lists.graph_labels.numpy(), np.array([[0, 1], [np.nan] * 2], np.float32))


@pytest_rdkit
@pytest.mark.data
@pytest.mark.slow
def test_real_molecules_by_path(tmp_path, monkeypatch):
    import pandas

    from graphkit.datasets.sources import folders

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = folders.find("molnet-esol/delaney-processed.csv")
    if place is None:
        pytest.skip("GRAPHKIT_DATA lacks molnet-esol")
    target = "measured log solubility in mols per litre"
    found = datasets.load(str(place), read=ReadOptions(columns=f"smiles,{target}"), task="graph")
    np.testing.assert_array_equal(
        found.graph_labels.numpy().ravel(), pandas.read_csv(place)[target].to_numpy(np.float32)
    )


def test_info_says_what_was_found_and_what_to_run(use_tiny, tmp_path):
    for name, (says, use) in {
        "heterophilous/minesweeper.npz": ("a graph in the form of the heterophilous benchmark", "train gcn"),
        "tu-raw/ENZYMES": ("a set of graphs in TUDataset's raw form", "train gin"),
        "seal-links/USAir.mat": ("a mat file", "train ncn"),
    }.items():
        found = datasets.info(str(use_tiny / name))
        assert (found["format"], found["use"]) == (says, f"graphkit {use} --dataset {use_tiny / name}")
    (tmp_path / "my g.csv").write_text("0,1,5\n1,2,6\n2,3,7\n3,0,8\n")
    found = datasets.info(str(tmp_path / "my g.csv"), read=ReadOptions(weight="2", directed=True))
    assert found["format"] == "an edge list"
    assert found["use"] == f"graphkit train ncn --dataset '{tmp_path / 'my g.csv'}' --directed --weight 2"
    assert "format" not in datasets.info("karate")


# Options and hostile files
# ---------------------------------------------------------------------------------------------


def test_options_that_a_form_does_not_take_are_wrong_usage(use_tiny):
    with pytest.raises(
        UsageError, match="--labels: found with .*minesweeper.npz, which is a graph in the form of the heterophilous"
    ):
        datasets.load(str(use_tiny / SAME["minesweeper"]), read=ReadOptions(labels="y.csv"))


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def tar(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{name}.txt")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


HOSTILE = {
    "graph6 character": ("a.g6", "C~\nD \x01?\n", "line 2: the character"),
    "graph6 too short": ("a.g6", "Z~\n", "line 1: 1 characters for 27 nodes, expected 59"),
    "graph6 without a size": ("a.g6", "~~?\n", "line 1: ends before its number of nodes"),
    "sparse6 of 2^36 nodes": ("a.s6", ":~~~~~~~~?\n", "68719476735 nodes in 1 characters, expected at most"),
    "graph6 without edges": ("a.g6", "C?\n", "no edges, expected a graph"),
    "incremental": ("a.s6", ":An\n;Bn\n", "line 2: incremental sparse6"),
    "tar of rubbish": ("a.tar.gz", gzip.compress(b"rubbish" * 100), "not a readable tar archive"),
    "tar cut off": (
        "a.tar.gz",
        tar(train="a\tr\tb\n" * 3000, valid="a\tr\tc\n", test="a\tr\td\n")[:150],
        "truncated gzip",
    ),
    "tar without parts": ("a.tar.gz", tar(train="a\tr\tb\n"), "holds no valid.txt, expected train.txt"),
    "triples of two columns": (
        "a.tar.gz",
        tar(train="a\tr\tb\na\tb\n", valid="a\tr\tc\n", test="a\tr\td\n"),
        "line 2: found 2 columns",
    ),
    "no held-out pair": (
        "a.tar.gz",
        tar(train="a\tr\tb\n", valid="a\ts\tb\n", test="a\tr\td\n"),
        "no valid pair is left",
    ),
    "smiles of another width": ("a.csv", "smiles,y\nC,1\nCC,2,3\n", "line 3: found 3 columns, expected 2"),
    "smiles empty": ("a.csv", "smiles,y\nC,1\n,2\n", "line 3: no SMILES"),
    "smiles without rows": ("a.csv", "smiles,y\n\n", "no molecules below the header"),
    "smiles infinite": ("a.csv", "smiles,y\nC,1\nCC,inf\n", "line 3: target 'inf' in 'y', expected a finite number"),
    "npz members": ("a.npz", None, "found edges"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_end_in_one_line(tmp_path, case, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    name, content, said = HOSTILE[case]
    if content is None:
        path = tmp_path / name
        heterophilous(path, [(0, 1, 2)])
        said = r"found edges \(1, 3\)"
    else:
        path = put(tmp_path, name, content)
    with pytest.raises(DataError, match=said) as problem:
        datasets.load(str(path))
    assert "\n" not in str(problem.value) and Path(path).name in str(problem.value)
