"""EdgeBank's claims turn with each fault that they say they catch."""

import numpy as np
import pytest

from graphkit import datasets
from graphkit.claims.expressions import Outcome, evaluate
from graphkit.claims.sheets import select
from graphkit.core.errors import DataError
from graphkit.datasets.base import EventSplit
from graphkit.datasets.splits import event_negatives
from graphkit.evaluation.temporal import event_metrics
from graphkit.methods.temporal.edgebank.method import EdgeBank

pytestmark = pytest.mark.data


def verdict(claim):
    found = select("edgebank", claim)[claim]
    outcomes = {}
    for name, run in found["runs"].items():
        try:
            dataset = datasets.load(run["dataset"], task="events", split=run.get("split"))
        except DataError as absent:
            pytest.skip(str(absent))
        learner = EdgeBank(**run.get("overrides", {}))
        learner.prepare(dataset, seed=0, device="cpu")
        metrics = event_metrics(*learner.predict("test").values())
        outcomes[name] = Outcome(metrics=metrics, test=metrics["ap"])
    return evaluate(found["expect"], outcomes)


def without_direction(patch):
    right = EdgeBank._known

    def known(self, keys, src, dst, start):
        return np.maximum(right(self, keys, src, dst, start), right(self, keys, dst, src, start))

    patch.setattr(EdgeBank, "_known", known)


def ends_with_training(patch):
    patch.setattr(EventSplit, "history", lambda self, part: self.train)


def any_pair(patch):
    def pairs(events, num_nodes, part, train, judged, pool, *, unseen):
        rng = np.random.default_rng(0)
        return rng.integers(0, num_nodes, len(judged)), rng.integers(0, num_nodes, len(judged))

    patch.setattr(event_negatives, "pairs", pairs)


def fixed_place(patch):
    right = EdgeBank._known

    def known(self, keys, src, dst, start):
        if self.config.memory != "window":
            return right(self, keys, src, dst, start)
        train = self.dataset.split.train
        return right(self, self._keys(train[-len(train) // 7 :]), src, dst, start)

    patch.setattr(EdgeBank, "_known", known)


def all_negatives_judged(patch):
    def pairs(events, num_nodes, part, train, judged, pool, *, unseen):
        rng = np.random.default_rng(0)
        order = np.concatenate([rng.permutation(judged[k : k + 200]) for k in range(0, len(judged), 200)])
        return events.src[order], events.dst[order]

    patch.setattr(event_negatives, "pairs", pairs)


def test_the_claims_hold_without_a_fault():
    assert verdict("smoke-repeats") and verdict("wikipedia") and verdict("historical-negatives")


@pytest.mark.parametrize(
    "claim, fault",
    [
        ("smoke-repeats", without_direction),
        ("smoke-repeats", ends_with_training),
        ("wikipedia", ends_with_training),
        ("historical-negatives", any_pair),
        ("historical-negatives", fixed_place),
        ("historical-negatives", all_negatives_judged),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_planted_fault_turns_the_verdict(monkeypatch, claim, fault):
    fault(monkeypatch)
    assert not verdict(claim)
