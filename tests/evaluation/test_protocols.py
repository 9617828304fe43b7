"""What may stand in one table, and the row of OGB's leaderboards."""

from __future__ import annotations

import pytest

from graphkit import datasets
from graphkit.core.errors import UsageError
from graphkit.evaluation import protocols
from graphkit.evaluation.hidden import hide_edges
from graphkit.evaluation.leaderboard import row

RESULT = {
    "method": "cn",
    "dataset": "ogbl-collab",
    "split": "time",
    "metric": "hits@50",
    "seeds": [0, 1],
    "valid": {"mean": 0.5, "std": 0.01},
    "test": {"mean": 0.4, "std": 0.02},
    "parameters": 1234567,
    "peak_rss_mb": 512.3,
    "versions": {"ogb": "1.3.6"},
    "config": {"val_edges_at_test": True},
    "command": "graphkit train cn",
    "hardware": "one CPU",
}


def test_ids_by_split():
    assert protocols.protocol("node", "public").id == "planetoid-public"
    assert protocols.protocol("link", "random-0.7/0.1/0.2").id == "ncnc-links"
    assert protocols.protocol("link", "random-0.8/0.1/0.1").id == "random"
    assert protocols.protocol("link", "heart-0.85/0.05/0.1").id == "heart-existing"
    assert protocols.protocol("graph", "gin-10fold").id != protocols.protocol("graph", "10fold").id
    assert protocols.protocol("link", "time", ogb=True).id == "ogb"
    assert protocols.of_dataset(hide_edges(datasets.load("karate"), 0.2)).id == "hidden-edges"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"metric": "mrr"}, "metric"),
        ({"split": "random-0.7/0.1/0.2"}, "split"),
        ({"dataset": "cora"}, "dataset"),
        ({"config": {}}, "use of validation edges"),
    ],
)
def test_protocols_do_not_mix(change, named):
    protocols.require_same([RESULT, {**RESULT, "method": "aa"}])
    with pytest.raises(UsageError, match=f"cn and aa differ in {named}"):
        protocols.require_same([RESULT, {**RESULT, "method": "aa", **change}])


def test_leaderboard_row():
    fields = dict(row(RESULT))
    assert fields["test hits@50"] == "0.4000 ± 0.0200"
    assert fields["validation hits@50"] == "0.5000 ± 0.0100"
    assert fields["#params"] == "1,234,567"
    assert fields["ogb version"] == "1.3.6"
    assert fields["validation edges used"].startswith("yes")
    assert fields["hardware"] == "one CPU"
    assert fields["missing"] == "8 more seeds (expected 10)"
    complete = {**RESULT, "seeds": list(range(10))}
    assert "missing" not in dict(row(complete))
    assert "ogbl-collab alone" in dict(row({**complete, "dataset": "ogbl-ddi"}))["missing"]
    one = {**RESULT, "seeds": [0], "test": {"mean": 0.4, "std": None}, "hardware": None}
    assert dict(row(one))["test hits@50"] == "0.4000 ± -"
    assert "cores" in dict(row(one))["hardware"]
