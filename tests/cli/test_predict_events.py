"""graphkit predict --events: a line in, a line out, in step with the stream."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from graphkit.cli.main import main
from graphkit.runs.execution import load_run

RNG = np.random.default_rng(0)
ROWS = [(f"p{u}", f"q{(3 * u + v) % 8}", t) for t, (u, v) in enumerate(RNG.integers(0, (8, 2), (160, 2)).tolist())]


SMALL = ["--epochs", "1", "--eval-batch-size", "1", "--time-dim", "4"]
TRAINED = {
    "edgebank": ["--batch-size", "1"],
    "nat": ["--epochs", "1", "--self-dim", "8", "--cache", "4,3"],
    "tgn": [*SMALL, "--memory-dim", "6", "--hidden-dim", "6"],
    "tgat": [*SMALL, "--hidden-dim", "6", "--neighbours", "4"],
    "jodie": [*SMALL, "--memory-dim", "6"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    (folder / "my.csv").write_text("from,to,time\n" + "".join(f"{u},{v},{t}\n" for u, v, t in ROWS))
    for name, options in TRAINED.items():
        with pytest.raises(SystemExit) as stop:
            main(
                [
                    "train",
                    name,
                    "--edges",
                    str(folder / "my.csv"),
                    *options,
                    "--out",
                    str(folder / name),
                    "--save-predictions",
                    "-q",
                ]
            )
        assert stop.value.code == 0
    with pytest.raises(SystemExit):
        main(["train", "cn", "--dataset", "karate", "--out", str(folder / "links"), "-q"])
    (folder / "later.tsv").write_text(
        "source\ttarget\ttime\np1\tq3\t200\n\n# a comment\np1\tq3\t200.5\np2\tq7\t1300000000\n"
    )
    return folder


@pytest.fixture
def predict(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    return lambda *words: command("predict", *words)


def test_ids_and_times_come_back_as_they_were(predict, folder):
    code, out, _ = predict("nat", "--events", "later.tsv")
    head, *rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and head == ["source", "target", "time", "score"]
    assert [row[:3] for row in rows] == [["p1", "q3", "200"], ["p1", "q3", "200.5"], ["p2", "q7", "1300000000"]]
    assert (
        predict("nat", "--events", "later.tsv", "-o", "scores.tsv")[:2] == (0, "")
        and (folder / "scores.tsv").read_text() == out
    )
    found = json.loads(predict("nat", "--events", "later.tsv", "--json")[1])
    assert [row["score"] for row in found] == pytest.approx([float(row[3]) for row in rows], rel=1e-7)


@pytest.mark.parametrize("name", ["edgebank", "tgn", "tgat", "jodie"])
def test_the_events_of_the_test_are_scored_as_the_run_scored_them(predict, folder, name):
    split, scores = load_run(name).restore()[1].split, np.load(folder / name / "predictions.npz")["y_pred_pos"]
    (folder / "test.csv").write_text("".join(f"{u},{v},{t}\n" for u, v, t in (ROWS[k] for k in split.test)))
    out = predict(name, "--events", "test.csv", "--after", "valid")[1]
    assert [float(line.split("\t")[3]) for line in out.splitlines()[1:]] == pytest.approx(
        scores.tolist(), rel=1e-4, abs=1e-5
    )


def test_a_consumer_follows_the_stream_live(folder):
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    words = [sys.executable, "-m", "graphkit.cli.main", "predict", "edgebank", "--events", "-"]
    with subprocess.Popen(words, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        for time in (300, 301):
            process.stdin.write(f"p1\tq7\t{time}\n".encode())
            process.stdin.flush()
            line = process.stdout.readline().decode()
            if time == 300:
                assert line.startswith("source")
                line = process.stdout.readline().decode()
            assert line.startswith(f"p1\tq7\t{time}\t")  # answered before the next one is sent
        process.stdin.close()
        assert process.stdout.read() == b"" and process.wait(60) == 0


@pytest.mark.parametrize("name", TRAINED)
def test_new_nodes_are_taken_in_where_they_may_come(predict, folder, name):
    (folder / "new.tsv").write_text("p1\tzoe\t200\np1\tzoe\t201\nyan\tzoe\t202\np1\tq3\t203\n")
    code, _, err = predict(name, "--events", "new.tsv")
    assert code == 3 and err.splitlines()[-1].endswith(
        "line 1: 'zoe' is not a node of the graph; --new-nodes takes such nodes in"
    )
    code, out, err = predict(name, "--events", "new.tsv", "--new-nodes")
    rows = [line.split("\t") for line in out.splitlines()[1:]]
    assert code == 0 and [row[:2] for row in rows] == [["p1", "zoe"], ["p1", "zoe"], ["yan", "zoe"], ["p1", "q3"]]
    assert "new.tsv, line 1: 'zoe' is new to the run" in err and "yan" not in err
    assert rows[0][3] != rows[1][3]  # a node is known once it has been met


def test_a_new_node_of_numbered_ones_is_a_number(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [(int(u[1:]), 8 + int(v[1:]), t) for u, v, t in ROWS]
    (tmp_path / "my.csv").write_text("from,to,time\n" + "".join(f"{u},{v},{t}\n" for u, v, t in rows))
    assert command("train", "edgebank", "--edges", "my.csv", "--out", "run", "-q")[0] == 0
    (tmp_path / "new.tsv").write_text("1\t99\t200\n1\t99\t201\n")
    code, out, _ = command("predict", "run", "--events", "new.tsv", "--new-nodes", "--json")
    assert code == 0 and [(row["source"], row["target"], row["score"]) for row in json.loads(out)] == [
        (1, 99, 0.0),
        (1, 99, 1.0),
    ]
    for cell in ("01", "1.0", "-4", "x"):
        (tmp_path / "new.tsv").write_text(f"1\t99\t200\n{cell}\t99\t201\n")
        code, _, err = command("predict", "run", "--events", "new.tsv", "--new-nodes")
        assert code == 3 and f"new.tsv, line 2: node '{cell}', expected a whole number from 0" in err


@pytest.mark.parametrize(
    "words, text, code, message",
    [
        (["links", "--top-k", "3", "--new-nodes"], "", 2, "--new-nodes needs --events"),
        (["nat"], "", 2, "nat: a run of nat: needs --events"),
        (["links", "--events", "bad.txt"], "", 2, "links: a run of cn: takes no --events"),
        (["links", "--top-k", "3", "--after", "test"], "", 2, "--after needs --events"),
        (["nat", "--events", "absent.txt"], "", 3, "absent.txt: No such file"),
        (
            ["nat", "--events", "bad.txt"],
            "p1 q3 200\np1 q3\n",
            3,
            "bad.txt, line 2: found 2 columns, expected source, target, time",
        ),
        (
            ["nat", "--events", "bad.txt"],
            "p1 q3 200\np1 x3 201\n",
            3,
            "bad.txt, line 2: 'x3' is not a node of the graph",
        ),
        (
            ["nat", "--events", "bad.txt"],
            "p1 q3 2x0\np1 q3 201\n",
            3,
            "bad.txt, line 1: time '2x0', expected a finite number",
        ),
        (
            ["nat", "--events", "bad.txt"],
            "p1 q3 200\np1 q3 nan\n",
            3,
            "bad.txt, line 2: time 'nan', expected a finite number",
        ),
        (
            ["nat", "--events", "bad.txt"],
            "p1 q3 200\np1 q3 199\n",
            3,
            "time 199 comes after 200, the last so far; expected events in",
        ),
        (
            ["nat", "--events", "bad.txt", "--new-nodes"],
            "p1,,200\n",
            3,
            "bad.txt, line 1: an empty cell, expected a node",
        ),
        (
            ["nat", "--events", "bad.txt"],
            "p1 q3 10\n",
            3,
            "line 1: time 10 comes after 159, the last so far; expected events in",
        ),
        (
            ["nat", "--events", "bad.txt"],
            b"p1 q3 200\n\xff\xfe q3 201\n",
            3,
            "bad.txt, line 2: is not UTF-8, expected text",
        ),
    ],
    ids=str,
)
def test_one_line_says_what_is_wrong(predict, folder, words, text, code, message):
    (folder / "bad.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    found, _, err = predict(*words)
    assert found == code and message in err.splitlines()[-1] and "Traceback" not in err


TIMES = {
    "whole": (
        [str(1_700_000_000_000_000_000 + k) for k in range(40)],
        "1700000000000000041",
        "1700000000000000039.5",
        "time 1700000000000000039.5, expected a whole number",
    ),
    "dates": (
        [f"2024-03-01T{k // 4:02d}:{k % 4 * 15:02d}:00+02:00" for k in range(40)],
        "2024-03-01T10:00:00+02:00",
        "1709280000",
        "time '1709280000', expected an ISO 8601 date",
    ),
}


@pytest.mark.parametrize("kind", TIMES)
def test_events_that_come_have_times_as_the_runs_and_come_out_as_they_came(command, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    times, later, odd, message = TIMES[kind]
    (tmp_path / "my.csv").write_text(
        "from,to,time\n" + "".join(f"p{k % 5},q{k % 3},{time}\n" for k, time in enumerate(times))
    )
    assert command("train", "edgebank", "--edges", "my.csv", "--out", "run", "-q")[0] == 0
    (tmp_path / "new.csv").write_text(f"p1,q1,{later}\np1,q1,{later}\n")
    code, out, _ = command("predict", "run", "--events", "new.csv")
    assert code == 0 and [line.split("\t")[2] for line in out.splitlines()[1:]] == [later, later]
    for cell, says in (
        (odd, message),
        (times[-2], f"time {times[-2]} comes after {times[-1]}, the last so far"),
        ("9223372036854775808", "beyond 64 bits" if kind == "whole" else "expected an ISO 8601 date"),
    ):
        (tmp_path / "new.csv").write_text(f"p1,q1,{cell}\n")
        code, _, err = command("predict", "run", "--events", "new.csv")
        assert code == 3 and says in err.splitlines()[-1] and "Warning" not in err
