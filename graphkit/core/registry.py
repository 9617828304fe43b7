"""Name -> method, found through the sheets and imported only when asked for.

A method is a package with ``sheet.yaml`` (what a listing needs), ``config.py`` (its options), ``method.py`` (its class)
and, read on demand, ``presets.yaml`` and ``claims.yaml``. Built-in ones are the folders
``graphkit/methods/<family>/<name>``; third parties name their package in the entry-point group ``graphkit.methods``.
"""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from graphkit.core import plugins
from graphkit.core.config import Config
from graphkit.core.errors import DataError, UsageError, did_you_mean

KINDS = ("embedder", "counter", "learner", "clusterer", "analysis")
SHEET = "sheet.yaml"
# Words of a verb that are no methods: of its kind none may take one.
RESERVED = {
    "counter": ("orbits", "edge-orbits", "orbit-adjacency", "check"),
    "clusterer": ("local", "evaluate", "noise", "improve", "ncp", "classes", "labels"),
    "analysis": ("set",),
    "learner": (),
    "embedder": (),
}


@dataclass(frozen=True)
class Sheet:
    """What the YAML files of a method's folder say: paper, presets, claims, and the names it answers to.

    module: of the package, without ``.method`` or ``.config``. family: the folder above it, or whose plug-in it is.
    kinds: what the class gives; a sheet's ``kind`` is one of them or a list. plots: whether an analysis can draw its
    findings. seeds: whether a clusterer looks for clusters around seeds. example: options behind the name in the
    example of its help, if those of its kind do not do. artifact: what a learner can compute once for all of its
    trainings: ``class`` in ``artifact.py``, its options ``config`` in ``config.py`` if it has any, the ``flag`` that
    asks for it, and what the flag does (``says``).
    """

    folder: Path
    module: str
    family: str
    class_name: str
    kinds: tuple[str, ...]
    names: Mapping[str, Mapping[str, Any]]
    summary: str
    task: str | None = None
    paper: Mapping[str, Any] = field(default_factory=dict)
    takes: Mapping[str, bool] = field(default_factory=dict)
    result: str = "random"
    memory: str = ""
    extra: str | None = None
    artifact: Mapping[str, str] | None = None
    plots: bool = False
    seeds: bool = True
    example: str = ""

    @property
    def title(self) -> str:
        """The folder's name, which messages about its files begin with."""
        return self.folder.name

    @property
    def plug_in(self) -> bool:
        """Whether it comes from another distribution."""
        return self.family.startswith("plug-in")

    @functools.cached_property
    def presets(self) -> Mapping[str, Mapping[str, Any]]:
        """Preset -> data set -> published option values."""
        return _read_mapping(self.folder / "presets.yaml")

    @functools.cached_property
    def claims(self) -> Mapping[str, Mapping[str, Any]]:
        """Key -> claim, unchecked."""
        return _read_mapping(self.folder / "claims.yaml")

    def preset(self, name: str, preset: str, dataset: str | None) -> dict[str, Any]:
        """Return the published option values of a name for a data set; empty where there are none.

        The data sets of a generator (``pattern:seed=1``) share the entry of its name.
        """
        values = self._entry(preset, dataset)
        own = values.pop("only", {}) or {}
        return {**values, **(own.get(name) or {})}

    def leaves_out(self, name: str, preset: str, dataset: str | None) -> bool:
        """Whether a preset says that it has nothing for this name on a data set that others have it for (``only:
        {name: null}``).
        """
        own = self._entry(preset, dataset).get("only") or {}
        return name in own and own[name] is None

    def _entry(self, preset: str, dataset: str | None) -> dict[str, Any]:
        known = self.presets.get(preset, {})
        return dict(known.get(dataset or "") or known.get((dataset or "").partition(":")[0]) or {})


