"""Time as cosines of learned frequencies, for the learners of events."""

from __future__ import annotations

import math

import torch
from torch import nn

BLOCK = 4096  # rows at a time: their float64 turns stay in the cache


class TimeEncoding(nn.Module):
    """cos(t w + b) with learned w, from 1 down to 10^-9, and b, from 0 (Xu et al., 2020)."""

    def __init__(self, dim: int):
        super().__init__()
        self.frequency = nn.Parameter(10 ** -torch.linspace(0, 9, dim))
        self.phase = nn.Parameter(torch.zeros(dim))

    def forward(self, time: torch.Tensor) -> torch.Tensor:
        """(R,) times to (R, dim); the product is taken in float64, where float32 would lose seconds of large times."""
        return _Cosines.apply(time.double(), self.frequency, self.phase)


class _Cosines(torch.autograd.Function):
    """Whole turns are taken off in float64; what is left, in [-pi, pi], is exact enough in float32, whose cosines are
    much faster.
    """

    @staticmethod
    def forward(ctx, time, frequency, phase):
        turns_of_one = frequency.double() / (2 * math.pi)
        angle = torch.empty(len(time), len(frequency), device=time.device)
        for start in range(0, len(time), BLOCK):
            turns = time[start : start + BLOCK, None] * turns_of_one
            angle[start : start + BLOCK] = turns.sub_(turns.round())
        angle.mul_(2 * math.pi).add_(phase)
        ctx.save_for_backward(time, angle)
        return torch.cos(angle)

    @staticmethod
    def backward(ctx, gradient):
        time, angle = ctx.saved_tensors
        slope = torch.sin(angle).mul_(gradient).neg_()
        return None, (time.float()[None] @ slope)[0], slope.sum(0)
