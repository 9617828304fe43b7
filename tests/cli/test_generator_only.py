"""graphkit train lagnn --generator-only as its user meets it: its file, its output, its mistakes, and what a
training makes of the file.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file

from graphkit.cli.main import main

SIZES = ["--generator-hidden", "8", "--latent-dim", "3"]
ALONE = ["train", "lagnn", "--generator-only"]
SMALL = [*SIZES, "--generator-steps", "12", "--generator-batch", "8"]


@pytest.fixture
def graphkit(capsys):
    """Run a command line in this process; returns (exit code, stdout, stderr)."""

    def run(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([*map(str, words), "--threads", "1", "--device", "cpu"])
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return run


@pytest.fixture
def own(tmp_path):
    """A ring of named nodes with features, labels and a split."""
    names = [f"n{k}" for k in range(24)]
    (tmp_path / "e.csv").write_text("src,dst\n" + "".join(f"{a},{b}\n" for a, b in zip(names, [*names[1:], names[0]])))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((24, 5)).astype(np.float32))
    (tmp_path / "y.csv").write_text("id,label\n" + "".join(f"{name},{k % 2}\n" for k, name in enumerate(names)))
    return ["--edges", tmp_path / "e.csv", "--features", tmp_path / "x.npy"], ["--labels", tmp_path / "y.csv"]


def test_generator_of_an_own_graph_is_trained_without_labels_and_used_again(own, tmp_path, graphkit):
    graph, labels = own
    out = tmp_path / "g.safetensors"
    code, text, err = graphkit(
        *ALONE,
        *graph,
        *SMALL,
        "--select",
        "heldout",
        "--held-out",
        0.3,
        "--select-warmup",
        0,
        "--out",
        out,
        "--json",
    )
    assert code == 0, err
    found = json.loads(text)
    assert found["pairs"] + found["held_out_pairs"] == 48 and found["steps"] == 12 and 1 <= found["kept_step"] <= 12
    assert found["held_out_loss"] == pytest.approx(-found["score"], rel=1e-5)
    with safe_open(str(out), "pt") as file:
        words = json.loads(file.metadata()["about"])
        assert json.loads(file.metadata()["model"])["features"] == 5
    assert words["options"]["select"] == "heldout" and words["seed"] == 0
    code, text, err = graphkit(
        "train",
        "lagnn",
        *graph,
        *labels,
        "--generator",
        out,
        *SIZES,
        "--epochs",
        2,
        "--out",
        tmp_path / "run",
        "--json",
    )
    assert code == 0, err
    assert json.loads(text)["config"]["generator"] == str(out)
    run = load_file(tmp_path / "run" / "model.safetensors")
    assert all((value == run[f"generator.{key}"]).all() for key, value in load_file(out).items()) and "draw" in run


def test_same_seed_same_generator_and_a_table_on_stdout(own, tmp_path, graphkit):
    graph, _ = own
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, seed in zip(paths, (1, 1, 2)):
        code, text, err = graphkit(*ALONE, *graph, *SMALL, "--select", "none", "--seed", seed, "--out", path)
        assert code == 0, err
    assert text.splitlines()[0].split() == ["what", "value"] and str(paths[2]) in text
    first, second, third = (load_file(path) for path in paths)
    assert all((value == second[key]).all() for key, value in first.items())
    assert not (first["encoder.weight"] == third["encoder.weight"]).all()


def test_tuning_keeps_one_of_its_trials(own, tmp_path, graphkit):
    graph, labels = own
    code, text, err = graphkit(
        *ALONE,
        *graph,
        *labels,
        *SMALL,
        "--select",
        "none",
        "--tune",
        2,
        "--tune-runs",
        1,
        "--out",
        tmp_path / "g",
        "--json",
    )
    assert code == 0, err
    assert 0 <= json.loads(text)["tuning_accuracy"] <= 1
    assert sum("trial" in line for line in err.splitlines()) == 2


def test_mistakes_are_one_line(own, tmp_path, graphkit):
    graph, labels = own
    (tmp_path / "bad").write_bytes(b"nothing of the kind")

    def failed(code, *words):
        found, text, err = graphkit(*words)
        lines = [line for line in err.splitlines() if "error" in line]
        assert found == code and text == "" and len(lines) == 1 and "Traceback" not in err, err
        return lines[0]

    assert "graphkit augment is now: graphkit train lagnn --generator-only" in failed(2, "augment", "lagcn")
    assert "--tune: expected with --generator-only" in failed(2, "train", "lagnn", *graph, "--tune", 2)
    assert "--select u-score needs classes" in failed(2, *ALONE, *graph, *SMALL, "--out", tmp_path / "g")
    assert "expected a file" in failed(2, *ALONE, *graph, "--out", "-")
    train = ["train", "lagnn", *graph, *labels, *SIZES, "--epochs", "1", "--out"]
    assert "not a safetensors file" in failed(3, *train, tmp_path / "r1", "--generator", tmp_path / "bad")
    assert "no such file" in failed(3, *train, tmp_path / "r2", "--generator", tmp_path / "none")
