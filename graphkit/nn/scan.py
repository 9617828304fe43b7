"""The selective scan as a differentiable function, with three ways to compute it."""

from __future__ import annotations

import torch
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from graphkit.core.errors import UsageError
from graphkit.kernels import selective_scan as kernel

BACKENDS = ("numba", "chunked", "loop")
DISCRETIZATIONS = ("euler", "zoh")

CHUNK = 16
# Numbers that the chunks worked on together may hold in a tensor, of one sequence or of several; the rest is taken in
# turns.
CHUNK_NUMBERS = 2**20
CHUNK_NUMBERS_CUDA = 2**27


def selective_scan(
    u: torch.Tensor,
    dt: torch.Tensor,
    A: torch.Tensor,
    B: torch.Tensor,
    C: torch.Tensor,
    D: torch.Tensor,
    *,
    backend: str | None = None,
    discretization: str = "euler",
) -> torch.Tensor:
    """Return y (Bt, L, e) of h_t = exp(dt_t A) h_{t-1} + Bbar_t u_t, y_t = <h_t, C_t> + D u_t, with h_0 = 0.

    u, dt: (Bt, L, e) inputs and step sizes; A: (e, N), negative for a state that decays; B, C: (Bt, L, N); D: (e,).
    Bbar_t = dt_t B_t (``euler``, as Mamba's code has it) or (exp(dt_t A) - 1) / A B_t (``zoh``, as its text has it).
    Computed in float64 where an argument is, else in float32; y has the type of u. All arguments receive gradients.

    backend: ``numba``, the kernels of :mod:`graphkit.kernels.selective_scan` on the CPU; ``chunked``,
    plain torch on any device, memory for some chunks' (16, 16, e, N) decays at a time; ``loop``, a step after the
    other, all states kept, the reference. Default: numba on the CPU, chunked elsewhere.

    Raises :class:`UsageError` for an unknown backend or discretisation, or numba off the CPU; ValueError for shapes
    that do not fit.

    >>> one = torch.ones(1, 4, 1)
    >>> selective_scan(one, one, torch.zeros(1, 1), one, one, torch.zeros(1)).flatten().tolist()  # a running sum
    [1.0, 2.0, 3.0, 4.0]
    """
    _check_shapes(u, dt, A, B, C, D)
    backend = backend or ("numba" if u.device.type == "cpu" else "chunked")
    if backend not in BACKENDS:
        raise UsageError(f"backend of the scan is {backend!r}, expected one of {', '.join(BACKENDS)}")
    if discretization not in DISCRETIZATIONS:
        raise UsageError(f"discretization is {discretization!r}, expected one of {', '.join(DISCRETIZATIONS)}")
    if backend == "numba" and u.device.type != "cpu":
        raise UsageError(
            f"the numba backend of the scan runs on the CPU alone, but the data are on {u.device}; expected chunked"
        )
    wide = torch.float64 if torch.float64 in {value.dtype for value in (u, dt, A, B, C, D)} else torch.float32
    run = {"numba": _Numba.apply, "chunked": _chunked, "loop": _loop}[backend]
    return run(*(value.to(wide) for value in (u, dt, A, B, C, D)), discretization == "zoh").to(u.dtype)


def _check_shapes(u, dt, A, B, C, D) -> None:
    if u.dim() != 3 or A.dim() != 2:
        raise ValueError(f"u has shape {tuple(u.shape)} and A {tuple(A.shape)}, expected (Bt, L, e) and (e, N)")
    (batch, length, channels), size = u.shape, A.shape[1]
    expected = {
        "dt": u.shape,
        "A": (channels, size),
        "B": (batch, length, size),
        "C": (batch, length, size),
        "D": (channels,),
    }
    for name, value in zip(expected, (dt, A, B, C, D)):
        if tuple(value.shape) != tuple(expected[name]):
            raise ValueError(
                f"{name} has shape {tuple(value.shape)}, expected {tuple(expected[name])} for u {tuple(u.shape)}"
            )


class _Numba(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, dt, A, B, C, D, zoh):
        inputs = [value.detach().contiguous() for value in (u, dt, A, B, C, D)]
        keep = any(ctx.needs_input_grad)
        y, states = kernel.forward(*(value.numpy() for value in inputs), zoh=zoh, keep=keep)
        ctx.zoh = zoh
        ctx.save_for_backward(*inputs, torch.from_numpy(states))
        return torch.from_numpy(y)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        *inputs, states = (value.numpy() for value in ctx.saved_tensors)
        gradients = kernel.backward(*inputs, dy.contiguous().numpy(), states, zoh=ctx.zoh)
        return (*(torch.from_numpy(value) for value in gradients), None)


