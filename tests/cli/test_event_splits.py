"""Splits of events: what ``data split`` writes is read back as it was, and so are a user's own parts and negatives."""

import json

import numpy as np
import pytest

from graphkit import datasets
from graphkit.core.read_options import ReadOptions

RNG = np.random.default_rng(1)
ROWS = [
    (f"p{u}", f"q{v}", 1_700_000_000_000_000_000 + int(t))
    for u, v, t in zip(*RNG.integers(0, 15, (2, 400)), np.sort(RNG.integers(0, 300, 400)))
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.csv").write_text("src,dst,time\n" + "".join(f"{u},{v},{t}\n" for u, v, t in ROWS))
    return tmp_path


def split_of(splits=None, name=None):
    read = ReadOptions(splits=None if splits is None else str(splits))
    return datasets.load("my.csv", task="events", split=name, read=read)


SPLITS = [
    "chrono-0.7/0.15/0.15",
    "inductive-0.7/0.15/0.15",
    "inductive-judged-0.7/0.15/0.15",
    "chrono-historical-0.6/0.2/0.2",
    "chrono-inductive-0.6/0.2/0.2",
]


@pytest.mark.parametrize("name", SPLITS)
def test_what_is_written_is_read_back(folder, command, name):
    assert (
        command("data", "split", "my.csv", "--task", "events", "--split", name, "--negatives", "-o", "split.tsv")[0]
        == 0
    )
    wanted, found = split_of(name=name), split_of("split.tsv")
    assert (
        found.split_name == "file"
        and found.metric == "ap"
        and found.split.hides == wanted.split.hides == name.startswith("inductive")
    )
    for part in ("train", "valid", "test"):
        assert (getattr(found.split, part) == getattr(wanted.split, part)).all()
        assert (found.split.history(part) == wanted.split.history(part)).all() if part != "train" else True
    for part in ("valid", "test"):
        own = found.events.src[getattr(found.split, part)]  # where sources are the events' own they need not be kept
        for one, other in zip(found.split.negatives(part), wanted.split.negatives(part)):
            assert ((own if one is None else one) == (own if other is None else other)).all()


def test_a_run_on_the_file_scores_as_a_run_on_the_split(folder, command):
    name = "inductive-0.7/0.15/0.15"
    command("data", "split", "my.csv", "--task", "events", "--split", name, "--negatives", "-o", "split.tsv")
    options = ("train", "edgebank", "--edges", "my.csv", "--json", "-q")
    first = json.loads(command(*options, "--split", name, "--out", "a")[1])
    second = json.loads(command(*options, "--splits", "split.tsv", "--out", "b")[1])
    assert first["metrics"] == second["metrics"] and second["protocol"] == "own"
    (folder / "new.tsv").write_text(f"p1\tq2\t{ROWS[-1][2] + 1}\n")
    assert command("predict", "b", "--events", "new.tsv")[0] == 0  # the run knows its split


def events():
    return split_of().events, split_of().ids()


def test_own_negatives_without_numbers_of_events(folder):
    dataset = split_of()
    stream, ids, split = dataset.events, dataset.ids(), dataset.split
    alone = {}  # an event is known by its source and time where these are its own
    for k in range(len(stream)):
        alone.setdefault((stream.src[k], stream.time[k]), []).append(k)
    if any(len(own) > 1 for own in alone.values()):
        keep = sorted(own[0] for own in alone.values())
        rows = [(ids[stream.src[k]], ids[stream.dst[k]], stream.time[k]) for k in keep]
        (folder / "my.csv").write_text("src,dst,time\n" + "".join(f"{u},{v},{t}\n" for u, v, t in rows))
    dataset = split_of()
    stream, ids, split = dataset.events, dataset.ids(), dataset.split
    lines, wanted = ["src,dst,time,part"], {}
    for part in ("test", "valid"):  # in any order of lines
        for k in getattr(split, part)[::-1].tolist():
            count = 1 + k % 3
            wanted[part, k] = RNG.choice(dataset.num_nodes, count, replace=False).tolist()
            lines += [f"{ids[stream.src[k]]},{ids[v]},{stream.time[k]},{part}_neg" for v in wanted[part, k]]
    (folder / "negatives.csv").write_text("\n".join(lines) + "\n")
    found = split_of("negatives.csv")
    assert found.metric == "mrr" and (found.split.train == split.train).all()
    for part in ("valid", "test"):
        negatives, sources = found.split.negatives(part)
        assert sources is None
        for k, row in zip(getattr(found.split, part).tolist(), negatives.tolist()):
            assert [v for v in row if v >= 0] == wanted[part, k] and row[len(wanted[part, k]) :] == [-1] * (
                len(row) - len(wanted[part, k])
            )


def test_own_parts_without_negatives_draw_them(folder):
    dataset = split_of()
    stream, ids = dataset.events, dataset.ids()
    words = ["train"] * 200 + ["hidden"] * 10 + ["val"] * 90 + ["test"] * 100
    rows = [f"{ids[stream.src[k]]}\t{ids[stream.dst[k]]}\t{stream.time[k]}\t{words[k]}\n" for k in range(400)]
    (folder / "parts.tsv").write_text("".join(RNG.permutation(rows)))  # no header, any order
    split = split_of("parts.tsv").split
    # Rows that are alike are matched in the order of the file, so only what tells events apart is compared.
    for part, begin, end in (("train", 0, 200), ("valid", 210, 300), ("test", 300, 400)):
        found = getattr(split, part)
        for values in (stream.src, stream.dst, stream.time):
            assert sorted(values[found]) == sorted(values[begin:end])
    assert split.before == 300 and split.hides and split.valid_neg.shape == (90,) and split.test_neg.shape == (100,)


def lines_of(split, stream, ids, change=lambda row: row):
    rows = [
        [k, ids[stream.src[k]], ids[stream.dst[k]], stream.time[k], part]
        for part in ("train", "valid", "test")
        for k in getattr(split, part).tolist()
    ]
    return [["event", "src", "dst", "time", "part"], *rows]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda rows: rows[5].__setitem__(1, "p99"), "line 6: column 'src' 'p99' is not a node of the events"),
        (lambda rows: rows[5].__setitem__(0, 400), "line 6: event 400, expected 0..399"),
        (lambda rows: rows[5].__setitem__(0, "x"), "line 6: event 'x', expected the event's number"),
        (lambda rows: rows[5].__setitem__(3, 5), "line 6: does not fit event 4, which is"),
        (
            lambda rows: rows[5].__setitem__(4, "tset"),
            "line 6: part 'tset', expected train, valid, test, hidden, valid_neg or test_neg",
        ),
        (lambda rows: rows[5].__setitem__(4, "train_neg"), "line 6: part 'train_neg', expected train"),
        (lambda rows: rows.append(rows[5]), "line 402: event 4 is listed twice, expected one part an event"),
        (
            lambda rows: rows.pop(5),
            "event 4 is in no part, expected train, valid or hidden of every event before the test",
        ),
        (
            lambda rows: rows[5].__setitem__(4, "test"),
            "event 4 is of part test, but event 339 after it of train, valid or hidden",
        ),
        (
            lambda rows: [row.__setitem__(4, "train") for row in rows[1:] if row[4] == "valid"],
            "no event has the part valid",
        ),
        (
            lambda rows: rows.append([*rows[400][:4], "test_neg"]),
            "of the part valid has no negative, expected at least one",
        ),
        (
            lambda rows: rows.append([*rows[5][:4], "test_neg"]),
            "line 402: a negative of event 4, which is not of the part test",
        ),
        (
            lambda rows: rows[0].__setitem__(4, "which"),
            "has no column 'part', expected [event,] src, dst, time and part",
        ),
    ],
)
def test_one_line_says_what_is_wrong(folder, command, change, message):
    stream, ids = events()
    rows = lines_of(split_of().split, stream, ids)
    change(rows)
    (folder / "bad.tsv").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    code, _, err = command("train", "edgebank", "--edges", "my.csv", "--splits", "bad.tsv", "--out", "run", "-q")
    assert code == 3 and "bad.tsv" in err.splitlines()[-1] and message in err.splitlines()[-1], err


def test_two_splits_at_once_are_refused(folder, command):
    command("data", "split", "my.csv", "--task", "events", "-o", "split.tsv")
    code, _, err = command(
        "train", "edgebank", "--edges", "my.csv", "--splits", "split.tsv", "--split", SPLITS[0], "--out", "run"
    )
    assert code == 2 and "name two splits, expected one" in err
