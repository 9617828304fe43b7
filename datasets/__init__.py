"""Data sets: by name, by the words of a generator, or the user's own files.

>>> from graphkit import datasets
>>> datasets.load("karate").num_nodes
34
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphkit.datasets.loading import is_own, load, names

if TYPE_CHECKING:
    from graphkit.core.read_options import ReadOptions

__all__ = ["info", "is_own", "load", "names"]


def info(name: str, *, read: ReadOptions | None = None) -> dict[str, Any]:
    """Describe a data set: size, degrees, homophily, components, split sizes, metric, source, licence, checksum."""
    from graphkit.datasets.describe import describe

    return describe(name, read=read)
