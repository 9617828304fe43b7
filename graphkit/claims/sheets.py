"""What a claim in a sheet must look like; a malformed one is named with its sheet before anything runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from graphkit import datasets
from graphkit.claims import expressions
from graphkit.core import registry
from graphkit.core.errors import DataError, GraphkitError, UsageError, did_you_mean

PARTS = {"says": str, "paper": Mapping, "runs": Mapping, "expect": str, "budget": object}
# catches: the faults that would turn the verdict. why: what a claim that does not hold fails on, known once it has been
# run.
OPTIONAL = {"smoke": bool, "catches": str, "why": str}
ACTIONS = {"train": "learner", "embed": "embedder", "check": None}
KIND_NAMES = {str: "text", bool: "true or false", Mapping: "a mapping"}
RUN_KEYS = {*ACTIONS, "dataset", "seeds", "overrides", "preset", "split", "evaluate", "task"}
# protocol of an embed run -> options it takes
PROTOCOLS = {
    "node-classification": {"ratios", "shuffles", "folds", "C", "seed"},
    "link-prediction": {"operator", "C", "seed"},
    "clustering": {"repeats", "seed"},
}


def select(name: str, claim: str | None = None, smoke: bool = False) -> dict[str, Mapping[str, Any]]:
    """Return the claims to run, checked.

    Raises :class:`UsageError` for an unknown claim, :class:`DataError` for a malformed one.
    """
    sheet = registry.sheet(name)
    if claim is not None and claim not in sheet.claims:
        known = ", ".join(sheet.claims) or "none"
        raise UsageError(
            f"--claim {claim}: {name} has no such claim{did_you_mean(claim, sheet.claims)}; it has {known}"
        )
    chosen = {
        key: value
        for key, value in sheet.claims.items()
        if (claim is None or key == claim) and (not smoke or (isinstance(value, Mapping) and value.get("smoke", False)))
    }
    for key, value in chosen.items():
        check(f"{sheet.title}/claims.yaml: claim {key}", value)
    return chosen


def check(where: str, claim: Any) -> None:
    """Raise :class:`DataError` unless a claim has all its parts and its runs and expectation can be made sense of."""
    if not isinstance(claim, Mapping):
        raise DataError(f"{where}: found {type(claim).__name__}, expected a mapping with {', '.join(PARTS)}")
    for key in claim:
        if key not in {*PARTS, *OPTIONAL}:
            raise DataError(f"{where}: unknown key {key!r}{did_you_mean(str(key), [*PARTS, *OPTIONAL])}")
    for key, kind in {**PARTS, **OPTIONAL}.items():
        if key in PARTS and key not in claim:
            raise DataError(f"{where}: has no {key!r}")
        if key in claim and not isinstance(claim[key], kind):
            raise DataError(f"{where}: {key} is {claim[key]!r}, expected {KIND_NAMES[kind]}")
    try:
        for name, run in claim["runs"].items():
            _check_run(f"run {name!r}", run)
        for _, asked in expressions.intervals(claim["expect"], claim["runs"]):
            _check_pairs(claim["runs"], [run for run, _ in asked])
        seconds(claim["budget"])
    except GraphkitError as problem:
        raise DataError(f"{where}: {problem}") from None


def _check_run(where: str, run: Any) -> None:
    if not isinstance(run, Mapping) or sum(key in run for key in ACTIONS) != 1 or "dataset" not in run:
        keys = ", ".join(sorted(map(str, run))) if isinstance(run, Mapping) else repr(run)
        raise DataError(f"{where} has {keys or 'nothing'}; expected one of {', '.join(ACTIONS)}, and a dataset")
    for key in run:
        if key not in RUN_KEYS:
            raise DataError(f"{where}: unknown key {key!r}{did_you_mean(str(key), RUN_KEYS)}")
    _check_dataset(where, run["dataset"])
    seeds = run.get("seeds", 1)
    if type(seeds) is not int or seeds < 1:
        raise DataError(f"{where}: seeds is {seeds!r}, expected a number of at least 1")
    action = next(key for key in ACTIONS if key in run)
    if action == "check":
        if not all(run["check"].partition(":")):
            raise DataError(f"{where}: check is {run['check']!r}, expected module:function")
        return
    kinds = registry.sheet(run[action]).kinds
    if ACTIONS[action] not in kinds:
        found = " and ".join(kinds)
        raise DataError(f"{where}: {action} is {run[action]}, which is of kind {found}, expected {ACTIONS[action]}")
    _check_protocol(where, run.get("evaluate", {}))
    try:
        registry.resolve_config(run[action], run["dataset"], run.get("overrides"), preset=run.get("preset", "paper"))
    except UsageError as problem:
        raise DataError(f"{where}: {problem}") from None


def _check_pairs(runs: Mapping[str, Any], names: list[str]) -> None:
    """Refuse an interval of runs that are not judged on the same data, splits and seeds, or by a single seed."""
    shared = [
        {
            "dataset": run["dataset"],
            "split": run.get("split"),
            "seeds": run.get("seeds", 1),
            **{key: value for key, value in run.get("evaluate", {}).items() if key != "C"},
        }
        for run in (runs[name] for name in names)
    ]
    for key in sorted({key for settings in shared for key in settings}):
        found = [settings.get(key) for settings in shared]
        if any(value != found[0] for value in found):
            raise DataError(
                f"runs {' and '.join(names)} cannot be paired: {key} is {found[0]!r} and {found[1]!r}, expected the"
                " same"
            )
    if "train" in runs[names[0]] and shared[0]["seeds"] == 1:
        raise DataError(f"run {names[0]!r} has one seed, expected at least 2 for an interval")


def words(claim: Mapping[str, Any]) -> dict[str, str]:
    """Return what a claim says of itself on one line each: ``says``, ``catches`` and ``why``, empty where the sheet has
    none.
    """
    return {key: " ".join(str(claim.get(key, "")).split()) for key in ("says", "catches", "why")}


def plain(runs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the runs of a claim as JSON reads them back."""
    return json.loads(json.dumps(runs, default=str))


