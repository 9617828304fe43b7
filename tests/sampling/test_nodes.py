"""Every sampler's pieces against the graph they come from: messages, data, rows, and the full-graph output."""

from __future__ import annotations

import dgl
import numpy as np
import pytest
import torch

from graphkit.core.errors import Interrupted, UsageError
from graphkit.datasets.base import GraphDataset, NodeSplit
from graphkit.methods.node.gnn.method import GNN
from graphkit.sampling.nodes import NodeSampler
from graphkit.training import fit
from graphkit.training.signals import StopRequest

N = 70
AROUND = ("neighbor", "labor", "shadow")  # these draw around seed nodes
SAMPLERS = (*AROUND, "cluster", "saint")
BLOCKS = ("neighbor", "labor")
OPTIONS = {"num_layers": 2, "batch_size": 16, "fanout": (3,), "parts": 3, "parts_per_batch": 2, "saint_budget": (12, 3)}


@pytest.fixture(scope="module")
def data():
    """70 nodes, one isolated, 230 undirected edges, with data on nodes and edges that name them; 45 nodes train."""
    rng = np.random.default_rng(0)
    low, high = np.triu_indices(N - 1, 1)
    chosen = rng.choice(len(low), size=230, replace=False)
    graph = dgl.graph(
        (np.concatenate([low[chosen], high[chosen]]), np.concatenate([high[chosen], low[chosen]])), num_nodes=N
    )
    graph.ndata["feat"], graph.edata["feat"] = torch.randn(N, 6), torch.randn(graph.num_edges(), 4)
    graph.ndata["label"] = torch.arange(N) % 3
    order = rng.permutation(N)
    split = NodeSplit(np.sort(order[:45]), np.sort(order[45:55]), np.sort(order[55:]))
    return GraphDataset("sampled", graph=graph, task="node", split=split, split_name="own", metric="accuracy")


def sampler_of(data, name, **options):
    return NodeSampler(data.graph, data.split.train, name=name, **{**OPTIONS, **options})


def pieces_of(graph):
    return graph if isinstance(graph, list) else [graph]


def global_edges(piece):
    """(source, destination, edge number of the whole graph) of every message of a subgraph or block."""
    src, dst = piece.edges()
    return list(
        zip(piece.srcdata[dgl.NID][src].tolist(), piece.dstdata[dgl.NID][dst].tolist(), piece.edata[dgl.EID].tolist())
    )


@pytest.mark.parametrize("name", SAMPLERS)
def test_messages_are_edges_of_the_graph(data, name):
    src, dst = (ends.tolist() for ends in data.graph.edges(order="eid"))
    train = set(data.split.train.tolist())
    batches = list(sampler_of(data, name).batches(np.random.default_rng(0)))
    assert batches
    for batch in batches:
        first, *_, last = pieces_of(batch.graph) * 2
        assert batch.nodes.tolist() == first.srcdata[dgl.NID].tolist()
        out = last.dstdata[dgl.NID] if isinstance(batch.graph, list) else batch.nodes
        assert (
            out[batch.rows].tolist() == batch.seeds.tolist() and set(batch.seeds.tolist()) <= train and len(batch.rows)
        )
        for piece in pieces_of(batch.graph):
            assert all((src[k], dst[k]) == (u, v) for u, v, k in global_edges(piece))
        for before, after in zip(pieces_of(batch.graph), pieces_of(batch.graph)[1:]):
            assert before.dstdata[dgl.NID].tolist() == after.srcdata[dgl.NID].tolist()


@pytest.mark.parametrize("name", [*AROUND, "cluster"])
def test_an_epoch_scores_each_training_node_once(data, name):
    seen = [node for batch in sampler_of(data, name).batches(np.random.default_rng(3)) for node in batch.seeds.tolist()]
    assert sorted(seen) == data.split.train.tolist()


def test_fanout_limits_the_messages_of_a_block(data):
    degrees = data.graph.in_degrees()
    for batch in sampler_of(data, "neighbor", fanout=(2, 5)).batches(np.random.default_rng(0)):
        for block, fanout in zip(batch.graph, (2, 5)):
            expected = degrees[block.dstdata[dgl.NID]].clamp(max=fanout)
            assert torch.equal(block.in_degrees(), expected)


