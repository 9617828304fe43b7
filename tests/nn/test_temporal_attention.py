"""Temporal attention and sum against loops over rows, links and heads; cosines of time against their formula."""

import math

import pytest
import torch

from graphkit.core.errors import UsageError
from graphkit.nn.temporal_attention import TemporalAttention, TemporalLayers, TemporalSum
from graphkit.nn.time_encoding import TimeEncoding


def problem(seed, rows=7, links=25, in_dim=5, edge_dim=2, time_dim=3):
    generator = torch.Generator().manual_seed(seed)
    row = torch.sort(torch.randint(0, rows, (links,), generator=generator)).values
    row[row == 2] = 3  # row 2 has no links
    own = torch.randn(rows, in_dim, generator=generator, requires_grad=True)
    seen = torch.randn(links, in_dim + edge_dim + time_dim, generator=generator, requires_grad=True)
    return own, torch.randn(1, time_dim, generator=generator), seen, torch.sort(row).values


def attention_of_a_row(layer, own, present, seen):
    """One row with its links, head by head."""
    query, out = layer.query(torch.cat([own, present])), []
    for head in range(layer.heads):
        part = slice(head * layer.width, (head + 1) * layer.width)
        if len(seen) == 0:
            out.append(torch.zeros(layer.width))
            continue
        scores = torch.stack([(layer.key(x)[part] * query[part]).sum() / math.sqrt(layer.width) for x in seen])
        out.append((torch.softmax(scores, 0)[:, None] * torch.stack([layer.value(x)[part] for x in seen])).sum(0))
    return layer.merge.layers(torch.cat([*out, own]))


def sum_of_a_row(layer, own, present, seen):
    total = sum((layer.links(x) for x in seen), torch.zeros(layer.links.out_features))
    return layer.out(torch.cat([own, torch.relu(total)]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("in_dim, edge_dim, heads", [(5, 2, 2), (5, 0, 1), (0, 0, 3), (0, 2, 2)])
@pytest.mark.parametrize("kind", ["attention", "sum"])
def test_layer_is_that_of_loops_with_its_gradients(seed, in_dim, edge_dim, heads, kind):
    torch.manual_seed(seed)
    layer = (
        TemporalAttention(in_dim, edge_dim, 3, 6, heads, 0.0)
        if kind == "attention"
        else TemporalSum(in_dim, edge_dim, 3, 6)
    )
    own, present, seen, row = problem(seed, in_dim=in_dim, edge_dim=edge_dim)
    assert (row != 2).all()
    plain = attention_of_a_row if kind == "attention" else sum_of_a_row
    found = layer(own, present, seen, row)
    wanted = torch.stack([plain(layer, own[r], present[0], seen[row == r]) for r in range(len(own))])
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    weight, learned = torch.randn_like(wanted), [p for p in (own, seen, *layer.parameters()) if p.numel()]
    for a, b in zip(
        torch.autograd.grad((found * weight).sum(), learned), torch.autograd.grad((wanted * weight).sum(), learned)
    ):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_rows_without_any_link_and_no_rows():
    layer = TemporalAttention(4, 0, 3, 6, 2, 0.1)
    own, none = torch.randn(3, 4), torch.zeros(0, 7)
    wanted = layer.merge(torch.zeros(3, 6), own)
    torch.testing.assert_close(layer(own, torch.zeros(1, 3), none, torch.zeros(0, dtype=torch.int64)), wanted)
    assert layer(own[:0], torch.zeros(1, 3), none, torch.zeros(0, dtype=torch.int64)).shape == (0, 6)


def test_dropped_weights_are_zero_or_scaled():
    layer = TemporalAttention(2, 0, 2, 4, 1, 0.5)
    row, seen = torch.zeros(40, dtype=torch.int64), torch.zeros(40, 4)
    seen[:, 0] = 1.0
    layer.merge = torch.nn.Identity()
    layer.merge.forward = lambda attended, own: attended
    torch.manual_seed(0)
    found = torch.stack([layer(torch.zeros(1, 2), torch.zeros(1, 2), seen, row)[0] for _ in range(50)]).detach()
    whole = layer.value(seen[0]).detach()
    share = found[:, 0] / whole[0]  # of 40 equal weights each stays with probability 1/2, and counts twice
    assert (
        torch.allclose(share * 20, (share * 20).round(), atol=1e-3)
        and share.std() > 0.05
        and abs(share.mean() - 1) < 0.15
    )
    layer.eval()
    torch.testing.assert_close(layer(torch.zeros(1, 2), torch.zeros(1, 2), seen, row)[0], whole)


def test_heads_divide_the_width():
    with pytest.raises(UsageError, match=r"--hidden-dim is 10, expected a multiple of --heads \(3\)"):
        TemporalLayers("attention", TimeEncoding(2), 4, 0, 2, 10, layers=1, heads=3, dropout=0.0)


def test_cosines_of_time_and_their_gradients():
    encoding = TimeEncoding(6)
    with torch.no_grad():
        encoding.phase.copy_(torch.linspace(-1, 1, 6))
    time = torch.tensor([0.0, 1.5, 3600.25, 1.6e9, 1.6e9 + 1], dtype=torch.float64)
    found = encoding(time)
    frequency, phase = (p.detach().double().requires_grad_() for p in (encoding.frequency, encoding.phase))
    wanted = torch.cos(time[:, None] * frequency + phase)
    torch.testing.assert_close(found.double(), wanted, rtol=0, atol=1e-6)
    weight = torch.randn(5, 6, dtype=torch.float64)
    mine = torch.autograd.grad((found.double() * weight).sum(), [encoding.frequency, encoding.phase])
    theirs = torch.autograd.grad((wanted * weight).sum(), [frequency, phase])
    # d/dw = -t sin(t w + b): float32 sines keep 7 digits of one, not of what is left of large terms that cancel.
    scale = (time.abs()[:, None] * weight.abs()).sum(0)
    assert ((mine[0].double() - theirs[0]).abs() <= 1e-6 * scale).all()
    torch.testing.assert_close(mine[1].double(), theirs[1], rtol=0, atol=1e-5)
