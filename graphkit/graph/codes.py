"""Sorted codes u n + v of edges: distinct ones, and look-ups."""

from __future__ import annotations

import numpy as np


def distinct(values: np.ndarray) -> np.ndarray:
    """The distinct values in ascending order; np.unique of NumPy 2.3 hashes instead, many times slower on edge
    codes.
    """
    values = np.sort(values)
    keep = np.ones(len(values), dtype=bool)
    keep[1:] = values[1:] != values[:-1]
    return values[keep]
