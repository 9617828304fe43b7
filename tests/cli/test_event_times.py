"""Times of events: whole numbers of 64 bits, real numbers and dates, against Python's own whole numbers, fractions and
calendar.
"""

import datetime
import io
from fractions import Fraction

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest

from graphkit import datasets
from graphkit.core import reading
from graphkit.core.errors import DataError, GraphkitError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers.event_times import Clock, offset

RNG = np.random.default_rng(3)
NS = 1_700_000_000_000_000_000


def events_of(path, columns="src,dst,time", **options):
    return datasets.load(str(path), task="events", read=ReadOptions(columns=columns, **options))


def write(path, times, header="src,dst,time"):
    ends = RNG.integers(0, 9, (len(times), 2))
    path.write_text(header + "\n" + "".join(f"p{u},q{v},{time}\n" for (u, v), time in zip(ends, times)))
    return path


@pytest.mark.parametrize(
    "times",
    [
        [NS + k for k in range(60)],
        [NS + 100 * k for k in range(60)],
        [-(2**63) + k for k in range(60)],
        [2**63 - 60 + k for k in range(60)],
        [int(t) for t in np.sort(RNG.integers(-(2**61), 2**61, 60))],
    ],
    ids=["ns", "100 ns", "least", "largest", "wide"],
)
def test_whole_times_of_64_bits_are_exact_and_come_out_as_they_came(tmp_path, command, times):
    path = write(tmp_path / "ns.csv", RNG.permutation(np.array(times, dtype=object)).tolist())
    events = events_of(path).events
    assert events.time.dtype == np.int64 and events.time.tolist() == times and events.written is None
    code, out, _ = command("data", "split", str(path), "--task", "events")
    assert code == 0 and [int(line.split("\t")[3]) for line in out.splitlines()[1:]] == times
    # Cuts as the definition has them, in exact fractions.
    split = events_of(path).split
    for share, end in ((Fraction(7, 10), split.valid[0]), (Fraction(17, 20), split.test[0])):
        place = share * (len(times) - 1)
        low = int(place)
        cut = times[low] + (place - low) * (times[min(low + 1, len(times) - 1)] - times[low])
        assert end == sum(time <= cut for time in times)


def iso(moment, kind):
    text = moment.replace(tzinfo=None).isoformat(sep="T" if kind != "blank" else " ")
    return {
        "zulu": text + "Z",
        "east": (moment + datetime.timedelta(hours=5, minutes=30)).replace(tzinfo=None).isoformat() + "+05:30",
        "west": (moment - datetime.timedelta(hours=8)).replace(tzinfo=None).isoformat() + "-0800",
    }.get(kind, text)


