"""The generator's loss against its formula, its two halves against one, and its file against damage."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch.distributions import Normal, kl_divergence

from graphkit.core.errors import DataError
from graphkit.methods.node.lagnn import cvae
from graphkit.methods.node.lagnn.cvae import CVAE, fitting_forms, gaussian_kl, load_generator, save_generator


def linear(layer, x):
    return torch.stack([layer.weight @ row + layer.bias for row in x])


def batch_norm(layer, x):
    return (x - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + 1e-5) * layer.weight + layer.bias


def decoded(model, z, c):
    """What the decoder says before its last activation, from the concatenation [z, c]."""
    hidden = linear(model.decoder, torch.cat([z, c], 1))
    if model.norms:
        hidden = batch_norm(model.norms["decoder"], hidden)
    out = linear(model.to_features, hidden.clamp(min=0))
    return batch_norm(model.norms["to_features"], out) if model.norms else out


def test_kl_is_that_of_the_distributions():
    mean, logvar = torch.randn(7, 4), torch.randn(7, 4)
    expected = kl_divergence(Normal(mean, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(gaussian_kl(mean, logvar), expected)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("reconstruction, output", [("bce", "sigmoid"), ("squared", "tanh"), ("squared", "none")])
def test_loss_equals_its_formula(monkeypatch, reconstruction, output, norm):
    torch.manual_seed(0)
    model = CVAE(5, hidden=6, latent=3, norm=norm, output=output, reconstruction=reconstruction)
    for layer in model.norms.values():
        torch.nn.init.uniform_(layer.weight, 0.5, 2)
        torch.nn.init.normal_(layer.bias)
    x, c, noise = torch.rand(8, 5), torch.rand(8, 5), torch.randn(8, 3)
    monkeypatch.setattr(cvae.torch, "randn_like", lambda like: noise)
    hidden = linear(model.encoder, torch.cat([x, c], 1))
    hidden = (batch_norm(model.norms["encoder"], hidden) if norm else hidden).clamp(min=0)
    mean, logvar = linear(model.mean, hidden), linear(model.logvar, hidden)
    out = decoded(model, mean + (logvar / 2).exp() * noise, c)
    if reconstruction == "bce":
        p = 1 / (1 + torch.exp(-out))
        error = -(x * p.log() + (1 - x) * (1 - p).log())
    else:
        error = ((torch.tanh(out) if output == "tanh" else out) - x) ** 2
    kl = -0.5 * (1 + logvar - mean**2 - torch.exp(logvar))
    torch.testing.assert_close(model.loss(x, c), (error.sum() + kl.sum()) / 8)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("output", ["sigmoid", "tanh", "none"])
def test_generation_equals_the_decoder_on_both_inputs(output, norm):
    torch.manual_seed(1)
    model = CVAE(
        5, hidden=6, latent=3, norm=norm, output=output, reconstruction="squared"
    ).eval()  # the norm stays that of the batch
    z, c = torch.randn(9, 3), torch.rand(9, 5)
    expected = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "none": lambda x: x}[output](decoded(model, z, c))
    torch.testing.assert_close(model.decode(z, c), expected)
    torch.testing.assert_close(model.decode(z, context=model.context(c)), expected)


def test_a_single_row_passes_the_norm():
    model = CVAE(5, hidden=6, latent=3, norm=True, output="tanh", reconstruction="squared")
    assert torch.isfinite(model.loss(torch.rand(1, 5), torch.rand(1, 5)))


def test_forms_follow_the_range_of_the_features():
    assert fitting_forms(torch.tensor([[0.0, 1.0]])) == ("bce", "sigmoid")
    assert fitting_forms(torch.tensor([[-0.5, 1.0]])) == ("squared", "tanh")
    assert fitting_forms(torch.tensor([[0.0, 1.1]])) == ("squared", "none")
    with pytest.raises(ValueError, match="sigmoid"):
        CVAE(5, output="tanh", reconstruction="bce")


def test_it_learns_what_depends_on_the_condition():
    """x is a noisy copy of c: at z = 0 the true condition tells x better than another one."""
    torch.manual_seed(2)
    model = CVAE(12, hidden=32, latent=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def draw(count):
        c = (torch.rand(count, 12) < 0.5).float()
        return c, torch.where(torch.rand(count, 12) < 0.05, 1 - c, c)

    for _ in range(200):
        c, x = draw(64)
        optimizer.zero_grad()
        model.loss(x, c).backward()
        optimizer.step()
    c, x = draw(500)
    with torch.no_grad():
        true, other = (
            float((model.decode(torch.zeros(500, 2), part) - x).abs().sum(1).mean()) for part in (c, c.roll(1, 0))
        )
    assert true < 0.5 * other


# The file


@pytest.fixture
def saved(tmp_path):
    model = CVAE(5, hidden=6, latent=3, norm=True, output="tanh", reconstruction="squared")
    save_generator(tmp_path / "g.safetensors", model, dataset="tiny")
    return model, tmp_path / "g.safetensors"


def test_file_gives_the_same_generator_back(saved):
    model, path = saved
    again, z, c = load_generator(path), torch.randn(4, 3), torch.rand(4, 5)
    assert again.about == model.about
    assert torch.equal(again.decode(z, c), model.decode(z, c))


def test_damage_is_one_line(saved, tmp_path):
    _, path = saved
    words = path.read_bytes()
    for number, cut in enumerate((0, 4, 100, len(words) - 1)):
        part = tmp_path / f"{number}.safetensors"
        part.write_bytes(words[:cut])
        with pytest.raises(DataError, match="not a safetensors file"):
            load_generator(part)
    with pytest.raises(DataError, match="no such file"):
        load_generator(tmp_path / "none.safetensors")
    (tmp_path / "p").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(DataError, match="not a safetensors file"):
        load_generator(tmp_path / "p")


def test_files_that_claim_other_things_are_refused(saved, tmp_path):
    model, _ = saved
    state = {key: value.detach() for key, value in model.state_dict().items()}

    def refused(state, words):
        save_file(state, str(tmp_path / "x"), words)
        with pytest.raises(DataError) as caught:
            load_generator(tmp_path / "x")
        return str(caught.value)

    good = {"form": cvae.FORM, "model": json.dumps(model.about)}
    assert "expected a generator" in refused(state, {})
    assert "expected a generator" in refused(state, {**good, "form": "something else"})
    assert "damaged" in refused(state, {"form": cvae.FORM})
    assert "damaged" in refused(state, {**good, "model": "[1"})
    # Sizes that the weights do not have must not take memory first.
    assert "damaged" in refused(
        state, {**good, "model": json.dumps({**model.about, "features": 10**9, "hidden": 10**6})}
    )
    assert "damaged" in refused(state, {**good, "model": json.dumps({**model.about, "os": "x"})})
    assert "damaged" in refused({key: value for key, value in state.items() if key != "mean.bias"}, good)
