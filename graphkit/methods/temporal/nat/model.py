"""The network of NAT: updates of stored vectors, pooling over a joint neighbourhood, and the score of a pair."""

from __future__ import annotations

import torch
from torch import nn

from graphkit.nn.time_encoding import TimeEncoding


class NATNetwork(nn.Module):
    """Parameters of NAT.

    config: the method's options. edge_dim, node_dim: width of the features of events and of nodes.
    """

    CODES = 64

    def __init__(self, config, edge_dim: int, node_dim: int):
        super().__init__()
        self.pooling, self.heads = config.pool, config.heads
        self.time = TimeEncoding(config.time_dim)
        inputs = config.self_dim + edge_dim + config.time_dim
        self.self_input = nn.Linear(inputs, config.self_dim, bias=False)
        self.self_update = nn.GRUCell(config.self_dim, config.self_dim)
        self.slot_input = nn.Linear(inputs, config.slot_dim, bias=False)
        self.slot_update = nn.GRUCell(config.slot_dim, config.slot_dim)
        self.width = config.pool_dim or node_dim + config.slot_dim + config.pos_dim
        if self.pooling != "none":
            self.code = nn.Embedding(self.CODES, config.pos_dim)
            self.project = nn.Linear(node_dim + config.slot_dim + config.pos_dim, self.heads * self.width, bias=False)
        if self.pooling == "attention":
            self.attend = nn.Parameter(nn.init.xavier_uniform_(torch.empty(self.heads, self.width)))
        self.dropout = nn.Dropout(config.dropout)
        full = (self.width if self.pooling != "none" else 0) + 2 * config.self_dim
        self.scorer = nn.Sequential(nn.Linear(full, full), nn.ReLU(), nn.Linear(full, 1))

    def renew_self(self, inputs, time, held) -> torch.Tensor:
        """(R, self_dim) own vectors after the event that is stored beside each."""
        return self.self_update(self.self_input(torch.cat([inputs, self.time(time)], 1)), held)

    def renew_slots(self, inputs, time, held) -> torch.Tensor:
        """(R, slot_dim) vectors of slots after the event that is stored beside each."""
        return self.slot_update(self.slot_input(torch.cat([inputs, self.time(time)], 1)), held)

    def pool(self, summed, code, row, pairs: int) -> torch.Tensor:
        """(pairs, width) of (G, node_dim + slot_dim) neighbours with their codes (G,) and the pairs (G,) that they
        belong to.

        Sum, or softmax-weighted sum with LeakyReLU scores, over a pair's neighbours; mean over heads.
        """
        features = self.project(torch.cat([summed, self.code(code)], 1)).view(-1, self.heads, self.width)
        features = self.dropout(features)
        if self.pooling == "attention":
            scores = nn.functional.leaky_relu((features * self.attend).sum(2), 0.2)
            features = features * softmax_within(scores, row, pairs)[:, :, None]
        return features.new_zeros(pairs, self.heads, self.width).index_add(0, row, features).mean(1)

    def score(self, pooled, first, second) -> torch.Tensor:
        """(P,) logits of pairs with these pooled neighbourhoods and own vectors."""
        return self.scorer(torch.cat([pooled, first, second], 1)).squeeze(1)


def softmax_within(scores: torch.Tensor, row: torch.Tensor, rows: int) -> torch.Tensor:
    """(G, H) softmax of scores over the entries of equal ``row`` (G,), 0..rows-1."""
    index = row[:, None].expand_as(scores)
    peak = scores.new_full((rows, scores.shape[1]), -torch.inf).scatter_reduce(0, index, scores.detach(), "amax")
    weight = torch.exp(scores - peak[row])
    total = weight.new_zeros(rows, scores.shape[1]).index_add(0, row, weight)
    return weight / total[row]
