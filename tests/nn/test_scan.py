"""The scan as torch sees it: every backend against the sequential definition, gradients and second ways to the same
number.
"""

from __future__ import annotations

import pytest
import torch

from graphkit.core.errors import UsageError
from graphkit.kernels.selective_scan import plain
from graphkit.methods.graph.graph_mamba.experiments import naive_scan, scan_arguments
from graphkit.nn import scan as module
from graphkit.nn import selective_scan
from graphkit.nn.scan import BACKENDS

KINDS = pytest.mark.parametrize("backend, kind", [(backend, kind) for backend in BACKENDS for kind in ("euler", "zoh")])
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}


@KINDS
@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("length", [1, 2, 3, 16, 17, 63, 64, 65, 257])
def test_backends_equal_the_sequential_definition(length, dtype, backend, kind):
    arguments = scan_arguments(3, length, 5, 4, dtype)
    dy = torch.randn(3, length, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    y = selective_scan(*arguments, backend=backend, discretization=kind)
    assert y.dtype == dtype
    found = (y, *torch.autograd.grad(y, arguments, dy))
    expected, gradients = plain(*(value.detach().numpy() for value in arguments), dy.numpy(), zoh=kind == "zoh")
    for mine, right in zip(found, (expected, *gradients)):
        right = torch.from_numpy(right)
        assert (mine.double() - right).abs().max() <= TOLERANCE[dtype] * max(1.0, float(right.abs().max()))


@KINDS
def test_gradcheck(backend, kind):
    arguments = scan_arguments(2, 5, 3, 2, torch.float64)
    assert torch.autograd.gradcheck(
        lambda *given: selective_scan(*given, backend=backend, discretization=kind), arguments
    )


def test_chunks_in_turns_change_nothing(monkeypatch):
    arguments = scan_arguments(7, 40, 3, 2, torch.float64)
    whole = selective_scan(*arguments, backend="chunked")
    monkeypatch.setattr(module, "CHUNK_NUMBERS", 16 * 16 * 6 * 2)  # two sequences at a time
    torch.testing.assert_close(selective_scan(*arguments, backend="chunked"), whole)


def test_naive_loop_of_the_claim_is_the_same_function():
    arguments = scan_arguments(1, 9, 4, 2, torch.float64)
    torch.testing.assert_close(naive_scan(*arguments), selective_scan(*arguments, backend="loop"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_strided_and_partial_gradients(backend):
    """Transposed inputs, an expanded output gradient, and arguments that want none."""
    u, dt, A, B, C, D = (value.detach() for value in scan_arguments(2, 30, 4, 3, torch.float64))
    expected = selective_scan(u, dt, A, B, C, D, backend="loop")
    turned = [value.transpose(0, 1).contiguous().transpose(0, 1) for value in (u, dt)]
    turned[0].requires_grad_()
    y = selective_scan(*turned, A, B, C, D, backend=backend)
    torch.testing.assert_close(y, expected)
    y.sum().backward()
    right = plain(*(value.numpy() for value in (u, dt, A, B, C, D)), torch.ones_like(u).numpy())[1][0]
    torch.testing.assert_close(turned[0].grad, torch.from_numpy(right))


@pytest.mark.parametrize("backend", BACKENDS)
def test_half_precision_is_scanned_in_float32(backend):
    arguments = [value.detach() for value in scan_arguments(1, 200, 4, 3, torch.float32)]
    half = [
        arguments[0].bfloat16(),
        arguments[1],
        arguments[2],
        arguments[3].bfloat16(),
        arguments[4].bfloat16(),
        arguments[5],
    ]
    y = selective_scan(*half, backend=backend)
    assert y.dtype == torch.bfloat16
    wide = torch.from_numpy(plain(*(value.float().numpy() for value in half)))
    assert (y.double() - wide).abs().max() <= 2**-8 * wide.abs().max()  # the rounding of the result alone


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch, length", [(0, 4), (2, 0)])
def test_empty(backend, batch, length):
    arguments = scan_arguments(batch, length, 3, 2, torch.float32)
    y = selective_scan(*arguments, backend=backend)
    assert y.shape == (batch, length, 3)
    y.sum().backward()


def test_wrong_words_and_shapes_are_refused():
    u, dt, A, B, C, D = scan_arguments(1, 4, 3, 2, torch.float32)
    for options in ({"backend": "cuda"}, {"discretization": "tustin"}):
        with pytest.raises(UsageError, match="expected one of"):
            selective_scan(u, dt, A, B, C, D, **options)
    with pytest.raises(ValueError, match="B has shape"):
        selective_scan(u, dt, A, B[:, :3], C, D)
    with pytest.raises(ValueError, match="u has shape"):
        selective_scan(u[0], dt, A, B, C, D)
    meta = [value.detach().to("meta") for value in (u, dt, A, B, C, D)]
    with pytest.raises(UsageError, match="expected chunked"):
        selective_scan(*meta, backend="numba")
    assert selective_scan(*meta).shape == (1, 4, 3)  # off the CPU the default is not numba


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("backend", [None, "chunked", "loop"])
def test_cuda_equals_the_definition(backend):
    arguments = scan_arguments(3, 65, 5, 4, torch.float64)
    moved = [value.detach().cuda().requires_grad_() for value in arguments]
    y = selective_scan(*moved, backend=backend)
    found = (y, *torch.autograd.grad(y.sum(), moved))
    expected, gradients = plain(*(value.detach().numpy() for value in arguments), torch.ones(3, 65, 5).numpy())
    for mine, right in zip(found, (expected, *gradients)):
        torch.testing.assert_close(mine.cpu(), torch.from_numpy(right), rtol=1e-9, atol=1e-9)
