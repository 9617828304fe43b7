"""One process at a time writes a run: real processes, killed and stopped, and locks of other hosts and of numbers that
were given anew.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from served import graphkit

TRAIN = ["train", "gcn", "--dataset", "karate", "--epochs", "400", "--threads", "1", "--out"]


def train(out, *more):
    return graphkit(*TRAIN, out, *more)


def wait_for(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def running(tmp_path):
    """A training that has begun and stands still."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "graphkit.cli.main", *TRAIN, str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = out / "metrics.jsonl"
    wait_for(lambda: process.poll() is not None or (log.exists() and log.stat().st_size))
    process.send_signal(signal.SIGSTOP)
    yield out, process
    if process.poll() is None:
        process.kill()
        process.wait()


def test_second_training_is_refused_and_a_killed_one_goes_on(running, tmp_path):
    out, process = running
    assert process.poll() is None
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    for more in (["--resume"], []):
        second = train(out, *more)
        assert second.returncode == 2 and second.stderr.count("\n") == 1, second.stderr
        assert str(process.pid) in second.stderr or "already holds a run" in second.stderr
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before
    process.kill()  # the test has not noticed its end yet: for the system it is a zombie, which holds nothing
    third = train(out, "--resume")
    assert third.returncode == 0, third.stderr
    assert not (out / ".lock").exists()
    process.wait()
    assert train(tmp_path / "whole").returncode == 0
    found, expected = (json.loads((path / "result.json").read_text())["metrics"] for path in (out, tmp_path / "whole"))
    assert found == expected


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    return path


def lock_of(path, **changes):
    """Write the lock that this process would, with some of its words changed."""
    from graphkit.io import locks

    (path / ".lock").write_text(json.dumps({**locks._myself(), **changes}))


def test_number_given_anew_is_not_the_holder(folder, command):
    lock_of(folder, started=1)
    code, _, err = command("train", "cn", "--dataset", "karate", "--out", folder)
    assert code == 0, err
    assert not (folder / ".lock").exists() and (folder / "result.json").exists()


def test_ended_process_and_machine_that_started_anew_hold_nothing(folder, command):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    lock_of(folder, pid=ended.pid)
    assert command("train", "cn", "--dataset", "karate", "--out", folder)[0] == 0


@pytest.mark.parametrize(
    "changes",
    [{"host": "elsewhere", "started": 1}, {"container": "pid:[1]", "pid": 2**22 + 1}],
    ids=["host", "container"],
)
def test_lock_of_another_host_stands_until_its_file_is_removed(folder, command, changes):
    lock_of(folder, **changes)
    code, out, err = command("train", "cn", "--dataset", "karate", "--out", folder)
    assert (code, out) == (2, "") and err.count("\n") == 1 and str(folder / ".lock") in err
    assert os.listdir(folder) == [".lock"]
    (folder / ".lock").unlink()
    assert command("train", "cn", "--dataset", "karate", "--out", folder)[0] == 0


def test_lock_that_names_nobody_stands(folder, command):
    (folder / ".lock").write_text("")
    code, _, err = command("train", "cn", "--dataset", "karate", "--out", folder)
    assert code == 2 and str(folder / ".lock") in err


@pytest.mark.parametrize(
    "words",
    [
        ("embed", "--method", "fastrp", "--dataset", "karate", "--dim", "4", "--out", "DIR"),
        ("train", "largegt", "--prepare-only", "--dataset", "karate", "--k", "4", "--out", "DIR"),
        ("count", "orbit-adjacency", "--dataset", "karate", "-o", "DIR"),
        (
            "train",
            "lagnn",
            "--generator-only",
            "--dataset",
            "digits",
            "--select",
            "none",
            "--generator-steps",
            "1",
            "--out",
            "FILE",
        ),
    ],
    ids=lambda words: words[0],
)
def test_every_command_that_writes_a_folder_holds_its_lock(tmp_path, command, words):
    from graphkit.io.locks import locked

    target = tmp_path / "target"
    words = [str(target) if word in ("DIR", "FILE") else word for word in words]
    with locked(target, folder="--generator-only" not in words):
        code, out, err = command(*words)
    assert (code, out) == (2, "") and err.count("\n") == 1 and str(os.getpid()) in err, err
    assert command(*words)[0] == 0
    assert not [path for path in tmp_path.rglob("*lock*")]


def test_two_that_find_a_dead_holder_do_not_both_take_over(folder):
    script = (
        "import sys, time; from graphkit.io.locks import locked\n"
        "sys.stdin.readline()\nwith locked(sys.argv[1]): print('held', flush=True); sys.stdin.readline()\n"
    )
    lock_of(folder, started=1)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    several = [subprocess.Popen([sys.executable, "-c", script, str(folder)], **pipes) for _ in range(4)]
    for process in several:
        process.stdin.write("go\n")
        process.stdin.flush()
    wait_for(lambda: sum(process.poll() is not None for process in several) == 3)
    holder = [process for process in several if process.poll() is None]
    assert len(holder) == 1 and holder[0].stdout.readline() == "held\n"
    holder[0].communicate("done\n", timeout=60)
    assert holder[0].returncode == 0 and os.listdir(folder) == []
