"""The run folder: what is in it, how it is written (atomically) and read back.

``config.yaml`` everything resolved; ``metrics.jsonl`` a line per evaluation; ``result.json`` the final metrics;
``model.safetensors`` the model at the best validation epoch; ``checkpoint.pt`` while unfinished, for resume;
``predictions.npz`` where asked. With several seeds the last three stand in ``seed-N/``, and ``partial.json`` keeps the
seeds that are done until all are.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from graphkit import registry
from graphkit.errors import DataError, UsageError
from graphkit.files import atomic_path, read_json, write_json, write_text
from graphkit.machine import peak_rss_mb, versions


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return mean, unbiased standard deviation (None for one value) and the values, one per seed."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": spread, "values": [float(value) for value in values]}


def check_free(path: str | Path) -> None:
    """Raise :class:`UsageError` where a folder holds a run already."""
    if (Path(path) / "config.yaml").exists():
        raise UsageError(f"--out {path}: already holds a run; add --resume to continue it or name another folder")


class RunFolder:
    """Writes one run."""

    def __init__(self, path: Path, seeds: Sequence[int]):
        self.path, self.seeds = Path(path), list(seeds)

    def seed_path(self, seed: int, name: str) -> Path:
        """Path of a file that belongs to one seed."""
        return self.path / name if len(self.seeds) == 1 else self.path / f"seed-{seed}" / name

    def start(self, description: Mapping[str, Any], resume: bool) -> dict[str, Any]:
        """Write config.yaml, or check it against the one to resume; return the outcomes of finished seeds."""
        if resume and (self.path / "config.yaml").exists():
            self._check_same(description)
            for half_written in self.path.rglob(".*.part"):  # a killed process cannot remove its temporary files
                half_written.unlink()
            partial = self.path / "partial.json"
            return _read_partial(partial) if partial.exists() else {}
        check_free(self.path)
        write_text(self.path / "config.yaml", yaml.safe_dump(dict(description), sort_keys=False, allow_unicode=True))
        write_text(self.path / "metrics.jsonl", "")
        return {}

    def leave_if_unused(self) -> None:
        """Take back config.yaml where nothing was trained, so that a run that was refused does not block the corrected one."""
        log = self.path / "metrics.jsonl"
        if any(self.path.rglob("checkpoint.pt")) or (self.path / "partial.json").exists() or (log.exists() and log.stat().st_size):
            return
        for file in (self.path / "config.yaml", log):
            file.unlink(missing_ok=True)
        with suppress(OSError):  # it holds other files, or is where the user stands
            self.path.rmdir()

    def _check_same(self, description: Mapping[str, Any]) -> None:
        before = read_yaml(self.path / "config.yaml")
        for key in ("method", "dataset", "split", "seeds", "config", "checksum"):
            old, new = before.get(key), description.get(key)
            if key == "config" and isinstance(old, dict):
                changed = sorted((k for k in {*old, *new} if old.get(k) != new.get(k)), key=str)
                if changed:
                    shown = ", ".join(f"{k} {old.get(k)} -> {new.get(k)}" for k in changed)
                    raise UsageError(f"--resume {self.path}: the options differ from the run's: {shown}")
            elif old != new:
                raise UsageError(f"--resume {self.path}: {key} is {new!r}, but the run has {old!r}")

    def log(self, event: Mapping[str, Any]) -> None:
        """Append an evaluation to metrics.jsonl."""
        line = {key: value for key, value in event.items() if key != "event"}
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def trim_log(self, seed: int, epoch: int) -> None:
        """Drop the lines of a seed beyond an epoch, and a last line cut off by a kill; a missing log is an empty one."""
        kept, log = [], self.path / "metrics.jsonl"
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else ():
            try:
                event = json.loads(line)
                keep = event["seed"] != seed or event["epoch"] <= epoch
            except (json.JSONDecodeError, KeyError, TypeError, IndexError):
                continue
            if keep:
                kept.append(line + "\n")
        write_text(log, "".join(kept))

    def save_model(self, seed: int, state: Mapping[str, Any]) -> None:
        """Write model.safetensors; does nothing for a method that learns nothing."""
        from safetensors.torch import save_file

        if not state:
            return
        with atomic_path(self.seed_path(seed, "model.safetensors")) as temporary:
            save_file({key: value.contiguous() for key, value in state.items()}, str(temporary))

    def finish_seed(self, seed: int, outcomes: Mapping[str, Any]) -> None:
        """Note that a seed is done; its checkpoint has served its purpose."""
        write_json(self.path / "partial.json", outcomes)
        self.seed_path(seed, "checkpoint.pt").unlink(missing_ok=True)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write result.json."""
        write_json(self.path / "result.json", result)
        (self.path / "partial.json").unlink(missing_ok=True)


