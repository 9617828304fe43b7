"""The sums of :mod:`graphkit.kernels.powers` on DGL's SpMM: for CUDA, and a second path that tests compare with."""

from __future__ import annotations

import dgl
import numpy as np
import torch

from graphkit.kernels.powers import PowerSum, Start


def power_sum(powers: PowerSum, start: Start, graph: dgl.DGLGraph, device: str) -> np.ndarray:
    """Return what ``powers.in_core(start)`` does, up to rounding; O(q m d) time, up to 5 n d float32 of memory."""
    # DGL sums over incoming edges, the powers run over outgoing ones.
    graph = dgl.reverse(graph, copy_edata=True).to(device)
    weights = graph.edata["weight"].float().reshape(-1, 1) if "weight" in graph.edata else None
    scale = torch.from_numpy(powers.scale)[:, None].to(device)
    current = torch.from_numpy(start.columns(0, start.dim)).to(device)
    parts = []
    for k in range(max(powers.used, default=0) + 1):
        if k:
            product = (
                dgl.ops.copy_u_sum(graph, current) if weights is None else dgl.ops.u_mul_e_sum(graph, current, weights)
            )
            current = product * scale
        if k in powers.used:
            term = torch.nn.functional.normalize(current, eps=1e-38) if powers.normalize else current
            term = term * float(powers.coefficients[k])
            if parts and not powers.concatenate:
                parts[0] += term
            else:
                parts.append(term)
    total = torch.cat(parts, dim=1) if parts else torch.zeros_like(current)
    if powers.standardize and len(total):
        wide = total.double()
        mean, deviation = wide.mean(0), wide.std(0, unbiased=False)
        varies = deviation > 4 * torch.finfo(torch.float32).eps * mean.abs()
        total = torch.where(varies, (wide - mean) / torch.where(varies, deviation, 1), 0.0).float()
    return total.cpu().numpy()
