"""The restricted unpickler reads arrays and refuses programs and lies."""

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from graphkit.datasets.unpickle import load_npy, load_npz, load_pickle, load_torch
from graphkit.errors import DataError


class Command:
    def __reduce__(self):
        return (__import__("os").system, ("touch /tmp/graphkit-was-here",))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_and_matrices_come_back(tmp_path, protocol):
    matrix = sp.random(7, 5, 0.4, "csr", random_state=0, dtype=np.float32)
    fortran = np.asfortranarray(np.arange(6).reshape(2, 3))
    value = {"a": np.arange(6.0).reshape(2, 3), "f": fortran, "m": matrix, "b": np.array([True, False]), 3: [1, 2], "s": np.float64(2.5)}
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
    value = {"edge": torch.arange(10).reshape(5, 2).T, "w": torch.tensor([1.5, -2]), "n": np.arange(3), "e": torch.empty(0, 2)}
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
    with pytest.raises(DataError, match="declares 10000000000 bytes"):
        load_npy(tmp_path / "lie.npy")
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
        archive.writestr("a.npy", lie)
    with pytest.raises(DataError, match="declares 10000000000 bytes"):
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
    with pytest.raises(DataError, match="a bytes-like object is required"):
        load_pickle(path)
