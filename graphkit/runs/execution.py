"""Runs: a learner trained once per seed into a run folder, and a finished run with its model read back."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from graphkit import datasets
from graphkit.core import reading, registry
from graphkit.core.errors import DataError, UsageError
from graphkit.core.read_options import ReadOptions
from graphkit.evaluation import folds, ranking
from graphkit.evaluation.leaderboard import hardware
from graphkit.evaluation.protocols import of_dataset
from graphkit.evaluation.registry import better
from graphkit.io.files import atomic_path
from graphkit.io.models import _read_model
from graphkit.runs import results
from graphkit.runs.folder import RunFolder, read_result, read_yaml
from graphkit.training import checkpoint, fit
from graphkit.training.signals import StopRequest


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return mean, unbiased standard deviation (None for one value) and the values, one per seed."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": spread, "values": [float(value) for value in values]}


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
    command: str = "",
) -> dict[str, Any]:
    """Train a learner once per seed and return the content of ``result.json``.

    With ``out`` the run folder is written there. ``description`` adds to config.yaml what is needed to load the data
    set again; ``command``, what the user typed, goes into result.json. A data set whose split is drawn from a seed is
    drawn anew for every seed. Raises :class:`UsageError` where another process writes into ``out``.
    """
    folder = None if out is None else RunFolder(Path(out), seeds)
    settings = {
        "method": name,
        "dataset": dataset.name,
        "split": dataset.split_name,
        "seeds": list(seeds),
        "device": device,
        "checksum": dataset.for_seed(seeds[0]).checksum(),
        "config": config.to_dict(),
        "threads": torch.get_num_threads(),
        **(description or {}),
    }
    if folder is not None and resume and (folder.path / "result.json").exists():
        folder.check_same(settings)
        return read_result(folder.path / "result.json")
    with reading.ledger() as notes, contextlib.nullcontext() if folder is None else folder.hold(resume):
        _note_ignored(name, dataset)
        outcomes = {} if folder is None else folder.start(settings, resume)
        try:
            _run_seeds(name, dataset, config, seeds, device, folder, resume, report, outcomes, save_predictions)
        except (UsageError, DataError):
            if folder is not None:
                folder.leave_if_unused()
            raise
        result = _result(name, dataset, config, seeds, device, outcomes, settings["checksum"], command)
        result["reading"] = list(dict.fromkeys([*dataset.reading, *notes.lines]))
        if folder is not None:
            folder.finish(result)
    return result


def _note_ignored(name: str, dataset) -> None:
    """Tell of edge weights and directions that the data have and the method does not look at."""
    takes = registry.sheet(name).takes
    for has, word, what in (
        (dataset.weighted, "weighted", "edge weights"),
        (dataset.directed, "directed", "edge directions"),
    ):
        if has and not takes.get(word):
            reading.note(dataset.name, f"has {what}, which {name} ignores")


def _run_seeds(name, dataset, config, seeds, device, folder, resume, report, outcomes, save_predictions) -> None:
    """Add the outcome of every seed that has none yet."""
    with StopRequest() as stop:
        for seed in seeds:
            if str(seed) not in outcomes:
                outcomes[str(seed)] = _run_seed(
                    name, dataset.for_seed(seed), config, seed, device, folder, resume, report, stop, save_predictions
                )
                if folder is not None:
                    folder.finish_seed(seed, outcomes)


def _run_seed(name, dataset, config, seed, device, folder, resume, report, stop, save_predictions) -> dict[str, Any]:
    learner = registry.method(name)(config)
    if (first := getattr(config, "init_from", None)) is not None:
        learner.initial_state = load_run(first).restore(seed)[0].state_dict()
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
    model = None if folder is None else folder.save_model(seed, found.state)
    if save_predictions and folder is not None:
        _save_predictions(folder.seed_path(seed, "predictions.npz"), learner, found.state)
    return {
        "best": found.best,
        "epochs": found.epochs,
        "seconds": found.seconds,
        "parameters": learner.parameter_count(),
        "threads": torch.get_num_threads(),
        "model": model,
        **({"curve": found.curve} if folds.by_mean_curve(dataset) else {}),
        **({"report": said} if (said := learner.report(found.state)) else {}),
    }


def _save_predictions(path: Path, learner, state) -> None:
    learner.load_state_dict(state)
    if learner.model is not None:
        learner.model.eval()
    with torch.no_grad():
        scores = learner.predict("test")
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **{key: value.cpu().numpy() for key, value in scores.items()})


def _result(name, dataset, config, seeds, device, outcomes, checksum, command) -> dict[str, Any]:
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
        "method": name,
        "dataset": dataset.name,
        "split": dataset.split_name,
        "protocol": protocol.id,
        **rules,
        "metric": dataset.metric,
        "seeds": list(seeds),
        "hardware": hardware(device),
        "valid": metrics[dataset.metric]["valid"],
        "test": metrics[dataset.metric]["test"],
        "metrics": metrics,
        **({"always_one": ones} if (ones := ranking.always_one(dataset.split, metrics)) else {}),
        "best_epochs": [run["best"][dataset.metric]["epoch"] for run in runs],
        "seconds": sum(run["seconds"] for run in runs),
        **results.process(command),
        "parameters": runs[0]["parameters"],
        "threads": _threads(runs),
        "models": [run.get("model") for run in runs],
        **_mean_report(runs),
        "config": config.to_dict(),
        "dataset_version": dataset.source.version,
        "dataset_checksum": checksum,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _threads(runs: list[dict[str, Any]]) -> int | list[int]:
    """The number of threads that every seed ran with, or one for each seed where a run went on with another number."""
    counts = [run.get("threads", torch.get_num_threads()) for run in runs]
    return counts[0] if len(set(counts)) == 1 else counts


def _mean_report(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """{"report": name -> mean over the seeds} where the method reports anything; a seed that was run before it did has
    none.
    """
    reports = [run["report"] for run in runs if "report" in run]
    return {"report": {name: float(np.mean([one[name] for one in reports])) for name in reports[0]}} if reports else {}


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
            kinds = registry.sheet(self.settings["method"]).kinds
        except UsageError as problem:  # damaged, or of a plug-in that is not installed
            raise DataError(f"{self.path / 'config.yaml'}: {problem}") from None
        if "learner" not in kinds or "metrics" not in self.result:
            raise DataError(
                f"{self.path}: a run of {self.settings['method']} that holds no model; expected one of graphkit train"
            )

    def restore(self, seed: int | None = None, device: str = "cpu"):
        """Rebuild (learner, dataset) of a seed, by default the one with the best validation value.

        Raises :class:`DataError` where the run is unfinished, its data changed, or its model is missing or damaged.
        """
        self.require_model()
        seeds = list(self.settings["seeds"])
        if seed is None:
            pick = np.argmin if better(self.result["metric"]) == "min" else np.argmax
            seed = seeds[int(pick(self.result["valid"]["values"]))]
        if seed not in seeds:
            raise UsageError(f"--seed is {seed}, but the run has seeds {', '.join(map(str, seeds))}")
        dataset = self._dataset(seeds[0]).for_seed(seed)
        learner = registry.method(self.settings["method"])(
            registry.config_class(self.settings["method"]).from_mapping(self.settings["config"], str(self.path))
        )
        learner.prepare(dataset, seed=seed, device=device)
        path = RunFolder(self.path, seeds).seed_path(seed, "model.safetensors")
        if learner.model is not None:
            state = _read_model(path, self._checksum(seed))
            try:
                learner.load_state_dict(state)
            except (RuntimeError, KeyError) as problem:  # other names or shapes of tensors
                raise DataError(f"{path}: not the model of this run: {' '.join(str(problem).split())[:200]}") from None
            learner.model.eval()
        return learner, dataset

    def _checksum(self, seed: int) -> str | None:
        """SHA-256 of a seed's model as it was written; None where the run is from before runs kept it."""
        models = self.result.get("models")
        if models is None:
            reading.note(
                str(self.path), "keeps no checksum of its model, which is taken as it is; expected in runs of today"
            )
            return None
        place = self.settings["seeds"].index(seed)
        if (
            not isinstance(models, list)
            or len(models) != len(self.settings["seeds"])
            or not isinstance(models[place], str)
        ):
            raise DataError(
                f"{self.path / 'result.json'}: models holds no checksum for seed {seed}, expected one for each seed"
            )
        return models[place]

    def _dataset(self, seed: int):
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
    return Run(path, settings, read_result(result) if result.exists() else None)


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
