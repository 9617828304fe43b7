"""What is written is read back, and what is read is what a plain parser reads."""

from __future__ import annotations

import gzip
import io
import random
import subprocess
import sys

import numpy as np
import pytest

from graphkit import datasets
from graphkit.core.errors import DataError, UsageError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers.files import read_graph
from graphkit.datasets.writers.graphs import write_graph

SUFFIXES = [".csv", ".tsv", ".txt", ".csv.gz", ".parquet", ".mtx", ".mtx.gz", ".npz", ".graphml", ".graphml.gz", ".bin"]


def edges_of(dataset) -> list:
    """Sorted (id, id, weight) of every stored edge."""
    ids = dataset.ids().tolist()
    src, dst = (part.tolist() for part in dataset.graph.edges())
    weight = dataset.graph.edata["weight"].tolist() if dataset.weighted else [None] * len(src)
    return sorted((ids[u], ids[v], w) for u, v, w in zip(src, dst, weight))


def write(path, rows, separator=","):
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    return path


def plain_parser(text: str, separator, directed: bool, duplicates: str, loops: str) -> dict:
    """An independent reading of "src dst weight" lines: {(u, v): [weights]} with both directions if undirected."""
    edges: dict = {}
    for line in text.splitlines():
        u, v, w = line.split(separator)
        if u == v and loops == "drop":
            continue
        key = (u, v) if directed or u <= v else (v, u)
        edges.setdefault(key, []).append(float(w))
    out = {}
    for (u, v), weights in edges.items():
        kept = {"first": weights[:1], "sum": [sum(weights)], "keep": weights}[duplicates]
        out[u, v] = kept
        if not directed:
            out[v, u] = kept
    return out


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("duplicates", ["first", "sum", "keep"])
@pytest.mark.parametrize("loops", ["drop", "keep"])
@pytest.mark.parametrize("kind", ["range", "gaps", "strings"])
def test_reads_what_a_plain_parser_reads(tmp_path, directed, duplicates, loops, kind):
    rng = random.Random(f"{directed}{duplicates}{loops}{kind}")
    names = {
        "range": [str(i) for i in range(20)],
        "gaps": [str(7 * i * i) for i in range(20)],
        "strings": [f"node {'äßx'[i % 3]}{i}" for i in range(20)],
    }[kind]
    rows = [(rng.choice(names), rng.choice(names), rng.randint(1, 8) / 4) for _ in range(150)]
    path = write(tmp_path / "g.csv", [("src", "dst", "weight"), *rows])
    text = "\n".join(",".join(map(str, row)) for row in rows)
    options = ReadOptions(directed=directed, duplicates=duplicates, self_loops=loops)
    dataset = read_graph(path, options)
    expected = plain_parser(text, ",", directed, duplicates, loops)
    found: dict = {}
    for u, v, w in edges_of(dataset):
        found.setdefault((str(u), str(v)), []).append(w)
    assert found == {key: sorted(weights) for key, weights in expected.items()}
    seen = list(dict.fromkeys(name for row in rows for name in row[:2]))
    assert dataset.ids().tolist() == (seen if kind == "strings" else sorted(int(name) for name in seen))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["range", "gaps", "strings"])
def test_round_trip(tmp_path, suffix, directed, weighted, kind):
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 30, (90, 2))
    names = [f"a&<{i}>, 'ü'" for i in range(30)]
    values = rng.random(90).astype(np.float32)
    key = {"range": int, "gaps": lambda i: int(i) * 5 + 3, "strings": names.__getitem__}[kind]
    rows = [(key(u), key(v), *([w] if weighted else [])) for (u, v), w in zip(numbers, values)]
    rows = [(f'"{u}"', f'"{v}"', *w) for u, v, *w in rows]
    path = write(tmp_path / "g.csv", [("src", "dst", "weight")[: 2 + weighted], *rows])
    first = read_graph(path, ReadOptions(directed=directed))
    target = tmp_path / f"out{suffix}"
    write_graph(first, target)
    again = read_graph(target, ReadOptions(directed=directed))
    assert edges_of(again) == edges_of(first)
    assert set(again.ids().tolist()) == set(first.ids().tolist())
    assert again.weighted == weighted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g.csv", target.name]
    if suffix not in (".csv", ".tsv", ".txt", ".csv.gz", ".parquet"):
        assert again.ids().tolist() == first.ids().tolist()


