"""The GraphGPS layer, model and heads against their formulas."""

from __future__ import annotations

import dgl
import pytest
import torch
from torch import nn

from graphkit.core.errors import UsageError
from graphkit.methods.graph.graphgps import attention
from graphkit.methods.graph.graphgps.attention_layout import Layout
from graphkit.methods.graph.graphgps.config import ATTENTION, GraphGPSConfig
from graphkit.methods.graph.graphgps.config import LOCAL as WORDS
from graphkit.methods.graph.graphgps.method import GraphGPS
from graphkit.methods.graph.graphgps.model import GPS, GPSLayer, check
from graphkit.nn import encodings, local_layers
from graphkit.nn.heads import GraphHead, NodeHead, pool
from graphkit.nn.inputs import Dims

SIZES, D = [6, 1, 3, 9], 8


def graphs(sizes=SIZES, seed=0):
    rng, found = torch.Generator().manual_seed(seed), []
    for n in sizes:
        ends = torch.randint(n, (2, 2 * n), generator=rng)
        graph = dgl.to_bidirected(dgl.graph((ends[0], ends[1]), num_nodes=n))
        found.append(dgl.remove_self_loop(graph))
    return found


def spread(module):
    for m in module.modules():
        if isinstance(m, nn.BatchNorm1d):
            nn.init.normal_(m.running_mean, std=0.3)
            nn.init.uniform_(m.running_var, 0.5, 2)
            nn.init.normal_(m.weight)
            nn.init.normal_(m.bias)
        if isinstance(m, nn.LayerNorm):
            nn.init.normal_(m.weight)
            nn.init.normal_(m.bias)
    return module


def norm_formula(norm, x, training):
    if isinstance(norm, nn.Identity):
        return x
    if isinstance(norm, nn.LayerNorm):
        mean, var = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
    elif training:
        mean, var = x.mean(0), x.var(0, unbiased=False)
    else:
        mean, var = norm.running_mean, norm.running_var
    return (x - mean) / (var + norm.eps).sqrt() * norm.weight + norm.bias


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("local", ["gatedgcn", "gine", "none"])
@pytest.mark.parametrize("attn", ["transformer", "none"])
@pytest.mark.parametrize("training", [False, True])
def test_layer_equals_its_formula(norm, local, attn, training):
    if local == attn == "none":
        return
    torch.manual_seed(0)
    layer = spread(GPSLayer(D, local=local, attn=attn, heads=2, norm=norm)).train(training)
    graph = dgl.batch(graphs())
    h, e = torch.randn(graph.num_nodes(), D), torch.randn(graph.num_edges(), D)
    x, new_e = 0, e
    if local != "none":
        out, new_e = layer.local(graph, h, e)
        # GatedGCN has its residual inside; the others get one here.
        x = x + norm_formula(layer.local_norm, out if local == "gatedgcn" else h + out, training)
    if attn != "none":
        x = x + norm_formula(layer.attn_norm, h + layer.attn(graph, h), training)
    first, act, _, last, _ = layer.feed_forward
    assert (first.in_features, first.out_features, last.out_features) == (D, 2 * D, D) and isinstance(act, nn.ReLU)
    expected = norm_formula(layer.out_norm, x + last(torch.relu(first(x))), training)
    found, edges = layer(graph, h, e, Layout.of(graph))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(edges, new_e)
    assert (edges is e) == (local != "gatedgcn")


def test_the_norms_of_a_layer_are_three():
    layer = GPSLayer(D)
    assert len({id(norm) for norm in (layer.local_norm, layer.attn_norm, layer.out_norm)}) == 3


def test_dropout_falls_on_both_branches_and_in_the_feed_forward_part_but_not_around_gatedgcn():
    graph = dgl.batch(graphs())
    h, e = torch.randn(graph.num_nodes(), D), torch.randn(graph.num_edges(), D)
    # With all dropped each branch passes its residual: h + h for two branches, and the feed-forward part adds nothing.
    for local in ("gine", "gatedgcn"):
        layer = GPSLayer(D, local=local, heads=2, dropout=1.0, norm="none").train()
        torch.testing.assert_close(layer(graph, h, e, Layout.of(graph))[0], 2 * h)
    layer = GPSLayer(D, local="gatedgcn", attn="none", dropout=0.0, norm="none").train()
    layer.dropout.p = 1.0  # only what is around the local layer
    x, _ = layer.local(graph, h, e)
    torch.testing.assert_close(layer(graph, h, e, Layout.of(graph))[0], x + layer.feed_forward(x))


