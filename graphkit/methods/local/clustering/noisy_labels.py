"""Labels that say of every node, rightly or wrongly, whether it is in the cluster looked for."""

from __future__ import annotations

import warnings

import numpy as np
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset

C = 100.0  # of the logistic regression, as measured on the co-author and co-purchase graphs


def flipped(truth: np.ndarray, inside: float, outside: float, rng: np.random.Generator) -> np.ndarray:
    """(n,) int8: 1 with probability ``inside`` in the true (n,) bool set and with probability 1 - ``outside``
    elsewhere.
    """
    right = rng.random(len(truth)) < np.where(truth, inside, outside)
    return (truth == right).astype(np.int8)


def features_of(dataset: GraphDataset) -> scipy.sparse.csr_array:
    """(n, F) features with rows of Euclidean length 1; raises :class:`DataError` where there are none."""
    if dataset.features is None:
        raise DataError(
            f"{dataset.name}: has no node features, which the labels are predicted from; expected --features"
        )
    matrix = scipy.sparse.csr_array(dataset.features.cpu().numpy().astype(np.float64))
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix.data /= np.repeat(np.where(lengths > 0, lengths, 1.0), np.diff(matrix.indptr))
    return matrix


def classified(features: scipy.sparse.csr_array, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """(n,) int8 labels by logistic regression on a few known nodes, which keep their own. O(entries of the
    features).
    """
    known = np.concatenate([positives, negatives])
    labels = np.concatenate([np.ones(len(positives), np.int8), np.zeros(len(negatives), np.int8)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=C, max_iter=300).fit(features[known], labels)
    found = (features @ model.coef_[0] + model.intercept_[0] > 0).astype(np.int8)
    found[known] = labels
    return found


def sampled(truth: np.ndarray, seed: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """``count`` random nodes of the true set, the seed among them, and ``count`` of the rest; fewer where there are not
    so many.
    """
    inside, outside = np.flatnonzero(truth), np.flatnonzero(~truth)
    others = inside[inside != seed]
    positives = np.append(rng.choice(others, min(count - 1, len(others)), replace=False), seed)
    return positives, rng.choice(outside, min(count, len(outside)), replace=False)
