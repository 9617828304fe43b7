"""Random graphs and generated benchmarks by name and parameters, e.g. ``sbm:n=1000,k=5,p_in=0.05,p_out=0.005,seed=1``.

All generators are vectorised or compiled: a million edges take about a second.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
import torch

from graphkit.core.errors import DataError, did_you_mean
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.generators import event_streams, sparse_sbm
from graphkit.datasets.generators.memory import estimate, sbm_edges
from graphkit.datasets.readers import graph_sets
from graphkit.datasets.readers.build import graph_of
from graphkit.datasets.source import Source
from graphkit.datasets.splits.drawn import DEFAULT_LINK
from graphkit.datasets.splits.loaded import Loaded
from graphkit.graph.codes import distinct
from graphkit.io import budget

LARGEST = 2**31
FEW_BLOCK_PAIRS = 20_100  # of 200 blocks; more of them than edges are not gone through one by one


@dataclass(frozen=True)
class Generator:
    """A generator: its function, the parameters with their defaults, and the paper.

    make: returns a DGLGraph, or a :class:`Loaded` where splits and metric come with the graphs. tasks: the first one is
    the data set's own.
    """

    make: Callable
    parameters: dict[str, float]
    about: str
    paper: str
    tasks: tuple[str, ...] = ("link",)


def _sbm(n, k, p_in, p_out, features, seed):
    rng = np.random.default_rng(seed)
    blocks = np.arange(n) * k // n
    starts = np.searchsorted(blocks, np.arange(k + 1))
    expected = sbm_edges({"n": n, "k": k, "p_in": p_in, "p_out": p_out})
    draw = _block_by_block if k * (k + 1) / 2 <= max(FEW_BLOCK_PAIRS, expected) else _all_blocks
    graph = graph_of(*draw(starts, p_in, p_out, rng), n)
    graph.ndata["label"] = torch.from_numpy(blocks.astype(np.int64))
    if features:
        centres = rng.standard_normal((k, features)).astype(np.float32)
        noise = rng.standard_normal((n, features)).astype(np.float32)
        graph.ndata["feat"] = torch.from_numpy(centres[blocks] + noise)
    return graph


def _block_by_block(starts, p_in: float, p_out: float, rng):
    """(sources, destinations) of a block model, drawn for each pair of blocks in turn; ``starts`` (k + 1,) are the
    blocks' first nodes.
    """
    k = len(starts) - 1
    src, dst = [], []
    for a in range(k):
        size = int(starts[a + 1] - starts[a])
        for b in range(a, k):
            other = int(starts[b + 1] - starts[b])
            possible = size * (size - 1) // 2 if a == b else size * other
            chosen = _distinct(possible, p_in if a == b else p_out, rng)
            u, v = _triangle(chosen) if a == b else (chosen // other, chosen % other)
            src.append(u + starts[a])
            dst.append(v + starts[b])
    return np.concatenate(src), np.concatenate(dst)


def _all_blocks(starts, p_in: float, p_out: float, rng):
    """As :func:`_block_by_block`, in time of the nodes and edges: pairs inside of blocks are numbered through, and so
    are all others.

    Pair number i of those inside belongs to the block whose pairs begin at or before i; of the others, to the node
    whose pairs with the nodes of later blocks do.
    """
    sizes = np.diff(starts)
    first = np.concatenate([[0], np.cumsum(sizes * (sizes - 1) // 2)])
    chosen = _distinct(int(first[-1]), p_in, rng)
    block = np.searchsorted(first, chosen, side="right") - 1
    u, v = _triangle(chosen - first[block])
    inside = u + starts[block], v + starts[block]
    ends = np.repeat(starts[1:], sizes)  # of each node's block
    first = np.concatenate([[0], np.cumsum(starts[-1] - ends)])
    chosen = _distinct(int(first[-1]), p_out, rng)
    node = np.searchsorted(first, chosen, side="right") - 1
    across = node, ends[node] + chosen - first[node]
    return tuple(np.concatenate(part) for part in zip(inside, across))


def _target_cluster(n, k, p, q, outside, seed):
    if k >= n:
        raise DataError(f"target-cluster: k is {k}, expected less than n={n}")
    rng = np.random.default_rng(seed)
    rest, order = n - k, rng.permutation(n)
    inside, across = _triangle(_distinct(k * (k - 1) // 2, p, rng)), _distinct(k * rest, q, rng)
    beyond = _triangle(_distinct(rest * (rest - 1) // 2, outside, rng))
    src = np.concatenate([inside[0], across // rest, beyond[0] + k])
    dst = np.concatenate([inside[1], across % rest + k, beyond[1] + k])
    graph = graph_of(order[src], order[dst], n)
    graph.ndata["label"] = torch.from_numpy(np.isin(np.arange(n), order[:k]).astype(np.int64))
    return graph


def _distinct(possible: int, p: float, rng):
    """Each of 0..possible-1 with probability p, without a draw for each."""
    count = int(rng.binomial(possible, p)) if possible else 0
    if 3 * count > possible:
        return np.sort(rng.permutation(possible)[:count])
    found = np.empty(0, dtype=np.int64)
    while len(found) < count:
        more = rng.integers(possible, size=count - len(found) + 16)
        found = distinct(np.concatenate([found, more]))
    # The found ones are sorted: the surplus has to go at random, or the largest numbers would be rarer.
    return np.sort(rng.permutation(found)[:count])


def _triangle(index):
    """Number -> pair (u, v), u < v, in the order (0,1), (0,2), (1,2), (0,3), ..."""
    v = ((1 + np.sqrt(1 + 8 * index.astype(np.float64))) / 2).astype(np.int64)
    v -= v * (v - 1) // 2 > index  # the root is rounded: one step either way is enough
    v += v * (v + 1) // 2 <= index
    return index - v * (v - 1) // 2, v


def _erdos(n, p, m, seed):
    rng = np.random.default_rng(seed)
    possible = n * (n - 1) // 2
    if m:
        if m > possible:
            raise DataError(f"erdos: m is {m}, expected at most {possible} for n={n}")
        chosen = _exactly(possible, m, rng)
    else:
        chosen = _distinct(possible, p, rng)
    return graph_of(*_triangle(chosen), n)


def _exactly(possible: int, count: int, rng):
    if 3 * count > possible:
        return rng.permutation(possible)[:count]
    found = np.empty(0, dtype=np.int64)
    while len(found) < count:
        found = distinct(np.concatenate([found, rng.integers(possible, size=count - len(found) + 16)]))
    return rng.permutation(found)[:count]


@functools.cache
def _attachment_kernel():
    @numba.njit(cache=True)
    def attach(n, m, seed, ends):
        # Batagelj and Brandes (2005): a uniform entry of the list of edge ends is a node in proportion to its degree.
        np.random.seed(seed)
        for v in range(m):  # a star of the first m + 1 nodes
            ends[2 * v], ends[2 * v + 1] = m, v
        edge = m
        for v in range(m + 1, n):
            first = edge
            for _ in range(m):
                fresh, u = False, 0
                while not fresh:
                    u = ends[np.random.randint(0, 2 * first)]
                    fresh = True
                    for e in range(first, edge):
                        fresh = fresh and ends[2 * e + 1] != u
                ends[2 * edge], ends[2 * edge + 1] = v, u
                edge += 1

    return attach


def _barabasi(n, m, seed):
    if not 1 <= m < n:
        raise DataError(f"barabasi: m is {m}, expected 1..{n - 1} for n={n}")
    ends = np.zeros(2 * (m + (n - m - 1) * m), dtype=np.int64)
    _attachment_kernel()(n, m, seed, ends)
    return graph_of(ends[0::2], ends[1::2], n)


def _rmat(scale, degree, a, b, c, seed):
    if a + b + c >= 1:
        raise DataError(f"rmat: a+b+c is {a + b + c:g}, expected less than 1")
    rng = np.random.default_rng(seed)
    n = 1 << scale
    edges = int(n * degree / 2)
    src, dst = np.zeros(edges, dtype=np.int64), np.zeros(edges, dtype=np.int64)
    for _ in range(scale):
        draw = rng.random(edges, dtype=np.float32)
        down = draw >= a + b
        right = ((draw >= a) & ~down) | (draw >= a + b + c)
        src = 2 * src + down
        dst = 2 * dst + right
    # Ids are shuffled, or they would tell the degree.
    order = rng.permutation(n)
    return graph_of(order[src], order[dst], n)


GENERATORS = {
    "sbm": Generator(
        _sbm,
        {"n": 1000, "k": 5, "p_in": 0.05, "p_out": 0.005, "features": 0, "seed": 0},
        "k equal blocks; pairs inside a block are linked with p_in, others with p_out; label: block.",
        "Holland, Laskey, Leinhardt: Stochastic blockmodels, 1983",
        ("link", "node"),
    ),
    "target-cluster": Generator(
        _target_cluster,
        {"n": 10000, "k": 500, "p": 0.05, "q": 0.0025, "outside": 0.005, "seed": 0},
        "k of n nodes, linked with p among themselves and with q to the others, which are linked with outside; label:"
        " in it.",
        "Back de Luca, Fountoulakis, Yang: Local Graph Clustering with Noisy Labels, ICLR 2024",
        ("link", "node"),
    ),
    "barabasi": Generator(
        _barabasi,
        {"n": 1000, "m": 4, "seed": 0},
        "each new node links to m nodes in proportion to their degree.",
        "Barabási, Albert: Emergence of Scaling in Random Networks, 1999",
    ),
    "erdos": Generator(
        _erdos,
        {"n": 1000, "p": 0.01, "m": 0, "seed": 0},
        "each pair with probability p, or exactly m edges.",
        "Erdős, Rényi: On Random Graphs, 1959",
    ),
    "rmat": Generator(
        _rmat,
        {"scale": 14, "degree": 16, "a": 0.57, "b": 0.19, "c": 0.19, "seed": 0},
        "2^scale nodes, n*degree/2 edges drawn by recursion, then loops and duplicates dropped.",
        "Chakrabarti, Zhan, Faloutsos: R-MAT, SDM 2004",
    ),
    "csl": Generator(
        graph_sets.csl,
        {"copies": 15, "seed": 0},
        "circulant graphs of 41 nodes, ten chord lengths, each relabelled at random; label: length.",
        "Murphy, Srinivasan, Rao, Ribeiro: Relational Pooling for Graph Representations, ICML 2019",
        ("graph",),
    ),
    "pattern": Generator(
        graph_sets.pattern,
        {
            "train": 1000,
            "valid": 200,
            "test": 200,
            "instances": 10,
            "p": 0.5,
            "q": 0.35,
            "p_pattern": 0.5,
            "q_pattern": 0.5,
            "seed": 0,
        },
        "graphs of five communities and a hidden pattern; node label: in the pattern.",
        "Dwivedi et al.: Benchmarking Graph Neural Networks, 2020",
        ("node",),
    ),
    "cluster": Generator(
        graph_sets.cluster,
        {"train": 1000, "valid": 200, "test": 200, "k": 6, "p": 0.55, "q": 0.25, "seed": 0},
        "graphs of k communities, one node of each tells its own; node label: community.",
        "Dwivedi et al.: Benchmarking Graph Neural Networks, 2020",
        ("node",),
    ),
    "ring-transfer": Generator(
        graph_sets.ring_transfer,
        {"train": 2000, "valid": 500, "test": 500, "radius": 12, "classes": 5, "graph_level": 0, "seed": 0},
        "rings of 2 radius nodes; the flagged node must tell the class that the opposite one holds.",
        "Bodnar et al.: Weisfeiler and Lehman Go Cellular, NeurIPS 2021",
        ("node", "graph"),
    ),
    "minesweeper": Generator(
        graph_sets.minesweeper,
        {"rows": 100, "cols": 100, "mines": 0.2, "unknown": 0.5, "seed": 0},
        "a board of mines; cells tell how many of their eight neighbours are mines; label: is there a mine.",
        "Platonov et al.: A Critical Look at the Evaluation of GNNs under Heterophily, ICLR 2023",
        ("node",),
    ),
    "sparse-sbm": Generator(
        sparse_sbm.sparse_sbm,
        {"n": 20000, "k": 20, "low": 0.5, "degree": 10, "mix": 0.1, "features": 16, "seed": 0},
        "k equal blocks, a share of the nodes with one or two edges, features of noise; label: block.",
        "Karrer, Newman: Stochastic blockmodels and community structure in networks, Physical Review E 83, 2011",
        ("node",),
    ),
    "repeats": Generator(
        event_streams.repeats,
        {"n": 200, "events": 10000, "k": 2, "p": 0.8, "seed": 0},
        "events in which half of the nodes turn to the same few destinations again and again.",
        "",
        ("events",),
    ),
    "triads": Generator(
        event_streams.triads,
        {"n": 2000, "rounds": 20, "p": 0.5, "seed": 0},
        "rounds of meetings in which friends of friends meet; degree, recency and known pairs tell nothing.",
        "",
        ("events",),
    ),
}
INTEGERS = {
    "n",
    "k",
    "m",
    "scale",
    "seed",
    "features",
    "copies",
    "train",
    "valid",
    "test",
    "instances",
    "radius",
    "classes",
    "graph_level",
    "rows",
    "cols",
    "events",
    "rounds",
}
PROBABILITIES = {
    "outside",
    "p",
    "p_in",
    "p_out",
    "a",
    "b",
    "c",
    "q",
    "p_pattern",
    "q_pattern",
    "mines",
    "unknown",
    "low",
    "mix",
}
SMALLEST = {key: 1 for key in ("n", "k", "scale", "copies", "train", "valid", "test", "instances", "events", "rounds")}
SMALLEST.update(radius=2, classes=2, rows=2, cols=2)
HIGHEST = {"scale": 30, "graph_level": 1}


def parse(name: str) -> tuple[str, dict[str, float]]:
    """Split ``word:key=value,...`` into the generator and all its parameters; :class:`DataError` says what is wrong."""
    word, _, text = name.partition(":")
    generator = GENERATORS[word]
    values = dict(generator.parameters)
    for part in filter(None, text.split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in values or not equals:
            hint = did_you_mean(key, values) or f"; expected {', '.join(values)}"
            raise DataError(f"{name}: unknown parameter {part!r}{hint}")
        try:
            values[key] = int(value) if key in INTEGERS else float(value)
        except ValueError:
            kind = "an integer" if key in INTEGERS else "a number"
            raise DataError(f"{name}: {key} is {value!r}, expected {kind}") from None
        _check_range(name, key, values[key])
    return word, values


def _check_range(name: str, key: str, value: float) -> None:
    low, high = SMALLEST.get(key, 0), 1 if key in PROBABILITIES else HIGHEST.get(key, LARGEST - 1)
    if not low <= value <= high:
        raise DataError(f"{name}: {key} is {value:g}, expected {low}..{high}")


def generate(name: str) -> Loaded:
    """Make the graph or graphs that ``name`` describes; the same name gives the same ones.

    Raises :class:`DataError` for wrong parameters and :class:`UsageError` for what would take more memory than reading
    may.
    """
    word, values = parse(name)
    generator = GENERATORS[word]
    if word in ("sbm", "sparse-sbm") and values["k"] > values["n"]:
        raise DataError(f"{name}: k is {values['k']}, expected at most n={values['n']}")
    budget.refuse_large(estimate(word, values), name, "the graph")
    made, source = generator.make(**values), Source(generator.paper, "none needed", "", "seed " + str(values["seed"]))
    if isinstance(made, Loaded):
        made.dataset.name, made.dataset.source = name, source
        return made
    return Loaded(GraphDataset(name, made, source=source), defaults={"link": (DEFAULT_LINK, None)})
