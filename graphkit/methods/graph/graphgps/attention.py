"""Attention among the nodes of each graph of a batch: softmax, Performer, and a sparse pattern of blocks."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from graphkit.core.errors import UsageError
from graphkit.methods.graph.graphgps import softmax_attention as kernel
from graphkit.methods.graph.graphgps.attention_layout import BLOCK, BlockPattern, Layout

KINDS = ("transformer", "performer", "bigbird")
KERNELS = ("softmax", "relu")
FULL_NODES = 8192  # the largest graph of which all pairs of nodes are looked at
FEATURE_EPSILON = 1e-3  # of the relu kernel
SOFTMAX_EPSILON = 1e-4


def check_size(kind: str, nodes: int) -> None:
    """Raise :class:`UsageError` where a graph of so many nodes is too large for an attention over all pairs."""
    if kind == "transformer" and nodes > FULL_NODES:
        text = (
            f"--attn transformer: found a graph of {nodes:,} nodes, expected at most {FULL_NODES:,} for attention over"
            " all pairs"
        )
        raise UsageError(f"{text}; use --attn performer or --attn none")


class SelfAttention(nn.Module):
    """Multi-head self-attention within each graph of a batch; no node sees another graph, and edges are not seen.

    kind ``transformer``: softmax(Q K^T / sqrt(d_h)) V over all pairs, O(sum N^2 d). ``performer``: the softmax's kernel
    replaced by an inner product of m = d_h ln d_h random features, O(sum N d m): ``kernel`` ``softmax``
    (:func:`softmax_features`), which approximates the softmax, or ``relu`` (:func:`relu_features`). ``bigbird``: blocks
    of three consecutive nodes look at three neighbouring blocks, the graph's first and last and three random ones,
    O(sum N d); it depends on the order of the nodes. ``dropout`` falls on the attention weights alone. Performer never
    has these as numbers: there it falls on what the layer returns.
    ``head_dim``: width d_h of each head, 0 for ``dim / heads``.

    Raises ValueError where ``heads`` does not divide ``dim`` and no ``head_dim`` is given.
    Reference: Vaswani et al., NeurIPS 2017; Choromanski et al., ICLR 2021; Zaheer et al., NeurIPS 2020.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        kind: str = "transformer",
        dropout: float = 0.0,
        kernel: str = "softmax",
        head_dim: int = 0,
    ):
        super().__init__()
        if dim % heads and not head_dim:
            raise ValueError(f"{heads} heads do not divide a width of {dim}")
        self.heads, self.kind, self.dropout, self.kernel = heads, kind, dropout, kernel
        self.width = width = head_dim or dim // heads
        self.qkv = nn.Linear(dim, 3 * heads * width, bias=kind != "performer")
        self.out = nn.Linear(heads * width, dim)
        nn.init.xavier_uniform_(self.qkv.weight)
        for bias in (self.qkv.bias, self.out.bias):
            if bias is not None:
                nn.init.zeros_(bias)
        if kind == "performer":
            self.register_buffer("features", orthogonal_features(width))
        if kind == "bigbird":
            self.register_buffer("seed", torch.randint(2**31 - 1, (1,)))

    def forward(self, graph, h: torch.Tensor, layout: Layout | None = None) -> torch.Tensor:
        """Return (n, d) for the (n, d) node vectors of a batched DGLGraph; ``layout`` spares several layers its
        making.
        """
        layout = layout or Layout.of(graph)
        check_size(self.kind, layout.largest)
        qkv = self.qkv(h).view(len(h), 3, self.heads, self.width)
        if self.kind == "bigbird":
            return self.out(self._blocks(layout, qkv).flatten(1))
        on_cpu = h.device.type == "cpu" and qkv.dtype in (torch.float32, torch.float64)
        if self.kind == "transformer" and on_cpu and 0 < self._rate < 1:
            return self.out(_WithDropout.apply(qkv, layout.bounds, self._rate).flatten(1))
        found = []
        for bucket in layout.buckets:
            q, k, v = bucket.padded(qkv).permute(2, 0, 3, 1, 4)  # each (graphs, heads, nodes, d_h)
            attend = self._softmax if self.kind == "transformer" else self._performer
            found.append(bucket.rows_of(attend(q, k, v, bucket.mask).transpose(1, 2)))
        out = self.out((torch.cat(found)[layout.order] if found else qkv[:, 2]).flatten(1))
        return functional.dropout(out, self._rate) if self.kind == "performer" else out

    @property
    def _rate(self) -> float:
        return self.dropout if self.training else 0.0

    def _softmax(self, q, k, v, mask):
        seen = None if mask is None else mask[:, None, None, :]
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=self._rate)

    def _performer(self, q, k, v, mask):
        seen = None if mask is None else mask[:, None, :, None]
        if self.kernel == "softmax":
            q, k = softmax_features(q, self.features), softmax_features(k, self.features, seen, keys=True)
        else:
            q, k = relu_features(q, self.features), relu_features(k, self.features)
        if seen is not None:
            k = k * seen
        total = torch.einsum("bhnm,bhm->bhn", q, k.sum(dim=2))
        return torch.einsum("bhnm,bhmd->bhnd", q, k.transpose(2, 3) @ v) / total.unsqueeze(-1)

    def _blocks(self, layout: Layout, qkv: torch.Tensor) -> torch.Tensor:
        pattern = BlockPattern.of(layout, int(self.seed))
        q, k, v = qkv.unbind(1)
        wide = (q[pattern.queries], k[pattern.keys], v[pattern.keys])  # (blocks, nodes, heads, d_h)
        mask = pattern.seen[:, None, None, :]
        found = functional.scaled_dot_product_attention(
            *(x.transpose(1, 2) for x in wide), attn_mask=mask, dropout_p=self._rate
        )
        out = torch.zeros_like(q)
        out[pattern.queries[pattern.real]] = found.transpose(1, 2)[pattern.real]
        for bucket in layout.buckets:
            # The first and the last block of a graph look at all of it.
            rows, real = bucket.ends(BLOCK)
            _, k, v = bucket.padded(qkv).permute(2, 0, 3, 1, 4)
            seen = None if bucket.mask is None else bucket.mask[:, None, None, :]
            ends = functional.scaled_dot_product_attention(
                q[rows].transpose(1, 2), k, v, attn_mask=seen, dropout_p=self._rate
            )
            out = out.index_put((rows[real],), ends.transpose(1, 2)[real])
        return out


