"""The check that the claim on node labels runs: the best orbit adjacency against the best walks, neither chosen on test
nodes.
"""

from __future__ import annotations

import logging

import numpy as np

from graphkit.core.errors import DataError
from graphkit.core.orbit_keys import keys_of, name_of
from graphkit.datasets.simple import simple_matrix
from graphkit.evaluation.selection import best_of, corrected_t
from graphkit.methods.embedding.orbit_adjacency.method import OrbitAdjacency

log = logging.getLogger(__name__)
SPLITS, RATIO = 10, 0.5
WINDOWS = (1, 2, 3)


def orbits_against_walks(dataset) -> dict[str, float]:
    """Classify nodes by the vectors of each of the 28 orbit adjacencies and of walks of 1, 2 and 3 steps, 128
    dimensions, b = 1.

    Half of the labelled nodes train, over 10 shuffles; in each, the orbit adjacency and the number of steps are chosen
    by macro-F1 on a fifth of the training nodes (:mod:`graphkit.evaluation.selection`). ``orbits`` and ``walks``: mean
    macro-F1 on the test nodes, ``*_micro`` micro-F1; ``difference`` of the two and its one-sided ``p`` in a t test
    corrected for overlapping splits;
    ``keys``: different choices over the splits; ``adjacency``: macro-F1 of the matrix 1:0-0, the graph itself.
    """
    labels, matrix = dataset.labels.numpy(), simple_matrix(dataset)
    candidates = orbit_vectors(matrix, dataset.name)
    rivals = {
        f"{window} steps": _vectors(OrbitAdjacency(source="walks", window=window), matrix, None) for window in WINDOWS
    }
    shared = {"ratio": RATIO, "shuffles": SPLITS, "report": log.info}
    ours, walks = best_of(candidates, labels, **shared), best_of(rivals, labels, **shared)
    plain = best_of({"1:0-0": candidates["1:0-0"]}, labels, **shared)
    for split, (key, steps) in enumerate(zip(ours["chosen"], walks["chosen"])):
        log.info("split %d: %s %.4f, %s %.4f", split + 1, key, ours["macro_f1"][split], steps, walks["macro_f1"][split])
    return {
        "orbits": float(np.mean(ours["macro_f1"])),
        "walks": float(np.mean(walks["macro_f1"])),
        "orbits_micro": float(np.mean(ours["micro_f1"])),
        "walks_micro": float(np.mean(walks["micro_f1"])),
        "adjacency": float(np.mean(plain["macro_f1"])),
        "keys": float(len(set(ours["chosen"]))),
        **corrected_t(ours["macro_f1"], walks["macro_f1"], 1 - RATIO),
    }


def orbit_vectors(matrix, name: str) -> dict[str, object]:
    """The vectors of each of the 28 orbit adjacencies that the graph has, by name; the graph is counted once."""
    counted, found = OrbitAdjacency(orbits="all").count(matrix), {}
    for key in keys_of("all", transposes=True):
        method = OrbitAdjacency(orbits=name_of(key))
        try:
            found[name_of(key)] = _vectors(method, matrix, counted)
        except DataError as problem:
            log.info("%s: left out: %s", name, problem)
    return found


def _vectors(method: OrbitAdjacency, matrix, counted):
    vectors = method.factorise(method.positive_pmi(matrix, counted=counted))
    log.info("embedded %s, largest singular value %.1f", method.config, method.singular_values[0])
    return vectors
