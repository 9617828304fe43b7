"""NCN and NCNC against a dense re-implementation of their formulas, and against the identities they must obey."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from graphkit.claims.expressions import Outcome, evaluate
from graphkit.core import registry
from graphkit.core.errors import DataError, UsageError
from graphkit.kernels import neighbour_sets as set_kernels
from graphkit.methods.link.ncnc.config import VARIANTS
from graphkit.methods.link.ncnc.experiments import completion_exactness
from graphkit.methods.link.ncnc.method import NCNC
from graphkit.training import fit

SMALL = {"hidden_dim": 8, "batch_size": 4, "epochs": 2}


def prepared(dataset, seed=0, **options):
    torch.manual_seed(seed)
    learner = NCNC(**{**SMALL, **options})
    learner.prepare(dataset, seed=seed, device="cpu")
    learner.model.eval()
    return learner


def all_pairs(n):
    return torch.tensor([(i, j) for i in range(n) for j in range(n) if i != j])


class Dense:
    """The formulas on dense matrices, one pair at a time; A is (n, n) 0/1."""

    def __init__(self, learner):
        self.config, self.encoder = learner.config, learner.model["encoder"]
        self.predictor, self.features = learner.model["predictor"], learner.dataset.features
        graph = learner.dataset.graph
        self.adjacency = torch.zeros(graph.num_nodes(), graph.num_nodes())
        self.adjacency[graph.edges()] = 1
        self.adjacency.fill_diagonal_(0)

    def encode(self):
        a = self.adjacency
        if self.config.conv == "puresum":
            step = a
        else:
            with_loops = a + torch.eye(len(a))
            scale = torch.diag(with_loops.sum(1) ** -0.5)
            step = scale @ with_loops @ scale
        x, states = self.features, []
        if self.config.conv == "gcn":
            for layer, conv in enumerate(self.encoder.convs):
                out = step @ x @ conv.linear.weight.T + conv.bias
                if self.config.num_layers == 1 or layer < self.config.num_layers - 1:
                    out = torch.relu(self.encoder.blocks[layer][0](out))
                x = out + x if self.config.res and out.shape == x.shape else out
                states.append(x)
        else:
            x = self.encoder.input(x)
            for _ in range(self.config.num_layers):
                x = step @ x + x if self.config.res else step @ x
                states.append(x)
        return sum(w * s for w, s in zip(self.encoder.jump, states)) if self.config.jk else x

    def score(self, h, i, j, depth):
        p = self.predictor
        nodes = h + p.node_mlp(h) if p.node_mlp is not None else h
        x = p.pair_mlp(h[i] * h[j])
        left, right = self.adjacency[i].bool(), self.adjacency[j].bool()
        both, only = left & right, left ^ right
        for name, mlp in p.pool_mlps.items():
            if name == "count":
                x = x + p.beta * mlp(both.sum()[None].float())
            elif name == "two_hop":
                square = (self.adjacency @ self.adjacency) > 0
                x = x + mlp(nodes[left & square[j]].sum(0) + nodes[right & square[i]].sum(0))
            elif name == "difference":
                x = x + mlp(nodes[only].sum(0))
            else:
                pool = nodes[both].sum(0)
                if name == "completed" and depth > 0:
                    for u in only.nonzero().flatten().tolist():
                        pool = pool + self.probability(h, nodes, j if left[u] else i, u, i, j, depth) * nodes[u]
                x = x + p.beta * mlp(pool)
        return p.out_mlp(x)[0]

    def probability(self, h, nodes, missing_from, u, i, j, depth):
        config = self.config
        s = self.score(h if config.clean_recursion else nodes, missing_from, u, depth - 1)
        q = torch.sigmoid(config.scale * (s - config.offset))
        pt = self.predictor.pt_mlp(h[i] * h[j])[0] if config.learn_pt else config.pt
        return config.alpha * pt * q / (pt * q + 1 - q)


CASES = [
    *({"variant": variant} for variant in VARIANTS),
    {"variant": "ncnc", "clean_recursion": True, "alpha": 1.3},
    {"variant": "ncnc", "learn_pt": True, "use_xlin": False, "tail_act": False, "two_layer_lin": True},
    {"variant": "ncn", "conv": "gcn", "num_layers": 1, "jk": False},
    {"variant": "ncn", "conv": "gcn", "num_layers": 3, "jk": False, "res": True},
    {"variant": "ncnc", "conv": "puresum", "num_layers": 2, "jk": False, "res": True, "predictor_layer_norm": False},
]


@pytest.mark.parametrize("options", CASES, ids=str)
def test_forward_equals_dense_formulas(random_graph, options):
    learner = prepared(random_graph, offset=0.1, scale=2.0, split_size=7, eval_batch_size=11, **options)
    pairs = all_pairs(12)
    with torch.no_grad():
        dense = Dense(learner)
        h = dense.encode()
        expected = torch.stack([dense.score(h, i, j, learner.config.recursion_depth) for i, j in pairs.tolist()])
    torch.testing.assert_close(learner.score_pairs(pairs), expected, atol=2e-5, rtol=1e-4)


EXACT = (
    "found.wrong_sets == 0 and found.with_common >= 40 and found.largest_difference <= 1e-4 and found.completed >= 0.9"
    " and found.target_difference <= 1e-5"
)


def judged(dataset):
    """Whether the smoke claim holds on a small graph, by its own expectation less the number of pairs."""
    claim = registry.sheet("ncnc").claims["smoke-completion-exact"]["expect"]
    assert " ".join(claim.split()) == EXACT.replace("40", "300")
    found = completion_exactness(dataset, count=80)
    return evaluate(EXACT, {"found": Outcome(found)})


def test_smoke_claim_holds(random_graph):
    assert judged(random_graph)


def _no_right_side(left, right, pairs, original=set_kernels.neighbour_sets):
    sets = original(left, right, pairs)
    keep = sets.kind != set_kernels.ONLY_RIGHT
    ptr = np.concatenate([[0], np.cumsum(np.add.reduceat(np.append(keep, 0), sets.ptr[:-1]) * (np.diff(sets.ptr) > 0))])
    return set_kernels.NeighbourSets(ptr.astype(sets.ptr.dtype), sets.node[keep], sets.kind[keep])


SETS = "graphkit.methods.link.ncnc.common_neighbours"
FAULTS = {
    "one side is left out": lambda m: m.setattr(f"{SETS}.neighbour_sets", _no_right_side),
    "completion by the edge that is there": lambda m: m.setattr(f"{SETS}.ONLY_LEFT", set_kernels.ONLY_RIGHT),
    "probability 0": lambda m: m.setattr(f"{SETS}._log", lambda pt: torch.log(pt) - 1e9),
    "the prior is forgotten": lambda m: m.setattr(f"{SETS}._log", torch.zeros_like),
    "targets stay": lambda m: m.setattr(NCNC, "message_graph", lambda self, chosen: self.graph),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_turns_the_smoke_claim(random_graph, monkeypatch, fault):
    FAULTS[fault](monkeypatch)
    assert not judged(random_graph)


@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_are_symmetric_and_equivariant(random_graph, dataset_of, variant):
    learner = prepared(random_graph, variant=variant, tst_deg=2)
    pairs, order = all_pairs(12), torch.randperm(12)
    scores = learner.score_pairs(pairs)
    torch.testing.assert_close(learner.score_pairs(pairs.flip(1)), scores, atol=1e-5, rtol=1e-5)
    if variant.startswith("ncnc"):
        return  # which members are drawn depends on the numbers of the nodes
    features = torch.empty_like(random_graph.features)
    features[order] = random_graph.features
    other = prepared(
        dataset_of(order[torch.as_tensor(random_graph.split.train.pos)], 12, features=features), variant=variant
    )
    other.load_state_dict(learner.state_dict())
    torch.testing.assert_close(other.score_pairs(order[pairs]), scores, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_zoo_trains_and_scores(zoo, variant):
    learner = NCNC(**SMALL, variant=variant, tlr=len(zoo.split.train.pos) > 1)
    fit(learner, zoo, seed=0)
    assert torch.isfinite(learner.score_pairs(all_pairs(zoo.num_nodes))).all()


@pytest.mark.parametrize("copies", [1, 3])
def test_targets_reverses_and_copies_leave_the_message_graph(dataset_of, copies):
    edges = [(0, 1)] * copies + [(1, 2), (2, 3), (3, 0), (0, 2)]
    learner = prepared(dataset_of(edges, 5), variant="ncn")
    left = learner.message_graph(np.array([0])).to_scipy().toarray()
    assert left[0, 1] == left[1, 0] == 0 and left.sum() == 8
    official = prepared(dataset_of(edges, 5), variant="ncn", tlr_dedup=False)
    assert official.message_graph(np.array([0])).to_scipy()[0, 1] == (copies > 1)
    assert official.message_graph(np.arange(copies)).to_scipy()[0, 1] == 0
    assert prepared(dataset_of(edges, 5), tlr=False).message_graph(np.array([0])).to_scipy()[0, 1] == 1


def test_a_batch_does_not_depend_on_its_own_edges(dataset_of):
    """With target removal the loss of a batch is the same whether or not the graph held the batch's edges."""
    edges = [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (3, 4), (4, 5)]
    features = np.random.default_rng(0).normal(size=(6, 4))
    whole = prepared(dataset_of(edges, 6, features=features), variant="ncnc", feature_dropout=0.0)
    without = prepared(dataset_of(edges[2:], 6, features=features, train=edges), variant="ncnc", feature_dropout=0.0)
    without.load_state_dict(whole.state_dict())
    batch = (np.array([0, 1]), np.array([[0, 5], [1, 4]]))
    assert float(whole.loss(batch)) == pytest.approx(float(without.loss(batch)), abs=1e-6)


