"""Backbones with several views against their formulas on dense matrices, sparse against dense features, blocks against
the graph.
"""

from __future__ import annotations

import math

import dgl
import numpy as np
import pytest
import torch

from graphkit.methods.node.lagnn.model import (
    STACKS,
    ViewGAT,
    ViewGCNII,
    ViewStack,
    dropped_linear,
    kept_entries,
    kipf_uniform_,
)
from graphkit.nn.sparse import SparseFeatures

N, F, C = 12, 6, 3


def make_graph(seed=0, loops=True):
    pairs = np.random.default_rng(seed).integers(N - 1, size=(18, 2))  # the last node is isolated
    graph = dgl.to_bidirected(
        dgl.graph(tuple(torch.from_numpy(pairs[pairs[:, 0] != pairs[:, 1]].T.copy())), num_nodes=N)
    )
    return dgl.add_self_loop(graph) if loops else graph


def adjacency(graph):
    """A with A_ij = 1 where i receives from j."""
    a = torch.zeros(graph.num_nodes(), graph.num_nodes())
    src, dst = graph.edges()
    a[dst, src] = 1
    return a


def symmetric(graph):
    a = adjacency(graph)
    scale = a.sum(1).rsqrt()
    return scale[:, None] * a * scale


def mean(graph):
    a = adjacency(graph)
    return a / a.sum(1, keepdim=True).clamp(min=1)


def features(count, seed=0, share=1.0):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(N, F, generator=draw) * (torch.rand(N, F, generator=draw) < share) for _ in range(count)]


def gcn(conv, graph, x):
    return symmetric(graph) @ x @ conv.linear.weight.T + conv.bias


def sage(conv, graph, x):
    own, other = conv.linear.weight.chunk(2)
    return x @ own.T + mean(graph) @ x @ other.T + conv.bias


def gat(conv, graph, x):
    """One node and one head at a time."""
    a, heads = adjacency(graph), []
    degree = a.sum(1)
    weights, own = conv.linear.weight.chunk(2) if conv.residual else (conv.linear.weight, None)
    for head, weight in enumerate(weights.chunk(conv.heads)):
        values, rows = x @ weight.T, []
        for i in range(len(x)):
            senders = a[i].nonzero().flatten().tolist()
            logits = [values[j] @ conv.to_source[0, head] for j in senders]
            if conv.to_target is not None:
                logits = [value + values[i] @ conv.to_target[0, head] for value in logits]
            share = torch.softmax(torch.stack([v if v > 0 else 0.2 * v for v in logits]), 0)
            scale = [(degree[i] / degree[j]).sqrt() if conv.symmetric else 1.0 for j in senders]
            rows.append(sum(p * s * values[j] for p, s, j in zip(share, scale, senders)))
        # A residual layer adds a linear map of its input to each head and has no bias.
        heads.append(torch.stack(rows) + (0 if own is None else x @ own.chunk(conv.heads)[head].T))
    return (sum(heads) / len(heads) if conv.average else torch.cat(heads, 1)) + (0 if conv.bias is None else conv.bias)


LAYERS = {"gcn": gcn, "sage": sage, "gat": gat}


def make(kind, **options):
    torch.manual_seed(0)
    return ViewStack(kind, F, 4, C, **{"heads": 2, "out_heads": 3, **options})


