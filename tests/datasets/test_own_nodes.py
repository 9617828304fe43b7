"""Files about nodes under any header: ids by their values, nodes that one file alone names, and each guess in one
line.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from graphkit.core import reading
from graphkit.core.errors import DataError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers.files import read_graph

N = 12
TEXT = [f"acc-{k:02d}" for k in range(N)]
NUMBERS = [1000 + 37 * k for k in range(N)]
DENSE = list(range(N))
IDS = {"text": TEXT, "integers": NUMBERS, "0..n-1": DENSE}
FEATURES = np.round(np.random.default_rng(0).normal(size=(N, 3)), 4)
CLASSES = [("fraud", "clean", "trial")[k % 3] for k in range(N)]
PARTS = [("train", "train", "valid", "test")[k % 4] for k in range(N)]
ORDER = np.random.default_rng(1).permutation(N).tolist()


def put(path, rows):
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return str(path)


@pytest.fixture(params=IDS)
def ids(request):
    return IDS[request.param]


def ring(tmp_path, ids):
    return put(tmp_path / "g.csv", [("src", "dst"), *((ids[k], ids[(k + s) % N]) for k in range(N) for s in (1, 3))])


def load(graph, task=None, **options):
    """(data set, the lines that its reading gave)."""
    with reading.ledger() as notes:
        return read_graph(graph, ReadOptions(**options), task=task), notes.lines


def by_id(dataset, values):
    return dict(zip(dataset.ids().tolist(), np.asarray(values).tolist()))


def features_table(ids, header, place):
    rows = [[header, "f0", "f1", "f2"]] + [[ids[k], *FEATURES[k].tolist()] for k in ORDER]
    return [row[1 : place + 1] + row[:1] + row[place + 1 :] for row in rows]


@pytest.mark.parametrize(
    "header, place", [("account", 0), ("", 0), ("Unnamed: 0", 0), ("account", 3), ("id", 2), ("node_id", 0)]
)
def test_features_go_to_the_nodes_of_their_ids_whatever_the_column_is_called(tmp_path, ids, header, place):
    path = put(tmp_path / "x.csv", features_table(ids, header, place))
    found, lines = load(ring(tmp_path, ids), features=path)
    expected = {ids[k]: pytest.approx(FEATURES[k], abs=1e-6) for k in range(N)}
    assert by_id(found, found.features) == expected
    known = header in ("id", "node_id")
    assert len([line for line in lines if "is read as the ids" in line]) == (0 if known else 1)
    assert len(lines) == (0 if known else 1)
    asked, lines = load(ring(tmp_path, ids), features=path, id_column=(header or "0",))
    assert by_id(asked, asked.features) == expected and lines == []


@pytest.mark.parametrize("named", [True, False])
def test_parquet_with_any_ids(tmp_path, ids, named):
    import pandas

    frame = pandas.DataFrame(FEATURES[ORDER], columns=["a", "b", "c"])
    frame.insert(3, "account", [ids[k] for k in ORDER])
    frame["account"] = frame["account"].astype("category") if named and ids is TEXT else frame["account"]
    frame = frame.set_index("account") if named else frame
    frame.to_parquet(tmp_path / "x.parquet")
    pandas.DataFrame({"account": ids, "class": CLASSES}).to_parquet(tmp_path / "y.parquet")
    found, _ = load(ring(tmp_path, ids), features=str(tmp_path / "x.parquet"), labels=str(tmp_path / "y.parquet"))
    assert by_id(found, found.features) == {ids[k]: pytest.approx(FEATURES[k], abs=1e-6) for k in range(N)}
    assert {node: found.class_names[c] for node, c in by_id(found, found.labels).items()} == dict(zip(ids, CLASSES))


def test_a_column_that_counts_the_rows_is_no_feature(tmp_path):
    """pandas writes its row numbers into a first column without a name."""
    rows = [["", "account", "f0"]] + [[at, TEXT[k], FEATURES[k][0]] for at, k in enumerate(ORDER)]
    found, lines = load(ring(tmp_path, TEXT), features=put(tmp_path / "x.csv", rows))
    assert by_id(found, found.features) == {TEXT[k]: [pytest.approx(FEATURES[k][0], abs=1e-6)] for k in range(N)}
    assert any("column 0 counts the rows and is left out" in line for line in lines)
    plain = [["", "f0"]] + [[k, FEATURES[k][0]] for k in range(N)]
    found, lines = load(ring(tmp_path, TEXT), features=put(tmp_path / "x.csv", plain))
    assert found.features.shape == (N, 1) and any("counts the rows" in line for line in lines)
    assert any("no ids: its 12 rows go to the nodes in the order of first appearance" in line for line in lines)


@pytest.mark.parametrize(
    "header, classes, column",
    list(
        itertools.product(
            [("account", "class"), ("account", "team"), ("team", "account"), None],
            [CLASSES, [f"{k % 3}" for k in range(N)]],
            ["labels", "split"],
        )
    ),
)
def test_labels_and_splits_under_any_header(tmp_path, ids, header, classes, column):
    values = classes if column == "labels" else PARTS
    pairs = [(ids[k], values[k]) for k in ORDER]
    if header is not None and header[0] == "team":
        pairs = [(value, node) for node, value in pairs]
    head = (
        []
        if header is None
        else [header if column == "labels" else tuple("part" if w == "class" else w for w in header)]
    )
    path = put(tmp_path / "y.csv", head + pairs)
    if column == "labels":
        found, lines = load(ring(tmp_path, ids), labels=path)
        assert {node: found.class_names[c] for node, c in by_id(found, found.labels).items()} == dict(zip(ids, classes))
    else:
        labels = put(tmp_path / "l.csv", [("id", "label"), *zip(ids, CLASSES)])
        found, lines = load(ring(tmp_path, ids), task="node", labels=labels, splits=path)
        place = {node: k for k, node in enumerate(ids)}
        for part in ("train", "valid", "test"):
            members = [place[node] for node in found.ids()[getattr(found.split, part)].tolist()]
            assert sorted(members) == [k for k in range(N) if PARTS[k] == part]
    if header is None:
        assert lines == []


def test_a_first_row_with_a_node_in_it_is_no_header(tmp_path):
    """A label that is no number above numbers is not the name of a column when its node is in the graph."""
    rows = [(TEXT[0], "unknown"), *((TEXT[k], k % 2) for k in range(1, N))]
    found, _ = load(ring(tmp_path, TEXT), labels=put(tmp_path / "y.csv", rows))
    assert by_id(found, found.labels)[TEXT[0]] == found.class_names.index("unknown")


def test_nodes_that_only_one_file_names_join_as_isolated_nodes(tmp_path, ids):
    ghost = "ghost" if ids is TEXT else max(ids) + 5
    labels = put(tmp_path / "y.csv", [("account", "class"), *zip(ids, CLASSES), (ghost, "clean")])
    parts = put(tmp_path / "s.csv", [("account", "part"), *zip(ids, PARTS), (ghost, "test")])
    features = put(tmp_path / "x.csv", [("account", "f0"), *((node, 0.5) for node in ids), (ghost, 0.25)])
    graph = ring(tmp_path, ids)
    for options in (
        {"labels": labels},
        {"features": features},
        {"labels": labels, "features": features, "splits": parts},
    ):
        found, lines = load(graph, task="node" if "splits" in options else None, **options)
        number = found.ids().tolist().index(ghost)
        assert found.num_nodes == N + 1 and int(found.graph.in_degrees(number)) == 0
        said = [line for line in lines if f"1 id in no edge ({ghost}): read as isolated nodes" in line]
        assert len(said) == 1
    assert number in found.split.test
    assert found.features[number].tolist() == [0.25] and found.class_names[found.labels[number]] == "clean"
    nodes = dict(zip(ids, range(N)))
    src, dst = (found.ids()[ends.numpy()].tolist() for ends in found.graph.edges())
    steps = {(nodes[b] - nodes[a]) % N for a, b in zip(src, dst)}
    assert steps == {1, 3, N - 1, N - 3}  # the edges are still those of the file
    bare = put(tmp_path / "bare.csv", [("account", "f0"), *((node, 0.5) for node in ids)])
    with pytest.raises(DataError, match=f"no row for 1 node of .*, the first is '?{ghost}"):
        read_graph(graph, ReadOptions(features=bare, labels=labels))


def test_rows_in_order_stay_with_their_nodes_when_others_join(tmp_path):
    """An id between two others moves the numbers of the nodes, and the rows with them."""
    graph = put(tmp_path / "g.csv", [(0, 1), (1, 2), (2, 5), (5, 6)])
    np.save(tmp_path / "y.npy", np.array([0, 1, 0, 1, 1]))
    parts = put(
        tmp_path / "s.csv",
        [("id", "part"), (0, "train"), (1, "train"), (3, "train"), (2, "valid"), (5, "test"), (6, "test")],
    )
    found, _ = load(graph, task="node", labels=str(tmp_path / "y.npy"), splits=parts)
    assert by_id(found, found.labels) == {0: 0, 1: 1, 2: 0, 3: -1, 5: 1, 6: 1}


def test_a_link_split_may_name_a_node_without_another_edge(tmp_path):
    rows = [
        ("a", "b", "split"),
        (TEXT[0], TEXT[2], "valid"),
        (TEXT[1], "ghost", "test"),
        (TEXT[1], TEXT[5], "test_neg"),
    ]
    found, lines = load(ring(tmp_path, TEXT), task="link", splits=put(tmp_path / "s.csv", rows))
    assert found.num_nodes == N + 1 and any("1 id in no edge (ghost)" in line for line in lines)
    place = {node: k for k, node in enumerate(found.ids().tolist())}
    assert found.split.test.pos.tolist() == [sorted((place[TEXT[1]], place["ghost"]))]
    assert found.split.test.neg.tolist() == [sorted((place[TEXT[1]], place[TEXT[5]]))]


@pytest.mark.parametrize(
    "name, ids, table, message",
    [
        (
            "half",
            NUMBERS,
            [("account", "f0"), *((NUMBERS[k] if k < 8 else k, 0.5) for k in range(N))],
            "column 'account' holds 67% ids",
        ),
        (
            "none",
            TEXT,
            [("account", "f0"), *((f"b-{k}", 0.5) for k in range(N))],
            "none of its 12 ids is in the graph, the first is b-0",
        ),
        (
            "off by one",
            DENSE,
            [("row", "f0"), *((k + 1, 0.5) for k in range(N))],
            "no row for 1 node of .*, the first is 0",
        ),
        (
            "leading zeros",
            DENSE,
            [("id", "f0"), *((f"{k:03d}", 0.5) for k in range(N))],
            "line 2: id '000', expected integers as in",
        ),
        (
            "differing rows",
            TEXT,
            [("account", "f0"), *((node, 0.5) for node in TEXT), (TEXT[3], 0.7)],
            "id acc-03 has more than one row",
        ),
    ],
)
def test_what_is_in_doubt_is_refused(tmp_path, name, ids, table, message):
    with pytest.raises(DataError, match=message):
        read_graph(ring(tmp_path, ids), ReadOptions(features=put(tmp_path / "x.csv", table)))


def test_an_equal_row_counts_once(tmp_path):
    table = [("account", "f0"), *((node, 0.5) for node in TEXT), (TEXT[3], 0.5)]
    found, lines = load(ring(tmp_path, TEXT), features=put(tmp_path / "x.csv", table))
    assert found.features.shape == (N, 1) and any("1 row that repeat another one: dropped" in line for line in lines)


def test_columns_that_look_like_ids_of_another_graph_are_told(tmp_path):
    """Account numbers that the graph does not have would be a feature; for a graph of 0..n-1 nothing else says so."""
    table = [("account", "f0"), *((90_000 + 7 * k, 0.5) for k in range(N))]
    found, lines = load(ring(tmp_path, DENSE), features=put(tmp_path / "x.csv", table))
    assert found.features.shape == (N, 2)
    assert lines == [
        f"{tmp_path / 'x.csv'}: column 'account', a different whole number in every row, is read as a feature"
    ]
    assert load(ring(tmp_path, DENSE), features=str(tmp_path / "x.csv"), id_column=("none",))[1] == []


def test_id_column_is_looked_for_in_every_file_and_must_be_in_one(tmp_path):
    graph = ring(tmp_path, TEXT)
    features = put(tmp_path / "x.csv", features_table(TEXT, "account", 0))
    labels = put(tmp_path / "y.csv", [("who", "class"), *zip(TEXT, CLASSES)])
    found, lines = load(graph, features=features, labels=labels, id_column=("account", "who"))
    assert lines == [] and found.features.shape == (N, 3)
    with pytest.raises(DataError, match="--id-column acount: no such column in .*; expected 'account', 'f0'"):
        read_graph(graph, ReadOptions(features=features, id_column=("acount",)))
    with pytest.raises(reading.Reinterpreted, match="column 'account' is read as the ids"), reading.ledger(strict=True):
        read_graph(graph, ReadOptions(features=features))


def test_vectors_that_graphkit_wrote_go_by_their_ids(tmp_path):
    """Beside a .npy lie the ids, an .npz holds them: another graph with the same nodes gets the same vectors."""
    from graphkit.io import embeddings

    vectors = FEATURES.astype(np.float32)
    other = put(tmp_path / "other.csv", [(TEXT[k], TEXT[(k + 1) % N]) for k in ORDER])
    for name in ("v.npy", "v.npz", "v.tsv", "v.parquet"):
        embeddings.write(tmp_path / name, vectors, np.array(TEXT, dtype=object))
        found, lines = load(other, features=str(tmp_path / name))
        assert by_id(found, found.features) == {TEXT[k]: pytest.approx(vectors[k]) for k in range(N)}, name
        assert lines == []


def test_rows_by_order_are_told_where_the_ids_are_not_their_numbers(tmp_path):
    np.save(tmp_path / "x.npy", FEATURES)
    for ids, expected in (
        (DENSE, []),
        (NUMBERS, ["the order of their ids"]),
        (TEXT, ["the order of first appearance"]),
    ):
        found, lines = load(ring(tmp_path, ids), features=str(tmp_path / "x.npy"))
        assert len(lines) == len(expected) and all(text in line for text, line in zip(expected, lines))
        assert load(ring(tmp_path, ids), features=str(tmp_path / "x.npy"), id_column=("none",))[1] == []
        assert np.array_equal(found.features.numpy(), FEATURES.astype(np.float32))
