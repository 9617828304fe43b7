"""Tables: what is written is what pandas, Arrow and NumPy read back, whatever the ids are."""

import csv
import gzip
import io

import numpy as np
import pandas
import pyarrow.parquet
import pytest

from graphkit.core.errors import UsageError
from graphkit.io import embeddings, endings, tables

ENDINGS = ["tsv", "csv", "tsv.gz", "csv.gz", "parquet", "pq", "npz"]
WORDS = [
    "a,b",
    'say "c"',
    '"quoted"',
    "tab\there",
    "two\nlines",
    "carriage\rreturn",
    "κ;|",
    " blank ",
    "007",
    "NA",
    "1,5",
]
IDS = {
    "words": np.array(WORDS, dtype=object),
    "fixed": np.array(WORDS),
    "numbers": np.array([2**63 - 1, -5, *range(len(WORDS) - 2)]),
}


def columns(ids):
    rng = np.random.default_rng(0)
    n = len(ids)
    share = rng.standard_normal(n)
    share[1] = np.nan
    return {
        "id": ids,
        "count": np.arange(n) + 2**60,
        "share": share,
        "narrow": (share / 3).astype(np.float32),
        "wide": rng.standard_normal((n, 2)).astype(np.float32) * 1e-20,
        "class": np.array(["x,y", None] * n, dtype=object)[:n],
    }


def read(path, ids):
    """What other programs read, as a frame; text is taken as it stands."""
    if path.suffix in (".parquet", ".pq"):
        return pandas.read_parquet(path)
    if path.suffix == ".npz":
        found = np.load(path, allow_pickle=False)
        flat = {"wide_1": found["wide"][:, 0], "wide_2": found["wide"][:, 1]}
        return pandas.DataFrame({**{name: found[name] for name in found.files if name != "wide"}, **flat})
    separator = "\t" if ".tsv" in path.name else ","
    types = {
        "id": str if ids.dtype.kind in "OU" else np.int64,
        "class": str,
        **dict.fromkeys(("narrow", "wide_1", "wide_2"), np.float32),
    }
    # The parser must see a carriage return in quotes as it stands, hence the engine.
    empty = {"share": [""], "narrow": [""]}
    return pandas.read_csv(
        path, sep=separator, dtype=types, keep_default_na=False, na_values=empty, lineterminator="\n"
    )


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_gives_back_every_bit(tmp_path, ending, kind, monkeypatch):
    monkeypatch.setattr(tables, "VALUES_AT_ONCE", 21)  # three rows at a time
    ids, path = IDS[kind], tmp_path / f"nodes.{ending}"
    given = columns(ids)
    tables.write(path, given)
    found = read(path, ids)
    assert found["id"].tolist() == ids.tolist()
    assert found["count"].tolist() == given["count"].tolist()
    np.testing.assert_array_equal(found["share"].to_numpy(np.float64), given["share"])
    np.testing.assert_array_equal(found["narrow"].to_numpy(np.float32), given["narrow"])
    for k in (0, 1):
        np.testing.assert_array_equal(found[f"wide_{k + 1}"].to_numpy(np.float32), given["wide"][:, k])
    assert ["" if value is None or value != value else value for value in found["class"]] == [
        value or "" for value in given["class"]
    ]
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
    if ending.endswith(".gz"):
        gzip.decompress(path.read_bytes())
    if ending in ("parquet", "pq"):
        assert pyarrow.parquet.read_schema(path).field("narrow").type == pyarrow.float32()


def test_text_is_plain_where_it_can_be(tmp_path):
    given = {
        "id": np.array(["ann", 'b"c'], dtype=object),
        "x": np.array([7.0, 0.1], np.float32),
        "y": np.array([np.nan, 1e-9]),
    }
    out = io.BytesIO()
    tables.write_text(out, given)
    assert out.getvalue().decode() == 'id\tx\ty\nann\t7\t\nb"c\t0.1\t1e-9\n'
    tables.write(tmp_path / "a.csv", given)
    with open(tmp_path / "a.csv", newline="") as file:
        assert list(csv.reader(file)) == [["id", "x", "y"], ["ann", "7", ""], ['b"c', "0.1", "1e-9"]]


def test_rows_become_columns_of_their_kind():
    narrow = float(np.float32(0.1))
    found = tables.of_rows(("id", "n", "p", "q", "w"), [("a", 1, narrow, 0.1, None), ("b", 2, None, 2.5, "z")])
    assert {name: values.dtype for name, values in found.items()} == {
        "id": object,
        "n": np.int64,
        "p": np.float32,
        "q": np.float64,
        "w": object,
    }
    assert found["w"].tolist() == [None, "z"]
    assert np.isnan(found["p"][1])
    assert tables.line(("a\tb", 3, narrow, 0.1, 7.0, float("nan"))) == '"a\tb"\t3\t0.1\t0.1\t7\t\n'
    assert list(tables.of_rows(("id", "score"), [])) == ["id", "score"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_rows(tmp_path, ending):
    path = tmp_path / f"none.{ending}"
    tables.write(path, {"id": np.array([], dtype=object), "n": np.zeros(0, np.int64), "wide": np.zeros((0, 2))})
    found = read(path, np.array([], dtype=object))
    assert len(found) == 0
    assert set(found) == {"id", "n", "wide_1", "wide_2"}


def test_unknown_endings_name_the_known_ones(tmp_path):
    for name, ending in (
        ("nodes.xls", "'.xls'"),
        ("nodes", "'none'"),
        ("nodes.parquet.gz", "'.parquet.gz'"),
        ("nodes.gz", "'.gz'"),
    ):
        expected = f"found the ending {ending}, expected one of .tsv, .csv, .tsv.gz, .csv.gz, .parquet, .pq, .npz"
        with pytest.raises(UsageError, match=expected):
            tables.write(tmp_path / name, {"id": np.arange(2)})
    with pytest.raises(UsageError, match=r"did you mean '.tsv'"):
        endings.format_of("nodes.tvs")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv.gz", "tsv", "npy"])
def test_vectors_keep_such_ids_too(tmp_path, ending):
    vectors = np.random.default_rng(1).standard_normal((len(WORDS), 3)).astype(np.float32)
    path = tmp_path / f"vectors.{ending}"
    embeddings.write(path, vectors, IDS["words"])
    found, ids = embeddings.read(path)
    np.testing.assert_array_equal(found, vectors)
    assert ids.tolist() == WORDS
    if ending == "csv":
        frame = pandas.read_csv(path, dtype={"id": str}, keep_default_na=False, lineterminator="\n")
        assert frame["id"].tolist() == WORDS
        np.testing.assert_array_equal(frame[["dim_0", "dim_1", "dim_2"]].to_numpy(np.float32), vectors)