def test_formats_agree_with_scipy_and_networkx(tmp_path):
    import networkx
    import scipy.io
    import scipy.sparse

    graph = networkx.gnm_random_graph(30, 80, seed=3)
    for k, (u, v) in enumerate(graph.edges):
        graph.edges[u, v]["weight"] = k / 4 + 1
    matrix = networkx.to_scipy_sparse_array(graph, nodelist=range(30), format="csr")
    expected = sorted((u, v, matrix[u, v]) for u, v in zip(*matrix.nonzero()))
    scipy.sparse.save_npz(tmp_path / "a.npz", scipy.sparse.csr_matrix(matrix))
    scipy.sparse.save_npz(tmp_path / "b.npz", scipy.sparse.csc_matrix(matrix))
    scipy.io.mmwrite(tmp_path / "c.mtx", scipy.sparse.coo_matrix(matrix), symmetry="symmetric")
    scipy.io.mmwrite(tmp_path / "d.mtx", scipy.sparse.coo_matrix(matrix), symmetry="general")
    scipy.io.savemat(tmp_path / "e.mat", {"network": scipy.sparse.csc_matrix(matrix)}, do_compression=True)
    scipy.io.savemat(tmp_path / "f.mat", {"mine": scipy.sparse.csc_matrix(matrix), "other": np.eye(3)})
    networkx.write_graphml(graph, tmp_path / "g.graphml")
    networkx.write_weighted_edgelist(graph, tmp_path / "h.txt")
    for path in sorted(tmp_path.iterdir()):
        options = ReadOptions(weight="2") if path.suffix == ".txt" else ReadOptions()
        assert edges_of(read_graph(path, options)) == expected, path.name


@pytest.mark.parametrize("layout", ["coo", "csr", "csc"])
@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_reads_what_dgl_writes(tmp_path, layout, kind):
    import dgl
    import torch

    graph = dgl.rand_graph(20, 60)
    graph.ndata["feat"], graph.ndata["label"] = torch.rand(20, 4), torch.arange(20) % 3
    graph.edata["weight"] = torch.rand(60)
    src, dst = graph.edges()
    dgl.save_graphs(str(tmp_path / "g.bin"), [(graph.int() if kind == "int32" else graph).formats(layout)])
    found = read_graph(tmp_path / "g.bin", ReadOptions(directed=True, duplicates="keep", self_loops="keep"))
    weights = graph.edata["weight"]
    assert edges_of(found) == sorted(zip(src.tolist(), dst.tolist(), weights.tolist()))
    assert torch.equal(found.features, graph.ndata["feat"])
    assert torch.equal(found.labels, graph.ndata["label"])


