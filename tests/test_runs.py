"""Run folders: content, comparison, restoring; a run is what its files say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import ttest_rel

from graphkit import datasets
from graphkit.core import registry
from graphkit.core.errors import DataError, UsageError
from graphkit.runs import execution as runs
from graphkit.runs import folder as run_folder


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """ncn and a plain GCN on a small graph, three seeds each."""
    folder = tmp_path_factory.mktemp("runs")
    dataset = datasets.load("les-miserables", task="link")
    for name in ("ncn", "gcn-link"):
        config = registry.resolve_config(name, None, {"epochs": 3, "hidden_dim": 16, "batch_size": 32})
        runs.execute(name, dataset, config, seeds=[0, 1, 2], out=folder / name, save_predictions=True)
    return folder


def test_result_has_the_fields_of_the_design(two_runs):
    result = json.loads((two_runs / "ncn" / "result.json").read_text())
    expected = {
        "method",
        "dataset",
        "metric",
        "seeds",
        "valid",
        "test",
        "metrics",
        "seconds",
        "peak_rss_mb",
        "parameters",
        "config",
        "versions",
        "command",
        "dataset_version",
        "dataset_checksum",
    }
    assert expected <= set(result)
    for values in result["metrics"].values():
        for part in ("valid", "test"):
            assert len(values[part]["values"]) == 3
            assert values[part]["mean"] == pytest.approx(np.mean(values[part]["values"]))
            assert values[part]["std"] == pytest.approx(np.std(values[part]["values"], ddof=1))


def test_best_epoch_is_the_first_best_of_the_log(two_runs):
    result = json.loads((two_runs / "ncn" / "result.json").read_text())
    log = [json.loads(line) for line in (two_runs / "ncn" / "metrics.jsonl").read_text().splitlines()]
    for place, seed in enumerate(result["seeds"]):
        lines = [line for line in log if line["seed"] == seed]
        for metric, values in result["metrics"].items():
            best = max(lines, key=lambda line: line["valid"][metric])  # max returns the first of equals
            assert values["valid"]["values"][place] == best["valid"][metric]
            assert values["test"]["values"][place] == best["test"][metric]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_restored_model_gives_the_stored_predictions(two_runs, seed):
    import torch

    learner, _ = runs.load_run(two_runs / "ncn").restore(seed)
    stored = np.load(two_runs / "ncn" / f"seed-{seed}" / "predictions.npz")
    with torch.no_grad():
        scores = learner.predict("test")
    for name in ("y_pred_pos", "y_pred_neg"):
        np.testing.assert_allclose(scores[name].numpy(), stored[name], rtol=1e-5, atol=1e-6)


def test_restore_picks_the_best_seed_and_refuses_others(two_runs):
    run = runs.load_run(two_runs / "ncn")
    _, dataset = run.restore()
    assert dataset.seed == run.result["seeds"][int(np.argmax(run.result["valid"]["values"]))]
    with pytest.raises(UsageError, match="seeds 0, 1, 2"):
        run.restore(9)


def test_compare_is_the_paired_t_test(two_runs):
    from graphkit.cli.runs import command

    done = CliRunner().invoke(command, ["compare", str(two_runs / "ncn"), str(two_runs / "gcn-link"), "--json"])
    assert done.exit_code == 0, done.output
    tests = [json.loads((two_runs / name / "result.json").read_text())["metrics"] for name in ("ncn", "gcn-link")]
    for row in json.loads(done.output):
        a, b = (np.array(metrics[row["metric"]]["test"]["values"]) for metrics in tests)
        assert row["difference"] == pytest.approx((a - b).mean())
        if np.ptp(a - b) > 0:
            assert row["p"] == pytest.approx(ttest_rel(a, b).pvalue)


def test_not_a_run_and_damaged_runs(tmp_path, two_runs):
    with pytest.raises(DataError, match="not a run folder"):
        runs.load_run(tmp_path)
    (tmp_path / "config.yaml").write_text("method: ncn\n")
    with pytest.raises(DataError, match="has no dataset"):
        runs.load_run(tmp_path)
    (tmp_path / "config.yaml").write_text((two_runs / "ncn" / "config.yaml").read_text())
    with pytest.raises(DataError, match="not finished"):
        runs.load_run(tmp_path).restore()
    (tmp_path / "result.json").write_text((two_runs / "ncn" / "result.json").read_text())
    with pytest.raises(DataError, match="model is missing"):
        runs.load_run(tmp_path).restore()
    (tmp_path / "seed-0").mkdir()
    (tmp_path / "seed-0" / "model.safetensors").write_bytes(b"rubbish")
    with pytest.raises(DataError, match="not a safetensors file"):
        runs.load_run(tmp_path).restore(0)


def test_a_broken_run_does_not_hide_the_others(tmp_path, two_runs, caplog):
    from graphkit.cli.runs import command

    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text((two_runs / "ncn" / "config.yaml").read_text())
    (tmp_path / "bad" / "result.json").write_text("{")
    done = CliRunner().invoke(command, ["list", str(tmp_path), "--json"], catch_exceptions=False)
    assert [row["path"] for row in json.loads(done.stdout)] == [str(tmp_path / "good")]
    assert "bad/result.json: not JSON" in caplog.text
    with pytest.raises(DataError, match="not JSON"):
        CliRunner().invoke(command, ["list", str(tmp_path / "bad")], catch_exceptions=False)


def test_runs_of_embedders_are_shown_and_not_compared(tmp_path, two_runs):
    from graphkit.cli.main import graphkit as main
    from graphkit.cli.runs import command

    words = [
        "embed",
        "--method",
        "fastrp",
        "--dim",
        "4",
        "--weights",
        "1",
        "--dataset",
        "karate",
        "--out",
        str(tmp_path / "e"),
    ]
    assert CliRunner().invoke(main, words, catch_exceptions=False).exit_code == 0
    shown = CliRunner().invoke(command, ["show", str(tmp_path / "e")], catch_exceptions=False).stdout.splitlines()
    assert ["dim", "4"] in [line.split() for line in shown] and ["nodes", "34"] in [line.split() for line in shown]
    assert str(tmp_path / "e") in CliRunner().invoke(command, ["list", str(tmp_path)], catch_exceptions=False).stdout
    with pytest.raises(UsageError, match="without metrics"):
        CliRunner().invoke(command, ["compare", str(tmp_path / "e"), str(two_runs / "ncn")], catch_exceptions=False)


@pytest.mark.parametrize(
    "text, message",
    [
        ("[]", "result.json: found list, expected a mapping"),
        ("{}", "result.json: method, dataset, .*expected the result of a run"),
        ('{"dim": 3}', "expected the result of a run"),
    ],
)
def test_a_result_that_is_none(tmp_path, two_runs, text, message):
    from graphkit.cli.runs import command

    (tmp_path / "config.yaml").write_text((two_runs / "ncn" / "config.yaml").read_text())
    (tmp_path / "result.json").write_text(text)
    for words in (["show", str(tmp_path)], ["list", str(tmp_path)]):
        with pytest.raises(DataError, match=message):
            CliRunner().invoke(command, words, catch_exceptions=False)


@pytest.mark.parametrize(
    "line", ["seeds: 3", "seeds: []", "seeds: [a]", "config: 5", "data: [1]", "method: [ncn]", "dataset:"]
)
def test_settings_of_another_kind(tmp_path, two_runs, line):
    from graphkit.cli.runs import command

    settings = run_folder.read_yaml(two_runs / "ncn" / "config.yaml")
    (tmp_path / "config.yaml").write_text(
        json.dumps({key: value for key, value in settings.items() if key != line.split(":")[0]})[:-1]
        + f", {line.replace(':', ': ', 1)}"
        + "}"
    )
    with pytest.raises(DataError, match=f"config.yaml: {line.split(':')[0]} is"):
        CliRunner().invoke(command, ["list", str(tmp_path)], catch_exceptions=False)


def resumed(folder, files, epochs=2):
    """Resume an unfinished run of ncn whose folder holds these files, each bytes or what torch is to save."""
    import torch

    dataset = datasets.load("les-miserables", task="link")
    config = registry.resolve_config("ncn", None, {"epochs": epochs, "hidden_dim": 16, "batch_size": 32})
    runs.execute("ncn", dataset, config, out=folder)
    if "result.json" not in files:
        (folder / "result.json").unlink()
    for name, content in files.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        elif content is None:
            (folder / name).unlink()
        else:
            torch.save(content, folder / name)
    return runs.execute("ncn", dataset, config, out=folder, resume=True)


def test_resume_takes_a_missing_log_for_an_empty_one(tmp_path):
    assert resumed(tmp_path, {"metrics.jsonl": None})["seeds"] == [0]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


STATE = {"torch": None}


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("partial.json", b"[]", "partial.json: expected a mapping"),
        ("partial.json", b'{"0": 1}', "partial.json: expected a mapping"),
        ("result.json", b"[]", "result.json: found list"),
        ("checkpoint.pt", {"foreign": 1}, "checkpoint.pt: not a checkpoint of graphkit: its seed"),
        ("checkpoint.pt", {"seed": 0, "progress": {}, "random": STATE, "learner": {}}, "its progress is missing"),
        (
            "checkpoint.pt",
            {"seed": 0, "progress": {"epoch": 1}, "random": STATE, "learner": {}},
            "not a checkpoint of this run: 'model'",
        ),
        (
            "checkpoint.pt",
            {"seed": 0, "progress": {"epoch": 1}, "random": STATE, "learner": {"model": {}, "optimizers": []}},
            "Missing key",
        ),
        (
            "checkpoint.pt",
            {"seed": 0, "progress": {"epoch": 1, "x": 2}, "random": STATE, "learner": {}},
            "not a checkpoint of this run",
        ),
    ],
)
def test_resume_from_a_broken_folder(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        resumed(tmp_path, {name: content})


def test_runs_of_different_protocols_are_not_compared(tmp_path, two_runs):
    from graphkit.cli.runs import command

    result = json.loads((two_runs / "ncn" / "result.json").read_text())
    (tmp_path / "config.yaml").write_text((two_runs / "ncn" / "config.yaml").read_text())
    (tmp_path / "result.json").write_text(
        json.dumps({**result, "protocol": "heart-existing", "split": "heart-existing"})
    )
    with pytest.raises(UsageError, match=f"differ in protocol: found '{result['protocol']}' and 'heart-existing'"):
        CliRunner().invoke(command, ["compare", str(two_runs / "ncn"), str(tmp_path)], catch_exceptions=False)


def test_a_refused_run_does_not_block_the_corrected_one(tmp_path):
    dataset = datasets.load("karate", task="node", split="random-0.4/0.3/0.3", seed=0)
    out = tmp_path / "run"
    with pytest.raises(UsageError, match="--heads is 5"):
        runs.execute(
            "gat", dataset, registry.resolve_config("gat", None, {"heads": 5, "hidden_dim": 8, "epochs": 1}), out=out
        )
    assert not out.exists()
    result = runs.execute(
        "gat", dataset, registry.resolve_config("gat", None, {"heads": 2, "hidden_dim": 8, "epochs": 1}), out=out
    )
    assert result["method"] == "gat" and (out / "config.yaml").exists()