def test_hidden_edge_does_not_move_its_score(dataset_of):
    """Whether a pair is a held-out positive, and of which part, changes neither training nor its score."""
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0), (0, 3)]
    scores = []
    for valid, test in (([(1, 4)], [(2, 5)]), ([(2, 4)], [(1, 4)]), ([(2, 4)], [(2, 5)])):
        learner = NCNC(**SMALL, variant="ncnc")
        fit(learner, dataset_of(edges, 6, valid=valid, test=test), seed=3)
        scores.append(float(learner.score_pairs(torch.tensor([[1, 4]]))))
    assert scores[0] == scores[1] == scores[2]


def test_validation_edges_reach_the_test_graph_alone(dataset_of):
    data = dataset_of([(0, 1), (1, 2), (2, 3)], 6, valid=[(0, 4), (4, 2)], test=[(0, 2)])
    plain, with_valid = prepared(data, variant="ncn"), prepared(data, variant="ncn", val_edges_at_test=True)
    with_valid.load_state_dict(plain.state_dict())
    assert torch.equal(plain.predict("valid")["y_pred_pos"], with_valid.predict("valid")["y_pred_pos"])
    assert not torch.equal(plain.predict("test")["y_pred_pos"], with_valid.predict("test")["y_pred_pos"])


def test_negatives_per_positive_have_their_own_source(random_graph):
    from graphkit.datasets.base import EdgeSet, LinkSplit

    learner = prepared(random_graph, variant="ncnc", eval_batch_size=4)
    part = EdgeSet(np.array([[0, 1], [2, 3], [4, 5]]), neg_dst=np.array([[6, 7], [8, 9], [10, 11]]))
    learner.dataset = random_graph.renamed(split=LinkSplit(random_graph.split.train, part, part))
    found = learner.predict("valid")["y_pred_neg"]
    single = learner.score_pairs(torch.tensor([[0, 6], [0, 7], [2, 8], [2, 9], [4, 10], [4, 11]])).reshape(3, 2)
    torch.testing.assert_close(found, single, atol=1e-5, rtol=1e-5)


