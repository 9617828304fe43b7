"""p-norm flow: converged on every graph, against bounds that weak duality gives and a general solver; never unfinished
without a word.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

from graphkit.datasets.local_graph import LocalGraph
from graphkit.methods.local.clustering.method import LocalClustering

NODES = 40


def small(number):
    """(graph, a seed): two blocks of 20 nodes."""
    rng = np.random.default_rng(number)
    blocks = np.arange(NODES) // 20
    upper = np.triu(rng.random((NODES, NODES)) < np.where(blocks[:, None] == blocks, 0.3, 0.03), 1)
    graph = LocalGraph.of_matrix(scipy.sparse.csr_array((upper | upper.T).astype(float)), weighted=False)
    return graph, int(rng.choice(np.flatnonzero(graph.degrees)))


def edges_of(graph):
    rows = np.repeat(np.arange(graph.num_nodes), np.diff(graph.indptr))
    once = rows < graph.indices
    return rows[once], graph.indices[once]


def dual(graph, x, gain, p):
    """sum x (source - sink) - sum |x_i - x_j|^q / q: of any x >= 0 at most the cost of any flow that keeps within the
    sinks.
    """
    u, v = edges_of(graph)
    q = p / (p - 1)
    return x @ gain - (np.abs(x[u] - x[v]) ** q).sum() / q


def cheapest(graph, gain, p):
    """Cost of the cheapest flow by SciPy's general solver: sum |f|^p / p with no node keeping more than its sink
    takes.
    """
    u, v = edges_of(graph)
    scale = np.abs(gain).max()
    incidence = np.zeros((graph.num_nodes, len(u)))
    incidence[u, np.arange(len(u))], incidence[v, np.arange(len(u))] = 1, -1
    limits = scipy.optimize.LinearConstraint(incidence, gain / scale, np.inf)
    start = np.linalg.lstsq(
        incidence, np.where(gain > 0, gain, -gain[gain > 0].sum() / (len(gain) - 1)) / scale, rcond=None
    )[0]
    found = scipy.optimize.minimize(
        lambda f: (np.abs(f) ** p).sum() / p,
        start,
        jac=lambda f: np.abs(f) ** (p - 1) * np.sign(f),
        constraints=[limits],
        method="SLSQP",
        options={"maxiter": 2000, "ftol": 1e-15},
    )
    short = max(0.0, float((gain / scale - incidence @ found.x).max()))
    return found.fun * scale**p, short


def solved(graph, seed, p, share=0.3):
    """(result, x on all nodes, source - sink)."""
    volume = share * graph.volume
    found = LocalClustering(diffusion="pnorm", p=p, volume=volume, mass=1.0, rounding="support", tol=1e-3).cluster(
        graph, np.array([seed])
    )
    x, gain = np.zeros(graph.num_nodes), -np.asarray(graph.degrees)
    x[found.nodes] = found.values
    gain[seed] += volume
    return found, x, gain


@pytest.mark.parametrize("number", range(24))
def test_p_8_converges(number):
    """The optimality conditions: x is the potential of a flow that leaves no node more than its sink takes, to the
    tolerance.

    Of the mass that x sends, a difference that floats cannot hold is allowed for: |x| 1e-15, of which a seventh root is
    sent.
    """
    graph, seed = small(number)
    found, x, gain = solved(graph, seed, 8.0)
    assert found.status == "converged" and found.residual <= 1e-3 and (x >= 0).all()
    u, v = edges_of(graph)
    flow = np.abs(x[u] - x[v]) ** (1 / 7) * np.sign(x[u] - x[v])
    slack = (x.max() * 1e-15) ** (1 / 7)
    left = gain - np.bincount(u, flow, NODES) + np.bincount(v, flow, NODES)
    allowed = 1e-3 + slack * np.maximum(graph.degrees, 1)
    assert (left <= allowed).all() and (np.abs(left[x > 0]) <= allowed[x > 0]).all()


@pytest.mark.parametrize("p", [3.0, 8.0])
@pytest.mark.parametrize("number", range(4))
def test_x_is_as_good_as_a_general_solver_finds(number, p):
    graph, seed = small(number)
    _, x, gain = solved(graph, seed, p)
    cost, short = cheapest(graph, gain, p)
    bound = dual(graph, x, gain, p)
    assert (
        short < 1e-6 and bound <= cost * (1 + 1e-6) and bound == pytest.approx(cost, rel=2e-3)
    )  # SciPy stops 4e-4 short


def test_labels_and_weights_enter():
    """epsilon 0 on the edges out of a block keeps all mass in it; twice the weights need values of half as much (p =
    2).
    """
    graph, seed = small(3)
    labels = (np.arange(NODES) // 20 == seed // 20).astype(np.int8)
    options = {"diffusion": "pnorm", "p": 8.0, "mass": 1.0, "rounding": "support", "weighted": True, "epsilon": 0.0}
    found = LocalClustering(volume=0.4 * graph.volume / 2, **options).cluster(
        graph.labelled(labels, 0.0), np.array([seed])
    )
    assert found.status == "converged" and set(found.nodes.tolist()) <= set(np.flatnonzero(labels).tolist())


def test_what_is_unfinished_says_so(monkeypatch):
    from graphkit.methods.local.clustering import pnorm

    graph, seed = small(0)
    monkeypatch.setattr(pnorm, "LARGEST", 0)
    found = LocalClustering(diffusion="pnorm", p=8.0, volume=0.3 * graph.volume, mass=1.0, passes=3).cluster(
        graph, np.array([seed])
    )
    assert found.status == "stopped" and found.residual > 1e-3
