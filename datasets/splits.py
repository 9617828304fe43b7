"""Splits: the given ones of a data set by name, and those that are drawn from a seed.

Names:
    ``public``, ``fixed``, ``geom-gcn``, ... as a data set gives them; a family of several (``geom-gcn``) takes the one
        of the seed (seed modulo their number), ``geom-gcn-3`` that one for every seed.
    ``folds``: the family that ``graphkit train --folds`` runs through, ``gin-10fold`` where it is given, else the
        default.
    ``shchur``: 20 nodes a class to train, 30 to validate, the rest to test, drawn per seed (Shchur et al., 2018).
    ``random-a/b/c``: those fractions of the labelled nodes, or of the edges, drawn per seed.
    ``heart-a/b/c``: edges, drawn once with seed 0 (Li et al., 2023, the small graphs of HeaRT).
    ``chrono-a/b/c``, ``inductive-a/b/c``, ``tgb``: events, see :mod:`graphkit.datasets.events`.
    ``time-a/b/c``: edges, cut at quantiles of their first times; the negatives are drawn per seed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphkit.datasets import label_checks
from graphkit.datasets.base import EdgeSet, EventSplit, GraphDataset, GraphSplit, LinkSplit, NodeSplit
from graphkit.datasets.build import graph_of
from graphkit.errors import DataError, did_you_mean
from graphkit.lazy import dgl, np, torch

if TYPE_CHECKING:
    import numpy

TASKS = ("node", "link", "graph", "events")
DEFAULT_LINK = "random-0.7/0.1/0.2"
HEART = "heart-0.85/0.05/0.1"
TIME = "time-0.7/0.1/0.2"
SHCHUR_TRAIN, SHCHUR_VALID = 20, 30
FOLDS, GIN_FOLDS = "folds", "gin-10fold"


@dataclass
class Loaded:
    """What a loader gives: the whole graph, the splits that come with it, and the defaults of each task.

    given: name -> NodeSplit or GraphSplit, a list of them (a family, chosen by seed), or a function without
        arguments that returns either.
    given_events: name -> function without arguments that returns an EventSplit.
    links: the official link split, whose training edges are the graph, or None.
    defaults: task -> (split name, metric). own: whether the labels are a user's own, which are held against each split.
    """

    dataset: GraphDataset
    given: dict[str, Any] = field(default_factory=dict)
    given_events: dict[str, Callable[[], EventSplit]] = field(default_factory=dict)
    links: LinkSplit | None = None
    links_name: str = "official"
    defaults: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    own: bool = False


def finish(loaded: Loaded, task: str | None, split: str | None, seed: int) -> GraphDataset:
    """Return the data set with the split of this task, name and seed; the whole graph where task is None.

    Raises :class:`DataError` where the data set has no labels for the task or the split is unknown or too small.
    """
    if task is None:
        if split is not None:
            raise DataError(
                f"data set {loaded.dataset.name!r}: a split ({split}) needs a task, expected {', '.join(TASKS)}"
            )
        return loaded.dataset.renamed(seed=seed)
    dataset = loaded.dataset
    if task == "labels":
        task = "graph" if dataset.graphs is not None else "node"
    if task not in TASKS:
        raise DataError(f"task {task!r} is unknown{did_you_mean(task, TASKS)}; expected {', '.join(TASKS)}")
    if (task == "graph") != (dataset.graphs is not None):
        holds = "many graphs" if dataset.graphs is not None else "one graph"
        raise DataError(f"data set {dataset.name!r} holds {holds}: it has no {task} task")
    default, metric = loaded.defaults.get(task, (None, None))
    if task == "events":
        from graphkit.datasets.events import finish_events

        if split not in (None, default):
            metric = None  # the default metric belongs to the default split
        return finish_events(dataset, split or default, metric, seed, loaded.given_events)
    if task == "link":
        return _finish_links(loaded, split or default, metric, seed)
    return _finish_given(loaded, task, split or default, metric, seed)


def _finish_given(loaded: Loaded, task: str, name: str | None, metric: str | None, seed: int) -> GraphDataset:
    dataset = loaded.dataset
    labels = dataset.labels if task == "node" else dataset.graph_labels
    if labels is None:
        raise DataError(f"data set {dataset.name!r} has no labels, expected some for the {task} task")
    if name == FOLDS and FOLDS not in loaded.given:
        name = _folds_family(loaded, task)
    name = name or next(iter(loaded.given), None) or _default_draw(labels, task)
    part, drawn = _given(loaded.given, name, seed)
    if part is None:
        part, drawn = _draw(labels, name, seed, dataset.name, loaded.given, task), True
    _check_parts(part, dataset, task, name)
    if task == "node" and loaded.own:
        label_checks.check_split(dataset.renamed(split=part))
    return dataset.renamed(
        task=task,
        split=part,
        split_name=name,
        metric=metric or _metric(labels, task),
        seed=seed,
        splitter=(lambda other: finish(loaded, task, name, other)) if drawn else None,
        folds=_members(loaded.given, name),
    )


def _metric(labels: Any, task: str) -> str:
    """The metric of labels that come with none."""
    if _multi(labels):
        return "micro-f1" if task == "node" else "rocauc"
    return "rmse" if task == "node" and _classes(labels).dtype.kind == "f" else "accuracy"


def _folds_family(loaded: Loaded, task: str) -> str:
    """The family that ``folds`` stands for; raises :class:`DataError` where the data set's splits are no families."""
    given = loaded.given
    default = loaded.defaults.get(task, (None, None))[0]
    found = [name for name in (GIN_FOLDS, default, *given) if name in given and _members(given, name) > 1]
    if not found:
        raise DataError(
            f"data set {loaded.dataset.name!r}: has no folds; its splits are {', '.join(given) or 'drawn per seed'}"
        )
    return found[0]


