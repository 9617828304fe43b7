"""How a measure of nodes goes with an outcome: correlations with intervals, means over bins, and the mean of a
difference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

LEVEL = 0.95
RESAMPLES = 2000


def correlation(measure: np.ndarray, outcome: np.ndarray) -> dict[str, Any]:
    """Return {"nodes", "pearson": {"r", "low", "high"}, "spearman": {...}} over the entries where both are finite.

    Intervals of 95 %, by Fisher's z with variance 1 / (n - 3), for Spearman (1 + r^2 / 2) / (n - 3) (Bonett, Wright
    2000). r is None where either is constant or fewer than two entries are left, an interval where fewer than four are.
    """
    both = np.isfinite(measure) & np.isfinite(outcome)
    x, y = measure[both].astype(np.float64), outcome[both].astype(np.float64)
    found: dict[str, Any] = {"nodes": int(both.sum())}
    flat = len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0
    for name, of in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        r = None if flat else float(of(x, y).statistic)
        found[name] = {"r": r, **_fisher(r, len(x), name == "spearman")}
    return found


def _fisher(r: float | None, n: int, ranks: bool) -> dict[str, float | None]:
    if r is None or n < 4:
        return {"low": None, "high": None}
    variance = (1 + r**2 / 2 if ranks else 1.0) / (n - 3)
    reach = stats.norm.ppf(0.5 + LEVEL / 2) * variance**0.5
    z = np.arctanh(np.clip(r, -1 + 1e-15, 1 - 1e-15))
    return {"low": float(np.tanh(z - reach)), "high": float(np.tanh(z + reach))}


def bins(measure: np.ndarray, outcome: np.ndarray, count: int) -> list[dict[str, float]]:
    """Return {"low", "high", "nodes", "mean"} of the outcome in up to ``count`` bins of about equally many nodes by the
    measure.

    Nodes of the same value share a bin, so that there may be fewer bins.
    """
    both = np.isfinite(measure) & np.isfinite(outcome)
    x, y = measure[both].astype(np.float64), outcome[both].astype(np.float64)
    if not len(x):
        return []
    inner = np.quantile(x, np.arange(1, count) / count)
    owner = np.searchsorted(np.unique(inner), x, side="right")
    rows = []
    for k in np.unique(owner):
        own = owner == k
        rows.append(
            {
                "low": float(x[own].min()),
                "high": float(x[own].max()),
                "nodes": int(own.sum()),
                "mean": float(y[own].mean()),
            }
        )
    return rows


def mean_interval(values: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Return {"nodes", "mean", "low", "high"} of the finite values, with the percentile bootstrap's interval of 95
    %.
    """
    values = values[np.isfinite(values)].astype(np.float64)
    if not len(values):
        return {"nodes": 0, "mean": None, "low": None, "high": None}
    generator = np.random.default_rng(seed)
    means = [values[generator.integers(len(values), size=len(values))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return {"nodes": len(values), "mean": float(values.mean()), "low": float(low), "high": float(high)}