def test_sparse_and_dense_features_agree(dataset_of):
    features = np.zeros((8, 60))
    features[np.arange(8), np.arange(8) * 7] = 2.0
    data = dataset_of([(0, 1), (1, 2), (2, 3), (3, 4), (5, 6)], 8, features=features)
    for conv in ("puregcn", "gcn"):
        sparse = prepared(data, variant="ncn", conv=conv)
        dense = prepared(data, variant="ncn", conv=conv)
        dense.load_state_dict(sparse.state_dict())
        dense.features = data.features
        pairs = all_pairs(8)
        torch.testing.assert_close(sparse.score_pairs(pairs), dense.score_pairs(pairs), atol=1e-5, rtol=1e-5)


def test_batches_cover_the_edges_and_fit_small_graphs(random_graph):
    learner = prepared(random_graph, variant="ncn", batch_size=5)
    batches = list(learner.batches(0, np.random.default_rng(0)))
    chosen = np.concatenate([batch[0] for batch in batches])
    assert [len(batch[0]) for batch in batches] == [5] * 4 and len(np.unique(chosen)) == 20
    graph = set(map(tuple, learner.positives.tolist()))
    negatives = np.concatenate([batch[1] for batch in batches])
    assert not any((a, b) in graph or (b, a) in graph or a == b for a, b in negatives.tolist())
    large = prepared(random_graph, variant="ncn", batch_size=10**6)
    assert len(list(large.batches(0, np.random.default_rng(0)))) == 2


