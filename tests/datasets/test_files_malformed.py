"""Files that lie end in one line that names the file, the place, what was found and what was expected."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphkit.core.errors import DataError, UsageError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers.files import read_graph
from graphkit.datasets.writers.graphs import write_graph

EDGES = b"src,dst,weight\n0,1,1\n1,2,2\n2,3,1\n3,0,1\n"
HEAD = b"%%MatrixMarket matrix coordinate "


def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npy_header(shape, descr="<f8") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in arrays.items():
            archive.writestr(f"{name}.npy", value if isinstance(value, bytes) else npy(value))
    return buffer.getvalue()


def sparse(**changes) -> bytes:
    arrays = {
        "format": np.array(b"csr"),
        "shape": np.array([3, 3]),
        "data": np.ones(2),
        "indices": np.array([1, 2]),
        "indptr": np.array([0, 1, 2, 2]),
    }
    return npz(**{key: value for key, value in {**arrays, **changes}.items() if value is not None})


def mat(**variables) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables, do_compression=False)
    return buffer.getvalue()


def graphml(body: str) -> bytes:
    return (
        f'<?xml version="1.0"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n{body}\n</graphml>'.encode()
    )


BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<graphml><graph><node id="&c;"/></graph></graphml>"""


class Evil:
    """Would make a file if it were ever unpickled."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


# id: (suffix, content, options, words that the message must hold)
GRAPHS = {
    "empty": (".csv", b"", {}, "empty, expected a graph"),
    "only blank lines": (".csv", b"\n\n \n", {}, "no rows"),
    "only comments": (".txt", b"# one\n% two\n", {}, "no rows below the comments"),
    "only a header": (".csv", b"src,dst\n", {}, "no rows below the header"),
    "one column": (".csv", b"1\n2\n3\n", {}, "found 1 column, expected at least 2"),
    "only self-loops": (".csv", b"1,1\n2,2\n", {}, "no edges left without self-loops"),
    "truncated gzip": (".csv.gz", gzip.compress(EDGES * 99)[:-20], {}, "truncated gzip"),
    "damaged gzip": (
        ".csv.gz",
        gzip.compress(EDGES)[:30] + b"\xff" * 9 + gzip.compress(EDGES)[39:],
        {},
        "damaged gzip",
    ),
    "gzip and rubbish": (".csv.gz", gzip.compress(EDGES) + b"rubbish", {}, "7 bytes of rubbish after the end"),
    "empty gzip": (".csv.gz", gzip.compress(b""), {}, "empty gzip"),
    "binary": (".csv", bytes(range(256)) * 9, {}, "binary data (a zero byte at offset 0)"),
    "zip called csv": (".csv", sparse(), {}, "binary data"),
    # Bytes with blanks and line feeds, as a compressed member may have by chance: lines of 1, 2 and 5 words.
    "binary with words": (
        ".csv",
        b"PK\x03\x04\x14\0\na b\nc d e f g\nh\ni j k\n",
        {},
        "binary data (a zero byte at offset 5)",
    ),
    "utf-16": (".csv", "a,b\nc,d\n".encode("utf-16"), {}, "UTF-16 text, expected UTF-8"),
    "latin1": (".csv", b"a,b\nc,d\xe9\n", {}, "line 2: byte 0xe9 is not UTF-8"),
    "ragged": (".csv", b"a,b\nc,d\n\ne,f,g\n", {}, "line 4: found 3 columns, expected 2"),
    "short row": (".tsv", b"# c\na\tb\t1\nc\td\n", {}, "line 3: found 2 columns, expected 3"),
    "wrong name": (".csv", EDGES, {"columns": "src,dts"}, "--columns 'dts': no such column; did you mean 'dst'?"),
    "wrong number": (".csv", EDGES, {"columns": "0,7"}, "--columns 7: no such column, expected 0..2"),
    "name without header": (
        ".csv",
        b"1,2\n",
        {"columns": "a,b", "header": False},
        "has no header, expected a number 0..1",
    ),
    "wrong weight": (".csv", EDGES, {"weight": "wieght"}, "--weight 'wieght': no such column; did you mean 'weight'?"),
    "same column twice": (".csv", EDGES, {"columns": "0,0"}, "is named twice"),
    "negative id": (".csv", b"0,1\n1,2\n2,-3\n", {}, "line 3: negative node id -3 in column 1, expected 0 or more"),
    "empty cell": (".csv", b"a,b\nc,\n", {}, "line 2: empty cell in column 1"),
    "weight text": (
        ".csv",
        b"a,b,1\nc,d,heavy\n",
        {"weight": "2"},
        "line 2: weight 'heavy' in column 2, expected a number",
    ),
    "weight nan": (
        ".csv",
        b"a,b,w\nc,d,1\ne,f,nan\n",
        {"weight": "w"},
        "line 3: weight nan in column 'w', expected a finite",
    ),
    "weight missing": (".csv", b"a,b,w\nc,d,1\ne,f,\n", {"weight": "w"}, "line 3: empty cell in column 'w'"),
    "weight too large": (
        ".csv",
        b"a,b,w\nc,d,1e309\n",
        {"weight": "w"},
        "weight inf in column 'w', expected a finite number",
    ),
    "parquet cut off": (".parquet", b"PAR1" + b"\0" * 40, {}, "not a Parquet file, or one that is cut off"),
    "parquet rubbish": (".parquet", b"PAR1" + b"\7" * 40 + b"\x20\0\0\0PAR1", {}, "cannot be read as Parquet"),
    "mtx banner": (".mtx", b"%%MatrixMarket tensor\n3 3 1\n1 2\n", {}, "line 1: found '%%MatrixMarket tensor'"),
    "mtx dense": (
        ".mtx",
        b"%%MatrixMarket matrix array real general\n2 2\n1\n",
        {},
        "line 1: found 'array', expected coord",
    ),
    "mtx complex": (".mtx", HEAD + b"complex general\n2 2 1\n1 2 1 0\n", {}, "line 1: found 'complex', expected real"),
    "mtx sizes": (".mtx", HEAD + b"pattern general\nthree 3 1\n1 2\n", {}, "line 2: found 'three 3 1', expected: rows"),
    "mtx no sizes": (".mtx", HEAD + b"pattern general\n% end", {}, "ends before its line of sizes"),
    "mtx rectangular": (".mtx", HEAD + b"pattern general\n3 4 1\n1 2\n", {}, "3 x 4 matrix, expected a square one"),
    "mtx 10 GB of entries": (
        ".mtx",
        HEAD + b"real general\n9 9 1700000000\n1 2 1\n",
        {},
        "header (1700000000 entries) declares",
    ),
    "mtx 10 GB of nodes": (
        ".mtx",
        HEAD + b"pattern general\n1300000000 1300000000 1\n1 2\n",
        {},
        "declares 1300000000 nodes",
    ),
    "mtx too few": (".mtx", HEAD + b"pattern general\n3 3 2\n1 2\n\n\n\n\n", {}, "found 1 entries, expected 2"),
    "mtx range": (".mtx", HEAD + b"pattern general\n3 3 2\n1 2\n1 4\n", {}, "line 4: node number 4, expected 1..3"),
    "mtx text": (".mtx", HEAD + b"real general\n3 3 2\n1 2 1\n1 3 x\n", {}, "line 4: found 'x', expected a number"),
    "npz rubbish": (".npz", b"rubbish", {}, "not an npz file"),
    "npz cut off": (".npz", sparse()[:200], {}, "not an npz file, or one that is cut off"),
    "npz of something else": (".npz", npz(a=np.ones(3)), {}, "found 'a', expected a SciPy sparse matrix"),
    "npz pickled": (
        ".npz",
        sparse(data=np.array([Evil()], dtype=object)),
        {},
        "holds Python objects (a pickle), which is not",
    ),
    "npz 10 GB": (
        ".npz",
        sparse(data=npy_header((1_300_000_000,)) + bytes(80)),
        {},
        "declares 9.69 GiB, but the file holds 80",
    ),
    "npz negative": (".npz", sparse(indices=np.array([1, -2])), {}, "column number -2 is out of range, expected 0..2"),
    "npz range": (".npz", sparse(indices=np.array([1, 7])), {}, "column number 7 is out of range, expected 0..2"),
    "npz pointers": (".npz", sparse(indptr=np.array([0, 2, 1, 2])), {}, "indptr does not rise"),
    "npz nan": (".npz", sparse(data=np.array([1, np.nan])), {}, "entry (1, 2) is nan"),
    "npz kind": (".npz", sparse(format=np.array(b"bsr")), {}, "sparse format 'bsr', expected csr, csc or coo"),
    "mat rubbish": (".mat", b"\1rubbish" * 40, {}, "not a MATLAB file"),
    "mat v7.3": (".mat", b"MATLAB 7.3 MAT-file".ljust(512), {}, "MATLAB v7.3 (HDF5), expected v7 or older"),
    "mat cut off": (".mat", mat(net=scipy.sparse.eye(9).tocsc())[:200], {}, "declares"),
    "mat 4 GB": (
        ".mat",
        mat(net=np.eye(3))[:132] + b"\xff\xff\xff\xf0" + bytes(64),
        {},
        "element at byte 128 declares 3.77 GiB",
    ),
    "mat of something else": (".mat", mat(x=np.ones((3, 4))), {}, "found x 3x4 double, expected a square matrix"),
    "graphml not closed": (".graphml", graphml("<graph><node id='a'/>")[:-12], {}, "not well-formed XML"),
    "graphml bomb": (".graphml", BOMB, {}, "line 2: a document type or entity declaration"),
    "graphml other xml": (".graphml", b"<html></html>", {}, "found a web page (HTML), expected the file itself"),
    "graphml without graph": (".graphml", graphml(""), {}, "no <graph> element"),
    "graphml unknown node": (
        ".graphml",
        graphml('<graph><node id="a"/>\n<edge source="a" target="b"/></graph>'),
        {},
        "line 4: an edge to 'b', which is no node",
    ),
    "graphml weight": (
        ".graphml",
        graphml(
            '<key id="k" for="edge" attr.name="weight"/><graph><node id="a"/>\n<node id="b"/>'
            '<edge source="a" target="b"><data key="k">big</data></edge></graph>'
        ),
        {},
        "line 4: weight 'big'",
    ),
    "dgl rubbish": (".bin", b"rubbish" * 900, {}, "no mark of a DGL graph file at byte 0"),
    "dgl cut off": (
        ".bin",
        struct.pack("<QQQQ", 0xDD2E4FF046B4A13F, 2, 2, 1) + bytes(90),
        {},
        "declares 4064 bytes, but 90",
    ),
    "dgl many graphs": (
        ".bin",
        struct.pack("<QQQQ", 0xDD2E4FF046B4A13F, 2, 2, 5) + bytes(9000),
        {},
        "no graph at byte",
    ),
}

FEATURES = {
    "nan": (".npy", npy(np.array([[1, 2], [3, 4], [5, np.nan], [7, 8.0]])), "feature nan in row 2, column 1"),
    "inf": (".csv", b"id,x\n0,1\n1,inf\n2,1\n3,1\n", "feature inf in row 1, column 0"),
    "rows": (".npy", npy(np.ones((3, 2))), "found 3 rows, expected 4, one for each node"),
    "missing node": (".csv", b"id,x\n0,1\n1,1\n2,1\n", "found no row for 1 node of {graph}, the first is 3"),
    "twice": (".csv", b"id,x\n0,1\n1,1\n2,1\n2,2\n3,1\n", "id 2 has more than one row"),
    "text": (".csv", b"id,x\n0,1\n1,big\n2,1\n3,1\n", "line 3: 'big' in column 'x', expected a number"),
    "text id": (".csv", b"id,x\na,1\n1,1\n2,1\n3,1\n", "line 2: id 'a', expected integers as in the graph"),
    "ragged": (".csv", b"id,x,y\n0,1,1\n1,2\n", "line 3: found 2 columns, expected 3"),
    "pickle": (".npy", npy(np.array([Evil()], dtype=object)), "holds Python objects (a pickle), which is not read"),
    "10 GB": (".npy", npy_header((1_000_000, 1344)), "declares 10 GiB, but the file holds 0 bytes"),
    "pickled file": (".npy", pickle.dumps(Evil()), "not an npy file"),
    "header": (".npy", npy_header("(__import__('os').getpid(),)"), "damaged npy header"),
    "no such file": (None, None, "No such file or directory"),
    "empty": (".npy", b"", "empty, expected node features"),
}

LABELS = {
    "unknown ids": (".csv", b"id,label\n8,a\n9,b\n", "none of its 2 ids is in the graph, the first is 8"),
    "rows": (".npy", npy(np.arange(3)), "found 3 rows, expected 4"),
    "empty": (".csv", b"", "empty, expected node labels"),
    "empty gzip": (".csv.gz", gzip.compress(b""), "empty gzip, expected node labels"),
    "mat of several": (
        ".mat",
        mat(a=np.ones((4, 1)), b=np.ones((4, 1))),
        "found a, b, expected one matrix, or one called group or",
    ),
    "several columns": (".csv", b"id,a,b\n0,1,0\n1,2,0\n", "line 3: label 2 in column 'a', expected 0 or 1"),
    "none": (".csv", b"id,label\n0,NA\n1,\n2,nan\n", "no node has a label"),
}

NODE_SPLITS = {
    "empty": (b"", "empty, expected a split"),
    "unknown ids": (b"id,part\n42,train\n43,valid\n44,test\n", "none of its 3 ids is in the graph, the first is 42"),
    "part": (b"id,part\n0,train\n1,valid\n2,tset\n", "line 4: part 'tset', expected train, valid or test"),
    "twice": (b"id,part\n0,train\n1,valid\n2,test\n0,test\n", "line 5: node 0 is listed twice"),
    "no test": (b"id,part\n0,train\n1,valid\n", "no node has the part test"),
    "columns": (b"0,1,train\n1,1,traim\n", "found 3 columns, expected 2 (id and part)"),
}

LINK_SPLITS = {
    "unknown ids": (b"src,dst,part\n5,6,valid\n7,8,test\n", "none of its 4 ids is in the graph, the first is 5"),
    "no test": (b"src,dst,part\n0,1,valid\n", "no edge has the part test"),
    "twice": (b"src,dst,part\n0,1,valid\n1,0,test\n", "line 3: this pair is listed before"),
    "no edge": (b"src,dst,part\n0,1,valid\n1,2,test\n0,2,train\n", "line 4: a training edge that is not in the graph"),
    "label": (b"src,dst,part,label\n0,1,valid,1\n1,2,test,yes\n", "line 3: label 'yes', expected 1 for an edge or 0"),
    "everything": (b"0,1,valid\n1,2,test\n2,3,test\n3,0,test\n", "holds out every edge"),
    "columns": (b"0,train\n", "found 2 columns, expected 3 or 4"),
}


def one_line(path, call) -> str:
    with pytest.raises(DataError) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(str(path)), said
    assert not os.path.exists("unpickled")
    return said.replace(str(path), "FILE", 1)


@pytest.mark.parametrize("case", GRAPHS)
def test_graphs(tmp_path, case):
    suffix, content, options, expected = GRAPHS[case]
    path = tmp_path / f"graph{suffix}"
    path.write_bytes(content)
    said = one_line(path, lambda: read_graph(path, ReadOptions(**options)))
    assert expected in said


def edges_file(tmp_path):
    path = tmp_path / "graph.csv"
    path.write_bytes(EDGES)
    return path


@pytest.mark.parametrize(
    ("kind", "case"), [("features", case) for case in FEATURES] + [("labels", case) for case in LABELS]
)
def test_features_and_labels(tmp_path, kind, case):
    graph, (suffix, content, expected) = edges_file(tmp_path), (FEATURES if kind == "features" else LABELS)[case]
    path = tmp_path / f"nodes{suffix or '.npy'}"
    if content is not None:
        path.write_bytes(content)
    said = one_line(path, lambda: read_graph(graph, ReadOptions(**{kind: str(path)})))
    assert expected.format(graph=graph) in said


@pytest.mark.parametrize("case", NODE_SPLITS)
def test_node_splits(tmp_path, case):
    graph, path = edges_file(tmp_path), tmp_path / "splits.csv"
    path.write_bytes(NODE_SPLITS[case][0])
    np.save(tmp_path / "y.npy", np.arange(4))
    options = ReadOptions(splits=str(path), labels=str(tmp_path / "y.npy"))
    said = one_line(path, lambda: read_graph(graph, options, task="node"))
    assert NODE_SPLITS[case][1] in said


@pytest.mark.parametrize("case", LINK_SPLITS)
def test_link_splits(tmp_path, case):
    graph, path = edges_file(tmp_path), tmp_path / "splits.csv"
    path.write_bytes(LINK_SPLITS[case][0])
    said = one_line(path, lambda: read_graph(graph, ReadOptions(splits=str(path)), task="link"))
    assert LINK_SPLITS[case][1] in said


def test_no_file_and_folder_and_permission(tmp_path):
    (tmp_path / "graph.csv").write_bytes(EDGES)
    wrong = tmp_path / "grahp.csv"
    assert "did you mean 'graph.csv'?" in one_line(wrong, lambda: read_graph(wrong))
    assert "is a folder, expected a file" in one_line(tmp_path, lambda: read_graph(tmp_path))
    locked = tmp_path / "locked.csv"
    locked.write_bytes(EDGES)
    locked.chmod(0)
    if os.geteuid():  # root may read everything
        assert "Permission denied" in one_line(locked, lambda: read_graph(locked))


def test_wrong_options(tmp_path):
    path = edges_file(tmp_path)
    for options, words in [
        ({"columns": "src"}, "--columns: found 'src', expected SRC,DST"),
        ({"delimiter": "::"}, "--delimiter: found '::', expected one ASCII character"),
        ({"duplicates": "none"}, "--duplicates: found 'none', expected first or sum or keep"),
        ({"columns": "src,dst,weight", "weight": "other"}, "name different weights"),
    ]:
        with pytest.raises(UsageError) as caught:
            read_graph(path, ReadOptions(**options))
        assert words in str(caught.value)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> dict:
    """Sound files of every format."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "g.csv").write_bytes(
        b"src,dst,weight\n" + b"".join(b"n%d,n%d,%d.5\n" % (i, i * i % 17, i) for i in range(17))
    )
    dataset = read_graph(folder / "g.csv")
    files = {}
    for suffix in (".csv", ".tsv", ".txt", ".csv.gz", ".parquet", ".mtx", ".npz", ".graphml", ".bin"):
        write_graph(dataset, folder / f"h{suffix}")
        files[suffix] = (folder / f"h{suffix}").read_bytes()
    files[".mat"] = mat(network=scipy.sparse.random(9, 9, 0.3, format="csc", random_state=0))
    packed = io.BytesIO()
    scipy.io.savemat(packed, {"A": scipy.sparse.random(9, 9, 0.3, format="csc", random_state=0)}, do_compression=True)
    files[".packed.mat"] = packed.getvalue()
    files[".ints.csv"] = b"".join(b"%d\t%d\n" % (i, 3 * i % 11) for i in range(11))
    return files


