"""Numbers as they are written elsewhere are read as what they are, or refused with their line."""

from __future__ import annotations

import numpy as np
import pandas
import pytest
import scipy.io

from graphkit import datasets
from graphkit.core.errors import DataError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers.files import read_graph


def weights(path, **options):
    found = datasets.load(str(path), read=ReadOptions(directed=True, **options))
    return found.graph.edata["weight"].tolist(), found


@pytest.mark.parametrize("mark", [";", "\t", " ", "|"])
@pytest.mark.parametrize("header", [True, False])
def test_a_decimal_comma_is_read_and_said(tmp_path, mark, header):
    rows = [(0, 1, "0,5"), (1, 2, "-12,25"), (2, 3, "7"), (3, 4, "1,5e-3"), (4, 5, "1,250")]
    path = tmp_path / "g.csv"
    path.write_text(
        "".join(mark.join(map(str, row)) + "\n" for row in ([("src", "dst", "weight")] if header else []) + rows)
    )
    values, found = weights(path, **({} if header else {"weight": "2"}))
    expected = pandas.read_csv(path, sep=mark, decimal=",", header=0 if header else None).iloc[:, 2]
    assert values == expected.tolist() == [0.5, -12.25, 7, 0.0015, 1.25]
    assert any("is read with a decimal comma ('0,5')" in line for line in found.reading)
    with pytest.raises(DataError, match="refused by --strict"):
        datasets.load(str(path), strict=True, read=ReadOptions(weight="2"))


def test_features_with_a_decimal_comma(tmp_path):
    (tmp_path / "g.csv").write_text("0,1\n1,2\n")
    (tmp_path / "x.csv").write_text("id;a;b\n2;0,5;1\n0;1,5;2\n1;-2,25;3\n")
    found = read_graph(str(tmp_path / "g.csv"), ReadOptions(features=str(tmp_path / "x.csv")))
    assert found.features.tolist() == [[1.5, 2], [-2.25, 3], [0.5, 1]]


def test_two_columns_of_such_numbers_are_no_edges(tmp_path):
    (tmp_path / "x.csv").write_text("0,5;1,2\n0,7;1,4\n2,5;3,5\n")
    with pytest.raises(DataError, match=r"column 0 holds numbers with fractions"):
        read_graph(tmp_path / "x.csv")


REFUSED = {
    "1,250": r"'1,250' in column 'weight' may be 1.250 or 1250",
    "1,234.5": r"weight '1,234.5' in column 'weight', expected a number \(thousands are not separated\)",
    "1'250": r"thousands are not separated",
    "1\u00a0250": r"thousands are not separated",
    "\u22125": r"the minus sign is another character",
    "50%": r"a share is a number without %",
    "1D-3": r"the exponent's letter is E",
    "0x1F": r"hexadecimal is not read",
    "true": r"\(1 or 0\)",
    "1_000": r"weight '1_000' in column 'weight', expected a number",
    "\uff11\uff12": "weight '\uff11\uff12' in column 'weight', expected a number",
}


@pytest.mark.parametrize("cell", REFUSED)
def test_other_forms_are_refused_with_their_line(tmp_path, cell):
    path = tmp_path / "g.tsv"
    path.write_text(f"src\tdst\tweight\n0\t1\t2\n1\t2\t{cell}\n")
    with pytest.raises(DataError, match=f"line 3: .*{REFUSED[cell]}") as problem:
        read_graph(path)
    assert "\n" not in str(problem.value)


def test_commas_between_cells_stay_commas(tmp_path):
    for text in ("1,2\n3,4\n", "a;1,b;2\nc;3,d;4\n", "a b,c d\ne f,g h\n"):
        (tmp_path / "g.txt").write_text(text)
        found = read_graph(tmp_path / "g.txt", ReadOptions(directed=True))
        rows = [line.split(",") for line in text.splitlines()]
        ids = found.ids().astype(str).tolist()
        assert sorted((ids[u], ids[v]) for u, v in zip(*(ends.tolist() for ends in found.graph.edges()))) == sorted(
            map(tuple, rows)
        ), text


def test_matrix_market_of_fortran(tmp_path):
    path = tmp_path / "g.mtx"
    path.write_text("%%MatrixMarket matrix coordinate real general\n3 3 3\n1 2 1.5D-3\n2 3 -2d+1\n3 1 1E0\n")
    values, _ = weights(path)
    assert values == [0.0015, -20.0, 1.0]
    (tmp_path / "e.mtx").write_text(path.read_text().replace("D", "E").replace("d+", "e+"))
    assert sorted(values) == sorted(scipy.io.mmread(tmp_path / "e.mtx").data.tolist())


def test_large_whole_ids_and_zeros_in_front_are_kept(tmp_path):
    for text, expected in (
        ("9007199254740993,1\n", [1, 2**53 + 1]),
        ("007,7\n", ["007", "7"]),
        ("1.0,2.0\n", ["1.0", "2.0"]),
    ):
        (tmp_path / "g.csv").write_text(text)
        assert read_graph(tmp_path / "g.csv").ids().tolist() == expected
    pandas.DataFrame({"src": np.array([2**53 + 1, 5], dtype=np.int64), "dst": [5, 7]}).to_parquet(
        tmp_path / "g.parquet"
    )
    assert read_graph(tmp_path / "g.parquet").ids().tolist() == [5, 7, 2**53 + 1]
