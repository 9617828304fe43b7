"""Runs the claims of a sheet; outcomes are cached by configuration, data and version."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphkit import datasets
from graphkit._version import __version__
from graphkit.claims import expressions, sheets
from graphkit.core import registry
from graphkit.core.errors import DataError, MissingExtraError
from graphkit.core.machine import describe as describe_machine
from graphkit.core.machine import versions
from graphkit.evaluation import embedding
from graphkit.io.files import output_error, read_json, write_json
from graphkit.runs import execution as runs
from graphkit.runs.execution import summary

WARM_UP_NODES = 100  # at least; more where vectors are longer


@dataclass
class Verdict:
    """What became of a claim: ``state`` is held, not held or skipped (``reason`` says why).

    ``seconds`` is what its runs took when they ran, cached ones included; more than ``budget`` is reported, not failed.
    ``catches`` and ``why`` are the sheet's: which fault the claim would catch, and why it does not hold where it does
    not. ``setup`` is the sheet's description of the runs, so that a verdict on other runs than today's is known for
    one.
    """

    method: str
    claim: str
    says: str
    paper: Mapping[str, Any]
    expect: str
    state: str
    reason: str = ""
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: float = 0.0
    budget: float | None = None
    finished: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    machine: str = ""
    catches: str = ""
    why: str = ""
    setup: dict[str, Any] = field(default_factory=dict)

    @property
    def over_budget(self) -> bool:
        """Whether the runs took longer than the sheet allows for."""
        return self.budget is not None and self.seconds > self.budget


def results_folder(path: str | None = None) -> Path:
    """Folder of cached results: the given one or ``claims`` in the user's cache."""
    if path is not None:
        return Path(path)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "graphkit" / "claims"


class Runner:
    """Runs claims and keeps what they found below ``folder``.

    fresh: run again what the folder holds, once per configuration. report: called with every event. execute: runs one
    entry of a claim, ``execute(run, name, dataset, config, path, report)`` -> its result; tests put their own there.
    command: what the user typed, for the result.json of trainings.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fresh: bool = False,
        report: Callable | None = None,
        execute: Callable | None = None,
        command: str = "",
    ):
        self.folder, self.fresh = Path(folder), fresh
        self.report = report or (lambda event: None)
        self.execute = execute or functools.partial(execute_run, command=command)
        self.executed: set[Path] = set()

    def claim(self, name: str, claim_id: str, claim: Mapping[str, Any]) -> Verdict:
        """Run a claim, or take its runs from the folder, judge it and store the verdict.

        Missing data or a missing extra make it ``skipped``, which never replaces a stored verdict. Raises
        :class:`DataError` where the expectation asks for what its runs did not measure.
        """
        expect, path = " ".join(claim["expect"].split()), self.folder / f"{name}.{claim_id}.json"
        words = sheets.words(claim)
        verdict = Verdict(name, claim_id, words.pop("says"), claim["paper"], expect, "skipped", **words)
        verdict.budget, verdict.setup = sheets.seconds(claim["budget"]), sheets.plain(claim["runs"])
        verdict.versions, verdict.machine, verdict.finished = versions(), describe_machine(), time.strftime("%Y-%m-%d")
        before = len(self.executed)
        try:
            for key, run in claim["runs"].items():
                verdict.runs[key] = self.run({"task": sheets.task(name, run), **run}, f"{claim_id}: {key}")
        except (DataError, MissingExtraError) as problem:
            verdict.reason = str(problem)
        verdict.seconds = sum(took(run) for run in verdict.runs.values())
        if not verdict.reason:
            outcomes = {key: outcome(run) for key, run in verdict.runs.items()}
            try:
                verdict.state = "held" if expressions.evaluate(expect, outcomes) else "not held"
            except DataError as problem:
                raise DataError(f"{registry.sheet(name).title}/claims.yaml: claim {claim_id}: {problem}") from None
        self._store(verdict, path, nothing_new=len(self.executed) == before)
        return verdict

    def _store(self, verdict: Verdict, path: Path, nothing_new: bool) -> None:
        if path.exists() and (verdict.state == "skipped" or nothing_new):
            stored = Verdict(**read_json(path))
            if verdict.state == "skipped":
                return
            if stored.runs == verdict.runs:  # all from the folder: date and machine are those of the measurement
                verdict.finished, verdict.machine, verdict.versions = stored.finished, stored.machine, stored.versions
        write_json(path, vars(verdict))

    def run(self, run: Mapping[str, Any], label: str) -> dict[str, Any]:
        """Return the result of one entry of a claim, from the folder where it has been run before."""
        self.report({"event": "run", "label": label})
        name = run.get("train") or run.get("embed")
        dataset = datasets.load(run["dataset"], task=run["task"], split=run.get("split"))
        config = None
        if name is not None:
            config = registry.resolve_config(
                name, run["dataset"], run.get("overrides"), preset=run.get("preset", "paper")
            )
        settings = {
            "run": dict(run),
            "config": config and config.to_dict(),
            "data": dataset.checksum(),
            "version": __version__,
        }
        key = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]
        path = self.folder / "runs" / f"{name or 'check'}-{dataset.name.replace('/', '-')}-{key}"
        with _locked(path, self.report):
            if (path / "result.json").exists() and (not self.fresh or path in self.executed):
                return read_json(path / "result.json")
            if self.fresh and path.exists():
                shutil.rmtree(path)
            self.executed.add(path)
            found = self.execute(run, name, dataset, config, path, self.report)
            if not (path / "result.json").exists():
                write_json(path / "result.json", found)
        return found


@contextlib.contextmanager
def _locked(path: Path, report: Callable):
    """Keep other processes out of a run; the lock goes with the process that holds it, however that ends."""
    try:
        import fcntl
    except ImportError:  # no such locks on this platform
        yield
        return
    with contextlib.ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = held.enter_context(open(path.with_name(f".{path.name}.lock"), "w"))
        except OSError as problem:
            raise output_error(path.parent, problem) from None
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report({"event": "waiting", "path": str(path)})
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def outcome(run: Mapping[str, Any]) -> expressions.Outcome:
    """Reduce a run's stored result to what expressions speak of."""
    means = {name: values["test"]["mean"] for name, values in run["metrics"].items()}
    official = run["metrics"].get(run.get("metric") or "", {})
    pick = {part: official[part]["mean"] if part in official else None for part in ("test", "valid")}
    values = {part: tuple(official[part]["values"]) if part in official else None for part in ("test", "valid")}
    series = {name: tuple(values["test"]["values"]) for name, values in run["metrics"].items()}
    return expressions.Outcome(
        means,
        seconds=run["seconds"],
        parameters=run.get("parameters"),
        values=values["test"],
        valid_values=values["valid"],
        series=series,
        seeds=tuple(run["seeds"]) if "seeds" in run else None,
        **pick,
    )