def _read_mapping(path: Path) -> dict[str, Any]:
    """A YAML file of a sheet; an absent one is empty."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=loader) or {}
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise DataError(f"{path}: not YAML: {' '.join(str(problem).split())}") from None
    if not isinstance(values, dict):
        raise DataError(f"{path}: found {type(values).__name__}, expected a mapping")
    return values


def _load_sheet(folder: Path, module: str, family: str) -> Sheet:
    path = folder / SHEET
    try:
        values = _read_mapping(path)
        if misplaced := {"presets", "claims"} & set(values):
            name = min(misplaced)
            raise DataError(f"{path}: found {name}, expected them in {name}.yaml beside it")
        kinds = values.pop("kind")
        kinds = tuple(kinds) if isinstance(kinds, list) else (kinds,)
        values = {"class_name": values.pop("class"), "kinds": kinds, **values}
        sheet = Sheet(folder=folder, module=module, family=family, **values)
        known = bool(kinds) and set(kinds) <= set(KINDS)
        known = known and isinstance(sheet.names, Mapping) and isinstance(sheet.summary, str)
    except (KeyError, TypeError) as problem:
        raise DataError(f"{path}: not a method sheet: {' '.join(str(problem).split())}") from None
    if not known:
        found = kinds[0] if len(kinds) == 1 else list(kinds)
        raise DataError(f"{path}: kind is {found!r}, expected one of {', '.join(KINDS)}, with names and a summary")
    for name in sheet.names:
        for kind in kinds:
            if name in RESERVED[kind]:
                raise DataError(f"{path}: the name {name!r} is a word of the command line for any {kind}")
    return sheet


@functools.cache
def _sheets() -> dict[str, Sheet]:
    """Map every name to its sheet, built-in methods first."""
    found: dict[str, Sheet] = {}
    here = Path(__file__).parent.parent / "methods"
    for path in sorted(here.glob(f"*/*/{SHEET}")):
        family, name = path.parts[-3:-1]
        sheet = _load_sheet(path.parent, f"graphkit.methods.{family}.{name}", family)
        found.update(dict.fromkeys(sheet.names, sheet))
    for entry in plugins.entry_points(plugins.METHODS):
        try:
            sheet = _plug_in(entry)
        except (DataError, ImportError) as problem:
            plugins.leave_out(entry, problem)
            continue
        for name in sheet.names:
            found.setdefault(name, sheet)
    return found


def _plug_in(entry: metadata.EntryPoint) -> Sheet:
    form = f", the form of graphkit 0.1; expected a package with {SHEET}, config.py and method.py"
    folder = plugins.package_folder(entry, SHEET, form)
    return _load_sheet(folder, entry.module, f"plug-in {entry.module}")


def names(kind: str | None = None) -> list[str]:
    """Return the names of all methods, or of one kind, sorted."""
    return sorted(name for name, sheet in _sheets().items() if kind is None or kind in sheet.kinds)


def sheets() -> list[Sheet]:
    """Return every sheet once, in the order of its first name."""
    return list({id(sheet): sheet for _, sheet in sorted(_sheets().items())}.values())


def sheet(name: str) -> Sheet:
    """Return the sheet of a method; raises :class:`UsageError` for an unknown name."""
    try:
        return _sheets()[name]
    except KeyError:
        raise UsageError(
            f"unknown method {name!r}{did_you_mean(name, _sheets()) or '; see: graphkit methods'}"
        ) from None


def method(name: str) -> type:
    """Import and return the class of a method."""
    return _part(name, "method", "")


def docstring(name: str) -> str:
    """The docstring of a method's class, read from its file: what the class imports is not loaded."""
    found = sheet(name)
    path = found.folder / "method.py"
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, SyntaxError) as problem:
        raise DataError(f"{path}: {' '.join(str(problem).split())}") from None
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == found.class_name)
    return next((ast.get_docstring(node) or "" for node in classes), "")


def config_class(name: str) -> type[Config]:
    """Import and return the options of a method, without the method: ``TGATConfig`` of the class ``TGAT``."""
    return _part(name, "config", "Config")


def artifact(name: str) -> type:
    """Import and return the class of a learner's artifact."""
    return _member(sheet(name), name, "artifact", (sheet(name).artifact or {})["class"])


def artifact_config(name: str) -> type[Config] | None:
    """The options that a learner's artifact has beside the learner's; None if it has none."""
    wanted = (sheet(name).artifact or {}).get("config")
    return None if wanted is None else _member(sheet(name), name, "config", wanted)


def _part(name: str, module: str, ending: str) -> type:
    found = sheet(name)
    return _member(found, name, module, found.class_name + ending)


def _member(found: Sheet, name: str, module: str, member: str) -> type:
    """A class of a module in a method's folder."""
    try:
        return getattr(importlib.import_module(f"{found.module}.{module}"), member)
    except (ImportError, AttributeError) as problem:
        if not found.plug_in:
            raise
        raise DataError(f"{name}: {found.family} cannot be loaded: {' '.join(str(problem).split())}") from None


def resolve_config(
    name: str,
    dataset: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    file: str | Path | None = None,
    preset: str | None = "paper",
) -> Config:
    """Build a method's Config: overrides, then the file, then the sheet's preset for the data set, then defaults.

    ``preset`` None uses no preset. A named preset that the sheet lacks is a :class:`UsageError`; one that has nothing
    for this data set leaves the defaults.
    """
    found = sheet(name)
    values: dict[str, Any] = {}
    if preset is not None:
        if preset != "paper" and preset not in found.presets:
            raise UsageError(f"--preset is {preset!r}, expected one of {', '.join([*found.presets, 'none'])}")
        if found.leaves_out(name, preset, dataset):
            raise UsageError(
                f"--preset {preset} has no published options of {name} on {dataset}; expected another preset, or none"
            )
        values.update(found.preset(name, preset, dataset))
    values.update(found.names[name] or {})
    if file is not None:
        values.update(_read_config(file))
    values.update(overrides or {})
    return config_class(name).from_mapping(values, origin=name)


def _read_config(file: str | Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except OSError as problem:
        raise DataError(f"--config {file}: {problem.strerror or problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise DataError(f"--config {file}: not YAML: {' '.join(str(problem).split())}") from None
    if not isinstance(values, dict):
        raise DataError(f"--config {file}: found {type(values).__name__}, expected a mapping of options")
    # A run folder's config.yaml holds the options under "config", beside the data set and the seeds.
    options = values.get("config", values)
    if not isinstance(options, dict):
        raise DataError(f"--config {file}: config is {options!r}, expected a mapping of options")
    return dict(options)
