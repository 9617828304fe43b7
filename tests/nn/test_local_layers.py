"""Message-passing layers against loops over the edges of a graph with a loop, a double edge and a node alone."""

from __future__ import annotations

import dgl
import pytest
import torch
from torch import nn

from graphkit.nn.local_layers import GAT, GCN, GIN, LOCAL, PNA, SAGE, GatedGCN, make_local, with_own_loops
from graphkit.nn.symmetric import keep_degrees

SRC, DST = [0, 1, 1, 2, 3, 0, 0, 4, 2], [1, 0, 2, 1, 3, 2, 2, 0, 4]
N, D = 6, 4


@pytest.fixture
def data():
    torch.manual_seed(0)
    return dgl.graph((SRC, DST), num_nodes=N), torch.randn(N, D), torch.randn(len(SRC), D), torch.rand(len(SRC), 1)


def incoming(node):
    return [(edge, u) for edge, (u, v) in enumerate(zip(SRC, DST)) if v == node]


def spread(module):
    """Statistics and weights of the norms away from their start, so that they show."""
    for m in module.modules():
        if isinstance(m, nn.BatchNorm1d):
            for values in (m.running_mean, m.weight, m.bias):
                nn.init.normal_(values)
            nn.init.uniform_(m.running_var, 0.5, 2)
    return module.eval()


