"""Damaged copies of a small file of every published form, and of every file about nodes: a graph, or one line."""

from __future__ import annotations

import io
import json
import random
import shutil
import tarfile

import networkx as nx
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from graphkit import datasets
from graphkit.core.errors import DataError, UsageError
from graphkit.core.read_options import ReadOptions

COPIES = 60  # damaged copies of each file


def npz(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for part, text in (
            ("train", "a\tr\tb\nb\ts\tc\nc\tr\td\ne\tr\ta\n"),
            ("valid", "a\tr\tc\n"),
            ("test", "b\tr\td\n"),
        ):
            member = tarfile.TarInfo(f"kg/{part}.txt")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def mat():
    out, matrix = io.BytesIO(), sp.csc_matrix(np.ones((6, 6)) - np.eye(6))
    scipy.io.savemat(
        out, {"Network": matrix, "Label": np.arange(6.0)[:, None] % 2, "Attributes": sp.csc_matrix(np.eye(6))}
    )
    return out.getvalue()


MATRIX = nx.to_scipy_sparse_array(nx.cycle_graph(9), format="csr")
# path of the damaged file: (what is read, files, options)
FORMS = {
    "a.g6": ("a.g6", {"a.g6": b"".join(nx.to_graph6_bytes(nx.cycle_graph(n)) for n in (5, 70))}, {}),
    "a.s6": ("a.s6", {"a.s6": nx.to_sparse6_bytes(nx.petersen_graph())}, {}),
    "a.d6": ("a.d6", {"a.d6": b"&DI?AO?\n"}, {"directed": True}),
    "kg.tar": ("kg.tar", {"kg.tar": tar()}, {}),
    "photo.npz": (
        "photo.npz",
        {
            "photo.npz": npz(
                **{f"adj_{part}": np.asarray(getattr(MATRIX, part)) for part in ("data", "indices", "indptr", "shape")},
                labels=np.arange(9) % 2,
            )
        },
        {},
    ),
    "net.mat": ("net.mat", {"net.mat": mat()}, {}),
    "mols.csv": ("mols.csv", {"mols.csv": b"smiles,y\n" + b"CCO,0.5\nC,1\nCCC,2\n" * 3}, {}),
    "lists.txt": ("lists.txt", {"lists.txt": b"1 2 3 4\n2 3\n4 1 2\n"}, {"read_as": "user-items"}),
    "git_target.csv": (
        ".",
        {
            "git_edges.csv": b"a,b\n0,1\n1,2\n",
            "git_target.csv": b"id,ml_target\n0,1\n1,0\n2,1\n",
            "git_features.json": json.dumps({"0": [1, 2], "2": [0]}).encode(),
        },
        {},
    ),
    "git_features.json": (".", None, {}),
    "git_edges.csv": (".", None, {}),
    "train.txt": (
        ".",
        {
            part + ".txt": text
            for part, text in (
                ("train", b"a\tr\tb\nb\ts\tc\nc\tr\td\ne\tr\ta\n"),
                ("valid", b"a\tr\tc\n"),
                ("test", b"b\tr\td\n"),
            )
        },
        {},
    ),
    "x.json": (
        "g.csv",
        {"g.csv": b"0,1\n1,2\n2,3\n", "x.json": b'{"0": [1, 2], "1": [0], "2": [], "3": [5]}'},
        {"features": "x.json"},
    ),
    "y.gmt": ("g.csv", {"g.csv": b"0,1\n1,2\n2,3\n", "y.gmt": b"A\tb\t0\t1\nB\t\t2\t3\t0\n"}, {"labels": "y.gmt"}),
    "y.cmty": ("g.csv", {"g.csv": b"0,1\n1,2\n2,3\n", "y.cmty": b"0\t1\n2\t3\t0\n"}, {"labels": "y.cmty"}),
}


def damaged(content, draw):
    out = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(out) + 1)
        kind = draw.choice(["cut", "flip", "flip", "insert", "delete", "digits", "repeat"])
        if kind == "cut" and at:
            del out[at:]
        elif kind == "flip" and at < len(out):
            out[at] ^= 1 << draw.randrange(8)
        elif kind == "insert":
            out[at:at] = draw.randbytes(draw.randint(1, 6))
        elif kind == "delete":
            del out[at : at + draw.randint(1, 20)]
        elif kind == "digits":
            out[at : at + 1] = b"9" * draw.randint(1, 20)
        else:
            out[at:at] = out[max(at - 20, 0) : at]
    return bytes(out)


@pytest.mark.parametrize("name", FORMS)
def test_damaged_forms_give_a_graph_or_one_line(tmp_path, monkeypatch, name):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path, files, options = FORMS[name]
    files = files or FORMS["git_target.csv"][1]
    folder = tmp_path / "files"
    draw, read = random.Random(name), 0
    for copy in range(COPIES):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file, content in files.items():
            (folder / file).write_bytes(content if file != name or copy == 0 else damaged(content, draw))
        absolute = {
            key: str(folder / value) if key in ("features", "labels") else value for key, value in options.items()
        }
        try:
            found = datasets.load(str(folder / path), read=ReadOptions(**absolute))
            assert found.num_nodes < 10**6
            read += 1
        except (DataError, UsageError) as problem:
            assert copy > 0, problem
            assert "\n" not in str(problem) and len(str(problem)) < 1000
    assert read
