"""The counter's columns and the checks of its claims."""

from __future__ import annotations

import networkx
import numpy as np
import pytest

from graphkit import datasets
from graphkit.kernels import orbits as kernel
from graphkit.methods.structure.orbits import experiments as orbits_checks
from graphkit.methods.structure.orbits.method import OrbitCounter


@pytest.fixture
def karate():
    return datasets.load("karate")


def test_columns_of_the_karate_club(karate):
    found, graph = OrbitCounter().count(karate).columns, networkx.karate_club_graph()
    assert list(found) == [f"o{orbit}" for orbit in range(15)]
    assert found["o0"].tolist() == [degree for _, degree in graph.degree()]
    assert found["o3"].tolist() == list(networkx.triangles(graph).values())
    cliques = [clique for clique in networkx.enumerate_all_cliques(graph) if len(clique) == 4]
    assert found["o14"].tolist() == np.bincount(np.ravel(cliques), minlength=34).tolist()


def test_brute_force_claim_sees_all_keys_and_a_wrong_count(monkeypatch):
    monkeypatch.setattr(orbits_checks, "GRAPHS", 20)
    small = datasets.load("barabasi:n=12,m=3")
    assert orbits_checks.against_brute_force(small) == {"graphs": 21, "keys": 28, "wrong": 0}
    right = kernel.one_hop

    def wrong(prepared):
        counts = right(prepared)
        counts[4, :1] += 1
        return counts

    monkeypatch.setattr(kernel, "one_hop", wrong)
    assert orbits_checks.against_brute_force(small)["wrong"] >= 20


def test_walks_claim_is_exact_and_its_weights_matter(karate, monkeypatch):
    assert orbits_checks.walks_from_orbits(karate) == {"two_steps": 0.0, "three_steps": 0.0, "unseen": 17}
    monkeypatch.setitem(orbits_checks.THREE_STEPS, "2:12-12", 1)
    assert orbits_checks.walks_from_orbits(karate)["three_steps"] > 0


def test_matrices_claim_counts_totals_and_broken_identities(karate, monkeypatch):
    found = orbits_checks.matrices(karate)
    assert found["matrices"] == 28 and found["broken"] == 0 and found["1:0-0"] == found["entries of 1:0-0"] == 156
    assert found["1:14-14"] == 12 * 11  # the eleven cliques of four
    right = kernel.one_hop

    def wrong(prepared):
        counts = right(prepared)
        counts[8, 0] += 1
        return counts

    monkeypatch.setattr(kernel, "one_hop", wrong)
    assert orbits_checks.matrices(karate)["broken"] > 0
