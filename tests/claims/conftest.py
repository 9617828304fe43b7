"""A method with claims whose runs are scripted, so that verdicts can be written down by hand."""

from __future__ import annotations

import dataclasses
import statistics

import pytest

from graphkit.core import registry


def result(test, valid=None, metric="hits@100", seconds=2.0, parameters=7):
    """A result as a training stores it; one value per seed."""
    valid = valid or test

    def spread(values):
        std = statistics.stdev(values) if len(values) > 1 else None
        return {"mean": statistics.fmean(values), "std": std, "values": list(values)}

    return {
        "metric": metric,
        "seeds": list(range(len(test))),
        "seconds": seconds,
        "parameters": parameters,
        "metrics": {metric: {"valid": spread(valid), "test": spread(test)}},
    }


class Script:
    """In place of training: gives each method's result and counts how often it was asked."""

    def __init__(self, **results):
        self.results, self.calls = results, []

    def __call__(self, run, name, dataset, config, path, report, command=""):
        self.calls.append((name, config.to_dict(), run.get("seeds", 1)))
        return self.results[name.replace("-", "_")]


@pytest.fixture
def claim():
    return {
        "says": "ncn beats\n  common neighbours",
        "paper": {"ncn": 89.05, "cn": 33.92},
        "runs": {
            "ncn": {"train": "ncn", "dataset": "karate", "seeds": 3, "overrides": {"epochs": 1}},
            "cn": {"train": "cn", "dataset": "karate", "seeds": 3},
        },
        "expect": "ncn.test > cn.test + 0.1",
        "budget": "3s",
        "smoke": True,
    }


@pytest.fixture
def with_claims(monkeypatch):
    """Replace the claims of a built-in sheet for the time of a test; all other sheets have none then."""

    def replace(name, claims):
        changed = {}
        for word, sheet in registry._sheets().items():
            own = claims if name in sheet.names else {}
            if sheet.folder not in changed:
                changed[sheet.folder] = dataclasses.replace(sheet)
                vars(changed[sheet.folder])["claims"] = own  # in place of what the file would give
            changed[word] = changed[sheet.folder]
        words = {word: changed[word] for word in registry._sheets()}
        monkeypatch.setattr(registry, "_sheets", lambda: words)

    return replace
