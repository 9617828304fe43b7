"""The bidirectional block against its formulas step by step, what pads may touch, and how parameters start."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from graphkit.nn import BiMamba
from graphkit.nn.mamba import CausalConv, MambaLayer, SelectiveSSM, decay_groups, reverse


def test_reverse_keeps_pads_on_the_right():
    x = torch.arange(12.0).view(2, 6, 1)
    assert reverse(x, torch.tensor([6, 2]))[..., 0].tolist() == [[5, 4, 3, 2, 1, 0], [7, 6, 8, 9, 10, 11]]
    assert reverse(x, None)[..., 0].tolist() == [[5, 4, 3, 2, 1, 0], [11, 10, 9, 8, 7, 6]]
    lengths = torch.tensor([3, 0])
    assert torch.equal(reverse(reverse(x, lengths), lengths), x)


@pytest.mark.parametrize("width", [1, 4])
def test_convolution_is_torch_s_depthwise_one(width):
    conv = CausalConv(3, width)
    reference = nn.Conv1d(3, 3, width, groups=3, padding=width - 1)
    with torch.no_grad():
        reference.weight.copy_(conv.weight.t().unsqueeze(1))
        reference.bias.copy_(conv.bias)
    x = torch.randn(2, 7, 3)
    torch.testing.assert_close(conv(x), reference(x.transpose(1, 2))[..., :7].transpose(1, 2))


def by_hand(block, x):
    """The card's formulas for one sequence (L, d), in loops, from the block's weights."""
    z, gate = x @ block.to_input.weight.T, functional.silu(x @ block.to_gate.weight.T)

    def direction(conv, model, z):
        steps, width = len(z), len(conv.weight)
        padded = torch.cat([z.new_zeros(width - 1, z.shape[1]), z])
        u = torch.stack(
            [functional.silu((padded[t : t + width] * conv.weight).sum(0) + conv.bias) for t in range(steps)]
        )
        h, out = z.new_zeros(z.shape[1], model.A_log.shape[1]), []
        for t in range(steps):
            raw, b, c = (u[t] @ model.to_parameters.weight.T).split(model.sizes)
            dt = torch.log1p(torch.exp(raw @ model.to_dt.weight.T + model.to_dt.bias))
            h = torch.exp(-dt[:, None] * model.A_log.exp()) * h + dt[:, None] * b * u[t][:, None]
            out.append(h @ c + model.D * u[t])
        return torch.stack(out)

    forth = direction(block.convs[0], block.models[0], z)
    back = direction(block.convs[1], block.models[1], z.flip(0)).flip(0)
    return (forth * gate + back * gate) @ block.to_output.weight.T


@pytest.mark.parametrize("scan", ["auto", "chunked", "loop"])
@pytest.mark.parametrize("padded", [False, True])
def test_block_equals_its_formulas(padded, scan):
    torch.manual_seed(0)
    block = BiMamba(6, d_state=3, expand=2, scan=scan).double()
    for model in block.models:
        nn.init.normal_(model.D)
        nn.init.normal_(model.to_dt.bias)
    x, lengths = torch.randn(3, 9, 6, dtype=torch.float64), [9, 1, 4]
    found = block(x, torch.tensor(lengths)) if padded else block(x)
    for number, length in enumerate(lengths if padded else [9] * 3):
        torch.testing.assert_close(found[number, :length], by_hand(block, x[number, :length]), rtol=1e-9, atol=1e-11)


def test_pads_change_nothing_and_learn_nothing():
    torch.manual_seed(0)
    block, lengths = BiMamba(8, d_state=4), torch.tensor([12, 1, 5, 70])
    x = torch.randn(4, 90, 8)
    other = x.clone()
    real = torch.arange(90) < lengths[:, None]
    other[~real] = 100.0
    assert torch.equal(block(x, lengths)[real], block(other, lengths)[real])
    x.requires_grad_()
    block(x, lengths)[real].square().sum().backward()
    assert (x.grad[~real] == 0).all() and (x.grad[real].abs().sum(-1) > 0).all()


def test_every_place_sees_all_others_and_knows_their_order():
    torch.manual_seed(0)
    block = BiMamba(6)
    x = torch.randn(1, 20, 6, requires_grad=True)
    for place in (0, 10, 19):
        seen = torch.autograd.grad(block(x)[0, place].sum(), x, retain_graph=True)[0][0].abs().sum(1)
        assert (seen > 0).all()
    swapped = x[:, [1, 0, *range(2, 20)]]
    assert (block(swapped)[0, 19] - block(x)[0, 19]).abs().max() > 0


def test_parameters_start_as_published():
    torch.manual_seed(0)
    model = SelectiveSSM(4000, d_state=5, dt_rank=4)
    assert torch.allclose(-model.A_log.exp(), -torch.arange(1.0, 6).expand(4000, 5))
    assert (model.D == 1).all() and model.to_parameters.bias is None
    assert model.to_dt.weight.abs().max() <= 0.5 and model.to_dt.weight.abs().max() > 0.49
    dt = np.sort(functional.softplus(model.to_dt.bias.detach()).numpy())
    assert dt[0] >= 0.99e-3 and dt[-1] <= 1.01e-1
    # Log-uniform: the quantiles of log dt lie on a line (Kolmogorov's bound at about 1e-3).
    ranks = (np.log(dt) - math.log(1e-3)) / math.log(100)
    assert np.abs(ranks - np.linspace(0, 1, 4000)).max() < 1.95 / 4000**0.5
    assert BiMamba(40).models[0].sizes == (3, 16, 16)  # ceil(40 / 16)
    first, second = BiMamba(8).models
    assert not torch.equal(first.to_parameters.weight, second.to_parameters.weight)


def test_no_decay_on_a_log_and_d_alone():
    model = nn.Sequential(nn.Linear(8, 8), MambaLayer(8), MambaLayer(8))
    groups = decay_groups(model, 0.3)
    names = {id(p): name for name, p in model.named_parameters()}
    free = sorted(names[id(p)] for p in groups[1]["params"])
    assert groups[0]["weight_decay"] == 0.3 and groups[1]["weight_decay"] == 0
    assert free == sorted(name for name in names.values() if name.endswith((".A_log", ".D"))) and len(free) == 8
    assert sum(len(group["params"]) for group in groups) == len(names)
    assert len(decay_groups(nn.Linear(2, 2), 0.1)) == 1


def test_states_are_float32_under_autocast():
    torch.manual_seed(0)
    block, x = BiMamba(16), torch.randn(2, 30, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = block(x)
        dtypes = []
        hook = block.models[0].register_forward_hook(
            lambda module, inputs, output: dtypes.append((inputs[0].dtype, output.dtype))
        )
        block(x)
        hook.remove()
    assert half.dtype == torch.bfloat16 and torch.isfinite(half).all()
    assert block.models[0].A_log.dtype == torch.float32
    assert (half - block(x)).abs().max() <= 0.05 * block(x).abs().max()
    half.float().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in block.parameters())