def execute(
    name: str,
    dataset,
    config,
    *,
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    report=None,
    description: Mapping[str, Any] | None = None,
    save_predictions: bool = False,
) -> dict[str, Any]:
    """Train a learner once per seed and return the content of ``result.json``.

    With ``out`` the run folder is written there. ``description`` adds to config.yaml what is needed to load the data set
    again. A data set whose split is drawn from a seed is drawn anew for every seed.
    """
    from graphkit.training.signals import StopRequest

    folder = None if out is None else RunFolder(Path(out), seeds)
    settings = {
        "method": name, "dataset": dataset.name, "split": dataset.split_name, "seeds": list(seeds), "device": device,
        "checksum": dataset.for_seed(seeds[0]).checksum(), "config": config.to_dict(), **(description or {}),
    }  # fmt: skip
    if folder is not None and resume and (folder.path / "result.json").exists():
        folder._check_same(settings)
        return _read_result(folder.path / "result.json")
    outcomes = {} if folder is None else folder.start(settings, resume)
    try:
        with StopRequest() as stop:
            for seed in seeds:
                if str(seed) not in outcomes:
                    outcomes[str(seed)] = _run_seed(name, dataset.for_seed(seed), config, seed, device, folder, resume, report,
                                                    stop, save_predictions)  # fmt: skip
                    if folder is not None:
                        folder.finish_seed(seed, outcomes)
    except (UsageError, DataError):
        if folder is not None:
            folder.leave_if_unused()
        raise
    result = _result(name, dataset, config, seeds, device, outcomes, settings["checksum"])
    if folder is not None:
        folder.finish(result)
    return result


def _run_seed(name, dataset, config, seed, device, folder, resume, report, stop, save_predictions) -> dict[str, Any]:
    from graphkit.evaluation import folds
    from graphkit.training import checkpoint, fit

    learner = registry.method(name)(config)
    path = None if folder is None else folder.seed_path(seed, "checkpoint.pt")
    if folder is not None:
        epoch = checkpoint.load(path)["progress"]["epoch"] if resume and path.exists() else -1
        folder.trim_log(seed, epoch)

    def record(event: dict[str, Any]) -> None:
        if folder is not None and event["event"] == "evaluation":
            folder.log(event)
        if report is not None:
            report({**event, "seed": seed, "seeds": len(folder.seeds) if folder else 1, "epochs": config.epochs})

    found = fit(
        learner, dataset, seed=seed, device=device, checkpoint_path=path, resume=resume, report=record, stop=stop
    )
    if folder is not None:
        folder.save_model(seed, found.state)
    if save_predictions and folder is not None:
        _save_predictions(folder.seed_path(seed, "predictions.npz"), learner, found.state)
    return {
        "best": found.best, "epochs": found.epochs, "seconds": found.seconds, "parameters": learner.parameter_count(),
        **({"curve": found.curve} if folds.by_mean_curve(dataset) else {}),
        **({"report": said} if (said := learner.report(found.state)) else {}),
    }  # fmt: skip


def _save_predictions(path: Path, learner, state) -> None:
    import torch

    learner.load_state_dict(state)
    if learner.model is not None:
        learner.model.eval()
    with torch.no_grad():
        scores = learner.predict("test")
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **{key: value.cpu().numpy() for key, value in scores.items()})