@pytest.mark.parametrize("kind", ["plain", "blank", "zulu", "east", "west"])
@pytest.mark.parametrize("step", [{"hours": 7}, {"milliseconds": 250}, {"microseconds": 1}], ids=str)
def test_dates_are_moments_in_utc_and_come_out_as_they_came(tmp_path, command, kind, step):
    start = datetime.datetime(1999, 12, 31, 20, 30, tzinfo=datetime.timezone.utc)
    moments = [start + k * datetime.timedelta(**step) for k in range(40)]
    cells = [iso(moment, kind) for moment in moments]
    path = write(tmp_path / "dates.csv", cells)
    with reading.ledger() as found:
        events = events_of(path).events
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    unit = datetime.timedelta(microseconds=1)
    assert [Fraction(int(t), events.ticks) for t in events.time] == [
        Fraction((m - epoch) // unit, 10**6) for m in moments
    ]
    assert events.ticks == {"hours": 1, "milliseconds": 10**3, "microseconds": 10**6}[next(iter(step))]
    assert any("dates, read as UTC" in line for line in found.lines) == (
        kind in ("plain", "blank")
    )  # a zone leaves nothing to guess
    out = command("data", "split", str(path), "--task", "events")[1]
    assert [line.split("\t")[3] for line in out.splitlines()[1:]] == cells


def test_nanoseconds_and_bare_days(tmp_path):
    path = write(tmp_path / "ns.csv", [f"2024-02-29T23:59:59.{k:09d}" for k in range(30)])
    events = events_of(path).events
    base = int(datetime.datetime(2024, 2, 29, 23, 59, 59, tzinfo=datetime.timezone.utc).timestamp())
    assert events.ticks == 10**9 and events.time.tolist() == [base * 10**9 + k for k in range(30)]
    days = [datetime.date(2023, 12, 20) + datetime.timedelta(days=k) for k in range(30)]
    events = events_of(write(tmp_path / "days.csv", days)).events
    assert events.ticks == 1 and events.time.tolist() == [
        (day - datetime.date(1970, 1, 1)).days * 86400 for day in days
    ]


@pytest.mark.parametrize("zone, seconds", [("", 0), ("Z", 0), ("+01", 3600), ("-03:30", -12600), ("+0545", 20700)])
def test_zones(zone, seconds):
    assert offset(zone) == seconds


@pytest.mark.parametrize("kind", ["int64", "uint64", "float64", "s", "ms", "us", "ns", "zone", "date", "text"])
def test_parquet_has_the_same_times(tmp_path, kind):
    seconds = np.arange(40) * 90_001 + 1_700_000_000
    column = {
        "int64": pyarrow.array(seconds),
        "uint64": pyarrow.array(seconds.astype(np.uint64)),
        "float64": pyarrow.array(seconds + 0.5),
        "date": pyarrow.array(seconds // 86400, pyarrow.int32()).cast(pyarrow.date32()),
        "zone": pyarrow.array(seconds * 10**6).cast(pyarrow.timestamp("us", "Europe/Paris")),
        "text": pyarrow.array([pandas.Timestamp(int(s), unit="s").isoformat() for s in seconds]),
    }.get(kind)
    if column is None:
        column = pyarrow.array(seconds * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind]).cast(
            pyarrow.timestamp(kind)
        )
    table = pyarrow.table({"src": list(range(40)), "dst": [k + 40 for k in range(40)], "time": column})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    events = events_of(tmp_path / "t.parquet").events
    expected = {"float64": seconds + 0.5, "date": seconds // 86400 * 86400}.get(kind, seconds)
    assert events.time.tolist() == expected.tolist() and events.ticks == 1
    if kind not in ("int64", "uint64", "float64", "zone"):
        text = events.times_of([0])[0]
        assert pandas.Timestamp(text).timestamp() == expected[0]


def test_whole_nanoseconds_are_kept_and_finer_ones_too(tmp_path):
    stamps = pyarrow.array(NS + np.arange(30)).cast(pyarrow.timestamp("ns"))
    pyarrow.parquet.write_table(
        pyarrow.table({"src": range(30), "dst": range(30, 60), "time": stamps}), tmp_path / "n.parquet"
    )
    events = events_of(tmp_path / "n.parquet").events
    assert events.ticks == 10**9 and events.time.tolist() == [NS + k for k in range(30)]


@pytest.mark.parametrize(
    "cells, message",
    [
        (
            ["9223372036854775808"],
            "line 2: time 9223372036854775808 in column 'time' is beyond 64 bits, expected whole numbers below 2^63",
        ),
        (["1", "-9223372036854775809"], "line 3: time -9223372036854775809 in column 'time' is beyond 64 bits"),
        (
            ["0.5", "9007199254740993"],
            "line 3: time 9007199254740993 in column 'time' stands beside numbers with a fraction",
        ),
        (["1", "x"], "line 3: time 'x' in column 'time', expected a number or an ISO 8601 date"),
        (["2024-01-01", "5"], "line 3: time '5' in column 'time', expected an ISO 8601 date as in the first row"),
        (["2024-02-30"], "line 2: time '2024-02-30' in column 'time' is no moment of the calendar"),
        (["2024-01-01T25:00:00"], "line 2: time '2024-01-01T25:00:00' in column 'time' is no moment of the calendar"),
        (["31/12/2024"], "line 2: time '31/12/2024' in column 'time', expected a number or an ISO 8601 date"),
        (["0001-01-01T00:00:00.000000001"], "is beyond what 64 bits hold in nanoseconds"),
        (["-9223372036854775808", "9223372036854775807"], "expected ones that are less than 2^63 apart"),
        (["nan"], "line 2: time nan in column 'time', expected a finite number"),
        (["0.5", "inf"], "line 3: time inf in column 'time', expected a finite number"),
    ],
)
def test_one_line_says_what_is_wrong_with_a_time(tmp_path, command, recwarn, cells, message):
    path = write(tmp_path / "bad.csv", cells * 1)
    for words in (["train", "nat", "--edges"], ["data", "split", "--task", "events"]):
        code, _, err = command(*words, str(path), *(["--out", str(tmp_path / "run")] if words[0] == "train" else []))
        assert code == 3 and message in err.splitlines()[-1] and "Warning" not in err
    assert not [one for one in recwarn if issubclass(one.category, RuntimeWarning)]


def test_unsigned_times_beyond_64_bits_are_refused_in_parquet(tmp_path):
    column = pyarrow.array(np.array([1, 2**63], dtype=np.uint64))
    pyarrow.parquet.write_table(pyarrow.table({"src": [0, 1], "dst": [2, 3], "time": column}), tmp_path / "u.parquet")
    with pytest.raises(DataError, match="time 9223372036854775808 is beyond 64 bits"):
        events_of(tmp_path / "u.parquet")


def test_decimals_that_are_rounded_are_counted_and_still_come_out(tmp_path):
    cells = [f"{1_700_000_000 + k}.123456789" for k in range(10)] + [f"{k}.25" for k in range(20)]
    path = write(tmp_path / "long.csv", cells)
    with reading.ledger() as found:
        events = events_of(path).events
    assert any("10 of 30 times in column 'time' have more digits" in line for line in found.lines)
    assert sorted(events.times_of(np.arange(30))) == sorted(cells)
    with reading.ledger() as found:
        events_of(write(tmp_path / "short.csv", [f"{k}.25" for k in range(30)]))
    assert not found.lines


def test_a_blank_between_day_and_time_of_day_does_not_lose_the_time(tmp_path):
    (tmp_path / "blank.txt").write_text("".join(f"a{k} b{k} 2024-01-01 1{k % 10}:00:00\n" for k in range(20)))
    with pytest.raises(
        DataError, match="the time '2024-01-01 10:00:00' is parted in two columns, expected 2024-01-01T10:00:00"
    ):
        datasets.load(str(tmp_path / "blank.txt"), task="events")


def test_a_clock_reads_as_the_events_were_read(tmp_path):
    whole = Clock(events_of(write(tmp_path / "w.csv", [NS + k for k in range(30)])).events)
    assert whole.read(str(NS + 1), "") == NS + 1 and whole.read("7.0", "") == 7
    real = Clock(events_of(write(tmp_path / "r.csv", [k + 0.5 for k in range(30)])).events)
    assert real.read("7", "") == 7.0
    dates = Clock(events_of(write(tmp_path / "d.csv", [f"2024-01-01T00:00:{k:02d}.5" for k in range(30)])).events)
    assert (
        dates.read("1970-01-01T00:00:01.250Z", "") == 1250 and dates.read("1970-01-02T01:00:00+01:00", "") == 86_400_000
    )
    for clock, cell, message in (
        (whole, "1.5", "expected a whole number"),
        (whole, str(2**63), "beyond 64 bits"),
        (whole, "2024-01-01", "expected a finite number"),
        (real, str(2**53 + 1), "more digits"),
        (dates, "5", "expected an ISO 8601 date"),
        (dates, "2024-01-01T00:00:00.0001", "finer than"),
        (dates, "2024-13-01", "expected an ISO 8601 date"),
    ):
        with pytest.raises(GraphkitError, match=message):
            clock.read(cell, "line 1")


@pytest.mark.parametrize("target", ["csv", "tsv", "parquet", "csv.gz"])
@pytest.mark.parametrize(
    "times",
    [
        [NS + k for k in range(40)],
        [f"2024-01-{k // 24 + 1:02d} {k % 24:02d}:00:00+02:00" for k in range(40)],
        [f"{k}.10" for k in range(40)],
    ],
    ids=["ns", "dates", "decimals"],
)
def test_converted_events_are_the_same(tmp_path, command, target, times):
    path = write(tmp_path / "in.csv", times)
    assert command("data", "convert", str(path), str(tmp_path / f"out.{target}"), "--columns", "src,dst,time")[0] == 0
    before, after = events_of(path), events_of(tmp_path / f"out.{target}")
    assert (before.events.time == after.events.time).all() and before.events.ticks == after.events.ticks
    for end in ("src", "dst"):
        assert (before.ids()[getattr(before.events, end)] == after.ids()[getattr(after.events, end)]).all()
    if target != "parquet" or isinstance(times[0], int):
        assert [str(t) for t in after.events.times_of(np.arange(40))] == [str(t) for t in times]


def test_a_column_of_times_is_no_weight(tmp_path, command):
    path = write(tmp_path / "in.csv", [NS + k for k in range(60)])
    with reading.ledger() as found:
        report = datasets.info(str(path), read=ReadOptions(columns="src,dst,time"))
    pairs = {tuple(line.split(",")[:2]) for line in path.read_text().splitlines()[1:]}
    said = (
        f"{path}: 60 events are {len(pairs)} edges as a graph, one for each pair, with its first time; loops are"
        " dropped"
    )
    assert found.lines == [said] and report["edges"] == len(pairs) < 60
    assert report["weighted"] is False and report["events"]["count"] == 60
    assert (report["events"]["first"], report["events"]["last"]) == (NS, NS + 59) and "events" in report["tasks"]
    with reading.ledger() as found:
        graph = datasets.load(str(path), read=ReadOptions(columns="src,dst,time", directed=True))
    assert not graph.weighted and any("column 'time' holds times and is no weight" in line for line in found.lines)
    assert datasets.load(str(path), read=ReadOptions(columns="src,dst,time", weight="time")).weighted
    code, out, _ = command(
        "data", "split", str(path), "--columns", "src,dst,time", "--task", "link", "--split", "time-0.7/0.1/0.2"
    )
    assert code == 0 and len(out.splitlines()) > 10


HEADER = ",u,i,ts,label,idx\n"
ROWS = [(k, 1 + k % 7, 8 + (3 * k) % 5, float(k // 2), 0, k + 1) for k in range(60)]


def test_tables_of_events_with_an_index_are_known_by_their_header(tmp_path, command, caplog):
    path = tmp_path / "ml_mine.csv"
    path.write_text(HEADER + "".join(",".join(map(str, row)) + "\n" for row in ROWS))
    with caplog.at_level("INFO", logger="graphkit"):
        dataset = datasets.load(str(path), task="events")
    assert "u and i are the ends, ts is the time" in caplog.text
    ids, events = dataset.ids(), dataset.events
    assert list(zip(ids[events.src].tolist(), ids[events.dst].tolist(), events.time.tolist())) == [
        row[1:4] for row in ROWS
    ]
    assert events.label.tolist() == [0] * 60
    with reading.ledger() as found:
        graph = datasets.load(str(path))
    assert set(graph.ids().tolist()) == {end for row in ROWS for end in row[1:3]}
    assert any("'u' and 'i' are the ends of edges; ts, label, idx are not used" in line for line in found.lines)


def test_a_guess_of_columns_is_a_note_and_an_index_is_no_end(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text(",alpha,beta,gamma\n" + "".join(f"{k},{k % 5},{5 + k % 3},{k}\n" for k in range(60)))
    with reading.ledger() as found:
        dataset = datasets.load(str(path), task="events")
    said = "the columns 'alpha', 'beta', 'gamma' are taken for source, destination and time; --columns names others"
    assert found.lines == [f"{path}: {said}"]
    assert dataset.num_nodes == 8
    with reading.ledger() as found:  # nothing to guess
        datasets.load(str(path), task="events", read=ReadOptions(columns="alpha,beta,gamma"))
    assert not found.lines


def test_stdin_gives_the_same(tmp_path, monkeypatch):
    path = write(tmp_path / "in.csv", [NS + k for k in range(40)])
    expected = events_of(path).events.time.tolist()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    assert events_of("-").events.time.tolist() == expected
