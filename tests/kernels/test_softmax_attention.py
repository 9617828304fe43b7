"""Attention with dropout against its dense definition, whose mask is made by array operations, and torch's gradients of
that.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
import torch

from graphkit.kernels.fast_exp import exp
from graphkit.methods.graph.graphgps import softmax_attention as kernel

HEADS, WIDTH = 3, 5
SIZES = np.array([3, 1, 0, 25, 7, 66, 0, 4])
BOUNDS = np.append(np.cumsum(SIZES) - SIZES, SIZES.sum())


def values(kind, seed=0):
    return np.random.default_rng(seed).normal(size=(BOUNDS[-1], 3, HEADS, WIDTH)).astype(kind)


def by_torch(qkv, masks):
    """The definition again, for torch to differentiate."""
    out = []
    for begin, end, mask in zip(BOUNDS[:-1], BOUNDS[1:], masks):
        q, k, v = qkv[begin:end].permute(1, 2, 0, 3)
        out.append(
            (((q @ k.transpose(1, 2) / math.sqrt(WIDTH)).softmax(-1) * torch.from_numpy(mask)) @ v).transpose(0, 1)
        )
    return torch.cat(out)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_results_and_gradients_are_those_of_the_definition(kind, tolerance, rate):
    qkv, masks = values(kind), kernel.weights(BOUNDS, HEADS, rate, seed=11)
    out, logs = kernel.forward(qkv, BOUNDS, rate, 11)
    np.testing.assert_allclose(out, kernel.plain(qkv, BOUNDS, masks), atol=tolerance, rtol=tolerance)
    d_out = np.random.default_rng(1).normal(size=out.shape).astype(kind)
    free = torch.tensor(qkv, dtype=torch.float64, requires_grad=True)
    expected = torch.autograd.grad(by_torch(free, masks), free, torch.from_numpy(d_out).double())[0]
    found = kernel.backward(qkv, BOUNDS, out, logs, d_out, rate, 11)
    assert found.dtype == kind
    np.testing.assert_allclose(found, expected.numpy(), atol=10 * tolerance, rtol=10 * tolerance)


def test_without_dropout_it_is_torchs_attention():
    qkv = values(np.float64)
    out, _ = kernel.forward(qkv, BOUNDS)
    for begin, end in zip(BOUNDS[:-1], BOUNDS[1:]):
        q, k, v = torch.from_numpy(qkv[begin:end]).permute(1, 2, 0, 3)
        theirs = torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None])[0].transpose(0, 1)
        np.testing.assert_allclose(out[begin:end], theirs.numpy(), atol=1e-12)


def test_large_scores_do_not_overflow():
    qkv = values(np.float32)
    qkv[:, :2] *= 60
    out, logs = kernel.forward(qkv, BOUNDS)
    np.testing.assert_allclose(out, kernel.plain(qkv, BOUNDS), atol=5e-3)  # scores of thousands are exact to 1e-3
    assert np.isfinite(kernel.backward(qkv, BOUNDS, out, logs, np.ones_like(out))).all()


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_masks_drop_their_share_independently(rate):
    bounds = np.array([0, 400])
    mask = kernel.weights(bounds, 2, rate, seed=3)[0]
    count, kept = mask.size, mask > 0
    sigma = math.sqrt(rate * (1 - rate) / count)
    assert abs(kept.mean() - (1 - rate)) < 4 * sigma and mask.max() == pytest.approx(1 / (1 - rate), rel=1e-4)
    # Rows, columns, heads and neighbours in a word: none follows another.
    other = kernel.weights(bounds, 2, rate, seed=4)[0] > 0
    pairs = [(kept[:, 1:], kept[:, :-1]), (kept[..., 1:], kept[..., :-1]), (kept[0], kept[1]), (kept, other)]
    for left, right in pairs:
        correlation = np.corrcoef(left.ravel(), right.ravel())[0, 1]
        assert abs(correlation) < 4 / math.sqrt(left.size)


def test_threads_change_nothing(monkeypatch):
    bounds = np.arange(0, 4001, 80)
    qkv = np.random.default_rng(0).normal(size=(4000, 3, HEADS, WIDTH)).astype(np.float32)
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        out, logs = kernel.forward(qkv, bounds, 0.3, 5)
        found.append((out, kernel.backward(qkv, bounds, out, logs, out, 0.3, 5)))
    for one, *more in zip(*found):
        for other in more:
            np.testing.assert_array_equal(one, other)


def test_nothing_gives_nothing():
    out, logs = kernel.forward(values(np.float32)[:0], np.array([0, 0]), 0.5, 1)
    assert (
        out.shape == (0, HEADS, WIDTH)
        and kernel.backward(values(np.float32)[:0], np.array([0, 0]), out, logs, out, 0.5, 1).size == 0
    )


def test_exp_is_that_of_the_library():
    @numba.njit
    def apply(x, out):
        for i in range(len(x)):
            out[i] = exp(x[i])

    for kind, tolerance in ((np.float32, 3e-7), (np.float64, 1e-15)):
        x = np.linspace(-87, 88, 10001).astype(kind)
        out = np.empty_like(x)
        apply(x, out)
        np.testing.assert_allclose(out, np.exp(x.astype(np.float64)), rtol=tolerance)