@pytest.mark.parametrize("local", ["gine", "gatedgcn"])
def test_peg_weighs_the_messages_of_the_local_layer(local):
    torch.manual_seed(0)
    layer = GPSLayer(D, local=local, heads=2, norm="none", peg=True).eval()
    graph = dgl.batch(graphs())
    h, e, place = (
        torch.randn(graph.num_nodes(), D),
        torch.randn(graph.num_edges(), D),
        torch.randn(graph.num_nodes(), D),
    )
    u, v = graph.edges()
    factor = torch.sigmoid(layer.gate.network((place[u] - place[v]).square().sum(1, keepdim=True)))
    out, _ = layer.local(graph, h, e, edge_gate=factor)
    x = (out if local == "gatedgcn" else h + out) + h + layer.attn(graph, h)
    found, _ = layer(graph, h, e, Layout.of(graph), place)
    torch.testing.assert_close(found, x + layer.feed_forward(x), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(found, layer(graph, h, e, Layout.of(graph), 2 * place)[0], atol=1e-4)


def test_gat_attends_to_the_node_itself():
    """In the whole model: every node has a message of its own, with the mean of its incoming edge vectors; loops of the
    data go.
    """
    torch.manual_seed(0)
    options = config(local="gat", attn="none", num_layers=1, norm="none")
    model = GPS(options, [], dims("node")).eval()
    graph = dgl.graph(([0, 1, 2, 3, 3], [1, 2, 1, 1, 3]), num_nodes=5)  # 3 has a loop, 4 nothing
    x, raw = torch.randn(5, 3), torch.randn(5, 2)
    h, e = model.node_input(x, graph), model.edge_input(raw, graph)
    gat, expected = model.layers[0].local, []
    incoming = {1: [(0, e[0]), (2, e[2]), (3, e[3])], 2: [(1, e[1])]}
    values = gat.linear(h).view(5, 2, -1)
    for i in range(5):
        edges = incoming.get(i, [])
        own = torch.stack([vector for _, vector in edges]).mean(0) if edges else torch.zeros(16)
        heads = []
        for head in range(2):
            scores = [
                gat.to_target[0, head] @ values[i, head]
                + gat.to_source[0, head] @ values[j, head]
                + gat.edge(vector)[head]
                for j, vector in [*edges, (i, own)]
            ]
            weights = torch.softmax(nn.functional.leaky_relu(torch.stack(scores), 0.2), 0)
            heads.append(sum(w * values[j, head] for w, (j, _) in zip(weights, [*edges, (i, own)])))
        expected.append(torch.cat(heads) + gat.bias)
    out = h + torch.stack(expected)
    out = model.head(graph, out + model.layers[0].feed_forward(out))
    torch.testing.assert_close(model(graph, x, raw), out, atol=1e-5, rtol=1e-5)


def config(**options):
    return GraphGPSConfig(**{"num_layers": 2, "hidden_dim": 16, "heads": 2, "attn_dropout": 0.0, **options})


def dims(task="graph", **sizes):
    return Dims(**{"in_dim": 3, "edge_dim": 2, "out_dim": 5, "task": task, **sizes})


def model_and_data(options, task="graph", sizes=SIZES):
    torch.manual_seed(0)
    chosen = encodings.parse(options.pe)
    parts = graphs(sizes)
    encodings.compute(parts, chosen)
    for graph in parts:
        graph.ndata["x"], graph.edata["e"] = torch.randn(graph.num_nodes(), 3), torch.randn(graph.num_edges(), 2)
    return spread(GPS(options, chosen, dims(task))).eval(), parts


def run(model, graph):
    return model(graph, graph.ndata["x"], graph.edata["e"])


PES = "lappe:3:3,rwse:4:3,elstatic:2"


@pytest.mark.parametrize("task", ["node", "graph"])
@pytest.mark.parametrize(
    "local, attn",
    [("gatedgcn", "transformer"), ("gine", "performer"), ("pna", "none"), ("none", "transformer"), ("gat", "bigbird")],
)
@pytest.mark.parametrize("pe", ["none", PES, "signnet-mlp:3:4"])
def test_a_batch_gives_what_each_graph_gives_alone(task, local, attn, pe):
    model, parts = model_and_data(config(local=local, attn=attn, pe=pe, act="gelu"), task)
    together, alone = run(model, dgl.batch(parts)), torch.cat([run(model, part) for part in parts])
    assert together.shape == ((sum(SIZES) if task == "node" else len(SIZES)), 5)
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("local, attn", [("gatedgcn", "transformer"), ("gine", "performer"), ("gcn", "none")])
def test_nodes_can_be_renumbered(local, attn):
    for task in ("node", "graph"):
        model, (graph,) = model_and_data(config(local=local, attn=attn, pe="rwse:4:3,hkdiag:3:2"), task, [9])
        order = torch.randperm(9)
        u, v = graph.edges()
        moved = dgl.graph((order[u], order[v]), num_nodes=9)
        moved.edata["e"] = graph.edata["e"]
        for key, value in graph.ndata.items():
            moved.ndata[key] = torch.empty_like(value)
            moved.ndata[key][order] = value
        expected, found = run(model, graph), run(model, moved)
        torch.testing.assert_close(found[order] if task == "node" else found, expected, atol=1e-4, rtol=1e-4)


def test_signnet_does_not_see_the_self_loops_of_gcn():
    made = config(local="gcn", pe="signnet-mlp:3:4")
    model, (graph,) = model_and_data(made, "node", [9])
    (prepared,) = GraphGPS(made).prepare_all([graph])
    assert prepared.num_edges() == graph.num_edges() + 9
    seen = []
    model.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given))
    model(prepared, prepared.ndata["x"], None)
    alone = model.encodings.encoders[0](graph, prepared.ndata[model.encodings.encodings[0].key])
    torch.testing.assert_close(seen[0][1][:, -4:], alone)
    assert seen[0][0].num_edges() == prepared.num_edges()  # the layer itself keeps them


