"""LargeGT's modules against their formulas on dense matrices, one node and one head at a time."""

from __future__ import annotations

import math

import pytest
import torch

from graphkit.methods.node.largegt.config import LargeGTConfig
from graphkit.methods.node.largegt.model import GlobalModule, LargeGT, LocalModule
from graphkit.methods.node.largegt.quantize import BatchNorm


def config(**options):
    return LargeGTConfig(**{"hidden_dim": 6, "heads": 3, "global_dim": 4, "centroids": 5, **options})


def spread(module):
    """Weights large enough for every term to show."""
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)


def linear(layer, x):
    return layer.weight @ x + layer.bias


def layer_norm(layer, x):
    return (x - x.mean()) / torch.sqrt(x.var(unbiased=False) + 1e-5) * layer.weight + layer.bias


def local_formula(module, tokens, d=6, heads=3):
    """o_local of one seed from (L, F) tokens."""
    t = [linear(module.tokens[3], torch.relu(linear(module.tokens[0], token))) for token in tokens]
    t = [linear(module.project, vector) for vector in t]
    normed = [layer_norm(module.norm, vector) for vector in t]
    q, k, v = ([linear(layer, vector) for vector in normed] for layer in (module.query, module.key, module.value))
    wide = []
    for i in range(len(t)):
        parts = []
        for head in range(heads):
            part = slice(head * d, (head + 1) * d)
            scores = torch.stack([q[i][part] @ k[j][part] / math.sqrt(d) for j in range(len(t))])
            parts.append(sum(a * v[j][part] for j, a in enumerate(torch.softmax(scores, 0))))
        y = linear(module.out, torch.cat(parts))
        wide.append(layer_norm(module.final_norm, linear(module.skip, t[i]) + y))
    c, rest = wide[0], wide[1:]
    scores = torch.stack([linear(module.readout, torch.cat([c, r]))[0] for r in rest])
    return c + sum(a * r for a, r in zip(torch.softmax(scores, 0), rest))


def test_local_module_equals_the_formula():
    torch.manual_seed(0)
    module = LocalModule(config(), 7).eval()
    spread(module)
    tokens = torch.randn(4, 9, 7)
    expected = torch.stack([local_formula(module, seed) for seed in tokens])
    torch.testing.assert_close(module(tokens), expected, atol=1e-5, rtol=1e-4)


def test_local_module_without_other_tokens_is_the_seed_alone():
    module = LocalModule(config(), 7).eval()
    tokens = torch.randn(3, 1, 7)
    t = module.project(module.tokens(tokens))
    expected = module.final_norm(module.skip(t) + module.out(module.value(module.norm(t))))
    torch.testing.assert_close(module(tokens), expected[:, 0])


