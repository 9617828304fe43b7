"""Molecules from SMILES: against counts that chemistry gives, and the cache."""

import gzip
import importlib.util
import os
import pickle

import numpy as np
import pytest
import torch

from graphkit import datasets
from graphkit.core.errors import DataError, MissingExtraError
from graphkit.datasets import describe
from graphkit.datasets.readers import smiles_cache
from graphkit.datasets.sources import folders

HAS_RDKIT = importlib.util.find_spec("rdkit") is not None
needs_rdkit = pytest.mark.skipif(not HAS_RDKIT, reason="RDKit is not installed (extra mol)")
MOLECULES = ["CCO", "c1ccccc1", "C", "CC(=O)O", "C1CCCCCCC1", "N#N", "C/C=C/C", "CC(C)(C)C", "OCC(O)CO", "c1ccncc1"]
BEFORE = dict(os.environ)  # the fixture below replaces the data folder and the cache
FIVE_BONDS, NONSENSE = "CC(C)(C)(C)C", "not a molecule"


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """A data folder with ten molecules in the form of every set, and an empty cache."""
    root = tmp_path / "data"
    monkeypatch.setenv("GRAPHKIT_DATA", str(root))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = {
        "ogbg-molhiv/HIV.csv": "smiles,activity,HIV_active\n"
        + "".join(f"{text},CI,{k % 2}\n" for k, text in enumerate([*MOLECULES[:3], *MOLECULES])),
        "molnet-esol/delaney-processed.csv": "Compound ID,measured log solubility in mols per litre,smiles\n"
        + "".join(f"x{k},{k / 2 - 2.25},{text} \n" for k, text in enumerate(MOLECULES)),
        "zinc-partial/zinc250k_valid.smi": "".join(f"{text}\n" for text in MOLECULES),
        "zinc-partial/zinc250k_test.smi": "".join(f"{text}\n" for text in ("CCCO", "CCN", "c1ccccc1O", "CCCCC")),
        "zinc-partial/val.index": "9,2",
        "zinc-partial/test.index": "1,3",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "ogbg-molhiv/split_scaffold_rebuilt").mkdir()
    for part, ids in zip(("train", "valid", "test"), np.split(np.arange(10), [6, 8])):
        write_gz(root / f"ogbg-molhiv/split_scaffold_rebuilt/{part}.csv.gz", "".join(f"{k}\n" for k in ids))
    (root / "peptides-func").mkdir()
    rows = [f'{k},{text},AB,"{[int(j == k) for j in range(10)]}",{k}\n' for k, text in enumerate(MOLECULES)]
    write_gz(
        root / "peptides-func/peptide_multi_class_dataset.csv.gz",
        ",smiles,peptide_seq,labels,identifier\n" + "".join(rows),
    )
    parts = {"train": np.arange(6), "val": np.array([7, 6]), "test": np.array([8, 9])}
    (root / "peptides-func/splits_random_stratified_peptide.pickle").write_bytes(pickle.dumps(parts))
    return root


def write_gz(path, text):
    with gzip.open(path, "wt") as file:
        file.write(text)


def undirected(graph):
    src, dst = (ends.tolist() for ends in graph.edges())
    assert sorted(zip(src, dst)) == sorted(zip(dst, src))
    return sorted((u, v) for u, v in zip(src, dst) if u < v)


# The columns of OGB: atomic number - 1, chirality, degree with hydrogens, charge + 5, hydrogens, radicals,
# hybridisation (0 SP, 1 SP2, 2 SP3), aromatic, in ring; bonds: type (0 single, 1 double, 2 triple, 3 aromatic), stereo,
# conjugated.
@needs_rdkit
def test_ethanol_and_benzene_are_what_chemistry_says():
    ethanol, benzene = datasets.load("ogbg-molhiv").graphs[:2]
    assert undirected(ethanol) == [(0, 1), (1, 2)]
    assert ethanol.ndata["feat"].tolist() == [
        [5, 0, 4, 5, 3, 0, 2, 0, 0],
        [5, 0, 4, 5, 2, 0, 2, 0, 0],
        [7, 0, 2, 5, 1, 0, 2, 0, 0],
    ]
    assert ethanol.edata["feat"].tolist() == [[0, 0, 0]] * 4
    assert len(undirected(benzene)) == 6 and (benzene.in_degrees() == 2).all()
    assert benzene.ndata["feat"].tolist() == [[5, 0, 3, 5, 1, 0, 1, 1, 1]] * 6
    assert benzene.edata["feat"].tolist() == [[3, 0, 1]] * 12
    assert ethanol.ndata["feat"].dtype == ethanol.edata["feat"].dtype == torch.int64


