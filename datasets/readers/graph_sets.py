"""Generated benchmarks of many small graphs, and the Minesweeper board.

Node labels in many graphs (PATTERN, CLUSTER, RingTransfer) are one disconnected DGLGraph with task "node": nodes and
edges stand graph by graph, ``ndata["_graph"]`` (n,) int64 holds the number of each node's graph, and
``batch_num_nodes`` and ``batch_num_edges`` are those of the parts. The split names nodes, and all nodes of a graph are
in one part of it, so that a learner can cut batches of whole graphs. The official splits come by name; a
``random-a/b/c`` split would divide graphs.
"""

from __future__ import annotations

from collections.abc import Sequence

import dgl
import numpy as np
import torch

from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset, GraphSplit, NodeSplit
from graphkit.datasets.readers.build import graph_of
from graphkit.datasets.splits.loaded import Loaded
from graphkit.datasets.splits.nodes import stratified_folds

CSL_NODES, CSL_SKIPS, CSL_FOLDS = 41, (2, 3, 4, 5, 6, 9, 11, 12, 13, 16), 5
SYMBOLS = 3
PATTERN_COMMUNITIES = 5
COMMUNITY_SIZES = (5, 34)  # smallest and largest, also of a pattern
COUNTED_MINES = 5  # five and more share a column


def csl(copies: int, seed: int) -> Loaded:
    """Circulant graphs of 41 nodes on a ring with chords of one of ten lengths, each under random relabellings.

    Every graph is 4-regular and has no features, so that the 1-WL test sees ten equal classes. Split ``folds``: five
    stratified folds; test is the fold of the seed, validation the next one (Murphy et al., 2019; Dwivedi et al., 2020).
    """
    rng = np.random.default_rng(seed)
    nodes = np.arange(CSL_NODES)
    graphs = []
    for skip in CSL_SKIPS:
        for _ in range(copies):
            order = rng.permutation(CSL_NODES)
            ends = [(order, order[(nodes + step) % CSL_NODES]) for step in (1, skip)]
            graphs.append(graph_of(*(np.concatenate(side) for side in zip(*ends)), CSL_NODES))
    labels = np.repeat(np.arange(len(CSL_SKIPS)), copies)
    if copies < CSL_FOLDS:
        raise DataError(f"csl: copies is {copies}, expected at least {CSL_FOLDS}, one for each fold")
    tests = stratified_folds(labels, CSL_FOLDS)

    def fold(k: int) -> GraphSplit:
        valid, test = tests[(k + 1) % CSL_FOLDS], tests[k]
        return GraphSplit(np.setdiff1d(np.arange(len(labels)), np.concatenate([valid, test])), valid, test)

    names = [f"skip {skip}" for skip in CSL_SKIPS]
    dataset = GraphDataset("csl", graphs=graphs, graph_labels=torch.from_numpy(labels), class_names=names)
    return Loaded(dataset, {"folds": [fold(k) for k in range(CSL_FOLDS)]}, defaults={"graph": ("folds", "accuracy")})


def pattern(train, valid, test, instances, p, q, p_pattern, q_pattern, seed) -> Loaded:
    """PATTERN: which nodes of a graph are the hidden pattern (Dwivedi et al., 2020).

    A graph is a block model of five communities of 5 to 34 nodes, each node with one of three symbols, and one of
    ``instances`` patterns: 5 to 34 nodes linked with ``p_pattern``, their symbols fixed, joined to every other node
    with ``q_pattern``. Features: the symbol one-hot. Label: 1 in the pattern.
    """
    rng = np.random.default_rng(seed)
    patterns = []
    for _ in range(instances):
        size = _sizes(rng, 1)[0]
        patterns.append((_pairs(rng, np.full((size, size), p_pattern)), rng.integers(SYMBOLS, size=size)))
    parts, symbols, labels = [], [], []
    for _ in range(train + valid + test):
        blocks = np.repeat(np.arange(PATTERN_COMMUNITIES), _sizes(rng, PATTERN_COMMUNITIES))
        chosen, signal = patterns[rng.integers(instances)]
        base, n = len(blocks), len(blocks) + len(signal)
        odds = np.zeros((n, n))
        odds[:base, :base] = np.where(blocks[:, None] == blocks, p, q)
        odds[:base, base:] = q_pattern
        pairs = np.concatenate([_pairs(rng, odds), chosen + base])
        order = rng.permutation(n)  # place of each node: the number must not tell the label
        parts.append((order[pairs], n))
        symbols.append(_placed(np.concatenate([rng.integers(SYMBOLS, size=base), signal]), order))
        labels.append(_placed((np.arange(n) >= base).astype(np.int64), order))
    graph = _joined(parts, np.eye(SYMBOLS, dtype=np.float32)[np.concatenate(symbols)], np.concatenate(labels))
    return _node_set(graph, (train, valid, test), "balanced-accuracy")


