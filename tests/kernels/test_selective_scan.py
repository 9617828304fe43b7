"""The definition of the scan against differences, and the kernels' groups of sequences and channels against the
definition.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphkit.kernels import selective_scan as kernel

ZOH = pytest.mark.parametrize("zoh", [False, True])


def arguments(batch, length, channels, size, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    dt = np.exp(rng.normal(-2.5, 1, (batch, length, channels)))
    rate = -np.exp(rng.normal(0, 0.5, (channels, size))) * np.arange(1, size + 1)
    u, (b, c) = rng.standard_normal((batch, length, channels)), rng.standard_normal((2, batch, length, size))
    return [value.astype(dtype) for value in (u, dt, rate, b, c, rng.standard_normal(channels))]


@ZOH
def test_definition_is_the_recurrence_written_out(zoh):
    """One channel and state: h_3 = exp(z_3) (exp(z_2) x_1 + x_2) + x_3."""
    u, dt, a, b, c, d = arguments(1, 3, 1, 1)
    z = (dt * a[0, 0])[0, :, 0]
    x = (np.expm1(z) / a[0, 0] if zoh else dt[0, :, 0]) * b[0, :, 0] * u[0, :, 0]
    h = [x[0], np.exp(z[1]) * x[0] + x[1], np.exp(z[2]) * (np.exp(z[1]) * x[0] + x[1]) + x[2]]
    expected = np.array(h) * c[0, :, 0] + d[0] * u[0, :, 0]
    np.testing.assert_allclose(kernel.plain(u, dt, a, b, c, d, zoh=zoh)[0, :, 0], expected, rtol=1e-13)


@ZOH
def test_gradients_of_the_definition_are_its_differences(zoh):
    given = arguments(2, 6, 3, 2)
    given[2][0, 0] = -1e-6  # z near 0, where the hold's quotient loses its digits
    dy = np.random.default_rng(1).standard_normal(given[0].shape)
    _, gradients = kernel.plain(*given, dy, zoh=zoh)
    for number, gradient in enumerate(gradients):
        slopes = np.empty_like(gradient)
        for place in np.ndindex(gradient.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = [value.copy() for value in given]
                moved[number][place] += step
                ends.append((kernel.plain(*moved, zoh=zoh) * dy).sum())
            slopes[place] = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose(gradient, slopes, rtol=2e-7, atol=2e-7, err_msg="udabcD"[number])


def error(found, expected):
    return max(np.abs(a - b).max(initial=0) / max(1, np.abs(b).max(initial=0)) for a, b in zip(found, expected))


# Channels below, at and above a tile; sequences below and above the number of groups; lengths around the stride.
SHAPES = [
    (3, 1, 5, 4),
    (1, 64, 16, 3),
    (2, 65, 17, 1),
    (9, 63, 33, 2),
    (1, 130, 150, 2),
    (20, 7, 3, 16),
    (1, 257, 5, 4),
]


@ZOH
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 2e-6)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernels_equal_the_definition(shape, dtype, tolerance, zoh):
    given = arguments(*shape, dtype=dtype)
    dy = np.random.default_rng(1).standard_normal(given[0].shape).astype(dtype)
    expected, gradients = kernel.plain(*given, dy, zoh=zoh)
    y, states = kernel.forward(*given, zoh=zoh)
    assert y.dtype == dtype and states.size == shape[0] * -(-shape[2] // 16) * 16 * ((shape[1] - 1) // 64) * shape[3]
    assert error([y, *kernel.backward(*given, dy, states, zoh=zoh)], [expected, *gradients]) <= tolerance
    assert (kernel.forward(*given, zoh=zoh, keep=False)[0] == y).all()


@ZOH
def test_large_and_tiny_steps_stay_finite_and_right(zoh):
    """exp(dt A) that underflows, and z so small that the hold's quotient is 0/0."""
    for scale in (1e4, 1e-8, 0.0):
        given = arguments(1, 70, 16, 2, dtype=np.float32)
        given[1] *= np.float32(scale)
        dy = np.ones_like(given[0])
        expected, gradients = kernel.plain(*given, dy, zoh=zoh)
        y, states = kernel.forward(*given, zoh=zoh)
        found = [y, *kernel.backward(*given, dy, states, zoh=zoh)]
        assert all(np.isfinite(value).all() for value in found)
        assert error(found, [expected, *gradients]) <= 1e-5


def test_states_do_not_lose_the_past():
    """A = 0 keeps everything: y_t is the running sum, over many more steps than the two-cumsums trick survives."""
    ones = np.ones((1, 5000, 1))
    y, _ = kernel.forward(ones, ones, np.zeros((1, 1)), ones, ones, np.zeros(1))
    assert (y[0, :, 0] == np.arange(1, 5001)).all()


@pytest.mark.parametrize("shape", [(1, 100, 64, 4), (11, 20, 20, 4)])
def test_result_does_not_depend_on_threads(shape, monkeypatch):
    monkeypatch.setattr(kernel, "SMALL_WORK", 0)
    given, found = arguments(*shape, dtype=np.float32), []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            y, states = kernel.forward(*given)
            found.append([y, *kernel.backward(*given, np.ones_like(y), states)])
    finally:
        torch.set_num_threads(before)
    assert all((a == b).all() for a, b in zip(*found))


@pytest.mark.parametrize("shape", [(0, 5, 4, 2), (2, 0, 4, 2), (1, 1, 1, 1)])
def test_no_sequences_and_no_steps(shape):
    given = arguments(*shape)
    y, states = kernel.forward(*given)
    gradients = kernel.backward(*given, np.ones_like(y), states)
    assert [part.shape for part in gradients] == [part.shape for part in given]
    expected, right = kernel.plain(*given, np.ones_like(y))
    assert error([y, *gradients], [expected, *right]) <= 1e-14
