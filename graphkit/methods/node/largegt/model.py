"""LargeGT: attention over a node's listed tokens (local), over a codebook of all nodes (global), and the head of both.

Dwivedi, Liu, Luu, Bresson, Shah, Zhao, Graph Transformers for Large Graphs, arXiv 2312.11109. d: ``hidden_dim``, h:
``heads``, each of full width d; g: ``global_dim``; C: ``centroids``; F: width of the features; L: number of tokens.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from graphkit.methods.node.largegt.quantize import BatchNorm, Codebook

# Standard deviation of the local module's weights, divided by the root of its layers, of which there is one.
INIT_STD = 0.02
LAYERS = 1
TOKENS_PER_NODE = 3  # own features, those of one hop, those of two


class LocalModule(nn.Module):
    """One attention layer over the tokens of a seed, read out at the seed's own.

        t = W (MLP(tokens) + p);  t = LN(W' t + drop(MHA(LN(t))));  c = t[0];  r = t[1:]
        o = c + sum_j a_j r_j,    a = softmax_j(w^T [c ; r_j])

    Linear weights are drawn from N(0, 0.02), biases are 0, but for those of the MLP, which start as torch has them:
    0.02 there too would leave the tokens less variance than the epsilon of the first norm. p, not in the paper, are
    learned vectors (L, d) of the places of the list where ``config.place_vectors``, else 0: without them a token does
    not show whether it is the seed's own.
    """

    def __init__(self, config, in_dim: int):
        super().__init__()
        dim, self.heads, wide = config.hidden_dim, config.heads, config.heads * config.hidden_dim
        self.tokens = nn.Sequential(nn.Linear(in_dim, dim), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(dim, dim))
        places = config.k * (TOKENS_PER_NODE if config.hop_tokens else 1)
        self.places = nn.Parameter(torch.randn(places, dim)) if config.place_vectors else None
        self.project = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.query, self.key, self.value = (nn.Linear(dim, wide) for _ in range(3))
        self.out = nn.Linear(wide, wide)
        self.skip = nn.Linear(dim, wide)
        self.residual_dropout = nn.Dropout(config.residual_dropout)
        self.attention_dropout = config.attention_dropout
        self.final_norm = nn.LayerNorm(wide)
        self.readout = nn.Linear(2 * wide, 1)
        own_start = set(self.tokens)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module not in own_start:
                nn.init.normal_(module.weight, std=INIT_STD / LAYERS**0.5)
                nn.init.zeros_(module.bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return (B, h d) vectors of the seeds. tokens: (B, L, F), the seed's own features first."""
        t = self.tokens(tokens)
        t = self.project(t if self.places is None else t + self.places)
        t = self.skip(t) + self.residual_dropout(self.attend(self.norm(t)))
        t = self.final_norm(self.residual_dropout(t))
        center, rest = t[:, :1], t[:, 1:]
        # w^T [c ; r_j] in halves, without the concatenation. The half that meets c cancels in the softmax; it is kept
        # as published.
        for_center, for_rest = self.readout.weight.chunk(2, dim=1)
        scores = functional.linear(center, for_center, self.readout.bias) + functional.linear(rest, for_rest)
        weight = scores.softmax(dim=1)
        return (center + (weight * rest).sum(dim=1, keepdim=True)).squeeze(1)

    def attend(self, t: torch.Tensor) -> torch.Tensor:
        """(B, L, d) -> (B, L, h d): softmax(q k^T / sqrt(d)) v per head, all heads mixed by a linear layer."""
        q, k, v = (
            layer(t).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        dropout = self.attention_dropout if self.training else 0.0
        return self.out(functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout).transpose(1, 2).flatten(2))


class GlobalModule(nn.Module):
    """Attention from a node to the centroids of a :class:`Codebook` of all nodes' vectors z.

        z_v = [W MLP(x_v) ; p_v];   q = W_q z_v,  k_c = W_k mu_c,  val_c = W_v mu_c[:g]
        o = sum_c softmax_c(q k_c^T / sqrt(d) + log n_c) val_c

    n_c is the number of nodes that centroid c stands for. In training the codebook learns from each batch after it was
    read.
    """

    def __init__(self, config, in_dim: int, num_nodes: int):
        super().__init__()
        dim, self.heads, self.half = config.hidden_dim, config.heads, config.global_dim
        wide = config.heads * dim
        self.input = nn.Sequential(
            nn.Linear(in_dim, dim), BatchNorm(dim), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(dim, dim)
        )
        self.project = nn.Linear(dim, self.half)
        self.query, self.key = nn.Linear(2 * self.half, wide), nn.Linear(2 * self.half, wide)
        self.value = nn.Linear(self.half, wide)
        self.attention_dropout, self.count_bias = config.attention_dropout, config.count_bias
        self.codebook = Codebook(num_nodes, config.centroids, 2 * self.half, frozen=config.freeze_assignments)

    def vectors(self, x: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """z (B, 2g) of features (B, F) and position vectors (B, g)."""
        return torch.cat([self.project(self.input(x)), position], dim=1)

    def forward(self, x: torch.Tensor, position: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
        """Return (B, h d) vectors of (B,) distinct nodes with features (B, F) and positions (B, g)."""
        z = self.vectors(x, position)
        # A copy: the update below changes the codebook before the gradients are taken.
        centroids = self.codebook.centroids.clone()
        q, k, v = (
            part.unflatten(1, (self.heads, -1)).transpose(0, 1)[None]
            for part in (self.query(z), self.key(centroids), self.value(centroids[:, : self.half]))
        )
        bias = self.codebook.log_members().expand(len(z), -1) if self.count_bias else None
        dropout = self.attention_dropout if self.training else 0.0
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)
        if self.training:
            self.codebook.update(z, nodes)
        return found[0].transpose(0, 1).flatten(1)


class LargeGT(nn.Module):
    """The modules of a mode and the head: [Linear, BN, ReLU, dropout] to h d, the same to d, Linear to the logits.

    config: the options of :class:`graphkit.methods.node.largegt.config.LargeGTConfig`.
    """

    def __init__(self, config, in_dim: int, out_dim: int, num_nodes: int):
        super().__init__()
        dim, wide = config.hidden_dim, config.heads * config.hidden_dim
        self.local_module = LocalModule(config, in_dim) if config.mode != "global" else None
        self.global_module = GlobalModule(config, in_dim, num_nodes) if config.mode != "local" else None
        widths = [wide * (2 if config.mode == "full" else 1), wide, dim]
        stages = [
            stage
            for a, b in zip(widths, widths[1:])
            for stage in (nn.Linear(a, b), BatchNorm(b), nn.ReLU(), nn.Dropout(config.dropout))
        ]
        self.head = nn.Sequential(*stages, nn.Linear(dim, out_dim))

    def forward(self, tokens, x, position, nodes: torch.Tensor) -> torch.Tensor:
        """Return (B, out_dim) logits of (B,) distinct nodes.

        tokens (B, L, F) for the local module, x (B, F) and position (B, g) for the global one; None where a mode lacks
        it.
        """
        parts = []
        if self.local_module is not None:
            parts.append(self.local_module(tokens))
        if self.global_module is not None:
            parts.append(self.global_module(x, position, nodes))
        return self.head(torch.cat(parts, dim=1))

    @torch.no_grad()
    def settle(self, batches) -> None:
        """Take the running statistics of the head anew, as the mean over batches (tuples of :meth:`forward`'s
        arguments).

        The codebook moves by a hundredth a step and the head's usual running statistics follow it late, so that a model
        that is right about every batch of training is wrong when it is judged by them. Nothing else changes, and
        nothing is drawn: all but the head's normalisations see the batches as in evaluation. Leaves the model in
        evaluation mode.
        """
        self.eval()
        norms = [module for module in self.head if isinstance(module, BatchNorm)]
        momentum = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches since the reset
            norm.train()
        for batch in batches:
            self(*batch)
        for norm, usual in zip(norms, momentum):
            norm.momentum = usual
            norm.eval()