def cluster(train, valid, test, k, p, q, seed) -> Loaded:
    """CLUSTER: the community of every node, where one node of each community tells its own (Dwivedi et al., 2020).

    A graph is a block model of ``k`` communities of 5 to 34 nodes (the 5 to 35 of the paper's text leave out the 35:
    its data have 117 nodes on average). Features: one-hot of the community that a node tells,
    column 0 for the nodes that tell none.
    """
    rng = np.random.default_rng(seed)
    parts, told, labels = [], [], []
    for _ in range(train + valid + test):
        sizes = _sizes(rng, k)
        blocks = np.repeat(np.arange(k), sizes)
        pairs = _pairs(rng, np.where(blocks[:, None] == blocks, p, q))
        word = np.zeros(len(blocks), dtype=np.int64)
        word[np.cumsum(sizes) - sizes + rng.integers(sizes)] = np.arange(k) + 1
        order = rng.permutation(len(blocks))
        parts.append((order[pairs], len(blocks)))
        told.append(_placed(word, order))
        labels.append(_placed(blocks, order))
    graph = _joined(parts, np.eye(k + 1, dtype=np.float32)[np.concatenate(told)], np.concatenate(labels))
    return _node_set(graph, (train, valid, test), "balanced-accuracy")


def ring_transfer(train, valid, test, radius, classes, graph_level, seed) -> Loaded:
    """RingTransfer: carry a word half way round a ring (Bodnar et al., 2021).

    A ring of ``2 radius`` nodes. One node holds a one-hot class, the node opposite it is flagged (last column); all
    else is zero. The class is read at the flagged node alone (task "node", the others have label -1), or of the graph
    (``graph_level=1``), where pooling sees the class without carrying it.
    """
    rng = np.random.default_rng(seed)
    total, n = train + valid + test, 2 * radius
    orders = rng.permuted(np.tile(np.arange(n), (total, 1)), axis=1)  # place on the ring -> node
    known = rng.integers(classes, size=total)
    rows = np.arange(total)
    features = np.zeros((total, n, classes + 1), dtype=np.float32)
    features[rows, orders[:, 0], known] = 1.0
    features[rows, orders[:, radius], classes] = 1.0
    rings = np.stack([orders, np.roll(orders, -1, axis=1)], axis=2)
    sizes = (train, valid, test)
    if graph_level:
        graphs = [graph_of(*ring.T, n) for ring in rings]
        for graph, part in zip(graphs, torch.from_numpy(features)):
            graph.ndata["feat"] = part
        split = GraphSplit(*np.split(rows, np.cumsum(sizes)[:-1]))
        dataset = GraphDataset("ring-transfer", graphs=graphs, graph_labels=torch.from_numpy(known))
        return Loaded(dataset, {"generated": split}, defaults={"graph": ("generated", "accuracy")})
    labels = np.full((total, n), -1, dtype=np.int64)
    labels[rows, orders[:, radius]] = known
    graph = _joined([(ring, n) for ring in rings], features.reshape(total * n, -1), labels.ravel())
    return _node_set(graph, sizes, "accuracy")


