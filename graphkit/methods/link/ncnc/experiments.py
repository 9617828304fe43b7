"""Checks that claims of the link methods run in place of a training: a data set in, figures out."""

from __future__ import annotations

import copy

import numpy as np
import torch

from graphkit.kernels.neighbour_sets import neighbour_sets, neighbour_sets_scipy
from graphkit.methods.link.ncnc.method import NCNC
from graphkit.nn.adjacency import EdgeIndex

PAIRS = 600
TOLERANCE = 1e-4  # of float32 logits against float64 ones


def completion_exactness(dataset, count: int = PAIRS) -> dict[str, float]:
    """Hold the set kernel, NCNC with completion and target removal against their definitions, on pairs that have
    neighbourhoods.

    Half of the ``count`` pairs have a common neighbour by construction, a quarter are edges, a quarter are drawn from
    all nodes.

    Returns ``wrong_sets``, the number of pairs whose common or one-sided neighbours differ from SciPy's row algebra;
    ``with_common``, the pairs with a common neighbour; ``largest_difference`` of NCNC's logits from the formula on
    Python's sets in float64; ``completed``, the share of pairs that completion moves by more than the tolerance of that
    comparison; ``target_difference``, the largest one between logits on the graph that a batch of the edges sees and on
    a graph that never had them.
    """
    torch.manual_seed(0)
    # With this scale and offset the completion probabilities of untrained weights are neither 0 nor 1.
    ncnc, ncn = NCNC(variant="ncnc", scale=2.0, offset=0.0, pt=0.75), NCNC(variant="ncn")
    for learner in (ncnc, ncn):
        learner.prepare(dataset, seed=0, device="cpu")
        learner.model.eval()
    ncn.load_state_dict({key.replace("completed", "common"): value for key, value in ncnc.state_dict().items()})
    edges = len(ncnc.positives)
    targets = np.random.default_rng(0).choice(edges, size=min(count // 4, edges // 2), replace=False)
    pairs = _pairs_with_neighbourhoods(dataset, count, ncnc.positives[targets])
    found = neighbour_sets(ncn.graph.rows(), ncn.graph.rows(), pairs)
    expected = neighbour_sets_scipy(ncn.graph.to_scipy(), pairs)
    wrong = sum(
        found.node[a:b].tolist() != expected.node[c:d].tolist()
        or found.kind[a:b].tolist() != expected.kind[c:d].tolist()
        for a, b, c, d in zip(found.ptr[:-1], found.ptr[1:], expected.ptr[:-1], expected.ptr[1:])
    )
    logits, plain = (learner.score_pairs(torch.from_numpy(pairs)).double() for learner in (ncnc, ncn))
    near = _neighbours(dataset)
    return {
        "wrong_sets": float(wrong),
        "with_common": float(sum(bool(near[i] & near[j]) for i, j in pairs.tolist())),
        "largest_difference": float((logits - completed_logits(ncnc, pairs, near)).abs().max()),
        "completed": float(((logits - plain).abs() > TOLERANCE).double().mean()),
        "target_difference": _target_difference(ncnc, dataset, targets),
    }


def _neighbours(dataset) -> list[set[int]]:
    found: list[set[int]] = [set() for _ in range(dataset.num_nodes)]
    for a, b in zip(*(ends.tolist() for ends in dataset.graph.edges())):
        if a != b:
            found[a].add(b)
            found[b].add(a)
    return found


def _pairs_with_neighbourhoods(dataset, count: int, edges: np.ndarray) -> np.ndarray:
    generator, near = np.random.default_rng(0), _neighbours(dataset)
    middles = [node for node, others in enumerate(near) if len(others) > 1]
    chosen = generator.choice(middles, size=count // 2)
    around = [generator.choice(sorted(near[node]), size=2, replace=False) for node in chosen.tolist()]
    drawn = generator.integers(dataset.num_nodes, size=(count - len(around) - len(edges), 2))
    return np.concatenate([np.array(around).reshape(-1, 2), edges, drawn[drawn[:, 0] != drawn[:, 1]]]).astype(np.int64)


def completed_logits(learner: NCNC, pairs: np.ndarray, near: list[set[int]]) -> torch.Tensor:
    """Return (P,) float64 logits of NCNC of depth 1 by its formula, the sets being Python's.

    logit(i, j) = f_out(beta f_cn(sum_u w_u h'_u) + f_ij(h_i * h_j)), w_u = 1 for common neighbours u, else p = alpha pt
    q / (pt q + 1 - q) with q = sigmoid(scale (s - offset)) and s the NCN logit of the edge that u misses, on h' in
    place of h as in the official code.
    """
    config, predictor = learner.config, copy.deepcopy(learner.model["predictor"]).double().eval()
    with torch.no_grad():
        h = learner.model["encoder"](learner.features, learner.graph).double()
        nodes = h + predictor.node_mlp(h)
        nodes_again = nodes + predictor.node_mlp(nodes)

        def logits(vectors, pools, ends):
            i, j = torch.tensor(ends).T
            added = predictor.beta * predictor.pool_mlps["completed"](torch.stack(pools))
            return predictor.out_mlp(added + predictor.pair_mlp(vectors[i] * vectors[j])).squeeze(-1)

        def pool(vectors, members):
            return vectors[sorted(members)].sum(0)

        pairs = pairs.tolist()
        missing = [(j if u in near[i] else i, u) for i, j in pairs for u in sorted(near[i] ^ near[j])]
        inner = logits(nodes, [pool(nodes_again, near[a] & near[u]) for a, u in missing], missing)
        q = torch.sigmoid(config.scale * (inner - config.offset))
        weight = iter(config.alpha * config.pt * q / (config.pt * q + 1 - q))
        pools = [
            pool(nodes, near[i] & near[j])
            + sum((next(weight) * nodes[u] for u in sorted(near[i] ^ near[j])), torch.zeros_like(nodes[0]))
            for i, j in pairs
        ]
        return logits(h, pools, pairs)


def _target_difference(learner: NCNC, dataset, targets: np.ndarray) -> float:
    """Largest difference of the logits of ``targets`` on the graph that their batch sees and on one that is built
    without them.
    """
    removed = {frozenset(pair) for pair in learner.positives[targets].tolist()}
    src, dst = (ends.numpy() for ends in dataset.graph.edges())
    kept = np.array([frozenset(pair) not in removed for pair in zip(src.tolist(), dst.tolist())])
    pairs = torch.from_numpy(learner.positives[targets])
    logits = []
    with torch.no_grad():
        for graph in (
            learner.message_graph(targets),
            EdgeIndex.build(src[kept], dst[kept], dataset.num_nodes).adjacency(),
        ):
            logits.append(learner.model["predictor"](learner.model["encoder"](learner.features, graph), graph, pairs))
    return float((logits[0] - logits[1]).abs().max())