@pytest.mark.parametrize("name", ["cluster", "saint", "shadow"])
def test_a_subgraph_holds_every_edge_among_its_nodes(data, name):
    src, dst = (ends.tolist() for ends in data.graph.edges(order="eid"))
    for batch in sampler_of(data, name).batches(np.random.default_rng(1)):
        inside = set(batch.nodes.tolist())
        assert len(inside) == len(batch.nodes)
        assert sorted(batch.graph.edata[dgl.EID].tolist()) == [
            k for k, ends in enumerate(zip(src, dst)) if inside >= set(ends)
        ]


@pytest.mark.parametrize("mode, budget", [("node", (20,)), ("edge", (25,)), ("walk", (5, 2))])
def test_saint_draws_by_nodes_edges_and_walks(data, mode, budget):
    sizes = [
        len(b.nodes)
        for b in sampler_of(data, "saint", saint_mode=mode, saint_budget=budget).batches(np.random.default_rng(0))
    ]
    most = {"node": 20, "edge": 50, "walk": 15}[mode]
    assert len(sizes) == 3 and all(0 < size <= most for size in sizes)


@pytest.mark.parametrize("name", SAMPLERS)
def test_pieces_follow_from_the_generator_alone_whoever_draws_them(data, name):
    draws = []
    for noise, workers in ((1, 0), (2, 0), (3, 2)):
        torch.manual_seed(noise)
        batches = list(sampler_of(data, name, workers=workers).batches(np.random.default_rng(5)))
        draws.append(
            [
                ([global_edges(piece) for piece in pieces_of(b.graph)], b.nodes.tolist(), b.seeds.tolist())
                for b in batches
            ]
        )
    assert draws[0] == draws[1] == draws[2]
    assert draws[0] != [
        ([global_edges(piece) for piece in pieces_of(b.graph)], b.nodes.tolist(), b.seeds.tolist())
        for b in sampler_of(data, name).batches(np.random.default_rng(6))
    ]


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_epoch_leaves_the_generator_of_dropout_alone(data, name):
    """A resumed epoch is drawn again, which must not move the generator that its checkpoint has brought back."""
    before = torch.get_rng_state()
    assert list(sampler_of(data, name).batches(np.random.default_rng(5)))
    assert torch.equal(torch.get_rng_state(), before)


def learner_of(data, **options):
    learner = GNN(**{"hidden_dim": 8, "dropout": 0.0, "norm": "batch", **OPTIONS, **options})
    torch.manual_seed(0)
    learner.prepare(data, seed=0, device="cpu")
    for module in learner.model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return learner


EXACT = [(conv, name) for conv in ("gcn", "sage", "gat", "gin", "gine", "gcnii", "mlp") for name in AROUND] + [
    ("gatedgcn", "shadow")
]


@pytest.mark.parametrize("conv, name", EXACT)
@torch.no_grad()
def test_pieces_with_all_neighbours_give_the_output_of_the_whole_graph(data, conv, name):
    options = {"conv": "gin", "edge_features": True} if conv == "gine" else {"conv": conv}
    learner = learner_of(data, **options, sampler=name, fanout=(-1,), num_layers=3)
    expected = learner.logits()
    for batch in learner.batches(0, np.random.default_rng(0)):
        found = learner.model(batch.graph, batch.x, batch.e)[batch.rows]
        seeds = (
            batch.nodes[batch.rows]
            if not isinstance(batch.graph, list)
            else batch.graph[-1].dstdata[dgl.NID][batch.rows]
        )
        torch.testing.assert_close(found, expected[seeds], atol=1e-5, rtol=1e-4)
        assert torch.equal(batch.y, data.graph.ndata["label"][seeds])