def minesweeper(rows, cols, mines, unknown, seed) -> Loaded:
    """A board like the data set ``minesweeper`` (Platonov et al., 2023), whose columns it has.

    Each cell is linked to its eight neighbours. Features: column 0 for the share ``unknown`` of cells that tell
    nothing, else one-hot 0, 1, 2, 3, 4, five or more mines among the neighbours. Label: is there a mine. No split is
    given: the default draws halves and quarters per seed.
    """
    rng = np.random.default_rng(
        [seed, 1]
    )  # splits draw from the seed alone: the same permutation would put all mines into training
    cells = np.arange(rows * cols).reshape(rows, cols)
    sides = [
        (cells[:, :-1], cells[:, 1:]),
        (cells[:-1], cells[1:]),
        (cells[:-1, :-1], cells[1:, 1:]),
        (cells[:-1, 1:], cells[1:, :-1]),
    ]
    src, dst = (np.concatenate([side[k].ravel() for side in sides]) for k in (0, 1))
    total = rows * cols
    graph = graph_of(src, dst, total, simple=True)
    labels = np.zeros(total, dtype=np.int64)
    labels[rng.permutation(total)[: round(mines * total)]] = 1
    near = np.bincount(src, labels[dst], total) + np.bincount(dst, labels[src], total)
    column = 1 + np.minimum(near.astype(np.int64), COUNTED_MINES)
    column[rng.permutation(total)[: round(unknown * total)]] = 0
    graph.ndata["feat"] = torch.from_numpy(np.eye(COUNTED_MINES + 2, dtype=np.float32)[column])
    graph.ndata["label"] = torch.from_numpy(labels)
    return Loaded(GraphDataset("minesweeper", graph), defaults={"node": ("random-0.5/0.25/0.25", "rocauc")})


def _sizes(rng, count: int) -> np.ndarray:
    return rng.integers(COMMUNITY_SIZES[0], COMMUNITY_SIZES[1] + 1, size=count)


def _pairs(rng, odds: np.ndarray) -> np.ndarray:
    """(P, 2) pairs u < v, each with the probability odds[u, v]."""
    drawn = rng.random(odds.shape) < odds
    return np.argwhere(np.triu(drawn, 1))


def _placed(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """values[k] moved to place order[k]."""
    out = np.empty_like(values)
    out[order] = values
    return out


def _joined(parts: Sequence[tuple[np.ndarray, int]], features: np.ndarray, labels: np.ndarray) -> dgl.DGLGraph:
    """One graph of parts ((P, 2) undirected edges, number of nodes), in their order; both directions side by side."""
    nodes, pairs = np.array([n for _, n in parts]), np.array([len(edges) for edges, _ in parts])
    edges = np.concatenate([edges for edges, _ in parts]) + np.repeat(np.cumsum(nodes) - nodes, pairs)[:, None]
    ends = torch.from_numpy(np.stack([edges, edges[:, ::-1]], axis=1).reshape(-1, 2))
    graph = dgl.graph((ends[:, 0].contiguous(), ends[:, 1].contiguous()), num_nodes=int(nodes.sum()))
    graph.ndata["feat"], graph.ndata["label"] = torch.from_numpy(features), torch.from_numpy(labels)
    graph.ndata["_graph"] = torch.from_numpy(np.repeat(np.arange(len(nodes)), nodes))
    graph.set_batch_num_nodes(torch.from_numpy(nodes))
    graph.set_batch_num_edges(torch.from_numpy(2 * pairs))
    return graph


def _node_set(graph: dgl.DGLGraph, sizes: tuple[int, int, int], metric: str) -> Loaded:
    """The labelled nodes of the first, next and last graphs train, validate and test."""
    owner, known = graph.ndata["_graph"].numpy(), graph.ndata["label"].numpy() >= 0
    part = np.repeat(np.arange(3), sizes)[owner]
    split = NodeSplit(*(np.flatnonzero(known & (part == k)) for k in range(3)))
    return Loaded(GraphDataset("", graph), {"generated": split}, defaults={"node": ("generated", metric)})