SUFFIXES = [
    ".csv",
    ".tsv",
    ".txt",
    ".csv.gz",
    ".parquet",
    ".mtx",
    ".npz",
    ".graphml",
    ".bin",
    ".mat",
    ".packed.mat",
    ".ints.csv",
]
PIECES = [
    b"",
    b"\0",
    b"\n",
    b",",
    b"-1",
    b"nan",
    b"1e999",
    b"99999999999999999999",
    b'"',
    b"#",
    b"\xff" * 8,
    b"\x7f" + b"\0" * 7,
    b"<",
]


@settings(
    max_examples=120,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@pytest.mark.parametrize("suffix", SUFFIXES)
@given(data=st.data())
def test_mutated_files_are_read_or_refused(tmp_path, good, suffix, data):
    content = bytearray(good[suffix])
    # DGL's file is 4096 bytes of header, of which 32 matter
    places = st.integers(0, len(content))
    if suffix == ".bin":
        places = st.integers(0, 32) | st.integers(4096, len(content))
    for _ in range(data.draw(st.integers(1, 4))):
        at, cut = data.draw(places), data.draw(st.sampled_from([0, 1, 2, 8, 10_000]))
        piece = data.draw(st.sampled_from(PIECES) | st.binary(max_size=9))
        content[at : at + cut] = piece
    path = tmp_path / f"graph{suffix}"
    path.write_bytes(bytes(content))
    try:
        dataset = read_graph(path)
    except DataError as problem:
        assert "\n" not in str(problem)
        assert str(path) in str(problem)
    else:
        src, dst = dataset.graph.edges()
        assert 0 <= int(min(src.min(), dst.min())) <= int(max(src.max(), dst.max())) < dataset.num_nodes
        assert dataset.node_ids is None or len(set(dataset.node_ids.tolist())) == dataset.num_nodes


@settings(
    max_examples=300,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=st.binary(max_size=60) | st.text('0123456789ab,\t \n"#%-.;|', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path, content):
    path = tmp_path / "graph.txt"
    path.write_bytes(content)
    try:
        read_graph(path)
    except DataError as problem:
        assert "\n" not in str(problem)
