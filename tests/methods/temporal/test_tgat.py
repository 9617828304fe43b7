"""TGAT: scores against the equations worked out node by node, each neighbour at the moment when it was met."""

import numpy as np
import pytest
import torch

from graphkit.methods.temporal.nat.experiments import random_stream
from graphkit.methods.temporal.tgat.method import TGAT
from graphkit.methods.temporal.tgn.experiments import compare

SMALL = {"hidden_dim": 6, "time_dim": 4, "neighbours": 3}


def learner_on(stream, seed=0, **options):
    learner = TGAT(**{**SMALL, **options})
    torch.manual_seed(seed)
    learner.prepare(stream, seed=seed, device="cpu")
    return learner


@pytest.mark.parametrize(
    "options",
    [
        {"neighbour_choice": "recent"},
        {"neighbour_choice": "recent", "num_layers": 3},
        {"neighbour_choice": "recent", "rich": True},
        {"num_layers": 1, "neighbours": 200},
        {"neighbour_choice": "recent", "within_batch": True},
        {"neighbours": 30, "rich": True, "heads": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(2))
def test_scores_are_those_of_the_plain_model(options, seed, with_features):
    options = dict(options)
    rich = options.pop("rich", False)
    stream = random_stream(14, 60, seed)
    learner = learner_on(with_features(stream) if rich else stream, **options)
    assert compare(learner, 12, seed) < 2e-5


def test_without_features_times_alone_tell_nodes_apart(of_events):
    """Two sources with the same gaps get the same score, whoever their partners are."""
    src, dst = np.array([0, 1, 0, 1, 0, 1] + [0, 1] * 4), np.array([2, 3, 4, 3, 5, 3] + [2, 3] * 4)
    stream = of_events(src, dst, np.repeat(np.arange(7.0), 2), 6)
    learner = learner_on(stream, num_layers=1, neighbours=20)
    learner.model.eval()
    with torch.no_grad():
        learner.score_batch(np.arange(6), dst[:6])
        logits, _ = learner.score_batch(np.array([6, 7]), np.array([2, 2]))
        same = learner.score_batch(np.array([8, 9]), np.array([4, 4]))[1]
    assert float(same[0]) == pytest.approx(float(same[1]), abs=1e-6) and float(logits[0]) != pytest.approx(
        float(logits[1]), abs=1e-6
    )
