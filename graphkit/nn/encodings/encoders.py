"""What a model learns from raw encodings: LapPE and raw-value encoders, SignNet, and PEG's positions and gates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from dgl import ops
from torch import nn

from graphkit.nn.local_layers import activation, mlp, normed

HEADS = 4


class LapEncoder(nn.Module):
    """(phi_ki, lambda_k) -> sum over frequencies k of a small network of both: LapPE, (n, k, 2) -> (n, dim).

    ``deepset``: Linear(2, 2 dim), activation, ..., Linear(2 dim, dim), activation, with ``layers`` linear layers in
    all; a single one goes straight to dim. ``transformer``: Linear(2, dim) and ``layers`` Transformer layers over the
    frequencies of a node. ``post_layers`` > 0 adds an MLP after the sum. Padded frequencies (NaN) count for nothing. In
    training every column gets a random sign, one draw for all graphs of the batch, because the sign of an eigenvector
    means nothing.

    Reference: Kreuzer et al., Rethinking Graph Transformers with Spectral Attention, NeurIPS 2021.
    """

    def __init__(self, dim: int, *, kind: str = "deepset", layers: int = 2, post_layers: int = 0, act: str = "relu"):
        super().__init__()
        self.attention = None
        if kind == "transformer":
            heads = max(h for h in range(1, HEADS + 1) if dim % h == 0)
            layer = nn.TransformerEncoderLayer(dim, heads, dim_feedforward=2 * dim, dropout=0.0, batch_first=True)
            self.attention = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
            self.network: nn.Module = nn.Linear(2, dim)
        else:
            widths = [2, *[2 * dim] * (layers - 1), dim]
            self.network = nn.Sequential(mlp(widths, act=act), activation(act))
        widths = [dim] * (post_layers + 1)
        self.post = nn.Sequential(*(m for a, b in zip(widths, widths[1:]) for m in (nn.Linear(a, b), activation(act))))

    def forward(self, graph, raw: torch.Tensor) -> torch.Tensor:
        """Return (n, dim) from the raw (n, k, 2)."""
        raw, padded = _filled(raw)
        if self.training:
            raw = torch.cat([raw[..., :1] * random_signs(raw), raw[..., 1:]], dim=-1)
        out = self.network(raw)
        if self.attention is not None and len(out):
            out = self.attention(out, src_key_padding_mask=padded)
        return self.post(out.masked_fill(padded.unsqueeze(-1), 0.0).sum(dim=1))


class RawEncoder(nn.Module):
    """BatchNorm of the raw (n, k) values, then one linear layer, or an MLP of ``layers`` with a last activation: (n,
    dim).
    """

    def __init__(self, k: int, dim: int, *, kind: str = "linear", layers: int = 2, act: str = "relu"):
        super().__init__()
        self.norm = nn.BatchNorm1d(k)
        if kind == "linear":
            self.network: nn.Module = nn.Linear(k, dim)
        else:
            widths = [k, *[2 * dim] * (layers - 1), dim]
            self.network = nn.Sequential(mlp(widths, act=act), activation(act))

    def forward(self, graph, raw: torch.Tensor) -> torch.Tensor:
        """Return (n, dim) from the raw (n, k)."""
        return self.network(normed(self.norm, raw))


class SignNet(nn.Module):
    """rho([phi(v_k) + phi(-v_k)]_k): (n, k, 2) -> (n, dim), the same for v_k and -v_k; eigenvalues are not used.

    phi is a stack of GIN layers, run on every eigenvector as a signal of one channel; each has an MLP of Linear, ReLU,
    BatchNorm, Linear, and a BatchNorm without activation stands before every layer but the first. The norms are over
    nodes and frequencies, of v and of -v apart, so that batch statistics see the signs of training; running statistics
    follow both. ``mlp``: the k outputs side by side, padded ones 0, into an MLP of two layers; ``deepset``: their sum
    into one of three; with BatchNorm behind each ReLU.

    Padded frequencies count in no statistics and no sum, which published code lets them do. Trivial eigenvectors are
    kept, as there. Reference: Lim et al., Sign and Basis Invariant Networks for Spectral Graph Representation Learning,
    ICLR 2023.
    """

    def __init__(
        self, k: int, dim: int, *, kind: str = "mlp", hidden_dim: int = 64, layers: int = 8, phi_dim: int | None = None
    ):
        super().__init__()
        self.kind = kind
        phi_dim = phi_dim or (4 if kind == "mlp" else hidden_dim)
        widths = [1, *[hidden_dim] * (layers - 1), phi_dim]
        self.phi = nn.ModuleList(_relu_norm_mlp([a, hidden_dim, b]) for a, b in zip(widths, widths[1:]))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:-1])
        widths = [k * phi_dim, hidden_dim, dim] if kind == "mlp" else [phi_dim, hidden_dim, hidden_dim, dim]
        self.rho = _relu_norm_mlp(widths)

    def forward(self, graph, raw: torch.Tensor) -> torch.Tensor:
        """Return (n, dim) from the raw (n, k, 2)."""
        raw, padded = _filled(raw)
        there = None if not padded.any() else ~padded
        out = self._phi(graph, raw[..., :1], there) + self._phi(graph, -raw[..., :1], there)
        out = out.flatten(1) if self.kind == "mlp" else out.sum(dim=1)
        for layer in self.rho:
            out = normed(layer, out) if isinstance(layer, nn.BatchNorm1d) else layer(out)
        return out

    def _phi(self, graph, x: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
        """(n, k, 1) signals -> (n, k, phi_dim), 0 where padded; what is padded at a node is padded at its neighbours
        too.
        """
        for number, layers in enumerate(self.phi):
            if number:
                x = _normed_where(self.norms[number - 1], x, there)
            x = x + ops.copy_u_sum(graph, x.flatten(1)).view_as(x)
            for layer in layers:
                x = _normed_where(layer, x, there) if isinstance(layer, nn.BatchNorm1d) else layer(x)
            if there is not None:
                x = x * there.unsqueeze(-1)
        return x


def _relu_norm_mlp(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers of the given widths with ReLU and then BatchNorm between them."""
    between = [(nn.ReLU(), nn.BatchNorm1d(width)) for width in widths[1:-1]] + [()]
    return nn.Sequential(
        *(part for a, b, more in zip(widths, widths[1:], between) for part in (nn.Linear(a, b), *more))
    )


