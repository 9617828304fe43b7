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
            return read_json(partial) if partial.exists() else {}
        if (self.path / "config.yaml").exists():
            raise UsageError(f"--out {self.path}: already holds a run; add --resume to continue it or name another folder")
        write_text(self.path / "config.yaml", yaml.safe_dump(dict(description), sort_keys=False, allow_unicode=True))
        write_text(self.path / "metrics.jsonl", "")
        return {}

    def _check_same(self, description: Mapping[str, Any]) -> None:
        before = read_yaml(self.path / "config.yaml")
        for key in ("method", "dataset", "split", "seeds", "config", "checksum"):
            old, new = before.get(key), description.get(key)
            if key == "config" and isinstance(old, dict):
                changed = sorted(k for k in {*old, *new} if old.get(k) != new.get(k))
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
        """Drop the lines of a seed beyond an epoch, and a last line cut off by a kill."""
        kept = []
        for line in (self.path / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            if event["seed"] != seed or event["epoch"] <= epoch:
                kept.append(line + "\n")
        write_text(self.path / "metrics.jsonl", "".join(kept))

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
        return read_json(folder.path / "result.json")
    outcomes = {} if folder is None else folder.start(settings, resume)
    with StopRequest() as stop:
        for seed in seeds:
            if str(seed) not in outcomes:
                outcomes[str(seed)] = _run_seed(name, dataset.for_seed(seed), config, seed, device, folder, resume, report,
                                                stop, save_predictions)  # fmt: skip
                if folder is not None:
                    folder.finish_seed(seed, outcomes)
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
        "parameters": runs[0]["parameters"], "config": config.to_dict(),
        "dataset_version": dataset.source.version, "dataset_checksum": checksum,
        "versions": versions(), "revision": revision(), "command": shlex.join(["graphkit", *sys.argv[1:]]),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }  # fmt: skip


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

    def restore(self, seed: int | None = None, device: str = "cpu"):
        """Rebuild (learner, dataset) of a seed, by default the one with the best validation value.

        Raises :class:`DataError` where the run is unfinished, its data changed, or its model is missing or damaged.
        """
        if self.result is None:
            raise DataError(f"{self.path}: the run is not finished; continue it with graphkit train ... --resume")
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
            learner.load_state_dict(_read_model(path))
            learner.model.eval()
        return learner, dataset

    def _dataset(self, seed: int):
        from graphkit import datasets
        from graphkit.datasets.files import ReadOptions

        data = dict(self.settings.get("data") or {"name": self.settings["dataset"]})
        name = data.pop("name")
        if name == "-":
            raise DataError(f"{self.path}: the run read its graph from stdin; train from a file to use the model later")
        task, split = registry.sheet(self.settings["method"]).task, self.settings.get("split") or None
        dataset = datasets.load(name, task=task, split=split, seed=seed, read=ReadOptions(**data))
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
    result = path / "result.json"
    return Run(path, settings, read_json(result) if result.exists() else None)
