"""LAGNN as a learner: its loss by hand, its controls, the draw that stays with the weights, resuming, and runs read
back.
"""

from __future__ import annotations

import importlib
import math

import dgl
import numpy as np
import pytest
import torch

from graphkit.core import registry
from graphkit.core.errors import DataError, Interrupted, UsageError
from graphkit.datasets.base import GraphDataset, NodeSplit
from graphkit.methods.node.lagnn.config import GeneratorConfig
from graphkit.methods.node.lagnn.cvae import save_generator
from graphkit.methods.node.lagnn.method import LAGNN, consistency
from graphkit.methods.node.lagnn.tuning import make_stage
from graphkit.runs import execution as runs
from graphkit.training import fit
from graphkit.training.signals import StopRequest
from graphkit.training.supervised import Batch

SMALL = {
    "hidden_dim": 4,
    "generator_hidden": 8,
    "latent_dim": 2,
    "generator_batch": 16,
    "generator_steps": 6,
    "u_samples": 2,
    "u_epochs": 2,
    "u_updates": 1,
    "select_warmup": 2,
    "samples": 2,
    "epochs": 3,
    "num_layers": 2,
    "grand_order": 2,
    "heads": 2,
}
BACKBONES = ("gcn", "gat", "sage", "gcnii", "grand")


