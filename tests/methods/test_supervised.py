"""The learner of labels: its batches, rates, inductive prediction and resume, whatever the model is."""

from __future__ import annotations

import math

import dgl
import numpy as np
import pytest
import torch

from graphkit.core.errors import DataError, Interrupted, UsageError
from graphkit.datasets.base import GraphDataset, GraphSplit, NodeSplit
from graphkit.methods.node.gnn.config import GNNConfig
from graphkit.methods.node.gnn.method import GNN
from graphkit.training import fit
from graphkit.training.signals import StopRequest
from graphkit.training.supervised import schedule_factor

SMALL = {"hidden_dim": 8, "dropout": 0.3, "epochs": 3, "batch_size": 4}


def ring(n, seed, *, features=4, edge_features=0):
    made = dgl.to_bidirected(dgl.graph((list(range(n)), [(k + 1) % n for k in range(n)]), num_nodes=n))
    generator = torch.Generator().manual_seed(seed)
    if features:
        made.ndata["feat"] = torch.randn(n, features, generator=generator)
    if edge_features:
        made.edata["feat"] = torch.randn(made.num_edges(), edge_features, generator=generator)
    return made


def graph_data(count=11, *, labels=None, metric="accuracy", **options):
    graphs = [ring(3 + k % 4, k, **options) for k in range(count)]
    labels = torch.arange(count) % 2 if labels is None else labels
    order = np.arange(count)
    split = GraphSplit(order[:7], order[7:9], order[9:])
    return GraphDataset(
        "rings", graphs=graphs, graph_labels=labels, task="graph", split=split, split_name="own", metric=metric
    )


