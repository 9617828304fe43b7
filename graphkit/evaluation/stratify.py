"""Folds in which every label has its share of the nodes, for one label or several per node.

Iterative stratification (Sechidis, Tsoumakas, Vlahavas: On the Stratification of Multi-label Data, ECML 2011): the
rarest label that still has nodes without a fold is dealt out first, each of its nodes to the fold that wants that label
most; ties go to the fold that wants most nodes, then to chance. With one label per node these are stratified folds: the
counts of a label in two folds differ by one at most.
"""

from __future__ import annotations

import numpy as np


def stratified_folds(truth: np.ndarray, folds: int, generator: np.random.Generator) -> np.ndarray:
    """Return the (n,) fold of each row of (n, L) bool labels, every row with at least one; O(n L) memory and O(n (L +
    folds)) time.
    """
    order = generator.permutation(len(truth))
    labels = truth[order]
    left, assigned = labels.sum(axis=0), np.full(len(order), -1)
    wanted = np.repeat(left[None, :] / folds, folds, axis=0)
    room = np.full(folds, len(order) / folds)
    while (left > 0).any():
        label = int(np.where(left > 0, left, left.max() + 1).argmin())
        for row in np.flatnonzero(labels[:, label] & (assigned < 0)):
            fold = _neediest(wanted[:, label], room, generator)
            assigned[row] = fold
            wanted[fold] -= labels[row]
            room[fold] -= 1
            left -= labels[row]
    out = np.empty(len(order), np.int64)
    out[order] = assigned
    return out


def _neediest(wanted: np.ndarray, room: np.ndarray, generator: np.random.Generator) -> int:
    first = np.flatnonzero(wanted >= wanted.max() - 1e-9)
    first = first[room[first] >= room[first].max() - 1e-9]
    return int(first[0] if len(first) == 1 else generator.choice(first))
