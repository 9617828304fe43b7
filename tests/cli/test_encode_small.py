"""Encodings of a graph with fewer nodes than they ask for: empty cells and a line that counts them, never a nan."""

from __future__ import annotations

import pytest

from graphkit.cli.main import main


def test_more_eigenvectors_than_nodes(tmp_path, capsys):
    (tmp_path / "pe.csv").write_text("src,dst\na,b\nb,c\nd,e\n")
    with pytest.raises(SystemExit) as stop:
        main(["encode", "--edges", str(tmp_path / "pe.csv"), "--pe", "lappe:8", "-o", str(tmp_path / "pe.tsv")])
    text, error = (tmp_path / "pe.tsv").read_text(), capsys.readouterr().err
    assert stop.value.code == 0 and "nan" not in text.lower() and "lappe has no value in 15 of 40 places" in error
    assert [len(line.split("\t")) for line in text.splitlines()] == [17] * 6
