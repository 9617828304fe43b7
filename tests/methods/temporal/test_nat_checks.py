"""NAT's smoke claim turns with each fault that it says it catches."""

import numpy as np
import pytest

from graphkit import datasets
from graphkit.claims.expressions import Outcome, evaluate
from graphkit.claims.sheets import select
from graphkit.methods.temporal.nat import method, neighbour_cache
from graphkit.methods.temporal.nat.experiments import tables


def verdict():
    claim = select("nat", "smoke-tables")["smoke-tables"]
    return evaluate(claim["expect"], {"found": Outcome(metrics=tables(datasets.load("triads:n=34,rounds=10")))})


def even(patch):
    patch.setattr(neighbour_cache, "multiplier", lambda seed: 0)
    patch.setattr(method, "multiplier", lambda seed: 0)


def deaf_to_alpha(patch):
    right = neighbour_cache.judge_writes
    patch.setattr(method, "judge_writes", lambda *words: right(*words[:5], 1.0, *words[6:]))


def shared_bits(patch):
    right = neighbour_cache.join_keys
    patch.setattr(method, "join_keys", lambda keys, bits: right(keys, np.tile(bits[: len(bits) // 2], 2)))


def first_write_stays(patch):
    right = neighbour_cache.judge_writes

    def judge(held, nodes, keys, slots, draws, alpha, owner, keep):
        found = right(held, nodes, keys, slots, draws, alpha, owner, keep)
        first = {}
        for w, place in enumerate(zip(nodes.tolist(), slots.tolist())):
            if keys[w] >= 0 and draws[w] < alpha:
                keep[w] = first.setdefault(place, w) == w
        return found

    patch.setattr(method, "judge_writes", judge)


def test_the_claim_holds_without_a_fault():
    assert verdict()


@pytest.mark.parametrize("fault", [even, deaf_to_alpha, shared_bits, first_write_stays])
def test_a_planted_fault_turns_the_verdict(monkeypatch, fault):
    fault(monkeypatch)
    assert not verdict()