@needs_rdkit
def test_heavy_atoms_and_bonds():
    graphs = datasets.load("esol").graphs
    assert [graph.num_nodes() for graph in graphs] == [3, 6, 1, 4, 8, 2, 4, 5, 6, 6]
    assert [len(undirected(graph)) for graph in graphs] == [2, 6, 0, 3, 8, 1, 3, 4, 5, 6]
    assert graphs[2].edata["feat"].shape == (0, 3)
    assert graphs[5].edata["feat"][0, 0] == 2 and graphs[6].edata["feat"][:, 0].tolist().count(1) == 2


@needs_rdkit
def test_molhiv_drops_repeated_smiles_and_keeps_order():
    dataset = datasets.load("ogbg-molhiv", task="graph")
    assert len(dataset.graphs) == 10 and dataset.graph_labels.tolist() == [[k % 2] for k in (0, 1, 2, *range(6, 13))]
    assert (dataset.ogb_name, dataset.metric, dataset.split_name) == ("ogbg-molhiv", "rocauc", "scaffold")
    assert dataset.split.test.tolist() == [8, 9] and dataset.for_seed(3) is dataset


@needs_rdkit
def test_peptides():
    dataset = datasets.load("peptides-func", task="graph")
    assert torch.equal(dataset.graph_labels, torch.eye(10)) and dataset.metric == "ap"
    assert dataset.split.valid.tolist() == [7, 6] and dataset.split_name == "stratified"


@needs_rdkit
def test_esol_is_drawn_by_seed():
    dataset = datasets.load("esol", task="graph")
    assert dataset.metric == "rmse" and [len(part) for part in vars(dataset.split).values()] == [8, 1, 1]
    assert dataset.graph_labels[:, 0].tolist() == [k / 2 - 2.25 for k in range(10)]
    assert not np.array_equal(dataset.split.train, dataset.for_seed(1).split.train)


@needs_rdkit
def test_zinc_standardises_over_the_training_molecules():
    from rdkit import Chem
    from rdkit.Chem import Crippen

    dataset = datasets.load("zinc-partial", task="graph")
    train = dataset.split.train
    assert dataset.metric == "mae" and [len(part) for part in vars(dataset.split).values()] == [8, 2, 2]
    assert datasets.load("zinc-partial", task="graph", split="partial-4k").split.train.tolist() == train.tolist()
    assert abs(float(dataset.graph_labels[train].mean())) < 1e-6
    sizes = [dataset.graphs[k].num_nodes() for k in (*dataset.split.valid, *dataset.split.test)]
    assert sizes == [6, 1, 3, 5]  # pyridine and methane, then ethylamine and pentane: lines 9, 2 and 1, 3
    # of two molecules that differ in nothing else, the target tells logP and SA score apart from the ring of eight
    values = smiles_cache.molecules("x", MOLECULES, ("logp", "synthetic_accessibility", "long_cycle")).values
    assert values[:, 2].tolist() == [2.0 if text == "C1CCCCCCC1" else 0.0 for text in MOLECULES]
    assert values[0, 0] == Crippen.MolLogP(Chem.MolFromSmiles("CCO")) and (np.abs(values[:, 1] - 5.5) <= 4.5).all()
    left = [k for k in range(10) if k not in (9, 2)]
    scores = (values - values[left].mean(0)) / values[left].std(0)
    expected = (scores[:, 0] - scores[:, 1] - scores[:, 2])[left]
    assert np.allclose(dataset.graph_labels[train, 0].numpy(), expected, atol=1e-5)


@needs_rdkit
def test_refused_molecules_are_kept_and_counted_in_one_line(caplog):
    found = smiles_cache.molecules("odd", ["CCO", FIVE_BONDS, NONSENSE, ""])
    assert [smiles_cache.STATES[k] for k in found.state] == ["accepted", "unsanitised", "placeholder", "placeholder"]
    graphs = found.graphs()
    assert [graph.num_nodes() for graph in graphs] == [3, 6, 1, 1] and [graph.num_edges() for graph in graphs] == [
        4,
        10,
        0,
        0,
    ]
    assert graphs[1].ndata["feat"][1].tolist()[:5] == [5, 0, 5, 5, 0]  # five neighbours, no hydrogen
    lines = [record.message for record in caplog.records]
    assert (
        len(lines) == 1
        and "refuses 3 of 4 molecules; kept: 1 without the check of valences, 2 as one placeholder" in lines[0]
    )


@needs_rdkit
def test_workers_give_the_same_arrays(monkeypatch):
    many = MOLECULES * 3
    alone = smiles_cache._parse_all("x", many, ("logp",))
    monkeypatch.setattr(smiles_cache, "BLOCK", 4)
    monkeypatch.setattr(smiles_cache, "SERIAL", 0)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        together = smiles_cache._parse_all("x", many, ("logp",))
    finally:
        torch.set_num_threads(threads)
    assert all(np.array_equal(a, b) for a, b in zip(vars(alone).values(), vars(together).values()))