def _members(given: dict[str, Any], name: str) -> int:
    members = _value(given.get(name))
    return len(members) if isinstance(members, list) else 0


def _multi(labels: Any) -> bool:
    return getattr(labels, "ndim", 1) == 2


def _default_draw(labels: Any, task: str) -> str:
    if task == "graph" or _multi(labels):
        return "random-0.8/0.1/0.1" if task == "graph" else "random-0.5/0.1/0.4"
    if _classes(labels).dtype.kind == "f":
        return "random-0.6/0.2/0.2"
    counts = np.bincount(_classes(labels)[_classes(labels) >= 0])
    enough = len(counts) and counts[counts > 0].min() > SHCHUR_TRAIN + SHCHUR_VALID
    return "shchur" if enough else "random-0.6/0.2/0.2"


def _classes(labels: Any) -> numpy.ndarray:
    return np.asarray(labels)


def _given(given: dict[str, Any], name: str, seed: int) -> tuple[NodeSplit | GraphSplit | None, bool]:
    """Return (the given split of this name or None, whether it depends on the seed)."""
    family, _, number = name.rpartition("-")
    if name not in given and family in given and number.isdigit():
        members = _value(given[family])
        if isinstance(members, list):
            if int(number) >= len(members):
                raise DataError(f"split {name!r} does not exist, expected {family}-0..{family}-{len(members) - 1}")
            return _value(members[int(number)]), False
    if name not in given:
        return None, False
    members = _value(given[name])
    if isinstance(members, list):
        return _value(members[seed % len(members)]), len(members) > 1
    return members, False


def _value(item: Any) -> Any:
    return item() if callable(item) else item


def _draw(labels, name: str, seed: int, dataset: str, given, task: str) -> NodeSplit | GraphSplit:
    kind = NodeSplit if task == "node" else GraphSplit
    if name == "shchur" and not _multi(labels) and _classes(labels).dtype.kind != "f":
        return kind(*shchur(_classes(labels), seed, dataset))
    fractions = parse_fractions(name, "random")
    if fractions is None:
        known = [*given, "shchur", "random-0.6/0.2/0.2"]
        raise DataError(
            f"data set {dataset!r}: unknown {task} split {name!r}{did_you_mean(name, known)}"
            f"; expected one of {', '.join(known)}"
        )
    values = np.asarray(labels)
    known = np.flatnonzero(known_rows(values, task))
    if not len(known):
        raise DataError(f"data set {dataset!r}: all labels are unknown, expected some for the {task} task")
    order = np.random.default_rng(seed).permutation(known)
    train, valid = int(fractions[0] * len(order)), int(fractions[1] * len(order))
    test = len(order) - train - valid if abs(sum(fractions) - 1) < 1e-9 else int(fractions[2] * len(order))
    parts = np.split(order[: train + valid + test], [train, train + valid])
    return kind(*(np.sort(part) for part in parts))


