"""The encoders of raw encodings against their formulas, one node and one frequency at a time."""

from __future__ import annotations

import itertools

import dgl
import pytest
import torch
from torch import nn

from graphkit.nn import encodings
from graphkit.nn.encodings.encoders import EdgeGate, LapEncoder, Positions, RawEncoder, SignNet
from graphkit.nn.encodings.stack import EncodingStack

SRC, DST = [0, 1, 1, 2, 2, 0, 3, 2, 4, 5], [1, 0, 2, 1, 0, 2, 2, 3, 5, 4]


def graph_of():
    return dgl.graph((SRC, DST), num_nodes=7)


def eigenpairs(n=7, k=5, padded=()):
    torch.manual_seed(1)
    raw = torch.randn(n, k, 2)
    for node, first in padded:
        raw[node, first:] = float("nan")
    return raw


def linears(module):
    return [m for m in module.modules() if isinstance(m, nn.Linear)]


def test_lap_encoder_sums_a_small_network_over_the_frequencies_that_are_there():
    module = LapEncoder(6, layers=3).eval()
    widths = [(m.in_features, m.out_features) for m in linears(module)]
    assert widths == [(2, 12), (12, 12), (12, 6)]
    raw = eigenpairs(padded=[(0, 2), (3, 0)])
    found = module(None, raw)
    for node in range(7):
        total = torch.zeros(6)
        for phi, value in raw[node]:
            if not torch.isnan(phi):
                x = torch.stack([phi, value])
                for layer in linears(module):
                    x = torch.relu(layer.weight @ x + layer.bias)
                total += x
        torch.testing.assert_close(found[node], total)
    assert (found[3] == 0).all()


def test_lap_encoder_with_two_layers_has_the_published_widths():
    assert [(m.in_features, m.out_features) for m in linears(LapEncoder(16))] == [(2, 32), (32, 16)]
    assert [(m.in_features, m.out_features) for m in linears(LapEncoder(16, layers=1, post_layers=2))] == [
        (2, 16),
        (16, 16),
        (16, 16),
    ]


def test_lap_encoder_with_a_post_mlp():
    module = LapEncoder(4, post_layers=1).eval()
    raw = eigenpairs()
    plain = LapEncoder(4).eval()
    plain.network.load_state_dict(module.network.state_dict())
    last = linears(module)[-1]
    torch.testing.assert_close(module(None, raw), torch.relu(last(plain(None, raw))))


@pytest.mark.parametrize("kind", ["deepset", "transformer"])
def test_padded_frequencies_count_for_nothing(kind):
    module = LapEncoder(8, kind=kind).eval()
    raw = eigenpairs(k=3)
    wide = torch.cat([raw, torch.full((7, 2, 2), float("nan"))], dim=1)
    torch.testing.assert_close(module(None, wide), module(None, raw), atol=1e-5, rtol=1e-5)


def test_transformer_over_frequencies_does_not_see_their_order_and_survives_padding_alone():
    module = LapEncoder(8, kind="transformer").eval()
    raw = eigenpairs(k=4, padded=[(2, 1)])
    torch.testing.assert_close(module(None, raw[:, [2, 0, 3, 1]]), module(None, raw), atol=1e-5, rtol=1e-5)
    module.train()
    loss = module(None, raw).sum()
    loss.backward()
    assert torch.isfinite(loss) and all(torch.isfinite(p.grad).all() for p in module.parameters())


