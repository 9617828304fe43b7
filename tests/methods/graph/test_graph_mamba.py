"""Graph Mamba against its parts put together by hand, relabelling, resuming, samplers, tiny graphs and wrong
options.
"""

from __future__ import annotations

import dgl
import numpy as np
import pytest
import torch
from torch.nn import functional

from graphkit import datasets
from graphkit.core import registry
from graphkit.core.errors import DataError, Interrupted, UsageError
from graphkit.datasets.base import GraphDataset, GraphSplit, NodeSplit
from graphkit.methods.graph.graph_mamba import method as module
from graphkit.methods.graph.graph_mamba.config import GraphMambaConfig
from graphkit.methods.graph.graph_mamba.method import GraphMamba
from graphkit.methods.graph.graph_mamba.model import Sequences
from graphkit.methods.graph.graph_mamba.node_order import pagerank, ranks
from graphkit.training import fit
from graphkit.training.signals import StopRequest

SMALL = {
    "hidden_dim": 8,
    "d_state": 3,
    "expand": 1,
    "num_layers": 2,
    "walks": 2,
    "repeats": 2,
    "m": 2,
    "epochs": 2,
    "batch_size": 4,
    "warmup": 0,
    "dropout": 0.0,
}
RING = "ring-transfer:train=6,valid=3,test=3,radius=3"


def graph_of(edges, n, *, directed=False, seed=0, width=5, edge_width=0):
    ends = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
    if not directed:
        ends = np.concatenate([ends, ends[ends[:, 0] != ends[:, 1]][:, ::-1]])
    graph = dgl.graph((torch.from_numpy(ends[:, 0].copy()), torch.from_numpy(ends[:, 1].copy())), num_nodes=n)
    rng = np.random.default_rng(seed)
    if width:
        graph.ndata["feat"] = torch.from_numpy(rng.standard_normal((n, width)).astype(np.float32))
    if edge_width:
        graph.edata["feat"] = torch.from_numpy(rng.standard_normal((len(ends), edge_width)).astype(np.float32))
    return graph


def node_set(edges, n, **options):
    graph = graph_of(edges, n, **options)
    graph.ndata["label"] = torch.arange(n) % 3
    order, third = np.random.default_rng(1).permutation(n), max(1, n // 3)
    split = NodeSplit(order[: max(1, n - 2 * third)], order[-2 * third : -third] if n > 1 else order, order[-third:])
    return GraphDataset(
        "tiny", graph=graph, task="node", split=split, metric="accuracy", directed=options.get("directed", False)
    )


def random_edges(n=30, count=60, seed=1):
    pairs = np.random.default_rng(seed).integers(n, size=(count, 2))
    return np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)


def prepared(dataset, **options):
    torch.manual_seed(0)
    learner = GraphMamba(**{**SMALL, **options})
    learner.prepare(dataset, seed=0, device="cpu")
    learner.model.eval()
    return learner


# Order


def test_pagerank_solves_its_equation():
    """p = 0.15/n + 0.85 P^T p with the mass of sinks spread evenly, each part of the graph for itself."""
    directed = graph_of(np.random.default_rng(0).integers(12, size=(25, 2)), 12, directed=True)
    whole = dgl.batch([directed, graph_of(random_edges(9, 14), 9), graph_of([], 3)])
    found, start = pagerank(whole, whole.batch_num_nodes().numpy()), 0
    for part in dgl.unbatch(whole):
        n, dense = part.num_nodes(), np.zeros((part.num_nodes(),) * 2)
        np.add.at(dense, tuple(ends.numpy() for ends in part.edges()), 1)
        degree = dense.sum(1, keepdims=True)
        step = np.where(degree > 0, dense / np.maximum(degree, 1), 1 / n)
        expected = np.linalg.solve(np.eye(n) - 0.85 * step.T, np.full(n, 0.15 / n))
        np.testing.assert_allclose(found[start : start + n], expected, atol=1e-10)
        np.testing.assert_allclose(expected.sum(), 1)
        start += n


def test_ranks_follow_scores_and_symmetry_gives_ties():
    ring, star = graph_of([(v, (v + 1) % 24) for v in range(24)], 24), graph_of([(0, v) for v in range(1, 9)], 9)
    assert len(set(ranks(ring, np.array([24]), "ppr").tolist())) == 1
    assert ranks(star, np.array([9]), "ppr").tolist() == [1] + [0] * 8
    assert ranks(star, np.array([9]), "degree").tolist() == [16] + [2] * 8
    assert set(ranks(star, np.array([9]), "random").tolist()) == {0}
    graph = graph_of(random_edges(40, 90), 40)
    scores, rank = pagerank(graph, np.array([40])), ranks(graph, np.array([40]), "ppr").numpy()
    assert (np.diff(scores[np.argsort(rank, kind="stable")]) > -1e-7).all() and rank.max() > 20