def batch_norm(norm, x):
    return (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias


@pytest.mark.parametrize("edges", [True, False])
@pytest.mark.parametrize("gated", [True, False])
def test_gatedgcn(data, edges, gated):
    graph, h, e, factor = data
    layer = spread(GatedGCN(D))
    e = e if edges else None
    found, new_e = layer(graph, h, e, **({"edge_gate": factor} if gated else {}))
    logits = {}
    for edge, (j, i) in enumerate(zip(SRC, DST)):
        logits[edge] = layer.target(h[i]) + layer.source(h[j]) + (layer.edge(e[edge]) if edges else 0)
        if edges:
            expected = e[edge] + torch.relu(batch_norm(layer.edge_norm, logits[edge]))
            torch.testing.assert_close(new_e[edge], expected, atol=1e-5, rtol=1e-5)
    for i in range(N):
        above, below = torch.zeros(D), torch.zeros(D)
        for edge, j in incoming(i):
            gate = torch.sigmoid(logits[edge])
            above += gate * layer.message(h[j]) * (factor[edge] if gated else 1)
            below += gate * (factor[edge] if gated else 1)
        expected = h[i] + torch.relu(batch_norm(layer.node_norm, layer.own(h[i]) + above / (below + 1e-6)))
        torch.testing.assert_close(found[i], expected, atol=1e-5, rtol=1e-5)
    assert layer.own_residual and (new_e is None) == (not edges)


@pytest.mark.parametrize("constant", [0.9, 0.05])
def test_a_constant_factor_of_the_gates_cancels(data, constant):
    graph, h, e, factor = data
    layer = spread(GatedGCN(D))
    plain, edges = layer(graph, h, e)
    found, same = layer(graph, h, e, edge_gate=torch.full_like(factor, constant))
    torch.testing.assert_close(found, plain, atol=1e-3 * 0.05, rtol=1e-3)  # 1e-6 of the denominator aside
    assert torch.equal(edges, same)
    assert not torch.allclose(layer(graph, h, e, edge_gate=factor)[0], plain, atol=1e-2)


def test_gatedgcn_drops_before_the_residual(data):
    graph, h, e, _ = data
    layer = spread(GatedGCN(D, dropout=1.0)).train()
    found, new_e = layer(graph, h, e)
    assert torch.equal(found, h) and torch.equal(new_e, e)


@pytest.mark.parametrize("gated", [True, False])
def test_gine(data, gated):
    graph, h, e, factor = data
    layer = GIN(D, edges=True).eval()
    found, new_e = layer(graph, h, e, **({"edge_gate": factor} if gated else {}))
    first, _, last = layer.mlp
    for i in range(N):
        total = h[i].clone()
        for edge, j in incoming(i):
            total += torch.relu(h[j] + e[edge]) * (factor[edge] if gated else 1)
        torch.testing.assert_close(found[i], last(torch.relu(first(total))), atol=1e-5, rtol=1e-5)
    assert new_e is e and layer.eps is None and not layer.own_residual


def test_gin_with_a_learned_epsilon_and_norm(data):
    graph, h, e, _ = data
    layer = spread(GIN(D, 3, edges=False, learn_eps=True, mlp_dim=8, norm=True))
    nn.init.constant_(layer.eps, 0.3)
    found, _ = layer(graph, h, e)
    first, norm, _, last = layer.mlp
    for i in range(N):
        total = 1.3 * h[i] + sum((h[j] for _, j in incoming(i)), torch.zeros(D))
        torch.testing.assert_close(found[i], last(torch.relu(batch_norm(norm, first(total)))), atol=1e-5, rtol=1e-5)


def test_pna_without_scalers(data):
    graph, h, e, _ = data
    layer = PNA(D, edge_dim=3).eval()
    found, _ = layer(graph, h, e)
    for i in range(N):
        messages = [
            layer.from_source(h[j]) + layer.from_target(h[i]) + layer.from_edge(layer.shrink(e[edge]))
            for edge, j in incoming(i)
        ]
        stacked = torch.stack(messages) if messages else torch.zeros(1, D)
        parts = [h[i], stacked.mean(0), stacked.max(0).values, stacked.sum(0)]
        torch.testing.assert_close(found[i], layer.out(torch.cat(parts)), atol=1e-5, rtol=1e-5)
    assert PNA(256).shrink.out_features == 128 and PNA(48).shrink.out_features == 48


@pytest.mark.parametrize("average", [True, False])
def test_gat_with_edges(data, average):
    graph, h, e, _ = data
    layer = GAT(D, heads=2, edges=True, average=average).eval()
    nn.init.normal_(layer.bias)
    found, _ = layer(graph, h, e)
    values = layer.linear(h).view(N, 2, -1)
    for i in range(N):
        heads = []
        for head in range(2):
            scores = [
                (layer.to_target[0, head] @ values[i, head])
                + (layer.to_source[0, head] @ values[j, head])
                + layer.edge(e[edge])[head]
                for edge, j in incoming(i)
            ]
            if not scores:
                heads.append(torch.zeros(values.shape[2]))
                continue
            weights = torch.softmax(nn.functional.leaky_relu(torch.stack(scores), 0.2), 0)
            heads.append(sum(w * values[j, head] for w, (_, j) in zip(weights, incoming(i))))
        expected = (sum(heads) / 2 if average else torch.cat(heads)) + layer.bias
        torch.testing.assert_close(found[i], expected, atol=1e-5, rtol=1e-5)
    assert layer.width == (D if average else D // 2)


def test_heads_of_gat_must_divide_the_width():
    with pytest.raises(ValueError, match="3 heads do not divide"):
        GAT(D, heads=3)


def test_gcn(data):
    _, h, e, _ = data
    graph = dgl.add_self_loop(dgl.remove_self_loop(dgl.to_bidirected(dgl.graph((SRC, DST), num_nodes=N))))
    layer = GCN(D).eval()
    adjacency = torch.zeros(N, N)
    for u, v in zip(*(ends.tolist() for ends in graph.edges())):
        adjacency[v, u] += 1
    scale = adjacency.sum(1).rsqrt()
    expected = scale[:, None] * adjacency * scale @ h @ layer.conv.weight + layer.bias
    torch.testing.assert_close(layer(graph, h, e)[0], expected, atol=1e-5, rtol=1e-5)


DIRECTED = [(0, 1), (0, 2), (0, 3), (2, 1), (3, 1), (1, 4), (4, 5), (2, 5), (3, 5)]


def test_gcn_of_the_hybrid_models_scales_by_in_degrees_at_both_ends_as_pyg():
    """PyG's gcn_norm on a directed graph with added loops: deg_i = edges that reach i, weight of j -> i = 1/sqrt(deg_j
    deg_i).
    """
    torch.manual_seed(0)
    src, dst = zip(*DIRECTED)
    graph = dgl.add_self_loop(dgl.graph((src, dst), num_nodes=N))
    h, layer = torch.randn(N, D), make_local("gcn", D).eval()
    nn.init.normal_(layer.bias)
    degree = [1 + sum(v == i for v in dst) for i in range(N)]
    for i in range(N):
        total = h[i] / degree[i] + sum(h[j] / (degree[j] * degree[i]) ** 0.5 for j, v in DIRECTED if v == i)
        torch.testing.assert_close(
            layer(graph, h, None)[0][i], total @ layer.conv.weight + layer.bias, atol=1e-5, rtol=1e-5
        )
    assert not torch.allclose(layer(graph, h, None)[0], _as(layer, GCN(D))(graph, h, None)[0], atol=1e-3)
    # A sampler's piece knows the degrees of the whole graph.
    whole = keep_degrees(graph)
    piece = dgl.node_subgraph(whole, [0, 1, 2, 3])
    expected = layer(whole, h, None)[0][[1]]  # all that reach node 1 are in the piece
    torch.testing.assert_close(layer(piece, h[:4], None)[0][[1]], expected, atol=1e-5, rtol=1e-5)


def _as(layer, other):
    other.load_state_dict(layer.state_dict())
    return other.eval()


def test_loops_take_the_mean_of_the_incoming_edge_vectors(data):
    graph, _, e, _ = data
    looped, vectors = with_own_loops(graph, e)
    ends = list(zip(SRC, DST))
    found = list(zip(*(x.tolist() for x in looped.edges(order="eid"))))
    kept = [edge for edge, (u, v) in enumerate(ends) if u != v]
    assert found == [ends[edge] for edge in kept] + [(i, i) for i in range(N)]
    torch.testing.assert_close(vectors[: len(kept)], e[kept])
    for i in range(N):
        near = [e[edge] for edge in kept if ends[edge][1] == i]
        torch.testing.assert_close(vectors[len(kept) + i], torch.stack(near).mean(0) if near else torch.zeros(D))
    bare, none = with_own_loops(graph, None)
    assert none is None and bare.num_edges() == looped.num_edges()
    alone, zero = with_own_loops(dgl.graph(([1], [1]), num_nodes=2), torch.ones(1, D))
    assert alone.num_edges() == 2 and not zero.any()


def test_sage(data):
    graph, h, e, _ = data
    layer = SAGE(D).eval()
    conv = layer.conv
    found, _ = layer(graph, h, e)
    for i in range(N):
        near = [h[j] for _, j in incoming(i)]
        mean = torch.stack(near).mean(0) if near else torch.zeros(D)
        expected = conv.fc_self.weight @ h[i] + conv.fc_self.bias + conv.fc_neigh.weight @ mean
        torch.testing.assert_close(found[i], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", LOCAL)
@pytest.mark.parametrize("training", [True, False])
def test_layers_take_graphs_of_one_node_and_without_edges(kind, training):
    layer = make_local(kind, D, heads=2).train(training)
    for nodes in (1, 3):
        graph = dgl.graph(([], []), num_nodes=nodes)
        out, _ = layer(graph, torch.randn(nodes, D, requires_grad=True), torch.zeros(0, D))
        assert out.shape == (nodes, D) and torch.isfinite(out).all()
        out.sum().backward()
    loop = dgl.graph(([0], [0]))
    out, _ = layer(loop, torch.randn(1, D), torch.randn(1, D))
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("kind", LOCAL)
def test_layers_follow_the_nodes_when_these_are_renumbered(kind, data):
    graph, h, e, _ = data
    layer = spread(make_local(kind, D, heads=2))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    moved = dgl.graph((order[torch.tensor(SRC)], order[torch.tensor(DST)]), num_nodes=N)
    h_moved = torch.empty_like(h)
    h_moved[order] = h
    torch.testing.assert_close(layer(moved, h_moved, e)[0][order], layer(graph, h, e)[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", LOCAL)
def test_only_the_layers_that_say_so_see_edges(kind, data):
    graph, h, e, _ = data
    layer = spread(make_local(kind, D, heads=2))
    same = torch.allclose(layer(graph, h, e)[0], layer(graph, h, -2 * e)[0], atol=1e-4)
    assert same == (kind in ("gin", "gcn", "sage"))
