"""Events: read in any order, sorted, cut by time; against loops over the rows."""

import gzip

import numpy as np
import pandas
import pytest

from graphkit import datasets
from graphkit.core.errors import DataError, UsageError
from graphkit.core.read_options import ReadOptions

RNG = np.random.default_rng(0)
ROWS = [(f"p{u}", f"p{v}", t / 4) for u, v, t in zip(*RNG.integers(0, 25, (2, 500)), RNG.integers(0, 300, 500))]


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("when,who,whom\n" + "".join(f"{t},{u},{v}\n" for u, v, t in ROWS))
    return path


def load(path, split=None, seed=0, **options):
    options = {"columns": "who,whom,when", **options}
    return datasets.load(str(path), task="events", split=split, seed=seed, read=ReadOptions(**options))


def test_events_come_in_order_of_time_and_then_of_the_file(own):
    dataset = load(own)
    ids, events = dataset.ids(), dataset.events
    found = list(zip(ids[events.src], ids[events.dst], events.time))
    assert found == sorted(ROWS, key=lambda row: row[2])  # a stable sort
    assert not events.bipartite and set(ids) == {end for row in ROWS for end in row[:2]}


def test_parts_are_cut_at_quantiles_of_time_and_equal_times_stay_together(own):
    split, events = load(own).split, load(own).events
    times = sorted(t for _, _, t in ROWS)
    low, high = np.quantile(times, [0.7, 0.85])
    part = [0 if t <= low else 1 if t <= high else 2 for t in events.time.tolist()]
    for number, name in enumerate(("train", "valid", "test")):
        assert getattr(split, name).tolist() == [k for k, own_part in enumerate(part) if own_part == number]
    assert split.before == part.index(2) and len(split.masked) == 0


def test_random_destinations_were_seen_and_are_the_same_for_every_seed(own):
    first, second = load(own), load(own, seed=5)
    events, split = first.events, first.split
    assert set(split.valid_neg) <= set(events.dst[: split.before]) and set(split.test_neg) <= set(events.dst)
    assert (split.test_neg == second.split.test_neg).all() and len(split.test_neg) == len(split.test)
    assert first.for_seed(3) is first


@pytest.mark.parametrize("seed", range(3))
def test_masked_nodes_neither_train_nor_validate_and_all_of_the_test_touches_them(own, seed):
    whole, dataset = load(own), load(own, split="inductive-0.7/0.15/0.15", seed=seed)
    events, split = dataset.events, dataset.split
    masked = set(split.masked.tolist())
    late = {end for k in range(len(whole.split.train), len(events)) for end in (events.src[k], events.dst[k])}
    assert len(masked) == dataset.num_nodes // 10 and masked <= late

    def touched(k):
        return events.src[k] in masked or events.dst[k] in masked

    assert split.train.tolist() == [k for k in whole.split.train if not touched(k)]
    assert split.valid.tolist() == [k for k in whole.split.valid if not touched(k)]
    assert split.test.tolist() == [k for k in whole.split.test if touched(k)]
    seen = set(events.dst[np.r_[split.train, split.valid, split.test]].tolist())
    assert set(split.test_neg) <= seen and set(split.valid_neg) <= set(
        events.dst[np.r_[split.train, split.valid]].tolist()
    )
    other = dataset.for_seed(seed + 1)
    assert set(other.split.masked.tolist()) != masked and other.checksum() != dataset.checksum()


def test_history_holds_what_may_be_known(own):
    split = load(own, split="inductive-0.7/0.15/0.15").split
    assert split.history("valid").tolist() == sorted({*split.train.tolist(), *split.valid.tolist()})
    assert split.history("test").tolist() == [*range(split.before), *split.test.tolist()]


def test_the_graph_is_that_of_the_pairs_with_their_first_times(own):
    dataset = load(own)
    place = {name: k for k, name in enumerate(dataset.ids())}
    first = {}
    for u, v, t in ROWS:
        if u != v:
            pair = frozenset((place[u], place[v]))
            first[pair] = min(t, first.get(pair, t))
    src, dst = (ends.tolist() for ends in dataset.graph.edges())
    found = {frozenset(pair): t for pair, t in zip(zip(src, dst), dataset.graph.edata["time"].tolist())}
    assert found == first and len(src) == 2 * len(first)


