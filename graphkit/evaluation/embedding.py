"""Protocols that turn node vectors into figures: node classification, link prediction, clustering.

Node classification is the protocol of DeepWalk and FastRP: the whole graph is embedded without labels, nodes are
shuffled, one-vs-rest L2 logistic regression is trained on the first part, and each test node gets as many labels as it
has. Link prediction is that of node2vec: vectors of the training graph, a feature per pair, logistic regression,
ROC-AUC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from graphkit.core.errors import DataError, UsageError
from graphkit.evaluation import logistic, ranking
from graphkit.evaluation.labels import f1_scores, label_matrix, ranking_scores, top_labels
from graphkit.evaluation.stratify import stratified_folds

PAIR_FEATURES = {
    "hadamard": lambda a, b: a * b,
    "average": lambda a, b: (a + b) / 2,
    "l1": lambda a, b: (a - b).abs(),
    "l2": lambda a, b: (a - b) ** 2,
}
OPERATORS = (*PAIR_FEATURES, "dot")
# Training edges that the pair classifier sees; a sample of them where there are more.
MOST_EDGES = 100_000
PAIRS_AT_A_TIME = 65_536


def node_classification(
    vectors: np.ndarray,
    labels,
    ratios: Sequence[float] = (0.1, 0.5, 0.9),
    shuffles: int = 10,
    C: float = 1.0,
    seed: int = 0,
    folds: int = 0,
    report: Callable[[str], None] | None = None,
) -> dict[str, list[float]]:
    """Return ``{"micro_f1@0.1": [one value per shuffle], "macro_f1@0.1": [...], ...}``.

    vectors (n, d); labels (n,) class numbers with -1 for none, or (n, L) indicators. Nodes without a label take no
    part. Shuffle s is the permutation of seed + s for every method and ratio; the first int(ratio * n) nodes train. A
    label that is absent from the training part has no classifier: its score is -inf, and it stays in the macro mean.

    folds: cross-validation in place of the ratios, ``{"micro_f1": [one value per fold and shuffle], ...}``; the folds
    are stratified by the labels. Where nodes have several labels, ``auroc``, ``auprc`` and ``apop`` rank the nodes of a
    part for each label and are means over the labels that some but not all of its nodes have; apop is log2(auprc /
    share of positives), OBNB's measure.
    """
    known, truth = labelled(labels)
    vectors = _checked(vectors, len(np.asarray(labels)))
    features, several = torch.from_numpy(vectors[known].astype(np.float64)), np.ndim(labels) == 2
    found: dict[str, list[float]] = {}
    for place, number, train, test in node_splits(truth, ratios, shuffles, folds, seed):
        for name, value in classified(features, truth, train, test, C, ranked=bool(folds) and several).items():
            found.setdefault(f"{name}{place}", []).append(value)
        if report is not None:
            report(f"{place.replace('@', 'ratio ')}, split {number + 1}".lstrip(", "))
    return found


def labelled(labels) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers (k,) of the nodes with a label and their (k, L) bool labels; raises :class:`DataError` for
    fewer than 2.
    """
    truth = label_matrix(labels)
    known = np.flatnonzero(truth.any(1))
    if len(known) < 2:
        raise DataError(f"found {len(known)} labelled nodes, expected at least 2")
    return known, truth[known]


def node_splits(truth: np.ndarray, ratios: Sequence[float], shuffles: int, folds: int = 0, seed: int = 0):
    """Yield (what the metrics' names end in, number, train, test) of (k, L) bool labels: by ratios, or by folds where
    there are any.
    """
    count = len(truth)
    if folds:
        if not 2 <= folds <= count:
            raise UsageError(f"--folds is {folds}, expected 2 to {count}, the number of labelled nodes")
        for shuffle in range(shuffles):
            parts = stratified_folds(truth, folds, np.random.default_rng(seed + shuffle))
            for fold in range(folds):
                yield "", shuffle * folds + fold, np.flatnonzero(parts != fold), np.flatnonzero(parts == fold)
        return
    for ratio in ratios:
        if not 0 < int(ratio * count) < count:
            raise UsageError(
                f"--train-ratio is {ratio:g}, which leaves {int(ratio * count)} of {count} labelled nodes for training"
            )
    for ratio in ratios:
        for shuffle in range(shuffles):
            order = np.random.default_rng(seed + shuffle).permutation(count)
            yield f"@{ratio:g}", shuffle, *np.split(order, [int(ratio * count)])


def classified(
    features: torch.Tensor, truth: np.ndarray, train: np.ndarray, test: np.ndarray, C: float, ranked: bool = False
):
    """Train on some rows of (k, d) features with (k, L) truth and return the F1 scores, and with ``ranked`` the ranking
    ones, of others.
    """
    scores = classifier_scores(features[train], truth[train], features[test], C)
    found = f1_scores(truth[test], top_labels(scores, truth[test].sum(1)))
    return {**found, **ranking_scores(truth[test], scores)} if ranked else found


def classifier_scores(features: torch.Tensor, truth: np.ndarray, others: torch.Tensor, C: float) -> np.ndarray:
    """Train one-vs-rest on (n, d) features with (n, L) truth; return the (m, L) decision values of ``others`` (m, d).

    -inf for a label that no training node has, +inf for one that all have.
    """
    scores = np.full((len(others), truth.shape[1]), -np.inf)
    scores[:, truth.all(0)] = np.inf
    learnable = np.flatnonzero(truth.any(0) & ~truth.all(0))
    if len(learnable):
        weights = logistic.one_vs_rest(features, torch.from_numpy(truth[:, learnable]), C)
        scores[:, learnable] = logistic.decide(others, weights).numpy()
    return scores


