"""Splits of nodes and graphs: shares drawn by class, folds, and masks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold

from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphSplit, NodeSplit


def known_rows(values: np.ndarray, task: str) -> np.ndarray:
    """(n,) bool: rows with a label: no -1 among classes, no NaN among numbers, any label of several.

    A node of several labels, 0 or 1, that has none of them is one that nobody labelled; of a graph all of them can be
    0.
    """
    if values.ndim == 1:
        return values >= 0 if values.dtype.kind in "iu" else np.array([value == value for value in values], dtype=bool)
    if task == "node":
        return (np.nan_to_num(values) != 0).any(1) | np.isnan(values).any(1)
    return ~np.isnan(values.astype(np.float64)).all(1)


def shchur(labels: np.ndarray, seed: int, dataset: str = "") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw 20 nodes a class to train, 30 to validate, the rest to test; labels (n,) with -1 for unlabelled."""
    rng = np.random.default_rng(seed)
    parts: tuple[list, list, list] = ([], [], [])
    for number in np.unique(labels[labels >= 0]):
        members = rng.permutation(np.flatnonzero(labels == number))
        if len(members) <= SHCHUR_TRAIN + SHCHUR_VALID:
            raise DataError(
                f"data set {dataset!r}: class {number} has {len(members)} nodes, the split shchur needs more than "
                f"{SHCHUR_TRAIN + SHCHUR_VALID}; use random-0.6/0.2/0.2"
            )
        cuts = np.split(members, [SHCHUR_TRAIN, SHCHUR_TRAIN + SHCHUR_VALID])
        for part, cut in zip(parts, cuts):
            part.append(cut)
    train, valid, test = (np.sort(np.concatenate(part)) for part in parts)
    return train, valid, test


def parse_fractions(name: str, prefix: str) -> tuple[float, float, float] | None:
    """Read ``prefix-a/b/c``; None where the name has another form, :class:`DataError` where the sum exceeds 1."""
    match = re.fullmatch(rf"{prefix}-([0-9.]+)/([0-9.]+)/([0-9.]+)", name)
    if match is None:
        return None
    try:
        train, valid, test = (float(text) for text in match.groups())
    except ValueError:
        return None
    if train <= 0 or train + valid + test > 1 + 1e-9:
        raise DataError(
            f"split {name!r}: the fractions are {train}, {valid}, {test}, expected positive with sum at most 1"
        )
    return train, valid, test


def stratified_folds(labels: np.ndarray, folds: int = 10) -> list[np.ndarray]:
    """The test parts of StratifiedKFold(folds, shuffle, seed 0), the rule of GIN (Xu et al., 2019)."""
    splitter = StratifiedKFold(folds, shuffle=True, random_state=0)
    return [np.sort(test) for _, test in splitter.split(np.zeros(len(labels)), labels)]


def fold_splits(tests: Sequence[np.ndarray], total: int) -> dict[str, list[Callable[[], GraphSplit]]]:
    """Two families over K folds: ``10fold`` (test fold k, validation fold k+1, the rest trains) and ``gin-10fold``
    (no test part, validation and test are both fold k, the optimistic protocol of GIN)."""
    everything, k = np.arange(total), len(tests)

    def honest(i):
        valid, test = tests[(i + 1) % k], tests[i]
        return lambda: GraphSplit(np.setdiff1d(everything, np.concatenate([valid, test])), valid, test)

    def optimistic(i):
        return lambda: GraphSplit(np.setdiff1d(everything, tests[i]), tests[i], tests[i])

    return {"10fold": [honest(i) for i in range(k)], GIN_FOLDS: [optimistic(i) for i in range(k)]}


def masks_split(train, valid, test) -> NodeSplit:
    """A NodeSplit from three (n,) boolean masks."""
    return NodeSplit(*(np.flatnonzero(np.asarray(mask)).astype(np.int64) for mask in (train, valid, test)))


def as_tensor(values) -> torch.Tensor:
    """A tensor that shares no memory with a read-only array."""
    return torch.from_numpy(np.ascontiguousarray(values).copy())


SHCHUR_TRAIN, SHCHUR_VALID = 20, 30


FOLDS, GIN_FOLDS = "folds", "gin-10fold"
