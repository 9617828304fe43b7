"""--strict, -q and the lines about reading in every command."""

import json

import pytest


@pytest.fixture
def loop(tmp_path):
    path = tmp_path / "loop.csv"
    path.write_text("0,1\n1,2\n2,0\n0,0\n")  # a triangle and a self-loop, which is dropped unasked
    return str(path)


def test_a_line_is_printed_once_and_kept_in_the_result(loop, command, tmp_path):
    code, _, err = command("embed", "--method", "fastrp", "--dim", "2", "--edges", loop, "--out", tmp_path / "run")
    assert code == 0 and err.count("self-loop dropped") == 1
    assert any("self-loop" in line for line in json.loads((tmp_path / "run" / "result.json").read_text())["reading"])


def test_training_keeps_the_lines_and_says_what_a_method_ignores(tmp_path, command):
    edges = tmp_path / "w.csv"
    edges.write_text(
        "source,target,weight\n" + "".join(f"{i},{j},{i + j}\n" for i in range(40) for j in (i + 1, i + 3)) + "3,3,1\n"
    )
    code, out, err = command("train", "cn", "--edges", edges, "--out", tmp_path / "run", "--json")
    lines = json.loads(out)["reading"]
    assert code == 0 and len(lines) == len(set(lines)) == 2
    assert "1 self-loop dropped" in lines[0] and lines[1] == "w: has edge weights, which cn ignores"
    assert all(err.count(line) == 1 for line in lines)
    code, out, err = command(
        "train", "cn", "--edges", edges, "--self-loops", "keep", "--out", tmp_path / "strict", "--strict"
    )
    assert (code, out) == (3, "") and "has edge weights" in err and not (tmp_path / "strict").exists()


@pytest.mark.parametrize("place", [0, 3, 5])
def test_strict_refuses_before_and_after_the_verb(loop, command, place):
    words = ["embed", "--method", "fastrp", "--edges", loop]
    words.insert(place, "--strict")
    code, out, err = command(*words)
    assert (code, out, err.count("\n")) == (3, "", 1) and "self-loop" in err and "--strict" in err
    assert command(*words, "--self-loops", "keep", "--dim", "2", "-o", "-")[0] == 0


def test_quiet_hides_the_line_and_info_prints_it_once(loop, command):
    assert command("-q", "data", "info", loop)[2] == ""
    assert command("data", "info", loop)[2].count("self-loop") == 1
    assert command("data", "info", loop, "--strict")[0] == 3
