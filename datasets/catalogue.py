"""The catalogue: which data sets there are, what reads them, and the files they need with checksum and address."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphkit.core import plugins
from graphkit.core.errors import DataError, did_you_mean
from graphkit.datasets.source import Source
from graphkit.datasets.sources import folders

if TYPE_CHECKING:
    from graphkit.datasets.splits.loaded import Loaded

HERE = Path(__file__).parent
CATALOGUE = "catalogue.yaml"


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

    loader: ``module:function`` below ``package``; called with the entry and the options, gives a
        :class:`graphkit.datasets.splits.loaded.Loaded`.
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
    package: str = "graphkit.datasets"
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
        loaded = getattr(importlib.import_module(f"{self.package}.{module}"), function)(self, **self.options)
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
    """All data sets by name: those of the catalogue, then those that other packages add.

    An entry point of the group ``graphkit.datasets`` names a package with a ``catalogue.yaml`` of the same form, whose
    loaders are modules of the package.
    """
    found = _read(HERE / CATALOGUE, Entry.package)
    for point in plugins.entry_points(plugins.DATASETS):
        try:
            folder = plugins.package_folder(point, CATALOGUE, f"; expected a package with {CATALOGUE}")
            added = _read(folder / CATALOGUE, point.module)
        except DataError as problem:
            plugins.leave_out(point, problem)
            continue
        found = {**added, **found}
    return found


def _read(path: Path, package: str) -> dict[str, Entry]:
    """The entries of a catalogue file."""
    import yaml

    try:
        table = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return {
            name: Entry(name, **{**item, "files": tuple(item.get("files", ())), "package": package})
            for name, item in table.items()
        }
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError, TypeError) as problem:
        raise DataError(f"{path}: not a catalogue: {' '.join(str(problem).split())}") from None


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
