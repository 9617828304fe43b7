"""The restricted unpickler reads arrays and refuses programs and lies."""

import collections
import io
import os
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from graphkit.core.errors import DataError
from graphkit.datasets.readers.unpickle import load_npy, load_npz, load_pickle, load_torch
from graphkit.io import budget


class Command:
    def __reduce__(self):
        return (__import__("os").system, ("touch /tmp/graphkit-was-here",))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_and_matrices_come_back(tmp_path, protocol):
    matrix = sp.random(7, 5, 0.4, "csr", random_state=0, dtype=np.float32)
    fortran = np.asfortranarray(np.arange(6).reshape(2, 3))
    value = {
        "a": np.arange(6.0).reshape(2, 3),
        "f": fortran,
        "m": matrix,
        "b": np.array([True, False]),
        3: [1, 2],
        "s": np.float64(2.5),
    }
    (tmp_path / "v.pkl").write_bytes(pickle.dumps(value, protocol=protocol))
    got = load_pickle(tmp_path / "v.pkl")
    assert np.array_equal(got["f"], value["f"]) and got["a"].flags.writeable
    assert np.array_equal(got["a"], value["a"]) and got["b"].tolist() == [True, False] and got[3] == [1, 2]
    assert (got["m"] != matrix).nnz == 0 and got["m"].dtype == np.float32 and got["s"] == 2.5


def test_programs_are_refused(tmp_path):
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps(Command()))
    for load in (load_pickle, load_torch):
        with pytest.raises(DataError, match=r"system is refused|bad.pkl"):
            load(path)
    np.savez(tmp_path / "bad.npz", a=np.array([Command()], dtype=object))
    with pytest.raises(DataError, match="refused"):
        load_npz(tmp_path / "bad.npz")
    torch.save({"x": Command()}, tmp_path / "bad.pt")
    with pytest.raises(DataError, match="refused"):
        load_torch(tmp_path / "bad.pt")


def test_torch_files_of_tensors_and_arrays(tmp_path):
    value = {
        "edge": torch.arange(10).reshape(5, 2).T,
        "w": torch.tensor([1.5, -2]),
        "n": np.arange(3),
        "e": torch.empty(0, 2),
    }
    torch.save(value, tmp_path / "new.pt")
    got = load_torch(tmp_path / "new.pt")
    assert np.array_equal(got["edge"], value["edge"].numpy()) and got["w"].tolist() == [1.5, -2]
    assert got["n"].tolist() == [0, 1, 2] and got["e"].shape == (0, 2)


def test_object_members_of_npz(tmp_path):
    matrix = sp.csr_matrix(np.eye(3))
    members = {"m": np.array(matrix, dtype=object), "o": np.array({"k": [1]}, dtype=object), "f": np.ones((3, 2)).T}
    np.savez(tmp_path / "v.npz", **members)
    got = load_npz(tmp_path / "v.npz")
    assert (got["m"] != matrix).nnz == 0 and got["o"] == {"k": [1]} and got["f"].shape == (2, 3)


def npy_header(shape):
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (10 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def test_ten_gigabytes_declared_in_a_header(tmp_path):
    lie = npy_header((1250000000,)) + b"\0" * 64
    (tmp_path / "lie.npy").write_bytes(lie)
    with pytest.raises(DataError, match=r"declares 9.31 GiB, but the file holds 64 bytes"):
        load_npy(tmp_path / "lie.npy")
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
        archive.writestr("a.npy", lie)
    with pytest.raises(DataError, match=r"declares 9.31 GiB, but the file holds 64 bytes"):
        load_npz(tmp_path / "lie.npz")


def test_sparse_matrix_whose_indices_lie(tmp_path):
    matrix = sp.csr_matrix(np.eye(3))
    matrix.indices = np.array([0, 1, 10**6], dtype=np.int32)
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(matrix, protocol=2))
    with pytest.raises(DataError, match=r"m.pkl: cannot be read"):
        load_pickle(tmp_path / "m.pkl")


