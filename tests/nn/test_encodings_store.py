"""The words of --pe, encodings in graphs and batches, and the cache."""

from __future__ import annotations

import dgl
import numpy as np
import pytest
import torch

from graphkit.core.errors import UsageError
from graphkit.nn import encodings
from graphkit.nn.encodings import raw, walks
from graphkit.nn.encodings.structure import Structure


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "graphkit" / "encodings"


def cycle(n):
    ends = torch.arange(n)
    return dgl.add_reverse_edges(dgl.graph((ends, (ends + 1) % n)))


def test_words_have_their_published_sizes():
    found = encodings.parse("lappe, rwse:20:28 ,signnet-ds,signnet-mlp,hkdiag:8,elstatic:7,peg:4")
    assert [str(encoding) for encoding in found] == [
        "lappe:10:16",
        "rwse:20:28",
        "signnet-ds:37:28",
        "signnet-mlp:8:8",
        "hkdiag:8:16",
        "elstatic:7",
        "peg:4",
    ]
    assert [encoding.k for encoding in found][-2:] == [10, 4] and found[-1].dim == 0
    assert encodings.parse("none") == encodings.parse("") == []


@pytest.mark.parametrize(
    "text, message",
    [
        ("rwsee:3", "did you mean 'rwse'"),
        ("lap", "expected one of|did you mean"),
        ("rwse:0", "expected rwse"),
        ("rwse:x", "expected rwse"),
        ("rwse:4:8:2", r"expected rwse\[:K\[:DIM\]\]"),
        ("rwse:-4", "numbers of 1..4096"),
        ("rwse:5000", "numbers of 1..4096"),
        ("peg:4:8", r"expected peg\[:K\]"),
        ("elstatic:4:8", r"expected elstatic\[:DIM\]"),
        ("rwse:4,rwse:8", "found rwse 2 times"),
        ("rwse:4,", "found ''"),
    ],
)
def test_wrong_words_say_what_was_expected(text, message):
    with pytest.raises(UsageError, match=message) as caught:
        encodings.parse(text)
    assert "--pe" in str(caught.value) and "\n" not in str(caught.value)


def test_every_part_of_a_batch_is_a_graph_of_its_own():
    single = dgl.graph(([], []), num_nodes=1)
    graphs = [cycle(5), single, dgl.graph(([], []), num_nodes=0), cycle(12)]
    chosen = encodings.parse("lappe:7,rwse:4,elstatic,hkdiag:3,rwcols:2,rwrows:2,lappe-sym:2")
    batch = dgl.batch(graphs)
    encodings.compute([batch], chosen)
    encodings.compute(graphs, chosen)
    for encoding in chosen:
        expected = torch.cat([graph.ndata[encoding.key] for graph in graphs])
        assert expected.dtype == torch.float32
        torch.testing.assert_close(batch.ndata[encoding.key], expected, equal_nan=True)
    lap = batch.ndata[chosen[0].key]
    assert lap.shape == (18, 7, 2)
    assert torch.isnan(lap).any(2).sum(1).tolist() == [2] * 5 + [6] + [0] * 12  # more columns than nodes


def test_encodings_of_equal_kind_share_their_values():
    graph = cycle(9)
    chosen = encodings.parse("lappe:6,signnet-mlp:6,peg:6")
    encodings.compute([graph], chosen)
    assert len({encoding.key for encoding in chosen}) == 1 and len(graph.ndata) == 1


def test_structures_cuts_a_batch_with_edges_in_any_order():
    batch = dgl.batch([cycle(3), dgl.graph(([], []), num_nodes=2), cycle(4)])
    shuffled = dgl.graph(tuple(ends.flip(0) for ends in batch.edges()), num_nodes=9)
    shuffled.set_batch_num_nodes(batch.batch_num_nodes())
    shuffled.set_batch_num_edges(batch.batch_num_edges())
    found = encodings.structures(shuffled)
    assert [(part.num_nodes, len(part.src)) for part in found] == [(3, 6), (2, 0), (4, 8)]
    assert found[2].digest() == encodings.structures(cycle(4))[0].digest()


def test_values_are_kept_and_found_again(cache, monkeypatch):
    monkeypatch.setattr(raw, "WORTH_KEEPING", 0.0)
    given = encodings.structures(dgl.batch([cycle(5), cycle(8), cycle(5)]))
    first = encodings.arrays(given, "rwse:6")
    assert len(list(cache.glob("*.npy"))) == 1
    monkeypatch.setattr(raw, "_computed", None)  # whoever calls it fails
    again = encodings.arrays(given, "rwse:6")
    assert all(np.array_equal(a, b) for a, b in zip(first, again)) and len(again) == 3
    with pytest.raises(TypeError):
        encodings.arrays(given, "rwse:7")
    with pytest.raises(TypeError):
        encodings.arrays(given[:1], "rwse:6")


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_computed_again(cache, monkeypatch, caplog, damage):
    monkeypatch.setattr(raw, "WORTH_KEEPING", 0.0)
    given = encodings.structures(cycle(6))
    first = encodings.arrays(given, "hkdiag:3")
    (file,) = cache.glob("*.npy")
    if damage is None:
        np.save(file, np.zeros((2, 3)))
    else:
        file.write_bytes(damage)
    with caplog.at_level("WARNING", logger="graphkit"):
        again = encodings.arrays(given, "hkdiag:3")
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(np.load(file), first[0])


def test_what_is_quick_is_not_stored(cache):
    encodings.arrays(encodings.structures(cycle(5)), "rwse:3")
    assert not cache.exists()


def test_several_processes_give_the_same_values(monkeypatch):
    monkeypatch.setattr(raw, "WORTH_PROCESSES", 0.0)
    given = [part for n in range(3, 15) for part in encodings.structures(cycle(n))]
    found = encodings.arrays(given, "rwse:5", threads=2)
    for structure, values in zip(given, found):
        np.testing.assert_array_equal(values, walks.rwse(structure, 5).astype(np.float32))


def test_directed_edges_count_for_walks_alone():
    one_way, both = dgl.graph(([0, 1, 2], [1, 2, 0])), cycle(3)
    chosen = encodings.parse("lappe:3,rwse:3,elstatic,hkdiag:2")
    encodings.compute([one_way, both], chosen)
    for encoding in chosen:
        same = torch.allclose(one_way.ndata[encoding.key], both.ndata[encoding.key], atol=1e-6)
        assert same == (encoding.name != "rwse")
    torch.testing.assert_close(one_way.ndata[chosen[1].key], torch.tensor([[0.0, 0.0, 1.0]] * 3))


def test_structure_of_nothing():
    assert Structure.of(np.array([]), np.array([]), 0).components() == []