def test_sequences_sort_each_graph_and_come_back():
    rank = torch.tensor([5, 1, 1, 3, 2, 2, 0])
    noise = torch.tensor([0.1, 0.9, 0.2, 0.5, 0.4, 0.3, 0.8])
    sequences = Sequences.of(torch.tensor([4, 0, 3]), rank, noise)
    assert sequences.lengths.tolist() == [4, 0, 3]
    padded = sequences.padded(torch.arange(1.0, 8).unsqueeze(1))
    assert padded[..., 0].tolist() == [[3, 2, 4, 1], [0, 0, 0, 0], [7, 6, 5, 0]]
    assert sequences.nodes(padded)[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7]
    split = Sequences.of(torch.tensor([4, 3]), rank, noise, torch.tensor([0, 1, 0, 1, 1, 1, 1]), 2)
    assert split.padded(torch.arange(1.0, 8).unsqueeze(1))[..., 0].tolist() == [
        [3, 1, 0],
        [2, 4, 0],
        [0, 0, 0],
        [7, 6, 5],
    ]


def test_ties_fall_at_random_in_training_and_stay_when_evaluating():
    learner = prepared(datasets.load(RING, task="node"), m=0)
    seen = []

    def note(graph, h, positions, e, rank, noise, buckets=None):
        seen.append((rank, noise))
        return torch.zeros(graph.num_nodes(), 5, requires_grad=True)

    learner.model.forward = note
    for epoch in (0, 1, 0):
        for drawn in learner.batches(epoch, np.random.default_rng(epoch)):
            learner.loss(drawn)
    first, second, again = seen[:2], seen[2:4], seen[4:]
    assert len(seen) == 6 and all(len(set(rank.tolist())) == 1 for rank, _ in seen)
    assert all(torch.equal(a[1], b[1]) for a, b in zip(first, again)) and not torch.equal(first[0][1], second[0][1])
    seen.clear()
    learner.predict("test"), learner.predict("test")
    assert torch.equal(seen[0][1], seen[1][1])


# The model, put together by hand


def test_m_0_equals_the_ordering_by_hand():
    """One layer without message passing: sort in Python, run the block on each graph's nodes alone, put them back."""
    data = datasets.load(RING, task="node")
    learner = prepared(data, m=0, mpnn="none", norm="none", num_layers=1, order="degree")
    numbers = torch.tensor([4, 0, 2])
    batch, model = learner.graph_batch(numbers, "train"), learner.model
    found = learner.logits_by(batch.graph, batch.x, batch.e, 77)
    noise = learner._uniform(77, learner.set.nodes(numbers), module.TIES)
    expected = torch.empty_like(found)
    for k in range(3):
        rows = list(range(6 * k, 6 * k + 6))
        rows.sort(key=lambda row: (int(batch.graph.in_degrees(row)), float(noise[row])))
        h = model.node_input(batch.x[rows], None)
        layer = model.layers[0].scan
        h = h + layer.block(layer.norm(h).unsqueeze(0))[0]
        expected[rows] = model.head.layers(h)
    torch.testing.assert_close(found, expected)


def tokens_by_hand(learner, v, seed):
    """[(nodes, walks)] of a node's tokens, the order from m down to 0, from the walks alone."""
    from graphkit.methods.graph.graph_mamba.walks import token_walks_plain

    sizes = {key: getattr(learner.config, key) for key in ("m", "walks", "repeats")}
    walks = token_walks_plain(learner.source.matrix, np.array([v]), seed=seed, **sizes)[0]
    paths = [[[u for u in walk if u >= 0] for walk in token] for token in walks.tolist()]
    return [(sorted({u for walk in token for u in walk}), token) for token in paths]


