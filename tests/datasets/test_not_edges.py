"""What is no edge list is refused by what it is; what is guessed is said, and refused under --strict."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pandas
import pytest

from graphkit import datasets
from graphkit.core.errors import DataError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.sources import folders

rng = np.random.default_rng(0)
TEXT = "the quick brown fox jumps over the lazy dog again and again"


def table(rows, header=None, mark=","):
    return "".join(mark.join(map(str, row)) + "\n" for row in ([header] if header else []) + list(rows))


REFUSED = {
    "labels": (
        table([("a", "x"), ("b", "y")], ("id", "label")),
        "columns 'id' and 'label' are those of a table of nodes",
    ),
    "classes": (table([(k, k % 3, 1) for k in range(9)], ("node", "class", "z")), "are those of a table of nodes"),
    "split": (table([(k, "train") for k in range(9)], ("id", "part")), "are those of a table of nodes"),
    "targets": (table([(k, k % 2) for k in range(9)], ("id", "target")), "are those of a table of nodes"),
    "features by id": (table([(k, 1, 0) for k in range(9)], ("node", "f0", "f1")), "are those of a table of nodes"),
    "features": (table(rng.random((9, 4)).round(3)), "column 0 holds numbers with fractions"),
    "features of 0 and 1": (table(rng.integers(0, 2, (30, 30)), mark=" "), "found 30 columns without a header"),
    "named features": (table(rng.random((9, 3)), ("feat_0", "feat_1", "feat_2")), "column 'feat_0' holds features"),
    "texts": (
        table([(k, f"{TEXT} {k}", "x") for k in range(9)], ("paper", "text", "year")),
        "column 'text' holds texts",
    ),
    "texts without names": (table([(k, f"{TEXT} {k}") for k in range(9)], mark="\t"), "column 1 holds free text"),
    "times": (
        table([(1000 + k, k, k + 1) for k in range(9)], ("timestamp", "who", "whom")),
        "column 'timestamp' holds times",
    ),
    "coordinates": (
        table([(51 + k, 3, 2) for k in range(9)], ("lat", "lon", "place")),
        "column 'lat' holds coordinates",
    ),
    "molecules": (table([("CCO", 1), ("C", 0)], ("smiles", "active")), r"column 'smiles' holds molecules \(SMILES\)"),
    "mesh": ("# cube\no cube\nv 0.1 0.2 0.3\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", r"found a mesh \(Wavefront .obj\)"),
    "off": ("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n", r"found a mesh \(OFF\)"),
    "json": ('{"nodes": [{"id": 1}], "links": []}', "found JSON"),
    "html": ("<!DOCTYPE html>\n<html>not found</html>", "found a web page"),
    "gml": ("graph [\n node [ id 0 ]\n]\n", "found GML, expected GraphML"),
    "dot": ("digraph G {\n a -> b\n}\n", "found Graphviz DOT"),
    "pajek": ('*Vertices 3\n1 "a"\n*Edges\n1 2\n', "found Pajek"),
    "gexf": ('<?xml version="1.0"?>\n<gexf xmlns="http://gexf.net/1.3"><graph/></gexf>', "found GEXF"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_tables_and_files_are_refused(tmp_path, case, monkeypatch):
    text, said = REFUSED[case]
    for name in ("data.txt", "data"):
        path = tmp_path / name
        path.write_text(text)
        if case == "molecules":  # by path it is a set of graphs
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
            path = "-"
        with pytest.raises(DataError, match=said) as problem:
            datasets.load(str(path))
        assert "\n" not in str(problem.value)
    (tmp_path / "data.gz").write_bytes(gzip.compress(text.encode()))
    if case != "molecules":
        with pytest.raises(DataError, match=said):
            datasets.load(str(tmp_path / "data.gz"))


@pytest.mark.data
@pytest.mark.parametrize(
    "path",
    [
        "meshes/spot.obj",
        "gdb1k/gdb1k.sdf",
        "zinc-partial/val.index",
        "dblp-four-area/paper.txt",
        "twitch-explicit/DE/musae_DE_target.csv",
        "airports/labels-brazil-airports.txt",
        "twitch-explicit/DE/musae_DE_features.json",
    ],
)
def test_real_files_of_other_kinds_are_refused(path):
    place = folders.find(path)
    if place is None:
        pytest.skip(f"GRAPHKIT_DATA lacks {path}")
    with pytest.raises(DataError) as problem:
        datasets.load(str(place))
    assert "\n" not in str(problem.value)


GUESSED = {
    "three columns": (
        "1 2 9\n2 3 9\n3 4 7\n",
        [(1, 2), (2, 3), (3, 4)],
        "columns 0 and 1 are read as source and target; not read: 2; --weight 2 takes weights from it",
    ),
    "words nobody knows": (
        "buyer,seller,color\na,b,red\nb,c,red\nc,a,blue\n",
        [("a", "b"), ("b", "c"), ("c", "a")],
        None,
    ),
    "an unnamed index": (
        ",buyer,seller\n0,7,8\n1,8,9\n2,9,7\n",
        [(7, 8), (8, 9), (9, 7)],
        "column 0 '' counts the rows and is not read",
    ),
    "words above ids with digits": (
        "account,friend\nu0,u1\nu1,u2\nu2,u0\n",
        [("u0", "u1"), ("u1", "u2"), ("u2", "u0")],
        "line 1 is read as column names, as ids below have digits; --no-header takes it as an edge",
    ),
    "words above words": (
        "account,friend\nann,bob\nbob,cy\ncy,ann\n",
        [("account", "friend"), ("ann", "bob"), ("bob", "cy"), ("cy", "ann")],
        "line 1 is read as an edge; --header takes it as column names",
    ),
}


@pytest.mark.parametrize("case", GUESSED)
def test_guesses_are_said_and_refused_by_strict(tmp_path, case):
    text, edges, said = GUESSED[case]
    path = tmp_path / "g.csv"
    path.write_text(text)
    found = datasets.load(
        str(path), read=ReadOptions(directed=True, header=True if case == "words nobody knows" else None)
    )
    ids = found.ids().tolist()
    assert sorted((ids[u], ids[v]) for u, v in zip(*(ends.tolist() for ends in found.graph.edges()))) == sorted(edges)
    said = said or "columns 'buyer' and 'seller' are read as source and target"
    assert f"{path}: {said}" in found.reading
    with pytest.raises(DataError, match="refused by --strict"):
        datasets.load(str(path), strict=True, read=ReadOptions(header=True if case == "words nobody knows" else None))


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("src,dst,color\na,b,1\nb,c,2\n", {}),
        ("a,b\nb,c\nc,a\n", {}),
        ("1 2\n2 3\n", {}),
        ("from,to,weight\n1,2,0.5\n2,3,1.5\n", {}),
        ("1,2,9\n2,3,9\n", {"columns": "0,1"}),
        ("1,2,9\n2,3,9\n", {"weight": "2"}),
        ("user,item\nu1,i1\nu1,i2\n", {}),
        ("x,y,z\n0.5,1.5,2\n1.5,2.5,3\n", {"columns": "x,y"}),
        ("account,friend\nann,bob\nbob,cy\n", {"header": True}),
        ("account,friend\nann,bob\nbob,cy\n", {"header": False}),
    ],
)
def test_what_is_known_or_asked_for_is_no_guess(tmp_path, text, options):
    path = tmp_path / "g.csv"
    path.write_text(text)
    assert datasets.load(str(path), strict=True, read=ReadOptions(directed=True, **options)).reading == ()


def test_parquet_too(tmp_path):
    pandas.DataFrame({"id": [1, 2], "label": [0, 1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="are those of a table of nodes"):
        datasets.load(str(tmp_path / "a.parquet"))
    pandas.DataFrame({"index": [0, 1], "a": ["x", "y"], "b": ["y", "z"]}).to_parquet(tmp_path / "b.parquet")
    found = datasets.load(str(tmp_path / "b.parquet"))
    assert found.ids().tolist() == ["x", "y", "z"]
    assert [line.split(": ")[1] for line in found.reading] == [
        "column 0 'index' counts the rows and is not read",
        "columns 'a' and 'b' are read as source and target",
    ]
    pandas.DataFrame({"a": [0.5, 1.5], "b": [1, 2]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match="expected integers or strings as ids"):
        datasets.load(str(tmp_path / "c.parquet"))
