"""Embedding files: what is written is read back by us and by the format's own library; lies are refused."""

import io

import numpy as np
import pytest

from graphkit.core.errors import DataError, UsageError
from graphkit.io import embeddings

VECTORS = np.array([[1.5, -2.25], [1e-30, 3e30], [0.1, 7.0]], np.float32)
IDS = np.array(["ann", "b,o'b\"", "κ"], dtype=object)
ENDINGS = [".npy", ".npz", ".parquet", ".tsv", ".txt", ".vec"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("ids", [None, IDS, np.array([30, 10, -2])])
def test_files_hold_every_bit_and_id(tmp_path, ending, ids):
    path = tmp_path / f"vectors{ending}"
    embeddings.write(path, VECTORS, ids)
    vectors, found = embeddings.read(path)
    np.testing.assert_array_equal(vectors, VECTORS)
    expected = np.arange(3) if ids is None else ids
    if ending == ".npy" and ids is None:
        assert found is None
    else:
        assert [str(name) for name in found.tolist()] == [str(name) for name in expected.tolist()]
    node_ids = expected[::-1]
    if found is not None:
        np.testing.assert_array_equal(embeddings.aligned(vectors, found, node_ids), VECTORS[::-1])
    assert not list(tmp_path.glob(".*"))


def test_other_libraries_read_the_files(tmp_path):
    for ending in ENDINGS:
        embeddings.write(tmp_path / f"vectors{ending}", VECTORS, IDS)
    np.testing.assert_array_equal(np.load(tmp_path / "vectors.npy"), VECTORS)
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(tmp_path / "vectors.parquet")
    assert table.columns.tolist() == ["id", "dim_0", "dim_1"] and table["id"].tolist() == IDS.tolist()
    table = pandas.read_csv(tmp_path / "vectors.tsv", sep="\t", quoting=3)
    np.testing.assert_array_equal(table[["dim_0", "dim_1"]].to_numpy(np.float32), VECTORS)
    models = pytest.importorskip("gensim.models")
    words = models.KeyedVectors.load_word2vec_format(str(tmp_path / "vectors.txt"))
    np.testing.assert_array_equal(words["κ"], VECTORS[2])


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("shape", [(0, 2), (1, 1), (5, 3)])
def test_small_shapes_and_pieces(tmp_path, ending, shape, monkeypatch):
    monkeypatch.setattr(embeddings, "PIECE", 6)  # two rows at a time
    vectors = np.asfortranarray(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    embeddings.write(tmp_path / f"v{ending}", vectors)
    np.testing.assert_array_equal(embeddings.read(tmp_path / f"v{ending}")[0], vectors)


def test_tsv_begins_with_its_header():
    stream = io.BytesIO()
    embeddings.write_text(stream, VECTORS, IDS)
    assert stream.getvalue().decode().splitlines()[:2] == ["id\tdim_0\tdim_1", "ann\t1.5\t-2.25"]


def test_new_file_does_not_inherit_the_ids_of_an_old_one(tmp_path):
    embeddings.write(tmp_path / "v.npy", VECTORS, IDS)
    embeddings.write(tmp_path / "v.npy", VECTORS)
    assert embeddings.read(tmp_path / "v.npy")[1] is None


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.npy", b"", "not a readable npy embedding"),
        ("a.npy", b"rubbish" * 90, "is not in npy format"),
        ("a.npy", b"\x93NUMPY\x01\x00rubbish", "not a readable npy embedding"),
        ("a.npz", b"PK\x03\x04 cut", "not a readable npz embedding"),
        ("a.npz", b"rubbish", "not a readable npz embedding: no zip archive"),
        ("a.parquet", b"PAR1 no PAR1", "not a readable parquet embedding"),
        ("a.tsv", b"", "not a readable tsv embedding"),
        ("a.tsv", b"id\tdim_0\nx\tone\n", "not a readable tsv embedding|expected numbers"),
        ("a.tsv", b"id\tdim_0\nx\t1.0\t2.0\n", "not a readable tsv embedding"),
        ("a.tsv", b"node\tdim_0\nx\t1.0\n", "the first column is 'node', expected 'id'"),
        ("a.tsv", b"id\tdim_0\nx\tnan\n", "row 0 has a value that is not a finite number"),
        ("a.txt", b"ann 1 2\n", "line 1 is not 'NODES DIMENSIONS'"),
        ("a.txt", b"2 2\nann 1 2\n", "found 1 vectors, expected 2 as line 1 says"),
        ("a.txt", b"1 999999999\nann 1 2\n", "not a readable word2vec embedding|expected"),
        ("a.xyz", b"", "found the ending '.xyz', expected one of"),
    ],
)
def test_files_that_lie_are_refused_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises((DataError, UsageError), match=message) as caught:
        embeddings.read(tmp_path / name)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_arrays_of_the_wrong_kind_are_refused(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"found an array \(3,\)"):
        embeddings.read(tmp_path / "flat.npy")
    np.save(tmp_path / "objects.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(DataError, match="not a readable npy"):
        embeddings.read(tmp_path / "objects.npy")
    with pytest.raises(DataError, match="no such file"):
        embeddings.read(tmp_path / "missing.npy")
    with pytest.raises(DataError, match="has no vector for node eve"):
        embeddings.aligned(VECTORS, IDS, np.array(["ann", "eve"]))
    with pytest.raises(DataError, match="found 3 vectors, expected 4"):
        embeddings.aligned(VECTORS, None, np.arange(4))


def test_ids_that_a_text_format_cannot_hold_are_refused(tmp_path):
    with pytest.raises(DataError, match="id 'two words': has a blank"):
        embeddings.write(tmp_path / "v.txt", VECTORS[:1], np.array(["two words"]))
    assert not list(tmp_path.iterdir())