def labelled(n=30, count=60, classes=3, width=8, seed=0, metric="accuracy", labels=None, signed=False, features=True):
    rng = np.random.default_rng(seed)
    pairs = rng.integers(n - 1, size=(count, 2))  # the last node is isolated
    graph = dgl.to_bidirected(
        dgl.graph(tuple(torch.from_numpy(pairs[pairs[:, 0] != pairs[:, 1]].T.copy())), num_nodes=n)
    )
    x = torch.from_numpy((rng.random((n, width)) < 0.4).astype(np.float32))
    if features:
        graph.ndata["feat"] = 2 * x - 1 if signed else x
    graph.ndata["label"] = torch.arange(n) % classes if labels is None else labels
    order = rng.permutation(n)
    split = NodeSplit(order[: n // 3], order[n // 3 : 2 * n // 3], order[2 * n // 3 :])
    return GraphDataset("tiny", graph=graph, task="node", split=split, metric=metric)


def prepared(dataset, **options):
    torch.manual_seed(0)
    learner = LAGNN(**{**SMALL, "select": "none", **options})
    learner.prepare(dataset, seed=0, device="cpu")
    return learner


def ready(dataset, **options):
    """A learner whose generator is trained, in evaluation mode."""
    learner = prepared(dataset, **options)
    if learner.stage is not None:
        learner.stage.run(0)
    learner.model.eval()
    return learner


def dense(graph):
    a = np.eye(graph.num_nodes())
    a[tuple(ends.numpy() for ends in graph.edges())] = 1
    return torch.from_numpy(np.diag(a.sum(1) ** -0.5) @ a @ np.diag(a.sum(1) ** -0.5)).float()


def normalized(x):
    total = x.sum(1, keepdim=True)
    return x / total.where(total != 0, torch.ones_like(total))


# The loss


def test_consistency_by_hand():
    one, two = torch.tensor([[0.8, 0.2], [0.5, 0.5]]), torch.tensor([[0.4, 0.6], [0.5, 0.5]])
    q = 0.6**2 / (0.6**2 + 0.4**2)  # the mean of node 0 at T = 1/2
    first = ((0.8 - q) ** 2 + (0.2 - 1 + q) ** 2 + (0.4 - q) ** 2 + (0.6 - 1 + q) ** 2) / 2
    assert float(consistency([one, two], 0.5)) == pytest.approx((first + 0) / 2, rel=1e-5)
    # At T = 1 one prediction alone is its own target; at T -> 0 the target is the most likely class.
    assert float(consistency([one], 1.0)) == pytest.approx(0, abs=1e-12)
    assert float(consistency([one[:1]], 0.01)) == pytest.approx(0.2**2 + 0.2**2, rel=1e-4)


def test_no_gradient_goes_through_the_target():
    p = torch.tensor([[0.7, 0.3]], requires_grad=True)
    consistency([p], 0.5).backward()
    q = 0.49 / (0.49 + 0.09)
    torch.testing.assert_close(p.grad, torch.tensor([[2 * (0.7 - q), 2 * (0.3 - 1 + q)]]))


@pytest.mark.parametrize("control", ["none", "random", "self"])
def test_loss_is_the_sum_of_its_parts(control):
    """Without dropout: cross-entropy of the training nodes, and the distance of all nodes' predictions from the
    sharpened mean.
    """
    dataset = labelled()
    learner = ready(
        dataset, control=control, row_normalize=True, dropout=0.0, input_dropout=0.0, lam=0.7, temp=0.4, samples=3
    )
    x, a, model = normalized(dataset.features), dense(dataset.graph), learner.model
    seen = []
    of = learner.views.of
    learner.views.of = lambda *args: seen.append(of(*args)) or seen[-1]
    found = learner.loss(learner.full_batch("train"))
    assert len(seen) == 3
    logits = []
    for (view,) in seen:
        h = torch.cat(
            [a @ part @ conv.linear.weight.T + conv.bias for conv, part in zip(model.first, (view, x))], 1
        ).clamp(min=0)
        logits.append(a @ h @ model.last.linear.weight.T + model.last.bias)
    rows = torch.from_numpy(dataset.split.train)
    nll = sum(-part.log_softmax(1)[rows, dataset.labels[rows]].mean() for part in logits) / 3
    p = torch.stack([part.softmax(1) for part in logits])
    q = p.mean(0) ** (1 / 0.4)
    q = q / q.sum(1, keepdim=True)
    tied = sum(((part - q) ** 2).sum() for part in p) / (3 * 30)
    torch.testing.assert_close(found, nll + 0.7 * tied, atol=1e-5, rtol=1e-4)
    if control == "self":
        assert all(torch.equal(view, x) for (view,) in seen) and tied > 0
    else:
        assert not torch.equal(seen[0][0], seen[1][0])  # a fresh draw each time
        torch.testing.assert_close(seen[0][0].sum(1), torch.ones(30))


def test_without_views_it_is_a_gcn_whose_loss_is_the_cross_entropy():
    dataset = labelled()
    learner = prepared(dataset, views=0, samples=1, lam=0.0, dropout=0.0, input_dropout=0.0)
    a, model, x = dense(dataset.graph), learner.model, dataset.features
    logits = (
        a @ (a @ x @ model.first[0].linear.weight.T + model.first[0].bias).clamp(min=0) @ model.last.linear.weight.T
        + model.last.bias
    )
    rows = torch.from_numpy(dataset.split.train)
    expected = torch.nn.functional.cross_entropy(logits[rows], dataset.labels[rows])
    torch.testing.assert_close(learner.loss(learner.full_batch("train")), expected)
    torch.testing.assert_close(learner.node_logits(), logits)
    assert learner.stage is None and learner.decoder is None and "draw" not in learner.state_dict()
    assert learner.parameter_count() == 8 * 4 + 4 + 4 * 3 + 3


def test_grand_has_two_predictions_per_draw_and_predicts_from_true_features():
    dataset = labelled()
    learner = ready(dataset, backbone="grand", samples=3, lam=0.0, input_dropout=0.0, dropout=0.0, node_dropout=0.0)
    batch, seen = learner.full_batch("train"), []
    forward = learner.model.forward
    learner.model.forward = lambda graph, x, e=None: seen.append(x) or forward(graph, x, e)
    loss = learner.loss(batch)
    assert len(seen) == 6 and all(torch.equal(x, dataset.features) for x in seen[::2])
    assert all(torch.equal(x, seen[1]) for x in seen[1::2]) and not torch.equal(seen[0], seen[1])  # one draw for good
    each = [torch.nn.functional.cross_entropy(forward(batch.graph, x)[batch.rows], batch.y) for x in seen[:2]]
    torch.testing.assert_close(loss, sum(each) / 2)
    torch.testing.assert_close(learner.node_logits(), forward(batch.graph, dataset.features))


@pytest.mark.parametrize("mode", ["average", "input"])
def test_simpler_ways_to_join_views(mode):
    dataset = labelled()
    learner = ready(dataset, mode=mode, views=2)
    draw = learner.views.draw()
    views = [learner.decoder.decode(z, dataset.features) for z in draw]
    a, model = dense(dataset.graph), learner.model
    if mode == "average":
        h = a @ (sum(views) + dataset.features) / 3 @ model.first[0].linear.weight.T + model.first[0].bias
    else:
        weight = torch.cat([conv.linear.weight for conv in model.first], 1)
        h = a @ torch.cat([*views, dataset.features], 1) @ weight.T + sum(conv.bias for conv in model.first)
    learner.draw, learner.keep_draw = draw, True
    expected = a @ h.clamp(min=0) @ model.last.linear.weight.T + model.last.bias
    torch.testing.assert_close(learner.node_logits(), expected, atol=1e-5, rtol=1e-4)


# Arxiv's attention network: classes as input, and the loss that outliers weigh less in


def test_a_class_is_either_shown_or_learned():
    dataset = labelled()
    learner = ready(dataset, backbone="gat", label_input=0.5)
    table, train = learner.shown.table, torch.from_numpy(dataset.split.train)
    assert table.sum() == len(train) and torch.equal(table[train].argmax(1), dataset.labels[train])
    torch.manual_seed(0)
    seen = set()
    for _ in range(20):
        shown, rows, y = learner.shown.part(learner.full_batch("train"))
        given = shown.any(1).nonzero().flatten().tolist()
        assert sorted([*given, *rows.tolist()]) == sorted(train.tolist()) and len(rows) > 0
        assert torch.equal(y, dataset.labels[rows])
        seen.add(len(rows))
    assert len(seen) > 1
    assert learner.model.first[0].linear.in_features == 8 + 3
    # With every class shown the step learns them all, rather than none.
    learner.shown.share = 1.0
    assert len(learner.shown.part(learner.full_batch("train"))[1]) == len(train)


def test_pieces_of_a_graph_show_their_own_classes():
    dataset = labelled()
    learner = ready(dataset, label_input=0.4)
    nodes = torch.tensor([int(dataset.split.train[0]), int(dataset.split.test[0]), int(dataset.split.train[1])])
    batch = Batch(None, None, None, torch.tensor([0]), dataset.labels[nodes[:1]], nodes)
    shown, rows, _ = learner.shown.part(batch)
    assert rows.tolist() == [0] and shown.sum(1).tolist() == [0.0, 0.0, 1.0]
    assert shown[2].argmax() == dataset.labels[nodes[2]]


def test_log_loss_by_hand():
    dataset = labelled()
    learner = ready(dataset, log_loss=True)
    logits, y = torch.randn(4, 3), torch.tensor([0, 2, -1, 1])
    e = 1 - math.log(2)
    each = [-float(row.log_softmax(0)[label]) for row, label in zip(logits, y) if label >= 0]
    expected = sum(math.log(e + value) - math.log(e) for value in each) / 3
    assert float(learner._label_loss(logits, y)) == pytest.approx(expected, rel=1e-5)


def test_optimisers():
    learner = prepared(labelled(), backbone="gcnii", weight_decay=0.5, conv_weight_decay=0.25, lr=0.125)
    groups = learner.optimizers[0].param_groups
    assert [group["weight_decay"] for group in groups] == [0.25, 0.5] and all(group["lr"] == 0.125 for group in groups)
    assert sum(len(group["params"]) for group in groups) == len(list(learner.model.parameters()))
    assert all(p.shape == (8, 8) for p in groups[0]["params"])
    assert isinstance(prepared(labelled(), optimizer="rmsprop").optimizers[0], torch.optim.RMSprop)
    assert prepared(labelled()).optimizers[1].param_groups[0]["lr"] == 0.01  # the generator has one of its own


# Controls


def test_shuffled_views_are_other_nodes_features():
    dataset = labelled(signed=True)
    learner = ready(dataset, control="shuffle", views=2)
    draw = learner.views.draw()
    assert [sorted(numbers.tolist()) for numbers in draw] == [list(range(30))] * 2 and not torch.equal(draw[0], draw[1])
    views = learner.views.of(dataset.features, draw)
    assert all(torch.equal(view, dataset.features[numbers]) for view, numbers in zip(views, draw))


def test_random_views_come_from_a_generator_that_nothing_trained():
    dataset = labelled()
    learner = prepared(dataset, control="random")
    before = {key: value.clone() for key, value in learner.decoder.state_dict().items()}
    fit(learner, dataset, seed=0)
    found = LAGNN(**{**SMALL, "control": "random"})
    fit(found, dataset, seed=0)
    assert all(
        torch.equal(value, learner.decoder.state_dict()[key]) for key, value in found.decoder.state_dict().items()
    )
    assert learner.decoder.about == prepared(dataset).decoder.about
    assert learner.stage is None and len(learner.optimizers) == 1 and set(before) == set(learner.decoder.state_dict())
    assert learner.parameter_count() == sum(p.numel() for p in learner.model.parameters())


# Training


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("select", ["u-score", "heldout"])
def test_generator_is_trained_first_and_then_left_alone(backbone, select):
    dataset = labelled(n=60, count=200)
    learner = LAGNN(**{**SMALL, "backbone": backbone, "select": select})
    states, weights = [], []

    def report(event):
        if event["event"] == "step" and event["epoch"] == 1:
            weights.append({key: value.clone() for key, value in learner.model.state_dict().items()})
        if event["event"] == "evaluation":
            states.append({key: value.clone() for key, value in learner.decoder.state_dict().items()})

    fit(learner, dataset, seed=0, report=report)
    assert len(weights) == 7  # six steps of the generator, one of the network
    assert all(torch.equal(value, weights[5][key]) for key, value in weights[0].items())
    assert any(not torch.equal(value, weights[6][key]) for key, value in weights[5].items())
    assert learner.stage.done and learner.stage.kept_step > 2
    assert all(torch.equal(value, states[-1][key]) for key, value in states[0].items())


@pytest.mark.parametrize("stop_after", [2, 5, 6, 7, 8, 9])
@pytest.mark.parametrize("backbone, select", [("gcn", "u-score"), ("grand", "heldout"), ("gat", "none")])
def test_resumed_run_equals_an_unbroken_one(tmp_path, backbone, select, stop_after):
    """Stopped while the generator trains, between the stages, or in the second one."""
    dataset = labelled(n=60, count=200)
    options = {
        **SMALL,
        "backbone": backbone,
        "select": select,
        "epochs": 5,
        "keep": "loss",
        "label_input": 0.3 * (backbone == "gat"),
    }
    whole = fit(LAGNN(**options), dataset, seed=3)
    stop, count = StopRequest(), 0

    def report(event):
        nonlocal count
        count += event["event"] == "step"
        stop.name = "SIGTERM" if count == stop_after else stop.name

    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted):
        fit(LAGNN(**options), dataset, seed=3, checkpoint_path=path, report=report, stop=stop)
    again = fit(LAGNN(**options), dataset, seed=3, checkpoint_path=path, resume=True)
    assert again.best == whole.best and again.curve == whole.curve
    assert set(again.state) == set(whole.state)
    assert all(torch.equal(value, again.state[key]) for key, value in whole.state.items())


def test_epoch_of_the_lowest_validation_loss_is_kept():
    dataset = labelled(n=60, count=200)
    learner, seen = LAGNN(**{**SMALL, "select": "none", "epochs": 12, "keep": "loss", "lr": 0.1}), []
    rows = torch.from_numpy(dataset.split.valid)

    def report(event):
        if event["event"] == "evaluation":
            logits = learner.node_logits()
            loss = float(torch.nn.functional.cross_entropy(logits[rows], dataset.labels[rows]))
            seen.append((loss, event["epoch"], event["valid"]["accuracy"], logits.clone()))

    found = fit(learner, dataset, seed=1, report=report)
    _, epoch, accuracy, logits = min(seen, key=lambda row: row[0])
    assert found.best["accuracy"]["epoch"] == epoch and found.best["accuracy"]["valid"] == accuracy
    # The state is that epoch's, its draw included: it says the same again.
    learner.load_state_dict(found.state)
    learner.model.eval()
    assert torch.equal(learner.node_logits(), logits)


@pytest.mark.parametrize("either, expected", [(True, 7), (False, 4)])
def test_patience_waits_for_a_lower_loss_or_a_higher_accuracy(either, expected):
    """Losses fall until evaluation 2, accuracies rise until 5: with a patience of 2 training ends at 4, or at 7 with
    either.
    """
    losses, accuracies = [3.0, 2.0, 2.5, 2.6, 2.7, 2.8, 2.9, 3.0, 3.1], [0.1, 0.1, 0.1, 0.2, 0.3, 0.3, 0.3, 0.9, 0.9]

    def scripted():
        learner = LAGNN(
            **{**SMALL, "select": "none", "keep": "loss", "epochs": 9, "patience": 2, "patience_by_either": either}
        )
        learner._valid_loss = lambda: losses[learner.evaluations - 1]
        learner.evaluations = 0
        return learner

    def run(learner, **options):
        loop = importlib.import_module("graphkit.training.fit")
        dataset, predict = labelled(), learner.predict

        def counted(split):
            learner.evaluations += split == "valid"
            return predict(split)

        learner.predict = counted
        evaluate = loop.metrics.evaluate
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                loop.metrics,
                "evaluate",
                lambda data, found, split: {
                    **evaluate(data, found, split),
                    "accuracy": accuracies[learner.evaluations - 1],
                },
            )
            return loop.fit(learner, dataset, seed=0, **options)

    found = run(scripted())
    assert found.epochs == expected and found.best["accuracy"]["epoch"] == 2  # the lowest loss is kept either way
    state = LAGNN(**{**SMALL, "select": "none"})
    state.prepare(labelled(), seed=0, device="cpu")
    state.highest = [0.3, -2.0]
    again = LAGNN(**{**SMALL, "select": "none"})
    again.prepare(labelled(), seed=0, device="cpu")
    again.load_training_state(state.training_state())
    assert again.highest == [0.3, -2.0]