def known_rows(values: numpy.ndarray, task: str) -> numpy.ndarray:
    """(n,) bool: rows with a label: no -1 among classes, no NaN among numbers, any label of several.

    A node of several labels, 0 or 1, that has none of them is one that nobody labelled; of a graph all of them can be
    0.
    """
    if values.ndim == 1:
        return values >= 0 if values.dtype.kind in "iu" else np.array([value == value for value in values], dtype=bool)
    if task == "node":
        return (np.nan_to_num(values) != 0).any(1) | np.isnan(values).any(1)
    return ~np.isnan(values.astype(np.float64)).all(1)


def shchur(labels: numpy.ndarray, seed: int, dataset: str = "") -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """Draw 20 nodes a class to train, 30 to validate, the rest to test; labels (n,) with -1 for unlabelled."""
    rng = np.random.default_rng(seed)
    parts: tuple[list, list, list] = ([], [], [])
    for number in np.unique(labels[labels >= 0]):
        members = rng.permutation(np.flatnonzero(labels == number))
        if len(members) <= SHCHUR_TRAIN + SHCHUR_VALID:
            raise DataError(
                f"data set {dataset!r}: class {number} has {len(members)} nodes, the split shchur needs more than "
                f"{SHCHUR_TRAIN + SHCHUR_VALID}; use random-0.6/0.2/0.2"
            )
        cuts = np.split(members, [SHCHUR_TRAIN, SHCHUR_TRAIN + SHCHUR_VALID])
        for part, cut in zip(parts, cuts):
            part.append(cut)
    train, valid, test = (np.sort(np.concatenate(part)) for part in parts)
    return train, valid, test


def parse_fractions(name: str, prefix: str) -> tuple[float, float, float] | None:
    """Read ``prefix-a/b/c``; None where the name has another form, :class:`DataError` where the sum exceeds 1."""
    match = re.fullmatch(rf"{prefix}-([0-9.]+)/([0-9.]+)/([0-9.]+)", name)
    if match is None:
        return None
    try:
        train, valid, test = (float(text) for text in match.groups())
    except ValueError:
        return None
    if train <= 0 or train + valid + test > 1 + 1e-9:
        raise DataError(
            f"split {name!r}: the fractions are {train}, {valid}, {test}, expected positive with sum at most 1"
        )
    return train, valid, test


def _check_parts(split: NodeSplit | GraphSplit, dataset: GraphDataset, task: str, name: str) -> None:
    count = dataset.num_nodes if task == "node" else len(dataset.graphs)
    for part in ("train", "valid", "test"):
        ids = np.asarray(getattr(split, part))
        if len(ids) == 0:
            raise DataError(f"data set {dataset.name!r}: split {name!r} leaves no {task}s to {part}")
        if ids.min() < 0 or ids.max() >= count:
            raise DataError(
                f"data set {dataset.name!r}: split {name!r} names {task} {ids.max()}, expected 0..{count - 1}"
            )


# Links ----------------------------------------------------------------------------------------------------------------


