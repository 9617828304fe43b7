"""The smoke claims of TGN, TGAT and JODIE turn with each fault that is planted here."""

import pytest
import torch

from graphkit import datasets
from graphkit.claims.expressions import Outcome, evaluate
from graphkit.claims.sheets import select
from graphkit.methods.temporal.tgn import experiments as tgn_checks
from graphkit.nn.node_memory import MessageLog
from graphkit.sampling import past_neighbours
from graphkit.training import event_vectors
from graphkit.training.streams import EventStore

CLAIMS = {"tgn": "smoke-memory", "tgat": "smoke-attention", "jodie": "smoke-memory"}


def verdict(name):
    claim = select(name, CLAIMS[name])[CLAIMS[name]]
    found = getattr(tgn_checks, name)(datasets.load("triads:n=34,rounds=10"))
    return evaluate(claim["expect"], {"found": Outcome(metrics=found)})


def longer_ages(patch):
    right = EventStore.spans
    patch.setattr(EventStore, "spans", lambda self, times: right(self, times) + 1)


def of_another_node(patch):
    right = MessageLog.put
    patch.setattr(
        MessageLog, "put", lambda self, nodes, other, *rest: right(self, nodes, torch.roll(other, 1, 0), *rest)
    )


def sides_swapped(patch):
    right = MessageLog.put
    patch.setattr(
        MessageLog, "put", lambda self, nodes, other, event, gap, side: right(self, nodes, other, event, gap, 1 - side)
    )


def seen_at_present(patch):
    right = past_neighbours.neighbourhoods
    patch.setattr(event_vectors, "neighbourhoods", lambda *words, back, draw=0: right(*words, back=False, draw=draw))


@pytest.mark.parametrize(
    "name, fault",
    [
        ("tgn", longer_ages),
        ("tgn", of_another_node),
        ("tgat", longer_ages),
        ("tgat", seen_at_present),
        ("jodie", of_another_node),
        ("jodie", sides_swapped),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_planted_fault_turns_the_verdict(monkeypatch, name, fault):
    fault(monkeypatch)
    assert not verdict(name)


@pytest.mark.parametrize("name", CLAIMS)
def test_the_claims_hold_without_a_fault(name):
    assert verdict(name)
