"""A block model in which a share of the nodes hangs on by one or two edges and no feature tells anything."""

from __future__ import annotations

import numpy as np
import torch

from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset, NodeSplit
from graphkit.datasets.readers.build import graph_of
from graphkit.datasets.splits.loaded import Loaded

FEW = 2


def _by_block(values, block, k: int) -> list:
    """The values of each of k blocks, in their order."""
    order = np.argsort(block, kind="stable")
    return np.split(values[order], np.searchsorted(block[order], np.arange(1, k)))


def sparse_sbm(n: int, k: int, low: float, degree: float, mix: float, features: int, seed: int) -> Loaded:
    """n nodes in k equal blocks, ``low`` of them with one or two edges; label: the block.

    The others, the core, are linked among themselves with ``degree`` edges on average, the rest hang on one or two
    nodes of the core, half of them each. An edge leaves its node's block with probability ``mix``, to a uniform node of
    the core. Features: Gaussian noise. Splits: ``low``, half of the nodes to train, a quarter to validate, and of the
    last quarter those with at most two edges to test; ``all``, the same with the whole last quarter.

    A degree-corrected block model after Karrer and Newman, Physical Review E 83, 2011. Raises :class:`DataError` where
    a block has no two nodes in the core.
    """
    rng = np.random.default_rng(seed)
    blocks = rng.permutation(np.arange(n) * k // n)
    order = rng.permutation(n)
    fringe, core = np.split(order, [round(low * n)])
    # Members of each block in the order of the list: a stable sort by block keeps it.
    by_block = _by_block(core, blocks[core], k)
    if min(map(len, by_block)) < 2:
        raise DataError(
            f"sparse-sbm: a block has {min(map(len, by_block))} nodes in the core, expected at least 2; use a larger n"
        )
    stubs = np.concatenate([rng.choice(core, round(len(core) * degree / 2)), fringe, fringe[: len(fringe) // 2]])
    ends = np.empty(len(stubs), dtype=np.int64)
    away = rng.random(len(stubs)) < mix
    ends[away] = rng.choice(core, int(away.sum()))
    inside = np.flatnonzero(~away)
    for members, chosen in zip(by_block, _by_block(inside, blocks[stubs[inside]], k)):
        ends[chosen] = rng.choice(members, len(chosen))
    graph = graph_of(stubs, ends, n)
    graph.ndata["label"] = torch.from_numpy(blocks.astype(np.int64))
    graph.ndata["feat"] = torch.from_numpy(rng.standard_normal((n, features)).astype(np.float32))
    train, valid, test = (np.sort(part) for part in np.split(rng.permutation(n), [n // 2, n // 2 + n // 4]))
    few = graph.in_degrees().numpy()[test] <= FEW
    given = {"low": NodeSplit(train, valid, test[few]), "all": NodeSplit(train, valid, test)}
    return Loaded(GraphDataset("sparse-sbm", graph), given=given, defaults={"node": ("low", "accuracy")})