class _WithDropout(torch.autograd.Function):
    """The kernel of :mod:`graphkit.methods.graph.graphgps.softmax_attention`: several times as fast as torch where
    weights are dropped.
    """

    @staticmethod
    def forward(ctx, qkv, bounds, rate):
        values = qkv.detach().contiguous()
        seed = int(torch.randint(2**62, ()))
        out, logs = kernel.forward(values.numpy(), bounds, rate, seed)
        out = torch.from_numpy(out)
        ctx.save_for_backward(values, out, torch.from_numpy(logs))
        ctx.rest = (bounds, rate, seed)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out):
        values, out, logs = (value.numpy() for value in ctx.saved_tensors)
        bounds, rate, seed = ctx.rest
        gradient = kernel.backward(values, bounds, out, logs, d_out.contiguous().numpy(), rate, seed)
        return torch.from_numpy(gradient), None, None


def relu_features(x: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """(..., N, m) generalised kernel features relu(W x / d_h^(1/4)) + 1e-3 of (..., N, d_h) vectors, W the (m, d_h)
    features.

    Their inner products are, on average over W, the first-order arc-cosine kernel of the scaled vectors, but for the
    small term.
    """
    return functional.relu((x * x.shape[-1] ** -0.25) @ features.t()) + FEATURE_EPSILON


def softmax_features(
    x: torch.Tensor, features: torch.Tensor, seen: torch.Tensor | None = None, *, keys: bool = False
) -> torch.Tensor:
    """(..., N, m) positive features exp(W y - |y|^2 / 2 - c) + 1e-4 with y = x / d_h^(1/4), W the (m, d_h) features.

    Their inner products are, on average over W, exp(q . k / sqrt(d_h)) but for the small term and a factor that
    attention divides out. c is the largest entry of W y of each query, or of all keys of a graph (of those that are
    ``seen``, (..., N, 1)), so that nothing overflows. A key that is not seen has the feature 1e-4, which the caller
    takes out.
    """
    y = x * x.shape[-1] ** -0.25
    raised = y @ features.t()
    if seen is not None:
        raised = raised.masked_fill(~seen, -math.inf)  # what stands in for no node must not overflow
    shift = raised.amax(dim=(-2, -1) if keys else -1, keepdim=True).detach()
    return torch.exp(raised - y.square().sum(-1, keepdim=True) / 2 - shift) + SOFTMAX_EPSILON


def orthogonal_features(width: int, count: int | None = None) -> torch.Tensor:
    """(m, d_h) Gaussian vectors, orthogonal within each group of d_h; m = d_h ln d_h, at least d_h, unless ``count``
    says.
    """
    count = count or max(width, int(width * math.log(width)))
    q, r = torch.linalg.qr(torch.randn(-(-count // width), width, width))
    # Q is uniform among the orthogonal matrices only where R's diagonal is positive: as it comes, signs of Q lean to
    # one side.
    q = q * torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).unsqueeze(-2)
    # Rows of Q have length 1; Gaussian vectors have the length of other Gaussian vectors.
    return q.flatten(0, 1)[:count] * torch.randn(count, width).norm(dim=1, keepdim=True)
