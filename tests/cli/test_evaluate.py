"""graphkit evaluate, as a user runs it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from graphkit import datasets
from graphkit.cli.evaluate import command
from graphkit.core.errors import DataError, UsageError
from graphkit.io import embeddings


def run(*arguments):
    result = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def vectors(tmp_path):
    """Vectors that tell the two clubs of the karate graph apart, one file per format."""
    dataset = datasets.load("karate")
    labels = dataset.labels.numpy()
    table = (np.random.default_rng(0).normal(size=(34, 4)) + 3 * labels[:, None]).astype(np.float32)
    return dataset, table, tmp_path


@pytest.mark.parametrize("name", ["v.npy", "v.npz", "v.parquet", "v.tsv", "v.txt"])
def test_formats_and_shuffled_rows_give_the_same_figures(vectors, name):
    dataset, table, folder = vectors
    embeddings.write(folder / "plain.npy", table)
    expected = json.loads(run("embedding", folder / "plain.npy", "--dataset", "karate", "--shuffles", 2, "--json"))
    order = np.arange(34) if name == "v.npy" else np.random.default_rng(1).permutation(34)
    embeddings.write(folder / name, table[order], None if name == "v.npy" else dataset.ids()[order])
    found = json.loads(run("embedding", folder / name, "--dataset", "karate", "--shuffles", 2, "--json"))
    assert found["metrics"] == expected["metrics"]
    assert found["protocol"] == "deepwalk"
    assert found["metrics"]["micro_f1@0.5"]["mean"] > 0.9


def test_clustering_and_table(vectors):
    _, table, folder = vectors
    embeddings.write(folder / "v.npy", table)
    assert "nmi" in run(
        "embedding", folder / "v.npy", "--dataset", "karate", "--protocol", "clustering", "--shuffles", 1
    )


def test_wrong_ids_end_in_one_line(vectors):
    dataset, table, folder = vectors
    ids = dataset.ids().astype(str)
    cases = {
        "no vector for node": (table[1:], ids[1:]),
        "which is no node": (np.concatenate([table, table[:1]]), [*ids, "stranger"]),
        "2 vectors for node": (np.concatenate([table, table[:1]]), [*ids, ids[0]]),
    }
    for message, (rows, names) in cases.items():
        embeddings.write(folder / "v.npz", rows, np.array(names))
        with pytest.raises(DataError, match=message):
            run("embedding", folder / "v.npz", "--dataset", "karate")
    embeddings.write(folder / "v.npy", table[:9])
    with pytest.raises(DataError, match="found 9 vectors, expected 34"):
        run("embedding", folder / "v.npy", "--dataset", "karate")


def test_wrong_options_end_in_one_line(vectors):
    _, table, folder = vectors
    embeddings.write(folder / "v.npy", table)
    for ratio in ("1.5", "a,b", "0"):
        with pytest.raises(UsageError, match="--train-ratio is"):
            run("embedding", folder / "v.npy", "--dataset", "karate", "--train-ratio", ratio)


def test_folds_and_the_choice_among_files(vectors):
    _, table, folder = vectors
    embeddings.write(folder / "good.npy", table)
    embeddings.write(folder / "noise.npy", np.random.default_rng(1).normal(size=(34, 4)).astype(np.float32))
    shared = ["--dataset", "karate", "--folds", 4, "--shuffles", 2, "--json"]
    alone = json.loads(run("embedding", folder / "good.npy", *shared))
    assert alone["protocol"] == "stratified-folds" and alone["folds"] == 4 and "train_ratio" not in alone
    assert len(alone["metrics"]["micro_f1"]["values"]) == 8 and alone["metrics"]["micro_f1"]["mean"] > 0.9
    found = json.loads(run("embedding", folder / "noise.npy", folder / "good.npy", *shared))
    assert found["files"] == [str(folder / "noise.npy"), str(folder / "good.npy")]
    assert len(found["chosen"]) == 8 and found["chosen"].count(str(folder / "good.npy")) >= 6


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--protocol", "clustering"], "found 2 files, expected one with --protocol clustering"),
        ([], "--train-ratio 0.1,0.5,0.9: found 3 shares, expected one, or --folds, with several files"),
        (["--folds", "35"], "--folds is 35, expected 2 to 34"),
    ],
)
def test_several_files_ask_for_one_kind_of_split(vectors, words, text):
    _, table, folder = vectors
    embeddings.write(folder / "v.npy", table)
    embeddings.write(folder / "w.npy", table)
    with pytest.raises(UsageError, match=text):
        run("embedding", folder / "v.npy", folder / "w.npy", "--dataset", "karate", *words)


def test_hidden_edges_round_trip(tmp_path):
    """What hide writes is the training graph that the link protocol of the same seed expects."""
    from graphkit.evaluation.hidden import hide_edges

    run("hide", "--dataset", "les-miserables", "--hide", 0.3, "--seed", 2, "-o", tmp_path / "train.tsv")
    dataset = hide_edges(datasets.load("les-miserables"), 0.3, 2)
    written = {frozenset(line.split("\t")[:2]) for line in (tmp_path / "train.tsv").read_text().splitlines()[1:]}
    names = dataset.ids().tolist()
    assert written == {frozenset((str(names[u]), str(names[v]))) for u, v in dataset.split.train.pos.tolist()}
    adjacency = np.zeros((dataset.num_nodes, dataset.num_nodes), np.float32)
    adjacency[tuple(ends.numpy() for ends in dataset.graph.edges())] = 1
    embeddings.write(tmp_path / "v.npz", adjacency @ adjacency, dataset.ids())
    found = json.loads(
        run(
            "embedding",
            tmp_path / "v.npz",
            "--dataset",
            "les-miserables",
            "--protocol",
            "link",
            "--hide",
            0.3,
            "--seed",
            2,
            "--operator",
            "dot",
            "--json",
        )
    )
    assert found["split"] == "connected-0.3"
    assert found["metrics"]["auc"]["mean"] > 0.8


@pytest.fixture
def split():
    return datasets.load("sbm:n=400,k=3", task="link", seed=0)


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_predictions_of_links(split, tmp_path):
    test = split.split.test
    rng = np.random.default_rng(0)
    scores = {"y_pred_pos": rng.random(len(test.pos)), "y_pred_neg": rng.random((len(test.neg), 1))}
    found = json.loads(run("predictions", save(tmp_path / "s.npz", **scores), "--dataset", "sbm:n=400,k=3", "--json"))
    assert found["metric"] == split.metric
    assert next(iter(found["metrics"])) == split.metric
    assert len(found["negatives_sha256"]) == 64
    assert split.metric in run("predictions", tmp_path / "s.npz", "--dataset", "sbm:n=400,k=3")


def test_predictions_of_ones_own_split(tmp_path):
    """The split of a file: two held-out edges against two pairs that the file calls no edges."""
    rows = ["a,b,train,1", "b,c,train,1", "c,d,train,1", "a,c,valid,1", "b,e,valid,0"]
    rows += ["b,d,test,1", "a,d,test,1", "a,e,test,0", "d,e,test,0"]
    (tmp_path / "my.csv").write_text("src,dst\na,b\nb,c\nc,d\na,c\nb,d\na,d\nc,e\n")
    (tmp_path / "parts.csv").write_text("\n".join(["src,dst,part,label", *rows]) + "\n")
    scores = save(tmp_path / "s.npz", y_pred_pos=np.array([0.9, 0.2]), y_pred_neg=np.array([0.5, 0.1]))
    found = json.loads(
        run("predictions", scores, "--edges", tmp_path / "my.csv", "--splits", tmp_path / "parts.csv", "--json")
    )
    assert found["metrics"]["auc"] == 0.75  # of the four pairs of a positive and a negative one is in the wrong order


def test_wrong_predictions_end_in_one_line(split, tmp_path):
    pos, neg = np.zeros(len(split.split.test.pos)), np.zeros(len(split.split.test.neg))
    nan = neg.copy()
    nan[3] = np.nan
    cases = {
        r"y_pred_neg\[3\] is NaN": {"y_pred_pos": pos, "y_pred_neg": nan},
        r"y_pred_pos has shape": {"y_pred_pos": pos[1:], "y_pred_neg": neg},
        r"y_pred_neg has shape": {"y_pred_pos": pos, "y_pred_neg": neg[1:]},
        r"expected numbers": {"y_pred_pos": pos.astype(str), "y_pred_neg": neg},
        r"expected y_pred_pos and y_pred_neg, or": {"scores": pos},
        r"holds Python objects": {"y_pred_pos": np.array([{}, {}], dtype=object), "y_pred_neg": neg},
    }
    for message, arrays in cases.items():
        with pytest.raises(DataError, match=message):
            run("predictions", save(tmp_path / "s.npz", **arrays), "--dataset", "sbm:n=400,k=3")
    (tmp_path / "rubbish.npz").write_bytes(b"PK\x03\x04 and then nothing")
    np.save(tmp_path / "one.npy", pos)
    whole = (tmp_path / "s.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    for name in ("rubbish.npz", "one.npy", "cut.npz", "absent.npz"):
        with pytest.raises(DataError, match=name):
            run("predictions", tmp_path / name, "--dataset", "sbm:n=400,k=3")


def test_predictions_of_nodes_are_held_against_the_labels(tmp_path):
    data = datasets.load("sbm:n=400,k=3", task="node", seed=0)
    truth = data.labels.numpy()[data.split.valid]
    scores = np.eye(3)[truth]
    arguments = ("--dataset", "sbm:n=400,k=3", "--split", "valid", "--json")
    found = json.loads(run("predictions", save(tmp_path / "n.npz", y_true=truth, y_pred=scores), *arguments))
    assert found["metrics"]["accuracy"] == 1.0
    wrong = truth.copy()
    wrong[5] = (wrong[5] + 1) % 3
    with pytest.raises(DataError, match=r"y_true\[5\] is"):
        run("predictions", save(tmp_path / "n.npz", y_true=wrong, y_pred=scores), *arguments)
    with pytest.raises(DataError, match="y_pred has shape"):
        run("predictions", save(tmp_path / "n.npz", y_true=truth, y_pred=scores[1:]), *arguments)