@pytest.mark.parametrize("kind", STACKS)
def test_without_views_it_is_the_plain_network(kind):
    """LAGCN with zero generated views is D^-1/2 A D^-1/2 ReLU(D^-1/2 A D^-1/2 X W1 + b1) W2 + b2; the others alike."""
    graph, (x,), model, layer = make_graph(), features(1), make(kind).eval(), LAYERS[kind]
    hidden = layer(model.first[0], graph, x).clamp(min=0)
    torch.testing.assert_close(model(graph, [x]), layer(model.last, graph, hidden), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", STACKS)
def test_views_have_first_layers_of_their_own_and_wider_layers_behind(kind):
    graph, views, model, layer = (
        make_graph(),
        features(3),
        make(kind, views=3, num_layers=3, act="elu").eval(),
        LAYERS[kind],
    )

    def elu(h):
        return torch.where(h > 0, h, 0.2 * (torch.exp(h) - 1))

    hidden = elu(torch.cat([layer(conv, graph, x) for conv, x in zip(model.first, views)], 1))
    assert hidden.shape[1] == 3 * 4 * (2 if kind == "gat" else 1)
    hidden = elu(layer(model.middle[0], graph, hidden))
    torch.testing.assert_close(model(graph, views), layer(model.last, graph, hidden), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", STACKS)
def test_sum_of_first_layers_is_one_layer_on_concatenated_views(kind):
    graph, views, model, layer = make_graph(), features(2), make(kind, views=2, join="sum").eval(), LAYERS[kind]
    if kind == "gat":
        first = layer(model.first[0], graph, torch.cat(views, 1))
    else:
        wide = ViewStack(kind, 2 * F, 4, C).eval().first[0]
        parts = [conv.linear.weight.chunk(2) if kind == "sage" else (conv.linear.weight,) for conv in model.first]
        wide.linear.weight.data = torch.cat([torch.cat(rows, 1) for rows in zip(*parts)])
        wide.bias.data = sum(conv.bias for conv in model.first).data
        first = layer(wide, graph, torch.cat(views, 1))
    torch.testing.assert_close(model(graph, views), layer(model.last, graph, first.clamp(min=0)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("target", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_attention_of_arxiv(average, target, scaled):
    torch.manual_seed(0)
    conv = ViewGAT(F, 4, heads=3, average=average, target=target, symmetric=scaled).eval()
    torch.nn.init.normal_(conv.bias)
    graph, (x,) = make_graph(), features(1)
    torch.testing.assert_close(conv(graph, x, 0.0), gat(conv, graph, x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_residual_attention_adds_a_linear_map_of_its_input(average, scaled):
    torch.manual_seed(0)
    conv = ViewGAT(F, 4, heads=3, average=average, target=False, symmetric=scaled, residual=True).eval()
    graph, (x,) = make_graph(), features(1)
    torch.testing.assert_close(conv(graph, x, 0.0), gat(conv, graph, x), atol=1e-5, rtol=1e-4)
    assert sum(p.numel() for p in conv.parameters()) == 2 * F * 12 + 12  # W, V and l; no bias
    bound = [float(part.detach().std()) for part in conv.linear.weight.chunk(2)]
    assert bound == pytest.approx([math.sqrt(2) * math.sqrt(2 / (F + 12))] * 2, rel=0.35)  # each as a layer of its own


def test_residual_network_has_one_bias_behind_its_last_layer():
    graph, views, options = make_graph(), features(2), {"residual": True, "target": False, "symmetric": True}
    model = make("gat", views=2, num_layers=3, norm=True, attention=options).eval()
    torch.nn.init.normal_(model.last_bias)
    h = torch.cat([gat(conv, graph, x) for conv, x in zip(model.first, views)], 1)
    h = (h / math.sqrt(1 + 1e-5)).clamp(min=0)
    h = (gat(model.middle[0], graph, h) / math.sqrt(1 + 1e-5)).clamp(min=0)
    expected = gat(model.last, graph, h) + model.last_bias
    torch.testing.assert_close(model(graph, views), expected, atol=1e-5, rtol=1e-4)
    assert [name for name, _ in model.named_parameters() if name.endswith("bias") and "norms" not in name] == [
        "last_bias"
    ]
    assert make("gat").last_bias is None


def test_norm_is_that_of_the_batch_and_stands_before_the_activation():
    graph, views, model = make_graph(), features(2), make("gcn", views=2, norm=True).train()
    h = torch.cat([gcn(conv, graph, x) for conv, x in zip(model.first, views)], 1)
    h = ((h - h.mean(0)) / torch.sqrt(h.var(0, unbiased=False) + 1e-5)).clamp(min=0)
    torch.testing.assert_close(model(graph, views), gcn(model.last, graph, h), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("join", ["concat", "sum"])
def test_gcnii_is_its_formula(join):
    torch.manual_seed(0)
    graph, views, p = make_graph(), features(2), symmetric(make_graph())
    model = ViewGCNII(F, 4, C, views=2, num_layers=3, alpha=0.2, lamda=0.7, join=join).eval()
    parts = [x @ linear.weight.T + linear.bias for linear, x in zip(model.first, views)]
    start = h = torch.cat([part.clamp(min=0) for part in parts], 1) if join == "concat" else sum(parts).clamp(min=0)
    for number, conv in enumerate(model.convs, start=1):
        beta, eye = math.log(0.7 / number + 1), torch.eye(h.shape[1])
        h = ((0.8 * p @ h + 0.2 * start) @ ((1 - beta) * eye + beta * conv.weight)).clamp(min=0)
    torch.testing.assert_close(model(graph, views), h @ model.last.weight.T + model.last.bias, atol=1e-5, rtol=1e-4)
    assert sum(p.numel() for p in model.conv_parameters()) == 3 * h.shape[1] ** 2


@pytest.mark.parametrize("kind", [*STACKS, "gcnii"])
def test_sparse_features_give_the_same_values_and_gradients(kind):
    graph, (view, x) = make_graph(), features(2, share=0.3)
    torch.manual_seed(0)
    model = ViewGCNII(F, 4, C, views=2) if kind == "gcnii" else make(kind, views=2)
    found = []
    for last in (x, SparseFeatures(x)):
        model.zero_grad()
        out = model(graph, [view, last])
        out.square().sum().backward()
        found.append([out.detach(), *(p.grad.clone() for p in model.parameters())])
    for dense, sparse in zip(*found):
        torch.testing.assert_close(sparse, dense, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["gcn", "sage", "gat"])
def test_blocks_with_all_neighbours_equal_the_whole_graph(kind):
    graph, views = make_graph(), features(2)
    model = make(kind, views=2, num_layers=3).eval()
    seeds = torch.tensor([4, 11, 0])
    nodes, _, blocks = dgl.dataloading.MultiLayerFullNeighborSampler(3).sample_blocks(graph, seeds)
    found, expected = model(blocks, [x[nodes] for x in views]), model(graph, views)[seeds]
    if kind != "gcn":
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
        return
    # A block does not know the degrees of its outermost senders; where they have none outside it, it is exact.
    torch.testing.assert_close(found[1], expected[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", [*STACKS, "gcnii"])
def test_order_of_the_nodes_does_not_matter(kind):
    graph, views, order = make_graph(loops=kind != "sage"), features(2), torch.randperm(N)
    model = (ViewGCNII(F, 4, C, views=2) if kind == "gcnii" else make(kind, views=2)).eval()
    src, dst = graph.edges()
    moved = [torch.empty_like(x).index_copy(0, order, x) for x in views]
    found = model(dgl.graph((order[src], order[dst]), num_nodes=N), moved)[order]
    torch.testing.assert_close(found, model(graph, views), atol=1e-5, rtol=1e-4)


def test_views_are_dropped_each_by_itself():
    """With the dropout of the features at 1 nothing of them is left, in any view; that between layers is another."""
    graph, views = make_graph(), features(2)
    model = make("gcn", views=2, input_dropout=1.0).train()
    biases = torch.cat([conv.bias for conv in model.first])
    expected = gcn(model.last, graph, biases.clamp(min=0).expand(N, -1))
    torch.testing.assert_close(model(graph, views), expected)
    assert torch.equal(make("gcn", views=2, dropout=1.0).train()(graph, views), model.last.bias.expand(N, -1))


def test_dropout_keeps_its_share_of_entries_and_their_mean():
    torch.manual_seed(0)
    for rate in (0.1, 0.5, 0.6):
        kept, share = kept_entries((400, 501), rate)
        assert (
            abs(kept.float().mean().item() - share) < 4 * (rate * (1 - rate) / kept.numel()) ** 0.5
            and abs(share - 1 + rate) < 1e-5
        )
        assert kept.float().mean(0).std().item() == pytest.approx(
            (rate * (1 - rate) / 400) ** 0.5, rel=0.2
        )  # columns are independent
    linear, x = torch.nn.Linear(501, 2), torch.rand(400, 501)
    found = torch.stack([dropped_linear(linear, x, 0.6, True) for _ in range(300)])
    spread = (x.square() @ linear.weight.square().T * 0.6 / 0.4).sqrt() / 300**0.5
    assert ((found.mean(0) - linear(x)).abs() / spread).max() < 5
    assert not torch.equal(found[0], found[1])
    torch.manual_seed(5)
    first = dropped_linear(linear, x, 0.6, True)
    torch.manual_seed(5)
    assert torch.equal(dropped_linear(linear, x, 0.6, True), first)
    assert torch.equal(dropped_linear(linear, x, 0.6, False), linear(x)) and torch.equal(
        dropped_linear(linear, x, 0.0, True), linear(x)
    )


def test_weights_start_uniformly_by_the_width_that_they_lead_to():
    torch.manual_seed(0)
    linear = kipf_uniform_(torch.nn.Linear(500, 16))
    assert linear.weight.abs().max() <= 0.25 and abs(linear.weight.mean().item()) < 4 * 0.25 / (3 * 8000) ** 0.5
    assert linear.weight.std().item() == pytest.approx(0.25 / 3**0.5, rel=0.02)
