"""Choosing LAGNN's generator: how well a GCN does on generated features alone, and a search over the generator's
options by it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset
from graphkit.methods.node.lagnn.generator import (
    GeneratorConfig,
    NeighbourGenerator,
    judged_by,
    raw_features,
    undirected,
)
from graphkit.methods.node.lagnn.uscore import DropoutJudge
from graphkit.training.targets import Targets

log = logging.getLogger(__name__)
EPOCHS = 200  # of each GCN that scores a generator
# What a search draws from: the options that the paper tunes, around the values of its scripts.
SPACE: dict[str, tuple] = {
    "generator_epochs": (2, 5, 10, 20),
    "generator_batch": (32, 64, 128, 256),
    "generator_lr": (0.001, 0.003, 0.01),
    "latent_dim": (5, 10, 20, 40),
    "select_warmup": (50, 100, 200, 400),
    "u_samples": (10, 30, 100),
    "u_updates": (10, 20, 40),
}


def make_stage(config: GeneratorConfig, dataset: GraphDataset, *, seed: int, device: str = "cpu") -> NeighbourGenerator:
    """The untrained first stage for a data set; raises :class:`DataError` or ``UsageError`` where the data do not suit
    the options.
    """
    if dataset.graph is None:
        raise DataError(f"{dataset.name}: holds {len(dataset.graphs)} graphs, expected one graph")
    judge = None
    if config.select == "u-score" and dataset.split is not None and dataset.labels is not None:
        judge = judged_by(Targets.of(dataset).to(device), dataset)
    features = raw_features(dataset.graph, dataset.name)
    return NeighbourGenerator(config, undirected(dataset.graph), features, seed=seed, judge=judge, device=device)


def validation_score(
    stage: NeighbourGenerator, dataset: GraphDataset, *, runs: int, seed: int, epochs: int = EPOCHS
) -> float:
    """Accuracy that GCNs reach on generated features alone, by which the paper chooses the generator's options.

    X_hat is the draw that the kept step of the generator was scored with, or a single one where it was not scored so.
    Per run: a GCN trained on X_hat at the training nodes, the epoch picked by one half of the validation nodes and
    scored by the other, halves drawn for each run from the seed; the mean over runs. Test labels are not looked at.
    """
    train, labels, classes = judged_by(Targets.of(dataset), dataset)
    valid = np.asarray(dataset.split.valid)
    truth = torch.as_tensor(dataset.labels).flatten().long()[torch.from_numpy(valid)]
    if len(valid) < 2:
        raise DataError(f"{dataset.name}: has {len(valid)} validation nodes, expected at least 2 to choose a generator")
    half = len(valid) // 2
    # Unknown classes (-1) count in no loss: the GCN learns from the training nodes and is read at the validation nodes
    # too.
    learned = torch.cat([labels.cpu(), torch.full((len(valid),), -1, dtype=torch.long)])
    noise = stage.noise(len(stage.features)) if stage.kept_noise is None else stage.kept_noise
    generator, scores = np.random.default_rng(seed), []
    for _ in range(runs):
        picks, scored = (torch.from_numpy(part) for part in np.split(generator.permutation(len(valid)), [half]))
        gcn = DropoutJudge(
            undirected(dataset.graph),
            np.concatenate([train, valid]),
            learned,
            stage.features.shape[1],
            classes,
            device=stage.device,
        )
        drawn = stage.draw(noise[torch.from_numpy(gcn.nodes)], gcn.nodes)
        best = (-1.0, 0.0)
        for _ in range(epochs):
            gcn.fit(drawn, 1)
            right = (gcn.classes(drawn)[len(train) :].cpu() == truth).float()
            best = max(best, (float(right[picks].mean()), float(right[scored].mean())), key=lambda pair: pair[0])
        scores.append(best[1])
    return float(np.mean(scores))


def search(
    config: GeneratorConfig,
    dataset: GraphDataset,
    *,
    trials: int,
    runs: int,
    seed: int,
    device: str = "cpu",
    report: Callable[[int, dict[str, Any], float], None] | None = None,
) -> tuple[NeighbourGenerator, float]:
    """Train generators with options drawn from :data:`SPACE`, the given ones first; return the best one and its score.

    ``report`` receives (trials done, options, score) after each trial. The trials cost a first stage each, and their
    scores ``runs`` small GCNs.
    """
    best: tuple[NeighbourGenerator, float] | None = None
    generator = np.random.default_rng(seed)
    for trial in range(trials):
        tried = config if trial == 0 else dataclasses.replace(config, **_drawn(generator))
        torch.manual_seed(seed)
        stage = make_stage(tried, dataset, seed=seed, device=device)
        stage.run(seed)
        score = validation_score(stage, dataset, runs=runs, seed=seed)
        options = {key: getattr(tried, key) for key in SPACE}
        log.info(
            "trial %d of %d: %.4f with %s", trial + 1, trials, score, ", ".join(f"{k} {v}" for k, v in options.items())
        )
        if report is not None:
            report(trial + 1, options, score)
        if best is None or score > best[1]:
            best = stage, score
    return best


def _drawn(generator: np.random.Generator) -> dict[str, Any]:
    return {key: values[int(generator.integers(len(values)))] for key, values in SPACE.items()}
