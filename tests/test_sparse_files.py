"""Sparse matrices in files, block by block, against the whole matrix."""

from __future__ import annotations

import numpy as np
import pandas
import pytest
import scipy.io
import scipy.sparse

from graphkit.io.endings import SPARSE_FORMATS
from graphkit.io.sparse_files import SparseFile


def read(path, kind, ids):
    if kind == "npz":
        return scipy.sparse.load_npz(path).toarray()
    if kind == "mtx":
        return scipy.io.mmread(path).toarray()
    table = (
        pandas.read_parquet(path) if kind == "parquet" else pandas.read_csv(path, sep="," if kind == "csv" else "\t")
    )
    place = {name: k for k, name in enumerate(ids.tolist())}
    dense = np.zeros((len(ids),) * 2, dtype=np.int64)
    dense[[place[name] for name in table["source"]], [place[name] for name in table["target"]]] = table["count"]
    return dense


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("kind", SPARSE_FORMATS)
@pytest.mark.parametrize("rows", [1, 7, 30])
def test_pieces_make_the_matrix(tmp_path, kind, rows, named):
    generator = np.random.default_rng(3)
    dense = generator.integers(1, 2**40, (30, 30)) * (generator.random((30, 30)) < 0.2)
    dense[4], dense[29] = 0, 0
    matrix = scipy.sparse.csr_array(dense)
    sizes, indptr = np.diff(matrix.indptr).astype(np.int64), matrix.indptr
    ids = np.array([f"node {k}" for k in range(30)]) if named else np.arange(100, 130)
    cuts = [*range(0, 30, rows), 30]
    path = tmp_path / f"matrix.{kind}"
    with SparseFile(path, kind, ids) as file:
        for a, b in zip(cuts, cuts[1:]):
            file.add(sizes[a:b], matrix.indices[indptr[a] : indptr[b]], matrix.data[indptr[a] : indptr[b]])
        assert not path.exists()
    assert (file.total, file.entries) == (int(dense.sum()), matrix.nnz)
    np.testing.assert_array_equal(read(path, kind, ids), dense)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", SPARSE_FORMATS)
def test_a_matrix_without_entries(tmp_path, kind):
    path = tmp_path / f"matrix.{kind}"
    with SparseFile(path, kind, np.arange(3)) as file:
        file.add(np.zeros(3, np.int64), np.empty(0, np.int32), np.empty(0, np.int64))
    np.testing.assert_array_equal(read(path, kind, np.arange(3)), np.zeros((3, 3)))


@pytest.mark.parametrize("kind", SPARSE_FORMATS)
def test_an_error_leaves_no_file(tmp_path, kind):
    with pytest.raises(KeyError), SparseFile(tmp_path / f"matrix.{kind}", kind, np.arange(3)) as file:
        file.add(np.ones(1, np.int64), np.zeros(1, np.int32), np.ones(1, np.int64))
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_sum_may_pass_63_bits(tmp_path):
    with SparseFile(tmp_path / "m.npz", "npz", np.arange(3)) as file:
        file.add(np.full(3, 2**12), np.zeros(3 * 2**12, np.int32), np.full(3 * 2**12, 2**52))
    assert file.total == 3 * 2**64
