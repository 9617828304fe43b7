"""Tables of nodes: what is written is what comes back."""

import numpy as np
import pandas
import pytest

from graphkit import tables
from graphkit.errors import DataError, UsageError

COLUMNS = {"id": np.array(["a,b", 'say "c"', "d"], dtype=object), "count": np.array([1, 2**40, 3]), "share": np.array([0.5, np.nan, -1e-9])}


@pytest.mark.parametrize("ending", ["tsv", "csv", "parquet"])
def test_round_trip(tmp_path, ending):
    path = tmp_path / f"nodes.{ending}"
    tables.write(path, COLUMNS)
    if ending == "parquet":
        found = pandas.read_parquet(path)
    else:
        found = pandas.read_csv(path, sep="\t" if ending == "tsv" else ",", quoting=3 if ending == "tsv" else 0)
    assert list(found) == list(COLUMNS)
    assert found["id"].tolist() == COLUMNS["id"].tolist() and found["count"].tolist() == COLUMNS["count"].tolist()
    np.testing.assert_allclose(found["share"].to_numpy(dtype=float), COLUMNS["share"])


def test_what_cannot_be_written_leaves_no_file(tmp_path):
    with pytest.raises(DataError, match="has a tab or line break"):
        tables.write(tmp_path / "nodes.tsv", {"id": np.array(["a\tb"], dtype=object)})
    with pytest.raises(UsageError, match="found the ending '.xls', expected one of .tsv, .csv"):
        tables.write(tmp_path / "nodes.xls", COLUMNS)
    assert list(tmp_path.iterdir()) == []
