"""Search for FastRP's degree strength and last weight, as in the authors' notebook (a TPE search by optuna)."""

from __future__ import annotations

import dataclasses
import logging
from typing import Callable

import dgl
import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from graphkit.core.errors import DataError, MissingExtraError
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.label_checks import require_classes
from graphkit.evaluation.embedding import node_classification
from graphkit.kernels.propagation import standardize_columns
from graphkit.methods.embedding.fastrp.config import FastRPConfig

log = logging.getLogger("graphkit")

TRAIN_RATIO = 0.1  # share of labelled nodes that the label objective trains on
HIDDEN_RATIO = 0.1  # share of edges that the link objective hides
REGULARIZATION = 0.1  # C of the logistic regression, as in the notebook
# The strength is searched on a grid, so that trials share the powers of one strength, which no weight changes.
STRENGTH_STEP = 0.05
CACHE_BYTES = 2e9


def tune(
    config: FastRPConfig, dataset: GraphDataset, prepared: Callable, *, seed: int, device: str
) -> tuple[FastRPConfig, dict]:
    """Return the configuration with the best strength in [-1, 0] and last weight in [1, 64], and what was found.

    prepared: :meth:`graphkit.methods.embedding.fastrp.method.FastRP.prepared`.

    The search embeds at ``config.tune_dim`` dimensions. Objective ``labels`` is macro-F1 with 10 % of the labelled
    nodes for training: it uses the labels, which an evaluation on the same labels must declare. ``links`` is the
    ROC-AUC of hidden edges against as many non-edges. Raises :class:`MissingExtraError` without optuna and
    :class:`DataError` where the labels are missing.
    """
    try:
        import optuna
    except ImportError:
        raise MissingExtraError("optuna", "tune", "--tune") from None
    objective, searched = _objective(config.tune_objective, dataset, seed)
    terms = _Terms(config, searched, prepared, seed, device)

    def trial_value(trial) -> float:
        strength = trial.suggest_float("strength", -1.0, 0.0, step=STRENGTH_STEP)
        last = trial.suggest_float("last_weight", 1.0, 64.0, log=True)
        return objective(terms.vectors(strength, last))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(trial_value, n_trials=config.tune)
    weights = (*config.coefficients[1:-1], study.best_params["last_weight"])
    best = dataclasses.replace(config, strength=round(study.best_params["strength"], 9), weights=weights, tune=0)
    found = {
        "strength": best.strength,
        "weights": list(weights),
        "objective": config.tune_objective,
        "value": study.best_value,
        "trials": config.tune,
        "dim": config.tune_dim,
    }
    shown = ",".join(f"{weight:.4g}" for weight in weights)
    log.info(
        "tuned on %s: strength %.3g, weights %s, value %.4f",
        config.tune_objective,
        best.strength,
        shown,
        study.best_value,
    )
    return best, found


class _Terms:
    """Normalised powers of each strength, the least recently used dropped, summed with the weights of a trial."""

    def __init__(self, config: FastRPConfig, dataset: GraphDataset, prepared: Callable, seed: int, device: str):
        self.config, self.dataset, self.prepared, self.seed, self.device = config, dataset, prepared, seed, device
        self.cache: dict[float, np.ndarray] = {}

    def vectors(self, strength: float, last_weight: float) -> np.ndarray:
        parts = self._powers(strength)
        coefficients = [c for c in self.config.coefficients[:-1] if c] + [last_weight]
        total = np.zeros_like(parts[0])
        for part, coefficient in zip(parts, coefficients):
            total += np.float32(coefficient) * part
        if self.config.standardizes:
            standardize_columns(total)
        return total

    def _powers(self, strength: float) -> list[np.ndarray]:
        key = round(strength / STRENGTH_STEP)
        if key not in self.cache:
            ones = tuple(float(weight != 0) for weight in self.config.coefficients[1:-1])
            plain = dataclasses.replace(
                self.config,
                dim=self.config.tune_dim,
                strength=strength,
                weights=(*ones, 1.0),
                standardize=False,
                tune=0,
                self_influence=float(self.config.self_influence != 0),
                memory_limit=None,
            )
            while self.cache and (len(self.cache) + 1) * next(iter(self.cache.values())).nbytes > CACHE_BYTES:
                self.cache.pop(next(iter(self.cache)))
            self.cache[key] = self.prepared(plain, self.dataset, self.seed, self.device, concatenate=True)()
        self.cache[key] = self.cache.pop(key)
        joined = self.cache[key]
        return np.split(joined, joined.shape[1] // self.config.tune_dim, axis=1)


def _objective(kind: str, dataset: GraphDataset, seed: int) -> tuple[Callable, GraphDataset]:
    """The function to maximise, and the data set whose vectors it judges."""
    if kind == "labels":
        if dataset.labels is None:
            raise DataError(
                f"{dataset.name}: --tune-objective labels needs node labels, found none; use links or --labels"
            )

        require_classes(dataset, own=False)
        labels = dataset.labels.cpu().numpy()
        return lambda vectors: _macro_f1(vectors, labels, seed), dataset
    hidden, searched, negatives = hide_edges(dataset, HIDDEN_RATIO, seed)
    return lambda vectors: _auc(vectors, hidden, negatives), searched


def _macro_f1(vectors, labels, seed: int) -> float:
    found = node_classification(vectors, labels, [TRAIN_RATIO], 1, REGULARIZATION, seed=seed)
    return float(np.mean(found[f"macro_f1@{TRAIN_RATIO:g}"]))


def _auc(vectors, positives, negatives) -> float:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(lengths > 0, lengths, 1)
    pairs = np.concatenate([positives, negatives])
    scores = np.einsum("pd,pd->p", unit[pairs[:, 0]], unit[pairs[:, 1]])
    return float(roc_auc_score(np.arange(len(pairs)) < len(positives), scores))


def hide_edges(dataset: GraphDataset, ratio: float, seed: int):
    """Take a share of the edges out of the graph; return (hidden (P, 2), data set without them, as many non-edges (Q,
    2)).

    In an undirected graph both directions and every copy of a hidden edge go. Raises :class:`DataError` where the graph
    is too small to hide an edge, or has no non-edge.
    """

    n = dataset.num_nodes
    source, target = (ends.cpu().numpy() for ends in dataset.graph.edges(order="eid"))
    low, high = (source, target) if dataset.directed else (np.minimum(source, target), np.maximum(source, target))
    codes = low * n + high
    known = np.unique(codes[source != target])
    generator = np.random.default_rng(seed)
    count = int(len(known) * ratio)
    if count == 0:
        raise DataError(
            f"{dataset.name}: --tune-objective links hides a tenth of the edges, found only {len(known)} edges"
        )
    chosen = np.sort(generator.choice(known, count, replace=False))
    drawn = np.unique(_random_codes(generator, n, 4 * count + 100, dataset.directed))
    drawn = generator.permutation(drawn[~np.isin(drawn, known)])[:count]
    if not len(drawn):
        raise DataError(
            f"{dataset.name}: --tune-objective links needs pairs that are not edges, found a complete graph"
        )
    kept = torch.from_numpy(np.flatnonzero(~np.isin(codes, chosen)))
    graph = dgl.edge_subgraph(dataset.graph, kept, relabel_nodes=False)
    pairs = [np.stack([part // n, part % n], axis=1) for part in (chosen, drawn)]
    return pairs[0], dataset.renamed(graph=graph), pairs[1]


def _random_codes(generator, n: int, count: int, directed: bool):
    pairs = generator.integers(0, n, (count, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    if not directed:
        pairs.sort(axis=1)
    return pairs[:, 0] * n + pairs[:, 1]
