"""graphkit train METHOD --prepare-only and the like: what a learner computes once for all of its trainings."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from graphkit.cli import progress
from graphkit.cli.options import (
    command_line,
    config_options,
    echo_json,
    given,
    load_dataset,
    prepare_machine,
    table,
)
from graphkit.core import registry
from graphkit.core.config import Config
from graphkit.core.errors import UsageError

# Options of a training, which an artifact is not.
TRAINING_ALONE = ("seeds", "folds", "resume", "save_predictions", "leaderboard")


def artifact_flag(name: str) -> str | None:
    """The parameter, such as ``prepare_only``, that asks for a learner's artifact; None if it has none."""
    artifact = registry.sheet(name).artifact
    return None if artifact is None else artifact["flag"].replace("-", "_")


def artifact_options(name: str) -> list[click.Parameter]:
    """The flag that asks for a learner's artifact and the artifact's own options."""
    artifact = registry.sheet(name).artifact
    if artifact is None:
        return []
    own = registry.artifact_config(name)
    flag = click.Option([artifact_flag(name) or "", f"--{artifact['flag']}"], is_flag=True, help=artifact["says"])
    return [flag, *(config_options(own) if own is not None else [])]


def take_artifact(name: str, values: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
    """Take the flag and the artifact's own options out of a command's values: (whether it is asked for, options).

    Raises :class:`UsageError` for its options without the flag, and for the flag with options of a training.
    """
    artifact, own = registry.sheet(name).artifact, registry.artifact_config(name)
    if artifact is None:
        return False, {}
    asked = values.pop(artifact_flag(name) or "")
    options = {} if own is None else given(own, values)
    flag = f"--{artifact['flag']}"
    if options and not asked:
        raise UsageError(f"--{next(iter(options)).replace('_', '-')}: expected with {flag}")
    if asked:
        for key in TRAINING_ALONE:
            if values[key]:
                raise UsageError(f"--{key.replace('_', '-')} and {flag} cannot be combined")
        if values["out"] is None:
            raise UsageError(f"{flag}: expected --out, where to write")
    return asked, options


def make_artifact(name: str, config: Config, options: dict[str, Any], values: dict[str, Any]) -> None:
    """Make a learner's artifact and tell of it."""
    from graphkit.io.locks import locked

    flag = f"--{(registry.sheet(name).artifact or {})['flag']}"
    artifact, out = registry.artifact(name)(**options), Path(values["out"])
    if values["seed"] is not None and not artifact.seeded:
        raise UsageError(f"--seed and {flag} cannot be combined: what {flag} makes has a seed option of its own")
    artifact.check(config, out)
    task = artifact.task(config, labelled=values["edges"] is None or values["labels"] is not None)
    device = prepare_machine(values)
    with locked(out, folder=artifact.folder):
        artifact.check(config, out)  # again: another process may have finished one meanwhile
        _make(name, artifact, config, task, device, values)


def _make(name: str, artifact: Any, config: Config, task: str | None, device: str, values: dict[str, Any]) -> None:
    from graphkit.core.machine import peak_rss_mb

    seed, split = values["seed"] or 0, values["split"] if task else None
    dataset = load_dataset(values, task=task, split=split, seed=seed)
    if dataset.graph is None:
        raise UsageError(f"--dataset {dataset.name}: holds {len(dataset.graphs)} graphs, expected one graph")
    started = time.perf_counter()
    with progress.stages() as report:
        facts = artifact.make(config, dataset, Path(values["out"]), seed=seed, device=device, report=report)
    details = facts.pop("details", {})
    cost = {
        "seconds": time.perf_counter() - started,
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "out": values["out"],
    }
    if values["as_json"]:
        found = {"method": name, "dataset": dataset.name, **facts, **details, **cost, "command": command_line()}
        echo_json(found)
        return
    shown = {"dataset": dataset.name, **facts, **cost}
    rows = [(key.replace("_", " "), value) for key, value in shown.items() if value is not None]
    click.echo(table(rows, ("what", "value")))
