"""A third-party package, made of the files that docs/adding-a-method.md shows, is found and run by the command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "adding-a-method.md"


def shown(name: str) -> str:
    """The code block that follows a file's name in the guide."""
    found = re.search(
        rf"^`{re.escape(name)}`\n\n```\w+\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert found, f"the guide shows no {name}"
    return found[1]


def install(folder: Path, entry_point: str = "degree-powers = graphkit_degrees.degree_powers") -> Path:
    """What pip leaves behind: the package and its dist-info with the entry point."""
    method, info = folder / "graphkit_degrees" / "degree_powers", folder / "graphkit_degrees-0.1.dist-info"
    method.mkdir(parents=True)
    info.mkdir()
    for package in (method.parent, method):
        (package / "__init__.py").write_text("")
    for name in ("config.py", "method.py", "sheet.yaml", "presets.yaml", "claims.yaml"):
        (method / name).write_text(shown(name), encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: graphkit-degrees\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[graphkit.methods]\n{entry_point}\n")
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return install(tmp_path_factory.mktemp("site"))


def graphkit(folder: Path, *words):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "graphkit.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
    )


def test_its_embedder_runs_with_its_options(installed):
    done = graphkit(installed, "embed", "--method", "degree-powers", "--dataset", "karate", "--powers", 2, "-o", "-")
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert rows[0] == ["id", "dim_0", "dim_1"] and len(rows) == 35
    degrees = [float(row[1]) for row in rows[1:]]
    # Zachary's club has 78 ties, and its best-connected member 17.
    assert sum(degrees) == 2 * 78 and max(degrees) == 17
    assert [float(row[2]) for row in rows[1:]] == pytest.approx([degree**2 for degree in degrees])


def test_its_preset_holds_unless_told_otherwise(installed):
    done = graphkit(installed, "embed", "--method", "degree-powers", "--dataset", "karate", "-o", "-")
    assert done.stdout.splitlines()[0].split("\t") == ["id", "dim_0", "dim_1", "dim_2"]
    plain = graphkit(
        installed, "embed", "--method", "degree-powers", "--dataset", "karate", "--preset", "none", "-o", "-"
    )
    assert plain.stdout.splitlines()[0].split("\t") == ["id", "dim_0", "dim_1"]


def test_it_is_listed_and_shown_beside_the_built_in_methods(installed):
    rows = {row["name"]: row for row in json.loads(graphkit(installed, "methods", "--json").stdout)}
    assert {"degree-powers", "fastrp"} <= set(rows)
    assert rows["degree-powers"]["result"] == "exact" and rows["degree-powers"]["takes"] == [
        "directed",
        "featureless",
        "inductive",
    ]
    text = graphkit(installed, "methods", "show", "degree-powers").stdout
    assert "--powers" in text and "1..16" in text and "An Example" in text
    limit = graphkit(installed, "embed", "--method", "degree-powers", "--dataset", "karate", "--powers", 17)
    assert limit.returncode == 2 and "--powers is 17, expected a value between 1 and 16" in limit.stderr


def test_its_claim_is_reproduced(installed, tmp_path):
    done = graphkit(installed, "reproduce", "degree-powers", "--results", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    (verdict,) = json.loads(done.stdout)
    assert verdict["state"] == "held" and verdict["runs"]["degrees"]["metrics"]["largest"]["test"]["mean"] == 17


def test_documentation_lists_built_in_methods_alone(installed):
    assert "degree-powers" not in graphkit(installed, "methods", "--markdown").stdout


@pytest.mark.parametrize(
    "spoil, message",
    [
        ("module", "its module graphkit_degrees.nothing cannot be found"),
        ("package", "its module graphkit_nowhere.nothing cannot be found"),
        ("sheet", "sheet.yaml: not YAML"),
        ("kind", "kind is 'oracle', expected one of embedder, counter, learner"),
        ("claims", "sheet.yaml: found claims, expected them in claims.yaml beside it"),
        ("no sheet", "its package graphkit_degrees.degree_powers has no sheet.yaml"),
        (
            "one file",
            "is one file, the form of graphkit 0.1; expected a package with sheet.yaml, config.py and method.py",
        ),
    ],
)
def test_a_broken_one_is_named_in_one_line_and_left_out(tmp_path, spoil, message):
    entry = {"module": "broken = graphkit_degrees.nothing", "package": "broken = graphkit_nowhere.nothing"}.get(spoil)
    folder = install(tmp_path, entry) if entry else install(tmp_path)
    method = folder / "graphkit_degrees" / "degree_powers"
    sheet = method / "sheet.yaml"
    if spoil == "sheet":
        sheet.write_text("class: DegreePowers\nkind: [")
    if spoil == "kind":
        sheet.write_text(shown("sheet.yaml").replace("kind: embedder ", "kind: oracle "))
    if spoil == "claims":
        sheet.write_text(shown("sheet.yaml") + "claims: {}\n")
    if spoil == "no sheet":
        sheet.unlink()
    if spoil == "one file":
        method.rename(method.with_name("aside"))
        method.with_suffix(".py").write_text(shown("method.py"))
        method.with_suffix(".yaml").write_text(shown("sheet.yaml"))
    done = graphkit(folder, "methods")
    assert done.returncode == 0 and "fastrp" in done.stdout and "degree-powers" not in done.stdout
    assert len(done.stderr.splitlines()) == 1 and message in done.stderr


def test_one_whose_module_fails_to_import_ends_in_one_line(tmp_path):
    folder = install(tmp_path)
    module = folder / "graphkit_degrees" / "degree_powers" / "method.py"
    module.write_text("import no_such_package\n")
    done = graphkit(folder, "embed", "--method", "degree-powers", "--dataset", "karate", "-o", tmp_path / "e.npy")
    assert done.returncode == 3
    assert (
        done.stderr.count("\n") == 1
        and "degree-powers: plug-in graphkit_degrees.degree_powers cannot be loaded" in done.stderr
    )
