"""Random graphs by name and parameters, e.g. ``sbm:n=1000,k=5,p_in=0.05,p_out=0.005,seed=1``.

All generators are vectorised or compiled: a million edges take about a second.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from graphkit.datasets.base import GraphDataset, Source
from graphkit.datasets.build import distinct, graph_of
from graphkit.datasets.splits import DEFAULT_LINK, Loaded
from graphkit.errors import DataError, did_you_mean
from graphkit.lazy import np, torch

LARGEST = 2**31


@dataclass(frozen=True)
class Generator:
    """A generator: its function, the parameters with their defaults, and the paper."""

    make: Callable
    parameters: dict[str, float]
    about: str
    paper: str


def _sbm(n, k, p_in, p_out, features, seed):
    rng = np.random.default_rng(seed)
    blocks = np.arange(n) * k // n
    starts = np.searchsorted(blocks, np.arange(k + 1))
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
    graph = graph_of(np.concatenate(src), np.concatenate(dst), n)
    graph.ndata["label"] = torch.from_numpy(blocks.astype(np.int64))
    if features:
        centres = rng.standard_normal((k, features)).astype(np.float32)
        noise = rng.standard_normal((n, features)).astype(np.float32)
        graph.ndata["feat"] = torch.from_numpy(centres[blocks] + noise)
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
    import numba
    import numpy  # numba does not see through the lazy one

    @numba.njit(cache=True)
    def attach(n, m, seed, ends):
        # Batagelj and Brandes (2005): a uniform entry of the list of edge ends is a node in proportion to its degree.
        numpy.random.seed(seed)
        for v in range(m):  # a star of the first m + 1 nodes
            ends[2 * v], ends[2 * v + 1] = m, v
        edge = m
        for v in range(m + 1, n):
            first = edge
            for _ in range(m):
                fresh, u = False, 0
                while not fresh:
                    u = ends[numpy.random.randint(0, 2 * first)]
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
}
INTEGERS = {"n", "k", "m", "scale", "seed", "features"}
PROBABILITIES = {"p", "p_in", "p_out", "a", "b", "c"}


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
    low, high = (0, 1) if key in PROBABILITIES else (0, 30) if key == "scale" else (0, LARGEST - 1)
    low = 1 if key in ("n", "k", "scale") else low
    if not low <= value <= high:
        raise DataError(f"{name}: {key} is {value:g}, expected {low}..{high}")


def generate(name: str) -> Loaded:
    """Make the graph that ``name`` describes; the same name gives the same graph."""
    word, values = parse(name)
    generator = GENERATORS[word]
    if word == "sbm" and values["k"] > values["n"]:
        raise DataError(f"{name}: k is {values['k']}, expected at most n={values['n']}")
    graph = generator.make(**values)
    source = Source(generator.paper, "none needed", "", "seed " + str(values["seed"]))
    tasks = {"link": (DEFAULT_LINK, None)}
    return Loaded(GraphDataset(name, graph, source=source), defaults=tasks)
