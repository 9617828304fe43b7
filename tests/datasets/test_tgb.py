"""TGB's link sets: small folders in its layout, against loops over the rows and py-tgb's own evaluator."""

import csv
import pickle
import sys
import zipfile

import numpy as np
import pytest
import torch

from graphkit import datasets
from graphkit.core import registry
from graphkit.core.errors import DataError, MissingExtraError
from graphkit.datasets import catalogue
from graphkit.datasets.sources import fetch, folders
from graphkit.evaluation import metrics, predictions, protocols, temporal
from graphkit.training import fit

RNG = np.random.default_rng(0)
EVENTS = 300
SRC, DST, TIME = RNG.integers(0, 12, EVENTS), RNG.integers(0, 9, EVENTS), RNG.integers(0, 150, EVENTS)
SRC[0], DST[0] = 11, 8  # the highest of each appear
FEAT = RNG.integers(0, 5, (EVENTS, 3)) / 4
AMOUNT = RNG.integers(0, 9, EVENTS)
ORDER = sorted(range(EVENTS), key=lambda k: TIME[k])  # stable
EDGES = {
    "tgbl-wiki": "tgbl-wiki_edgelist_v2.csv",
    "tgbl-coin": "tgbl-coin_edgelist_v2.csv",
    "tgbl-comment": "tgbl-comment_edgelist.csv",
    "tgbl-flight": "tgbl-flight_edgelist_v2.csv",
}


def names_of_rows():
    return [(f"0x{u:03d}", f"0x{v + 50:03d}") for u, v in zip(SRC, DST)]


def numbered():
    """The nodes of each row, numbered as their names appear, and the numbers."""
    numbers, pairs = {}, []
    for pair in names_of_rows():
        pairs.append(tuple(numbers.setdefault(name, len(numbers)) for name in pair))
    return pairs, numbers


ROWS = {"tgbl-wiki": [(int(u), int(v) + 12) for u, v in zip(SRC, DST)], "other": numbered()[0]}


def write_edges(folder, name):
    bodies = {
        "tgbl-wiki": [[u, v, f"{t}.0", 0, *feat] for u, v, t, feat in zip(SRC, DST, TIME, FEAT)],
        "tgbl-coin": [[t, u, v, f"{w}.0"] for (u, v), t, w in zip(names_of_rows(), TIME, AMOUNT)],
        "tgbl-comment": [[t, u, v, 10 * w, w] for (u, v), t, w in zip(names_of_rows(), TIME, AMOUNT)],
        "tgbl-flight": [[t, u, v, "AB12", "b737"] for (u, v), t in zip(names_of_rows(), TIME)],
    }
    with open(folder / EDGES[name], "w", newline="") as file:
        csv.writer(file).writerows([["header"] * 5, *bodies[name]])


def parts():
    """Positions in order of time of the validation and the test events."""
    low, high = np.quantile(TIME, [1 - 0.15 - 0.15, 1 - 0.15])
    return {
        "val": [p for p, k in enumerate(ORDER) if low < TIME[k] <= high],
        "test": [p for p, k in enumerate(ORDER) if TIME[k] > high],
    }


def negatives_of(rows, part, rng):
    """As TGB's generator makes them: keys of NumPy numbers, arrays of different lengths, of floats where there was no
    history.
    """
    found = {}
    for p in parts()[part]:
        (u, v), t = rows[ORDER[p]], TIME[ORDER[p]]
        array = rng.choice(sorted({b for _, b in rows} - {v}), rng.integers(1, 6), replace=False)
        found[np.int64(u), np.int64(v), np.int64(t)] = array.astype(np.float64) if rng.random() < 0.5 else array
    return found


@pytest.fixture
def make(tmp_path, monkeypatch):
    pytest.importorskip("tgb.utils.pre_process", reason="needs the extra tgb")
    monkeypatch.setenv("GRAPHKIT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def write(name, below=""):
        folder = tmp_path / "data" / below / name.replace("-", "_")
        folder.mkdir(parents=True)
        write_edges(folder, name)
        rows, rng = ROWS.get(name, ROWS["other"]), np.random.default_rng(1)
        given = {part: negatives_of(rows, part, rng) for part in ("val", "test")}
        for part, value in given.items():
            place(folder, name, part).write_bytes(pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))
        return folder, rows, given

    return write


def place(folder, name, part):
    return folder / EDGES[name].replace("edgelist", f"{part}_ns").replace(".csv", ".pkl")


