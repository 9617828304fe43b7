"""The baselines against dense formulas, written again from their papers, on nodes and on graphs; and their corner
cases.
"""

from __future__ import annotations

import dgl
import numpy as np
import pytest
import torch
from torch.nn import functional

from graphkit.core import registry
from graphkit.core.errors import UsageError
from graphkit.datasets.base import GraphDataset, GraphSplit, NodeSplit
from graphkit.methods.node.gnn.method import GNN
from graphkit.training import fit

WORDS = ("gcn", "sage", "gat", "gin", "gine", "gatedgcn", "gcnii", "mlp")
SMALL = {"hidden_dim": 8, "num_layers": 2, "dropout": 0.0, "epochs": 2}
LOOPED = ("gcn", "gat", "gcnii")  # these add self-loops


def random_graph(n, count, seed, *, features=5, edge_features=3):
    """n nodes, the last one isolated, ``count`` undirected edges; the two directions of an edge differ in their
    features.
    """
    rng = np.random.default_rng(seed)
    low, high = np.triu_indices(n - 1, 1)
    chosen = rng.choice(len(low), size=min(count, len(low)), replace=False)
    src, dst = (
        torch.from_numpy(np.concatenate([low[chosen], high[chosen]])),
        torch.from_numpy(np.concatenate([high[chosen], low[chosen]])),
    )
    graph = dgl.graph((src, dst), num_nodes=n)
    if features:
        graph.ndata["feat"] = torch.from_numpy(rng.normal(size=(n, features)).astype(np.float32))
    if edge_features:
        graph.edata["feat"] = torch.from_numpy(rng.normal(size=(graph.num_edges(), edge_features)).astype(np.float32))
    return graph


def node_data(graph, classes=3):
    n = graph.num_nodes()
    graph.ndata["label"] = torch.arange(n) % classes
    split = NodeSplit(*(np.arange(n) for _ in range(3)))
    return GraphDataset("nodes", graph=graph, task="node", split=split, split_name="own", metric="accuracy")


def graph_data(graphs, classes=2):
    numbers = np.arange(len(graphs))
    labels = torch.arange(len(graphs)) % classes
    split = GraphSplit(numbers, numbers, numbers)
    return GraphDataset(
        "graphs", graphs=graphs, graph_labels=labels, task="graph", split=split, split_name="own", metric="accuracy"
    )


def learner_of(word, dataset, **options):
    """A prepared learner whose norms have statistics of their own, so that they do something when evaluating."""
    learner = registry.method(word)(registry.resolve_config(word, overrides={**SMALL, **options}, preset=None))
    torch.manual_seed(1)
    learner.prepare(dataset, seed=0, device="cpu")
    for module in learner.model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return learner


def dense(graph, *, loops):
    """A[i, j]: number of edges from j to i, with one loop at every node where ``loops``."""
    a = torch.zeros(graph.num_nodes(), graph.num_nodes())
    src, dst = graph.edges()
    a.index_put_((dst, src), torch.ones(len(src)), accumulate=True)
    return a + torch.eye(len(a)) if loops else a


def normalised(a):
    scale = a.sum(1).clamp(min=1).rsqrt()
    return scale[:, None] * a * scale[None, :]


def incoming(graph, i):
    """(source, edge number) of the edges into a node."""
    src, dst = graph.edges(order="eid")
    return [(int(src[k]), k) for k in torch.nonzero(dst == i).flatten().tolist()]


def gat_layer(conv, a, h):
    """Multi-head attention by a loop over nodes and heads."""
    values = conv.linear(h).view(len(h), conv.heads, conv.width)
    out = torch.zeros(len(h), conv.heads, conv.width)
    for i in range(len(h)):
        near = torch.nonzero(a[i]).flatten()
        for head in range(conv.heads):
            mine, theirs = conv.to_target[0, head], conv.to_source[0, head]
            logits = functional.leaky_relu(values[near, head] @ theirs + values[i, head] @ mine, 0.2)
            out[i, head] = (logits.softmax(0)[:, None] * values[near, head]).sum(0)
    return (out.mean(1) if conv.average else out.flatten(1)) + conv.bias