def test_draw_stays_with_the_weights_and_changes_with_the_epoch():
    dataset = labelled()
    learner = ready(dataset)
    first = learner.node_logits()
    assert learner.node_logits() is first
    learner.on_step_end()
    second = learner.node_logits()
    assert not torch.equal(first, second)
    state = {key: value.clone() for key, value in learner.state_dict().items()}
    assert state["draw"].shape == (1, 30, 2)
    other = prepared(dataset)
    other.load_state_dict(state)
    other.model.eval()
    assert torch.equal(other.node_logits(), second)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_run_is_read_back_and_labels_another_graph(tmp_path, backbone, monkeypatch):
    dataset = labelled(n=40, count=90)
    config = registry.resolve_config(
        "lagnn", None, {**SMALL, "backbone": backbone, "select": "heldout", "select_warmup": 0}
    )
    result = runs.execute("lagnn", dataset, config, seeds=[0, 1], out=tmp_path / "run", save_predictions=True)
    monkeypatch.setattr(runs.Run, "_dataset", lambda self, seed: dataset)
    learner, _ = runs.load_run(tmp_path / "run").restore(1)
    with torch.no_grad():
        found = learner.predict("test")
    saved = np.load(tmp_path / "run" / "seed-1" / "predictions.npz")
    np.testing.assert_array_equal(found["y_pred"].numpy(), saved["y_pred"])
    right = (found["y_pred"].argmax(1) == found["y_true"]).float().mean()
    assert result["test"]["values"][1] == pytest.approx(float(right))
    logits = learner.logits_of(labelled(n=25, count=50, seed=5))
    assert logits.shape == (25, 3) and torch.equal(logits, learner.logits_of(labelled(n=25, count=50, seed=5)))
    with pytest.raises(DataError, match="9 node features, expected 8"):
        learner.logits_of(labelled(width=9))


