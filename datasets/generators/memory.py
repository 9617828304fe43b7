"""What a generator's words will take, before anything is made: expected edges, nodes and features, in bytes at the
peak.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

EDGE, NODE, EVENT, GRAPH = (
    110,
    100,
    150,
    4000,
)  # bytes of an undirected edge, a node, an event and a small graph's object, measured
NUMBER = 12  # bytes of a feature, with the copy that rounds it
MEETING = 450  # bytes of a pair that meets, in Python's sets
COMMUNITY, COMMUNITY_SQUARE = 19.5, 455.0  # mean of the sizes 5..34 of a community, and of their squares
CSL_NODES, CSL_GRAPHS = 41, 10

Values = Mapping[str, float]


def sbm_edges(values: Values) -> float:
    """Expected edges of ``sbm``: pairs inside of k equal blocks with p_in, all others with p_out."""
    n, k = values["n"], values["k"]
    inside = n * (n / k - 1) / 2
    return inside * values["p_in"] + (n * (n - 1) / 2 - inside) * values["p_out"]


def _graph(nodes: float, edges: float, features: float = 0) -> float:
    return NODE * nodes + EDGE * edges + NUMBER * nodes * features


def _target_cluster(v: Values) -> float:
    k, rest = v["k"], v["n"] - v["k"]
    return _graph(v["n"], v["p"] * k * k / 2 + v["q"] * k * rest + v["outside"] * rest * rest / 2)


def _erdos(v: Values) -> float:
    return _graph(v["n"], v["m"] or v["p"] * v["n"] * (v["n"] - 1) / 2)


def _communities(graphs: float, k: float, p: float, q: float, beside: float, features: float) -> float:
    """Graphs of k communities, with ``beside`` more nodes joined to all with q; the odds of all pairs of one graph are
    a table.
    """
    nodes = COMMUNITY * (k + beside)
    edges = (k + beside) * COMMUNITY_SQUARE / 2 * p + ((k + beside) * (k + beside - 1) / 2) * COMMUNITY**2 * q
    return _graph(graphs * nodes, graphs * edges, features) + 40 * nodes * nodes + 200 * graphs


def _pattern(v: Values) -> float:
    stored = v["instances"] * (COMMUNITY_SQUARE * 8 * v["p_pattern"] + 500)
    graphs = v["train"] + v["valid"] + v["test"]
    return _communities(graphs, 5, max(v["p"], v["p_pattern"]), max(v["q"], v["q_pattern"]), 1, 3) + stored


def _ring_transfer(v: Values) -> float:
    graphs, nodes = v["train"] + v["valid"] + v["test"], 2 * v["radius"]
    return _graph(graphs * nodes, graphs * nodes, v["classes"] + 1) + GRAPH * graphs * v["graph_level"]


ESTIMATES: dict[str, Callable[[Values], float]] = {
    "sbm": lambda v: _graph(v["n"], sbm_edges(v), v["features"]) + NUMBER * v["k"] * (1 + v["features"]),
    "target-cluster": _target_cluster,
    "barabasi": lambda v: _graph(v["n"], v["n"] * v["m"]),
    "erdos": _erdos,
    "rmat": lambda v: _graph(2 ** v["scale"], 2 ** v["scale"] * v["degree"] / 2),
    "csl": lambda v: CSL_GRAPHS * v["copies"] * (GRAPH + _graph(CSL_NODES, 2 * CSL_NODES)),
    "pattern": _pattern,
    "cluster": lambda v: _communities(v["train"] + v["valid"] + v["test"], v["k"], v["p"], v["q"], 0, v["k"] + 1),
    "ring-transfer": _ring_transfer,
    "minesweeper": lambda v: _graph(v["rows"] * v["cols"], 4 * v["rows"] * v["cols"], 7),
    "sparse-sbm": lambda v: (
        _graph(v["n"], v["n"] * ((1 - v["low"]) * v["degree"] / 2 + 1.5 * v["low"]), v["features"]) + NODE * v["k"]
    ),
    "repeats": lambda v: (
        NODE * v["n"] + 8 * v["n"] * v["k"] + EVENT * v["events"] + EDGE * min(v["events"], v["n"] ** 2 / 4)
    ),
    "triads": lambda v: 10 * NODE * v["n"] + MEETING * v["n"] * v["rounds"] / 2,
}


def estimate(word: str, values: Values) -> int:
    """Bytes that making the graph or graphs of a generator will take at the peak, about."""
    return int(ESTIMATES[word](values))