@pytest.mark.parametrize("name", ["tgbl-wiki", "tgbl-coin", "tgbl-comment"])
def test_events_split_and_negatives_against_loops(make, name, capfd):
    _, rows, given = make(name)
    dataset = datasets.load(name, task="events")
    events, split = dataset.events, dataset.split
    assert list(zip(events.src.tolist(), events.dst.tolist(), events.time.tolist())) == [
        (*rows[k], TIME[k]) for k in ORDER
    ]
    assert (
        dataset.num_nodes == max(map(max, rows)) + 1
        and dataset.source.version == f"TGB v{2 - (name == 'tgbl-comment')}"
    )
    amount = np.where(AMOUNT == 0, 1, AMOUNT)
    weight = {"tgbl-wiki": None, "tgbl-coin": np.log2(amount), "tgbl-comment": AMOUNT}[name]
    feat = {
        "tgbl-wiki": FEAT,
        "tgbl-coin": np.log2(amount)[:, None],
        "tgbl-comment": np.stack([AMOUNT / 500, AMOUNT / 500, AMOUNT], 1),
    }[name]
    assert events.feat.dtype == np.float32 and events.feat == pytest.approx(feat[ORDER], rel=1e-6)
    assert events.weight is None if weight is None else events.weight == pytest.approx(weight[ORDER])
    own = parts()
    assert [split.train.tolist(), split.valid.tolist(), split.test.tolist()] == [
        [*range(own["val"][0])],
        own["val"],
        own["test"],
    ]
    assert len(split.masked) == 0 and split.before == own["test"][0]
    for part, found in (("val", split.valid_neg), ("test", split.test_neg)):
        assert found.dtype == np.int64 and found.shape == (len(own[part]), max(map(len, given[part].values())))
        for p, row in zip(own[part], found.tolist()):
            wanted = [int(v) for v in given[part][(*rows[ORDER[p]], TIME[ORDER[p]])]]
            assert row == wanted + [-1] * (len(row) - len(wanted))
    assert (split.test_neg == -1).any() and capfd.readouterr() == ("", "")


def test_default_protocol_metric_and_the_drawn_splits(make):
    make("tgbl-wiki", below="tgb")
    dataset = datasets.load("tgbl-wiki", task="events", seed=3)
    assert (dataset.split_name, dataset.metric, dataset.for_seed(5)) == ("tgb", "mrr", dataset)
    assert protocols.of_dataset(dataset).id == "tgb-links"
    drawn = datasets.load("tgbl-wiki", task="events", split="chrono-0.7/0.15/0.15")
    assert drawn.metric == "ap" and drawn.split.test_neg.shape == drawn.split.test.shape
    for part in ("train", "valid", "test"):
        assert (getattr(drawn.split, part) == getattr(dataset.split, part)).all()
    assert drawn.checksum() != dataset.checksum()
    assert datasets.load("tgbl-wiki", task="events", split="inductive-0.7/0.15/0.15").metric == "ap"
    with pytest.raises(DataError, match="unknown split of events 'tgbb'; did you mean 'tgb'"):
        datasets.load("tgbl-wiki", task="events", split="tgbb")


def test_flights_have_features_of_airports(make):
    folder, rows, _ = make("tgbl-flight")
    _, numbers = numbered()
    # The last airport is not in any flight; one-hot kind (5) and continent (6), 7 letters of the region, longitude,
    # latitude.
    names = [*sorted(numbers), "0x999"]
    table = [[name, f"kind{k % 5}", f"part{k % 6}", "us-1", k / 2, -k / 4] for k, name in enumerate(names)]
    with open(folder / "airport_node_feat_v2.csv", "w", newline="") as file:
        csv.writer(file).writerows([["header"] * 6, *table])
    dataset = datasets.load("tgbl-flight", task="events")
    feat = dataset.graph.ndata["feat"]
    assert (
        feat.shape == (len(numbers), 20) and dataset.events.feat.shape == (EVENTS, 16) and dataset.events.weight is None
    )
    for k, name in enumerate(sorted(numbers)):
        row = feat[numbers[name]]
        assert (
            row[[k % 5, 5 + k % 6]].tolist() == [1, 1] and row[:11].sum() == 2 and row[18:].tolist() == [k / 2, -k / 4]
        )
    assert dataset.events.src.tolist() == [rows[k][0] for k in ORDER]
    (folder / "airport_node_feat_v2.csv").unlink()
    with pytest.raises(
        DataError, match=r"airport_node_feat_v2\.csv: not found, .*there is tgbl-flight_edgelist_v2\.csv"
    ):
        datasets.load("tgbl-flight")