def _result(name, dataset, config, seeds, device, outcomes, checksum) -> dict[str, Any]:
    from graphkit.evaluation import folds
    from graphkit.evaluation.leaderboard import hardware
    from graphkit.evaluation.protocols import of_dataset

    runs, protocol, rules = [outcomes[str(seed)] for seed in seeds], of_dataset(dataset), {}
    if dataset.folds and list(seeds) == list(range(dataset.folds)):
        rules["folds"] = dataset.folds
    if folds.by_mean_curve(dataset):
        runs = folds.select_one_epoch(runs)
        rules["selection"] = protocol.says
    metrics = {
        metric: {part: summary([run["best"][metric][part] for run in runs]) for part in ("valid", "test")}
        for metric in runs[0]["best"]
    }
    return {
        "method": name, "dataset": dataset.name, "split": dataset.split_name, "protocol": protocol.id, **rules,
        "metric": dataset.metric, "seeds": list(seeds), "hardware": hardware(device),
        "valid": metrics[dataset.metric]["valid"], "test": metrics[dataset.metric]["test"], "metrics": metrics,
        "best_epochs": [run["best"][dataset.metric]["epoch"] for run in runs],
        "seconds": sum(run["seconds"] for run in runs), "peak_rss_mb": round(peak_rss_mb(), 1),
        "parameters": runs[0]["parameters"], **_mean_report(runs), "config": config.to_dict(),
        "dataset_version": dataset.source.version, "dataset_checksum": checksum,
        "versions": versions(), "revision": revision(), "command": shlex.join(["graphkit", *sys.argv[1:]]),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }  # fmt: skip


