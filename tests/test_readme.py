"""Every command line of the README runs, in order, in one folder, and prints what the README says it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import networkx
import pytest

README = Path(__file__).resolve().parent.parent / "README.md"


def blocks() -> list[list[tuple[str, list[str]]]]:
    """Console blocks as lists of (command, lines of output that follow it)."""
    found = []
    for text in re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL):
        commands: list[tuple[str, list[str]]] = []
        for line in text.splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], []))
            elif commands:
                commands[-1][1].append(line)
        found.append(commands)
    return found


def commands() -> list[tuple[str, list[str]]]:
    return [command for block in blocks() for command in block]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files that the README speaks of."""
    path = tmp_path_factory.mktemp("readme")
    edges = "".join(f"{a},{b}\n" for a, b in networkx.les_miserables_graph().edges)
    (path / "my.csv").write_text("from,to\n" + edges)
    (path / "pairs.tsv").write_text("Valjean\tMarius\nMyriel\tGavroche\n")
    own_files(path)
    return path


def own_files(path: Path) -> None:
    """Accounts in two groups that pay each other, with features, classes and parts; one account is in no payment."""
    names = [f"acc-{k:02d}" for k in range(24)]
    pairs = [(k, (k + step) % 12 + 12 * (k >= 12)) for k in range(24) for step in (1, 3)]
    (path / "payments.csv").write_text("payer,payee\n" + "".join(f"{names[u]},{names[v]}\n" for u, v in pairs))
    rows = [((20 + (k * 7) % 24) / 100, name, 0.25 if k < 12 else 4.5) for k, name in enumerate([*names, "acc-99"])]
    lines = [",".join(map(str, row)) + "\n" for row in [rows[11], *rows[:11], *rows[12:]]]
    (path / "features.csv").write_text("trust,account,amount\n" + "".join(lines))
    classes = {name: "clean" if k < 12 else "fraud" for k, name in enumerate(names)}
    (path / "class.csv").write_text(
        "account,class\n" + "".join(f"{name},{label}\n" for name, label in classes.items()) + "acc-99,fraud\n"
    )
    parts = [("train", "train", "valid", "test")[k % 4] for k in range(24)]
    (path / "part.csv").write_text(
        "account,part\n" + "".join(f"{name},{part}\n" for name, part in zip(names, parts)) + "acc-99,test\n"
    )


def shape(text: str) -> str:
    """Words without numbers: figures and times differ between machines, what they stand for must not."""
    text = re.sub(r"[-+]?[\d.,]+(e-?\d+)?", "#", text).split("±")[0]
    return " ".join(text.split())


def test_readme_has_its_two_commands_and_a_tour():
    lines = [command for command, _ in commands()]
    assert sum(line.startswith("pip install") and "graphkit train" in line for line in lines) == 1
    assert sum(line.startswith("pip install") and "pytest" in line for line in lines) == 1
    assert len(lines) >= 7


@pytest.mark.parametrize("number", range(len(commands())), ids=lambda n: commands()[n][0][:60])
def test_command(number, folder):
    command, expected = commands()[number]
    if "pytest" in command or "git clone" in command:
        pytest.skip("runs these tests")
    if "blogcatalog" in command and not os.environ.get("GRAPHKIT_DATA"):
        pytest.skip("needs the real data in GRAPHKIT_DATA")
    command = re.sub(r"^pip install [^&]*&& ", "", command)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    printed = {shape(line) for line in done.stdout.splitlines()}
    for line in expected:
        if line.strip() and set(line.strip()) != {"-", " "} and line.strip() != "...":
            assert shape(line) in printed, f"the README shows {line!r}, which the command did not print"