class EdgeGate(nn.Module):
    """PEG's factor of a message: sigmoid(MLP(|p_i - p_j|^2)) in (0, 1), the MLP 1 -> d -> 1; (n, d) positions -> (m,
    1).

    Reference: Wang et al., Equivariant and Stable Positional Encoding for More Powerful Graph Neural Networks, ICLR
    2022.
    """

    def __init__(self, dim: int, *, act: str = "relu"):
        super().__init__()
        self.network = mlp([1, dim, 1], act=act)

    def forward(self, graph, positions: torch.Tensor) -> torch.Tensor:
        """Return (m, 1) factors of the graph's edges."""
        distance = ops.u_sub_v(graph, positions, positions).square().sum(dim=1, keepdim=True)
        return torch.sigmoid(self.network(distance))


class Positions(nn.Module):
    """PEG's positions: a linear layer of the k eigenvectors, padded ones 0; (n, k, 2) -> (n, d)."""

    def __init__(self, k: int, dim: int):
        super().__init__()
        self.linear = nn.Linear(k, dim)

    def forward(self, graph, raw: torch.Tensor) -> torch.Tensor:
        """Return (n, d) positions."""
        return self.linear(_filled(raw)[0][..., 0])


def random_signs(raw: torch.Tensor) -> torch.Tensor:
    """(1, k, 1) of -1 and 1, one draw per column, for (n, k, .) values."""
    draw = torch.rand(1, raw.shape[1], 1, device=raw.device)
    return torch.where(draw < 0.5, -1.0, 1.0).to(raw.dtype)


def _filled(raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The values with 0 for NaN, and (n, k) where a frequency is padded."""
    padded = torch.isnan(raw[..., 0])
    return torch.nan_to_num(raw), padded


def _normed_where(norm: nn.Module, x: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
    if there is None:
        return normed(norm, x.flatten(0, 1)).view_as(x)
    out = torch.zeros_like(x)
    out[there] = normed(norm, x[there])
    return out
