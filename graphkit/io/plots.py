"""Figures in files: what may be asked for, and how one is written whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy

from graphkit.core.errors import MissingExtraError, UsageError
from graphkit.io.files import atomic_path

ENDINGS = (".png", ".pdf", ".svg")


def check_plot(path: str) -> None:
    """Raise :class:`UsageError` for an unknown ending, :class:`MissingExtraError` without matplotlib."""
    if Path(path).suffix.lower() not in ENDINGS:
        raise UsageError(
            f"--plot {path}: found the ending {Path(path).suffix or 'none'!r}, expected one of {', '.join(ENDINGS)}"
        )
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", "--plot") from None


def save(figure: Any, path: str) -> None:
    """Write a matplotlib figure in the format of the file's ending."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix[1:].lower())


def plot_profile(path: str, columns: Mapping[str, numpy.ndarray], name: str) -> None:
    """Draw least conductance over size, both on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    positive = columns["conductance"] > 0  # a component of its own has no place on a logarithmic axis
    axes.loglog(columns["size"][positive], columns["conductance"][positive], linewidth=1)
    axes.set_xlabel("nodes in the cluster")
    axes.set_ylabel("least conductance found")
    axes.set_title(f"network community profile of {name}", fontsize=10)
    save(figure, path)
