"""OGB folders whose split file, under 1 kB, forges objects or claims memory: one line, exit code 3, little memory."""

import gzip
import os
import pickle
import resource
import struct
import subprocess
import sys
import zipfile

import pytest

from graphkit import datasets
from graphkit.core.errors import DataError

N = 20


def text(word):
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def array(count, dtype, content):
    """An array as pickles have it; ``dtype`` may carry a state."""
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text("b") + b"\x87R"
    return (
        made
        + b"(K\x01K"
        + bytes([count])
        + b"\x85"
        + dtype
        + b"\x89B"
        + struct.pack("<I", len(content))
        + content
        + b"tb"
    )


def dtype(code):
    return b"cnumpy\ndtype\n" + text(code) + b"\x89\x88\x87R"


def numbers(values):
    return array(len(values), dtype("<i8"), struct.pack(f"<{len(values)}q", *values))


# An array of objects whose dtype was told that its items need no care, made of bytes that become pointers.
FORGED = array(4, dtype("O") + b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb", b"A" * 32)
# A tensor of 700 million numbers, all of them the one that the storage holds.
STORAGE = b"(" + text("storage") + b"ctorch\nLongStorage\n" + text("0") + text("cpu") + b"K\x01tQ"
REPEATED = (
    b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\x00J" + struct.pack("<i", 7 * 10**8) + b"\x85K\x00\x85\x89"
)
REPEATED += b"ccollections\nOrderedDict\n)RtR"


def folder(root, train):
    """An OGB folder of a ring with labels, whose split is as given."""
    tables = {
        "edge": [(k, (k + 1) % N) for k in range(N)],
        "node-feat": [(k,) for k in range(N)],
        "node-label": [(k % 2,) for k in range(N)],
        "num-edge-list": [(N,)],
        "num-node-list": [(N,)],
    }
    (root / "raw").mkdir(parents=True)
    for name, rows in tables.items():
        with gzip.open(root / f"raw/{name}.csv.gz", "wt") as stream:
            stream.writelines(",".join(map(str, row)) + "\n" for row in rows)
    (root / "split/mine").mkdir(parents=True)
    split = (
        b"\x80\x03}("
        + text("train")
        + train
        + text("valid")
        + numbers(range(10, 15))
        + text("test")
        + numbers(range(15, 20))
        + b"u."
    )
    with zipfile.ZipFile(root / "split/mine/split_dict.pt", "w") as archive:
        archive.writestr("archive/data.pkl", split)
        archive.writestr("archive/data/0", struct.pack("<q", 3))
    return root


def little_memory():
    """8 GiB of address space, of which the libraries take most; the tensor alone would be 5 GiB."""
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))


def test_a_sound_folder_is_read(tmp_path):
    dataset = datasets.load(str(folder(tmp_path / "ogb", numbers(range(10)))), task="node")
    assert dataset.split.train.tolist() == list(range(10)) and dataset.split.test.tolist() == list(range(15, 20))


@pytest.mark.parametrize(
    ("train", "message"), [(FORGED, "an array of objects of shape (4,)"), (REPEATED, "a tensor of size (700000000,)")]
)
def test_hostile_split_files(tmp_path, train, message):
    root = folder(tmp_path / "ogb", train)
    assert os.path.getsize(root / "split/mine/split_dict.pt") < 1024
    command = [sys.executable, "-m", "graphkit.cli.main", "data", "info", str(root)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=300, preexec_fn=little_memory)
    assert child.returncode == 3 and not child.stdout, child.stderr
    assert child.stderr.count("\n") == 1 and message in child.stderr and "split_dict.pt" in child.stderr


def test_a_graph_pickle_of_forged_objects(use_tiny, tmp_path, monkeypatch):
    """Planetoid's neighbour lists: 183 bytes that ended the process."""
    (tmp_path / "planetoid-cora").mkdir()
    forged = b"\x80\x02}K\x00" + FORGED + b"s."
    (tmp_path / "planetoid-cora/ind.cora.graph").write_bytes(forged)
    assert pickle.PROTO in forged and len(forged) < 250
    monkeypatch.setenv("GRAPHKIT_DATA", f"{tmp_path}:{use_tiny}")
    with pytest.raises(DataError, match=r"ind.cora.graph: cannot be read as a pickle: an array of objects"):
        datasets.load("cora")
