"""What graphkit train says beside its result: on stderr, when stopped early, when its output has no room."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from served import graphkit

PROCESS = [sys.executable, "-m", "graphkit.cli.main"]


def train(tmp_path, *words, dataset="karate", method="cn"):
    return graphkit("train", method, "--dataset", dataset, "--out", tmp_path / "run", *words)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_while_the_data_load_ends_in_one_line(tmp_path, name):
    pipe = tmp_path / "edges.csv"
    os.mkfifo(pipe)  # a file that never ends: the command waits in the middle of loading
    process = subprocess.Popen(
        [*PROCESS, "train", "cn", "--edges", str(pipe)], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    writer = None
    while writer is None and time.monotonic() < deadline and process.poll() is None:
        try:
            writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # not opened for reading yet
            time.sleep(0.05)
    assert writer is not None, process.communicate()[1]
    time.sleep(0.2)
    process.send_signal(getattr(signal, name))
    message = process.communicate(timeout=60)[1]
    os.close(writer)
    assert process.returncode == 143
    assert message == f"graphkit: error: stopped by {name}; nothing was saved\n"


def test_quiet_means_quiet(tmp_path):
    done = train(tmp_path, "-q")
    assert done.returncode == 0 and done.stderr == ""
    assert "run folder: " in train(tmp_path, "--resume").stderr


def test_what_a_method_ignores_is_said(tmp_path):
    assert "les-miserables: has edge weights, which cn ignores" in train(tmp_path, dataset="les-miserables").stderr


def test_leaderboard_is_part_of_the_json(tmp_path):
    found = json.loads(train(tmp_path, "--leaderboard", "--json").stdout)
    assert found["leaderboard"]["dataset"] == "karate" and found["leaderboard"]["runs"] == "1 (seeds 0)"


def test_no_room_on_stdout_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run([*PROCESS, "methods", "--json"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "No space left" in done.stderr and "internal error" not in done.stderr


def test_hits_among_fewer_negatives_are_marked(tmp_path):
    """The karate club has 78 links, so that fewer than 100 negatives are drawn for either part."""
    done = train(tmp_path)
    rows = {line.split()[0]: line for line in done.stdout.splitlines()[3:]}
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["always_one"]["hits@100"] == ["valid", "test"] and "hits@1" not in result["always_one"]
    for name, parts in result["always_one"].items():
        assert rows[name].count("*") == len(parts) and all(result["metrics"][name][part]["mean"] == 1 for part in parts)
    assert all("*" not in line for name, line in rows.items() if name not in (*result["always_one"], "*"))
    assert "* 1 whatever the scores, by OGB's rule: fewer than k negatives" in done.stdout.splitlines()
    shown = graphkit("runs", "show", tmp_path / "run").stdout
    assert rows["hits@100"] in shown
    compared = graphkit("runs", "compare", tmp_path / "run", tmp_path / "run").stdout.splitlines()
    assert any(line.startswith("hits@100 *") for line in compared) and any(
        line.startswith("hits@1 ") for line in compared
    )
    assert compared[-1].startswith("* 1 whatever the scores")