def test_text_without_header_parquet_and_numbers_of_columns_give_the_same(own, tmp_path):
    plain, packed = tmp_path / "plain.txt", tmp_path / "packed.parquet"
    plain.write_text("".join(f"{u} {v} {t}\n" for u, v, t in ROWS))
    pandas.DataFrame(ROWS, columns=["source", "target", "ts"]).to_parquet(packed)
    expected = load(own)
    for other in (load(plain, columns=None), load(packed, columns=None), load(own, columns="1,2,0")):
        for name in ("src", "dst", "time"):
            assert (getattr(other.events, name) == getattr(expected.events, name)).all()
        assert (other.ids() == expected.ids()).all()


def test_weights_labels_and_features_follow_the_order_of_time(tmp_path):
    path = tmp_path / "rich.csv"
    path.write_text(
        "a,b,t,w,l,f,g\n" + "".join(f"{k % 7},{7 + k % 5},{99 - k},{k / 8},{k % 2},{k},{-k}\n" for k in range(100))
    )
    events = load(path, columns="a,b,t,w,l,f,g").events
    k = 99 - events.time
    assert (events.weight == k / 8).all() and (events.label == k % 2).all() and events.bipartite
    assert events.feat.dtype == np.float32 and (events.feat == np.stack([k, -k], 1)).all()


JODIE = "user_id,item_id,timestamp,state_label,comma_separated_list_of_features\n"


@pytest.mark.parametrize("width", [0, 1, 3])
@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_jodies_files_number_items_after_users_and_keep_their_features(tmp_path, width, suffix, caplog):
    rows = [(k % 5, (2 * k) % 3, 40.5 - k / 2, k % 2, *(k / 4 + f for f in range(width))) for k in range(60)]
    text = JODIE + "".join(",".join(map(str, row)) + "\n" for row in rows)
    path = tmp_path / f"own.{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
    with caplog.at_level("INFO", logger="graphkit"):
        dataset = load(path, columns=None)
    assert "item i is node 5 + i, after the users 0..4" in caplog.text
    events, expected = dataset.events, sorted(rows, key=lambda row: row[2])
    assert dataset.num_nodes == 8 and dataset.node_ids is None
    found = zip(events.src.tolist(), (events.dst - 5).tolist(), events.time.tolist(), events.label.tolist())
    assert list(found) == [row[:4] for row in expected]
    assert (
        events.feat is None
        if width == 0
        else (events.feat == np.array([row[4:] for row in expected], dtype=np.float32)).all()
    )


