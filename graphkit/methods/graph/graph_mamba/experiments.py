"""Checks that Graph Mamba's claims run in place of a training: a data set in, figures out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import torch

from graphkit.kernels.selective_scan import plain
from graphkit.nn.mamba import BiMamba
from graphkit.nn.scan import BACKENDS, selective_scan

LENGTHS = (1, 2, 3, 63, 64, 65, 257)
SHORT, LONG = 4096, 16384  # steps whose times are set in proportion
NAIVE_SHORT, NAIVE_LONG = 512, 2048  # the same for the loop that indexes, which would take minutes at the sizes above


def scan_figures(dataset) -> dict[str, float]:
    """Hold the scan against its definition, and measure how its time and memory grow.

    ``error64`` and ``error32``: largest difference of outputs and of the six gradients from the sequential definition
    in NumPy float64, over all backends and lengths, B=3, e=5, N=4, relative to the largest value where that exceeds 1.
    ``pad_difference``: largest change of a BiMamba block's real outputs and of their gradients when pads are added.
        ``time_ratio``: time of forward and backward at
    L=16384 over that at L=4096, e=64, N=16, each the best of three; ``naive_ratio``: the same of a loop that indexes
    step by step, at L=2048 over 512. ``growth_mb``: growth of the peak memory of a process of its own by forward and
    backward at L=16384.
    """
    times = [_best_time(length) for length in (SHORT, LONG)]
    naive = _alone(MEASURE_NAIVE, NAIVE_SHORT, NAIVE_LONG)
    return {
        "error64": max(_error(length, backend, torch.float64) for length in LENGTHS for backend in _backends()),
        "error32": max(_error(length, backend, torch.float32) for length in LENGTHS for backend in _backends()),
        "pad_difference": _pad_difference(),
        "time_ratio": times[1] / times[0],
        "seconds_long": times[1],
        "naive_ratio": naive[1] / naive[0],
        "growth_mb": growth_mb(),
    }


def _backends():
    return BACKENDS


def scan_arguments(batch: int, length: int, channels: int, size: int, dtype, seed: int = 0) -> list:
    """Random u, dt, A, B, C and D of a scan, with dt in Mamba's range and A < 0, all of which ask for gradients."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    dt = torch.exp(normal(batch, length, channels) - 2.5)
    rate = -torch.exp(0.5 * normal(channels, size)) * torch.arange(1, size + 1)
    values = (
        normal(batch, length, channels),
        dt,
        rate,
        normal(batch, length, size),
        normal(batch, length, size),
        normal(channels),
    )
    return [value.to(dtype).requires_grad_() for value in values]


def _error(length: int, backend: str, dtype) -> float:
    arguments, worst = scan_arguments(3, length, 5, 4, dtype), 0.0
    dy = torch.randn(3, length, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    y = selective_scan(*arguments, backend=backend)
    found = (y, *torch.autograd.grad(y, arguments, dy))
    expected, gradients = plain(*(value.detach().numpy() for value in arguments), dy.numpy())
    for mine, right in zip(found, (expected, *gradients)):
        gap = np.abs(mine.detach().double().numpy() - right).max()
        worst = max(worst, float(gap / max(1.0, np.abs(right).max())))
    return worst


def _pad_difference() -> float:
    torch.manual_seed(0)
    block, lengths = BiMamba(8, d_state=4), (7, 1, 20, 64)
    sequences = [torch.randn(length, 8) for length in lengths]
    padded = torch.randn(len(lengths), 70, 8)  # pads are not even zero
    for row, sequence in zip(padded, sequences):
        row[: len(sequence)] = sequence
    together = block(padded.requires_grad_(), torch.tensor(lengths))
    worst = 0.0
    for number, sequence in enumerate(sequences):
        alone = block(sequence.unsqueeze(0))[0]
        worst = max(worst, float((together[number, : len(sequence)] - alone).detach().abs().max()))
    real = torch.arange(70) < torch.tensor(lengths).unsqueeze(1)
    leaked = torch.autograd.grad(together[real].square().sum(), padded)[0][~real]
    return max(worst, float(leaked.abs().max()))


def _run(scan, arguments) -> float:
    started = time.perf_counter()
    scan(*arguments).sum().backward()
    return time.perf_counter() - started


def _best_time(length: int) -> float:
    _run(selective_scan, scan_arguments(1, 70, 64, 16, torch.float32))  # compiles
    return min(_run(selective_scan, scan_arguments(1, length, 64, 16, torch.float32)) for _ in range(3))


def naive_scan(u, dt, A, B, C, D):
    """The loop that reads ``[:, t]`` of tensors of all steps: each read's gradient is a tensor of the full size, O(L^2)
    in all.
    """
    decay, pushed = torch.exp(dt.unsqueeze(-1) * A), (dt * u).unsqueeze(-1) * B.unsqueeze(2)
    h, out = u.new_zeros(u.shape[0], *A.shape), []
    for t in range(u.shape[1]):
        h = decay[:, t] * h + pushed[:, t]
        out.append((h * C[:, t].unsqueeze(1)).sum(-1))
    return torch.stack(out, 1) + D * u


def naive_time(length: int) -> float:
    """Seconds of forward and backward of :func:`naive_scan`."""
    return _run(naive_scan, scan_arguments(1, length, 64, 16, torch.float32))


# In a process of its own: one that has handled large tensors before keeps their memory, and the zeros cost less.
MEASURE_NAIVE = """
import json, sys, torch
from graphkit.methods.graph.graph_mamba_checks import naive_time
torch.set_num_threads(1)
naive_time(16)
print(json.dumps([naive_time(int(length)) for length in sys.argv[1:]]))
"""


# In a process of its own, for the mark of the highest memory cannot be taken back everywhere. Not by getrusage: a
# process starts with the mark of the one that started it.
MEASURE_GROWTH = """
import contextlib, json, psutil, sys, torch
from graphkit.nn.scan import selective_scan
torch.set_num_threads(1)
def arguments(length):
    u, dt, B, C = (torch.randn(1, length, width) for width in (64, 64, 16, 16))
    values = u, dt.sub_(2.5).exp_(), -torch.arange(1.0, 17).repeat(64, 1), B, C, torch.ones(64)
    return [value.requires_grad_() for value in values]
selective_scan(*arguments(70), backend=sys.argv[1]).sum().backward()
given = arguments(int(sys.argv[2]))
with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as stream:
    stream.write("5")
before = psutil.Process().memory_info().rss / 2**20
selective_scan(*given, backend=sys.argv[1]).sum().backward()
with open("/proc/self/status") as stream:
    peak = next(int(line.split()[1]) / 1024 for line in stream if line.startswith("VmHWM:"))
print(json.dumps(peak - before))
"""


def growth_mb(backend: str = "numba", length: int = LONG) -> float:
    """MiB by which forward and backward of a scan with e=64, N=16 raise the memory of a process; Linux alone."""
    return float(_alone(MEASURE_GROWTH, backend, length))


def _alone(program: str, *words):
    """What a program in a process of its own, with the system's own way to allocate, prints last, as JSON."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "THP_"))}
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], check=True, stdout=subprocess.PIPE, text=True, env=plain
    )
    return json.loads(done.stdout.splitlines()[-1])