@pytest.mark.parametrize("variant", VARIANTS)
def test_interrupted_training_continues_to_the_same_losses(random_graph, tmp_path, variant):
    """Also where a variant would keep something from batch to batch that no checkpoint holds."""
    from graphkit.core.errors import Interrupted
    from graphkit.training.signals import StopRequest

    def losses(stop_at=None, **options):
        found, stop = [], StopRequest()

        def report(event):
            if event["event"] == "step":
                found.append(event["loss"])
                stop.name = "SIGTERM" if len(found) == stop_at else None

        learner = NCNC(**{**SMALL, "epochs": 3}, variant=variant, predictor_edge_dropout=0.2)
        with contextlib.suppress(Interrupted):
            fit(learner, random_graph, seed=0, report=report, stop=stop, **options)
        return found

    unbroken, file = losses(), tmp_path / "checkpoint.pt"
    assert len(unbroken) == 15
    assert losses(stop_at=7, checkpoint_path=file) + losses(checkpoint_path=file, resume=True) == unbroken


def test_frozen_encoder_starts_from_a_run(random_graph):
    """Two stages: the encoder of an NCN run is taken over and stays as it is while the predictor moves."""
    first = prepared(random_graph, variant="ncn")
    for weight in first.model.parameters():
        torch.nn.init.normal_(weight)
    options = {**SMALL, "variant": "ncnc", "lr": 0.0, "init_from": "first", "init_parts": "encoder"}
    for tlr in (True, False):
        second = NCNC(**options, tlr=tlr)
        second.initial_state = first.state_dict()
        fit(second, random_graph, seed=0)
        before, after = first.state_dict(), second.state_dict()
        assert all(torch.equal(before[key], after[key]) for key in before if key.startswith("encoder."))
        assert any(not torch.equal(before[key], after[key]) for key in before if key in after)
    wider = NCNC(**{**options, "hidden_dim": 16})
    wider.initial_state = first.state_dict()
    with pytest.raises(DataError, match="--init-from first: .* expected shape"):
        fit(wider, random_graph, seed=0)
    with pytest.raises(UsageError, match="--epochs 0"):
        fit(NCNC(**{**options, "epochs": 0}), random_graph)


def test_completion_starts_from_a_whole_ncn_run(random_graph):
    """The published second stage on ogbl-ddi: NCNC takes over all of a trained NCN, of which it is the case p = 0."""
    first = prepared(random_graph, variant="ncn")
    for weight in first.model.parameters():
        torch.nn.init.normal_(weight)
    second = prepared(random_graph, variant="ncnc", init_from="first", pt=0.0, lr=0.0)
    second.initial_state = first.state_dict()
    second.on_epoch_start(0)
    pairs = torch.tensor([[0, 1], [3, 11], [2, 5]])
    torch.testing.assert_close(second.score_pairs(pairs), first.score_pairs(pairs))


