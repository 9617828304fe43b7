"""GraphGPS as a learner: every combination trains, wrong options say why, and what the card warns of does not
happen.
"""

from __future__ import annotations

import logging

import dgl
import numpy as np
import pytest
import torch

from graphkit import datasets
from graphkit.core import registry
from graphkit.core.errors import UsageError
from graphkit.datasets.base import GraphDataset, GraphSplit, NodeSplit
from graphkit.methods.graph.graphgps import attention
from graphkit.methods.graph.graphgps.config import ATTENTION, LOCAL
from graphkit.methods.graph.graphgps.method import GraphGPS
from graphkit.training import fit

TINY = {"num_layers": 1, "hidden_dim": 16, "heads": 2, "epochs": 1, "batch_size": 4, "warmup": 0}
PES = [
    "none",
    "lappe:4:4",
    "lappe-sym:4:4",
    "lappe-mean:4:4",
    "signnet-mlp:4:4",
    "signnet-ds:4:4",
    "rwse:4:4",
    "rwcols:3:4",
    "rwrows:3:4",
    "hkdiag:3:4",
    "elstatic:4",
    "lappe:4:4,rwse:3:4,hkdiag:2:2",
]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def graph_set(edges=True, features=True, seed=0):
    """Graphs of 1 to 6 nodes, one without edges, most with fewer nodes than eigenvectors are asked for."""
    rng = np.random.default_rng(seed)
    graphs = []
    for n in (1, 2, 3, 4, 6, 5, 2, 6, 3, 4):
        ends = np.argwhere(np.triu(rng.random((n, n)) < 0.7, 1))
        ends = np.concatenate([ends, ends[:, ::-1]]) if n != 5 else np.empty((0, 2), dtype=np.int64)
        graph = dgl.graph((torch.from_numpy(ends[:, 0].copy()), torch.from_numpy(ends[:, 1].copy())), num_nodes=n)
        if features:
            graph.ndata["feat"] = torch.from_numpy(rng.standard_normal((n, 3)).astype(np.float32))
        if edges:
            graph.edata["feat"] = torch.from_numpy(rng.integers(3, size=(len(ends), 2)))
        graphs.append(graph)
    numbers = np.arange(10)
    split = GraphSplit(numbers[:6], numbers[6:8], numbers[8:])
    return GraphDataset(
        "tiny", graphs=graphs, graph_labels=torch.tensor([0, 1] * 5), task="graph", split=split, metric="accuracy"
    )


def learner(dataset, seed=0, **options):
    made = GraphGPS(**{**TINY, **options})
    fit(made, dataset, seed=seed)
    return made


@pytest.mark.parametrize("local", LOCAL)
@pytest.mark.parametrize("attn", ATTENTION)
def test_every_local_layer_goes_with_every_attention(local, attn):
    if local == attn == "none":
        with pytest.raises(UsageError, match="found none for both"):
            learner(graph_set(), local=local, attn=attn)
        return
    for edges in (True, False):
        found = learner(graph_set(edges), local=local, attn=attn, pe="rwse:3:4", pool="max").predict("test")["y_pred"]
        assert found.shape == (2, 2) and torch.isfinite(found).all()


@pytest.mark.parametrize("pe", PES)
def test_every_encoding_goes_with_node_and_graph_labels(pe):
    assert torch.isfinite(learner(graph_set(), pe=pe, head="san", pool="add").predict("valid")["y_pred"]).all()
    rings = datasets.load("ring-transfer:train=3,valid=1,test=1,radius=3", task="node")
    assert torch.isfinite(learner(rings, pe=pe, head_layers=2).predict("test")["y_pred"]).all()


@pytest.mark.parametrize("local", ["gine", "gatedgcn"])
@pytest.mark.parametrize("lap_encoder", ["deepset", "transformer"])
def test_peg_beside_other_encodings(local, lap_encoder):
    made = learner(graph_set(), local=local, pe="peg:4,lappe:4:4", lap_encoder=lap_encoder, raw_encoder="mlp")
    assert made.model.layers[0].gate is not None
    assert torch.isfinite(made.predict("valid")["y_pred"]).all()
    with pytest.raises(UsageError, match="--pe peg: found --local gcn"):
        learner(graph_set(), local="gcn", pe="peg:4")


def test_graphs_without_features_get_one_vector():
    made = learner(graph_set(edges=False, features=False), pe="rwse:4:4")
    assert made.model.node_input.layer.weight.shape == (1, 12)
    assert made.logits_of(graph_set(edges=False, features=False, seed=3)).shape == (10, 2)


def test_predictions_do_not_depend_on_the_batches():
    dataset = graph_set()
    made = learner(dataset, pe="lappe:4:4,signnet-mlp:3:4", epochs=3)
    made.model.eval()
    with torch.no_grad():
        whole = made.logits_of(dataset)
        single = torch.cat(
            [made.model(b.graph, b.x, b.e) for b in (made.graph_batch(torch.tensor([k])) for k in range(10))]
        )
    torch.testing.assert_close(whole, single, atol=1e-4, rtol=1e-4)


