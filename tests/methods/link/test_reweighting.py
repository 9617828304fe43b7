"""Re-weighted message passing against dense matrices, in every link learner that offers it."""

from __future__ import annotations

import dgl
import numpy as np
import pytest
import torch

from graphkit.core.errors import UsageError
from graphkit.methods.link.gnn_links.config import SAMPLERS
from graphkit.methods.link.gnn_links.method import GNNLinks
from graphkit.methods.link.ncnc.method import NCNC
from graphkit.nn import reweight
from graphkit.training import fit

GNN = {
    "hidden_dim": 8,
    "batch_size": 16,
    "epochs": 3,
    "dropout": 0.0,
    "reweight": "tc",
    "reweight_warm_up": 0,
    "saint_budget": (12, 3),
    "parts": 3,
    "parts_per_batch": 2,
}
NCN = {
    "variant": "ncn",
    "hidden_dim": 8,
    "batch_size": 16,
    "epochs": 3,
    "reweight": "tc",
    "reweight_warm_up": 0,
    "feature_dropout": 0.0,
    "hidden_dropout": 0.0,
    "predictor_dropout": 0.0,
}


@pytest.fixture
def dataset(dataset_of):
    low, high = np.triu_indices(30, 1)
    chosen = np.random.default_rng(0).choice(len(low), size=90, replace=False)
    features = np.random.default_rng(1).normal(size=(30, 5))
    edges = np.stack([low[chosen], high[chosen]], axis=1)
    return dataset_of(edges, 30, features=features, valid=edges[:3], test=edges[3:6])


def raised(weights, scores, present, alpha, normalize):
    """w + alpha S softmax(s), dense: row i receives, column j sends."""
    axis = 1 if normalize == "receiver" else 0
    share = np.where(present, np.exp(scores), 0.0)
    share /= np.maximum(share.sum(axis, keepdims=True), 1e-300)
    return weights + alpha * weights.sum(axis, keepdims=True) * share


def by_degrees(present, kind):
    received, sent = present.sum(1, keepdims=True), present.sum(0, keepdims=True)
    weight = {
        "gcn": 1 / np.sqrt(np.maximum(received * sent, 1)),
        "sage": 1 / np.maximum(received, 1),
        "sum": np.ones_like(present),
    }
    return np.where(present, weight[kind], 0.0)


def dense(receiver, sender, values, n):
    matrix = np.zeros((n, n))
    matrix[np.asarray(receiver), np.asarray(sender)] = values
    return matrix


@pytest.mark.parametrize("kind", ["gcn", "sage", "sum"])
@pytest.mark.parametrize("normalize", ["receiver", "sender"])
def test_factors_are_their_definition(kind, normalize):
    rng = np.random.default_rng(0)
    present = rng.random((12, 12)) < 0.3
    receiver, sender = (torch.from_numpy(part) for part in np.nonzero(present))
    scores = torch.from_numpy(rng.random(len(receiver)))
    edges = reweight.Edges(receiver, sender, 12, 12)
    found = (
        reweight.degree_weights(edges, kind).double()
        * reweight.factors(edges, scores.float(), kind, 1.7, normalize).double()
    )
    expected = raised(by_degrees(present, kind), dense(receiver, sender, scores, 12), present, 1.7, normalize)
    np.testing.assert_allclose(dense(receiver, sender, found, 12), expected, rtol=1e-5, atol=1e-7)
    h = torch.from_numpy(rng.normal(size=(12, 3))).float()
    np.testing.assert_allclose(
        reweight.neighbour_means(edges, h, kind), by_degrees(present, kind) @ h.numpy(), rtol=1e-4, atol=1e-6
    )


def trained(method, dataset, **options):
    learner = method(**options)
    learner.load_state_dict(fit(learner, dataset, seed=0).state)
    learner.model.eval()
    return learner


def edge_matrices(learner):
    """(0/1 messages, scores) of the training graph, dense, row i receives."""
    if isinstance(learner, GNNLinks):
        sender, receiver = learner.graph.edges(order="eid")
    else:
        receiver, sender = learner.graph.messages(loops=True)[0][:2]
    n = learner.dataset.num_nodes
    return dense(receiver, sender, 1.0, n) > 0, dense(receiver, sender, learner.edge_scores, n)