def gated_layer(conv, graph, h, e):
    logits, fresh = torch.zeros_like(e), torch.zeros_like(h)
    for i in range(len(h)):
        top, bottom = torch.zeros(h.shape[1]), torch.full((h.shape[1],), 1e-6)
        for j, k in incoming(graph, i):
            logits[k] = conv.target(h[i]) + conv.source(h[j]) + conv.edge(e[k])
            top, bottom = top + torch.sigmoid(logits[k]) * conv.message(h[j]), bottom + torch.sigmoid(logits[k])
        fresh[i] = conv.own(h[i]) + top / bottom
    return h + torch.relu(conv.node_norm(fresh)), e + torch.relu(conv.edge_norm(logits))


def reference(word, learner, graph, x, e):
    """Node vectors after every layer, the input first, as the papers write them; ``graph`` without the loops that are
    added.
    """
    model, a = learner.model, dense(graph, loops=word in LOOPED)
    h, edges = (x if model.input is None else model.input.layer(x)), None
    if word == "gcnii":
        h = first = torch.relu(h)
    if word == "gatedgcn":
        edges = model.edge_inputs[0].layer(e)
    kept = [h]
    for number, block in enumerate(model.layers):
        conv, last = block.conv, number == len(model.layers) - 1
        if word == "gcn":
            h = normalised(a) @ h @ conv.conv.weight + conv.bias
        elif word == "sage":
            h = conv.conv.fc_self(h) + conv.conv.fc_neigh(a @ h / a.sum(1, keepdim=True).clamp(min=1))
        elif word == "gat":
            h = gat_layer(conv, a, h)
        elif word == "gin":
            h = conv.mlp(h + a @ h)
        elif word == "gine":
            bonds = model.edge_inputs[number].layer(e)
            total = [
                sum((torch.relu(h[j] + bonds[k]) for j, k in incoming(graph, i)), torch.zeros(h.shape[1]))
                for i in range(len(h))
            ]
            h = conv.mlp(h + torch.stack(total))
        elif word == "gatedgcn":
            h, edges = gated_layer(conv, graph, h, edges)
        elif word == "gcnii":
            beta = float(np.log(0.5 / (number + 1) + 1))
            mixed = 0.9 * normalised(a) @ h + 0.1 * first
            h = (1 - beta) * mixed + beta * mixed @ conv.weight
        else:
            h = conv(graph, h, None)[0]
            assert torch.equal(h, kept[-1] @ conv.weight.T + conv.bias)
        if word != "gatedgcn" and not (last and model.heads is None):
            h = torch.relu(block.norm(h))
        kept.append(h)
    return kept


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("word", WORDS)
@torch.no_grad()
def test_node_logits_are_the_formula(word, norm):
    graph = random_graph(9, 14, 0)
    learner = learner_of(word, node_data(graph), norm=norm, heads=4, out_heads=2)
    found = learner.logits()
    h = reference(word, learner, graph, graph.ndata["feat"], graph.edata["feat"])[-1]
    expected = h if learner.model.heads is None else learner.model.heads[0](h)
    assert found.shape == (9, 3)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("readout", ["last", "sum"])