def test_one_node_or_graph_per_step_trains():
    made = learner(graph_set(), batch_size=1, pe="rwse:3:4,lappe:3:4")
    assert torch.isfinite(made.predict("test")["y_pred"]).all()


def test_gcn_sees_its_own_node_and_encodings_do_not_see_the_loops():
    dataset = graph_set(edges=False)
    made = learner(dataset, local="gcn", pe="rwse:2:4")
    whole, plain = made.set.whole, dgl.batch(dataset.graphs)
    assert whole.num_edges() == plain.num_edges() + plain.num_nodes()
    assert (whole.ndata["_pe_rwse_2"][:, 0] == 0).all()  # a loop would make a return in one step possible


def test_one_large_graph_by_performer_or_without_attention():
    board = datasets.load("minesweeper:rows=101,cols=101", task="node")
    with pytest.raises(
        UsageError, match=r"--attn transformer: found a graph of 10,201 nodes, expected at most 8,192.*--attn performer"
    ):
        learner(board)
    for attn in ("performer", "bigbird", "none"):
        assert torch.isfinite(learner(board, attn=attn, local="gcn", eval_every=1).node_logits()).all()


def test_size_is_looked_at_before_encodings_are_computed(monkeypatch):
    monkeypatch.setattr(attention, "FULL_NODES", 5)
    monkeypatch.setattr("graphkit.nn.encodings.compute", None)
    with pytest.raises(UsageError, match="6 nodes"):
        learner(graph_set(), pe="lappe:4:4")


@pytest.mark.parametrize("sampler", ["cluster", "shadow", "saint"])
def test_samplers_that_draw_whole_graphs(sampler):
    graph = datasets.load("sbm:n=200,k=2,p_in=0.1,p_out=0.01,features=4", task="node")
    made = learner(
        graph,
        sampler=sampler,
        parts=10,
        parts_per_batch=2,
        saint_budget=(20, 3),
        batch_size=50,
        pe="rwse:3:4",
        num_layers=2,
    )
    assert made.predict("test")["y_pred"].shape[1] == 2
    with pytest.raises(UsageError, match="--sampler is labor"):
        learner(graph, sampler="labor")


def test_classes_are_weighed_by_their_rarity_in_the_batch():
    made = GraphGPS(**TINY, class_weights="batch")
    n = 12
    ends = torch.tensor([k for k in range(n - 1) if k != 9])  # two paths, of ten nodes and of two
    graph = dgl.add_reverse_edges(dgl.graph((ends, ends + 1)))
    graph.ndata["feat"], graph.ndata["label"] = torch.randn(n, 3), torch.tensor([0] * 6 + [1] * 2 + [2] * 2 + [0, 1])
    graph.ndata["_graph"] = torch.tensor([0] * 10 + [1] * 2)
    split = NodeSplit(np.arange(8), np.arange(8, 10), np.arange(10, 12))
    dataset = GraphDataset("weighed", graph, task="node", split=split, metric="balanced-accuracy")
    made.prepare(dataset, seed=0, device="cpu")
    made.model.eval()
    (batch,) = made.batches(0, np.random.default_rng(0))
    logs = torch.log_softmax(made.model(batch.graph, batch.x, batch.e)[batch.rows], dim=1)
    # Among the 8 training rows 6 are of class 0 and 2 of class 1; class 2 is absent.
    weights = torch.tensor([(8 - 6) / 8, (8 - 2) / 8])
    total = sum(weights[int(y)] for y in batch.y)
    expected = -sum(weights[int(y)] * row[int(y)] for row, y in zip(logs, batch.y)) / total
    torch.testing.assert_close(made.loss(batch), expected)


def test_parameters_are_reported_by_part(caplog):
    with caplog.at_level(logging.INFO, logger="graphkit"):
        made = learner(graph_set(), pe="rwse:3:4")
    (line,) = [record.getMessage() for record in caplog.records if "parameters" in record.getMessage()]
    assert line.startswith(f"{made.parameter_count():,} parameters: input ") and "attention" in line


def test_same_seed_same_result_and_other_seed_another():
    one, two, three = (
        learner(graph_set(), seed=seed, pe="lappe:4:4", dropout=0.2).predict("test")["y_pred"] for seed in (0, 0, 1)
    )
    assert torch.equal(one, two) and not torch.equal(one, three)


