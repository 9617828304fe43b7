"""Damaged files of every reader, read in a process of its own: a graph or one line, never a fault of ours, never much
memory.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("mutations.py")


def faults(tiny, folder, first, count):
    """Run the cases; return (lines about those that went wrong, the summary)."""
    shutil.copytree(tiny, folder / "tiny")
    child = subprocess.run(
        [sys.executable, str(SCRIPT), str(first), str(count), str(folder)], capture_output=True, text=True, timeout=3500
    )
    lines = child.stdout.splitlines()
    if child.returncode or not lines or not lines[-1].startswith("{"):
        reached = (folder / "case").read_text() if (folder / "case").exists() else "the first"
        return [*lines, f"ended with {child.returncode} at case {reached}: {child.stderr[-2000:]}"], {}
    return lines[:-1], json.loads(lines[-1])


def test_damaged_files_of_every_reader(tiny, tmp_path):
    wrong, summary = faults(tiny, tmp_path, 0, 220)
    assert wrong == []
    assert 20 < summary["read"] < 200  # some damage is harmless, most is not


@pytest.mark.slow
def test_two_thousand_damaged_files(tiny, tmp_path):
    wrong, summary = faults(tiny, tmp_path, 1000, 2000)
    assert wrong == []
    assert summary["readers"] > 50 and summary["read"] > 200
