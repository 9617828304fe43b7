"""JODIE: vectors and scores against the equations worked out event by event."""

import numpy as np
import pytest
import torch

from graphkit.methods.temporal.jodie.method import JODIE
from graphkit.methods.temporal.nat.experiments import random_stream
from graphkit.methods.temporal.tgn.experiments import compare


def learner_on(stream, seed=0, **options):
    learner = JODIE(**{"memory_dim": 6, "time_dim": 4, **options})
    torch.manual_seed(seed)
    learner.prepare(stream, seed=seed, device="cpu")
    return learner


@pytest.mark.parametrize("options", [{}, {"coupled": False}, {"updater": "gru"}, {"rich": True}], ids=str)
@pytest.mark.parametrize("size", [1, 13])
@pytest.mark.parametrize("seed", range(2))
def test_scores_and_vectors_are_those_of_the_plain_model(options, size, seed, with_features):
    options = dict(options)
    stream = random_stream(9, 90, seed)
    learner = learner_on(with_features(stream) if options.pop("rich", False) else stream, seed, **options)
    assert compare(learner, size, seed) < 2e-5


def test_sources_and_destinations_have_cells_of_their_own(of_events):
    src, dst = np.arange(10) % 3, 3 + np.arange(10) % 4
    learner = learner_on(of_events(src, dst, np.arange(10.0), 7))
    learner.score_batch(np.arange(5), dst[:5])
    found = learner.score_batch(np.arange(5, 8), dst[5:8])[0]
    gradients = torch.autograd.grad(found.sum(), [cell.weight_ih for cell in learner.model.update.cells])
    assert all(gradient.abs().max() > 0 for gradient in gradients)
    learner.empty_memory()
    with torch.no_grad():
        learner.model.update.cells[1].weight_hh.zero_()
        learner.model.update.cells[1].weight_ih.zero_()
        learner.model.update.cells[1].bias_ih.zero_()
        learner.model.update.cells[1].bias_hh.zero_()
        learner.score_batch(np.arange(5), dst[:5])
        learner.score_batch(np.arange(5, 10), dst[5:10])
    state = learner.memory["state"].abs().max(1).values
    assert (state[:3] > 0).all() and (state[3:] == 0).all()


def test_gaps_are_those_between_a_nodes_training_events(of_events):
    stream = of_events(np.array([0, 1, 0, 0, 1, 1, 0, 1]), np.array([2, 2, 3, 2, 3, 2, 3, 3]), np.arange(10.0, 18.0), 4)
    train = stream.split.train
    last, gaps = {}, []
    for k in train.tolist():
        for v in (int(stream.events.src[k]), int(stream.events.dst[k])):
            gaps.append(stream.events.time[k] - last.get(v, stream.events.time[0]))
            last[v] = stream.events.time[k]
    assert learner_on(stream)._gaps() == pytest.approx((np.mean(gaps), np.std(gaps)))
