"""The NCN and NCNC predictors: pair scores from pooled common neighbours, observed or completed.

Notation of the paper (Wang, Yang, Zhang, ICLR 2024): h node vectors, N(i) the neighbours of i, x_ij the pair's vector.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from graphkit.kernels.neighbour_sets import (
    COMMON,
    ONLY_LEFT,
    ONLY_RIGHT,
    NeighbourSets,
    common_neighbours,
    neighbour_sets,
    sample_one_sided,
)
from graphkit.nn.adjacency import Adjacency
from graphkit.nn.sparse import Structure, product

# Which pools a variant adds to the product of the two end points.
POOLS = {
    "gae": (),
    "gae-cn": ("count",),
    "ncn": ("common",),
    "ncnc": ("completed",),
    "ncnc2": ("completed",),
    "ncn2": ("common", "two_hop"),
    "ncn-diff": ("common", "difference"),
}


class Completion(NamedTuple):
    """Neighbourhoods of P pairs with the weight of each member in the pool and the probability behind it."""

    sets: NeighbourSets
    weight: torch.Tensor
    probability: torch.Tensor


class PairPredictor(nn.Module):
    """logit(i, j) = f_out(beta f_cn(pool) + ... + f_ij(h_i * h_j)), with the pools of the variant.

    h' = h + f_x(h). NCN pools h'_u over the common neighbours u. NCNC adds each u that neighbours only one end point,
    with probability p = alpha pt q / (pt q + 1 - q), q = sigmoid(scale (s - offset)), where s is the NCNC logit, one
    level less deep, of the edge that u misses. As in the official code that inner call sees h' in place of h and an
    adjacency whose dropout compounds; ``clean_recursion`` gives it h and the adjacency itself, as the paper writes it.

    config: the options of :class:`graphkit.methods.link.ncnc.config.NCNCConfig`.
    """

    def __init__(self, config):
        super().__init__()
        self.config, width, self.pools = config, config.hidden_dim, POOLS[config.variant]
        self.depth = config.recursion_depth
        self.pair_mlp = _head(config)
        self.out_mlp = _out(config)
        pools_vectors = any(pool != "count" for pool in self.pools)
        self.node_mlp = _node(config) if config.use_xlin and pools_vectors else None
        self.pool_mlps = nn.ModuleDict({pool: _pool(config, 1 if pool == "count" else width) for pool in self.pools})
        self.beta = nn.Parameter(torch.ones(1)) if self.pools else None
        self.pt_mlp = _probability(config) if config.learn_pt and "completed" in self.pools else None
        self.sampling_seed = 0

    def forward(self, h: torch.Tensor, adjacency: Adjacency, pairs: torch.Tensor) -> torch.Tensor:
        """Return (P,) logits of the (P, 2) int64 pairs; gradients stop at the completion probabilities."""
        return self._level(h, adjacency, pairs.cpu().numpy(), self.depth)

    def pair_logits(self, product: torch.Tensor) -> torch.Tensor:
        """Return (P,) logits f_out(f_ij(x)) of (P, d) products of two vectors, without any pool."""
        return self.out_mlp(self.pair_mlp(product)).squeeze(-1)

    def complete(self, h: torch.Tensor, adjacency: Adjacency, pairs: torch.Tensor) -> Completion:
        """Return which nodes the pools of (P, 2) pairs hold, with weights and completion probabilities."""
        pairs, dropped = pairs.cpu().numpy(), self._dropped(adjacency)
        if "completed" in self.pools and self.depth > 0:
            return self._complete(h, self._nodes(h), adjacency, dropped, pairs, self.depth)
        ptr, node = common_neighbours(dropped.rows(), dropped.rows(), pairs)
        ones = torch.ones(len(node), device=h.device)
        return Completion(NeighbourSets(ptr, node, np.zeros(len(node), dtype=np.uint8)), ones, ones)

    def _dropped(self, adjacency: Adjacency) -> Adjacency:
        return adjacency.dropped(self.config.predictor_edge_dropout) if self.training and self.pools else adjacency

    def _nodes(self, h: torch.Tensor) -> torch.Tensor:
        return h if self.node_mlp is None else h + self.node_mlp(h)

    def _level(self, h, adjacency: Adjacency, pairs: np.ndarray, depth: int, chunk: int = 0) -> torch.Tensor:
        """Logits at one depth of the recursion. The draws for the level are made once, whatever the chunks are."""
        nodes, dropped = self._nodes(h), self._dropped(adjacency)
        two_hop = dropped.two_hop_rows() if "two_hop" in self.pools else None
        chunks = [pairs[at : at + chunk] for at in range(0, len(pairs), chunk)] if chunk else [pairs]
        logits = [self._logits(h, nodes, adjacency, dropped, two_hop, part, depth) for part in chunks]
        return torch.cat(logits) if logits else h.new_zeros(0)

    def _logits(self, h, nodes, adjacency, dropped, two_hop, pairs, depth) -> torch.Tensor:
        ends = torch.from_numpy(np.ascontiguousarray(pairs.T)).to(h.device)
        x = self.pair_mlp(h[ends[0]] * h[ends[1]])
        rows = dropped.rows()
        for pool in self.pools:
            if pool == "two_hop":
                pooled = _pool_sets(nodes, *common_neighbours(rows, two_hop, pairs))
                pooled = pooled + _pool_sets(nodes, *common_neighbours(two_hop, rows, pairs))
            elif pool == "difference":
                sets = neighbour_sets(rows, rows, pairs)
                weight = torch.from_numpy((sets.kind != COMMON).astype(np.float32)).to(h.device)
                pooled = _pool_sets(nodes, sets.ptr, sets.node, weight)
            elif pool == "completed" and depth > 0:
                completion = self._complete(h, nodes, adjacency, dropped, pairs, depth)
                pooled = _pool_sets(nodes, completion.sets.ptr, completion.sets.node, completion.weight)
            else:
                ptr, node = common_neighbours(rows, rows, pairs)
                if pool == "count":
                    pooled = torch.from_numpy(np.diff(ptr)).to(h)[:, None]
                else:
                    pooled = _pool_sets(nodes, ptr, node)
            added = self.pool_mlps[pool](pooled)
            x = x + (self.beta * added if pool not in ("two_hop", "difference") else added)
        return self.out_mlp(x).squeeze(-1)

    def _complete(self, h, nodes, adjacency, dropped, pairs, depth) -> Completion:
        config = self.config
        sets = neighbour_sets(dropped.rows(), dropped.rows(), pairs)
        weight = np.ones(len(sets.node), dtype=np.float32)
        limit = config.trn_deg if self.training else config.tst_deg
        if limit > 0:
            seed = int(torch.randint(2**31, (1,))) if self.training else self.sampling_seed
            sets, weight = sample_one_sided(sets, pairs, limit, seed)
        one_sided = np.flatnonzero(sets.kind != COMMON)
        row = sets.rows()[one_sided]
        # u is a neighbour of one end point; the edge to judge is the one from the other end point to u.
        other = np.where(sets.kind[one_sided] == ONLY_LEFT, pairs[row, 1], pairs[row, 0])
        missing = np.stack([other, sets.node[one_sided].astype(np.int64)], axis=1)
        logit = self._inner(h, nodes, adjacency, dropped, missing, depth - 1)
        shift = _log(self._pt(h, pairs, row))
        probability = config.alpha * torch.sigmoid(config.scale * (logit - config.offset) + shift)
        place = torch.from_numpy(one_sided).to(h.device)
        full = torch.ones(len(sets.node), device=h.device).index_put((place,), probability)
        return Completion(sets, full * torch.from_numpy(weight).to(h.device), full)

    def _inner(self, h, nodes, adjacency, dropped, missing, depth) -> torch.Tensor:
        h, adjacency = (h, adjacency) if self.config.clean_recursion else (nodes, dropped)
        with torch.no_grad():
            if self.training:
                return self._level(h, adjacency, missing, depth, self.config.split_size)
            # Without dropout equal pairs have equal scores, and scores are symmetric: each is computed once.
            codes = missing.min(1) * adjacency.index.num_nodes + missing.max(1)
            _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
            logits = self._level(h, adjacency, missing[first], depth, self.config.split_size)
            return logits[torch.from_numpy(inverse).to(logits.device)]

    def _pt(self, h, pairs, row) -> torch.Tensor:
        if self.pt_mlp is None:
            return h.new_tensor(self.config.pt)
        ends = torch.from_numpy(np.ascontiguousarray(pairs.T)).to(h.device)
        return self.pt_mlp(h[ends[0]] * h[ends[1]]).squeeze(-1)[torch.from_numpy(row).to(h.device)]


def _log(pt: torch.Tensor) -> torch.Tensor:
    # pt q / (pt q + 1 - q) = sigmoid(logit(q) + log pt), which neither overflows nor divides 0 by 0.
    return torch.log(pt)


def _pool_sets(nodes: torch.Tensor, ptr, node, weight: torch.Tensor | None = None) -> torch.Tensor:
    """(P, d) weighted sums of node vectors over the members of each set."""
    structure = Structure.from_numpy(ptr, node, (len(ptr) - 1, len(nodes)), nodes.device)
    return product(structure, torch.ones(len(node), device=nodes.device) if weight is None else weight, nodes)


def _norm(config) -> nn.Module:
    return nn.LayerNorm(config.hidden_dim) if config.predictor_layer_norm else nn.Identity()


def _tail(config) -> list[nn.Module]:
    return [] if config.tail_act else [nn.Linear(config.hidden_dim, config.hidden_dim)]


def _stage(config, in_dim: int, norm: bool) -> list[nn.Module]:
    drop = nn.Dropout(config.predictor_dropout)
    return [nn.Linear(in_dim, config.hidden_dim), *([_norm(config)] if norm else []), drop, nn.ReLU()]


def _node(config) -> nn.Sequential:
    """f_x"""
    return nn.Sequential(*_stage(config, config.hidden_dim, False), *_stage(config, config.hidden_dim, True))


def _pool(config, in_dim: int) -> nn.Sequential:
    """f_cn, f_12 and f_res"""
    return nn.Sequential(*_stage(config, in_dim, False), *_stage(config, config.hidden_dim, True), *_tail(config))


def _head(config) -> nn.Sequential:
    """f_ij"""
    return nn.Sequential(*_stage(config, config.hidden_dim, True), *_tail(config))


def _out(config) -> nn.Sequential:
    """f_out"""
    stages = 2 if config.two_layer_lin else 1
    layers = [module for _ in range(stages) for module in _stage(config, config.hidden_dim, True)]
    return nn.Sequential(*layers, nn.Linear(config.hidden_dim, 1))


def _probability(config) -> nn.Sequential:
    """pt in (0, 1) from h_i * h_j: two linear layers with a ReLU, without the normalisation and dropout of the other
    networks.
    """
    width = config.hidden_dim
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1), nn.Sigmoid())


def link_loss(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """mean(-log sigmoid(positive)) + mean(-log sigmoid(-negative)) of raw logits."""
    return functional.softplus(-positive).mean() + functional.softplus(negative).mean()


KIND_NAMES = {COMMON: "common", ONLY_LEFT: "source-only", ONLY_RIGHT: "target-only"}