def node_data(n=20, seed=0, *, classes=3, **options):
    graph = ring(n, seed, **options)
    graph.ndata["label"] = torch.arange(n) % classes
    order = np.arange(n)
    split = NodeSplit(order[: n // 2], order[n // 2 : 3 * n // 4], order[3 * n // 4 :])
    return GraphDataset("ring", graph=graph, task="node", split=split, split_name="own", metric="accuracy")


def many_graphs_of_nodes():
    """Six rings as one disconnected graph; the nodes of the first four train, of the others validate and test."""
    whole = dgl.batch([ring(3 + k, k, edge_features=2) for k in range(6)])
    sizes = whole.batch_num_nodes()
    whole.ndata["_graph"] = torch.arange(6).repeat_interleave(sizes)
    whole.ndata["label"] = torch.arange(whole.num_nodes()) % 2
    whole.ndata["label"][1] = -1
    owner = whole.ndata["_graph"].numpy()
    known = whole.ndata["label"].numpy() >= 0
    split = NodeSplit(*(np.flatnonzero(np.isin(owner, part) & known) for part in ([0, 1, 2, 3], [4], [5])))
    return GraphDataset("many", graph=whole, task="node", split=split, split_name="own", metric="accuracy")


def learner_of(dataset, **options):
    learner = GNN(**{**SMALL, **options})
    torch.manual_seed(0)
    learner.prepare(dataset, seed=0, device="cpu")
    return learner


# Batches --------------------------------------------------------------------------------------------------------------


def test_an_epoch_of_graphs_sees_each_once_and_random_steps_draw_anew():
    data = graph_data(labels=torch.arange(11))  # a label tells its graph
    once, steps = (
        [batch.y.tolist() for batch in learner_of(data, steps=count).batches(0, np.random.default_rng(0))]
        for count in (0, 5)
    )
    assert [len(part) for part in once] == [4, 3] and sorted(once[0] + once[1]) == list(range(7))
    assert [len(part) for part in steps] == [4] * 5 and all(len(set(part)) == 4 for part in steps)
    assert {label for part in steps for label in part} <= set(range(7))


def test_graph_batches_score_the_nodes_of_the_split_alone():
    data = many_graphs_of_nodes()
    learner = learner_of(data, batch_size=2)
    seen = []
    for batch in learner.batches(0, np.random.default_rng(0)):
        seen += batch.nodes[batch.rows].tolist()
        assert torch.equal(batch.y, data.graph.ndata["label"][batch.nodes[batch.rows]])
        assert torch.equal(batch.x, data.graph.ndata["feat"][batch.nodes]) and batch.graph.num_nodes() == len(
            batch.nodes
        )
        assert torch.equal(batch.graph.batch_num_nodes().cumsum(0)[-1:], torch.tensor([len(batch.nodes)]))
    assert sorted(seen) == data.split.train.tolist()
    learner.model.eval()
    with torch.no_grad():
        found = learner.predict("valid")
        everything = learner.logits()
    torch.testing.assert_close(found["y_pred"], everything[data.split.valid])
    assert found["y_true"].tolist() == data.graph.ndata["label"][data.split.valid].tolist()


def test_features_are_divided_by_their_sum_where_asked_to():
    data = node_data()
    data.graph.ndata["feat"] = data.graph.ndata["feat"].abs()
    data.graph.ndata["feat"][3] = 0
    (batch,) = learner_of(data, row_normalize=True).batches(0, np.random.default_rng(0))
    total = batch.x.sum(1)
    assert total[3] == 0 and torch.allclose(total[torch.arange(20) != 3], torch.ones(19))


def test_samplers_are_for_one_graph():
    with pytest.raises(UsageError, match="--sampler is 'saint', but rings holds many graphs"):
        learner_of(graph_data(), sampler="saint")


# Rates ----------------------------------------------------------------------------------------------------------------


def test_rates_follow_their_schedule():
    step = GNNConfig(schedule="step", decay_every=3, decay=0.5, epochs=10)
    assert [schedule_factor(step, epoch) for epoch in range(7)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    cosine = GNNConfig(schedule="cosine", warmup=4, epochs=24)
    assert [schedule_factor(cosine, epoch) for epoch in range(4)] == [0.2, 0.4, 0.6, 0.8]
    assert [schedule_factor(cosine, epoch) for epoch in (4, 14, 24)] == pytest.approx([1.0, 0.5, 0.0])
    assert schedule_factor(cosine, 9) == pytest.approx((1 + math.cos(math.pi * 5 / 20)) / 2)
    learner = learner_of(node_data(), lr=0.2, schedule="step", decay_every=1, decay=0.1)
    learner.on_epoch_start(2)
    assert learner.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.002)


def test_gradients_are_clipped():
    learner = learner_of(node_data(), clip_norm=0.01)
    (batch,) = learner.batches(0, np.random.default_rng(0))
    (100 * learner.loss(batch)).backward()
    learner.on_backward_end()
    assert float(torch.stack([p.grad.norm() for p in learner.model.parameters()]).norm()) == pytest.approx(
        0.01, rel=1e-4
    )


# Prediction -----------------------------------------------------------------------------------------------------------


def test_another_graph_is_labelled_from_its_own_structure_and_features():
    """A disjoint union of the training graph with a copy of it gets the same logits twice."""
    data = node_data()
    learner = learner_of(data, conv="sage", epochs=2)
    fit(learner, data)
    own = learner.logits()
    twice = dgl.batch([data.graph, data.graph])
    other = GraphDataset("twice", graph=dgl.graph(twice.edges(), num_nodes=40), task="node")
    other.graph.ndata["feat"] = twice.ndata["feat"]
    found = learner.logits_of(other)
    torch.testing.assert_close(found, torch.cat([own, own]), atol=1e-5, rtol=1e-4)
    assert learner.dataset is data and torch.equal(learner.logits(), own)  # nothing of the other graph stays
    order = torch.randperm(20)
    mixed = GraphDataset("mixed", graph=dgl.node_subgraph(data.graph, order), task="node")
    torch.testing.assert_close(learner.logits_of(mixed), own[order], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("word", ["gcn", "gin", "gatedgcn"])
def test_graphs_are_predicted_alone_as_in_a_set(word):
    data = graph_data(edge_features=3)
    learner = learner_of(data, conv=word, norm="batch")
    fit(learner, data)
    own = learner.logits()
    for k in (0, 4, 10):
        alone = GraphDataset("one", graphs=[data.graphs[k]], task="graph")
        torch.testing.assert_close(learner.logits_of(alone), own[k : k + 1], atol=1e-5, rtol=1e-4)


def test_other_features_are_refused():
    learner = learner_of(node_data(features=4))
    with pytest.raises(DataError, match="the data have 3 node features, expected 4 as in training"):
        learner.logits_of(node_data(features=3))
    learner = learner_of(node_data(edge_features=2), conv="gatedgcn")
    with pytest.raises(DataError, match="the data have 0 edge features, expected 2 as in training"):
        learner.logits_of(node_data())
    learner = learner_of(node_data(features=0))
    with pytest.raises(UsageError, match="learned a vector for each node"):
        learner.logits_of(node_data(features=0))


def test_categories_that_come_as_numbers_are_taken_as_categories():
    data = graph_data()
    for graph in data.graphs:
        graph.ndata["feat"] = torch.randint(5, (graph.num_nodes(), 2))
    learner = learner_of(data)
    own = learner.logits()
    given = [dgl.graph(graph.edges(), num_nodes=graph.num_nodes()) for graph in data.graphs]
    for graph, source in zip(given, data.graphs):
        graph.ndata["feat"] = source.ndata["feat"].float()
    torch.testing.assert_close(learner.logits_of(GraphDataset("floats", graphs=given, task="graph")), own)
    given[0].ndata["feat"] += 0.5
    with pytest.raises(DataError, match="no whole numbers, expected categories"):
        learner.logits_of(GraphDataset("floats", graphs=given, task="graph"))
    unseen = data.graphs[:1]
    unseen[0].ndata["feat"][0, 0] = 99
    assert torch.isfinite(learner.logits_of(GraphDataset("unseen", graphs=unseen, task="graph"))).all()


# Training -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [graph_data, many_graphs_of_nodes])
def test_resumed_training_equals_an_unbroken_one(make, tmp_path):
    data, options = (
        make(),
        {**SMALL, "conv": "gin", "norm": "batch", "schedule": "cosine", "warmup": 1, "batch_size": 2},
    )
    unbroken, stop, steps = fit(GNN(**options), data, seed=3), StopRequest(), 0

    def report(event):
        nonlocal steps
        steps += event["event"] == "step"
        if steps == 3:
            stop.name = "SIGTERM"

    with pytest.raises(Interrupted):
        fit(GNN(**options), data, seed=3, checkpoint_path=tmp_path / "c.pt", report=report, stop=stop)
    resumed = fit(GNN(**options), data, seed=3, checkpoint_path=tmp_path / "c.pt", resume=True)
    assert resumed.best == unbroken.best
    assert all(torch.equal(resumed.state[key], unbroken.state[key]) for key in unbroken.state)


@pytest.mark.parametrize(
    "metric, labels",
    [
        ("rocauc", torch.arange(11) % 2),
        ("ap", (torch.arange(22).reshape(11, 2) // 2 % 2).float()),
        ("mae", torch.linspace(-1, 1, 11)[:, None]),
        ("rmse", torch.linspace(-1, 1, 11)[:, None]),
    ],
)
def test_every_kind_of_label_can_be_learned(metric, labels):
    """Features that hold the answer bring the loss down."""
    data = graph_data(labels=labels, metric=metric)
    answer = labels.float().reshape(11, -1).mean(1)
    for graph, value in zip(data.graphs, answer.tolist()):
        graph.ndata["feat"] = torch.full((graph.num_nodes(), 1), value)
    learner = learner_of(data, conv="mlp", dropout=0.0, hidden_dim=16, lr=0.02, epochs=60, batch_size=11)
    (batch,) = learner.batches(0, np.random.default_rng(0))
    before = float(learner.loss(batch).detach())
    found = fit(learner, data)
    learner.model.eval()
    assert float(learner.loss(batch).detach()) < 0.3 * before and metric in found.best