@pytest.mark.parametrize("content", [b"", b"\x80\x02", b"rubbish", b"\x00" * 100])
def test_rubbish_is_one_line(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    for load in (load_pickle, load_npy, load_npz, load_torch):
        with pytest.raises(DataError) as problem:
            load(path)
        assert str(path) in str(problem.value) and "\n" not in str(problem.value)


def test_a_pickle_with_a_huge_memo_index_takes_no_memory(tmp_path):
    out = io.BytesIO()
    out.write(b"\x80\x02K\x01r" + struct.pack("<I", 0xFFFFFFF0) + b".")
    (tmp_path / "memo.pkl").write_bytes(out.getvalue())
    assert load_pickle(tmp_path / "memo.pkl") == 1


def test_a_pickle_that_declares_a_huge_buffer_takes_no_memory(tmp_path):
    path = tmp_path / "buffer.pkl"
    path.write_bytes(b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"abc.")
    with pytest.raises(DataError, match=r"truncated: found 4 of 1099511627776 bytes"):
        load_pickle(path)
    # An array of a buffer that is a number, which bytes() would take as a size.
    call = b"\x80\x05cnumpy.core.numeric\n_frombuffer\n(J\xff\xff\xff\x7f"
    call += b"cnumpy\ndtype\nX\x02\x00\x00\x00u1\x85RK\x01\x85X\x01\x00\x00\x00Ct"
    path.write_bytes(call + b"R.")
    with pytest.raises(DataError, match="a int as the content of an array, expected bytes"):
        load_pickle(path)


def text(word):
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def raw(content):
    return b"B" + struct.pack("<I", len(content)) + content


DTYPE, ARRAY = (
    b"cnumpy\ndtype\n",
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text("b") + b"tR",
)


def dtype(code, state=b""):
    return DTYPE + text(code) + b"\x89\x88\x87R" + state


def array(shape, kind, content):
    return b"\x80\x02" + ARRAY + b"(K\x01" + shape + kind + b"\x89" + content + b"tb."


NO_FLAGS = b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
LONG = b"](" + b"K\x01" * 8 + b"e"
REFUSED = {
    "objects from bytes, as flags of a dtype made them": (
        array(b"(K\x04t", dtype("O", NO_FLAGS), raw(b"A" * 32)),
        "an array of objects of shape",
    ),
    "objects from bytes": (array(b"(K\x04t", dtype("O8"), raw(b"A" * 32)), "an array of objects of shape"),
    "too few objects": (array(b"(K\x04t", dtype("O"), b"]"), "expected a list of 4 items"),
    "a structure": (array(b"(K\x04t", dtype("i8,i8"), raw(bytes(64))), "the array type 'i8,i8'"),
    "a sub-array": (array(b"(K\x01t", dtype("(9999,9999)f8"), raw(bytes(8))), "the array type"),
    "nothing of great width": (array(b"(K\x00t", dtype("V2147483647"), raw(b"")), "the array type"),
    "text of no width": (array(b"(J\xff\xff\xff\x7ft", dtype("S0"), raw(b"")), "expected 0"),
    "names in a state": (
        array(
            b"(K\x01t",
            dtype("i8", b"(K\x03" + text("<") + b"N(" + text("a") + b"t}J\xff\xff\xff\xffK\x08K\x00tb"),
            raw(bytes(8)),
        ),
        "more than a byte order",
    ),
    "metadata": (
        array(b"(K\x01t", dtype("i8", b"(K\x04" + text("<") + b"NNNJ\xff\xff\xff\xffK\x08K\x00}tb"), raw(bytes(8))),
        "more than a byte order",
    ),
    "two states": (
        b"\x80\x02" + ARRAY + (b"(K\x01(K\x01t" + dtype("u1") + b"\x89" + raw(b"a") + b"tb") * 2 + b".",
        "a second or empty state",
    ),
    "a state for a list": (b"\x80\x02]" + b"}b.", "a state for a list"),
    "a negative side": (array(b"(J\xff\xff\xff\xfft", dtype("u1"), raw(b"")), "expected a tuple of sizes"),
    "nothing with a long side": (
        array(b"(K\x00J\xff\xff\xff\x7ft", dtype("u1"), raw(b"")),
        "an array of nothing of shape",
    ),
    "more than the bytes": (array(b"(K\x09t", dtype("u1"), raw(b"a")), "from 1 bytes, expected 9"),
    "fewer than the bytes": (array(b"(K\x01t", dtype("u1"), raw(b"abc")), "from 3 bytes, expected 1"),
    "a call of ndarray": (b"\x80\x02cnumpy\nndarray\n(J\xff\xff\xff\x7ft\x81.", "a call of numpy.ndarray"),
    "a size for bytes": (b"\x80\x02cbuiltins\nbytes\nJ\xff\xff\xff\x7f\x85R.", "bytes of something"),
    "another factory": (
        b"\x80\x02ccollections\ndefaultdict\ncbuiltins\nbytes\n\x85R.",
        "something else than pairs or list",
    ),
    "an object scalar": (
        b"\x80\x02cnumpy.core.multiarray\nscalar\n" + dtype("O") + raw(b"A" * 8) + b"\x86R.",
        "a scalar of type O",
    ),
    "a list in itself": (b"\x80\x02]q\x00h\x00a.", "a container that holds itself"),
    "a dict in itself": (b"\x80\x02}q\x00" + text("a") + b"h\x00s.", "a container that holds itself"),
    "deep": (b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".", "deep"),
    "a list as key": (b"\x80\x02}]Ns.", "a list as the key"),
    "a long integer": (b"\x80\x02\x8a\xff" + b"1" * 255 + b".", "an integer of 255 bytes"),
    "a longer one": (b"\x80\x02\x8b\xff\xff\xff\x7f", "is refused"),
    "an extension": (b"\x80\x02\x82\x01.", "is refused"),
    "an external buffer": (b"\x80\x05\x97.", "is refused"),
    "an instance": (b"\x80\x02(icollections\nOrderedDict\n.", "is refused"),
    "a reference": (b"\x80\x02" + text("x") + b"Q.", "an external reference"),
    "a bare global": (b"\x80\x02cnumpy\nndarray\n.", "which is no value"),
    "an attribute": (b"\x80\x04" + text("numpy") + text("ndarray.__reduce__") + b"\x93.", "is refused"),
    "copies": (
        b"\x80\x02"
        + text("a" * 9999)
        + b"q\x000c_codecs\nencode\nq\x010]("
        + (b"h\x01h\x00" + text("latin1") + b"\x86R") * 999
        + b"e.",
        "more memory than 100 times",
    ),
    "laughs": (
        b"\x80\x04" + LONG + b"\x94" + b"".join(b"0](" + bytes([104, k]) * 8 + b"e\x94" for k in range(20)) + b".",
        "unfolds to more than",
    ),
    "equal hashes": (
        b"\x80\x02}("
        + b"".join(b"\x8a\x0a" + (k * (2**61 - 1)).to_bytes(10, "little") + b"N" for k in range(300))
        + b"u.",
        "equal keys",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_file_may_not_do(tmp_path, case):
    content, message = REFUSED[case]
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(DataError) as problem:
        load_pickle(tmp_path / "x.pkl")
    assert message in str(problem.value) and "\n" not in str(problem.value)


def test_a_byte_order_is_kept_and_flags_are_not_looked_at(tmp_path):
    state = b"(K\x03" + text(">") + b"NNNJ\xff\xff\xff\xffK\x02K?tb"
    (tmp_path / "x.pkl").write_bytes(array(b"(K\x02t", dtype("i2", state), raw(b"\x00\x01\x01\x00")))
    assert load_pickle(tmp_path / "x.pkl").tolist() == [1, 256]


def torch_zip(path, size, stride, values=1, offset=0):
    """A torch file with one tensor of that size and stride in a storage of so many values, which torch would write for
    no tensor.
    """
    numbers = b"".join(b"(" + b"".join(b"J" + struct.pack("<i", n) for n in sides) + b"t" for sides in (size, stride))
    content = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(("
        + text("storage")
        + b"ctorch\nLongStorage\n"
        + text("0")
        + text("cpu")
    )
    content += b"K\x01tQK" + bytes([offset]) + numbers + b"\x89ccollections\nOrderedDict\n)RtR."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", np.arange(values, dtype="<i8").tobytes())


@pytest.mark.parametrize(
    ("size", "stride", "values", "offset"),
    [
        ((7 * 10**8,), (0,), 1, 0),
        ((2, 3), (0, 0), 5, 0),
        ((4,), (2,), 6, 0),
        ((2,), (1,), 2, 1),
        ((2**31 - 1, 0), (1, 1), 1, 0),
        ((1, 2), (1,), 2, 0),
    ],
)
def test_a_tensor_is_no_larger_than_its_storage(tmp_path, size, stride, values, offset):
    torch_zip(tmp_path / "x.pt", size, stride, values, offset)
    with pytest.raises(DataError):
        load_torch(tmp_path / "x.pt")


def test_strides_are_followed(tmp_path):
    base = torch.arange(24)
    views = {"t": base.reshape(4, 6).T, "s": base.reshape(4, 6)[1:, ::2], "o": base[5:6], "z": base[:0]}
    torch.save(views, tmp_path / "x.pt")
    for key, value in load_torch(tmp_path / "x.pt").items():
        assert np.array_equal(value, views[key].numpy()), key


def test_a_zip_of_large_members_is_refused_by_the_budget(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(4):
            archive.writestr(f"a{k}.npy", npy_header((1 << 17,)) + bytes(1 << 20))
    with (
        budget.scope(3 << 20),
        pytest.raises(DataError, match=r"member a2.npy of 1 MiB exceeds the 3 MiB that reading may take"),
    ):
        load_npz(tmp_path / "x.npz")
    assert os.path.getsize(tmp_path / "x.npz") < 10_000
    with budget.scope(5 << 20):
        assert len(load_npz(tmp_path / "x.npz")) == 4


def test_data_objects_with_tensors_inside(tmp_path, monkeypatch):
    """As torch_geometric's lists of graphs were written: a class with a state, and storages that are torch files of
    their own.
    """
    module = types.ModuleType("torch_geometric.data.data")
    module.Data = type("Data", (), {"__module__": "torch_geometric.data.data"})
    for name in ("torch_geometric", "torch_geometric.data"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "torch_geometric.data.data", module)
    graph = module.Data()
    graph.x, graph.edge_index, graph.y = (
        torch.tensor([[1], [0], [1]]),
        torch.tensor([[0, 1], [1, 2]]),
        torch.tensor([0.5]),
    )
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([graph], protocol=3))
    got = load_pickle(tmp_path / "x.pkl")[0]
    assert sorted(got) == ["edge_index", "x", "y"]
    assert all(np.array_equal(got[key], value.numpy()) for key, value in vars(graph).items())


def test_dictionaries_with_factories_and_orders(tmp_path):
    lists = collections.defaultdict(list, {3: [1, 2], 1: [3]})
    ordered = collections.OrderedDict([("b", 1), ("a", (1, 2.5, None, True))])
    keys = {(np.int64(1), 2, np.float64(3)): np.array([1, 2])}
    for protocol in (2, 3, 4, 5):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps([lists, ordered, keys], protocol=protocol))
        got = load_pickle(tmp_path / "x.pkl")
        assert got[0] == dict(lists) and list(got[1].items()) == list(ordered.items())
        assert got[2][1, 2, 3.0].tolist() == [1, 2]