def test_presets_are_those_of_the_published_table():
    expected = {
        "zinc-partial": (10, 64, 4, 32, 1e-3, 2000, 50, 1e-5),
        "ogbg-molhiv": (10, 64, 4, 32, 1e-4, 100, 5, 1e-5),
        "ogbg-molpcba": (5, 384, 4, 512, 5e-4, 100, 5, 1e-5),
        "pattern:seed=1": (6, 64, 4, 32, 5e-4, 100, 5, 1e-5),
        "cluster": (16, 48, 8, 16, 5e-4, 100, 5, 1e-5),
        "peptides-func": (4, 96, 4, 128, 3e-4, 200, 10, 0.0),
        "ogbg-ppa": (3, 256, 8, 32, 3e-4, 200, 10, 1e-5),
    }
    for name, values in expected.items():
        config = registry.resolve_config("graphgps", name)
        assert (
            config.num_layers,
            config.hidden_dim,
            config.heads,
            config.batch_size,
            config.lr,
            config.epochs,
            config.warmup,
            config.weight_decay,
        ) == values, name
        assert (
            config.optimizer == "adamw"
            and config.schedule == "cosine"
            and config.clip_norm == 1.0
            and config.norm == "batch"
        )
        assert config.attn_dropout == 0.5


def test_presets_of_small_web_graphs_are_those_of_their_files():
    for name, layers, width, dropped in (
        ("actor", 2, 64, 0.0),
        ("cornell", 2, 64, 0.0),
        ("texas", 2, 64, 0.0),
        ("wisconsin", 2, 64, 0.0),
        ("chameleon-filtered", 3, 96, 0.5),
    ):
        c = registry.resolve_config("graphgps", name)
        assert (c.num_layers, c.hidden_dim, c.attn_dropout) == (layers, width, dropped)
        assert (c.local, c.attn, c.pe, c.norm, c.act) == ("gcn", "transformer", "lappe:4:4", "none", "gelu")


def test_performer_is_the_packages_by_default():
    c = GraphGPS(attn="performer").config
    assert (c.performer_kernel, c.performer_head_dim) == ("softmax", 64)
    attention_layer = learner(graph_set(), attn="performer").model.layers[0].attn
    assert (attention_layer.kernel, attention_layer.width) == ("softmax", 64)


@pytest.mark.parametrize(
    "options, directed, marked",
    [
        ({"local": "gat"}, False, True),
        ({"local": "gatedgcn", "pe": "peg:4"}, False, True),
        ({"local": "gcn"}, True, True),
        ({"local": "gcn"}, False, False),
        ({"local": "gine", "pe": "peg:4"}, False, False),
        ({"local": "gatedgcn"}, False, False),
    ],
)
def test_weights_of_other_formulas_are_refused(options, directed, marked):
    """Weights that were saved before the formula of their model changed lack its mark."""
    made = GraphGPS(**{**TINY, **options})
    data = graph_set()
    data.directed = directed
    fit(made, data, seed=0)
    old = {key: value for key, value in made.state_dict().items() if key != "formula"}
    assert ("formula" in made.state_dict()) == marked
    if marked:
        with pytest.raises(RuntimeError, match="formula"):
            made.load_state_dict(old)
    else:
        made.load_state_dict(old)


ATOMS, BONDS = (119, 4, 12, 12, 10, 6, 6, 2, 2), (5, 6, 2)


@pytest.mark.parametrize(
    "name, sizes, published",
    [
        (
            "zinc-partial",
            {"in_dim": 1, "edge_dim": 1, "out_dim": 1, "node_tables": (28,), "edge_tables": (4,)},
            423_717,
        ),
        (
            "ogbg-molhiv",
            {"in_dim": 9, "edge_dim": 3, "out_dim": 1, "node_tables": ATOMS, "edge_tables": BONDS},
            558_625,
        ),
        (
            "ogbg-molpcba",
            {"in_dim": 9, "edge_dim": 3, "out_dim": 128, "node_tables": ATOMS, "edge_tables": BONDS},
            9_744_496,
        ),
        (
            "peptides-func",
            {"in_dim": 9, "edge_dim": 3, "out_dim": 10, "node_tables": ATOMS, "edge_tables": BONDS},
            504_362,
        ),
        ("pattern", {"in_dim": 3, "edge_dim": 0, "out_dim": 1, "task": "node"}, 337_201),
        ("cluster", {"in_dim": 7, "edge_dim": 0, "out_dim": 6, "task": "node"}, 502_054),
        ("ogbg-ppa", {"in_dim": 0, "edge_dim": 7, "out_dim": 37}, 3_434_533),
    ],
)
def test_models_have_the_published_numbers_of_parameters(name, sizes, published):
    from graphkit.methods.graph.graphgps.model import GPS
    from graphkit.nn import encodings
    from graphkit.nn.inputs import Dims

    # Tables have one row more than categories, for those that training does not hold.
    tables = {key: tuple(size - 1 for size in sizes[key]) for key in ("node_tables", "edge_tables") if key in sizes}
    config = registry.resolve_config("graphgps", name)
    model = GPS(config, encodings.parse(config.pe), Dims(**{"task": "graph", **sizes, **tables}))
    assert sum(p.numel() for p in model.parameters()) == published