@needs_rdkit
def test_the_cache_is_used_and_holds_the_same(monkeypatch):
    first = datasets.load("zinc-partial", task="graph")
    (path,) = (folders.cache_folder() / "molecules").iterdir()
    assert path.suffix == ".npz" and not any(
        array.dtype == object for array in np.load(path, allow_pickle=False).values()
    )
    monkeypatch.setattr(smiles_cache, "parse", lambda *_: pytest.fail("parsed again"))
    assert datasets.load("zinc-partial", task="graph").checksum() == first.checksum()


@needs_rdkit
@pytest.mark.parametrize("damage", ["cut", "text", "category", "edge", "sizes", "missing"])
def test_a_damaged_cache_is_made_anew(damage, caplog):
    first = datasets.load("esol").checksum()
    (path,) = (folders.cache_folder() / "molecules").iterdir()
    whole = path.read_bytes()
    if damage in ("cut", "text"):
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"nothing")
    else:
        members = dict(np.load(path))
        if damage == "category":
            members["atom_feat"][0, 8] = 2
        elif damage == "edge":
            members["edges"][0, 0] = 3
        elif damage == "sizes":
            members["atoms"][:2] += np.array([1, -1], dtype=np.int32)
        else:
            del members["state"]
        np.savez(path, **members)
    assert datasets.load("esol").checksum() == first
    assert "making it anew" in caplog.text and path.read_bytes() == whole


@needs_rdkit
def test_an_unwritable_cache_is_done_without(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(datasets.load("esol").graphs) == 10 and "cannot be written" in caplog.text


@needs_rdkit
def test_other_smiles_have_another_cache(data):
    datasets.load("esol")
    path = data / "molnet-esol/delaney-processed.csv"
    path.write_text(path.read_text().replace(",CCO ", ",CCCO "))
    assert datasets.load("esol").graphs[0].num_nodes() == 4
    assert len(list((folders.cache_folder() / "molecules").iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        ("ogbg-molhiv", "ogbg-molhiv/HIV.csv", "CCO,CI,0", "CCO,CI,2", "line 2: found the label '2', expected 0 or 1"),
        ("ogbg-molhiv", "ogbg-molhiv/HIV.csv", "N#N,CI", "N#N", "line 10: found 2 values, expected 3"),
        ("ogbg-molhiv", "ogbg-molhiv/HIV.csv", "N#N,CI", ",CI", "line 10: found no 'smiles'"),
        ("ogbg-molhiv", "ogbg-molhiv/HIV.csv", "CCO,CI,0", "CCO,CI,0,4,5", "line 2: found 5 values, expected 3"),
        ("ogbg-molhiv", "ogbg-molhiv/HIV.csv", "smiles,", "text,", "no column smiles"),
        ("esol", "molnet-esol/delaney-processed.csv", "-2.25", "solid", "line 2: found 'solid', expected a number"),
        ("esol", "molnet-esol/delaney-processed.csv", "-2.25", "nan", "line 2: found 'nan', expected a number"),
        ("zinc-partial", "zinc-partial/zinc250k_valid.smi", "N#N\n", "\n", "line 6: found an empty line"),
        ("zinc-partial", "zinc-partial/val.index", "9", "10", "line of zinc250k_valid.smi 10, expected 0..9"),
        ("zinc-partial", "zinc-partial/val.index", "9", "x", "cannot be read as numbers separated by commas"),
    ],
)
def test_malformed_lines_are_named(data, name, file, old, new, message):
    text = (data / file).read_text()
    assert old in text
    (data / file).write_text(text.replace(old, new))
    with pytest.raises(DataError) as problem:
        datasets.load(name)
    assert message in str(problem.value) and str(data / file) in str(problem.value) and "\n" not in str(problem.value)


def test_malformed_labels_and_splits(data):
    path = data / "peptides-func/peptide_multi_class_dataset.csv.gz"
    write_gz(path, ',smiles,peptide_seq,labels,identifier\n0,C,A,"[0, 1]",0\n')
    with pytest.raises(DataError, match=r"line 2: found the labels '\[0, 1\]', expected a list of 10"):
        datasets.load("peptides-func")
    write_gz(data / "ogbg-molhiv/split_scaffold_rebuilt/test.csv.gz", "10\n")
    with pytest.raises(DataError, match=r"molecule 10, expected 0\.\.9"):
        datasets.load("ogbg-molhiv")
    path = data / "peptides-func/splits_random_stratified_peptide.pickle"
    path.write_bytes(pickle.dumps({"train": pytest.raises}))
    write_gz(
        data / "peptides-func/peptide_multi_class_dataset.csv.gz",
        f',smiles,peptide_seq,labels,identifier\n0,C,A,"{[0] * 10}",0\n',
    )
    with pytest.raises(DataError, match="is refused"):
        datasets.load("peptides-func")


@needs_rdkit
def test_parts_that_meet_are_refused(data):
    write_gz(data / "ogbg-molhiv/split_scaffold_rebuilt/test.csv.gz", "8\n0\n")
    with pytest.raises(DataError, match="a molecule in two parts"):
        datasets.load("ogbg-molhiv")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ogbg-molhiv", "ogbg-molhiv/HIV.csv"),
        ("ogbg-molhiv", "ogbg-molhiv/split_scaffold_rebuilt/valid.csv.gz"),
        ("esol", "molnet-esol/delaney-processed.csv"),
        ("peptides-func", "peptides-func/splits_random_stratified_peptide.pickle"),
        ("zinc-partial", "zinc-partial/test.index"),
    ],
)
def test_absent_files_say_where_to_put_them(data, name, file):
    (data / file).unlink()
    with pytest.raises(DataError) as problem:
        datasets.load(name)
    wanted = "ogbg_molhiv" if file.endswith("HIV.csv") else file
    assert f"{wanted} not found; expected it below {data}" in str(problem.value)
    assert f"graphkit data fetch {name}" in str(problem.value)


