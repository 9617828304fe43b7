"""GNN baselines: every sampler keeps targets out of the messages and names the right nodes."""

from __future__ import annotations

import dgl
import numpy as np
import pytest
import torch

from graphkit.core.errors import UsageError
from graphkit.methods.link.gnn_links import samplers as links
from graphkit.methods.link.gnn_links.config import SAMPLERS
from graphkit.methods.link.gnn_links.dgl_stack import GraphStack
from graphkit.methods.link.gnn_links.method import GNNLinks
from graphkit.training import fit

SMALL = {"hidden_dim": 8, "batch_size": 16, "epochs": 2, "saint_budget": (12, 3), "parts": 3, "parts_per_batch": 2}


@pytest.fixture
def blocks_graph(dataset_of):
    """60 nodes, 200 edges, some of them twice."""
    low, high = np.triu_indices(60, 1)
    chosen = np.random.default_rng(0).choice(len(low), size=200, replace=False)
    edges = np.stack([low[chosen], high[chosen]], axis=1)
    return dataset_of(np.concatenate([edges, edges[:20]]), 60)


def sampler_of(dataset, name, **options):
    positives = np.ascontiguousarray(dataset.split.train.pos)
    options = {"num_layers": 2, "batch_size": 16, "parts": 3, "parts_per_batch": 2, "saint_budget": (12, 3), **options}
    return links.LinkSampler(dgl.add_self_loop(dataset.graph), positives, name=name, **options)


def message_edges(batch):
    """Pairs of global node numbers that messages pass along, from blocks or a graph."""
    if not isinstance(batch.graph, list):
        src, dst = batch.graph.edges()
        return {(int(batch.nodes[a]), int(batch.nodes[b])) for a, b in zip(src, dst)}
    pairs = set()
    for block in batch.graph:
        src, dst = block.edges()
        pairs |= {(int(block.srcdata[dgl.NID][a]), int(block.dstdata[dgl.NID][b])) for a, b in zip(src, dst)}
    return pairs


def output_nodes(batch):
    return batch.graph[-1].dstdata[dgl.NID] if isinstance(batch.graph, list) else batch.nodes


@pytest.mark.parametrize("name", SAMPLERS)
def test_targets_are_out_of_the_messages(blocks_graph, name):
    known = {frozenset(pair) for pair in blocks_graph.split.train.pos.tolist()}
    sampler = sampler_of(blocks_graph, name)
    batches = list(sampler.batches(np.random.default_rng(0)))
    assert batches
    for batch in batches:
        nodes = output_nodes(batch)
        positive, negative = nodes[batch.positive].tolist(), nodes[batch.negative].tolist()
        messages = message_edges(batch)
        assert len(positive) and len(negative) and messages
        for a, b in positive:
            assert frozenset((a, b)) in known and (a, b) not in messages and (b, a) not in messages
        for a, b in negative:
            assert a != b and frozenset((a, b)) not in known
        assert all(a == b or frozenset((a, b)) in known for a, b in messages)


@pytest.mark.parametrize("name", ["full", "neighbor", "labor", "shadow"])
def test_an_epoch_scores_each_edge_at_most_once(blocks_graph, name):
    seen = []
    for batch in sampler_of(blocks_graph, name, batch_size=30).batches(np.random.default_rng(0)):
        seen += output_nodes(batch)[batch.positive].tolist()
    expected = blocks_graph.split.train.pos.tolist()
    assert len(seen) == 210 and all(expected.count(pair) >= seen.count(pair) for pair in seen)


@pytest.mark.parametrize("name", SAMPLERS)
def test_batches_follow_from_the_generator_alone(blocks_graph, name):
    sampler = sampler_of(blocks_graph, name)
    draws = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        batches = list(sampler.batches(np.random.default_rng(5)))
        assert torch.equal(torch.rand(1), torch.rand(1, generator=torch.Generator().manual_seed(noise)))
        draws.append([(sorted(message_edges(b)), b.positive.tolist(), b.nodes.tolist()) for b in batches])
    assert draws[0] == draws[1]


@pytest.mark.parametrize("conv", ["gcn", "sage", "gat"])
def test_blocks_with_all_neighbours_equal_the_whole_graph(blocks_graph, conv):
    torch.manual_seed(0)
    graph = dgl.add_self_loop(blocks_graph.graph)
    model = GraphStack(conv, 6, 8, 8, 2, dropout=0.0).eval()
    features = torch.randn(60, 6)
    seeds = torch.tensor([3, 17, 59])
    # The norm of a GraphConv counts a block's edges, which for a source node are not all of its own.
    if conv == "gcn":
        seeds = torch.arange(60)
    nodes, _, blocks = dgl.dataloading.NeighborSampler([-1, -1]).sample(graph, seeds)
    torch.testing.assert_close(model(blocks, features[nodes]), model(graph, features)[seeds], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_trains_with_every_sampler(blocks_graph, sampler):
    learner = GNNLinks(**SMALL, sampler=sampler, conv="sage")
    before = fit(learner, blocks_graph, seed=0)
    assert before.epochs == 2 and torch.isfinite(learner.score_pairs(torch.tensor([[0, 1], [2, 3]]))).all()


def test_one_cluster_is_the_whole_graph(dataset_of):
    """METIS cannot make one part of a graph, which is all that 30 nodes are cut into."""
    edges = np.array([(k, (k + step) % 30) for k in range(30) for step in (1, 2)])
    learner = GNNLinks(**SMALL, sampler="cluster")
    fit(learner, dataset_of(edges, 30), seed=0)
    batch = next(iter(learner.sampler.batches(np.random.default_rng(0))))
    assert learner.sampler.parts == 1 and batch.nodes.tolist() == list(range(30))
    assert batch.graph.num_edges() == learner.graph.num_edges() - 2 * len(batch.positive)


@pytest.mark.parametrize("conv", ["gcn", "sage", "gat"])
def test_zoo(zoo, conv):
    learner = GNNLinks(**{**SMALL, "batch_size": 2}, conv=conv, decoder="dot")
    fit(learner, zoo, seed=0)
    assert torch.isfinite(learner.score_pairs(torch.tensor([[0, 1]]))).all()


def test_wrong_options():
    with pytest.raises(UsageError, match="--sampler"):
        GNNLinks(sampler="nieghbor")


def test_wrong_fanout(blocks_graph):
    with pytest.raises(UsageError, match="--fanout has 3 numbers, expected 1 or 2"):
        fit(GNNLinks(**SMALL, sampler="neighbor", fanout=(1, 2, 3)), blocks_graph)


def test_nothing_to_train_is_refused(random_graph):
    with pytest.raises(UsageError, match="--lr is 0: nothing would be trained"):
        fit(GNNLinks(hidden_dim=8, lr=0.0, epochs=2), random_graph)