class Harm:
    def __reduce__(self):
        return print, ("harm",)


def without_first(given):
    return dict(list(given.items())[1:])


def replaced(value):
    return lambda given: {**given, next(iter(given)): value}


@pytest.mark.parametrize(
    "change, message",
    [
        (
            without_first,
            r"found no negatives of the event \(\d+, \d+, \d+\) among \d+, expected some for every event judged",
        ),
        (replaced(np.array([3, 21])), r"found the destination 21, expected nodes 0\.\.20"),
        (replaced(np.array([-1])), "found the destination -1"),
        (replaced(np.array([1.5])), "found the destination 1.5"),
        (replaced(np.array([np.nan])), "found the destination nan"),
        (replaced(np.array([], dtype=int)), "found an event without negatives"),
        (replaced(["x"]), "found destinations that are no numbers"),
        (replaced(Harm()), "builtins.print is refused"),
        (lambda given: list(given), "found a list, expected a dict"),
    ],
)
def test_wrong_negatives_are_named(make, change, message, capfd):
    folder, _, given = make("tgbl-wiki")
    path = place(folder, "tgbl-wiki", "test")
    path.write_bytes(pickle.dumps(change(given["test"]), protocol=5))
    with pytest.raises(DataError, match=rf"tgbl-wiki_test_ns_v2\.pkl: .*{message}"):
        datasets.load("tgbl-wiki", task="events")
    assert capfd.readouterr().out == ""


def test_missing_files_are_named_with_what_is_there(make):
    folder, _, _ = make("tgbl-wiki")
    place(folder, "tgbl-wiki", "val").unlink()
    with pytest.raises(DataError, match=r"val_ns_v2\.pkl: not found, .*there is tgbl-wiki_test_ns_v2\.pkl"):
        datasets.load("tgbl-wiki", task="events")
    assert datasets.load("tgbl-wiki").split is None  # only the split needs the negatives
    (folder / EDGES["tgbl-wiki"]).rename(folder / "tgbl-wiki_edgelist.csv")
    with pytest.raises(DataError, match=r"edgelist_v2\.csv: not found, .*there is tgbl-wiki_edgelist\.csv"):
        datasets.load("tgbl-wiki")
    with pytest.raises(DataError, match="tgbl_coin not found; .*graphkit data fetch tgbl-coin"):
        datasets.load("tgbl-coin")


@pytest.mark.parametrize(
    "line, message",
    [
        ("1,2", "cannot be read as a TGB csv file"),
        ("1,2,nan,0,1,1,1", "a time that is NaN"),
        ("1.5,2,9,0,1,1,1", "a node that is no number from 0"),
        ("1,2,9,0,inf,1,1", "a weight or feature that is NaN or infinite"),
        ("1,2,9,0,1,1e60,1", r"the feature 1e\+60, expected numbers within float32"),
    ],
)
def test_a_damaged_table_is_named(make, line, message):
    folder, _, _ = make("tgbl-wiki")
    (folder / EDGES["tgbl-wiki"]).write_text(f"header\n{line}\n")
    with pytest.raises(DataError, match=rf"tgbl-wiki_edgelist_v2\.csv: .*{message}"):
        datasets.load("tgbl-wiki")


@pytest.mark.parametrize("top", ["", "tgbl-wiki/"])
def test_fetch_unpacks_a_zip_with_and_without_a_folder(make, top):
    folder, _, _ = make("tgbl-wiki")
    own = folders.cache_folder() / "tgbl_wiki.zip"  # what somebody without a network put there
    own.parent.mkdir(parents=True)
    with zipfile.ZipFile(own, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"{top}{path.name}")
            path.unlink()
    folder.rmdir()
    assert fetch.fetch("tgbl-wiki") == [folders.cache_folder() / "tgbl_wiki"]
    assert len(datasets.load("tgbl-wiki", task="events").events) == EVENTS


def test_a_zip_without_the_edges_is_refused(make):
    make("tgbl-coin")
    own = folders.cache_folder() / "tgbl_wiki.zip"
    own.parent.mkdir(parents=True)
    with zipfile.ZipFile(own, "w") as archive:
        archive.writestr("tgbl-wiki_edgelist.csv", "1")
    with pytest.raises(DataError, match=r"found tgbl-wiki_edgelist\.csv, expected tgbl-wiki_edgelist_v2\.csv in it"):
        fetch.fetch("tgbl-wiki")
    assert [path.name for path in own.parent.iterdir()] == [own.name]