def test_explains_what_it_pools(random_graph):
    learner = prepared(random_graph, variant="ncnc")
    pairs = torch.tensor([[0, 1], [3, 11]])
    rows = learner.explain_pairs(pairs)
    matrix = learner.graph.to_scipy().toarray()
    for p, (i, j) in enumerate(pairs.tolist()):
        found = {node: (kind, value) for row, node, kind, value in rows if row == p}
        assert set(found) == set(np.flatnonzero(matrix[i] + matrix[j]).tolist())
        for node, (kind, value) in found.items():
            assert (
                kind
                == {(1, 1): "common", (1, 0): "source-only", (0, 1): "target-only"}[matrix[i, node], matrix[j, node]]
            )
            assert value == 1 if kind == "common" else 0 < value < 1


def test_a_frozen_random_network_is_refused(random_graph):
    """The published second stage on ogbl-ddi and ogbl-citation2, without the first: the encoder would stay as it is
    drawn.
    """
    message = (
        r"--lr is 0 without --init-from: the encoder would stay random. First run: graphkit train ncn --dataset tiny"
        r" --out runs/ncn; "
        r"then: graphkit train ncnc --dataset tiny --init-from runs/ncn"
    )
    with pytest.raises(UsageError, match=message):
        fit(NCNC(**SMALL, variant="ncnc", lr=0.0), random_graph)
    assert registry.resolve_config("ncnc", "ogbl-ddi").lr == 0 == registry.resolve_config("ncnc", "ogbl-citation2").lr
    with pytest.raises(UsageError, match="--predictor-lr is 0 and no run gives the predictor's weights"):
        fit(NCNC(**SMALL, variant="ncnc", predictor_lr=0.0), random_graph)


def test_weight_decay_adds_to_the_gradient_of_every_weight(random_graph):
    """The first step of Adam moves each weight by its learning rate against the sign of gradient + decay * weight."""
    learner = prepared(random_graph, variant="ncn", weight_decay=1e6, lr=0.01, predictor_lr=0.02)
    for weight in learner.model.parameters():
        torch.nn.init.uniform_(weight, 0.5, 1.0)
    before = {key: value.clone() for key, value in learner.model.state_dict().items()}
    batch, *_ = learner.batches(0, np.random.default_rng(0))
    learner.loss(batch).backward()
    learner.optimizers[0].step()
    for key, value in learner.model.state_dict().items():
        rate = 0.01 if key.startswith("encoder") else 0.02
        torch.testing.assert_close(value, before[key] - rate * before[key].sign(), atol=1e-4, rtol=1e-4)


def test_no_training_edges_is_an_error(dataset_of):
    with pytest.raises(DataError, match="no training edges"):
        fit(NCNC(**SMALL), dataset_of(np.empty((0, 2)), 4, valid=[(0, 1)], test=[(0, 1)]))


def test_published_numbers_of_parameters():
    """OGB's leaderboard lists 33,538 parameters for NCN on ogbl-ppa and 1,412,098 on ogbl-ddi, there with one unused
    node.
    """
    from graphkit.methods.link.ncnc.common_neighbours import PairPredictor
    from graphkit.methods.link.ncnc.link_encoder import LinkEncoder

    for name, categories, published in (("ogbl-ppa", 58, 33_538), ("ogbl-ddi", 4267 + 1, 1_412_098)):
        config = registry.resolve_config("ncn", name)
        parts = (LinkEncoder(config, None, categories), PairPredictor(config))
        assert sum(p.numel() for part in parts for p in part.parameters()) == published


# (cora, citeseer and pubmed) of the official classes, built by the README's commands
PREDICTOR = {
    "gae": (198_657, 198_657, 198_657),
    "ncn": (397_058, None, 397_058),
    "ncn2": (397_058, 395_010, 395_010),
    "ncn-diff": (397_058, 395_010, 395_010),
}


@pytest.mark.parametrize("variant", PREDICTOR)
def test_numbers_of_parameters_of_the_official_predictors(variant):
    from graphkit.methods.link.ncnc.common_neighbours import PairPredictor

    for name, expected in zip(("cora", "citeseer", "pubmed"), PREDICTOR[variant]):
        predictor = PairPredictor(registry.resolve_config(variant, name))
        assert expected in (None, sum(p.numel() for p in predictor.parameters())), name


