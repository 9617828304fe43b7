"""Mamba blocks: the selective state-space model with its projections, and the block that runs it in both directions."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from graphkit.nn.scan import selective_scan

SHORTEST, LONGEST, FLOOR = 1e-3, 1e-1, 1e-4  # initial step sizes dt


def reverse(x: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
    """Reverse each sequence of (B, L, d) within its own length; what stands behind it stays where it is.

    A plain flip would bring the padding to the front, whence the convolution's bias and the state leak into real
    positions.
    lengths: (B,), or None where all are L.
    """
    if lengths is None:
        return x.flip(1)
    place = torch.arange(x.shape[1], device=x.device)
    mirrored = lengths.to(x.device).unsqueeze(1) - 1 - place
    index = torch.where(mirrored >= 0, mirrored, place)
    return x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.shape[2]))


class CausalConv(nn.Module):
    """Depthwise causal convolution of (B, L, d): y_t = bias + sum_j w_j x_{t - width + 1 + j}, x = 0 before the
    start.
    """

    def __init__(self, dim: int, width: int):
        super().__init__()
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(width, dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(dim).uniform_(-bound, bound))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, L, d). Sums of shifted copies: on the CPU several times as fast as conv1d with a group per
        channel.
        """
        width, length = len(self.weight), x.shape[1]
        padded = functional.pad(x, (0, 0, width - 1, 0))
        out = self.bias
        for j in range(width):
            out = out + padded[:, j : j + length] * self.weight[j]
        return out


class SelectiveSSM(nn.Module):
    """u (B, L, e) -> y (B, L, e): a state-space model whose step, input and output depend on the input.

    [dt_raw, B_t, C_t] = u_t W_x, dt_t = softplus(dt_raw W_dt + b_dt), A = -exp(A_log), and with N states per channel
    h_t = exp(dt_t A) h_{t-1} + Bbar_t u_t, y_t = <h_t, C_t> + D u_t; see :func:`graphkit.nn.selective_scan`.

    Starts with A = -(1, ..., N), D = 1, W_dt uniform within dt_rank^-1/2 of 0, and b_dt such that dt_t is about
    log-uniform in [0.001, 0.1]. dt, A and the states are computed in float32 also where the rest is in half precision.

    scan, discretization: backend (``auto``: by the device) and form of Bbar of the scan. Reference: Gu, Dao, 2023,
        section 3.
    """

    def __init__(
        self, dim: int, *, d_state: int = 16, dt_rank: int = 1, scan: str = "auto", discretization: str = "euler"
    ):
        super().__init__()
        self.scan, self.discretization, self.sizes = scan, discretization, (dt_rank, d_state, d_state)
        self.to_parameters = nn.Linear(dim, dt_rank + 2 * d_state, bias=False)
        self.to_dt = nn.Linear(dt_rank, dim)
        self.A_log = nn.Parameter(torch.arange(1, d_state + 1, dtype=torch.float32).log().repeat(dim, 1))
        self.D = nn.Parameter(torch.ones(dim))
        nn.init.uniform_(self.to_dt.weight, -(dt_rank**-0.5), dt_rank**-0.5)
        first = torch.exp(torch.rand(dim) * math.log(LONGEST / SHORTEST) + math.log(SHORTEST)).clamp(min=FLOOR)
        with torch.no_grad():
            self.to_dt.bias.copy_(first + torch.log(-torch.expm1(-first)))  # the inverse of softplus

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """Return (B, L, e)."""
        raw, B, C = self.to_parameters(u).split(self.sizes, dim=-1)
        backend = None if self.scan == "auto" else self.scan
        with torch.autocast(u.device.type, enabled=False):
            kind = self.A_log.dtype
            dt = functional.softplus(
                functional.linear(raw.to(kind), self.to_dt.weight.to(kind), self.to_dt.bias.to(kind))
            )
            return selective_scan(
                u, dt, -self.A_log.exp(), B, C, self.D, backend=backend, discretization=self.discretization
            )


class BiMamba(nn.Module):
    """X (B, L, d) -> (B, L, d): two selective state-space models, one along each sequence and one against it.

    Z = X W_in, G = silu(X W_g), of width e = expand d; one gate for both directions:
    f = SSM_f(silu(conv_f(Z))), b = rev(SSM_b(silu(conv_b(rev(Z))))), Y = (f G + b G) W_out.

    Convolutions and models are each direction's own; rev reverses each sequence within its length. Residual and norm
    are left to the caller. Time and memory O(B L e N).

    dim: d. d_state: N. d_conv: width of the convolutions. dt_rank: default ceil(d / 16).
    Reference: Behrouz, Hashemi: Graph Mamba: Towards Learning on Graphs with State Space Models, KDD 2024.

    >>> import torch
    >>> block = BiMamba(8)
    >>> block(torch.zeros(2, 5, 8), torch.tensor([5, 3])).shape
    torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        dim: int,
        *,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dt_rank: int | None = None,
        scan: str = "auto",
        discretization: str = "euler",
    ):
        super().__init__()
        inner = expand * dim
        self.to_input, self.to_gate = nn.Linear(dim, inner, bias=False), nn.Linear(dim, inner, bias=False)
        self.convs = nn.ModuleList(CausalConv(inner, d_conv) for _ in range(2))
        self.models = nn.ModuleList(
            SelectiveSSM(
                inner, d_state=d_state, dt_rank=dt_rank or math.ceil(dim / 16), scan=scan, discretization=discretization
            )
            for _ in range(2)
        )
        self.to_output = nn.Linear(inner, dim, bias=False)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Return (B, L, d). lengths: (B,) of the sequences, padded on the right; None: all are L. Values at pads mean
        nothing.
        """
        z, gate = self.to_input(x), functional.silu(self.to_gate(x))
        forth = self.models[0](functional.silu(self.convs[0](z)))
        back = self.models[1](functional.silu(self.convs[1](reverse(z, lengths))))
        return self.to_output((forth + reverse(back, lengths)) * gate)


class MambaLayer(nn.Module):
    """x + dropout(BiMamba(LayerNorm(x))); ``options`` are those of :class:`BiMamba`."""

    def __init__(self, dim: int, *, dropout: float = 0.0, **options):
        super().__init__()
        self.norm, self.block, self.dropout = nn.LayerNorm(dim), BiMamba(dim, **options), nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Return (B, L, d)."""
        return x + self.dropout(self.block(self.norm(x), lengths))


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Parameter groups for an optimiser: the decay for all but A_log and D of every :class:`SelectiveSSM`, which get
    none.
    """
    kept = {id(p) for module in model.modules() if isinstance(module, SelectiveSSM) for p in (module.A_log, module.D)}
    parts = [[p for p in model.parameters() if (id(p) in kept) == free] for free in (False, True)]
    return [{"params": part, "weight_decay": decay} for part, decay in zip(parts, (weight_decay, 0.0)) if part]
