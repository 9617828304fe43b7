"""GRAND's propagation against powers of a dense matrix, and its DropNode against what it must do."""

from __future__ import annotations

import dgl
import numpy as np
import pytest
import torch

from graphkit.methods.node.lagnn.grand import Grand


def with_loops(edges, n):
    ends = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
    graph = dgl.graph((torch.from_numpy(ends[:, 0].copy()), torch.from_numpy(ends[:, 1].copy())), num_nodes=n)
    return dgl.add_self_loop(dgl.to_bidirected(graph)) if len(ends) else dgl.add_self_loop(graph)


GRAPHS = {
    "path": ([(v, v + 1) for v in range(8)], 9),
    "star and isolated nodes": ([(0, v) for v in range(1, 6)], 9),
    "no edges": ([], 4),
    "one node": ([], 1),
}


def dense(graph):
    a = np.zeros((graph.num_nodes(),) * 2)
    a[tuple(ends.numpy() for ends in graph.edges())] = 1
    scale = np.diag(a.sum(1) ** -0.5)
    return scale @ a @ scale


@pytest.mark.parametrize("order", [0, 1, 2, 8])
@pytest.mark.parametrize("name", list(GRAPHS))
def test_propagation_is_the_mean_of_the_powers(name, order):
    graph = with_loops(*GRAPHS[name])
    x = np.random.default_rng(0).standard_normal((graph.num_nodes(), 5))
    expected = sum(np.linalg.matrix_power(dense(graph), k) @ x for k in range(order + 1)) / (order + 1)
    found = Grand(5, 4, 3, order=order).double().propagate(graph, torch.from_numpy(x))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_evaluation_is_an_mlp_of_scaled_features():
    torch.manual_seed(0)
    graph = with_loops(*GRAPHS["path"])
    model = Grand(5, 4, 3, order=2, node_dropout=0.3, input_dropout=0.5, dropout=0.5).eval()
    x, a = torch.randn(9, 5), torch.from_numpy(dense(graph)).float()
    h = (x + a @ x + a @ a @ x) / 3 * 0.7
    hidden = (h @ model.first.weight.T + model.first.bias).clamp(min=0)
    torch.testing.assert_close(model(graph, x), hidden @ model.last.weight.T + model.last.bias)


def test_dropnode_takes_whole_rows_and_keeps_the_mean():
    torch.manual_seed(0)
    model, x = Grand(5, 4, 3, node_dropout=0.3).train(), torch.rand(4000, 5) + 1
    dropped = model.drop_nodes(x)
    gone = (dropped == 0).all(1)
    assert torch.equal(dropped[~gone], x[~gone])  # the others are not scaled
    assert abs(float(gone.float().mean()) - 0.3) < 4 * (0.3 * 0.7 / 4000) ** 0.5
    assert torch.equal(model.eval().drop_nodes(x), x * 0.7)


def test_norm_stands_in_front_of_both_layers():
    torch.manual_seed(0)
    graph = with_loops(*GRAPHS["path"])
    model = Grand(5, 4, 3, order=1, node_dropout=0.0, input_dropout=0.0, dropout=0.0, norm=True).train()
    x = torch.randn(9, 5)

    def norm(h):
        return (h - h.mean(0)) / torch.sqrt(h.var(0, unbiased=False) + 1e-5)

    hidden = (norm(model.propagate(graph, x)) @ model.first.weight.T + model.first.bias).clamp(min=0)
    torch.testing.assert_close(
        model(graph, x), norm(hidden) @ model.last.weight.T + model.last.bias, atol=1e-4, rtol=1e-4
    )
    one = with_loops(*GRAPHS["one node"])
    assert torch.isfinite(model(one, torch.randn(1, 5))).all()


def test_order_of_the_nodes_does_not_matter():
    torch.manual_seed(0)
    graph, order = with_loops(*GRAPHS["star and isolated nodes"]), torch.randperm(9)
    model, x = Grand(5, 4, 3).eval(), torch.randn(9, 5)
    moved = torch.empty_like(x)
    moved[order] = x
    src, dst = graph.edges()
    torch.testing.assert_close(model(dgl.graph((order[src], order[dst]), num_nodes=9), moved)[order], model(graph, x))