def test_every_parameter_of_a_predictor_is_used(random_graph):
    """One that gets no gradient would be counted in the result and do nothing."""
    for variant in VARIANTS:
        for options in ({}, {"use_xlin": True, "learn_pt": True, "two_layer_lin": True}):
            learner = prepared(random_graph, variant=variant, pt=0.5, offset=0.0, scale=1.0, **options)
            batch, *_ = learner.batches(0, np.random.default_rng(0))
            learner.loss(batch).backward()
            assert [name for name, p in learner.model.named_parameters() if p.grad is None] == []


def test_learned_pt_is_two_linear_layers_with_a_relu(random_graph):
    """W2 relu(W1 x + b1) + b2 through a sigmoid, and the same in training: nothing is dropped or normalised between."""
    mlp = prepared(random_graph, variant="ncnc", learn_pt=True, predictor_dropout=0.5).model["predictor"].pt_mlp.train()
    x, weights = torch.randn(9, 8), [p.detach() for p in mlp.parameters()]
    assert [tuple(p.shape) for p in weights] == [(8, 8), (8,), (1, 8), (1,)]
    expected = 1 / (1 + torch.exp(-(torch.clamp(x @ weights[0].T + weights[1], min=0) @ weights[2].T + weights[3])))
    torch.testing.assert_close(mlp(x), expected)
    torch.testing.assert_close(mlp(x), mlp(x), rtol=0, atol=0)


def test_copies_of_a_target_stay_in_the_collab_presets():
    for preset in ("paper", "heart"):
        for variant in VARIANTS:
            assert registry.resolve_config(variant, "ogbl-collab", preset=preset).tlr_dedup is False


HEART = {  # variant, data set -> what the scripts set
    ("ncn", "cora"): {
        "lr": 0.01,
        "predictor_lr": 0.01,
        "num_layers": 3,
        "hidden_dropout": 0.1,
        "predictor_dropout": 0.1,
        "weight_decay": 1e-7,
        "patience": 11,
        "eval_every": 5,
        "batch_size": 1024,
    },
    ("ncnc", "cora"): {"lr": 0.01, "num_layers": 2, "weight_decay": 0.0},
    ("ncn", "citeseer"): {"lr": 0.001, "weight_decay": 0.0},
    ("ncnc", "citeseer"): {"lr": 0.001, "weight_decay": 1e-7},
    ("ncn", "pubmed"): {"lr": 0.001, "weight_decay": 1e-7},
    ("ncnc", "pubmed"): {"lr": 0.001, "weight_decay": 0.0},
    ("ncn", "ogbl-collab"): {
        "num_layers": 3,
        "hidden_dropout": 0.0,
        "predictor_dropout": 0.0,
        "epochs": 9999,
        "patience": 20,
    },
    ("ncnc", "ogbl-ppa"): {"hidden_dropout": 0.0, "predictor_dropout": 0.0, "epochs": 15},
    ("ncn", "ogbl-ddi"): {"lr": 0.01, "num_layers": 3, "hidden_dropout": 0.3, "predictor_dropout": 0.3, "patience": 20},
    ("ncn", "ogbl-citation2"): {"lr": 0.001, "hidden_dropout": 0.3, "epochs": 20, "hidden_dim": 128},
    ("ncnc", "ogbl-citation2"): {
        "lr": 0.001,
        "predictor_lr": 0.001,
        "batch_size": 32768,
        "offset": 4.7,
        "scale": 7.0,
        "pt": 0.3,
        "trn_deg": 128,
        "tst_deg": 128,
        "init_parts": "all",
    },
}


@pytest.mark.parametrize("variant, name", HEART, ids=str)
def test_heart_presets_are_those_of_its_scripts(variant, name):
    config = registry.resolve_config(variant, name, preset="heart")
    assert {key: getattr(config, key) for key in HEART[variant, name]} == HEART[variant, name]


def test_heart_has_no_completion_on_ddi():
    with pytest.raises(UsageError, match="--preset heart has no published options of ncnc on ogbl-ddi"):
        registry.resolve_config("ncnc", "ogbl-ddi", preset="heart")