def _finish_links(loaded: Loaded, name: str | None, metric: str | None, seed: int) -> GraphDataset:
    dataset = loaded.dataset
    if loaded.links is not None and name in (None, loaded.links_name):
        name, metric = loaded.links_name, metric or link_metric(loaded.links)
        return dataset.renamed(
            task="link", split=loaded.links, split_name=name, metric=metric, seed=seed, splitter=None
        )
    if loaded.links is not None:
        raise DataError(f"data set {dataset.name!r}: unknown link split {name!r}, expected {loaded.links_name}")
    name = name or DEFAULT_LINK
    fixed, by_time = parse_fractions(name, "heart"), parse_fractions(name, "time")
    fractions = fixed or by_time or parse_fractions(name, "random")
    if fractions is None:
        known = [DEFAULT_LINK, HEART, *([TIME] if "time" in dataset.graph.edata else [])]
        raise DataError(
            f"data set {dataset.name!r}: unknown link split {name!r}{did_you_mean(name, known)}"
            f"; expected {' or '.join(known)}, or other fractions"
        )
    if by_time:
        from graphkit.datasets.time_splits import split_links_by_time

        graph, split = split_links_by_time(dataset, fractions, seed)
    else:
        graph, split = split_links(dataset, fractions, 0 if fixed else seed, heart=fixed is not None)
    if fixed:
        metric = "mrr"
    elif metric is None:
        metric = link_metric(split)
    return dataset.renamed(
        graph=graph,
        task="link",
        split=split,
        split_name=name,
        metric=metric,
        seed=seed,
        splitter=None if fixed else (lambda other: finish(loaded, "link", name, other)),
    )


def link_metric(links: LinkSplit) -> str:
    """The metric of a split that names none: by the negatives of the test edges, each positive's own or common to
    all.
    """
    if links.test.neg_dst is not None:
        return "mrr"
    # With no more than 100 negatives Hits@100 is 1 whatever the scores are.
    return "hits@100" if links.test.neg is not None and len(links.test.neg) > 100 else "auc"