@pytest.mark.parametrize("sampler", ["neighbor", "labor", "shadow", "cluster", "saint"])
@pytest.mark.parametrize("mode", ["concat", "average", "input"])
def test_second_stage_runs_in_pieces(sampler, mode):
    dataset = labelled(n=120, count=400)
    options = {
        **SMALL,
        "select": "none",
        "sampler": sampler,
        "mode": mode,
        "batch_size": 16,
        "fanout": 3,
        "parts": 4,
        "parts_per_batch": 2,
        "saint_budget": (10, 2),
        "views": 2,
        "label_input": 0.3,
    }
    found = fit(LAGNN(**options), dataset, seed=0)
    assert math.isfinite(found.best["accuracy"]["test"])


@pytest.mark.parametrize(
    "options", [{"backbone": "sage"}, {"backbone": "gcn"}, {"backbone": "gat", "symmetric_norm": True}]
)
def test_pieces_have_views_of_their_own_nodes(options):
    """With all neighbours in the blocks and a generator without noise, a piece says what the whole graph says."""
    dataset = labelled(n=40, count=90)
    learner = ready(dataset, **options, sampler="neighbor", fanout=-1, batch_size=5)
    learner.decoder.decoder.weight.data[:, :2] = 0.0  # the noise's weights
    learner.views.forget()
    whole = learner.node_logits()
    for batch in learner.batches(1, np.random.default_rng(0)):
        found = learner._outputs(batch, None)[0]
        torch.testing.assert_close(found, whole[batch.nodes[: len(found)]], atol=1e-5, rtol=1e-4)