def encode_by_hand(learner, nodes, walks, h0):
    stage, graph = learner.model.tokens, learner.whole
    if learner.config.local_encoder == "mean":
        return stage.encoder.layer(h0[nodes]).mean(0)
    if learner.config.local_encoder == "gatedgcn":
        part = dgl.node_subgraph(graph, nodes)
        h, e = (
            h0[nodes],
            None if stage.edge_input is None else stage.edge_input(graph.edata["feat"][part.edata[dgl.EID]], None),
        )
        for layer in stage.encoder.layers:
            h, e = layer(part, h, e)
        return h.mean(0)
    linked, found = graph.has_edges_between, []
    for walk in walks:
        rows = []
        for t, v in enumerate(walk):
            back = [walk[t - j] if t >= j else None for j in (1, 2, 3)]
            same = [float(u == v) for u in back]
            joined = [float(u is not None and (linked(u, v) or linked(v, u))) for u in back]
            rows.append(torch.cat([h0[v], torch.tensor(same + joined)]))
        x = torch.stack(rows).T.unsqueeze(0)
        for conv in stage.encoder.convs:
            x = torch.relu(functional.conv1d(x, conv.weight, conv.bias, padding=1))
        found.append(x[0].mean(1))
    return torch.stack(found).mean(0)


@pytest.mark.parametrize("encoder, edge_width", [("mean", 0), ("gatedgcn", 0), ("gatedgcn", 2), ("rwf", 0)])
@pytest.mark.parametrize("readout", ["last", "mean"])
def test_token_vectors_equal_tokens_encoded_one_by_one(encoder, edge_width, readout):
    learner = prepared(
        node_set(random_edges(), 30, edge_width=edge_width), local_encoder=encoder, readout=readout, local_layers=2
    )
    learner.model.eval()
    stage, nodes = learner.model.tokens, [3, 29, 0]
    found, _ = learner._token_vectors(np.array(nodes), 9)
    h0 = learner.model.node_input(learner.whole.ndata["feat"], None)
    for row, v in enumerate(nodes):
        tokens = tokens_by_hand(learner, v, 9)
        assert tokens[-1][0] == [v] and len(tokens) == 5
        x = torch.stack([encode_by_hand(learner, *token, h0) for token in tokens]).unsqueeze(0)
        for layer in stage.layers:
            x = x + layer.block(layer.norm(x))
        expected = stage.norm(x[0, -1] if readout == "last" else x[0].mean(0))
        torch.testing.assert_close(found[row], expected, rtol=1e-4, atol=1e-5)


def test_visit_counts_and_encodings_reach_the_tokens():
    learner = prepared(node_set(random_edges(), 30), pe="rwse:4:3,walks", edge_pe=True)
    changed = prepared(node_set(random_edges(), 30), pe="rwse:4:3,walks", edge_pe=True)
    assert learner.config.graph_pe == "rwse:4:3" and learner.model.tokens.visits.in_features == 8 + 3
    with torch.no_grad():
        changed.model.tokens.visits.weight[:, 8:] += 1
    assert (learner.node_logits() - changed.node_logits()).abs().max() > 1e-3
    changed.load_state_dict(learner.state_dict())
    for layer in (changed.model.edge_positions, changed.model.tokens.edge_positions):
        with torch.no_grad():
            before = changed.node_logits()
            layer.weight += 1
            changed._logits = None
            assert (changed.node_logits() - before).abs().max() > 1e-4
    # Encodings of the nodes of a batch are those of the nodes themselves.
    _, positions = learner._token_vectors(np.array([7, 3]), 5)
    torch.testing.assert_close(positions, learner.model.encodings(learner.whole)[[7, 3]])


def test_evaluation_averages_its_draws_and_repeats_them():
    data = node_set(random_edges(), 30)
    learner = prepared(data, eval_draws=3)
    seeds = np.random.default_rng([0, 1]).integers(2**62, size=3).tolist()
    batch = learner.full_batch("test")
    single = [learner.logits_by(batch.graph, batch.x, batch.e, seed) for seed in seeds]
    torch.testing.assert_close(learner.node_logits(), sum(single) / 3)
    assert not torch.equal(single[0], single[1])
    assert torch.equal(prepared(data, eval_draws=3).node_logits(), learner.node_logits())


def test_parts_of_the_nodes_at_a_time_change_nothing(monkeypatch):
    data = node_set(random_edges(), 30)
    whole = prepared(data).node_logits()
    monkeypatch.setattr(module, "NODES_AT_ONCE", 7)
    torch.testing.assert_close(prepared(data).node_logits(), whole, rtol=1e-5, atol=1e-6)


