"""Lines of different lengths: adjacency lists as networkx reads them, and items of users; without a word which, they
are refused.
"""

from __future__ import annotations

import networkx as nx
import pytest

from graphkit import datasets
from graphkit.core.errors import DataError, UsageError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.sources import folders

TEXT = "1 2 3 4 5\n2 6 7 8 9 10 4 11\n3 4 12 13\n20\n4 20 21 22 23 4 24\n"


def pairs_of(dataset):
    ids = dataset.ids().tolist()
    return {(ids[u], ids[v]) for u, v in zip(*(ends.tolist() for ends in dataset.graph.edges()))}


@pytest.mark.parametrize("kind", [int, str])
@pytest.mark.parametrize("directed", [False, True])
def test_adjacency_lists_are_those_of_networkx(tmp_path, kind, directed):
    graph = nx.gnp_random_graph(40, 0.1, seed=2, directed=directed)
    graph.add_node(77)
    graph = graph if kind is int else nx.relabel_nodes(graph, lambda node: f"v{node}")
    nx.write_adjlist(graph, tmp_path / "g.adjlist")
    expected = nx.read_adjlist(tmp_path / "g.adjlist", nodetype=kind, create_using=type(graph))
    found = datasets.load(str(tmp_path / "g.adjlist"), read=ReadOptions(read_as="adjacency", directed=directed))
    assert pairs_of(found) == set(expected.to_directed().edges if not directed else expected.edges)
    assert set(found.ids().tolist()) == set(expected)


def test_items_of_users(tmp_path):
    (tmp_path / "beauty.txt").write_text(TEXT)
    found = datasets.load(str(tmp_path / "beauty.txt"), read=ReadOptions(read_as="user-items", directed=True))
    expected = {
        (f"u{user}", f"i{item}") for user, *items in (line.split() for line in TEXT.splitlines()) for item in items
    }
    assert pairs_of(found) == expected
    assert "u20" in found.ids().tolist()


def test_what_could_be_either_is_refused_with_both_words(tmp_path):
    (tmp_path / "beauty.txt").write_text(TEXT)
    with pytest.raises(
        DataError,
        match="found lines of 1 to 8 words, expected an edge list; --read-as adjacency .* --read-as user-items",
    ):
        datasets.load(str(tmp_path / "beauty.txt"))
    (tmp_path / "bad.txt").write_text("1 2\n" * 20 + "3 4 5 6\n")
    with pytest.raises(DataError, match="line 21: found 4 columns, expected 2"):
        datasets.load(str(tmp_path / "bad.txt"))
    with pytest.raises(UsageError, match="--weight: found with --read-as adjacency"):
        datasets.load(str(tmp_path / "beauty.txt"), read=ReadOptions(read_as="adjacency", weight="2"))
    with pytest.raises(UsageError, match="--read-as: found 'lists', expected edges, adjacency or user-items"):
        ReadOptions(read_as="lists")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"1\n2\n", "no line of two words"),
        (b"\x00\x01\x02", "binary data"),
        (b"1 2\n3 \xff\n", "line 2: byte 0xff is not UTF-8"),
    ],
)
def test_hostile_lists_end_in_one_line(tmp_path, content, said):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=said) as problem:
        datasets.load(str(tmp_path / "a.txt"), read=ReadOptions(read_as="adjacency"))
    assert "\n" not in str(problem.value)


def test_a_text_of_triples_joins_head_and_tail(tmp_path):
    (tmp_path / "kg.txt").write_text("a\tlikes\tb\nb\tlikes\tc\nc\tknows\ta\na\tknows\tc\n")
    found = datasets.load(str(tmp_path / "kg.txt"), read=ReadOptions(directed=True))
    assert pairs_of(found) == {("a", "b"), ("b", "c"), ("c", "a"), ("a", "c")}
    assert any("columns 0 and 2 are read as source and target; not read: 1" in line for line in found.reading)


@pytest.mark.data
def test_real_users_and_items():
    place = folders.find("amazon-beauty-s3rec/Beauty.txt")
    if place is None:
        pytest.skip("GRAPHKIT_DATA lacks amazon-beauty-s3rec")
    found = datasets.load(str(place), read=ReadOptions(read_as="user-items"))
    kinds = [node[0] for node in found.ids().tolist()]
    assert (kinds.count("u"), kinds.count("i")) == (22363, 12101)
