"""Sparse matrices in files, block by block, against the whole matrix."""

from __future__ import annotations

import numpy as np
import pandas
import pytest
import scipy.io
import scipy.sparse

from graphkit import sparse_files


def read(path, kind, ids):
    if kind == "npz":
        return scipy.sparse.load_npz(path).toarray()
    if kind == "mtx":
        return scipy.io.mmread(path).toarray()
    table = pandas.read_parquet(path) if kind == "parquet" else pandas.read_csv(path, sep="\t")
    place = {name: k for k, name in enumerate(ids.tolist())}
    dense = np.zeros((len(ids),) * 2, dtype=np.int64)
    dense[[place[name] for name in table["source"]], [place[name] for name in table["target"]]] = table["count"]
    return dense


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("kind", sparse_files.FORMATS)
@pytest.mark.parametrize("rows", [1, 7, 30])
def test_blocks_make_the_matrix(tmp_path, kind, rows, named):
    generator = np.random.default_rng(3)
    dense = generator.integers(1, 2**40, (30, 30)) * (generator.random((30, 30)) < 0.2)
    dense[4], dense[29] = 0, 0
    matrix = scipy.sparse.csr_array(dense)
    indptr = matrix.indptr.astype(np.int64)
    ids = np.array([f"node {k}" for k in range(30)]) if named else np.arange(100, 130)
    cuts = [*range(0, 30, rows), 30]
    blocks = ((a, b, matrix.indices[indptr[a] : indptr[b]], matrix.data[indptr[a] : indptr[b]]) for a, b in zip(cuts, cuts[1:]))
    path = tmp_path / f"matrix.{kind}"
    assert sparse_files.write(path, kind, indptr, blocks, ids) == int(dense.sum())
    np.testing.assert_array_equal(read(path, kind, ids), dense)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", sparse_files.FORMATS)
def test_a_matrix_without_entries(tmp_path, kind):
    path, nothing = tmp_path / f"matrix.{kind}", np.empty(0, np.int64)
    blocks = [(0, 3, nothing.astype(np.int32), nothing)]
    assert sparse_files.write(path, kind, np.zeros(4, np.int64), blocks, np.arange(3)) == 0
    np.testing.assert_array_equal(read(path, kind, np.arange(3)), np.zeros((3, 3)))


def test_a_sum_may_pass_63_bits(tmp_path):
    indptr = np.arange(0, 3 * 2**12 + 1, 2**12)
    columns, values = np.zeros(3 * 2**12, np.int32), np.full(3 * 2**12, 2**52)
    assert sparse_files.write(tmp_path / "m.npz", "npz", indptr, [(0, 3, columns, values)], np.arange(3)) == 3 * 2**64
