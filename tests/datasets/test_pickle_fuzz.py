"""Pickles built from opcodes, read in a process of its own: none ends it, hangs it, or makes it take memory.

``pickle_fuzz.py`` states the bounds: 64 MiB for a file of at most 64 KiB, 20 seconds.
"""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("pickle_fuzz.py")


def faults(folder, first, count):
    """Run the cases; return (lines about those that went wrong, how many were read)."""
    child = subprocess.run(
        [sys.executable, str(SCRIPT), str(first), str(count), str(folder)], capture_output=True, text=True, timeout=3000
    )
    lines = child.stdout.splitlines()
    if child.returncode or not lines or not lines[-1].startswith("read "):
        reached = (folder / "case").read_text() if (folder / "case").exists() else "the first"
        return [f"ended with {child.returncode} at case {reached}: {child.stderr[-2000:]}"], 0
    return lines[:-1], int(lines[-1].split()[1])


def test_built_pickles(tmp_path):
    wrong, read = faults(tmp_path, 0, 600)
    assert wrong == []
    assert read > 60  # a generator of rubbish alone would prove nothing


@pytest.mark.slow
def test_twenty_thousand_built_pickles(tmp_path):
    wrong, read = faults(tmp_path, 1000, 20_000)
    assert wrong == []
    assert read > 2000