def test_shuffled_tokens_are_the_same_tokens_elsewhere():
    data = node_set(random_edges(), 30)
    plain, shuffled = (
        prepared(data, node_scan="none", mpnn="none"),
        prepared(data, shuffle_tokens=True, node_scan="none", mpnn="none"),
    )
    seen = []
    for learner in (plain, shuffled):
        learner.model.tokens.layers[0].register_forward_hook(lambda layer, inputs, out: seen.append(inputs[0]))
        learner.node_logits()
    assert not torch.equal(*seen) and (seen[0] != seen[1]).any(2).any(1).float().mean() > 0.8
    torch.testing.assert_close(seen[0].sum(1), seen[1].sum(1), rtol=1e-4, atol=1e-5)
    # Training shuffles too, anew for every step: a model that is trained in one order and tested in another shows
    # little.
    for learner in (plain, shuffled):
        learner.model.train()
        for seed in (0, 1):
            learner._token_vectors(np.arange(30), seed)
    assert (seen[2] != seen[4]).any(2).any(1).float().mean() > 0.8 and not torch.equal(seen[4], seen[5])
    torch.testing.assert_close(seen[2].sum(1), seen[4].sum(1), rtol=1e-4, atol=1e-5)


def test_presets_of_the_sibling_are_the_published_ones():
    expected = {  # layers, width, encodings, weights of classes, layers of the head, weight decay, dropout, batch
        "peptides-func": (3, 96, "lappe:10:16", "none", 1, 0.01, 0.0, 128),
        "pattern": (6, 64, "lappe:16:16", "batch", 3, 1e-4, 0.0, 32),
        "cluster": (16, 48, "lappe:10:16", "batch", 3, 1e-4, 0.1, 16),
    }
    for name, values in expected.items():
        c = registry.resolve_config("graph-mamba", name, preset="gps")
        found = (
            c.num_layers,
            c.hidden_dim,
            c.pe,
            c.class_weights,
            c.head_layers,
            c.weight_decay,
            c.dropout,
            c.batch_size,
        )
        assert found == values, name
        assert (c.m, c.order, c.expand, c.d_state, c.d_conv, c.lr, c.eval_draws) == (0, "degree", 1, 16, 4, 1e-3, 5)
        assert c.feed_forward and c.mpnn == "gatedgcn"


# Relabelling


def relabelled(data, order):
    """The same data, node v called order[v]."""
    src, dst = data.graph.edges(order="eid")
    graph = dgl.graph((order[src], order[dst]), num_nodes=len(order))
    for key, value in data.graph.ndata.items():
        graph.ndata[key] = torch.empty_like(value).index_copy(0, order, value)
    split = NodeSplit(*(order.numpy()[part] for part in (data.split.train, data.split.valid, data.split.test)))
    return GraphDataset("tiny", graph=graph, task="node", split=split, metric="accuracy", directed=data.directed)


def one_way(n=26, seed=3):
    """A directed graph with one edge from every node: walks leave no choice, and so no randomness."""
    rng = np.random.default_rng(seed)
    return [(v, int((v + rng.integers(1, n)) % n)) for v in range(n)]


@pytest.mark.parametrize(
    "options",
    [
        {"m": 0, "order": "ppr"},
        {"m": 0, "order": "ppr", "mpnn": "gine", "combine": "concat", "feed_forward": True},
        {"m": 2, "node_scan": "none"},
        {"m": 3, "node_scan": "none", "local_encoder": "rwf", "mpnn": "pna", "pe": "rwse:3:2,walks"},
        {"m": 2, "node_scan": "none", "local_encoder": "mean", "mpnn": "none"},
    ],
    ids=str,
)
def test_relabelled_nodes_get_the_same_logits(options):
    directed = options["m"] > 0
    data = node_set(one_way() if directed else random_edges(26, 70), 26, directed=directed)
    if not directed:
        assert len(set(ranks(data.graph, np.array([26]), "ppr").tolist())) == 26  # no ties
    order = torch.randperm(26, generator=torch.Generator().manual_seed(2))
    first, second = prepared(data, **options), prepared(relabelled(data, order), **options)
    torch.testing.assert_close(second.node_logits()[order], first.node_logits(), rtol=1e-4, atol=1e-5)


# Training