# Labels and features of other kinds


def test_labels_of_other_kinds():
    several = labelled(metric="micro-f1", labels=torch.eye(4)[torch.arange(30) % 4])
    learner = ready(several)
    p = learner._probabilities(learner.node_logits())
    assert p.shape == (30, 4, 2) and torch.allclose(p.sum(-1), torch.ones(30, 4))
    assert torch.isfinite(learner.loss(learner.full_batch("train")))
    with pytest.raises(UsageError, match="labels of tiny are no classes; use heldout or none"):
        prepared(several, select="u-score")
    with pytest.raises(UsageError, match="--label-input 0.5 needs classes"):
        prepared(several, label_input=0.5)
    binary = labelled(classes=2, metric="rocauc")
    learner = LAGNN(**SMALL)
    assert "rocauc" in fit(learner, binary, seed=0).best and learner.node_logits().shape == (30, 1)
    numbers = labelled(metric="mae", labels=torch.randn(30, 1))
    with pytest.raises(UsageError, match="--lam is 1, expected 0"):
        prepared(numbers)
    assert "mae" in fit(LAGNN(**{**SMALL, "select": "none", "lam": 0.0}), numbers, seed=0).best


def test_features_of_other_kinds():
    assert prepared(labelled(signed=True)).decoder.about["output"] == "tanh"
    bare = labelled(features=False)
    with pytest.raises(DataError, match="no node features"):
        prepared(bare)
    bare.graph.edata["feat"] = torch.rand(bare.graph.num_edges(), 5)
    learner = LAGNN(**{**SMALL, "select": "none", "generator_norm": True, "reconstruction": "squared"})
    fit(learner, bare, seed=0)
    assert learner.model.first[0].linear.in_features == 5 and learner.decoder.about["output"] == "sigmoid"
    sparse = labelled(width=60)
    sparse.graph.ndata["feat"] = sparse.features * (torch.rand(30, 60) < 0.1)
    assert prepared(sparse).sparse is not None and prepared(sparse, backbone="grand").sparse is None
    found = ready(sparse).node_logits()
    learner = ready(sparse)
    learner.sparse = None
    torch.testing.assert_close(learner.node_logits(), found, atol=1e-5, rtol=1e-4)


