"""Weights as shares of steps: below 0 they are refused with the edge, and an edge of weight 0 is never stepped over."""

from __future__ import annotations

import dgl
import numpy as np
import pytest
import torch

from graphkit.cli.main import main
from graphkit.sampling.skip_gram import random_walks

METHODS = ("deepwalk", "fastrp", "randne", "cleora", "spectral")


def embed(capsys, path, method, *more):
    with pytest.raises(SystemExit) as stop:
        main(["embed", "--method", method, "--edges", str(path), "--weight", "w", "--dim", "2", "-o", "-", *more])
    found = capsys.readouterr()
    rows = [line.split("\t") for line in found.out.splitlines()[1:]]
    return stop.value.code, {row[0]: np.array(row[1:], float) for row in rows}, found.err


@pytest.mark.parametrize("method", METHODS)
def test_a_weight_below_0_is_refused_with_its_edge(tmp_path, capsys, method):
    if method == "deepwalk":
        pytest.importorskip("gensim")
    (tmp_path / "negw.csv").write_text("src,dst,w\na,b,1\nb,c,2\nc,a,1\nc,d,-3\n")
    code, _, error = embed(capsys, tmp_path / "negw.csv", method)
    assert code == 3 and "the edge c - d weighs -3" in error.splitlines()[-1]


@pytest.mark.parametrize("method", METHODS)
def test_all_weights_0(tmp_path, capsys, method):
    if method == "deepwalk":
        pytest.importorskip("gensim")
    (tmp_path / "allzerow.csv").write_text("src,dst,w\na,b,0\nb,c,0\nc,a,0\n")
    code, rows, error = embed(capsys, tmp_path / "allzerow.csv", method)
    assert code == 0 and len(rows) == 3 and all(np.isfinite(row).all() for row in rows.values())
    if method == "deepwalk":
        assert not any(row.any() for row in rows.values()) and "3 nodes are on no walk" in error


def test_no_step_has_weight_0():
    """Every node in turn has only edges of weight 0, some of them or none."""
    rng = np.random.default_rng(0)
    src, dst = (torch.from_numpy(rng.integers(0, 30, 300)) for _ in range(2))
    weight = torch.from_numpy(rng.random(300))
    weight[(src % 3 == 0) | (torch.arange(300) % 4 == 0)] = 0
    graph = dgl.graph((src, dst), num_nodes=30)
    graph.edata["w"] = weight
    real = {(a, b) for a, b, w in zip(src.tolist(), dst.tolist(), weight.tolist()) if w > 0}
    walks = random_walks(graph, num_walks=20, walk_length=10, seed=1, weight="w")
    steps = {step for walk in walks for step in zip(walk[:-1], walk[1:])}
    assert steps and steps <= real
    assert {walk[0] for walk in walks} == {a for a, _ in real}


def test_steps_are_in_proportion_to_the_weights():
    graph = dgl.graph((torch.tensor([0, 0, 0]), torch.tensor([1, 2, 3])), num_nodes=4)
    graph.edata["w"] = torch.tensor([1.0, 3.0, 0.0])
    ends = [walk[1] for walk in random_walks(graph, num_walks=8000, walk_length=2, seed=0, weight="w")]
    share = np.bincount(ends, minlength=4) / 8000
    np.testing.assert_allclose(share, [0, 0.25, 0.75, 0], atol=0.03)  # six standard deviations
