"""Name -> method, found through the sheets and imported only when asked for.

A sheet is the YAML file beside a method's module, with the same stem. Built-in sheets are found by looking into
``graphkit/methods/*``; third parties name their module in the entry-point group ``graphkit.methods``.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from graphkit.config import Config
from graphkit.errors import DataError, UsageError, did_you_mean

ENTRY_POINT_GROUP = "graphkit.methods"
KINDS = ("embedder", "counter", "learner", "clusterer", "analysis")


@dataclass(frozen=True)
class Sheet:
    """What a method's YAML file says: paper, presets, claims, and the words it answers to."""

    path: Path
    module: str
    family: str
    class_name: str
    kind: str
    names: Mapping[str, Mapping[str, Any]]
    summary: str
    task: str | None = None
    paper: Mapping[str, Any] = field(default_factory=dict)
    takes: Mapping[str, bool] = field(default_factory=dict)
    result: str = "random"
    memory: str = ""
    extra: str | None = None
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    claims: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def preset(self, name: str, preset: str, dataset: str | None) -> dict[str, Any]:
        """Return the published option values of a word for a data set; empty where the sheet has none.

        The data sets of a generator (``pattern:seed=1``) share the entry of its word.
        """
        values = self._entry(preset, dataset)
        own = values.pop("only", {}) or {}
        return {**values, **(own.get(name) or {})}

    def leaves_out(self, name: str, preset: str, dataset: str | None) -> bool:
        """Whether the sheet says that a preset has nothing for this word on a data set that others have it for (``only:
        {word: null}``).
        """
        own = self._entry(preset, dataset).get("only") or {}
        return name in own and own[name] is None

    def _entry(self, preset: str, dataset: str | None) -> dict[str, Any]:
        known = self.presets.get(preset, {})
        return dict(known.get(dataset) or known.get((dataset or "").partition(":")[0]) or {})


def _load_sheet(path: Path, module: str, family: str) -> Sheet:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
        values = {"class_name": values.pop("class"), **values}
        sheet = Sheet(path=path, module=module, family=family, **values)
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError) as problem:
        raise DataError(f"{path}: not a method sheet: {' '.join(str(problem).split())}") from None
    if sheet.kind not in KINDS:
        raise DataError(f"{path}: kind is {sheet.kind!r}, expected one of {', '.join(KINDS)}")
    return sheet


@functools.cache
def _sheets() -> dict[str, Sheet]:
    """Map every word to its sheet, built-in methods first."""
    found: dict[str, Sheet] = {}
    here = Path(__file__).parent / "methods"
    for path in sorted(here.glob("*/*.yaml")):
        sheet = _load_sheet(path, f"graphkit.methods.{path.parent.name}.{path.stem}", path.parent.name)
        found.update(dict.fromkeys(sheet.names, sheet))
    for entry in _entry_points():
        try:
            sheet = _plug_in(entry)
        except (DataError, ImportError) as problem:  # a broken plug-in takes nothing but itself away
            logging.getLogger("graphkit").warning(
                "left out: plug-in %r: %s", entry.name, " ".join(str(problem).split())
            )
            continue
        for word in sheet.names:
            found.setdefault(word, sheet)
    return found


def _plug_in(entry) -> Sheet:
    try:
        spec = importlib.util.find_spec(entry.module)
    except ModuleNotFoundError:  # of the package above it
        spec = None
    if spec is None or spec.origin is None:
        raise DataError(f"its module {entry.module} cannot be found")
    return _load_sheet(Path(spec.origin).with_suffix(".yaml"), entry.module, f"plug-in {entry.module}")


def _entry_points():
    points = metadata.entry_points()
    if hasattr(points, "select"):
        return sorted(points.select(group=ENTRY_POINT_GROUP), key=lambda point: point.name)
    return sorted(points.get(ENTRY_POINT_GROUP, []), key=lambda point: point.name)  # Python 3.9


def names(kind: str | None = None) -> list[str]:
    """Return the words of all methods, or of one kind, sorted."""
    return sorted(word for word, sheet in _sheets().items() if kind in (None, sheet.kind))


def sheets() -> list[Sheet]:
    """Return every sheet once, in the order of its first word."""
    return list({id(sheet): sheet for _, sheet in sorted(_sheets().items())}.values())


def sheet(name: str) -> Sheet:
    """Return the sheet of a method; raises :class:`UsageError` for an unknown word."""
    try:
        return _sheets()[name]
    except KeyError:
        raise UsageError(
            f"unknown method {name!r}{did_you_mean(name, _sheets()) or '; see: graphkit methods'}"
        ) from None


def method(name: str) -> type:
    """Import and return the class of a method."""
    found = sheet(name)
    try:
        return getattr(importlib.import_module(found.module), found.class_name)
    except (ImportError, AttributeError) as problem:
        if not found.family.startswith("plug-in"):
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
    return method(name).Config.from_mapping(values, origin=name)


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
