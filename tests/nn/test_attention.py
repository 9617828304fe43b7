"""Attention against a dense softmax or kernel within each graph, one head at a time."""

from __future__ import annotations

import math

import dgl
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphkit.core.errors import UsageError
from graphkit.methods.graph.graphgps import attention
from graphkit.methods.graph.graphgps.attention import (
    KERNELS,
    KINDS,
    SelfAttention,
    check_size,
    orthogonal_features,
    relu_features,
    softmax_features,
)
from graphkit.methods.graph.graphgps.attention_layout import BLOCK, Layout, block_pattern

SIZES = [5, 1, 30, 7, 0, 5, 29, 41]
D, HEADS = 8, 2
ALL = [(kind, kernel) for kind in KINDS for kernel in (KERNELS if kind == "performer" else KERNELS[:1])]
everywhere = pytest.mark.parametrize("kind, kernel", ALL)


def batch(sizes=SIZES):
    graph = dgl.graph(([], []), num_nodes=sum(sizes))
    graph.set_batch_num_nodes(torch.tensor(sizes))
    graph.set_batch_num_edges(torch.zeros(len(sizes), dtype=torch.long))
    return graph


def module(kind, kernel="softmax", dropout=0.0, seed=0):
    torch.manual_seed(seed)
    made = SelfAttention(D, HEADS, kind, dropout, kernel)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def parts(x, sizes=SIZES):
    return x.split(sizes)


def by_hand(made, h, sizes, weights):
    """weights(q, k, size) -> (N, N) rows that sum to 1."""
    out = []
    for part in parts(h, sizes):
        qkv = (part @ made.qkv.weight.T + (0 if made.qkv.bias is None else made.qkv.bias)).view(
            len(part), 3, HEADS, D // HEADS
        )
        heads = [weights(qkv[:, 0, head], qkv[:, 1, head]) @ qkv[:, 2, head] for head in range(HEADS)]
        out.append(torch.cat(heads, dim=1) @ made.out.weight.T + made.out.bias)
    return torch.cat(out)


def softmax_weights(q, k):
    return torch.softmax(q @ k.T / math.sqrt(q.shape[1]), dim=1)


