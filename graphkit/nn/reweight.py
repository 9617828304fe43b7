"""Edge weights raised where the link predictor believes in the edge.

With w_e the weight that a layer gives to edge e by degrees, s_e the predictor's probability of the edge, N(i) the edges
of node i that are normalised together and S_i the sum of their weights, the new weight is w_e + alpha S_i
softmax_N(i)(s)_e. Layers take it as the factor w_new / w.

Reference: Wang, Zhao, Zhao et al., A Topological Perspective on Demystifying GNN-Based Link Prediction Performance,
ICLR 2024.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Edges(NamedTuple):
    """E messages: (E,) int64 receivers and senders, of ``receivers`` and ``senders`` nodes."""

    receiver: torch.Tensor
    sender: torch.Tensor
    receivers: int
    senders: int


def degree_weights(edges: Edges, kind: str) -> torch.Tensor:
    """(E,) weights by degrees among these edges: ``gcn`` (d_i d_j)^-1/2, ``sage`` 1 / d_i of the receiver, ``sum``
    1.
    """
    if kind == "sum":
        return torch.ones(len(edges.receiver), device=edges.receiver.device)
    received = torch.bincount(edges.receiver, minlength=edges.receivers).float()
    if kind == "sage":
        return 1 / received[edges.receiver]
    sent = torch.bincount(edges.sender, minlength=edges.senders).float()
    return torch.rsqrt(received[edges.receiver] * sent[edges.sender])


def factors(edges: Edges, scores: torch.Tensor, kind: str, alpha: float, normalize: str) -> torch.Tensor:
    """Return (E,) factors of the weights that :func:`degree_weights` gives.

    scores: (E,) probabilities of the edges. normalize: the end whose edges are normalised together, ``receiver`` or
        ``sender``.
    """
    owner, count = (edges.receiver, edges.receivers) if normalize == "receiver" else (edges.sender, edges.senders)
    base, share = degree_weights(edges, kind), torch.exp(scores)
    total = torch.zeros(2, count, device=base.device).index_add_(1, owner, torch.stack([base, share]))
    return 1 + alpha * total[0, owner] * (share / total[1, owner]) / base


def neighbour_means(edges: Edges, h: torch.Tensor, kind: str) -> torch.Tensor:
    """Return (receivers, d): sum over the edges of a receiver of weight times the sender's (senders, d) vector."""
    ends = torch.stack([edges.receiver, edges.sender])
    shape = edges.receivers, edges.senders
    matrix = torch.sparse_coo_tensor(ends, degree_weights(edges, kind), shape, check_invariants=False)
    return torch.sparse.mm(matrix, h)
