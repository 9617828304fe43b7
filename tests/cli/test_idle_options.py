"""An option that the chosen configuration does not use is refused by its name, before anything is computed."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from graphkit.cli.main import main
from graphkit.core import registry
from graphkit.methods.graph.graph_mamba.config import GraphMambaConfig
from graphkit.methods.graph.graphgps.config import GraphGPSConfig
from graphkit.methods.node.gnn.config import CONVS, GNNConfig
from graphkit.methods.node.lagnn.config import BACKBONES, CONTROLS, LAGNNConfig
from graphkit.methods.node.largegt.config import LargeGTConfig

NODES, GRAPHS = "sbm:n=60,k=2,features=4", "csl:copies=5"
REFUSED = [
    ("ncn", "karate", "--pt 0.3", "--pt is 0.3, but --variant ncn"),
    ("ncn", "karate", "--depth 2", "--depth is 2, but --variant ncn"),
    ("gae-cn", "karate", "--no-use-xlin", "--use-xlin is false, but --variant gae-cn"),
    ("gae", "karate", "--predictor-edge-dropout 0.1", "--predictor-edge-dropout is 0.1, but --variant gae"),
    ("ncnc", "karate", "--no-tlr --no-tlr-dedup", "--tlr-dedup is false, but --no-tlr"),
    ("ncnc", "karate", "--reweight-alpha 2", "--reweight-alpha is 2.0, but --reweight none"),
    ("gcn-link", "karate", "--heads 2", "--heads is 2, but --conv gcn"),
    ("gcn-link", "karate", "--decoder dot --decoder-layers 3", "--decoder-layers is 3, but --decoder dot"),
    ("sage-link", "karate", "--fanout 5", "--fanout is 5, but --sampler full"),
    ("gcn-link", "karate", "--reweight-warm-up 2", "--reweight-warm-up is 2, but --reweight none"),
    ("cn", "karate", "--beta 0.1", "--beta is 0.1, but --score cn"),
    ("katz", "karate", "--teleport 0.1", "--teleport is 0.1, but --score katz"),
    ("lagcnii", NODES, "--norm batch", "--norm is batch, but --backbone gcnii does not use it"),
    ("lagcnii", NODES, "--act elu", "--act is elu, but --backbone gcnii"),
    ("lagcnii", NODES, "--input-dropout 0.1", "--input-dropout is 0.1, but --backbone gcnii"),
    ("lagrand", NODES, "--num-layers 3", "--num-layers is 3, but --backbone grand"),
    ("lagnn", NODES, "--views 0 --control self", "--control is self, but --views 0"),
    ("largegt", NODES, "--mode global --k 9", "--k is 9, but --mode global"),
    ("largegt", NODES, "--mode global --lists kept", "--lists is kept, but --mode global"),
    ("largegt", NODES, "--lists kept --hub-cap 9", "--hub-cap is 9, but --lists"),
    ("largegt", NODES, "--mode local --lists kept --sample-seed 4", "--sample-seed is 4, but --lists"),
    ("largegt", NODES, "--mode local --pos lappe", "--pos is lappe, but --mode local"),
    ("graph-mamba", NODES, "--m 0 --shuffle-tokens", "--shuffle-tokens is true, but --m 0"),
    (
        "graph-mamba",
        NODES,
        "--pe rwse:4:4 --edge-pe --local-encoder rwf --mpnn none",
        "--edge-pe is true, but --mpnn none with --local-encoder rwf",
    ),
    ("graph-mamba", NODES, "--pool max", "--pool is max, but a task on nodes"),
    ("graphgps", NODES, "--head san", "--head is san, but a task on nodes"),
    ("graphgps", NODES, "--pool add", "--pool is add, but a task on nodes"),
    ("graphgps", GRAPHS, "--head san --head-layers 2", "--head-layers is 2, but --head san"),
    ("graphgps", NODES, "--performer-kernel relu", "--performer-kernel is relu, but --attn transformer"),
    ("graphgps", NODES, "--pe rwse --lap-layers 3", "--lap-layers is 3, but --pe rwse"),
    ("gcn", NODES, "--heads 2", "--heads is 2, but gcn"),
    ("gatedgcn", NODES, "--norm layer", "--norm is layer, but gatedgcn with --stack plain"),
    ("gcn", NODES, "--stack residual --act elu", "--act is elu, but gcn with --stack residual"),
    ("gcn", NODES, "--stack residual --no-last-act", "--last-act is false, but gcn with --stack residual"),
    ("gat", NODES, "--input-linear --out-heads 4", "--out-heads is 4, but a last layer that a linear head follows"),
    ("gat", GRAPHS, "--out-heads 4", "--out-heads is 4, but a last layer that a linear head follows"),
    ("gcn", NODES, "--batch-size 7", "--batch-size is 7, but training on a whole graph"),
    ("gcn", NODES, "--sampler cluster --batch-size 7", "--batch-size is 7, but --sampler cluster"),
    ("largegt", NODES, "--steps 4", "--steps is 4, but training on one graph"),
    ("largegt", NODES, "--mode global --place-vectors", "--place-vectors is true, but --mode global"),
    ("lagcn", NODES, "--residual", "--residual is true, but --backbone gcn"),
    ("lagrand", NODES, "--patience-by-either", "--patience-by-either is true, but --patience 0"),
    ("lagcn", NODES, "--views 0 --generator-epochs 77", "--generator-epochs is 77, but --views 0"),
    ("lagcn", NODES, "--control self --latent-dim 3", "--latent-dim is 3, but --control self"),
    ("lagcn", NODES, "--control random --generator-steps 5", "--generator-steps is 5, but --control random"),
    ("lagcn", NODES, "--select heldout --u-epochs 5", "--u-epochs is 5, but --select heldout"),
    ("graph-mamba", NODES, "--m 1 --node-scan none --order degree", "--order is degree, but --node-scan none"),
    ("graph-mamba", NODES, "--m 1 --mpnn none --num-layers 7", "--num-layers is 7, but --mpnn none"),
    ("gcn", NODES, "--fanout 4,4", "--fanout is 4,4, but --sampler full"),
    ("gin", NODES, "--sampler shadow --parts 3", "--parts is 3, but --sampler shadow"),
]


@pytest.mark.parametrize("name, data, words, message", REFUSED, ids=lambda part: part if " " not in part else "")
def test_an_idle_option_is_refused(name, data, words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["train", name, "--dataset", data, *words.split()])
    found = capsys.readouterr()
    assert stop.value.code == 2 and found.out == "" and list(tmp_path.iterdir()) == []
    assert found.err.startswith(f"graphkit: error: {message}") and found.err.endswith(
        " does not use it; leave it out\n"
    )


@pytest.mark.parametrize(
    "name, data, words",
    [
        ("gcn", NODES, "--heads 8"),  # as by default, which says nothing wrong
        ("graphgps", NODES, "--head-layers 2 --local gat --attn none --heads 2"),
        ("graphgps", GRAPHS, "--head san --pool add"),
        ("lagrand", NODES, "--norm batch --input-dropout 0.1"),
        ("graph-mamba", NODES, "--m 1 --shuffle-tokens"),
        ("gin", NODES, "--stack residual --norm batch --act elu"),
        ("gcn", NODES, "--sampler saint --saint-budget 5,2 --batch-size 7"),
        ("gat", NODES, "--out-heads 4"),
        ("largegt", NODES, "--batch-size 7 --eval-batch-size 5 --k 4 --centroids 8"),
        ("lagcn", NODES, "--control random --latent-dim 3"),
        ("gcn", "pattern:train=4,valid=2,test=2", "--batch-size 2 --steps 3 --eval-batch-size 2"),
        ("graphgps", NODES, "--config san.yaml --head-layers 2"),
    ],
)
def test_the_same_option_is_taken_where_it_is_used(name, data, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "san.yaml").write_text("head: san\n")
    with pytest.raises(SystemExit) as stop:
        main(["train", name, "--dataset", data, "--epochs", "1", "-q", *words.split()])
    assert stop.value.code == 0


def test_published_options_and_saved_ones_may_be_idle(tmp_path):
    saved = tmp_path / "config.yaml"
    saved.write_text("norm: batch\n")
    assert registry.resolve_config("lagcnii", None, {}, saved).norm == "batch"


def test_idle_options_are_options():
    made = [GNNConfig(conv=conv) for conv in CONVS] + [
        LAGNNConfig(backbone=backbone, views=0, lam=0.0) for backbone in BACKBONES
    ]
    made += [LargeGTConfig(mode=mode, lists=lists) for mode in ("local", "global", "full") for lists in (None, "kept")]
    made += [
        GraphGPSConfig(attn=attn, head=head)
        for attn, head in itertools.product(("none", "performer"), ("san", "default"))
    ]
    made += [
        GraphMambaConfig(m=m, mpnn="none", local_encoder=encoder)
        for m in (0, 1)
        for encoder in ("gatedgcn", "rwf", "mean")
    ]
    made += [GNNConfig(conv=conv, stack="residual") for conv in CONVS] + [
        LAGNNConfig(control=control) for control in CONTROLS
    ]
    for config, data in itertools.product(made, (None, "graph", "parts", "graphs")):
        unknown = set(config.idle(data)) - {item.name for item in dataclasses.fields(config)} - {"pool"}
        assert not unknown, (config, unknown)
