"""Every third-party module that the package imports is an install requirement or belongs to an extra."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULE_OF = {"scikit-learn": "sklearn", "PyYAML": "yaml"}


def requirements() -> tuple[set[str], set[str]]:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")

    def names(text: str) -> set[str]:
        found = [re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0] for line in text.split("\n") if line.strip()]
        return {MODULE_OF.get(name, name) for name in found}

    extras = parser["options.extras_require"]
    return names(parser["options"]["install_requires"]), set().union(*(names(extras[key]) for key in extras))


def sources():
    return [path for folder in ("graphkit", "cli", "datasets") for path in sorted((ROOT / folder).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_are_declared(path):
    required, extras = requirements()
    third_party = (
        imported(path) - set(sys.stdlib_module_names if hasattr(sys, "stdlib_module_names") else ()) - {"graphkit"}
    )
    if not hasattr(sys, "stdlib_module_names"):
        pytest.skip("Python 3.9 cannot list its standard library")
    assert third_party <= required | extras


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_does_without_click(path):
    if path.is_relative_to(ROOT / "cli") or path.name == "__main__.py":
        return
    assert "click" not in imported(path)