@pytest.mark.parametrize(
    "name, options",
    [
        ("nodes", {"m": 2}),
        ("nodes", {"m": 0, "order": "degree", "buckets": 2}),
        ("nodes", {"m": 1, "sampler": "cluster", "parts_per_batch": 1}),
        ("nodes", {"m": 1, "sampler": "neighbor", "fanout": (3,)}),
        ("rings", {"m": 0}),
        ("rings", {"m": 1, "local_encoder": "rwf"}),
    ],
    ids=str,
)
def test_resumed_run_equals_an_unbroken_one(tmp_path, name, options):
    data = node_set(random_edges(60, 150), 60) if name == "nodes" else datasets.load(RING, task="node")
    options = {**SMALL, **options, "epochs": 3, "dropout": 0.2, "batch_size": 5}

    class Stop(StopRequest):
        left = 2

        def after_steps(self, event):
            self.left -= event["event"] == "step"
            self.name = "SIGINT" if self.left == 0 else self.name

    whole = fit(GraphMamba(**options), data, seed=3)
    stop, path = Stop(), tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted):
        fit(GraphMamba(**options), data, seed=3, checkpoint_path=path, stop=stop, report=stop.after_steps)
    again = fit(GraphMamba(**options), data, seed=3, checkpoint_path=path, resume=True)
    assert again.best == whole.best
    assert all(torch.equal(value, again.state[key]) for key, value in whole.state.items())


@pytest.mark.parametrize("options", [{"m": 1}, {"m": 2, "local_encoder": "rwf", "walks": 3}], ids=str)
def test_blocks_of_all_neighbours_equal_the_whole_graph(options):
    """A node's tokens come from the whole graph also where a sampler cuts blocks; message passing alone beyond them."""
    data = node_set(random_edges(), 30)
    learner = prepared(data, sampler="neighbor", fanout=(-1,), node_scan="none", mpnn="gine", batch_size=4, **options)
    whole, scored = learner.full_batch("train"), []
    for drawn in learner.batches(0, np.random.default_rng(0)):
        batch = drawn.batch
        assert isinstance(batch.graph, list) and len(batch.graph) == 2
        logits = learner.logits_by(batch.graph, batch.x, batch.e, 5)
        seeds = batch.nodes[: len(logits)]
        torch.testing.assert_close(
            logits, learner.logits_by(whole.graph, whole.x, whole.e, 5)[seeds], rtol=1e-4, atol=1e-5
        )
        scored += seeds.tolist()
    assert sorted(scored) == sorted(data.split.train.tolist())


@pytest.mark.parametrize("sampler", ["neighbor", "labor", "shadow", "cluster", "saint"])
@pytest.mark.parametrize(
    "options",
    [
        {"m": 0},
        {"m": 1, "node_scan": "all", "pe": "lappe:2:2,walks"},
        {"m": 1, "mpnn": "none", "node_scan": "none"},
    ],
    ids=str,
)
def test_samplers_train(sampler, options):
    data = node_set(random_edges(60, 150), 60, edge_width=2)
    pieces = {"sampler": sampler, "fanout": (3,), "parts": 3, "parts_per_batch": 1, "saint_budget": (6, 2)}
    learner = GraphMamba(**{**SMALL, **options, **pieces})
    fit(learner, data, seed=0)
    assert torch.isfinite(learner.node_logits()).all() and learner.node_logits().shape == (60, 3)


ZOO = {
    "one node": ([], 1),
    "no edges": ([], 6),
    "isolated nodes": ([(0, 1)], 7),
    "loop and repeated edges": ([(0, 0), (0, 1), (0, 1), (1, 2), (3, 4)], 6),
    "star": ([(0, v) for v in range(1, 9)], 9),
}


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"m": 0, "buckets": 2},
        {"m": 2, "pe": "lappe:3:2,walks"},
        {"m": 1, "local_encoder": "rwf", "mpnn": "gine", "walk_window": 0},
        {"m": 2, "local_encoder": "mean", "mpnn": "pna", "token_pool": "sum"},
        {"m": 1, "width": 0, "mpnn": "none"},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", list(ZOO))
def test_zoo_trains_and_predicts(name, options, directed):
    edges, n = ZOO[name]
    options = dict(options)
    learner = GraphMamba(**{**SMALL, **{key: value for key, value in options.items() if key != "width"}})
    fit(learner, node_set(edges, n, directed=directed, width=options.get("width", 5)), seed=0)
    assert torch.isfinite(learner.node_logits()).all()