def link_prediction(
    vectors: np.ndarray, split, operator: str = "hadamard", seed: int = 0, C: float = 1.0
) -> dict[str, float]:
    """Return the test ROC-AUC and average precision of vectors that were made from the training graph of a link split.

    operator: ``dot`` ranks by the inner product; ``hadamard``, ``average``, ``l1`` and ``l2`` make pair features for a
    logistic regression (training edges against as many pairs that are not); ``all`` reports each as ``auc@operator``.
    Vectors of the whole graph have seen the test edges: their figure is worth nothing, and nothing here can notice it.
    """
    if operator == "all":
        each = {name: link_prediction(vectors, split, name, seed, C) for name in OPERATORS}
        return {f"{metric}@{name}": value for name, found in each.items() for metric, value in found.items()}
    if operator not in OPERATORS:
        raise UsageError(f"--operator is {operator!r}, expected one of {', '.join([*OPERATORS, 'all'])}")
    if split.test.neg is None:
        raise DataError(
            "found negatives of each positive, expected negatives shared by all: use the data set's own metric"
        )
    rows = torch.from_numpy(_checked(vectors, None))
    if operator == "dot":
        scores = [_by_chunk(pairs, lambda a, b: (a * b).sum(1), rows) for pairs in (split.test.pos, split.test.neg)]
    else:
        weights = _pair_classifier(rows, split.train.pos, PAIR_FEATURES[operator], seed, C)
        scores = [
            _by_chunk(pairs, lambda a, b: logistic.decide(PAIR_FEATURES[operator](a, b), weights)[:, 0], rows)
            for pairs in (split.test.pos, split.test.neg)
        ]
    return {"auc": ranking.roc_auc(*scores), "ap": ranking.average_precision(*scores)}


def _pair_classifier(vectors, edges: np.ndarray, combine, seed: int, C: float) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    positive = edges if len(edges) <= MOST_EDGES else edges[rng.choice(len(edges), MOST_EDGES, replace=False)]
    # Only training edges are avoided: to avoid the hidden ones as well would tell the classifier about them.
    negative = _unlinked_pairs(edges, len(vectors), len(positive), rng)
    pairs = np.concatenate([positive, negative])
    target = torch.arange(len(pairs)) < len(positive)
    return logistic.one_vs_rest(combine(vectors[pairs[:, 0]], vectors[pairs[:, 1]]), target[:, None], C)


def _unlinked_pairs(edges: np.ndarray, n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw (count, 2) uniform pairs of different nodes that are no training edge in either direction."""
    if not len(edges):
        raise DataError("the training graph has no edges, expected some to train the classifier of pairs")
    taken = np.unique(edges.min(1) * n + edges.max(1))
    if len(taken[taken // n != taken % n]) >= n * (n - 1) // 2:
        raise DataError("the training graph is complete, expected pairs that are not edges")
    found = np.empty((0, 2), np.int64)
    while len(found) < count:
        pairs = rng.integers(n, size=(2 * (count - len(found)) + 16, 2))
        codes = pairs.min(1) * n + pairs.max(1)
        place = np.minimum(np.searchsorted(taken, codes), len(taken) - 1)
        found = np.concatenate([found, pairs[(pairs[:, 0] != pairs[:, 1]) & (taken[place] != codes)]])
    return found[:count]


def _by_chunk(pairs: np.ndarray, score, vectors: torch.Tensor) -> torch.Tensor:
    chunks = torch.from_numpy(np.asarray(pairs, np.int64)).split(PAIRS_AT_A_TIME)
    return torch.cat([score(vectors[part[:, 0]].double(), vectors[part[:, 1]].double()) for part in chunks])


def clustering(vectors: np.ndarray, labels, repeats: int = 10, seed: int = 0) -> dict[str, list[float]]:
    """Return NMI, ARI and accuracy (best matching of clusters to classes) of k-means, one value per repeat.

    k is the number of classes; each repeat is the best of ten starts; unlabelled nodes (-1) take no part. NMI is
    normalised by the arithmetic mean of the two entropies.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise DataError("clustering compares with one class per node; this data set has several labels per node")
    vectors, known = _checked(vectors, len(labels)), labels >= 0
    if not known.any():
        raise DataError("found no labelled nodes, expected some to compare the clusters with")
    vectors, labels = vectors[known].astype(np.float64), np.unique(labels[known], return_inverse=True)[1]
    classes = int(labels.max()) + 1
    found: dict[str, list[float]] = {"nmi": [], "ari": [], "accuracy": []}
    for repeat in range(repeats):
        groups = KMeans(classes, n_init=10, random_state=seed + repeat).fit_predict(vectors)
        found["nmi"].append(float(normalized_mutual_info_score(labels, groups)))
        found["ari"].append(float(adjusted_rand_score(labels, groups)))
        found["accuracy"].append(matched_accuracy(labels, groups))
    return found


def matched_accuracy(labels: np.ndarray, groups: np.ndarray) -> float:
    """Return the share of nodes in the class that their cluster stands for, under the best one-to-one matching."""
    table = np.zeros((int(groups.max()) + 1, int(labels.max()) + 1), np.int64)
    np.add.at(table, (groups, labels), 1)
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / len(labels))


def _checked(vectors: np.ndarray, count: int | None) -> np.ndarray:
    vectors = np.asarray(vectors)
    if count is not None and len(vectors) != count:
        raise DataError(f"found {len(vectors)} vectors, expected one for each of the {count} nodes")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise DataError(f"vector {bad[0]} has a value that is not a finite number ({len(bad)} such vectors)")
    return np.ascontiguousarray(vectors)
