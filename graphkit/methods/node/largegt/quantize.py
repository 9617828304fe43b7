"""A codebook that follows the data by exponential moving averages: vector quantisation without gradients.

After van den Oord, Vinyals, Kavukcuoglu, Neural Discrete Representation Learning, NeurIPS 2017, appendix A.1, in the
form that GOAT (Kong et al., ICML 2023) and LargeGT use: vectors are normalised per column before they are matched.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-5


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation over (B, d) that takes a batch of one: normalised with the running statistics, which it
    leaves alone.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, d) normalised vectors."""
        if self.training and len(x) == 1:
            return functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(x)


class Codebook(nn.Module):
    """C centroids of d-dimensional vectors, and which centroid each of n nodes belongs to.

    A training step with the vectors z (B, d) of B nodes: zb = BatchNorm(z) without affine part; every row goes to its
    nearest centroid e_c; with n_c rows there and s_c their sum

        counts_c <- decay counts_c + (1 - decay) n_c          sums_c <- decay sums_c + (1 - decay) s_c
        counts_c <- (counts_c + eps) / (N + C eps) N,         N = sum_c counts_c,   eps = 1e-5
        e_c = sums_c / counts_c

    and ``centroids`` = e * running deviation + running mean is what a model reads, in the space of z. Counts start at
    0; centroids and sums are drawn from N(0, 1), apart from each other, and assignments uniformly. A centroid that no
    vector reaches in the first step is therefore thrown far away by its small count, and comes back to the mean of the
    data only as its sum decays: few centroids serve in the beginning, as published. (Counts of 1 and sums at the
    centroids quantise better from the start, and leave a network that reads the centroids near chance when it is
    evaluated.)

    Buffers, so that a checkpoint holds all of it: ``unit`` (C, d) the e_c, ``counts`` (C,), ``sums`` (C, d),
    ``centroids`` (C, d), ``assignments`` (n,) int32, ``members`` (C,) int64 nodes now assigned to each, and the running
    statistics of the columns.
    """

    def __init__(self, num_nodes: int, centroids: int, dim: int, *, decay: float = 0.99, frozen: bool = False):
        super().__init__()
        self.decay, self.frozen = decay, frozen
        self.norm = BatchNorm(dim, affine=False)
        unit = torch.randn(centroids, dim)
        assignments = torch.randint(centroids, (num_nodes,), dtype=torch.int32)
        self.register_buffer("unit", unit)
        self.register_buffer("counts", torch.zeros(centroids))
        self.register_buffer("sums", torch.randn(centroids, dim))
        self.register_buffer("centroids", unit.clone())
        self.register_buffer("assignments", assignments)
        self.register_buffer("members", torch.bincount(assignments, minlength=centroids))

    def log_members(self) -> torch.Tensor:
        """(C,) log of the number of nodes that each centroid stands for; -inf where there are none."""
        return self.members.to(self.centroids.dtype).log()

    def nearest(self, normalised: torch.Tensor) -> torch.Tensor:
        """(B,) number of the centroid nearest to each of (B, d) normalised vectors; the first of equally near ones."""
        # |x - e|^2 without |x|^2, which is the same for all centroids.
        return torch.addmm(self.unit.square().sum(1), normalised, self.unit.T, alpha=-2).argmin(1)

    @torch.no_grad()
    def update(self, z: torch.Tensor, nodes: torch.Tensor) -> None:
        """Learn from the (B, d) vectors of (B,) distinct nodes, and assign these; a training step."""
        normalised = self.norm(z.detach())
        found = self.nearest(normalised)
        if not self.frozen:
            self.assign(nodes, found)
        reached = torch.bincount(found, minlength=len(self.counts)).to(self.counts.dtype)
        sums = torch.zeros_like(self.sums).index_add_(0, found, normalised)
        self.counts.mul_(self.decay).add_(reached, alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        total = self.counts.sum()
        self.counts.add_(EPSILON).mul_(total / (total + len(self.counts) * EPSILON))
        self.unit.copy_(self.sums / self.counts[:, None])
        deviation = (self.norm.running_var + self.norm.eps).sqrt()
        self.centroids.copy_(self.unit * deviation + self.norm.running_mean)

    @torch.no_grad()
    def reassign(self, z: torch.Tensor, nodes: torch.Tensor) -> None:
        """Assign (B,) distinct nodes by their (B, d) vectors, normalised with the running statistics; nothing else
        changes.
        """
        norm = self.norm
        self.assign(nodes, self.nearest(functional.batch_norm(z, norm.running_mean, norm.running_var, eps=norm.eps)))

    def assign(self, nodes: torch.Tensor, centroids: torch.Tensor) -> None:
        """Set the assignment of (B,) distinct nodes and keep count; O(B + C), whatever the number of nodes."""
        before = self.assignments[nodes].long()
        self.members += torch.bincount(centroids, minlength=len(self.members))
        self.members -= torch.bincount(before, minlength=len(self.members))
        self.assignments[nodes] = centroids.to(torch.int32)
