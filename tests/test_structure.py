"""The rooms of the house: imports point one way, nothing goes round in a circle, and what stands in nn, kernels and
sampling serves more than one method.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# From the ground up: a module imports its own floor and those below it.
FLOORS = (
    {"core"},
    {"io"},
    {"graph"},
    {"datasets"},
    {"nn", "kernels", "sampling"},
    {"training", "evaluation", "conditioning", "encoders", "federation", "merging"},
    {"methods"},
    {"runs", "claims"},
    {"cli"},
)
SHARED = {"nn", "kernels", "sampling"}
# Named by a card as public although one method takes them so far.
PUBLIC = {"graphkit.kernels.selective_scan", "graphkit.nn.mamba", "graphkit.nn.scan"}
# What an extra installs, or not every system has.
OPTIONAL = {"fcntl", "gensim", "igraph", "matplotlib", "optuna", "rdkit"}
# Imports inside functions stand where the command line has to answer before heavy packages are loaded: cli/, the
# registry (which loads the one method that is asked for), the loaders of data sets (each reads one format), and the
# stored graph, which is asked without SciPy and compiled loops where its own arrays are enough.
INSIDE_FUNCTIONS = {
    "graphkit.datasets.catalogue",
    "graphkit.datasets.local_graph",
    "graphkit.core.registry",
    "graphkit.core.machine",
    "graphkit.core.extras",
    "graphkit.datasets.loading",
    "graphkit.datasets.base",
    "graphkit.datasets.readers.stored",
    "graphkit.datasets",
    "graphkit.evaluation",
    "graphkit",
}


@functools.cache
def modules() -> dict[str, Path]:
    """Module name -> file, of the one import package: cli and datasets under graphkit."""
    found = {}
    for top, prefix in (("graphkit", ()), ("cli", ("graphkit",)), ("datasets", ("graphkit",))):
        for path in (ROOT / top).rglob("*.py"):
            parts = prefix + path.relative_to(ROOT).with_suffix("").parts
            if parts[:2] in (("graphkit", "cli"), ("graphkit", "datasets")) and not prefix:
                continue  # the links
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def imports(module: str) -> frozenset[str]:
    """Modules of graphkit that a module imports anywhere: at its top, in a function or for its annotations."""
    found = set()
    for node in ast.walk(ast.parse(modules()[module].read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "graphkit":
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                found.add(inner if inner in modules() else node.module)
        elif isinstance(node, ast.Import):
            found.update(name.name for name in node.names if name.name.split(".")[0] == "graphkit")
    return frozenset((found & modules().keys()) - {module})


def imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Names of the modules of an import statement."""
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]


def floor(module: str) -> int | None:
    """The floor of a module; None for the package itself."""
    room = module.split(".")[1:2]
    return next((at for at, rooms in enumerate(FLOORS) if set(room) & rooms), None)


def method_of(module: str) -> tuple[str, str] | None:
    """(family, name) of a module in a method's folder."""
    parts = module.split(".")
    return (parts[2], parts[3]) if parts[1:2] == ["methods"] and len(parts) > 3 else None


def test_every_room_has_a_floor():
    rooms = {module.split(".")[1] for module in modules() if "." in module}
    assert rooms - {"_version", "__main__"} <= set().union(*FLOORS)


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_point_down(module):
    own = floor(module)
    if own is None:
        return
    up = {other for other in imports(module) if (floor(other) or 0) > own}
    assert not up, f"{module} imports what stands above it"


@pytest.mark.parametrize("module", sorted(m for m in modules() if method_of(m)))
def test_no_method_imports_another_family(module):
    family = method_of(module)[0]
    assert not {other for other in imports(module) if (method_of(other) or (family,))[0] != family}


def test_no_circles():
    left = {module: set(imports(module)) for module in modules()}
    while free := {module for module, needed in left.items() if not needed}:
        left = {module: needed - free for module, needed in left.items() if module not in free}
    assert not left, f"go round in a circle: {sorted(left)}"


def test_shared_rooms_serve_more_than_one():
    """A layer or kernel of one method lies in its folder; two methods, or another room, make it shared."""

    def users(module: str) -> set:
        found, seen, stack = set(), {module}, [module]
        while stack:
            at = stack.pop()
            for other in modules():
                if at not in imports(other) or other in seen:
                    continue
                seen.add(other)
                if other.split(".")[1] in SHARED:
                    stack.append(other)
                else:
                    found.add(method_of(other) or other)
        return found

    shared = [m for m in modules() if len(m.split(".")) > 2 and m.split(".")[1] in SHARED and m not in PUBLIC]
    alone = {m: found for m in shared if len(found := users(m)) == 1 and any(isinstance(u, tuple) for u in found)}
    assert not alone


@pytest.mark.parametrize("module", sorted(m for m in modules() if not m.startswith("graphkit.cli")))
def test_imports_stand_at_the_top(module):
    if module in INSIDE_FUNCTIONS:
        return
    tree = ast.parse(modules()[module].read_text())
    inside = [
        node.lineno
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        and not {name.split(".")[0] for name in imported(node)} <= OPTIONAL
    ]
    assert not inside, f"{module}: imports inside functions, lines {inside}"