def test_dgl_file_keeps_features_labels_and_split(tmp_path):
    write(tmp_path / "g.csv", [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")])
    np.save(tmp_path / "x.npy", np.arange(8.0).reshape(4, 2))
    write(tmp_path / "y.csv", [("id", "label"), ("a", "red"), ("c", "blue"), ("d", "red")])
    write(tmp_path / "s.csv", [("id", "part"), ("a", "train"), ("b", "valid"), ("c", "test")])
    options = ReadOptions(features=tmp_path / "x.npy", labels=tmp_path / "y.csv", splits=tmp_path / "s.csv")
    first = read_graph(tmp_path / "g.csv", options)
    write_graph(first, tmp_path / "g.bin")
    write_graph(first, tmp_path / "h.bin")
    assert (tmp_path / "g.bin").read_bytes() == (tmp_path / "h.bin").read_bytes()
    again = read_graph(tmp_path / "g.bin", ReadOptions())
    assert again.checksum() == first.checksum()


def test_gzip_and_blanks_and_comments(tmp_path):
    text = "# Directed graph\n# FromNodeId\tToNodeId\n\n 10\t  20 \n20   30\n% the end\n30 10\n"
    (tmp_path / "a.txt").write_text(text)
    with gzip.open(tmp_path / "b.txt.gz", "wt") as handle:
        handle.write(text)
    (tmp_path / "c").write_bytes(gzip.compress(text.encode()) + gzip.compress(b"10 40\n"))
    (tmp_path / "d.csv").write_bytes(b"\xef\xbb\xbfsource,target\r\n10,20\r\n20,30\r\n30,10\r\n")
    expected = [(10, 20), (10, 30), (20, 10), (20, 30), (30, 10), (30, 20)]
    for name in ("a.txt", "b.txt.gz", "d.csv"):
        assert [edge[:2] for edge in edges_of(datasets.load(str(tmp_path / name)))] == expected
    assert datasets.load(str(tmp_path / "c")).ids().tolist() == [10, 20, 30, 40]


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("separator", [",", "\t", " ", ";"])
def test_stdin(monkeypatch, pack, separator):
    data = f"x{separator}y\ny{separator}z\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(data) if pack else data)))
    dataset = read_graph("-")
    assert dataset.ids().tolist() == ["x", "y", "z"]
    assert dataset.graph.num_edges() == 4


@pytest.mark.parametrize("suffix", [".parquet", ".mtx", ".npz", ".graphml", ".bin"])
def test_content_tells_the_format_without_a_suffix(tmp_path, suffix):
    write(tmp_path / "g.csv", [(0, 1), (1, 2), (2, 0)])
    write_graph(read_graph(tmp_path / "g.csv"), tmp_path / f"g{suffix}")
    (tmp_path / f"g{suffix}").rename(tmp_path / "data")
    assert read_graph(tmp_path / "data").graph.num_edges() == 6


@pytest.mark.parametrize(
    ("text", "options", "ids", "edges"),
    [
        ("1,2\n2,3\n", {}, [1, 2, 3], [(1, 2), (2, 3)]),
        ("w,b,a\n5,x,y\n6,y,z\n", {"columns": "a,b,w"}, ["y", "x", "z"], [("y", "x"), ("z", "y")]),
        ("5,x,y\n6,y,z\n", {"columns": "2,1,0"}, ["y", "x", "z"], [("y", "x"), ("z", "y")]),
        ("target,when,source\n1,9,2\n3,9,1\n", {}, [1, 2, 3], [(2, 1), (1, 3)]),
        ("name,other\nann,bob\n", {"header": True}, ["ann", "bob"], [("ann", "bob")]),
        ("src,dst\nann,bob\n", {"header": False}, ["src", "dst", "ann", "bob"], [("src", "dst"), ("ann", "bob")]),
        ("007,7\n7,8\n", {}, ["007", "7", "8"], [("007", "7"), ("7", "8")]),
        ("0x10,16\n", {}, ["0x10", "16"], [("0x10", "16")]),
        ("1,2,00:15\n3,4,00:16\n", {}, [1, 2, 3, 4], [(1, 2), (3, 4)]),
        ('"a,b","c ""d"""\n', {}, ["a,b", 'c "d"'], [("a,b", 'c "d"')]),
        ("9223372036854775807,1\n", {}, [1, 2**63 - 1], [(2**63 - 1, 1)]),
        ("99999999999999999999,1\n", {}, ["99999999999999999999", "1"], [("99999999999999999999", "1")]),
        ("NA,nan\nnull,NA\n", {}, ["NA", "nan", "null"], [("NA", "nan"), ("null", "NA")]),
        ("a::b\n", {"delimiter": "|"}, None, None),
        ("a|b\n", {"delimiter": "|"}, ["a", "b"], [("a", "b")]),
    ],
)
def test_columns_header_and_ids(tmp_path, text, options, ids, edges):
    path = tmp_path / "g.txt"
    path.write_text(text)
    if ids is None:
        with pytest.raises(DataError):
            read_graph(path, ReadOptions(directed=True, **options))
        return
    dataset = read_graph(path, ReadOptions(directed=True, **options))
    assert dataset.ids().tolist() == ids
    assert [edge[:2] for edge in edges_of(dataset)] == sorted(edges)


def test_reports_loops_and_duplicates_in_one_line(tmp_path, monkeypatch):
    import logging

    said = []
    keeper = logging.Handler()
    keeper.emit = lambda record: said.append(record.getMessage().split(": ", 1)[1])
    # The logger's own handlers may be a command's of an earlier test: this test listens alone.
    monkeypatch.setattr(logging.getLogger("graphkit"), "handlers", [keeper])
    monkeypatch.setattr(logging.getLogger("graphkit"), "propagate", False)
    path = write(tmp_path / "g.csv", [(0, 1), (1, 0), (0, 1), (2, 2), (1, 2)])
    read_graph(path, ReadOptions(duplicates="sum"))
    assert said == [
        "1 self-loop dropped",
        "1 duplicated edge and 1 edge given in both directions; weights summed",
    ]


def test_order_of_lines_leaves_no_trace(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 50, (200, 2)).tolist()
    first = read_graph(write(tmp_path / "g.csv", rows))
    second = read_graph(write(tmp_path / "h.csv", [row[::-1] for row in rng.permutation(rows).tolist()]))
    assert first.checksum() == second.checksum()


def test_unknown_suffix_to_write(tmp_path):
    dataset = read_graph(write(tmp_path / "g.csv", [(0, 1)]))
    with pytest.raises(UsageError, match="did you mean '.csv'"):
        write_graph(dataset, tmp_path / "g.cvs")


def test_import_is_light():
    code = (
        "import sys, graphkit.cli.convert, graphkit.cli.data;"
        "print({'numpy','torch','dgl','pandas','pyarrow'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
