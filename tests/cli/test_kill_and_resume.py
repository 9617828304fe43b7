"""A real process, killed at a random moment and resumed, ends with the metrics of one that was left alone."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from served import graphkit

PROCESS = [sys.executable, "-m", "graphkit.cli.main"]
WORDS = [
    "train",
    "ncn",
    "--dataset",
    "les-miserables",
    "--epochs",
    "60",
    "--batch-size",
    "32",
    "--seeds",
    "2",
    "--threads",
    "1",
    "--hidden-dim",
    "64",
]


def run(out, *extra):
    return graphkit(*WORDS, "--out", out, *extra)


def metrics_of(out):
    return json.loads((out / "result.json").read_text())["metrics"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken") / "run"
    assert run(out).returncode == 0
    return metrics_of(out), json.loads((out / "result.json").read_text())["seconds"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1", "SIGKILL"])
def test_killed_and_resumed_equals_unbroken(tmp_path, unbroken, name):
    expected, duration = unbroken
    out = tmp_path / "run"
    process = subprocess.Popen([*PROCESS, *WORDS, "--out", str(out)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    log = out / "metrics.jsonl"
    while time.monotonic() < deadline and not (log.exists() and log.stat().st_size):
        time.sleep(0.02)
    time.sleep(random.uniform(0, 0.7 * duration))
    process.send_signal(getattr(signal, name))
    message = process.communicate(timeout=300)[1]
    if not (out / "result.json").exists():  # else the run ended before the signal came, which resume must bear as well
        code = {"SIGINT": 130, "SIGKILL": -signal.SIGKILL}.get(name, 143)
        assert process.returncode == code, message
        assert "Traceback" not in message
    finished = run(out, "--resume")
    assert finished.returncode == 0, finished.stderr
    assert metrics_of(out) == expected
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(line["seed"], line["epoch"]) for line in lines] == [(s, e) for s in (0, 1) for e in range(1, 61)]
    assert not list(out.rglob("*.part")), "half-written files were left"


@pytest.mark.parametrize(
    "method, options",
    [
        ("nat", []),
        pytest.param("tgn", ["--memory-dim", "16", "--hidden-dim", "16", "--time-dim", "8"], marks=pytest.mark.slow),
    ],
)
def test_a_learner_of_events_goes_on_inside_an_epoch(tmp_path, method, options):
    """The memory of past events is in the checkpoint: the rest of the epoch is scored with it."""
    words = [
        "train",
        method,
        "--dataset",
        "repeats:n=60,events=3000",
        "--epochs",
        "2",
        "--patience",
        "0",
        "--batch-size",
        "10",
        "--threads",
        "1",
        *options,
        "--out",
    ]
    found = graphkit(*words, tmp_path / "whole")
    assert found.returncode == 0, found.stderr
    out = tmp_path / "cut"
    process = subprocess.Popen([*PROCESS, *words, str(out)], stderr=subprocess.PIPE, text=True)
    deadline, log = time.monotonic() + 300, out / "metrics.jsonl"
    while time.monotonic() < deadline and not (log.exists() and log.stat().st_size):
        time.sleep(0.02)
    time.sleep(0.2)  # into the second epoch
    process.send_signal(signal.SIGTERM)
    assert "stopped by SIGTERM in epoch 2" in process.communicate(timeout=300)[1] and process.returncode == 143
    finished = graphkit(*words, out, "--resume")
    assert finished.returncode == 0, finished.stderr
    assert metrics_of(out) == metrics_of(tmp_path / "whole")


def test_resume_with_other_options_is_refused(tmp_path, unbroken):
    out = tmp_path / "run"
    assert run(out, "--epochs", "1").returncode == 0
    again = run(out, "--resume", "--epochs", "2")
    assert again.returncode == 2
    assert "epochs 1 -> 2" in again.stderr


def test_folder_of_another_run_is_not_overwritten(tmp_path):
    out = tmp_path / "run"
    assert run(out, "--epochs", "1").returncode == 0
    again = run(out, "--epochs", "1")
    assert again.returncode == 2
    assert "already holds a run" in again.stderr and os.linesep not in again.stderr.strip()