def _check_dataset(where: str, name: Any) -> None:
    # Files and generators are looked at when they are loaded; a mistyped name must not pass for absent data.
    if not isinstance(name, str) or not (name in datasets.names() or ":" in name or "/" in name):
        raise DataError(f"{where}: unknown data set {name!r}{did_you_mean(str(name), datasets.names())}")


def _check_protocol(where: str, evaluate: Mapping[str, Any]) -> None:
    name = evaluate.get("protocol", "node-classification")
    if name not in PROTOCOLS:
        raise DataError(
            f"{where}: protocol is {name!r}, expected one of {', '.join(PROTOCOLS)}{did_you_mean(name, PROTOCOLS)}"
        )
    for key in evaluate:
        if key not in PROTOCOLS[name] | {"protocol"}:
            raise DataError(f"{where}: {name} has no option {key!r}{did_you_mean(key, PROTOCOLS[name])}")


def seconds(budget: Any) -> float:
    """Return a budget such as ``300s``, ``20m`` or ``2h`` in seconds.

    >>> seconds("20m")
    1200.0
    """
    text = str(budget)
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
    try:
        return float(text if unit is None else text[:-1]) * (unit or 1)
    except ValueError:
        raise DataError(f"budget is {text!r}, expected a time such as 300s, 20m or 2h") from None


def task(claimant: str, run: Mapping[str, Any]) -> str | None:
    """Task that a run's data set is loaded for: its learner's; the claimant's for a check; links for that protocol."""
    if "train" in run:
        return registry.sheet(run["train"]).task
    if "check" in run:
        return registry.sheet(claimant).task
    return "link" if "link" in run.get("evaluate", {}).get("protocol", "") else None