def took(run: Mapping[str, Any]) -> float:
    """Seconds of a run with its evaluation; ``run["seconds"]`` of an embedder is one embedding alone."""
    return run.get("wall_seconds", run["seconds"])


def execute_run(run, name, dataset, config, path: Path, report: Callable, command: str = "") -> dict[str, Any]:
    """Train, embed and evaluate, or call a check; a training is kept at ``path`` and continued where it stopped."""
    if "train" in run:
        return runs.execute(
            name, dataset, config, seeds=_seeds(run), out=path, resume=True, report=report, command=command
        )
    started = time.monotonic()
    found = _embed(run, name, dataset, config, report) if "embed" in run else _check(run, dataset)
    return {**found, "wall_seconds": time.monotonic() - started}


def _seeds(run: Mapping[str, Any]) -> list[int]:
    return list(range(int(run.get("seeds", 1))))


def _check(run, dataset) -> dict[str, Any]:
    module, _, function = run["check"].partition(":")
    started = time.monotonic()
    measured = getattr(importlib.import_module(module), function)(dataset)
    several = {key: list(value) if isinstance(value, Sequence) else [value] for key, value in measured.items()}
    metrics = {key: _alone([float(value) for value in values]) for key, values in several.items()}
    return {"check": run["check"], "dataset": dataset.name, "metrics": metrics, "seconds": time.monotonic() - started}


def _embed(run, name, dataset, config, report) -> dict[str, Any]:
    values: dict[str, list[float]] = {}
    spent, warm_up = [], _warm_up(name, config)
    options = {**run.get("evaluate", {})}
    protocol = getattr(embedding, options.pop("protocol", "node-classification").replace("-", "_"))
    for seed in _seeds(run):
        drawn = dataset.for_seed(seed)
        started = time.monotonic()
        vectors = registry.method(name)(config).embed(drawn, seed=seed)
        spent.append(time.monotonic() - started)
        report({"event": "embedded", "seed": seed, "seconds": spent[-1]})
        target = drawn.split if protocol is embedding.link_prediction else _labels(drawn)
        for metric, found in protocol(vectors, target, **options).items():
            values.setdefault(metric, []).extend(found if isinstance(found, list) else [found])
    result = {"method": name, "dataset": dataset.name, "seeds": _seeds(run), "config": config.to_dict()}
    metrics = {key: _alone(found) for key, found in values.items()}
    return {**result, "metrics": metrics, "seconds": sum(spent) / len(spent), "warm_up_seconds": warm_up}


def _warm_up(name, config) -> float:
    """Embed a small graph, so that kernels which the first use of an installation compiles do not count as the method's
    time.
    """
    small = datasets.load(f"barabasi:n={max(WARM_UP_NODES, 2 * getattr(config, 'dim', 0))},m=3")
    started = time.monotonic()
    registry.method(name)(config).embed(small, seed=0)
    return time.monotonic() - started


def _labels(dataset):
    if dataset.labels is None:
        raise DataError(f"{dataset.name}: has no node labels, which the protocol compares the vectors with")
    return dataset.labels.numpy()


def _alone(values: list[float]) -> dict[str, Any]:
    return {"test": summary(values)}