def _input_weight(dt: torch.Tensor, A: torch.Tensor, zoh: bool) -> torch.Tensor:
    """Bbar / B: dt (..., 1), or (exp(dt A) - 1) / A as (..., N)."""
    dt = dt.unsqueeze(-1)
    if not zoh:
        return dt
    z = dt * A
    # The quotient loses all its digits near z = 0, and its gradient is 0/0 at it: there the Taylor series, to 1e-14.
    near = z.abs() < 0.1
    series = torch.ones_like(z)
    for k in range(8, 1, -1):
        series = 1 + z / k * series
    safe = torch.where(near, torch.ones_like(z), z)
    return dt * torch.where(near, series, torch.expm1(safe) / safe)


def _loop(u, dt, A, B, C, D, zoh) -> torch.Tensor:
    decay = torch.exp(dt.unsqueeze(-1) * A)
    pushed = _input_weight(dt, A, zoh) * B.unsqueeze(2) * u.unsqueeze(-1)
    h, out = u.new_zeros(u.shape[0], *A.shape), []
    # Indexing [:, t] in the loop would make each step's gradient a tensor of the full size.
    for a, x, c in zip(decay.unbind(1), pushed.unbind(1), C.unbind(1)):
        h = a * h + x
        out.append((h * c.unsqueeze(1)).sum(-1))
    return (torch.stack(out, 1) if out else torch.zeros_like(u)) + D * u


def _chunked(u, dt, A, B, C, D, zoh) -> torch.Tensor:
    if u.shape[1] == 0:  # splitting nothing gives one piece of no steps
        return D * u
    limit = CHUNK_NUMBERS_CUDA if u.device.type == "cuda" else CHUNK_NUMBERS
    chunk = CHUNK * CHUNK * max(1, A.numel())
    rows = max(1, limit // chunk)
    pieces = []
    for part in zip(*(value.split(rows) for value in (u, dt, B, C))):
        pieces.append(_chunked_rows(*part, A, zoh, max(1, limit // (chunk * max(1, len(part[0]))))))
    return (torch.cat(pieces) if pieces else torch.zeros_like(u)) + D * u


def _chunked_rows(u, dt, B, C, A, zoh, together: int) -> torch.Tensor:
    h, out, length = u.new_zeros(u.shape[0], *A.shape), [], u.shape[1]
    # Steps of size 0 change no state: they fill the last chunk up.
    full = [torch.nn.functional.pad(value, (0, 0, 0, -length % CHUNK)) for value in (u, dt, B, C)]
    for part in zip(*(value.unflatten(1, (-1, CHUNK)).split(together, dim=1) for value in full)):
        # Recomputed in backward, so that some chunks' decays are alive at a time and the carried states are all that is
        # kept.
        y, h = checkpoint(_some_chunks, *part, A, h, zoh, use_reentrant=False, preserve_rng_state=False)
        out.append(y.flatten(1, 2))
    return torch.cat(out, 1)[:, :length]


def _some_chunks(u, dt, B, C, A, h, zoh):
    """Return y (Bt, G, T, e) of G chunks of T steps without D u, and the states (Bt, e, N) after them.

    The decay from step j to i is exp((S_i - S_j) A) with S the running sum of dt inside the chunk: every factor is at
    most 1 where A < 0. Dividing two running products instead would give 0/0 after a few hundred steps.
    """
    total = dt.cumsum(2)
    steps = dt.shape[2]
    later = torch.ones(steps, steps, dtype=torch.bool, device=u.device).tril()
    gap = (total.unsqueeze(3) - total.unsqueeze(2)).masked_fill(~later[..., None], 0.0)
    pushed = _input_weight(dt, A, zoh) * B.unsqueeze(3) * u.unsqueeze(-1)  # (Bt, G, T, e, N)
    decay = torch.exp(gap.unsqueeze(-1) * A).masked_fill(~later[..., None, None], 0.0)  # (Bt, G, T, T, e, N)
    since = torch.exp(total.unsqueeze(-1) * A)  # the decay of what a chunk begins with
    states = torch.einsum("bgijen,bgjen->bgien", decay, pushed)
    before, h = _carry(since[:, :, -1], states[:, :, -1], h)
    states = states + since * before.unsqueeze(2)
    return (states * C.unsqueeze(3)).sum(-1), h


def _carry(decay, added, h):
    """The states before each of G chunks (Bt, G, e, N), and after the last, where each makes decay * h + added of h; in
    log G steps.
    """
    shift = 1
    while shift < decay.shape[1]:
        # After this a chunk stands for the 2 shift chunks up to it, or for all where they are fewer.
        added = torch.cat([added[:, :shift], added[:, shift:] + decay[:, shift:] * added[:, :-shift]], 1)
        decay = torch.cat([decay[:, :shift], decay[:, shift:] * decay[:, :-shift]], 1)
        shift *= 2
    after = added + decay * h.unsqueeze(1)
    return torch.cat([h.unsqueeze(1), after[:, :-1]], 1), after[:, -1]