def split_links(dataset: GraphDataset, fractions: Sequence[float], seed: int, *, heart: bool = False):
    """Draw train, validation and test edges with negatives; return (graph of the training edges, LinkSplit).

    As in NCNC (Wang et al., 2024, appendix): the test part and a pool of the same size are drawn, validation takes its
    share of the pool, the rest of the pool returns to training; negatives are uniform non-edges, as many as test edges
    for validation and for test both. With ``heart`` the validation part is drawn directly and each part has as many
    negatives as positives. Loops and repeated edges are dropped first. Negatives are non-edges of the whole graph, no
    two alike.
    """
    pairs, index = unique_pairs(dataset.graph, dataset.directed)
    count = len(pairs)
    num_test = int(fractions[2] * count)
    pool = num_test if not heart and fractions[1] <= fractions[2] else int(fractions[1] * count)
    num_valid = pool if heart or fractions[1] > fractions[2] else int(pool * fractions[1] / fractions[2])
    num_train = min(count - num_test - num_valid, count)
    if abs(sum(fractions) - 1) > 1e-9:
        num_train = int(fractions[0] * count)
    if min(num_train, num_valid, num_test) < 1:
        raise DataError(
            f"data set {dataset.name!r}: {count} edges are too few for the split "
            f"{'/'.join(map(str, fractions))} (train {num_train}, valid {num_valid}, test {num_test})"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(count)
    test, valid, train = np.split(order[: num_test + num_valid + num_train], [num_test, num_test + num_valid])
    num_valid_neg, num_test_neg = (num_valid, num_test) if heart else (num_test, num_test)
    negatives = non_edges(pairs, dataset.num_nodes, num_valid_neg + num_test_neg, rng, dataset.directed, dataset.name)
    weight = dataset.graph.edata["weight"].numpy()[index] if dataset.weighted else None
    parts = [
        EdgeSet(pos=pairs[rows], neg=neg, weight=None if weight is None else weight[rows])
        for rows, neg in ((np.sort(train), None), (valid, negatives[:num_valid_neg]), (test, negatives[num_valid_neg:]))
    ]
    return train_graph(dataset, parts[0].pos, parts[0].weight), LinkSplit(*parts)


def unique_pairs(graph: dgl.DGLGraph, directed: bool) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return ((P, 2) distinct edges without loops, u < v where undirected; (P,) number of the first edge of each)."""
    src, dst = (ids.numpy() for ids in graph.edges(order="eid"))
    keep = np.flatnonzero(src != dst)
    src, dst = src[keep], dst[keep]
    if not directed:
        src, dst = np.minimum(src, dst), np.maximum(src, dst)
    codes, first = np.unique(src * max(graph.num_nodes(), 1) + dst, return_index=True)
    n = max(graph.num_nodes(), 1)
    return np.stack([codes // n, codes % n], 1), keep[first]


def train_graph(dataset: GraphDataset, pairs: numpy.ndarray, weight: numpy.ndarray | None = None):
    """The graph of these (P, 2) edges with the node data of the whole graph."""
    graph = graph_of(pairs[:, 0], pairs[:, 1], dataset.num_nodes, directed=dataset.directed, weight=weight, simple=True)
    for key, value in dataset.graph.ndata.items():
        graph.ndata[key] = value
    return graph


def non_edges(pairs, n: int, count: int, rng, directed: bool, name: str) -> numpy.ndarray:
    """Draw (count, 2) distinct uniform non-edges without loops, u < v where undirected; pairs sorted as codes."""
    possible = n * (n - 1) // (1 if directed else 2) - len(pairs)
    if possible < count:
        raise DataError(f"data set {name!r}: {count} negative pairs are wanted, but only {possible} pairs are no edges")
    taken = np.sort(pairs[:, 0] * n + pairs[:, 1])
    if possible < 4 * count:
        return _choose_non_edges(taken, n, count, rng, directed)
    found = np.empty(0, dtype=np.int64)
    while len(found) < count:
        u, v = rng.integers(n, size=(2, 2 * (count - len(found)) + 16))
        if not directed:
            u, v = np.minimum(u, v), np.maximum(u, v)
        codes = (u * n + v)[u != v]
        codes = np.concatenate([found, codes[~_contains(taken, codes)]])
        _, first = np.unique(codes, return_index=True)
        found = codes[np.sort(first)]
    codes = found[:count]
    return np.stack([codes // n, codes % n], 1)


def _choose_non_edges(taken, n: int, count: int, rng, directed: bool) -> numpy.ndarray:
    """For graphs so dense that rejection would be slow: list all non-edges (about as many as are wanted)."""
    chosen = [np.empty(0, dtype=np.int64)]
    for u in range(n):
        others = np.arange(0 if directed else u + 1, n, dtype=np.int64)
        codes = u * n + others[others != u]
        chosen.append(codes[~_contains(taken, codes)])
    codes = rng.permutation(np.concatenate(chosen))[:count]
    return np.stack([codes // n, codes % n], 1)


def _contains(taken: numpy.ndarray, codes: numpy.ndarray) -> numpy.ndarray:
    if len(taken) == 0:
        return np.zeros(len(codes), dtype=bool)
    place = np.minimum(np.searchsorted(taken, codes), len(taken) - 1)
    return taken[place] == codes


def stratified_folds(labels: numpy.ndarray, folds: int = 10) -> list[numpy.ndarray]:
    """The test parts of StratifiedKFold(folds, shuffle, seed 0), the rule of GIN (Xu et al., 2019)."""
    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(folds, shuffle=True, random_state=0)
    return [np.sort(test) for _, test in splitter.split(np.zeros(len(labels)), labels)]


def fold_splits(tests: Sequence[numpy.ndarray], total: int) -> dict[str, list[Callable[[], GraphSplit]]]:
    """Two families over K folds: ``10fold`` (test fold k, validation fold k+1, the rest trains) and ``gin-10fold``
    (no test part, validation and test are both fold k, the optimistic protocol of GIN)."""
    everything, k = np.arange(total), len(tests)

    def honest(i):
        valid, test = tests[(i + 1) % k], tests[i]
        return lambda: GraphSplit(np.setdiff1d(everything, np.concatenate([valid, test])), valid, test)

    def optimistic(i):
        return lambda: GraphSplit(np.setdiff1d(everything, tests[i]), tests[i], tests[i])

    return {"10fold": [honest(i) for i in range(k)], GIN_FOLDS: [optimistic(i) for i in range(k)]}


def masks_split(train, valid, test) -> NodeSplit:
    """A NodeSplit from three (n,) boolean masks."""
    return NodeSplit(*(np.flatnonzero(np.asarray(mask)).astype(np.int64) for mask in (train, valid, test)))


def as_tensor(values) -> torch.Tensor:
    """A tensor that shares no memory with a read-only array."""
    return torch.from_numpy(np.ascontiguousarray(values).copy())
