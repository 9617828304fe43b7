"""What other installed packages add, through entry points: methods, data sets, metrics.

A package that cannot be used is left out with one line on stderr and takes nothing but itself away.
"""

from __future__ import annotations

import importlib.util
import logging
from importlib import metadata
from pathlib import Path

from graphkit.core.errors import DataError

METHODS, DATASETS, METRICS = "graphkit.methods", "graphkit.datasets", "graphkit.metrics"


def entry_points(group: str) -> list[metadata.EntryPoint]:
    """The entry points of a group, by name."""
    points = metadata.entry_points()
    if hasattr(points, "select"):
        return sorted(points.select(group=group), key=lambda point: point.name)
    return sorted(points.get(group, []), key=lambda point: point.name)  # Python 3.9


def leave_out(entry: metadata.EntryPoint, problem: Exception) -> None:
    """Say that a plug-in is not used, and why."""
    text = " ".join(str(problem).split())
    logging.getLogger("graphkit").warning("left out: plug-in %r: %s", entry.name, text)


def package_folder(entry: metadata.EntryPoint, needs: str, form: str) -> Path:
    """The folder of the package that an entry point names, without importing it.

    needs: a file that it holds. form: what the package has to be, for the message. Raises :class:`DataError` if there
    is no such module or package, or the file is missing.
    """
    try:
        spec = importlib.util.find_spec(entry.module)
    except ModuleNotFoundError:  # of the package above it
        spec = None
    if spec is None or spec.origin is None:
        raise DataError(f"its module {entry.module} cannot be found")
    if not spec.submodule_search_locations:
        raise DataError(f"its module {entry.module} is one file{form}")
    folder = Path(spec.origin).parent
    if not (folder / needs).is_file():
        raise DataError(f"its package {entry.module} has no {needs}")
    return folder
