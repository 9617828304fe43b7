"""One import package: ``cli/`` and ``datasets/`` at the top of the checkout are seen as ``graphkit.cli`` and
``graphkit.datasets`` alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import graphkit

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        folder,
        ROOT,
    ]
    copy = folder / "checkout"  # a build leaves files in the folder of the sources
    subprocess.run(["git", "-C", ROOT, "checkout-index", "--all", f"--prefix={copy}/"], check=True)
    done = subprocess.run([*command[:-1], copy], capture_output=True, text=True)
    if "No module named" in done.stderr:
        pytest.skip(f"no pip, setuptools or wheel here: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        yield archive


def test_the_wheel_holds_one_package_with_every_file(wheel):
    names = set(wheel.namelist())
    top = next(name for name in names if name.endswith("/top_level.txt"))
    assert wheel.read(top).decode().split() == ["graphkit"]
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"graphkit"}
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    inside = [
        name if name.startswith("graphkit/") else f"graphkit/{name}"
        for name in listed
        if name.startswith(("graphkit/", "cli/", "datasets/")) and name not in ("graphkit/cli", "graphkit/datasets")
    ]
    assert len(inside) > 200 and set(inside) <= names
    assert "graphkit/py.typed" in names


LOADED = """
import sys
from graphkit.cli.main import main
try:
    main(["train", "mlp", "--dataset", "karate", "--epochs", "1", "-q", "--out", sys.argv[1]])
except SystemExit as stop:
    assert not stop.code, stop.code
wrong = sorted(name for name in sys.modules if name.partition(".")[0] in ("cli", "datasets"))
assert "graphkit.datasets" in sys.modules and not wrong, wrong
"""


def test_no_module_named_cli_or_datasets_is_loaded(tmp_path):
    """Not from inside a checkout either, where Python finds both folders first."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, tmp_path / "run"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_other_packages_of_these_names_are_not_shadowed(tmp_path):
    """With graphkit installed, ``import datasets`` is another distribution's, or nothing."""
    script = "import importlib.util as u; print([s.origin for s in map(u.find_spec, ('cli', 'datasets')) if s])"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert str(ROOT) not in done.stdout


def test_the_package_is_run_as_a_module(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "graphkit", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["graphkit", graphkit.__version__]


def test_torchrun_starts_the_command(tmp_path):
    """torchrun's processes get the checkout on their path where it is started there."""
    script = Path(sys.executable).with_name("graphkit")
    if not script.is_file():
        pytest.skip("the command is not installed beside this Python")
    words = ["--no-python", "--nproc-per-node", "1", script, "data", "info", "karate"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *map(str, words)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "nodes" in done.stdout, done.stderr
