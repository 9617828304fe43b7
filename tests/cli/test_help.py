"""Every help text: it answers without the heavy packages, and ends in examples that can be pasted."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import click
import pytest

from graphkit.cli.main import COMMANDS, graphkit
from graphkit.core import registry

HEAVY = (
    "torch",
    "dgl",
    "numpy",
    "pandas",
    "scipy",
    "numba",
    "sklearn",
    "pyarrow",
    "networkx",
    "ogb",
    "gensim",
    "optuna",
)

# Asks for one help text after the other and notes which heavy package each one brought in first.
PROBE = """
import contextlib, io, json, sys, time
from graphkit.cli.main import main
found, before = [], set()
for words in json.loads(sys.argv[1]):
    out, started, code = io.StringIO(), time.perf_counter(), None
    with contextlib.redirect_stdout(out):
        try:
            main(words)
        except SystemExit as stop:
            code = stop.code
    heavy = {name for name in json.loads(sys.argv[2]) if name in sys.modules}
    seconds = time.perf_counter() - started
    found.append({"code": code, "text": out.getvalue(), "heavy": sorted(heavy - before), "seconds": seconds})
    before = heavy
json.dump(found, sys.stdout)
"""


def verbs(command: click.Command = graphkit, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Words of every command below a group, the group itself first."""
    found = [path]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found += verbs(command.get_command(context, name), (*path, name))
    return found


METHODS = [("embed", "--method", name) for name in registry.names("embedder")]
ALL = [*verbs(), *METHODS]


def examples(text: str) -> list[str]:
    """The command lines below Example or Examples, up to the next empty line."""
    found = re.search(r"^ *Examples?:\n((?:.*\S.*\n)+)", text, re.MULTILINE)
    return found[1].splitlines() if found else []


@pytest.fixture(scope="module")
def helps():
    words = json.dumps([[*path, "--help"] for path in ALL])
    done = subprocess.run(
        [sys.executable, "-c", PROBE, words, json.dumps(HEAVY)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found = dict(zip(ALL, json.loads(done.stdout)))
    for path, answer in found.items():
        print(f"{answer['seconds'] * 1000:6.1f} ms  graphkit {' '.join(path)} --help")
    return found


def test_all_verbs_and_methods_are_asked():
    assert {path[0] for path in ALL if path} == set(COMMANDS)
    learners = {path[1] for path in ALL if path[:1] == ("train",) and len(path) == 2}
    assert learners == set(registry.names("learner"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: "-".join(path) or "graphkit")
def test_help(helps, path):
    answer = helps[path]
    assert answer["code"] == 0
    assert answer["heavy"] == [], "imported for a help text"
    text = answer["text"]
    assert text.startswith("Usage: graphkit")
    assert any("graphkit" in line for line in examples(text)), "no example"
    assert all(len(line) <= 120 for line in text.splitlines())


@pytest.mark.parametrize("path", [path for path in ALL if path], ids="-".join)
def test_examples_use_options_that_exist(helps, path):
    """An example of a method's or a command's help parses: verbs, methods and options are those of the program."""
    for line in examples(helps[path]["text"]):
        for part in re.split(r"[|>]", line):
            words = shlex.split(part, comments=True)
            if words[:1] == ["graphkit"]:
                assert_parses(words[1:])


def assert_parses(words):
    command, context = graphkit, click.Context(graphkit, info_name="graphkit")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, command, words = command.resolve_command(context, words)
        context = click.Context(command, info_name=name, parent=context)
    # The parser alone: it knows options and values, and calls nothing.
    context.resilient_parsing = True
    command.parse_args(context, list(words))
    for word in words:
        if word.startswith("--") and word != "--help":
            known = [flag for param in command.get_params(context) for flag in (*param.opts, *param.secondary_opts)]
            assert word.partition("=")[0] in known


@pytest.mark.parametrize(
    "path",
    [(), ("train", "ncnc"), ("embed", "--method", "fastrp"), ("reproduce",), ("methods", "show")],
    ids=lambda path: "-".join(path) or "graphkit",
)
def test_a_process_of_its_own_imports_nothing_heavy(path):
    words = [sys.executable, "-X", "importtime", "-m", "graphkit.cli.main", *path, "--help"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    rows = re.findall(r"import time:\s+\d+ \|\s+(\d+) \|\s+(\S+)", done.stderr)
    imported = {name.partition(".")[0] for _, name in rows}
    assert "click" in imported and not imported & set(HEAVY)


def test_listing_methods_and_the_version_import_nothing_heavy():
    words = json.dumps(
        [["--version"], ["methods"], ["methods", "--json"], ["methods", "show", "ncnc"], ["methods", "--markdown"]]
    )
    done = subprocess.run(
        [sys.executable, "-c", PROBE, words, json.dumps(HEAVY)], capture_output=True, text=True, timeout=60
    )
    answers = json.loads(done.stdout)
    assert all(answer["code"] == 0 and answer["heavy"] == [] and answer["text"] for answer in answers)