def _mean_report(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """{"report": name -> mean over the seeds} where the method reports anything; a seed that was run before it did has none."""
    reports = [run["report"] for run in runs if "report" in run]
    return {"report": {name: float(np.mean([one[name] for one in reports])) for name in reports[0]}} if reports else {}


def revision() -> str | None:
    """Git revision of graphkit where it runs from a checkout of its own, else None."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return None
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; raises :class:`DataError`."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise DataError(f"{path}: {problem.strerror or problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise DataError(f"{path}: not YAML: {' '.join(str(problem).split())}") from None
    if not isinstance(values, dict):
        raise DataError(f"{path}: found {type(values).__name__}, expected a mapping")
    return values


@dataclasses.dataclass(frozen=True)
class Run:
    """A run folder read back."""

    path: Path
    settings: Mapping[str, Any]
    result: Mapping[str, Any] | None

    @property
    def state(self) -> str:
        """finished or unfinished."""
        return "unfinished" if self.result is None else "finished"

    def require_model(self) -> None:
        """Raise :class:`DataError` unless this is the finished run of a learner."""
        if self.result is None:
            raise DataError(f"{self.path}: the run is not finished; continue it with graphkit train ... --resume")
        try:
            kind = registry.sheet(self.settings["method"]).kind
        except UsageError as problem:  # damaged, or of a plug-in that is not installed
            raise DataError(f"{self.path / 'config.yaml'}: {problem}") from None
        if kind != "learner" or "metrics" not in self.result:
            raise DataError(f"{self.path}: a run of {self.settings['method']} that holds no model; expected one of graphkit train")

    def restore(self, seed: int | None = None, device: str = "cpu"):
        """Rebuild (learner, dataset) of a seed, by default the one with the best validation value.

        Raises :class:`DataError` where the run is unfinished, its data changed, or its model is missing or damaged.
        """
        self.require_model()
        seeds = list(self.settings["seeds"])
        if seed is None:
            from graphkit.evaluation.metrics import better

            pick = np.argmin if better(self.result["metric"]) == "min" else np.argmax
            seed = seeds[int(pick(self.result["valid"]["values"]))]
        if seed not in seeds:
            raise UsageError(f"--seed is {seed}, but the run has seeds {', '.join(map(str, seeds))}")
        dataset = self._dataset(seeds[0]).for_seed(seed)
        learner = registry.method(self.settings["method"])(
            registry.method(self.settings["method"]).Config.from_mapping(self.settings["config"], str(self.path))
        )
        learner.prepare(dataset, seed=seed, device=device)
        path = RunFolder(self.path, seeds).seed_path(seed, "model.safetensors")
        if learner.model is not None:
            try:
                learner.load_state_dict(_read_model(path))
            except (RuntimeError, KeyError) as problem:  # other names or shapes of tensors
                raise DataError(f"{path}: not the model of this run: {' '.join(str(problem).split())[:200]}") from None
            learner.model.eval()
        return learner, dataset

    def _dataset(self, seed: int):
        from graphkit import datasets
        from graphkit.datasets.files import ReadOptions

        data = dict(self.settings.get("data") or {"name": self.settings["dataset"]})
        name = data.pop("name", None)
        if not isinstance(name, str):
            raise DataError(f"{self.path / 'config.yaml'}: data has no name; expected that of a data set or file")
        if name == "-":
            raise DataError(f"{self.path}: the run read its graph from stdin; train from a file to use the model later")
        task, split = registry.sheet(self.settings["method"]).task, self.settings.get("split") or None
        try:
            read = ReadOptions(**data)
        except TypeError as problem:  # a key that is no option
            raise DataError(f"{self.path / 'config.yaml'}: data: {str(problem).rpartition('() ')[2]}") from None
        dataset = datasets.load(name, task=task, split=split, seed=seed, read=read)
        if dataset.checksum() != self.settings["checksum"]:
            raise DataError(f"{self.path}: {name} is not what the model was trained on (its checksum differs)")
        return dataset


def _read_model(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; the run's model is missing") from None
    except (SafetensorError, OSError) as problem:
        raise DataError(f"{path}: not a safetensors file: {problem}") from None


def load_run(path: str | Path) -> Run:
    """Read a run folder; raises :class:`DataError` where it is none."""
    path = Path(path)
    if not (path / "config.yaml").is_file():
        raise DataError(f"{path}: not a run folder (it has no config.yaml)")
    settings = read_yaml(path / "config.yaml")
    missing = [key for key in ("method", "dataset", "seeds", "config", "checksum") if key not in settings]
    if missing:
        raise DataError(f"{path / 'config.yaml'}: has no {', '.join(missing)}; expected the settings of a run")
    _check_settings(path / "config.yaml", settings)
    result = path / "result.json"
    return Run(path, settings, _read_result(result) if result.exists() else None)


def _check_settings(path: Path, settings: Mapping[str, Any]) -> None:
    kinds = {"method": str, "dataset": str, "split": str, "seeds": list, "config": dict, "data": dict}
    words = {str: "text", list: "a list", dict: "a mapping"}
    for key, kind in kinds.items():
        if settings.get(key) is not None and not isinstance(settings[key], kind):
            raise DataError(f"{path}: {key} is {settings[key]!r}, expected {words[kind]}")
    seeds = settings["seeds"]
    if not seeds or not all(isinstance(seed, int) and not isinstance(seed, bool) for seed in seeds):
        raise DataError(f"{path}: seeds is {seeds!r}, expected a list of integers")
    for key in ("method", "dataset", "config"):
        if settings[key] is None:
            raise DataError(f"{path}: {key} is empty, expected the settings of a run")


# what every result.json holds, and what those of learners hold beside it
_OF_ALL = {"method": str, "dataset": str, "seeds": list, "seconds": (int, float), "command": str, "peak_rss_mb": (int, float)}
_OF_LEARNERS = {"split": str, "metric": str, "metrics": dict, "valid": dict, "test": dict, "best_epochs": list, "parameters": int}


def _read_result(path: Path) -> dict[str, Any]:
    """Read a result.json; raises :class:`DataError` where it lacks what one holds."""
    result = read_json(path)
    if not isinstance(result, dict):
        raise DataError(f"{path}: found {type(result).__name__}, expected a mapping")
    expected = {**_OF_ALL, **({} if "dim" in result else _OF_LEARNERS)}
    wrong = [key for key, kind in expected.items() if not isinstance(result.get(key), kind)]
    if not wrong and "metrics" in expected:
        parts = [("valid", result["valid"]), ("test", result["test"])]
        for name, values in result["metrics"].items():
            parts += [(name, values.get(part) if isinstance(values, dict) else None) for part in ("valid", "test")]
        wrong = [name for name, part in parts if not (isinstance(part, dict) and {"mean", "std", "values"} <= set(part))]
        wrong += [] if result["metric"] in result["metrics"] else ["metrics"]
    if wrong:
        raise DataError(f"{path}: {', '.join(dict.fromkeys(wrong))} missing or of another type; expected the result of a run")
    return result


def _read_partial(path: Path) -> dict[str, Any]:
    """Read a partial.json, seed -> outcome; raises :class:`DataError` where it is something else."""
    outcomes = read_json(path)
    whole = isinstance(outcomes, dict) and all(
        isinstance(outcome, dict) and {"best", "epochs", "seconds", "parameters"} <= set(outcome) for outcome in outcomes.values()
    )
    if not whole:
        raise DataError(f"{path}: expected a mapping from each finished seed to its outcome; remove the file to run them again")
    return outcomes