def test_users_and_items_that_are_missing_leave_no_nodes(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(JODIE + "".join(f"{3 * (k % 3)},{2 * (k % 2)},{k},0,1\n" for k in range(30)))
    assert load(path, columns=None).ids().tolist() == [0, 3, 6, 7, 9]


def test_the_catalogue_takes_jodies_own_file_with_its_features(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHKIT_DATA", str(tmp_path))
    (tmp_path / "temporal/jodie-wikipedia").mkdir(parents=True)
    path = tmp_path / "temporal/jodie-wikipedia/wikipedia.csv"
    path.write_text(JODIE + "".join(f"{k % 4},{k % 3},{k}.0,0,{k}.5,{-k}\n" for k in range(60)))
    dataset = datasets.load("wikipedia", task="events")
    assert (
        dataset.num_nodes == 7
        and dataset.events.feat[:2].tolist() == [[0.5, 0], [1.5, -1]]
        and dataset.name == "wikipedia"
    )
    path.write_text("u,i,ts,label\n" + "".join(f"{k % 4},{4 + k % 3},{k},0\n" for k in range(60)))
    plain = datasets.load("wikipedia", task="events").events
    assert plain.feat is None and (plain.dst == dataset.events.dst).all() and (plain.time == dataset.events.time).all()


@pytest.mark.parametrize(
    "text, options, message",
    [
        (
            JODIE + "0,0,1.0,0,1\n0,x,2.0,0,1\n",
            {"columns": None},
            "line 3: column 'item_id' 'x' is text, expected a whole number from 0",
        ),
        (
            JODIE + "0,0,1.0,0,1\n0,1.5,2.0,0,1\n",
            {"columns": None},
            "line 3: column 'item_id' '1.5' is a number, expected a whole",
        ),
        (
            JODIE + "0,0,1.0,0,1\n0,99999999999999999999,2.0,0,1\n",
            {"columns": None},
            "'99999999999999999999' is beyond 64 bits",
        ),
        (
            JODIE + "1,0,1.0,0,1\n0,9223372036854775806,2.0,0,1\n",
            {"columns": None},
            "item 9223372036854775806 after 2 users is beyond 64 bits",
        ),
        (JODIE + "0,0,1.0,0,1\n-1,0,2.0,0,1\n", {"columns": None}, "line 3: negative node id -1 in column 'user_id'"),
        (JODIE + "0,0,1.0,0,1,2\n0,0,2.0,0,1\n", {"columns": None}, "line 3: found 5 columns, expected 6"),
        (
            JODIE + "0,0,1.0,0,1,2\n0,0,2.0,0,1,y\n",
            {"columns": None},
            "line 3: feature 'y' in column 'feature 1', expected a number",
        ),
        (
            JODIE + "0,0,1.0\n",
            {"columns": None},
            "line 2: found 3 columns, expected at least 4 (user, item, time, label)",
        ),
        (JODIE, {"columns": None}, "no rows below the header"),
        ("1 2\n2 3\n", {"columns": None}, "found 2 columns, expected at least 3 (source, destination, time)"),
        ("1 2 x\n", {"columns": None}, "line 1: time 'x' in column 2, expected a number"),
        ("1 2 3\n4 5 nan\n", {"columns": None}, "line 2: time nan in column 2, expected a finite number"),
        ("1 -2 3\n", {"columns": None}, "line 1: negative node id -2 in column 1"),
        ("1 2 3\n1 2\n", {"columns": None}, "line 2: found 2 columns, expected 3"),
        ("", {"columns": None}, "empty, expected events"),
        ("1 2 3\n1 3 3\n", {"columns": None}, "2 events are too few, or their times too alike, for the split"),
        ("1,2,3,4,x\n", {"columns": "0,1,2,3,4"}, "line 1: label 'x' in column 4, expected a number"),
        ("1,2,3,4,1.5\n", {"columns": "0,1,2,3,4"}, "label 1.5, expected whole numbers"),
        ("1,2,3,4,1,1e39\n", {"columns": "0,1,2,3,4,5"}, "feature 1e+39 is beyond float32"),
        ("1,2,3\n", {"columns": "0,1,1"}, "column 1 is named twice"),
    ],
)
def test_one_line_says_what_is_wrong_with_a_file(tmp_path, text, options, message):
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(DataError) as problem:
        load(path, **options)
    assert message in str(problem.value) and "\n" not in str(problem.value)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"columns": "who,whom"}, "expected SRC,DST,TIME for events"),
        ({"features": "x.npy"}, "--features: found with a file of events"),
        ({"duplicates": "sum"}, "--duplicates: found with a file of events"),
    ],
)
def test_options_of_graphs_are_refused(own, options, message):
    with pytest.raises(UsageError, match=message):
        load(own, **options)


@pytest.mark.parametrize(
    "name, split, message",
    [
        ("karate", None, "'karate': has no events"),
        ("events.csv", "random-0.7/0.1/0.2", "unknown split of events 'random-0.7/0.1/0.2'"),
        ("events.csv", "chrono-0.5/0.1/0.2", "the fractions sum to 0.8, expected 1"),
        ("events.mtx", None, "is Matrix Market, expected events in text or Parquet"),
    ],
)
def test_what_is_no_data_of_events_is_named(own, name, split, message):
    own.with_name("events.mtx").write_text("%%MatrixMarket matrix coordinate pattern general\n2 2 1\n1 2\n")
    with pytest.raises(DataError, match=message):
        load(own.with_name(name) if name.startswith("events") else name, split=split)


@pytest.mark.data
@pytest.mark.parametrize(
    "name, nodes, sizes",
    [
        ("wikipedia", 9227, [110232, 23621, 23621]),
        ("collegemsg", 1899, [41884, 8975, 8976]),
        ("email-eu", 986, [232634, 49850, 49850]),
    ],
)
def test_published_sizes(name, nodes, sizes):
    try:
        dataset = datasets.load(name, task="events")
    except DataError as absent:
        pytest.skip(str(absent))
    split = dataset.split
    assert dataset.num_nodes == nodes and [len(split.train), len(split.valid), len(split.test)] == sizes
    assert dataset.events.bipartite == (name == "wikipedia")