def test_encodings_stand_beside_the_features_and_enter_once():
    model, parts = model_and_data(config(pe="rwse:4:5,lappe:3:4"))
    seen = []
    for layer in model.layers:
        layer.register_forward_pre_hook(lambda _, given: seen.append(given[1]))
    batch = dgl.batch(parts)
    run(model, batch)
    h = model.node_input.layer(batch.ndata["x"])
    stack = model.encodings
    rwse, lappe = (encode(batch, batch.ndata[chosen.key]) for chosen, encode in zip(stack.encodings, stack.encoders))
    assert h.shape[1] == 16 - 5 - 4
    torch.testing.assert_close(seen[0], torch.cat([h, rwse, lappe], dim=1))
    assert seen[1].shape == seen[0].shape


def test_data_without_edge_features_share_one_learned_vector():
    model = GPS(config(), [], dims(edge_dim=0))
    graph = dgl.batch(graphs())
    e = model.edge_input(None, graph)
    assert e.shape == (graph.num_edges(), 16) and (e == model.edge_input.layer.weight).all()
    assert model(graph, torch.randn(graph.num_nodes(), 3), None).shape == (4, 5)


def test_parts_add_up_to_all_parameters():
    for options in (
        config(pe="lappe:3:3,peg:4", local="gine"),
        config(attn="none", pe="signnet-ds:3:4"),
        config(local="none"),
    ):
        model = GPS(options, encodings.parse(options.pe), dims())
        counts = model.parts()
        assert sum(counts.values()) == sum(p.numel() for p in model.parameters())
        assert (counts["attention"] == 0) == (options.attn == "none") and (counts["local"] == 0) == (
            options.local == "none"
        )


@pytest.mark.parametrize(
    "options, message",
    [
        ({"pe": "rwse:4:16"}, r"takes 16 of --hidden-dim 16, expected less"),
        ({"local": "none", "attn": "none"}, "found none for both"),
        ({"heads": 3}, "--heads is 3, expected a divisor of --hidden-dim 16"),
        ({"heads": 3, "attn": "none", "local": "gat"}, "expected a divisor"),
        ({"pe": "peg:4", "local": "gcn"}, "--pe peg: found --local gcn, expected one of gine, gatedgcn"),
        ({"sampler": "neighbor"}, "--sampler is neighbor, expected full, cluster, shadow or saint"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    made = config(**options)
    with pytest.raises(UsageError, match=message):
        check(made, encodings.parse(made.pe))
    check(config(heads=3, attn="none"), [])  # nothing has heads here


def test_san_head_halves_the_width_twice():
    head = GraphHead(16, 3, kind="san", pool="add")
    linears = [m for m in head.layers if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linears] == [(16, 8), (8, 4), (4, 3)]
    graph = dgl.batch(graphs())
    h = torch.randn(graph.num_nodes(), 16)
    for number, part in enumerate(h.split(SIZES)):
        x = part.sum(0)
        expected = linears[2](torch.relu(linears[1](torch.relu(linears[0](x)))))
        torch.testing.assert_close(head(graph, h)[number], expected, atol=1e-5, rtol=1e-5)


def test_mlp_heads_keep_the_width():
    head = GraphHead(16, 3, layers=3)
    assert [m.out_features for m in head.layers if isinstance(m, nn.Linear)] == [16, 16, 3]
    head = NodeHead(16, 3, layers=3)
    first, second, last = [m for m in head.layers if isinstance(m, nn.Linear)]
    h = torch.randn(7, 16)
    torch.testing.assert_close(head(None, h), last(torch.relu(second(torch.relu(first(h))))))
    assert [type(m) for m in NodeHead(16, 3).layers] == [nn.Linear]


@pytest.mark.parametrize(
    "how, formula", [("mean", lambda x: x.mean(0)), ("add", lambda x: x.sum(0)), ("max", lambda x: x.max(0).values)]
)
def test_pools(how, formula):
    parts = [*graphs(), dgl.graph(([], []), num_nodes=0)]
    h = torch.randn(sum(SIZES), 4)
    expected = torch.stack([*(formula(part) for part in h.split(SIZES)), torch.zeros(4)])
    torch.testing.assert_close(pool(dgl.batch(parts), h, how), expected)


def test_words_of_the_options_are_those_of_the_layers():
    assert set(WORDS) == {*local_layers.LOCAL, "none"} and set(ATTENTION) == {*attention.KINDS, "none"}
