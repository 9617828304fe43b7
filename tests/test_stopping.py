"""A signal ends a real process within two seconds, whatever compiled code it is in; what stood half-written is
removed.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

# pbkdf2_hmac is one call of C that goes on for hours and lets other threads run: it stands for any package's.
FOREIGN = """
import hashlib, sys
from pathlib import Path
from graphkit.cli import main
from graphkit.io.files import atomic_path

def endless(*_, **__):
    with atomic_path(Path(sys.argv[1]) / "result.tsv") as temporary:
        temporary.write_text("half of it")
        print("ready", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"word", b"salt", 2**31 - 1)

main.graphkit.main = endless
main.main([])
"""


def hear_interrupts():
    """A shell starts what runs in its background deaf to SIGINT, and so its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run_until(script, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    time.sleep(0.5)  # into the call
    return process


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 143)])
def test_foreign_code_does_not_hold_a_signal_up(tmp_path, number, code):
    process = run_until(FOREIGN, tmp_path)
    process.send_signal(number)
    try:
        error = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == code and error.startswith("graphkit: error: ") and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


WORKERS = """
import os, signal, time
from graphkit.cli import main

def command(*_, **__):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    time.sleep(0.2)
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)
    print("ready", flush=True)
    time.sleep(3)  # longer than a signal to this process would be borne
    print("went on", flush=True)

main.graphkit.main = command
main.main([])
"""


def test_a_signal_to_a_child_is_none_to_its_parent():
    process = run_until(WORKERS)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0 and "went on" in out, error


EVALUATION = """
import hashlib, sys
from graphkit.training.signals import StopRequest
from graphkit.core.stopping import stop_signals
from graphkit.training import fit

class Learner:
    model, optimizers, config = None, [], None
    def prepare(self, dataset, *, seed, device):
        print("ready", flush=True)
        while True:
            pass

with stop_signals(), StopRequest() as stop:
    try:
        fit(Learner(), None, stop=stop)
    except Exception as problem:
        print(problem, flush=True)
        sys.exit(problem.exit_code)
"""


def test_what_comes_before_training_is_broken_off():
    process = run_until(EVALUATION)
    process.send_signal(signal.SIGTERM)
    try:
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143 and "stopped by SIGTERM before training; nothing was saved" in out