@pytest.mark.parametrize("name", ["ogbg-molhiv", "esol", "peptides-func", "zinc-partial"])
def test_without_rdkit_the_message_says_how_to_get_it(name, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda word, *rest: None if word == "rdkit" else find(word, *rest))
    with pytest.raises(MissingExtraError, match=rf"data set '{name}' needs rdkit, .* pip install 'graphkit\[mol\]'"):
        datasets.load(name)


def test_ogbs_own_folder_comes_first_and_keeps_categories(data):
    root = data / "ogbg_molhiv"
    (root / "raw").mkdir(parents=True)
    (root / "split/scaffold").mkdir(parents=True)
    tables = {
        "edge": "0,1\n0,1\n0,1\n",
        "num-node-list": "2\n2\n2\n",
        "num-edge-list": "1\n1\n1\n",
        "graph-label": "0\n1\n0\n",
        "node-feat": "5,0,4,5,3,0,2,0,0\n" * 6,
        "edge-feat": "0,0,0\n1,0,0\n2,0,1\n",
    }
    for name, text in tables.items():
        write_gz(root / f"raw/{name}.csv.gz", text)
    for k, part in enumerate(("train", "valid", "test")):
        write_gz(root / f"split/scaffold/{part}.csv.gz", f"{k}\n")
    dataset = datasets.load("ogbg-molhiv", task="graph")
    assert len(dataset.graphs) == 3 and dataset.ogb_name == "ogbg-molhiv" and dataset.source.version == "OGB"
    graph = dataset.graphs[2]
    assert graph.ndata["feat"].dtype == graph.edata["feat"].dtype == torch.int64
    assert (
        graph.ndata["feat"][1].tolist() == [5, 0, 4, 5, 3, 0, 2, 0, 0]
        and graph.edata["feat"].tolist() == [[2, 0, 1]] * 2
    )


@needs_rdkit
def test_info(data):
    report = datasets.info("ogbg-molhiv")
    assert (report["graphs"], report["features"], report["edge_features"], report["targets"]) == (10, 9, 3, 1)
    assert report["feature_kind"] == "categories" and report["tasks"]["graph"]["metric"] == "rocauc"
    assert report["tasks"]["graph"]["sizes"] == {"train": 6, "valid": 2, "test": 2}
    assert datasets.info("zinc-partial")["notes"].startswith("Not ZINC-12k")


# Molecules, positives, mean atoms and mean bonds: OGB's table (molhiv), LRGB's (307.30 directed bonds), the files'
# lines.
REAL = {
    "ogbg-molhiv": (41127, [1232, 81, 130], 25.5, 27.5),
    "peptides-func": (15535, None, 150.9, 153.7),
    "esol": (1128, None, 13.3, 13.7),
    "zinc-partial": (25445, None, 23.1, 24.9),
}


@needs_rdkit
@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_counts_of_the_real_files(name, real, monkeypatch):
    for variable in ("GRAPHKIT_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
        if variable in BEFORE:
            monkeypatch.setenv(variable, BEFORE[variable])
    dataset = real(name, task="graph")
    count, positives, atoms, bonds = REAL[name]
    report = describe.facts(dataset)
    assert report["graphs"] == count
    assert (round(report["mean_nodes"], 1), round(report["mean_edges"], 1)) == (atoms, bonds)
    parts = [np.asarray(part) for part in vars(dataset.split).values()]
    assert len(np.unique(np.concatenate(parts))) == sum(map(len, parts))
    if positives:
        assert [int(dataset.graph_labels[part].sum()) for part in parts] == positives
