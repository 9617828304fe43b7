"""What graphkit asks of the machine: memory that stays with the process, and threads."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys

import pytest

CHURN = """
import resource
from graphkit import machine
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
    runs = [subprocess.run(words, env={**clean, **more}, capture_output=True, text=True, check=True) for more in ({}, user)]
    kept, mapped = (int(run.stdout) for run in runs)
    pages = 50 * 2 * 4 * 2**20 // resource.getpagesize()
    assert kept < pages / 20 and mapped > pages / 2


COMPILE = """
import numba
from graphkit import machine
machine.set_threads(1)
print(numba.njit(lambda x: x + 1)(1), numba.get_num_threads())
"""


@pytest.mark.parametrize("before", ["2", None], ids=["variable", "no variable"])
def test_a_kernel_compiles_after_threads_were_set(before):
    clean = {key: value for key, value in os.environ.items() if key != "NUMBA_NUM_THREADS"}
    given = {} if before is None else {"NUMBA_NUM_THREADS": before}
    done = subprocess.run([sys.executable, "-c", COMPILE], env={**clean, **given}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "2 1\n"), done.stderr
