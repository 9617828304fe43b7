"""The run folder: what is in it, how it is written (atomically), and how its files are checked when read.

``config.yaml`` everything resolved; ``metrics.jsonl`` a line per evaluation; ``result.json`` the final metrics;
``model.safetensors`` the model at the best validation epoch; ``checkpoint.pt`` while unfinished, for resume;
``predictions.npz`` where asked; ``.lock`` while a process writes there. With several seeds model, checkpoint and
predictions stand in ``seed-N/``, and ``partial.json`` keeps the seeds that are done until all are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import save

from graphkit.core.errors import DataError, UsageError
from graphkit.io.files import atomic_path, read_json, sha256, write_json, write_text, writing_to
from graphkit.io.locks import locked


def check_free(path: str | Path) -> None:
    """Raise :class:`UsageError` where a folder holds a run already, which --resume would continue."""
    if _holds_run(path):
        raise UsageError(f"--out {path}: already holds a run; add --resume to continue it or name another folder")


def check_unused(path: str | Path) -> None:
    """Raise :class:`UsageError` where a folder holds a run already, of a command that does not continue one."""
    if _holds_run(path):
        raise UsageError(f"--out {path}: already holds a run; name another folder")


def _holds_run(path: str | Path) -> bool:
    with writing_to(path):
        return (Path(path) / "config.yaml").exists()


class RunFolder:
    """Writes one run."""

    def __init__(self, path: Path, seeds: Sequence[int]):
        self.path, self.seeds = Path(path), list(seeds)

    def seed_path(self, seed: int, name: str) -> Path:
        """Path of a file that belongs to one seed."""
        return self.path / name if len(self.seeds) == 1 else self.path / f"seed-{seed}" / name

    @contextmanager
    def hold(self, resume: bool) -> Iterator[None]:
        """Keep other processes from writing the run meanwhile; raises :class:`UsageError` where one does."""
        with locked(self.path, "--resume" if resume else "--out"):
            yield

    def start(self, description: Mapping[str, Any], resume: bool) -> dict[str, Any]:
        """Write config.yaml, or check it against the one to resume; return the outcomes of finished seeds."""
        if resume and (self.path / "config.yaml").exists():
            self.check_same(description)
            for half_written in self.path.rglob(".*.part"):  # a killed process cannot remove its temporary files
                half_written.unlink()
            partial = self.path / "partial.json"
            return read_partial(partial) if partial.exists() else {}
        check_free(self.path)
        write_text(self.path / "config.yaml", yaml.safe_dump(dict(description), sort_keys=False, allow_unicode=True))
        write_text(self.path / "metrics.jsonl", "")
        return {}

    def leave_if_unused(self) -> None:
        """Take back config.yaml where nothing was trained, so that a run that was refused does not block the corrected
        one.
        """
        log = self.path / "metrics.jsonl"
        if (
            any(self.path.rglob("checkpoint.pt"))
            or (self.path / "partial.json").exists()
            or (log.exists() and log.stat().st_size)
        ):
            return
        for file in (self.path / "config.yaml", log):
            file.unlink(missing_ok=True)

    def check_same(self, description: Mapping[str, Any]) -> None:
        """Raise :class:`UsageError` where config.yaml is of another run."""
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
        path = self.path / "metrics.jsonl"
        with writing_to(path), open(path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def trim_log(self, seed: int, epoch: int) -> None:
        """Drop the lines of a seed beyond an epoch, and a last line cut off by a kill; a missing log is an empty
        one.
        """
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

    def save_model(self, seed: int, state: Mapping[str, Any]) -> str | None:
        """Write model.safetensors and return its SHA-256; None for a method that learns nothing."""
        if not state:
            return None
        data = save({key: value.contiguous() for key, value in state.items()})
        with atomic_path(self.seed_path(seed, "model.safetensors")) as temporary:
            temporary.write_bytes(data)
        return sha256(data)

    def finish_seed(self, seed: int, outcomes: Mapping[str, Any]) -> None:
        """Note that a seed is done; its checkpoint has served its purpose."""
        write_json(self.path / "partial.json", outcomes)
        self.seed_path(seed, "checkpoint.pt").unlink(missing_ok=True)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write result.json."""
        write_json(self.path / "result.json", result)
        (self.path / "partial.json").unlink(missing_ok=True)


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


# what every result.json holds, and what those of learners hold beside it
_OF_ALL = {
    "method": str,
    "dataset": str,
    "seeds": list,
    "seconds": (int, float),
    "command": str,
    "peak_rss_mb": (int, float),
}
_OF_LEARNERS = {
    "split": str,
    "metric": str,
    "metrics": dict,
    "valid": dict,
    "test": dict,
    "best_epochs": list,
    "parameters": int,
}


def read_result(path: Path) -> dict[str, Any]:
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
        wrong = [
            name for name, part in parts if not (isinstance(part, dict) and {"mean", "std", "values"} <= set(part))
        ]
        wrong += [] if result["metric"] in result["metrics"] else ["metrics"]
    if wrong:
        raise DataError(
            f"{path}: {', '.join(dict.fromkeys(wrong))} missing or of another type; expected the result of a run"
        )
    return result


def read_partial(path: Path) -> dict[str, Any]:
    """Read a partial.json, seed -> outcome; raises :class:`DataError` where it is something else."""
    outcomes = read_json(path)
    whole = isinstance(outcomes, dict) and all(
        isinstance(outcome, dict) and {"best", "epochs", "seconds", "parameters"} <= set(outcome)
        for outcome in outcomes.values()
    )
    if not whole:
        raise DataError(
            f"{path}: expected a mapping from each finished seed to its outcome; remove the file to run them again"
        )
    return outcomes
