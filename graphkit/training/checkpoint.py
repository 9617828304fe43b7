"""Checkpoints: everything that a killed run needs to end with the numbers of an unbroken one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from graphkit.core.errors import DataError
from graphkit.io.files import atomic_path


def random_state() -> dict[str, Any]:
    """State of torch's generators."""
    state = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random_state(state: dict[str, Any]) -> None:
    """Restore what :func:`random_state` returned."""
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


def save(path: Path, values: dict[str, Any]) -> None:
    """Write a checkpoint atomically."""
    with atomic_path(path) as temporary:
        torch.save(values, temporary)


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running any code that it might hold; raises :class:`DataError`."""
    values = _read(path)
    parts = {"seed": (int, ()), "progress": (dict, ("epoch",)), "random": (dict, ("torch",)), "learner": (dict, ())}
    for key, (kind, keys) in parts.items():
        found = values.get(key) if isinstance(values, dict) else None
        if not isinstance(found, kind) or any(name not in found for name in keys):
            raise DataError(f"{path}: not a checkpoint of graphkit: its {key} is missing or of another kind")
    return values


def _read(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as problem:  # torch.load has no common error class for damaged files
        raise DataError(f"{path}: not a checkpoint of graphkit: {' '.join(str(problem).split())[:200]}") from None