@pytest.mark.parametrize("word", WORDS)
@torch.no_grad()
def test_graph_logits_are_pooled_formulas(word, readout):
    graphs = [random_graph(n, 2 * n, n) for n in (5, 8, 2, 6)]
    pools = {"add": lambda h: h.sum(0), "mean": lambda h: h.mean(0), "max": lambda h: h.max(0).values}
    for how, pool in pools.items():
        learner = learner_of(word, graph_data(graphs), norm="batch", readout=readout, pool=how, eval_batch_size=3)
        found, model, expected = learner.logits(), learner.model, []
        for graph in graphs:
            kept = reference(word, learner, graph, graph.ndata["feat"], graph.edata["feat"])
            parts = kept if readout == "sum" else kept[-1:]
            expected.append(sum(head(pool(h)) for head, h in zip(model.heads, parts)))
        torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_residual_blocks_are_those_of_platonov():
    graph = random_graph(9, 14, 3)
    learner = learner_of("sage", node_data(graph), stack="residual")
    model, a = learner.model, dense(graph, loops=False)
    h = model.input.layer(graph.ndata["feat"])
    for block in model.layers:
        z = block.norm(h)
        z = torch.cat([z, a @ z / a.sum(1, keepdim=True).clamp(min=1)], 1)
        first, _, _, second, _ = block.feed_forward
        h = h + second(functional.gelu(first(z)))
    expected = model.heads[0](functional.layer_norm(h, h.shape[1:], model.final_norm.weight, model.final_norm.bias))
    torch.testing.assert_close(learner.logits(), expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_gcn_of_a_directed_graph_follows_the_edges():
    graph = dgl.graph(([0, 0, 1, 3], [1, 2, 2, 0]), num_nodes=4)
    graph.ndata["feat"] = torch.randn(4, 5)
    learner = learner_of("gcn", node_data(graph), num_layers=1)
    a = dense(graph, loops=True)
    conv = learner.model.layers[0].conv
    p = a.sum(1).rsqrt()[:, None] * a * a.sum(0).rsqrt()[None, :]
    torch.testing.assert_close(learner.logits(), p @ graph.ndata["feat"] @ conv.conv.weight + conv.bias)


def test_gin_learns_epsilon_where_asked_to():
    graph = random_graph(6, 8, 0)
    learner = learner_of("gin", node_data(graph), learn_eps=True, num_layers=1)
    conv, a = learner.model.layers[0].conv, dense(graph, loops=False)
    with torch.no_grad():
        conv.eps.fill_(0.7)
        expected = learner.model.heads or (lambda h: h)
        h = conv.mlp(1.7 * graph.ndata["feat"] + a @ graph.ndata["feat"])
        assert learner.model.heads is None and torch.allclose(expected(h), learner.logits(), atol=1e-5)


def test_an_mlp_sees_no_edges():
    first, second = (node_data(random_graph(9, count, 0)) for count in (14, 3))
    second.graph.ndata["feat"] = first.graph.ndata["feat"]
    assert torch.equal(learner_of("mlp", first).logits(), learner_of("mlp", second).logits())


# Corner cases ---------------------------------------------------------------------------------------------------------


CORNERS = {
    "one node": lambda: random_graph(1, 0, 0),
    "no edges": lambda: random_graph(4, 0, 0),
    "isolated nodes": lambda: random_graph(9, 3, 0),
    "no edge features": lambda: random_graph(6, 8, 0, edge_features=0),
    "no features": lambda: random_graph(6, 8, 0, features=0, edge_features=0),
}


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("word", WORDS)
def test_corner_cases_train_and_predict(word, corner):
    for dataset in (node_data(CORNERS[corner](), classes=2), graph_data([CORNERS[corner]() for _ in range(3)])):
        learner = registry.method(word)(
            registry.resolve_config(word, overrides={**SMALL, "norm": "batch", "batch_size": 2}, preset=None)
        )
        found = fit(learner, dataset, seed=0)
        assert torch.isfinite(learner.logits()).all() and np.isfinite(found.best["accuracy"]["valid"])
        assert found.epochs == 2


def test_a_batch_may_hold_graphs_with_and_without_edges():
    graphs = [random_graph(1, 0, 0), random_graph(5, 6, 1), random_graph(3, 0, 2)]
    for word in WORDS:
        learner = learner_of(word, graph_data(graphs), norm="batch", eval_batch_size=3)
        together = learner.logits()
        learner = learner_of(word, graph_data(graphs), norm="batch", eval_batch_size=1)
        torch.testing.assert_close(together, learner.logits(), atol=1e-5, rtol=1e-4)


def test_wrong_options():
    data = node_data(random_graph(6, 8, 0))
    with pytest.raises(UsageError, match="--heads is 3, expected a divisor of --hidden-dim 8"):
        fit(GNN(conv="gat", heads=3, hidden_dim=8), data)
    with pytest.raises(UsageError, match="--sampler is 'neighbor'.*expected shadow, cluster or saint"):
        fit(GNN(conv="gatedgcn", sampler="neighbor"), data)


def test_weight_decay_of_the_first_layer_alone():
    learner = learner_of("gcn", node_data(random_graph(6, 8, 0)), decay_first=True, weight_decay=0.25)
    first, rest = learner.optimizers[0].param_groups
    assert first["weight_decay"] == 0.25 and rest["weight_decay"] == 0.0
    assert {id(p) for p in first["params"]} == {id(p) for p in learner.model.layers[0].parameters()}
    assert len(first["params"]) + len(rest["params"]) == len(list(learner.model.parameters()))
