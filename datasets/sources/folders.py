"""Where data files lie: the folders of ``GRAPHKIT_DATA``, then the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

from graphkit.core.errors import DataError


def cache_folder() -> Path:
    """The folder that downloads and caches go to: ``$XDG_CACHE_HOME/graphkit`` or ``~/.cache/graphkit``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "graphkit"


def data_folders() -> list[Path]:
    """Folders searched for data, in order: those of ``GRAPHKIT_DATA`` (separated as in ``PATH``), then the cache."""
    named = [Path(part) for part in os.environ.get("GRAPHKIT_DATA", "").split(os.pathsep) if part.strip()]
    return [*named, cache_folder()]


def find(relative: str) -> Path | None:
    """Return the first existing file or folder of this relative path, or None."""
    for folder in data_folders():
        if (folder / relative).exists():
            return folder / relative
    return None


def benchmark(name: str) -> str | None:
    """The benchmark that a data set comes from as a folder of its own, by its name: ``"ogb"``, ``"tgb"``, or None."""
    return next((word for word in ("ogb", "tgb") if name.startswith(word)), None)


def find_benchmark(name: str) -> Path | None:
    """Return the folder of such a data set, ``ogbl_ddi`` or ``ogb/ogbl_ddi`` below a data folder, or None."""
    folder = name.replace("-", "_")
    return find(folder) or find(f"{benchmark(name)}/{folder}")


def require(relative: str, dataset: str) -> Path:
    """Return the path of a file of a data set; raises :class:`DataError` that says where it was looked for."""
    path = find(relative)
    if path is None:
        places = " or ".join(str(folder) for folder in data_folders())
        raise DataError(
            f"data set {dataset!r}: {relative} not found; expected it below {places}; get it with: "
            f"graphkit data fetch {dataset}"
        )
    return path
