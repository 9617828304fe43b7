"""The rule of reading: a line on stderr, kept with the data, refused where strictness is asked for."""

import pytest

from graphkit import datasets
from graphkit.core import reading
from graphkit.core.errors import DataError
from graphkit.core.read_options import ReadOptions

LOOP = "0,1\n1,2\n2,0\n0,0\n"  # a triangle and a self-loop, which is dropped unasked


@pytest.fixture
def loop(tmp_path):
    path = tmp_path / "loop.csv"
    path.write_text(LOOP)
    return str(path)


def test_lines_are_kept_once_in_their_order_and_reach_the_ledger_around():
    with reading.ledger() as outer, reading.ledger() as inner:
        reading.note("f", "two")
        reading.note("f", "one")
        reading.note("f", "two")
    assert inner.lines == outer.lines == ["f: two", "f: one"]


def test_strictness_of_the_ledger_around_holds_inside():
    with (
        reading.ledger(strict=True),
        reading.ledger(),
        pytest.raises(DataError, match=r"^f: one \(refused by --strict\)$"),
    ):
        reading.note("f", "one")


def test_each_line_is_printed_once(caplog):
    with reading.ledger():
        for _ in range(2):
            with reading.ledger():
                reading.note("f", "one")
    assert [record.getMessage() for record in caplog.records] == ["f: one"]


def test_outside_of_a_command_nothing_is_kept(caplog):
    reading.note("f", "one")
    assert reading.lines() == [] and len(caplog.records) == 1


def test_a_load_knows_what_it_changed(loop):
    assert any("1 self-loop" in line for line in datasets.load(loop).reading)
    assert datasets.load("karate").reading == ()


def test_a_strict_load_refuses(loop):
    with pytest.raises(DataError, match="self-loop"):
        datasets.load(loop, strict=True)
    assert datasets.load(loop, strict=True, read=ReadOptions(self_loops="keep")).num_nodes == 3