@pytest.mark.parametrize("m", [0, 2])
@pytest.mark.parametrize("width, edge_width", [(5, 0), (0, 0), (5, 3)])
def test_graph_labels(m, width, edge_width):
    sizes = [1, 5, 7, 4, 9, 6, 3, 8, 5]
    graphs = [
        graph_of(random_edges(n, 2 * n, seed=n) if n > 1 else [], n, width=width, edge_width=edge_width, seed=n)
        for n in sizes
    ]
    split = GraphSplit(np.arange(5), np.arange(5, 7), np.arange(7, 9))
    data = GraphDataset(
        "tiny", graphs=graphs, graph_labels=torch.arange(9) % 2, task="graph", split=split, metric="accuracy"
    )
    learner = GraphMamba(**{**SMALL, "m": m, "pe": "rwse:3:2"})
    fit(learner, data, seed=0)
    assert learner.predict("test")["y_pred"].shape == (2, 2)
    together, one = prepared(data, m=m), prepared(data, m=m, eval_batch_size=1)
    torch.testing.assert_close(together.logits(), one.logits(), rtol=1e-4, atol=1e-5)  # graphs do not see each other


def test_another_graph_is_labelled_by_walks_on_it():
    learner = prepared(node_set(random_edges(), 30))
    other = node_set(random_edges(20, 50, seed=8), 20, seed=5)
    before = learner.node_logits()
    found = learner.logits_of(other)
    fresh = prepared(other)
    fresh.load_state_dict(learner.state_dict())
    torch.testing.assert_close(found, fresh.node_logits())
    learner._logits = None
    assert torch.equal(learner.node_logits(), before)
    with pytest.raises(DataError, match="expected 5 as in training"):
        learner.logits_of(node_set([], 4, width=3))
    learner._logits = None
    assert torch.equal(learner.node_logits(), before)


def test_optimiser_leaves_a_log_and_d_undecayed():
    learner = prepared(node_set(random_edges(), 30), m=1, token_layers=2, node_scan="all")
    groups = learner.optimizers[0].param_groups
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0]
    assert len(groups[1]["params"]) == 2 * 2 * (
        2 + 2
    )  # A_log and D, two directions, two token layers and two node layers
    assert sum(len(group["params"]) for group in groups) == len(list(learner.model.parameters()))
    learner.on_epoch_start(0)
    assert {group["lr"] for group in groups} == {0.001}


@pytest.mark.parametrize(
    "options, scans",
    [
        ({"m": 0}, [True] * 3),
        ({"m": 0, "node_scan": "none", "mpnn": "none"}, [True] * 3),
        ({"m": 1}, [False, False, True]),
        ({"m": 1, "node_scan": "all"}, [True] * 3),
        ({"m": 1, "node_scan": "none"}, [False] * 3),
        ({"m": 1, "mpnn": "none"}, [True]),
        ({"m": 1, "node_scan": "none", "mpnn": "none"}, []),
    ],
    ids=str,
)
def test_layers_over_the_nodes(options, scans):
    assert GraphMambaConfig(**options).scans() == scans


@pytest.mark.parametrize(
    "options, text",
    [
        ({"m": 0, "pe": "walks"}, "--m is 0"),
        ({"pe": "signnet-mlp"}, "--pe signnet-mlp"),
        ({"pe": "rwse:4,peg"}, "--pe peg"),
        ({"edge_pe": True}, "--edge-pe"),
        ({"edge_pe": True, "pe": "walks"}, "--edge-pe"),
        ({"m": -1}, "--m is -1"),
        ({"local_encoder": "gin"}, "--local-encoder"),
        ({"scan": "cuda"}, "--scan"),
    ],
    ids=str,
)
def test_wrong_options_are_refused(options, text):
    with pytest.raises(UsageError, match=text):
        GraphMambaConfig(**options)


def test_what_only_data_and_device_tell_is_refused_too():
    data = node_set(random_edges(), 30)
    for options, text in (({"pe": "rwse:4:8"}, "takes 8 of --hidden-dim 8"), ({"pe": "rwes"}, "rwse")):
        with pytest.raises(UsageError, match=text):
            prepared(data, **options)
    with pytest.raises(UsageError, match="--scan is numba"):
        GraphMamba(**SMALL, scan="numba").prepare(data, seed=0, device="cuda")


@pytest.mark.parametrize("backend", ["numba", "chunked", "loop"])
def test_backends_train_alike(backend):
    data, found = node_set(random_edges(), 30), []
    for options in ({}, {"scan": backend}):
        learner = prepared(data, **options)
        learner.model.train()
        learner.loss(next(learner.batches(0, np.random.default_rng(0)))).backward()
        found.append([p.grad for p in learner.model.parameters()])
    for mine, right in zip(*found):
        torch.testing.assert_close(mine, right, rtol=1e-3, atol=1e-5)
