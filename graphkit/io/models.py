"""Files of models: weights that are finite, from safetensors alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load

from graphkit.core.errors import DataError
from graphkit.io.files import sha256


def check_finite(state: Mapping[str, Any], path: str | Path) -> None:
    """Raise :class:`DataError` where a tensor of a model's state holds a number that is not finite."""
    for name, values in state.items():
        wrong = values.numel() - int(values.isfinite().sum()) if values.is_floating_point() else 0
        if wrong:
            raise DataError(
                f"{path}: {wrong} of {values.numel()} numbers in {name} are not finite, expected the weights of a model"
            )


def _read_model(path: Path, checksum: str | None) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; the run's model is missing") from None
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    try:
        state = load(data)
    except SafetensorError as problem:
        raise DataError(f"{path}: not a safetensors file: {problem}") from None
    if checksum is not None and sha256(data) != checksum:
        raise DataError(f"{path}: not the model that this run has written (its checksum differs); train again")
    check_finite(state, path)
    return state