# The generator's file


def test_generator_is_used_again(tmp_path):
    dataset = labelled()
    config = GeneratorConfig(
        **{key: SMALL[key] for key in SMALL if key in GeneratorConfig.__dataclass_fields__}, select="heldout"
    )
    stage = make_stage(config, dataset, seed=0)
    stage.run(0)
    path = tmp_path / "g.safetensors"
    save_generator(path, stage.model)
    learner = LAGNN(**{**SMALL, "generator": str(path)})
    found = fit(learner, dataset, seed=0)
    expected = stage.model.state_dict()
    assert all(torch.equal(value, found.state[f"generator.{key}"]) for key, value in expected.items())
    assert learner.stage is None and len(learner.optimizers) == 1
    path.unlink()  # a run that is read back does not need it
    again = prepared(dataset, generator=str(path))
    again.load_state_dict(found.state)
    assert torch.equal(again.decoder.state_dict()["mean.weight"], expected["mean.weight"])
    with pytest.raises(DataError, match="no such file"):
        fit(LAGNN(**{**SMALL, "generator": str(path)}), dataset, seed=0)
    save_generator(path, stage.model)
    with pytest.raises(UsageError, match="was made with latent 2, expected 3"):
        fit(LAGNN(**{**SMALL, "generator": str(path), "latent_dim": 3}), dataset, seed=0)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"backbone": "grand", "views": 2}, "takes one generated view"),
        ({"backbone": "grand", "mode": "input"}, "takes one generated view"),
        ({"backbone": "grand", "label_input": 0.5}, "--label-input is 0.5"),
        ({"backbone": "gcnii", "sampler": "neighbor"}, "needs whole subgraphs"),
        ({"num_layers": 1}, "--num-layers is 1"),
        ({"generator": "x", "control": "self"}, "--generator and --control self"),
        ({"generator": "x", "views": 0}, "--generator and --views 0"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(UsageError, match=message):
        LAGNN(**options)


def test_published_options_of_single_runs():
    arxiv = registry.resolve_config("lagat", "ogbn-arxiv")
    assert arxiv.residual and not arxiv.attention_target and arxiv.symmetric_norm and arxiv.optimizer == "rmsprop"
    assert not registry.resolve_config("lagat", "cora").residual
    for name in ("cora", "citeseer", "pubmed"):
        grand, gcnii = (registry.resolve_config(word, name) for word in ("lagrand", "lagcnii"))
        assert (
            grand.patience_by_either and grand.patience == 200 and grand.keep == "loss" and not gcnii.patience_by_either
        )
    products = registry.resolve_config("lasage", "ogbn-products")
    assert (products.epochs, products.lr) == (20, 0.003)


def test_words_have_the_published_options():
    found = {
        name: registry.resolve_config(name, "cora")
        for name in ("lagnn", "lagcn", "lagat", "lasage", "lagcnii", "lagrand")
    }
    assert [c.backbone for c in found.values()] == ["gcn", "gcn", "gat", "sage", "gcnii", "grand"]
    assert found["lagnn"] == found["lagcn"] and found["lagnn"].keep == "loss" and found["lagnn"].row_normalize
    assert all(
        (c.generator_epochs, c.generator_batch, c.latent_dim, c.generator_lr, c.select_warmup, c.u_samples, c.u_updates)
        == (10, 64, 10, 0.01, 200, 100, 20)
        and c.samples == 4
        and c.views == 1
        for c in found.values()
    )
    pubmed = registry.resolve_config("lagrand", "pubmed")
    assert (pubmed.lr, pubmed.lam, pubmed.temp, pubmed.grand_order, pubmed.norm, pubmed.views) == (
        0.2,
        1.2,
        0.2,
        5,
        "batch",
        1,
    )
