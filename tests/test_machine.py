"""What graphkit asks of the machine: memory that stays with the process, and threads."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys

import pytest
from served import graphkit

from graphkit.cli.main import main
from graphkit.core import machine
from graphkit.core.errors import UsageError

CHURN = """
import resource
from graphkit.core import machine
machine.keep_memory()
import torch
torch.set_num_threads(1)
for _ in range(20):  # the first rounds touch the pages
    torch.ones(2**20).mul(2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    torch.ones(2**20).mul(2)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the thresholds are glibc's")
def test_memory_stays_unless_the_user_says_otherwise():
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    clean["THP_MEM_ALLOC_ENABLE"] = "0"  # large pages would hide the mappings
    user = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    words = [sys.executable, "-c", CHURN]
    runs = [
        subprocess.run(words, env={**clean, **more}, capture_output=True, text=True, check=True) for more in ({}, user)
    ]
    kept, mapped = (int(run.stdout) for run in runs)
    pages = 50 * 2 * 4 * 2**20 // resource.getpagesize()
    assert kept < pages / 20 and mapped > pages / 2


DRAW = """
import os, sys, zlib
os.environ["DGLBACKEND"] = "pytorch"
import dgl, torch
from graphkit.core import machine
for _ in range(12):  # no library has begun a thread here: each child begins its own
    child = os.fork()
    if not child:
        machine.set_threads(2)
        graph = dgl.graph((torch.arange(40000) // 20, torch.arange(40000) % 1999), num_nodes=2000)
        machine.seed_dgl(7)
        drawn = dgl.sampling.sample_neighbors(graph, torch.arange(2000), 5).edges()[0]
        walks = dgl.sampling.random_walk(graph, torch.arange(2000), length=4)[0]
        print(zlib.crc32(drawn.numpy().tobytes()), zlib.crc32(walks.numpy().tobytes()), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(machine.available_cores() < 2, reason="needs two threads")
def test_two_threads_of_dgl_draw_the_same_from_the_same_seed():
    """With dgl.seed alone the threads share the seeds out as they come, and 12 processes draw two different samples."""
    done = subprocess.run([sys.executable, "-c", DRAW], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 12, done.stderr
    assert len(set(done.stdout.splitlines())) == 1


COMPILE = """
import numba
from graphkit.core import machine
machine.set_threads(1)
print(numba.njit(lambda x: x + 1)(1), numba.get_num_threads())
"""


@pytest.mark.parametrize("before", ["2", None], ids=["variable", "no variable"])
def test_a_kernel_compiles_after_threads_were_set(before):
    clean = {key: value for key, value in os.environ.items() if key != "NUMBA_NUM_THREADS"}
    given = {} if before is None else {"NUMBA_NUM_THREADS": before}
    done = subprocess.run([sys.executable, "-c", COMPILE], env={**clean, **given}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "2 1\n"), done.stderr


THREADS = """
import os, sys
import numpy  # as most commands do before they know of threads
from graphkit.core import machine
print(machine.set_threads(int(sys.argv[1]) or None))
import torch, dgl, numba, threadpoolctl
dgl.graph(([0], [1]))
blas = {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}
print(torch.get_num_threads(), dgl.utils.get_num_threads(), numba.get_num_threads(), *sorted(blas))
"""


@pytest.mark.skipif(machine.available_cores() < 2, reason="one core")
@pytest.mark.parametrize(
    "variable, option, expected",
    [(None, 0, "all"), ("1", 0, "1"), ("1,2", 0, "1"), ("1", 2, "2"), ("2", 1, "1"), (None, 1, "1")],
)
def test_threads_of_the_user_stand_unless_the_option_says_otherwise(variable, option, expected):
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {key: value for key, value in os.environ.items() if key not in names}
    environment.update({} if variable is None else {"OMP_NUM_THREADS": variable})
    done = subprocess.run([sys.executable, "-c", THREADS, str(option)], env=environment, capture_output=True, text=True)
    expected = str(machine.available_cores()) if expected == "all" else expected
    assert done.returncode == 0 and set(done.stdout.split()) == {expected}, done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["train", "cn", "--dataset", "karate"],
        ["embed", "--method", "fastrp", "--dataset", "karate"],
        ["encode", "--pe", "rwse:2", "--dataset", "karate"],
        ["count", "check", "karate"],
        ["cluster", "local", "karate", "--seeds", "0"],
    ],
    ids=lambda words: words[0],
)
def test_more_threads_than_cores_are_wrong_usage(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--threads", "100000"])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and len(err.splitlines()) == 1 and f"at most {machine.available_cores()}" in err


def test_a_variable_of_more_threads_than_cores_is_cut_to_them_with_a_line(monkeypatch, caplog):
    monkeypatch.setattr(machine, "USERS_THREADS", "100000")
    assert machine.default_threads() == machine.available_cores() and "OMP_NUM_THREADS is 100000" in caplog.text
    monkeypatch.setattr(machine, "USERS_THREADS", "many")
    with pytest.raises(UsageError, match="OMP_NUM_THREADS is 'many'"):
        machine.default_threads()


def test_result_says_how_many_threads(tmp_path):
    for words in (["train", "cn"], ["embed", "--method", "fastrp", "--dim", "4"]):
        out = tmp_path / words[0]
        assert graphkit(*words, "--dataset", "karate", "--threads", "1", "--out", out).returncode == 0
        assert json.loads((out / "result.json").read_text())["threads"] == 1


def test_peak_memory_is_the_process_own_and_not_that_of_the_one_that_started_it():
    """Linux hands on the peak of a parent to its child; a command started from a large notebook would report the
    notebook.
    """
    child = "from graphkit.core.machine import peak_rss_mb; print(peak_rss_mb())"
    parent = (
        f"import subprocess, sys; held = b'1' * (400 << 20); subprocess.run([sys.executable, '-c', {child!r}],"
        " check=True)"
    )
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True)
    assert 5 < float(done.stdout) < 300
