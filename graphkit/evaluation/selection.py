"""The best of several embeddings, chosen without a look at the test nodes, and whether it is better than another
choice.

The best of many on the test part is better than any one of them deserves, and the more so the more there are. Here
every split keeps a part of its training nodes back, on which the choice is made; the chosen vectors then train on all
training nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student

from graphkit.core.errors import UsageError
from graphkit.evaluation.embedding import classified, labelled, node_splits

VALIDATION = 0.2  # share of the training nodes on which candidates are compared


def best_of(
    candidates: Mapping[str, np.ndarray],
    labels,
    *,
    metric: str = "macro_f1",
    ratio: float = 0.5,
    shuffles: int = 10,
    folds: int = 0,
    C: float = 1.0,
    seed: int = 0,
    report: Callable[[str], None] | None = None,
) -> dict[str, list[Any]]:
    """Return the figures of ``node_classification`` for the candidate that each split chooses, and ``chosen``, its
    names.

    candidates: name -> (n, d) vectors; labels and options as there, for one ratio or folds. The splits depend on the
    labels and the seed alone, so that two calls can be compared split by split.
    """
    known, truth = labelled(labels)
    features = {
        name: torch.from_numpy(_rows(name, vectors, len(np.asarray(labels)))[known])
        for name, vectors in candidates.items()
    }
    found: dict[str, list[Any]] = {"chosen": []}
    for _, number, train, test in node_splits(truth, [ratio], shuffles, folds, seed):
        order = np.random.default_rng([seed, number, 1]).permutation(train)
        valid, fit = np.split(order, [max(1, int(VALIDATION * len(order)))])
        scores = {}
        for name, values in features.items():
            scores[name] = 0.0 if len(features) == 1 else classified(values, truth, fit, valid, C)[metric]
        chosen = max(scores, key=scores.__getitem__)
        found["chosen"].append(chosen)
        for name, value in classified(
            features[chosen], truth, train, test, C, ranked=folds > 0 and np.ndim(labels) == 2
        ).items():
            found.setdefault(name, []).append(value)
        if report is not None:
            report(
                f"split {number + 1}: {chosen}, {metric} {scores[chosen]:.4f} on validation, {found[metric][-1]:.4f} on"
                " test"
            )
    return found


def _rows(name: str, vectors: np.ndarray, count: int) -> np.ndarray:
    if len(vectors) != count:
        raise UsageError(f"{name}: found {len(vectors)} vectors, expected one for each of the {count} nodes")
    return np.asarray(vectors, np.float64)


def corrected_t(first: Sequence[float], second: Sequence[float], test_share: float) -> dict[str, float]:
    """Return the mean difference of two lists of paired values and its one-sided p (that ``first`` is not larger).

    The t test for repeated splits, whose training parts overlap: the variance of the mean is (1/J + test/train) s^2
    rather than s^2/J (Nadeau, Bengio: Inference for the Generalization Error, Machine Learning 2003). test_share: test
    nodes over all nodes.
    """
    difference = np.asarray(first, float) - np.asarray(second, float)
    count, mean = len(difference), float(difference.mean())
    spread = float(difference.std(ddof=1)) * math.sqrt(1 / count + test_share / (1 - test_share))
    if spread == 0:
        return {"difference": mean, "p": 0.0 if mean > 0 else 1.0}
    return {"difference": mean, "p": float(student.sf(mean / spread, count - 1))}
