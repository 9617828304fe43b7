"""One budget for reading: what unfolds to more is refused while it unfolds, whatever packs it, and is held once."""

import gzip
import io
import os
import subprocess
import sys
import tracemalloc
import types
import zipfile

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import scipy.io
import scipy.sparse

from graphkit import datasets
from graphkit.core.errors import DataError, UsageError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers.files import read_graph
from graphkit.io import budget
from graphkit.io.formats import read_blob

MIB = 1 << 20
LINES = b"1234,5678\n2345,6789\n" * 52_429  # a little over 1 MiB, which packs into 3 kB


def gz(path, times, members=1):
    """``times`` MiB of an edge list in several members; the last one's length says little of the whole."""
    one = gzip.compress(LINES * (times // members))
    path.write_bytes(one * members)
    return path


def parquet(path, rows, value):
    """A column of one value, which Parquet keeps once, beside another."""
    table = pyarrow.table({"src": pyarrow.array([value] * rows).dictionary_encode(), "dst": pyarrow.array([1] * rows)})
    pyarrow.parquet.write_table(table, path, compression="zstd", store_schema=False)
    return path


@pytest.mark.parametrize("members", [1, 16])
def test_gzip_beyond_the_limit(tmp_path, members):
    path = gz(tmp_path / "x.csv.gz", 16, members)
    assert os.path.getsize(path) < 100_000
    with pytest.raises(
        DataError, match=r"x.csv.gz: gzip content.* exceeds the 8 MiB that reading may take \(--read-limit\)"
    ):
        read_graph(path, ReadOptions(read_limit="8MiB"))
    assert read_graph(path, ReadOptions(read_limit="1GB")).num_nodes == 4


def test_a_file_beyond_the_limit(tmp_path):
    (tmp_path / "x.csv").write_bytes(LINES * 4)
    with pytest.raises(DataError, match=r"x.csv: content of 4 MiB exceeds the 3 MiB that reading may take"):
        read_graph(tmp_path / "x.csv", ReadOptions(read_limit=3 * MIB))


def test_all_files_of_a_data_set_count_together(tmp_path):
    (tmp_path / "x.csv").write_bytes(LINES)
    np.save(tmp_path / "f.npy", np.ones((4, 1 << 17)))
    options = {"features": str(tmp_path / "f.npy")}
    with pytest.raises(
        DataError, match=r"f.npy.* exceeds the 4 MiB that reading may take \(--read-limit\), of which 3 MiB are left"
    ):
        read_graph(tmp_path / "x.csv", ReadOptions(read_limit=4 * MIB, **options))
    assert read_graph(tmp_path / "x.csv", ReadOptions(read_limit=16 * MIB, **options)).features.shape == (4, 1 << 17)


@pytest.mark.parametrize(
    ("value", "limit", "what"), [(7, "2MiB", "column 'dst'"), ("a" * 1000, "8MiB", "the text of column 'src'")]
)
def test_parquet_of_one_value(tmp_path, value, limit, what):
    path = parquet(tmp_path / "x.parquet", 200_000, value)
    assert os.path.getsize(path) < 30_000
    with pytest.raises(DataError, match=rf"x.parquet: {what} of .* exceeds the {limit[0]} MiB that reading may take"):
        read_graph(path, ReadOptions(read_limit=limit))
    assert read_graph(path, ReadOptions(read_limit="1GB")).num_nodes == 2


def test_arrays_and_matrices(tmp_path):
    (tmp_path / "x.csv").write_text("0,1\n1,2\n")
    np.savez_compressed(tmp_path / "zeros.npz", features=np.zeros((3, 1 << 19)))
    scipy.sparse.save_npz(tmp_path / "wide.npz", scipy.sparse.csr_matrix(([1.0], ([0], [1 << 20])), shape=(3, 1 << 21)))
    scipy.io.savemat(tmp_path / "zeros.mat", {"features": np.zeros((3, 1 << 19))}, do_compression=True)
    wide = scipy.sparse.csc_matrix(([1.0], ([0], [1 << 18])), shape=(3, 1 << 19))
    scipy.io.savemat(tmp_path / "wide.mat", {"features": wide}, do_compression=True)
    for name in ("zeros.npz", "wide.npz", "zeros.mat", "wide.mat"):
        assert os.path.getsize(tmp_path / name) < 100_000
        with pytest.raises(DataError, match=rf"{name}: .* exceeds the 8 MiB that reading may take"):
            read_graph(tmp_path / "x.csv", ReadOptions(read_limit="8MiB", features=str(tmp_path / name)))


def test_graphml_of_many_nodes(tmp_path):
    nodes = "".join(f"<node id='{k}'/>" for k in range(50_000))
    (tmp_path / "x.graphml").write_text(f"<graphml><graph>{nodes}<edge source='1' target='2'/></graph></graphml>")
    with pytest.raises(DataError, match="nodes and edges.* exceeds the 4 MiB"):
        read_graph(tmp_path / "x.graphml", ReadOptions(read_limit="4MiB"))
    assert read_graph(tmp_path / "x.graphml", ReadOptions(read_limit="64MiB")).num_nodes == 50_000


def test_streams_without_end(monkeypatch):
    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            buffer[:] = (b"12,34\n" * (len(buffer) // 6 + 1))[: len(buffer)]
            return len(buffer)

    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BufferedReader(Endless())))
    with pytest.raises(DataError, match="<stdin>: content exceeds the 64 MiB"):
        read_graph("-", ReadOptions(read_limit="64MiB"))
    with pytest.raises(DataError, match=r"/dev/zero: binary data \(a zero byte at offset 0\)"):
        read_graph("/dev/zero")


def test_zeros_packed_into_a_table_are_refused_at_once(tmp_path):
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(bytes(1 << 20)))
    with pytest.raises(DataError, match=r"binary data \(a zero byte at offset 0\)"):
        read_graph(tmp_path / "x.csv.gz")


def test_what_is_unpacked_is_held_once(tmp_path):
    path = gz(tmp_path / "x.csv.gz", 96, 3)
    for source in (path, tmp_path / "x.csv"):
        tracemalloc.start()
        blob = read_blob(source)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(blob.data) == len(LINES) * 96
        assert peak < 1.5 * len(blob.data)  # the content, and a piece of 16 MiB
        (tmp_path / "x.csv").write_bytes(blob.data)


@pytest.mark.parametrize("text", ["much", "0", "-1GB", ""])
def test_wrong_limits(text, tmp_path):
    (tmp_path / "x.csv").write_bytes(LINES)
    with pytest.raises(UsageError, match=r"--read-limit is '.*', expected an amount of memory such as 4GB"):
        datasets.load(str(tmp_path / "x.csv"), read=ReadOptions(read_limit=text))


def test_the_limit_is_no_part_of_how_a_file_is_read(tmp_path):
    """A form that takes no options, and a set of graphs, take a limit; so does a name of the catalogue."""
    (tmp_path / "x.g6").write_text("DQc\nDQc\n")
    assert len(datasets.load(str(tmp_path / "x.g6"), read=ReadOptions(read_limit="1MiB"), many=True).graphs) == 2
    assert datasets.load("karate", read=ReadOptions(read_limit="1MiB")).num_nodes == 34


def test_the_default_is_a_share_of_what_is_available(monkeypatch):
    monkeypatch.setattr(budget, "available", lambda: 40 * MIB)
    assert budget.limit() == 10 * MIB
    budget.set_limit("3MiB")
    try:
        assert budget.limit() == 3 * MIB
    finally:
        budget.set_limit(None)


def peak_of(*arguments):
    """(exit code, stderr, highest resident bytes) of the command line in a process of its own."""
    command = [sys.executable, "-m", "graphkit.cli.main", *map(str, arguments)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, said, usage.ru_maxrss * 1024


def test_peak_memory_of_the_command_line(tmp_path):
    """A file of 1.3 MB that unfolds to 384 MiB, and an npz that does, with a limit of 64 MiB."""
    (tmp_path / "small.csv").write_bytes(b"0,1\n1,2\n")
    code, _, base = peak_of("data", "info", tmp_path / "small.csv", "--read-limit", "64MiB")
    assert code == 0
    bomb = gz(tmp_path / "x.csv.gz", 384, 6)
    with (
        zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("features.npy", "w") as member,
    ):
        np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (3, 1 << 24)})
        for _ in range(384):
            member.write(bytes(MIB))
    for arguments in ((bomb,), (tmp_path / "small.csv", "--features", tmp_path / "x.npz")):
        code, said, peak = peak_of("data", "info", *arguments, "--read-limit", "64MiB")
        assert code == 3 and said.count("\n") == 1 and "64 MiB that reading may take (--read-limit)" in said
        assert (
            peak - base < (32 if arguments[0] == bomb else 96) * MIB
        )  # gzip that is packed so tightly is counted before it is kept
