"""Checks that claims of LAGNN run in place of a training: a data set in, figures out."""

from __future__ import annotations

import numpy as np
import torch

from graphkit.methods.node.lagnn.config import GeneratorConfig
from graphkit.methods.node.lagnn.generator import NeighbourGenerator


def conditional(dataset, steps: int = 300, seed: int = 0) -> dict[str, float]:
    """Train a generator with a tenth of the undirected edges held out; binary cross-entropy of the held-out neighbours
    at z = 0.

    Returns ``true`` (with the node's own features as condition), ``shuffled`` (with another pair's), and ``mean``, that
    of the training neighbours' mean features as the constant prediction; all summed over features and averaged over
    pairs.
    """
    torch.manual_seed(seed)
    config = GeneratorConfig(generator_steps=steps, select="none", held_out=0.1)
    stage = NeighbourGenerator(config, dataset.graph, dataset.features, seed=seed)
    stage.run(seed)
    centres = stage.pairs.src[stage.pairs.kept]
    counts = torch.from_numpy(np.bincount(centres, minlength=dataset.num_nodes)).float()
    mean = ((counts @ dataset.features) / counts.sum()).clamp(1e-6, 1 - 1e-6)
    _, neighbour = stage.pairs.held_pairs()
    held = dataset.features[neighbour]
    constant = -(held @ mean.log() + (1 - held) @ (1 - mean).log()).mean()
    return {
        "true": stage.held_loss(limit=None),
        "shuffled": stage.held_loss(shuffled=True, limit=None),
        "mean": float(constant),
    }