def test_without_the_extra_one_line_says_what_to_install(monkeypatch):
    for module in ("tgb", "tgb.utils", "tgb.utils.info"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"data set 'tgbl-wiki' needs py-tgb, .*pip install 'graphkit\[tgb\]'"):
        datasets.load("tgbl-wiki")


def test_the_catalogue_agrees_with_tgbs_own_table():
    info = pytest.importorskip("tgb.utils.info", reason="needs the extra tgb")
    own = {name: entry.tasks for name, entry in catalogue.entries().items() if name.startswith("tgb")}
    assert own == {
        name: {"events": {"split": "tgb", "metric": metric}}
        for name, metric in info.DATA_EVAL_METRIC_DICT.items()
        if name.startswith("tgbl")
    }


def test_ranks_against_given_negatives_agree_with_tgb_and_with_brute_force():
    generator = torch.Generator().manual_seed(0)
    positive = torch.randint(0, 9, (200,), generator=generator) / 9  # with many ties
    negative = torch.randint(0, 9, (200, 20), generator=generator) / 9
    negative[::3, 7:] = -torch.inf  # pads
    found = temporal.event_metrics(positive, negative)
    ranks = []
    for own, others in zip(positive.tolist(), negative.tolist()):
        ranks.append(1 + sum(o > own for o in others) + sum(o == own for o in others) / 2)
    assert found["mrr"] == pytest.approx(np.mean([1 / rank for rank in ranks]))
    assert found["hits@10"] == pytest.approx(np.mean([rank <= 10 for rank in ranks]))
    first = temporal.event_metrics(positive, negative[:, 0])
    assert (found["ap"], found["auc"]) == (first["ap"], first["auc"])
    evaluator = pytest.importorskip("tgb.linkproppred.evaluate", reason="needs the extra tgb").Evaluator("tgbl-wiki")
    official = evaluator.eval({"y_pred_pos": positive, "y_pred_neg": negative, "eval_metric": ["mrr"]})
    assert found["mrr"] == pytest.approx(float(official["mrr"]), rel=1e-5)
    assert found["hits@10"] == pytest.approx(float(official["hits@10"]), rel=1e-5)


def test_edgebank_is_ranked_as_a_dictionary_says(make):
    _, rows, given = make("tgbl-wiki")
    found = fit(registry.method("edgebank")(batch_size=1), datasets.load("tgbl-wiki", task="events"))
    ranks = []
    for p in parts()["test"]:
        (u, v), t = rows[ORDER[p]], TIME[ORDER[p]]
        past = {rows[k] for k in ORDER[:p]}
        own, others = (u, v) in past, [(u, int(w)) in past for w in given["test"][u, v, t]]
        ranks.append(1 + (sum(other > own for other in others) + sum(other >= own for other in others)) / 2)
    assert found.best["mrr"]["test"] == pytest.approx(np.mean(1 / np.array(ranks)))


@pytest.mark.parametrize("method", ["nat", "tgn", "tgat", "jodie"])
def test_learners_are_trained_and_judged_by_given_negatives(make, method):
    make("tgbl-wiki")
    dataset = datasets.load("tgbl-wiki", task="events")
    found = fit(registry.method(method)(epochs=1), dataset)
    assert 0 < found.best["mrr"]["test"] <= 1 and {"mrr", "hits@10", "ap", "auc"} <= set(found.best)


def test_saved_scores_are_evaluated_again(make, tmp_path):
    make("tgbl-wiki")
    dataset = datasets.load("tgbl-wiki", task="events")
    missing, rng = dataset.split.test_neg < 0, np.random.default_rng(0)
    assert missing.any()
    scores = {"y_pred_pos": rng.random(len(missing)), "y_pred_neg": rng.random(missing.shape)}
    expected = temporal.event_metrics(
        *(torch.from_numpy(one) for one in (scores["y_pred_pos"], np.where(missing, -np.inf, scores["y_pred_neg"])))
    )
    scores["y_pred_neg"][dataset.split.test_neg < 0] = np.nan
    predictions.check(
        "scores.npz", scores, dataset, "test"
    )  # what stands in the place of a missing negative does not count
    assert metrics.evaluate(dataset, scores, "test")["mrr"] == pytest.approx(expected["mrr"])
    with pytest.raises(
        DataError, match=r"y_pred_neg has shape \(43,\), expected \(43, 5\) for the test split of tgbl-wiki"
    ):
        predictions.check("scores.npz", {"y_pred_pos": np.zeros(43), "y_pred_neg": np.zeros(43)}, dataset, "test")
