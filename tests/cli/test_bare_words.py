"""Commands that are called by their words alone: help for people, on stderr, and the exit code of wrong usage for
scripts.
"""

from __future__ import annotations

import pytest

GROUPS = [
    (),
    ("train",),
    ("data",),
    ("runs",),
    ("count",),
    ("cluster",),
    ("analyze",),
    ("evaluate",),
]
LACKING = [
    ("predict",),
    ("embed",),
    ("train", "ncn"),
    ("cluster", "local"),
    ("methods", "show"),
    ("data", "info"),
    ("runs", "show"),
    ("encode",),
    ("reproduce",),
]


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_a_group_alone_prints_its_help(command, words):
    code, out, err = command(*words)
    assert (code, out) == (2, "") and err.startswith("Usage: " + " ".join(("graphkit", *words)))
    assert max(map(len, err.splitlines())) < 130 and len(err.splitlines()) > 5
    assert command(*words, "--help")[1].split() == err.split()


@pytest.mark.parametrize("words", LACKING, ids=" ".join)
def test_a_command_without_what_it_needs_prints_its_help_and_what_is_missing(command, words):
    code, out, err = command(*words)
    lines = err.splitlines()
    assert (code, out) == (2, "") and lines[0].startswith("Usage: " + " ".join(("graphkit", *words)))
    assert lines[-1].startswith("graphkit: error: ") and sum("error:" in line for line in lines) == 1


def test_with_a_word_more_the_error_is_one_line(command):
    code, _, err = command("train", "ncn", "--epochs", "3")
    assert code == 2 and len(err.splitlines()) == 1