@pytest.mark.parametrize("kind", ["deepset", "transformer"])
def test_training_draws_one_sign_per_column_for_all_nodes(kind):
    module = LapEncoder(8, kind=kind)
    raw = eigenpairs(k=3)
    module.eval()
    outcomes = {}
    for signs in itertools.product((-1.0, 1.0), repeat=3):
        turned = torch.stack([raw[..., 0] * torch.tensor(signs), raw[..., 1]], dim=-1)
        outcomes[signs] = module(None, turned)
    assert torch.equal(module(None, raw), outcomes[1.0, 1.0, 1.0])  # none in evaluation
    module.train()
    torch.manual_seed(0)
    seen = set()
    for _ in range(60):
        found = module(None, raw)
        matches = [signs for signs, expected in outcomes.items() if torch.allclose(found, expected, atol=1e-5)]
        assert len(matches) == 1  # one choice explains the rows of all nodes
        seen.add(matches[0])
    assert len(seen) == 8


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_raw_encoder_norms_and_then_maps(kind):
    module = RawEncoder(5, 4, kind=kind)
    x = torch.rand(9, 5) * 1e-3
    normed = (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt() * module.norm.weight + module.norm.bias
    expected = normed
    for layer in linears(module):
        expected = expected @ layer.weight.T + layer.bias
        expected = expected if kind == "linear" else torch.relu(expected)
    torch.testing.assert_close(module(None, x), expected)
    assert [m.out_features for m in linears(module)] == ([4] if kind == "linear" else [8, 4])
    assert module(None, x[:1]).shape == (1, 4)  # a single node has no statistics


def batch_norm(norm, x):
    return (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias


def norm_formula(norm, x, there, training):
    """BatchNorm over the rows where ``there``, of all frequencies; x (n, k, d), there (n, k)."""
    rows = x[there]
    mean, var = (rows.mean(0), rows.var(0, unbiased=False)) if training else (norm.running_mean, norm.running_var)
    return (x - mean) / (var + norm.eps).sqrt() * norm.weight + norm.bias


def phi_formula(module, adjacency, x, there, training):
    """GIN layers of MLPs Linear, ReLU, BatchNorm, Linear, with a BatchNorm and no activation between them; x (n, k,
    1).
    """
    for number, mlp in enumerate(module.phi):
        if number:
            x = norm_formula(module.norms[number - 1], x, there, training)
        x = x * there[..., None]
        x = x + torch.einsum("ij,jkd->ikd", adjacency, x)
        first, relu, norm, last = mlp
        assert isinstance(relu, nn.ReLU)
        x = norm_formula(norm, torch.relu(x @ first.weight.T + first.bias), there, training) @ last.weight.T + last.bias
    return x * there[..., None]


@pytest.mark.parametrize("kind", ["mlp", "deepset"])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("padded", [[], [(4, 2), (5, 2), (6, 1)]])
def test_signnet_equals_its_formula(kind, training, padded):
    torch.manual_seed(0)
    module = SignNet(3, 4, kind=kind, hidden_dim=6, layers=3)
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm1d)]
    assert len(norms) == 3 + 2 + (1 if kind == "mlp" else 2)
    for norm in norms:
        for values in (norm.running_mean, norm.weight, norm.bias):
            nn.init.uniform_(values)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    module.train(training)
    adjacency = torch.zeros(7, 7)
    for u, v in zip(SRC, DST):
        adjacency[v, u] += 1
    raw = eigenpairs(k=3, padded=padded)
    there, vectors = ~torch.isnan(raw[..., 0]), torch.nan_to_num(raw[..., :1])
    # v and -v apart: each has statistics of its own.
    out = sum(phi_formula(module, adjacency, sign * vectors, there, training) for sign in (1, -1))
    x = out.flatten(1) if kind == "mlp" else out.sum(1)
    everywhere = torch.ones(7, dtype=torch.bool)
    for layer in module.rho:
        if isinstance(layer, nn.BatchNorm1d):
            x = norm_formula(layer, x, everywhere, training)
        else:
            x = x @ layer.weight.T + layer.bias if isinstance(layer, nn.Linear) else torch.relu(x)
    torch.testing.assert_close(module(graph_of(), raw), x, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind, phi, layers", [("mlp", 4, 2), ("deepset", 64, 3)])
def test_signnet_has_its_published_shape(kind, phi, layers):
    module = SignNet(8, 8, kind=kind)
    assert len(module.phi) == 8 and len(linears(module.rho)) == layers and linears(module.phi)[-1].out_features == phi
    assert linears(module.rho)[0].in_features == (32 if kind == "mlp" else 64)
    between = [type(m) for m in module.rho if not isinstance(m, nn.Linear)]
    assert between == [nn.ReLU, nn.BatchNorm1d] * (layers - 1)


@pytest.mark.parametrize("kind", ["mlp", "deepset"])
def test_signnet_does_not_see_signs_or_eigenvalues(kind):
    module = SignNet(5, 4, kind=kind, hidden_dim=8, layers=4).eval()
    raw = eigenpairs(padded=[(4, 2), (5, 2), (6, 1)])
    turned = torch.stack([raw[..., 0] * torch.tensor([-1.0, 1, -1, -1, 1]), raw[..., 1] * 3 + 1], dim=-1)
    torch.testing.assert_close(module(graph_of(), turned), module(graph_of(), raw), atol=1e-5, rtol=1e-4)
    all_turned = torch.stack([-raw[..., 0], raw[..., 1]], dim=-1)
    module.train()  # batch statistics are those of v and of -v, whichever is which
    torch.testing.assert_close(module(graph_of(), all_turned), module(graph_of(), raw), atol=1e-5, rtol=1e-4)
    module.eval()
    changed = raw.clone()
    changed[0, 0, 0] += 1
    assert not torch.allclose(module(graph_of(), changed)[1], module(graph_of(), raw)[1], atol=1e-4)


def test_signnet_in_a_batch_is_signnet_alone():
    module = SignNet(4, 3, hidden_dim=8, layers=3)
    graphs = [dgl.graph(([0, 1], [1, 0]), num_nodes=n) for n in (2, 6)] + [dgl.graph(([], []), num_nodes=1)]
    (encoding,) = encodings.parse("signnet-mlp:4:3")
    encodings.compute(graphs, [encoding])
    batch = dgl.batch(graphs)
    with torch.no_grad():
        for _ in range(3):
            module.train()(batch, batch.ndata[encoding.key])  # statistics away from their start
        module.eval()
        alone = torch.cat([module(graph, graph.ndata[encoding.key]) for graph in graphs])
        torch.testing.assert_close(module(batch, batch.ndata[encoding.key]), alone, atol=1e-5, rtol=1e-4)


def test_gate_of_an_edge_comes_from_the_distance_of_its_ends():
    gate, place, graph = EdgeGate(6), Positions(4, 6), graph_of()
    raw = eigenpairs(k=4, padded=[(4, 2), (5, 2), (6, 1)])
    positions = place(graph, raw)
    first, last = linears(gate)
    found = gate(graph, positions)
    for edge, (u, v) in enumerate(zip(SRC, DST)):
        ends = [place.linear.weight @ torch.nan_to_num(raw[node, :, 0]) + place.linear.bias for node in (u, v)]
        distance = sum((a - b) ** 2 for a, b in zip(*ends)).reshape(1)
        expected = torch.sigmoid(last.weight @ torch.relu(first.weight @ distance + first.bias) + last.bias)
        torch.testing.assert_close(found[edge], expected, atol=1e-5, rtol=1e-5)
    assert found.shape == (10, 1) and (found > 0).all() and (found < 1).all()
    torch.testing.assert_close(gate(graph, positions + 3), found, atol=1e-4, rtol=1e-4)  # distances alone count


def test_stack_lays_the_encodings_side_by_side():
    chosen = encodings.parse("lappe:3:5,rwse:4:6,elstatic:2,signnet-ds:3:4,peg:3")
    graph = graph_of()
    encodings.compute([graph], chosen)
    stack = EncodingStack(chosen, peg_dim=9).eval()
    found = stack(graph)
    assert stack.dim == 17 and found.shape == (7, 17)
    at = 0
    for encoding, encoder in zip(chosen, stack.encoders):
        torch.testing.assert_close(found[:, at : at + encoding.dim], encoder(graph, graph.ndata[encoding.key]))
        at += encoding.dim
    assert stack.positions(graph).shape == (7, 9)
    empty = EncodingStack([])
    assert empty(graph).shape == (7, 0) and empty.positions(graph) is None
