"""The catalogue: which data sets there are, what reads them, and the files they need with checksum and address."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphkit.core.errors import DataError, did_you_mean
from graphkit.datasets.source import Source
from graphkit.datasets.sources import folders

if TYPE_CHECKING:
    from graphkit.datasets.splits.loaded import Loaded

HERE = Path(__file__).parent


@dataclass(frozen=True)
class DataFile:
    """One original file: its place below a data folder, size, SHA-256 and public address.

    size 0 and an empty checksum: not known; the address names a commit, whose content does not change.
    """

    path: str
    size: int
    sha256: str
    url: str


@dataclass(frozen=True)
class Entry:
    """A data set of the catalogue.

    loader: ``module:function`` below graphkit.datasets; called with the entry and the options.
    tasks: task -> {split, metric}; the first one is the data set's own task.
    """

    name: str
    loader: str
    options: Mapping[str, Any] = field(default_factory=dict)
    tasks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    about: str = ""
    notes: str = ""
    paper: str = ""
    licence: str = ""
    url: str = ""
    files: tuple[str, ...] = ()
    own = False  # whether the files are a user's, read by path: see datasets.forms
    directed = False

    def path(self, relative: str) -> Path:
        """The path of one of its files; raises :class:`DataError` that says where it was looked for."""
        return folders.require(relative, self.name)

    def optional(self, relative: str) -> Path | None:
        """The path of a file that may be absent."""
        return folders.find(relative)

    def data_files(self) -> list[DataFile]:
        """The original files it is made of, as ``files.tsv`` lists them."""
        return [file for path, file in data_files().items() if any(fnmatchcase(path, form) for form in self.files)]

    def load(self) -> Loaded:
        """Call its loader; the source and the defaults of each task are filled in."""
        module, _, function = self.loader.partition(":")
        loaded = getattr(importlib.import_module(f"graphkit.datasets.{module}"), function)(self, **self.options)
        dataset = loaded.dataset
        dataset.source = Source(
            paper=dataset.source.paper or self.paper,
            licence=dataset.source.licence or self.licence,
            url=dataset.source.url or self.url,
            version=dataset.source.version or self.version(),
        )
        for task, default in self.tasks.items():
            loaded.defaults.setdefault(task, (default.get("split"), default.get("metric")))
        return loaded

    def version(self) -> str:
        """The commit of the source repository that the files come from, where there is one."""
        commits = {file.url.split("/")[5][:12] for file in self.data_files()}
        return "+".join(sorted(commits))


@functools.cache
def entries() -> dict[str, Entry]:
    """All data sets of the catalogue by name."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with open(HERE / "catalogue.yaml", encoding="utf-8") as file:
        table = yaml.load(file, Loader=loader)
    return {name: Entry(name, **{**item, "files": tuple(item.get("files", ()))}) for name, item in table.items()}


@functools.cache
def data_files() -> dict[str, DataFile]:
    """All original files by their path below a data folder."""
    found = {}
    with open(HERE / "files.tsv", encoding="utf-8") as file:
        next(file)
        for line in file:
            path, size, digest, repository, commit, source = line.rstrip("\n").split("\t")
            url = f"https://raw.githubusercontent.com/{repository}/{commit}/{source}"
            found[path] = DataFile(path, int(size), digest.strip("-"), url)
    return found


def entry(name: str) -> Entry:
    """The entry of this name; raises :class:`DataError` with the closest names."""
    if name not in entries():
        hint = did_you_mean(name, entries()) or "; see: graphkit data list"
        raise DataError(f"unknown data set {name!r}{hint}")
    return entries()[name]