@pytest.mark.parametrize("conv", ["gcn", "sage"])
@pytest.mark.parametrize("normalize", ["receiver", "sender"])
def test_a_layer_uses_the_raised_weights(dataset, conv, normalize):
    learner = trained(
        GNNLinks, dataset, **GNN, conv=conv, num_layers=1, reweight_normalize=normalize, reweight_alpha=2.0
    )
    present, scores = edge_matrices(learner)
    weights, x = raised(by_degrees(present, conv), scores, present, 2.0, normalize), learner.features.double().numpy()
    layer = {
        name: value.detach().double().numpy() for name, value in learner.model["encoder"].layers[0].named_parameters()
    }
    if conv == "gcn":
        expected = weights @ x @ layer["weight"] + layer["bias"]
    else:
        expected = (
            weights @ x @ layer["fc_neigh.weight"].T
            + x @ layer["fc_self.weight"].T
            + layer.get("fc_self.bias", layer.get("bias"))
        )
    with torch.no_grad():
        np.testing.assert_allclose(learner._encode(learner.graph), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("conv", ["puregcn", "puresum", "gcn"])
def test_ncn_uses_the_raised_weights(dataset, conv):
    learner = trained(NCNC, dataset, **NCN, conv=conv, num_layers=1, jk=False, layer_norm=False, reweight_alpha=0.5)
    present, scores = edge_matrices(learner)
    if conv == "puresum":
        present = present & ~np.eye(len(present), dtype=bool)
    weights = raised(by_degrees(present, "sum" if conv == "puresum" else "gcn"), scores, present, 0.5, "receiver")
    encoder = {name: value.detach().double().numpy() for name, value in learner.model["encoder"].named_parameters()}
    x = learner.features.double().numpy()
    if conv == "gcn":
        expected = np.maximum(weights @ x @ encoder["convs.0.linear.weight"].T + encoder["convs.0.bias"], 0)
    else:
        expected = weights @ (x @ encoder["input.weight"].T + encoder["input.bias"])
    with torch.no_grad():
        np.testing.assert_allclose(learner._vectors(learner.graph), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("aggregation", ["gcn", "sage"])
@pytest.mark.parametrize("normalize", ["receiver", "sender"])
@pytest.mark.parametrize("method, options", [(GNNLinks, GNN), (NCNC, NCN)], ids=["gcn-link", "ncn"])
def test_scores_are_those_of_the_predictor(dataset, method, options, aggregation, normalize):
    learner = trained(method, dataset, **options, reweight_aggregation=aggregation, reweight_normalize=normalize)
    learner.edge_scores = None  # the vectors are then those of plain weights
    with torch.no_grad():
        scores = learner.score_edges()
        h = (learner._encode if method is GNNLinks else learner._vectors)(learner.graph)
        learner.edge_scores = scores
        present, found = edge_matrices(learner)
        means = torch.from_numpy(by_degrees(present, aggregation)).float() @ h
        for i, j in np.argwhere(present)[::7].tolist():
            own, other = (i, j) if normalize == "receiver" else (j, i)
            product = means[own] * h[other]
            if method is GNNLinks:
                logit = learner.model["decoder"].layers(product)
            else:
                logit = learner.model["predictor"].out_mlp(learner.model["predictor"].pair_mlp(product))
            assert found[i, j] == pytest.approx(float(torch.sigmoid(logit)), rel=1e-4)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_targets_have_no_part_in_the_weights_of_a_step(dataset, sampler):
    """Whatever the score of a step's targets is, its loss is the same; that of another edge moves it."""
    learner = trained(GNNLinks, dataset, **GNN, sampler=sampler)
    batch = next(iter(learner.sampler.batches(np.random.default_rng(0))))
    graphs = batch.graph if isinstance(batch.graph, list) else [batch.graph]
    seen = torch.unique(torch.cat([graph.edata[dgl.EID] for graph in graphs]))
    outputs = graphs[-1].dstdata[dgl.NID] if isinstance(batch.graph, list) else batch.nodes
    u, v = outputs[batch.positive].T
    targets = torch.cat([learner.graph.edge_ids(u, v), learner.graph.edge_ids(v, u)])
    assert not np.intersect1d(seen, targets).size
    if not isinstance(batch.graph, list):  # the ids are those of the same edges in the training graph
        local = torch.stack(batch.graph.edges(order="eid"))
        torch.testing.assert_close(
            batch.nodes[local], torch.stack(learner.graph.find_edges(batch.graph.edata[dgl.EID]))
        )
    before = learner.loss(batch)
    learner.edge_scores = learner.edge_scores.clone()
    learner.edge_scores[targets] = 1 - learner.edge_scores[targets]
    assert torch.equal(learner.loss(batch), before)
    learner.edge_scores[seen[::2]] += 1.0
    assert not torch.equal(learner.loss(batch), before)


def test_targets_of_ncn_have_no_part_in_the_weights_of_a_step(dataset):
    learner = trained(NCNC, dataset, **NCN)
    batch = next(iter(learner.batches(1, np.random.default_rng(0))))
    numbers, before = learner.numbers[batch[0]], learner.loss(batch)
    learner.edge_scores = learner.edge_scores.clone()
    for entries in (learner.edges.forward, learner.edges.backward):
        learner.edge_scores[torch.from_numpy(entries[numbers])] += 1.0
    assert torch.equal(learner.loss(batch), before)
    learner.edge_scores[-30:] += torch.arange(30)
    assert not torch.equal(learner.loss(batch), before)


def test_scores_are_taken_when_they_are_due(dataset, monkeypatch):
    taken = []

    class Counting(GNNLinks):
        def on_epoch_start(self, epoch):
            before = self.edge_scores
            super().on_epoch_start(epoch)
            taken.append(self.edge_scores is not before)

    fit(Counting(**{**GNN, "epochs": 7, "reweight_warm_up": 2, "reweight_interval": 3}), dataset, seed=0)
    assert taken == [False, False, True, False, False, True, False]


@pytest.mark.parametrize("method, options", [(GNNLinks, GNN), (NCNC, NCN)], ids=["gcn-link", "ncn"])
def test_scores_are_part_of_the_model(dataset, method, options):
    learner = trained(method, dataset, **options)
    pairs = torch.tensor([[0, 1], [2, 9], [4, 5]])
    other = method(**options)
    other.prepare(dataset, seed=0, device="cpu")
    other.load_state_dict(learner.state_dict())
    torch.testing.assert_close(other.score_pairs(pairs), learner.score_pairs(pairs), rtol=0, atol=0)
    other.edge_scores = None
    assert not torch.equal(other.score_pairs(pairs), learner.score_pairs(pairs))


@pytest.mark.parametrize("method, options", [(GNNLinks, GNN), (NCNC, NCN)], ids=["gcn-link", "ncn"])
def test_no_strength_is_no_change(dataset, method, options):
    pairs = torch.tensor([[0, 1], [2, 9], [4, 5]])
    plain, none = (
        trained(method, dataset, **{**options, **more}) for more in ({"reweight": "none"}, {"reweight_alpha": 0.0})
    )
    torch.testing.assert_close(none.score_pairs(pairs), plain.score_pairs(pairs))


@pytest.mark.parametrize(
    "method, options, message",
    [
        (GNNLinks, {**GNN, "conv": "gat"}, "--reweight tc: found --conv gat"),
        (GNNLinks, {**GNN, "val_edges_at_test": True}, "--reweight tc and --val-edges-at-test exclude each other"),
        (NCNC, {**NCN, "lr": 0.0}, "--reweight tc: found --lr 0"),
        (
            NCNC,
            {**NCN, "reweight_warm_up": 3},
            "--reweight-warm-up is 3, expected less than --epochs 3: no edge would ever be re-weighted",
        ),
        (GNNLinks, {**GNN, "reweight_warm_up": 9}, "--reweight-warm-up is 9, expected less than --epochs 3"),
    ],
)
def test_what_cannot_be_reweighted(dataset, method, options, message):
    with pytest.raises(UsageError, match=message):
        method(**options).prepare(dataset, seed=0, device="cpu")