def test_transformer_is_a_softmax_within_each_graph():
    made, h = module("transformer").eval(), torch.randn(sum(SIZES), D)
    torch.testing.assert_close(made(batch(), h), by_hand(made, h, SIZES, softmax_weights), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kernel, features", [("relu", relu_features), ("softmax", softmax_features)])
def test_performer_is_its_kernel_within_each_graph(kernel, features):
    made, h = module("performer", kernel).eval(), torch.randn(sum(SIZES), D)

    def weights(q, k):
        keys = features(k, made.features, keys=True) if kernel == "softmax" else features(k, made.features)
        scores = features(q, made.features) @ keys.T
        return scores / scores.sum(1, keepdim=True) if len(q) else scores

    sizes = [size for size in SIZES if size]
    torch.testing.assert_close(made(batch(), h), by_hand(made, h, sizes, weights), atol=1e-5, rtol=1e-4)


def test_performer_approximates_the_softmax_better_with_more_features():
    made, h = module("performer", "softmax").eval(), 0.4 * torch.randn(sum(SIZES), D)
    with torch.no_grad():
        exact, mean = (
            by_hand(made, h, SIZES, weights)
            for weights in (softmax_weights, lambda q, k: torch.softmax(0 * q @ k.T, dim=1))
        )
        errors = []
        for count in (16, 256, 16_384):
            torch.manual_seed(1)
            made.features = orthogonal_features(D // HEADS, count)
            errors.append(
                float((made(batch(), h) - exact).norm() / (exact - mean).norm())
            )  # 1: no better than equal weights
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.15  # the small term of 1e-4 stays


def test_inner_products_of_relu_features_are_the_arc_cosine_kernel():
    torch.manual_seed(0)
    width, count = 4, 200_000
    x, y = torch.randn(2, width), torch.randn(3, width)
    features = torch.randn(count, width)
    found = (relu_features(x, features) - 1e-3) @ (relu_features(y, features) - 1e-3).T / count
    for i in range(2):
        for j in range(3):
            a, b = x[i] * width**-0.25, y[j] * width**-0.25
            angle = math.acos(float(a @ b / (a.norm() * b.norm())))
            expected = (
                float(a.norm() * b.norm()) / (2 * math.pi) * (math.sin(angle) + (math.pi - angle) * math.cos(angle))
            )
            assert float(found[i, j]) == pytest.approx(expected, rel=0.05, abs=0.005)


def reference_softmax_features(x, features, keys):
    """The reference's formula in NumPy, double precision: the largest of W y, of one query or of all keys, comes off
    before |y|^2 / 2.
    """
    x, features = np.asarray(x, dtype=np.float64), np.asarray(features, dtype=np.float64)
    y = x / x.shape[1] ** 0.25
    projected = y @ features.T
    largest = projected.max() if keys else projected.max(axis=1, keepdims=True)
    return (np.exp(projected - (y**2).sum(axis=1, keepdims=True) / 2 - largest) + 1e-4) / np.sqrt(len(features))


@pytest.mark.parametrize("size", [1, 7, 60])
@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_performer_equals_the_reference_formula(size, scale):
    made, h = module("performer").eval(), scale * torch.randn(size, D)
    qkv = (h @ made.qkv.weight.T).detach().numpy().reshape(size, 3, HEADS, D // HEADS)
    heads = []
    for head in range(HEADS):
        q = reference_softmax_features(qkv[:, 0, head], made.features, keys=False)
        k = reference_softmax_features(qkv[:, 1, head], made.features, keys=True)
        heads.append(q @ (k.T @ qkv[:, 2, head]) / (q @ k.sum(0))[:, None])
    expected = np.concatenate(heads, axis=1) @ made.out.weight.detach().numpy().T + made.out.bias.detach().numpy()
    np.testing.assert_allclose(made(batch([size]), h).detach().numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS)
def test_performer_equals_its_package_at_equal_projections(kernel):
    package = pytest.importorskip(
        "performer_pytorch",
        reason="performer-pytorch is not installed; test_performer_equals_the_reference_formula has its formula",
    )
    torch.manual_seed(0)
    peer = package.SelfAttention(dim=24, heads=3, dropout=0.0, generalized_attention=kernel == "relu").eval()
    mine = SelfAttention(24, 3, "performer", 0.0, kernel, head_dim=64).eval()
    mine.load_state_dict(
        {
            "qkv.weight": torch.cat([peer.to_q.weight, peer.to_k.weight, peer.to_v.weight]),
            "out.weight": peer.to_out.weight,
            "out.bias": peer.to_out.bias,
            "features": peer.fast_attention.projection_matrix,
        }
    )
    for scale in (0.1, 1.0, 3.0):
        h = scale * torch.randn(50, 24)
        torch.testing.assert_close(mine(batch([50]), h), peer(h[None])[0], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS)
def test_performer_drops_entries_of_its_output_and_no_whole_keys(kernel):
    made, h = module("performer", kernel, dropout=0.5), torch.randn(2000, D)
    with torch.no_grad():
        exact, found = made.eval()(batch([2000]), h), made.train()(batch([2000]), h)
    kept = found != 0
    torch.testing.assert_close(found[kept], 2 * exact[kept], atol=1e-5, rtol=1e-4)
    assert abs(float(kept.float().mean()) - 0.5) < 0.02
    assert 0 < float(kept.float().mean(1).std()) < 0.3  # entry by entry: a row is seldom kept or dropped as a whole


def test_softmax_features_do_not_overflow():
    features = orthogonal_features(4, 64)
    x = 50 * torch.randn(6, 4)
    found = softmax_features(x, features)
    assert torch.isfinite(found).all() and (found >= 1e-4).all() and float(found.max()) <= 1.0 + 1e-3


def test_random_features_are_orthogonal_in_groups_with_the_length_of_gaussian_vectors():
    torch.manual_seed(0)
    w = orthogonal_features(8, 20)
    assert w.shape == (20, 8)
    for group in w.split(8):
        unit = group / group.norm(dim=1, keepdim=True)
        torch.testing.assert_close(unit @ unit.T, torch.eye(len(group)), atol=1e-5, rtol=0)
    many = orthogonal_features(8, 20_000)
    assert (many.mean(0).abs() < 0.05).all()  # no direction is preferred
    lengths = many.norm(dim=1)
    assert float(lengths.square().mean()) == pytest.approx(8, rel=0.03) and float(lengths.std()) > 0.3
    assert len(orthogonal_features(16)) == int(16 * math.log(16)) and len(orthogonal_features(2)) == 2


def allowed(n, seed):
    """(N, N) which pairs the sparse pattern joins, from the numbers of the blocks."""
    blocks = -(-n // BLOCK)
    table, seen = block_pattern(blocks, seed), torch.zeros(n, n, dtype=torch.bool)
    for i in range(n):
        for j in range(n):
            ends = i // BLOCK in (0, blocks - 1)
            seen[i, j] = ends or j // BLOCK in table[i // BLOCK]
    return seen


def test_bigbird_is_a_softmax_over_its_pattern():
    made, h = module("bigbird").eval(), torch.randn(sum(SIZES), D)

    def weights(q, k):
        scores = q @ k.T / math.sqrt(q.shape[1])
        return torch.softmax(scores.masked_fill(~allowed(len(q), int(made.seed)), -math.inf), dim=1)

    torch.testing.assert_close(made(batch(), h), by_hand(made, h, SIZES, weights), atol=1e-5, rtol=1e-4)


def test_pattern_has_neighbours_ends_and_three_random_blocks():
    table = block_pattern(50, 7)
    assert table.shape == (50, 8)
    drawn = []
    for block, row in enumerate(table.tolist()):
        chosen = [other for other in row if other >= 0]
        assert len(set(chosen)) == len(chosen) and all(0 <= other < 50 for other in chosen)
        fixed = {other for other in (block - 1, block, block + 1, 0, 49) if 0 <= other < 50}
        assert fixed <= set(chosen) and len(chosen) == len(fixed) + 3
        drawn += sorted(set(chosen) - fixed)
    assert len(set(drawn)) > 30
    assert not np.array_equal(table, block_pattern(50, 8))
    assert all(
        sorted(row) == list(range(5)) for row in block_pattern(5, 7).tolist()
    )  # a small graph sees all of itself


@everywhere
@pytest.mark.parametrize("training", [False, True])
def test_no_graph_sees_another(kind, kernel, training):
    made, h = module(kind, kernel).train(training), torch.randn(sum(SIZES), D, requires_grad=True)
    out = made(batch(), h)
    for number, part in enumerate(parts(out)):
        if len(part):
            (gradient,) = torch.autograd.grad(part.sum(), h, retain_graph=True)
            inside = [float(piece.abs().sum()) > 0 for piece in parts(gradient)]
            assert inside == [k == number for k in range(len(SIZES))]


@everywhere
def test_a_batch_gives_what_each_graph_gives_alone(kind, kernel):
    made, h = module(kind, kernel).eval(), torch.randn(sum(SIZES), D)
    alone = torch.cat([made(batch([len(part)]), part) for part in parts(h)])
    torch.testing.assert_close(made(batch(), h), alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind, kernel", [pair for pair in ALL if pair[0] != "bigbird"])
def test_nodes_can_be_renumbered(kind, kernel):
    made, h = module(kind, kernel).eval(), torch.randn(12, D)
    order = torch.randperm(12)
    torch.testing.assert_close(made(batch([12]), h[order]), made(batch([12]), h)[order], atol=1e-5, rtol=1e-4)


@everywhere
def test_dropout_of_the_weights_is_right_on_average(kind, kernel):
    made, h, copies = module(kind, kernel, dropout=0.3), torch.randn(27, D), 2000
    with torch.no_grad():
        torch.manual_seed(0)
        draws = made(batch([27] * copies), h.repeat(copies, 1)).view(copies, 27, D)
        exact = made.eval()(batch([27]), h)
    assert not torch.allclose(draws[0], exact, atol=1e-2) and not torch.allclose(draws[0], draws[1], atol=1e-2)
    assert ((draws.mean(0) - exact).abs() <= 5 * draws.std(0) / copies**0.5 + 1e-4).all()


def test_dropping_all_weights_leaves_the_bias():
    made = module("transformer", dropout=1.0)
    torch.testing.assert_close(made(batch(), torch.randn(sum(SIZES), D)), made.out.bias.expand(sum(SIZES), D))


def test_starts_as_torch_multi_head_attention():
    made = SelfAttention(64, 4)
    bound = math.sqrt(6 / (64 + 3 * 64))
    assert float(made.qkv.weight.detach().abs().max()) == pytest.approx(bound, rel=0.01)
    assert not made.qkv.bias.any() and not made.out.bias.any()
    assert SelfAttention(64, 4, "performer").qkv.bias is None


def test_equals_torch_multi_head_attention():
    made, h = module("transformer").eval(), torch.randn(9, D)
    peer = torch.nn.MultiheadAttention(D, HEADS, batch_first=True).eval()
    peer.load_state_dict(
        {
            "in_proj_weight": made.qkv.weight,
            "in_proj_bias": made.qkv.bias,
            "out_proj.weight": made.out.weight,
            "out_proj.bias": made.out.bias,
        }
    )
    torch.testing.assert_close(made(batch([9]), h), peer(h[None], h[None], h[None])[0][0], atol=1e-5, rtol=1e-4)


def test_too_large_a_graph_for_all_pairs_is_refused_before_it_is_tried(monkeypatch):
    check_size("transformer", attention.FULL_NODES)
    check_size("performer", 10**6)
    with pytest.raises(UsageError, match=r"--attn transformer: found a graph of 20,000 nodes.*--attn performer"):
        check_size("transformer", 20_000)
    monkeypatch.setattr(attention, "FULL_NODES", 4)
    with pytest.raises(UsageError, match="5 nodes"):
        module("transformer")(batch([2, 5]), torch.randn(7, D))


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="3 heads do not divide a width of 8"):
        SelfAttention(8, 3)


def test_heads_of_another_width():
    made, h = SelfAttention(6, 4, "performer", kernel="relu", head_dim=5).eval(), torch.randn(9, 6)
    assert made.qkv.weight.shape == (60, 6) and made.out.weight.shape == (6, 20) and made.features.shape == (8, 5)
    q, k, v = (made.qkv.weight @ h.T).T.view(9, 3, 4, 5).unbind(1)
    heads = []
    for head in range(4):
        scores = relu_features(q[:, head], made.features) @ relu_features(k[:, head], made.features).T
        heads.append(scores / scores.sum(1, keepdim=True) @ v[:, head])
    torch.testing.assert_close(
        made(batch([9]), h), torch.cat(heads, dim=1) @ made.out.weight.T + made.out.bias, atol=1e-5, rtol=1e-4
    )


def test_random_parts_are_saved_with_the_weights():
    for kind, name in (("performer", "features"), ("bigbird", "seed")):
        one, other, h = module(kind, seed=0).eval(), module(kind, seed=5).eval(), torch.randn(60, D)
        other.load_state_dict(one.state_dict())
        assert name in one.state_dict()
        assert torch.equal(one(batch([60]), h), other(batch([60]), h))


@settings(max_examples=40)
@given(st.lists(st.integers(0, 40), max_size=12))
def test_layout_holds_every_node_once_and_pads_little(sizes):
    layout = Layout.of_sizes(np.array(sizes, dtype=np.int64))
    x = torch.arange(sum(sizes))
    found = [bucket.rows_of(bucket.padded(x)) for bucket in layout.buckets]
    back = torch.cat(found)[layout.order] if found else x
    assert torch.equal(back, x)
    owner = torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes))
    for bucket in layout.buckets:
        length = bucket.rows.shape[1]
        mask = torch.ones_like(bucket.rows, dtype=torch.bool) if bucket.mask is None else bucket.mask
        assert all(len(set(owner[row].tolist())) == 1 for row in bucket.rows)  # the padding is of the same graph
        assert (mask.sum(1) >= 0.8 * length - 2).all()
    assert layout.largest == max(sizes, default=0)