@pytest.mark.parametrize("conv", ["gcn", "sage", "gat", "gin", "gatedgcn", "gcnii"])
@torch.no_grad()
def test_all_clusters_together_give_the_output_of_the_whole_graph(data, conv):
    learner = learner_of(data, conv=conv, sampler="cluster", parts_per_batch=3)
    expected = learner.logits()
    (batch,) = learner.batches(0, np.random.default_rng(0))
    assert sorted(batch.nodes.tolist()) == list(range(N))
    torch.testing.assert_close(
        learner.model(batch.graph, batch.x, batch.e), expected[batch.nodes], atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("name", SAMPLERS)
def test_pieces_carry_the_data_of_their_nodes_and_edges(data, name):
    class Marked(GNN):
        def prepare_graph(self, graph):
            graph.ndata["_node"], graph.edata["_edge"] = (
                torch.arange(graph.num_nodes()),
                torch.arange(graph.num_edges()),
            )
            return graph

    learner = Marked(conv="gin", edge_features=True, hidden_dim=8, sampler=name, **OPTIONS)
    learner.prepare(data, seed=0, device="cpu")
    for batch in learner.batches(0, np.random.default_rng(0)):
        assert torch.equal(batch.x, data.graph.ndata["feat"][batch.nodes])
        features = batch.e if isinstance(batch.e, list) else [batch.e]
        for piece, e in zip(pieces_of(batch.graph), features):
            assert torch.equal(e, data.graph.edata["feat"][piece.edata[dgl.EID]])
            assert torch.equal(piece.srcdata["_node"], piece.srcdata[dgl.NID]) and torch.equal(
                piece.edata["_edge"], piece.edata[dgl.EID]
            )
            assert torch.equal(piece.dstdata["_node"], piece.dstdata[dgl.NID])


@torch.no_grad()
def test_a_sample_of_neighbours_stands_for_all_of_them_on_average(data):
    """One GCN layer over a few neighbours is an unbiased estimate of the layer over all of them."""
    learner = learner_of(data, conv="gcn", num_layers=1, norm="none", sampler="neighbor", fanout=(4,), batch_size=45)
    expected = learner.logits()[data.split.train]
    total, rounds = torch.zeros_like(expected), 400
    for epoch in range(rounds):
        (batch,) = learner.batches(epoch, np.random.default_rng(epoch))
        order = torch.argsort(batch.graph[-1].dstdata[dgl.NID])
        total += learner.model(batch.graph, batch.x, batch.e)[order]
    assert (total / rounds - expected).abs().mean() < 0.05 * expected.std()


@pytest.mark.parametrize("name", ("full", *SAMPLERS))
def test_resumed_training_equals_an_unbroken_one(data, name, tmp_path):
    options = {"conv": "sage", "hidden_dim": 8, "dropout": 0.5, "epochs": 3, "sampler": name, **OPTIONS}
    unbroken = fit(GNN(**options), data, seed=4)
    stop, steps = StopRequest(), 0

    def report(event):
        nonlocal steps
        steps += event["event"] == "step"
        if steps == (2 if name == "full" else 3):
            stop.name = "SIGTERM"

    with pytest.raises(Interrupted):
        fit(GNN(**options), data, seed=4, checkpoint_path=tmp_path / "c.pt", report=report, stop=stop)
    resumed = fit(GNN(**options), data, seed=4, checkpoint_path=tmp_path / "c.pt", resume=True)
    assert resumed.best == unbroken.best and resumed.curve == unbroken.curve
    assert all(torch.equal(resumed.state[key], unbroken.state[key]) for key in unbroken.state)


def test_nodes_without_features_keep_their_vectors_in_pieces(data):
    bare = data.renamed(graph=dgl.graph(data.graph.edges(order="eid"), num_nodes=N))
    bare.graph.ndata["label"] = data.graph.ndata["label"]
    learner = learner_of(bare, conv="sage", sampler="neighbor", fanout=(-1,))
    with torch.no_grad():
        expected = learner.logits()
        for batch in learner.batches(0, np.random.default_rng(0)):
            seeds = batch.graph[-1].dstdata[dgl.NID]
            torch.testing.assert_close(
                learner.model(batch.graph, batch.x, batch.e), expected[seeds], atol=1e-5, rtol=1e-4
            )


def test_wrong_options(data):
    with pytest.raises(UsageError, match="--fanout has 3 numbers, expected 1 or 2"):
        sampler_of(data, "neighbor", fanout=(1, 2, 3))
    with pytest.raises(UsageError, match="--saint-budget has 1 numbers, expected 2 for walk"):
        sampler_of(data, "saint", saint_budget=(5,))
    with pytest.raises(UsageError, match="--sampler"):
        GNN(sampler="nieghbor")


def test_the_partition_prints_nothing(capfd):
    from graphkit.sampling.samplers import make_sampler

    ring = torch.arange(200)
    graph = dgl.add_reverse_edges(dgl.graph((ring, (ring + 1) % 200)))
    assert make_sampler(graph, "cluster", 2, parts=4) is not None
    print("heard again")
    found = capfd.readouterr()
    assert (found.out, found.err) == ("heard again\n", "")