def test_order_of_the_other_tokens_does_not_matter():
    module = LocalModule(config(), 7).eval()
    spread(module)
    tokens, order = torch.randn(2, 6, 7), torch.tensor([0, 3, 5, 1, 2, 4])
    torch.testing.assert_close(module(tokens), module(tokens[:, order]), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(module(tokens), module(tokens[:, order.flip(0)]))


def test_weights_of_the_local_module_start_as_published():
    torch.manual_seed(0)
    module = LocalModule(config(hidden_dim=128, heads=2), 200)
    linears = [m for m in module.modules() if isinstance(m, torch.nn.Linear)]
    mlp = [m for m in module.tokens if isinstance(m, torch.nn.Linear)]
    redrawn = [m for m in linears if all(m is not other for other in mlp)]
    weights = torch.cat([m.weight.flatten() for m in redrawn])
    assert abs(weights.std().item() - 0.02) < 2e-4 and abs(weights.mean().item()) < 2e-4
    assert not any(m.bias.any() for m in redrawn)
    for layer in mlp:  # torch's own start: U(-1/sqrt(in), 1/sqrt(in)), biases too
        bound = layer.in_features**-0.5
        assert (
            layer.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
            and layer.bias.abs().max().item() > 0.9 * bound
        )
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert module.query.weight.shape == (256, 128) and module.out.weight.shape == (256, 256)  # heads of full width


def test_tokens_reach_the_first_norm_with_more_variance_than_its_epsilon():
    """With N(0, .02) in the token MLP too, tokens of unit variance had 3e-6 there, less than the epsilon, 1e-5."""
    torch.manual_seed(0)
    module, seen = LocalModule(config(hidden_dim=64, heads=2), 20).eval(), []
    module.norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    module(torch.randn(50, 9, 20))
    assert float(seen[0].detach().var(-1).mean()) > 10 * module.norm.eps


@pytest.mark.parametrize("hop_tokens, places", [(True, 12), (False, 4)])
def test_place_vectors_are_added_to_the_tokens_of_their_place(hop_tokens, places):
    torch.manual_seed(0)
    options = {"k": 4, "hop_tokens": hop_tokens}
    module = LocalModule(config(place_vectors=True, **options), 7).eval()
    spread(module)
    assert module.places.shape == (places, 6)
    tokens = torch.randn(3, places, 7)
    plain = LocalModule(config(**options), 7).eval()
    plain.load_state_dict({key: value for key, value in module.state_dict().items() if key != "places"})
    assert plain.places is None
    # The same as tokens whose vectors behind the MLP are moved by hand.
    plain.tokens.register_forward_hook(lambda _, given, out: out + module.places)
    torch.testing.assert_close(module(tokens), plain(tokens), atol=1e-5, rtol=1e-5)
    order = torch.cat([torch.zeros(1, dtype=torch.long), 1 + torch.randperm(places - 1)])
    assert not torch.allclose(
        module(tokens), module(tokens[:, order]), atol=1e-3
    )  # without them the order does not matter


def head_norms(model):
    return [module for module in model.head if isinstance(module, BatchNorm)]


def test_settled_statistics_are_the_mean_over_batches_and_nothing_else_changes():
    torch.manual_seed(0)
    model = LargeGT(config(mode="full", dropout=0.5), 7, 3, 30).train()
    batches = [
        (torch.randn(5, 6, 7), torch.randn(5, 7), torch.randn(5, 4), torch.arange(5 * k, 5 * k + 5)) for k in range(3)
    ]
    for batch in batches * 3:
        model(*batch)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    random = torch.get_rng_state()
    model.settle(batches)
    assert (
        torch.equal(torch.get_rng_state(), random)
        and not model.training
        and all(not m.training for m in model.modules())
    )
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert {key.partition(".")[0] for key in changed} == {"head"}
    assert {key.rpartition(".")[2] for key in changed} == {"running_mean", "running_var", "num_batches_tracked"}
    # By hand: both branches as in evaluation, then layer by layer with the statistics of each batch.
    means, variances = [[], []], [[], []]
    for tokens, x, position, nodes in batches:
        h = torch.cat([model.local_module(tokens), model.global_module(x, position, nodes)], 1)
        for number, (layer, norm) in enumerate(zip([model.head[0], model.head[4]], head_norms(model))):
            h = layer(h)
            means[number].append(h.mean(0))
            variances[number].append(h.var(0))
            h = torch.relu((h - h.mean(0)) / torch.sqrt(h.var(0, unbiased=False) + 1e-5) * norm.weight + norm.bias)
    for norm, mean, variance in zip(head_norms(model), means, variances):
        torch.testing.assert_close(norm.running_mean, torch.stack(mean).mean(0))
        torch.testing.assert_close(norm.running_var, torch.stack(variance).mean(0))
        assert norm.momentum == 0.1


@pytest.mark.parametrize("count_bias", [True, False])
def test_global_module_equals_the_formula(count_bias):
    torch.manual_seed(1)
    module = GlobalModule(config(count_bias=count_bias), 7, 30).eval()
    spread(module)
    book = module.codebook
    book.centroids.normal_()
    book.assign(torch.arange(30), torch.arange(30) % 4)  # centroid 4 stays empty
    x, position = torch.randn(3, 7), torch.randn(3, 4)
    z = torch.cat([module.project(module.input(x)), position], 1)
    expected = []
    for vector in z:
        parts = []
        for head in range(3):
            part = slice(head * 6, (head + 1) * 6)
            q = linear(module.query, vector)[part]
            keys = torch.stack([linear(module.key, mu)[part] for mu in book.centroids])
            values = torch.stack([linear(module.value, mu[:4])[part] for mu in book.centroids])
            weight = torch.exp(keys @ q / math.sqrt(6)) * (
                torch.bincount(book.assignments, minlength=5) if count_bias else 1
            )
            parts.append((weight / weight.sum()) @ values)
        expected.append(torch.cat(parts))
    torch.testing.assert_close(module(x, position, torch.arange(3)), torch.stack(expected), atol=1e-5, rtol=1e-4)


def test_a_centroid_weighs_like_as_many_copies_as_it_has_members():
    torch.manual_seed(2)
    module = GlobalModule(config(centroids=3), 7, 6).eval()
    module.codebook.assign(torch.arange(6), torch.tensor([0, 1, 1, 1, 1, 0]))
    copies = GlobalModule(config(centroids=6, count_bias=False), 7, 6).eval()
    state = {key: value for key, value in module.state_dict().items() if "codebook" not in key}
    copies.load_state_dict(state, strict=False)
    copies.codebook.centroids.copy_(module.codebook.centroids[[0, 0, 1, 1, 1, 1]])
    x, position, nodes = torch.randn(4, 7), torch.randn(4, 4), torch.arange(4)
    torch.testing.assert_close(module(x, position, nodes), copies(x, position, nodes), atol=1e-6, rtol=1e-5)


def test_codebook_learns_in_training_alone_and_takes_no_gradient():
    torch.manual_seed(3)
    module = GlobalModule(config(dropout=0.0), 7, 30)
    x, position, nodes = torch.randn(8, 7), torch.randn(8, 4), torch.arange(8)
    before = module.codebook.centroids.clone()
    module.eval()(x, position, nodes)
    assert torch.equal(module.codebook.centroids, before)
    module.train()(x, position, nodes).sum().backward()  # the update between forward and backward does no harm
    assert not torch.equal(module.codebook.centroids, before)
    assert all(p.grad is not None for p in module.parameters()) and module.codebook.unit.grad is None
    assert not any(name.startswith("codebook") for name, _ in module.named_parameters())


def test_forward_reads_the_codebook_before_it_learns():
    torch.manual_seed(4)
    module = GlobalModule(config(dropout=0.0), 7, 30).train()
    module.input = torch.nn.Linear(7, 6)  # without batch statistics both modes give the same z
    x, position, nodes = torch.randn(8, 7), torch.randn(8, 4), torch.arange(8)
    torch.testing.assert_close(module.eval()(x, position, nodes), module.train()(x, position, nodes))


@pytest.mark.parametrize("mode, width", [("local", 18), ("global", 18), ("full", 36)])
@pytest.mark.parametrize("size", [1, 5])
def test_modes_feed_a_head_of_their_width(mode, width, size):
    model = LargeGT(config(mode=mode), 7, 3, 30).train()
    tokens, x, position = torch.randn(size, 6, 7), torch.randn(size, 7), torch.randn(size, 4)
    out = model(
        None if mode == "global" else tokens, *((None, None) if mode == "local" else (x, position)), torch.arange(size)
    )
    assert out.shape == (size, 3) and torch.isfinite(out).all()
    assert [m.weight.shape for m in model.head if isinstance(m, torch.nn.Linear)] == [(18, width), (6, 18), (3, 6)]
