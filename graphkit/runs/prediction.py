"""Using a trained model: labels of nodes and graphs, scores of pairs by the user's ids, and the most likely missing
links.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse
import torch

from graphkit.core import reading
from graphkit.core.errors import DataError, UsageError
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.id_lists import find_node, numbers_of, read_rows
from graphkit.training.learner import LinkLearner
from graphkit.training.supervised import SupervisedLearner

HEADER_WORDS = {
    "source",
    "target",
    "src",
    "dst",
    "from",
    "to",
    "u",
    "v",
    "id",
    "id1",
    "id2",
    "node1",
    "node2",
    "head",
    "tail",
}
CANDIDATES_AT_ONCE = 2_000_000


def read_pairs(path: str, dataset: GraphDataset) -> np.ndarray:
    """Read (P, 2) int64 node numbers from a text file of pairs of ids; ``-`` is stdin.

    Columns are separated by tab, comma, semicolon or blanks; more columns than two, a header and lines that start with
    # are ignored. Raises :class:`DataError` with the line for an unknown id and for a line of fewer than two columns.
    """
    number = numbers_of(dataset)
    pairs, first = [], True
    for line, cells in read_rows(path):
        if len(cells) < 2:
            raise DataError(f"{path}, line {line}: found {len(cells)} column, expected two node ids")
        header = first and all(cell.lower() in HEADER_WORDS for cell in cells[:2]) and cells[0] not in number
        first = False
        if not header:
            pairs.append([find_node(number, cell, f"{path}, line {line}") for cell in cells[:2]])
    if not pairs:
        raise DataError(f"{path}: found no pairs, expected two node ids per line")
    return np.array(pairs, dtype=np.int64)


def label_table(learner: SupervisedLearner, dataset: GraphDataset | None = None) -> tuple[tuple[str, ...], list[tuple]]:
    """Return (header, rows) with the predictions for every node or graph of a data set, by default that of training.

    Columns: ``id`` as the user gave it (the number of a graph), then for classes ``prediction``, the likeliest, and
    ``p_CLASS`` for each; ``p_LABEL`` for several labels a node or graph; ``value`` for a regression. Raises
    :class:`DataError` where the features are not those of training, :class:`UsageError` where the model cannot be used
    on other data.
    """
    if dataset is None:
        dataset, logits = learner.dataset, learner.logits()
    else:
        dataset = _as_in_training(dataset, learner.dataset)
        logits = learner.logits_of(dataset)
    ids = list(range(len(dataset.graphs))) if dataset.graphs is not None else dataset.ids().tolist()
    values = learner.targets.probabilities(logits).double().cpu().numpy()
    kind, names = learner.targets.kind, learner.dataset.class_names
    if kind in ("absolute", "squared"):
        header = ["value"] if values.shape[1] == 1 else [f"value_{k}" for k in range(values.shape[1])]
        return ("id", *header), [(node, *row) for node, row in zip(ids, values.tolist())]
    if kind == "binary":
        values = np.concatenate([1 - values, values], axis=1)
    names = names if names is not None and len(names) == values.shape[1] else [str(k) for k in range(values.shape[1])]
    columns = [f"p_{name}" for name in names]
    if kind == "labels":
        return ("id", *columns), [(node, *row) for node, row in zip(ids, values.tolist())]
    likeliest = [names[k] for k in values.argmax(1)]
    return ("id", "prediction", *columns), [
        (node, best, *row) for node, best, row in zip(ids, likeliest, values.tolist())
    ]


class VectorRecorder:
    """Within ``with``, keeps what the last layers of a learner's model read: one vector for each row that it labels.

    Read the layers' own vectors side by side where a model ends in several; where the labels are means over draws, so
    are vectors.
    """

    def __init__(self, learner: SupervisedLearner):
        self.learner, self.draws = learner, getattr(learner.config, "eval_draws", 1)
        self._seen: list[list[torch.Tensor]] = [[] for _ in learner.last_layers()]
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> VectorRecorder:
        self.learner._logits = None  # what is remembered would not pass through the model again
        for layer, seen in zip(self.learner.last_layers(), self._seen):

            def keep(_, given, seen=seen):
                seen.append(next(part for part in given if isinstance(part, torch.Tensor)).detach().cpu())

            self._hooks.append(layer.register_forward_pre_hook(keep))
        return self

    def __exit__(self, *_) -> None:
        for hook in self._hooks:
            hook.remove()

    def vectors(self) -> np.ndarray:
        """(rows, d) float32, in the order of the labels."""
        parts = []
        for seen in self._seen:
            groups = [torch.stack(seen[at : at + self.draws]).mean(0) for at in range(0, len(seen), self.draws)]
            parts.append(torch.cat(groups))
        return torch.cat(parts, dim=1).float().numpy()


def _as_in_training(dataset: GraphDataset, trained: GraphDataset) -> GraphDataset:
    """The data in the form that the model knows: one graph for a model of graphs becomes a list of one."""
    if trained.task == "graph" and dataset.graphs is None:
        return dataset.renamed(graphs=[dataset.graph], graph=None, task="graph")
    if trained.task == "node" and dataset.graphs is not None:
        raise UsageError(
            f"{dataset.name}: holds {len(dataset.graphs)} graphs, but the run's model labels the nodes of one graph"
        )
    return with_features_of(dataset, trained).renamed(task=trained.task)


def with_features_of(dataset: GraphDataset, trained: GraphDataset) -> GraphDataset:
    """The data with their columns of features in the order of training, by name where both files name them; reports
    what differs.

    Other names than those of training are matched by order.
    """
    here, there = dataset.feature_names, trained.feature_names
    if here is None or there is None or here == there or dataset.graph is None:
        return dataset
    if sorted(here) == sorted(there) and len(set(here)) == len(here):
        reading.note(
            dataset.name,
            "its columns of features are taken by their names, which stand in another order than in training",
        )
        graph = dataset.graph.local_var()
        graph.ndata["feat"] = graph.ndata["feat"][:, [here.index(name) for name in there]]
        return dataset.renamed(graph=graph, feature_names=list(there))
    if len(here) == len(there):
        at = next(k for k, (ours, theirs) in enumerate(zip(here, there)) if ours != theirs)
        reading.note(
            dataset.name,
            f"its features have other names than in training ({here[at]!r} for {there[at]!r}): taken by order",
        )
    return dataset


def known_links(dataset: GraphDataset) -> scipy.sparse.csr_matrix:
    """(n, n) symmetric 0/1 matrix of every link the data hold, held-out ones too: those are not missing."""
    src, dst = (ends.numpy() for ends in dataset.graph.edges())
    held = [part.pos for part in (dataset.split.valid, dataset.split.test)] if dataset.split is not None else []
    pairs = np.concatenate([np.stack([src, dst], axis=1), *held]).astype(np.int64)
    shape = (dataset.num_nodes, dataset.num_nodes)
    matrix = scipy.sparse.csr_matrix((np.ones(len(pairs), dtype=np.int32), (pairs[:, 0], pairs[:, 1])), shape=shape)
    matrix = matrix + matrix.T
    matrix.data[:] = 1
    matrix.setdiag(0)
    matrix.eliminate_zeros()
    return matrix.tocsr()


def candidates(links: scipy.sparse.csr_matrix, node: int | None = None) -> Iterator[np.ndarray]:
    """Yield blocks of (C, 2) pairs that are no link.

    Of a node: all other nodes. Of the graph: the pairs at distance two, since all pairs would be n^2; blocks keep the
    memory near ``CANDIDATES_AT_ONCE`` paths of two steps, or those of one node where it has more.
    """
    if node is not None:
        free = np.ones(links.shape[0], dtype=bool)
        free[links[node].indices] = False
        free[node] = False
        others = np.flatnonzero(free)
        yield np.stack([np.full(len(others), node), others], axis=1)
        return
    degree = np.diff(links.indptr)
    paths = np.cumsum(links @ degree.astype(np.int64))
    start = 0
    while start < links.shape[0]:
        before = paths[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(paths, before + CANDIDATES_AT_ONCE, side="right")))
        rows = links[start:stop]
        reached = (rows @ links).tocsr()
        reached.data[:] = 1
        reached = (reached - reached.multiply(rows)).tocoo()
        left, right = reached.row.astype(np.int64) + start, reached.col.astype(np.int64)
        chosen = (reached.data > 0) & (left < right)
        yield np.stack([left[chosen], right[chosen]], axis=1)
        start = stop


def top_links(
    learner: LinkLearner, dataset: GraphDataset, k: int, node: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k best-scored candidate links, (k, 2) pairs and (k,) scores, best first; fewer where there are
    fewer.
    """
    pairs, scores = np.empty((0, 2), dtype=np.int64), np.empty(0)
    for block in candidates(known_links(dataset), node):
        if len(block) == 0:
            continue
        found = learner.score_pairs(torch.from_numpy(block)).double().numpy()
        pairs, scores = np.concatenate([pairs, block]), np.concatenate([scores, found])
        best = np.lexsort((pairs[:, 1], pairs[:, 0], -scores))[:k]
        pairs, scores = pairs[best], scores[best]
    return pairs, scores


def explain(learner: LinkLearner, dataset: GraphDataset, pairs: np.ndarray) -> list[tuple]:
    """Return (source, target, node, kind, p) rows with the user's ids: which nodes each score pools, and how likely.

    Raises :class:`UsageError` for a method without common-neighbour pools.
    """
    if not hasattr(learner, "explain_pairs"):
        raise UsageError(
            f"--explain: {type(learner).__name__} pools no common neighbours; expected a run of ncn or ncnc"
        )
    ids = dataset.ids()
    rows = learner.explain_pairs(torch.from_numpy(pairs))
    return [(ids[pairs[p, 0]], ids[pairs[p, 1]], ids[node], kind, value) for p, node, kind, value in rows]
