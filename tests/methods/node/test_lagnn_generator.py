"""The first stage of LAGNN: what it learns from, which step it keeps, and that no label reaches it unless it is asked
to.
"""

from __future__ import annotations

import dataclasses

import dgl
import numpy as np
import pytest
import torch

from graphkit import datasets
from graphkit.core.errors import DataError, UsageError
from graphkit.datasets.base import GraphDataset, NodeSplit
from graphkit.methods.node.lagnn import generator as lagnn_generator
from graphkit.methods.node.lagnn import tuning as lagnn_tuning
from graphkit.methods.node.lagnn.experiments import conditional
from graphkit.methods.node.lagnn.generator import (
    GeneratorConfig,
    NeighbourGenerator,
    make_model,
    normalized,
    raw_features,
)
from graphkit.methods.node.lagnn.neighbour_pairs import NeighbourPairs
from graphkit.methods.node.lagnn.tuning import make_stage, validation_score

SMALL = {
    "generator_hidden": 8,
    "latent_dim": 2,
    "generator_batch": 16,
    "u_samples": 3,
    "u_epochs": 3,
    "u_updates": 2,
    "select_warmup": 2,
}


def labelled(n=40, count=90, classes=2, width=6, seed=0, labels=None, low=0.0):
    """Binary features that follow the class, edges that mostly join nodes of a class."""
    rng = np.random.default_rng(seed)
    known = np.arange(n) % classes
    pairs = rng.integers(n, size=(count * 3, 2))
    keep = (pairs[:, 0] != pairs[:, 1]) & ((known[pairs[:, 0]] == known[pairs[:, 1]]) | (rng.random(len(pairs)) < 0.1))
    graph = dgl.to_bidirected(dgl.graph(tuple(torch.from_numpy(pairs[keep][:count].T.copy())), num_nodes=n))
    x = rng.random((n, width)) < np.where((np.arange(width) % classes) == known[:, None], 0.8, 0.1)
    graph.ndata["feat"] = torch.from_numpy(x.astype(np.float32)) + low
    graph.ndata["label"] = torch.from_numpy(known) if labels is None else labels
    order = rng.permutation(n)
    split = NodeSplit(order[: n // 4], order[n // 4 : n // 2], order[n // 2 :])
    return GraphDataset("tiny", graph=graph, task="node", split=split, metric="accuracy")


def trained(dataset, **options):
    torch.manual_seed(0)
    stage = make_stage(GeneratorConfig(**{**SMALL, **options}), dataset, seed=0)
    scores = []
    score = stage._score

    def noted():
        found = score()
        scores.append((stage.step, found[0], {key: value.clone() for key, value in stage.model.state_dict().items()}))
        return found

    stage._score = noted
    stage.run(0)
    return stage, scores


def same(state, other):
    return all(torch.equal(value, other[key]) for key, value in state.items())


# Pairs


def test_an_epoch_of_pairs_is_every_ordered_edge_once():
    graph = labelled().graph
    pairs = NeighbourPairs(dgl.add_self_loop(graph))
    batches = list(pairs.batches(16, pairs.steps(16), np.random.default_rng(0)))
    found = sorted((int(c), int(x)) for batch in batches for c, x in zip(*batch))
    assert found == sorted(zip(*(ends.tolist() for ends in graph.edges())))
    assert max(len(batch.centre) for batch in batches) == 16


def test_held_out_edges_are_out_in_both_directions():
    graph = labelled(n=200, count=900).graph
    pairs = NeighbourPairs(graph, held_out=0.3, seed=4)
    held = set(zip(*(part.tolist() for part in pairs.held_pairs())))
    kept = {
        (int(c), int(x))
        for batch in pairs.batches(64, pairs.steps(64), np.random.default_rng(0))
        for c, x in zip(*batch)
    }
    assert held | kept == set(zip(*(ends.tolist() for ends in graph.edges()))) and not held & kept
    assert all((x, c) in held for c, x in held)
    assert abs(len(held) / graph.num_edges() - 0.3) < 4 * (0.3 * 0.7 / (graph.num_edges() / 2)) ** 0.5
    assert len(pairs.held_pairs(10).centre) == 10


# Selection


def test_u_score_keeps_the_step_of_the_highest_score_after_the_warmup():
    stage, scores = trained(labelled(), generator_steps=20)
    assert [step for step, *_ in scores] == list(range(3, 21))
    step, _, state = max(scores, key=lambda found: found[1])
    assert stage.kept_step == step and same(state, stage.model.state_dict())
    assert all(not p.requires_grad for p in stage.model.parameters())


def test_every_nth_step_is_scored():
    _, scores = trained(labelled(), generator_steps=20, u_every=5)
    assert [step for step, *_ in scores] == [5, 10, 15, 20]


@pytest.mark.parametrize("select", ["u-score", "heldout"])
def test_something_is_kept_however_long_the_warmup(select):
    stage, scores = trained(labelled(), generator_steps=6, select_warmup=100, select=select)
    assert stage.kept_step == 6 and len(scores) == 1 and same(scores[0][2], stage.model.state_dict())


def test_heldout_keeps_the_step_of_the_lowest_loss_on_held_out_pairs():
    stage, scores = trained(labelled(), generator_steps=30, select="heldout", select_warmup=0, u_every=3)
    x, (centre, neighbour) = stage.features, stage.pairs.held_pairs()
    losses = []
    for _, _, state in scores:
        stage.model.load_state_dict(state)
        p = stage.model.decode(torch.zeros(len(centre), 2), x[centre])
        losses.append(float(-(x[neighbour] * p.log() + (1 - x[neighbour]) * (1 - p).log()).sum(1).mean()))
    np.testing.assert_allclose(losses, [-score for _, score, _ in scores], rtol=1e-4)
    assert stage.kept_step == scores[int(np.argmin(losses))][0]


def test_none_keeps_the_last_step_and_held_out_losses_are_noted_per_epoch():
    stage, scores = trained(labelled(), generator_epochs=3, select="none", held_out=0.2)
    per_epoch = stage.pairs.steps(16)
    assert scores == [] and stage.kept_step == stage.step == 3 * per_epoch
    assert [step for step, _ in stage.curve] == [per_epoch, 2 * per_epoch, 3 * per_epoch]
    assert stage.curve[-1][1] == pytest.approx(stage.held_loss())


def test_a_better_step_teaches_the_judge_its_features():
    """The judge trains 100 epochs on true features, then u_updates on the generated ones of each better step."""
    torch.manual_seed(0)
    stage, fits = make_stage(GeneratorConfig(**SMALL, generator_steps=12), labelled(), seed=0), []
    fit = stage.judge.fit
    stage.judge.fit = lambda x, epochs: (fits.append((x.clone(), epochs)), fit(x, epochs))
    scores, score = [], stage._score
    stage._score = lambda: scores.append(score()) or scores[-1]
    nodes, features = stage.judge.nodes, stage.features
    stage.run(0)
    assert torch.equal(fits[0][0], features[nodes]) and fits[0][1] == SMALL["u_epochs"]
    better = [drawn for k, (value, drawn, _) in enumerate(scores) if all(value > other for other, *_ in scores[:k])]
    assert [epochs for _, epochs in fits[1:]] == [SMALL["u_updates"]] * len(better)
    assert all(torch.equal(drawn, x) for drawn, (x, _) in zip(better, fits[1:]))


# Labels


def test_no_label_reaches_a_generator_that_is_selected_without_a_judge():
    dataset, other = labelled(), labelled(labels=torch.zeros(40, dtype=torch.long))
    for select in ("none", "heldout"):
        assert same(
            *(trained(part, generator_steps=10, select=select)[0].model.state_dict() for part in (dataset, other))
        )
    unlabelled = dataset.renamed(split=None)
    assert trained(unlabelled, generator_steps=4, select="none")[0].kept_step == 4
    with pytest.raises(UsageError, match="--select u-score needs"):
        make_stage(GeneratorConfig(**SMALL), unlabelled, seed=0)


def test_u_score_sees_the_training_nodes_alone():
    dataset = labelled()
    changed, train = 1 - dataset.labels.clone(), torch.from_numpy(dataset.split.train)
    changed[train] = dataset.labels[train]
    stages = [trained(part, generator_steps=12)[0] for part in (dataset, labelled(labels=changed))]
    assert same(*(stage.model.state_dict() for stage in stages)) and stages[0].best == stages[1].best


# Features


def test_loss_fits_the_features():
    binary, wide = labelled().features, labelled(low=-3.0).features
    config = GeneratorConfig()
    assert (
        make_model(config, binary).about["output"] == "sigmoid" and make_model(config, binary).reconstruction == "bce"
    )
    assert make_model(config, wide).about["output"] == "none" and make_model(config, wide).reconstruction == "squared"
    forced = GeneratorConfig(reconstruction="squared", output_activation="tanh", generator_norm=True)
    assert make_model(forced, binary).about["output"] == "tanh"
    with pytest.raises(DataError, match="expected 0..1"):
        make_model(GeneratorConfig(reconstruction="bce"), wide)
    with pytest.raises(UsageError, match="--output-activation"):
        GeneratorConfig(reconstruction="bce", output_activation="tanh")


def test_generated_rows_are_those_of_the_decoder_in_pieces_and_normalised(monkeypatch):
    torch.manual_seed(0)
    stage = make_stage(GeneratorConfig(**SMALL, select="none", row_normalize=True), labelled(), seed=0)
    noise = stage.noise(40)
    expected = stage.model.decode(noise, stage.features)
    expected = expected / expected.sum(1, keepdim=True)
    torch.testing.assert_close(stage.draw(noise), expected)
    torch.testing.assert_close(stage.draw(noise[[3, 5]], [3, 5]), expected[[3, 5]])
    monkeypatch.setattr(lagnn_generator, "ROWS", 7)
    torch.testing.assert_close(stage.draw(noise), expected)


def test_rows_without_a_sum_stay():
    x = torch.tensor([[1.0, 3.0], [0.0, 0.0]])
    assert normalized(x).tolist() == [[0.25, 0.75], [0.0, 0.0]]


def test_nodes_without_features_have_the_mean_of_their_edges():
    graph = dgl.graph(([0, 1, 2, 0], [1, 0, 0, 2]), num_nodes=4)
    graph.edata["feat"] = torch.tensor([[1.0, 0.0], [3.0, 1.0], [5.0, 2.0], [7.0, 0.0]])
    assert raw_features(graph, "x").tolist() == [[4.0, 1.5], [1.0, 0.0], [7.0, 0.0], [0.0, 0.0]]
    with pytest.raises(DataError, match="no node features"):
        raw_features(dgl.graph(([0], [1])), "x")


def test_graphs_without_edges_are_refused():
    empty = labelled()
    bare = dgl.graph(([], []), num_nodes=40)
    bare.ndata.update(empty.graph.ndata)
    with pytest.raises(DataError, match="no edges"):
        make_stage(GeneratorConfig(**SMALL), empty.renamed(graph=bare), seed=0)
    with pytest.raises(DataError, match="no edge is held out"):
        NeighbourGenerator(GeneratorConfig(select="heldout", held_out=1e-9), empty.graph, empty.features, seed=0)


# Tuning


def test_score_of_a_generator_is_accuracy_on_its_features_alone():
    """A generator that copies its node's features lets a GCN tell the classes; one that says the same of all nodes does
    not.
    """
    dataset = labelled(n=80, count=240, width=12)
    stage = make_stage(GeneratorConfig(**SMALL, select="none"), dataset, seed=0)
    scores = []
    for drawn in (
        lambda noise, nodes: stage.features[torch.from_numpy(nodes)],
        lambda noise, nodes: torch.ones(len(nodes), 12),
    ):
        stage.draw = drawn
        torch.manual_seed(0)
        scores.append(validation_score(stage, dataset, runs=2, seed=0, epochs=60))
    assert scores[0] >= 0.8 and scores[1] <= 0.7


def test_score_is_that_of_the_stored_draw_with_halves_of_its_own_per_run(monkeypatch):
    from graphkit.methods.node.lagnn import uscore

    torch.manual_seed(0)
    dataset = labelled()
    stage = make_stage(GeneratorConfig(**SMALL, generator_steps=8, select="u-score"), dataset, seed=0)
    drawn, kept = [], []
    score = stage._score
    stage._score = lambda: kept.append(score()) or kept[-1]
    stage.run(0)
    best = max(kept, key=lambda found: found[0])
    assert stage.kept_noise is best[2]
    monkeypatch.setattr(uscore.DropoutJudge, "fit", lambda self, x, epochs: drawn.append((x, epochs)))
    right = (
        np.random.default_rng(5).random((3, len(dataset.split.valid))) < 0.5
    )  # which validation nodes each run's GCN gets right
    truth = dataset.labels[torch.from_numpy(dataset.split.valid)]
    calls = iter(range(10_000))
    train = len(dataset.split.train)

    def classes(self, x):
        run = next(calls) // lagnn_tuning.EPOCHS
        return torch.cat(
            [torch.zeros(train, dtype=torch.long), torch.where(torch.from_numpy(right[run]), truth, 1 - truth)]
        )

    monkeypatch.setattr(uscore.DropoutJudge, "classes", classes)
    found = validation_score(stage, dataset, runs=3, seed=7)
    assert len(drawn) == 3 * 200 and next(calls) == 600
    # The same features in every run: those of the kept step's own noise.
    assert all(torch.equal(x, drawn[0][0]) for x, _ in drawn)
    generator, scores = np.random.default_rng(7), []
    for run in range(3):
        order = generator.permutation(len(truth))
        scores.append(right[run][order[len(truth) // 2 :]].mean())
    assert found == pytest.approx(np.mean(scores))


def test_score_looks_at_no_test_label():
    dataset = labelled()
    changed, test = dataset.labels.clone(), torch.from_numpy(dataset.split.test)
    changed[test] = 1 - changed[test]
    found = []
    for part in (dataset, labelled(labels=changed)):
        torch.manual_seed(0)
        stage = make_stage(GeneratorConfig(**SMALL, select="none"), part, seed=0)
        found.append(validation_score(stage, part, runs=2, seed=0, epochs=5))
    assert found[0] == found[1]


def test_search_keeps_the_options_of_the_best_score(monkeypatch):
    scores, tried = iter([0.4, 0.9, 0.7]), []
    monkeypatch.setattr(lagnn_tuning, "validation_score", lambda stage, *_, **__: next(scores))
    config = GeneratorConfig(**SMALL, generator_steps=3)
    stage, score = lagnn_tuning.search(
        config,
        labelled(),
        trials=3,
        runs=1,
        seed=0,
        report=lambda number, options, found: tried.append((options, found)),
    )
    assert score == 0.9 and [found for _, found in tried] == [0.4, 0.9, 0.7]
    assert {key: getattr(stage.config, key) for key in lagnn_tuning.SPACE} == tried[1][0]
    assert tried[0][0] == {key: getattr(config, key) for key in lagnn_tuning.SPACE}
    # What is not searched stays as given.
    assert dataclasses.replace(stage.config, **tried[0][0]) == config


@pytest.mark.data
@pytest.mark.slow
def test_smoke_claim_holds():
    try:
        cora = datasets.load("cora", task="node")
    except DataError as problem:
        pytest.skip(f"Cora is not here: {problem}")
    found = conditional(cora)
    assert found["true"] <= 0.9 * found["shuffled"] and found["true"] < found["mean"]
