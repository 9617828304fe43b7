"""Files of events that were read wrongly once: 200 times of 19 digits, 1 or 100 apart, and dates."""

from pathlib import Path

import pytest

CASES = Path(__file__).parents[1] / "cases"


@pytest.mark.parametrize("name", ["ev-ns", "ev-ns100", "ev-iso"])
def test_times_come_back_as_they_were(command, tmp_path, name):
    path = CASES / f"{name}.csv"
    wanted = [line.split(",") for line in path.read_text().splitlines()[1:]]
    code, out, err = command("data", "split", path, "--task", "events")
    rows = [line.split("\t") for line in out.splitlines()[1:]]
    assert code == 0 and [row[1:4] for row in rows] == wanted and len({row[3] for row in rows}) == 200
    assert ("read as UTC" in err) == (name == "ev-iso")
    code, out, _ = command("train", "edgebank", "--edges", path, "--out", tmp_path / "run")
    assert code == 0 and "ap" in out


def test_dates_train_a_model_and_strict_refuses_to_guess_the_zone(command, tmp_path):
    words = ("train", "nat", "--edges", CASES / "ev-iso.csv", "--columns", "src,dst,time", "--epochs", "1", "--out")
    code, _, err = command(*words, tmp_path / "run")
    assert code == 0 and err.count("read as UTC in seconds since 1970") == 1
    code, _, err = command(*words, tmp_path / "strict", "--strict")
    assert code == 3 and "read as UTC" in err.splitlines()[-1]
