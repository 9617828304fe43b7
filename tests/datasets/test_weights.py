"""Edge weights come as they stand in the file: all digits, whole numbers, and those that are 0."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas
import pytest
import scipy.io
import scipy.sparse as sp

from graphkit import datasets
from graphkit.core.errors import DataError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers.files import read_graph
from graphkit.datasets.writers.graphs import write_graph
from graphkit.graph.adjacency import adjacency

WEIGHTS = [0.1, 1 / 3, 123456789.123456789, 2**53 - 1, 1e300, -1e-300, 0.0, 16777217.0]
PAIRS = [(k, k + 1) for k in range(len(WEIGHTS))]


def weights_of(dataset):
    src, dst = (ends.tolist() for ends in dataset.graph.edges())
    return {(u, v): w for u, v, w in zip(src, dst, dataset.graph.edata["weight"].tolist())}


def write(folder, suffix):
    """The weighted path in a file that another program writes."""
    path, n = folder / f"g{suffix}", len(WEIGHTS) + 1
    src, dst = np.array(PAIRS).T
    frame = pandas.DataFrame({"src": src, "dst": dst, "weight": WEIGHTS})
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    elif suffix == ".mtx":
        scipy.io.mmwrite(path, sp.coo_matrix((WEIGHTS, (src, dst)), shape=(n, n)), precision=17)
    elif suffix == ".npz":
        sp.save_npz(path, sp.csr_matrix((np.array(WEIGHTS), (src, dst)), shape=(n, n)))
    elif suffix == ".mat":
        scipy.io.savemat(path, {"network": sp.csc_matrix((np.array(WEIGHTS), (src, dst)), shape=(n, n))})
    elif suffix == ".graphml":
        nx.write_graphml(nx.from_pandas_edgelist(frame, "src", "dst", "weight", create_using=nx.DiGraph), path)
    else:
        import dgl
        import torch

        graph = dgl.graph((torch.from_numpy(src.copy()), torch.from_numpy(dst.copy())), num_nodes=n)
        graph.edata["weight"] = torch.tensor(WEIGHTS, dtype=torch.float64)
        dgl.save_graphs(str(path), [graph])
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".mtx", ".npz", ".mat", ".graphml", ".bin"])
def test_every_reader_keeps_every_digit_and_the_zero(tmp_path, suffix):
    found = read_graph(write(tmp_path, suffix), ReadOptions(directed=True))
    assert weights_of(found) == dict(zip(PAIRS, WEIGHTS))
    assert found.num_nodes == len(WEIGHTS) + 1


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".csv.gz", ".parquet", ".mtx", ".npz", ".graphml", ".bin"])
def test_convert_keeps_weights(tmp_path, suffix):
    first = read_graph(write(tmp_path, ".csv"), ReadOptions(directed=True))
    write_graph(first, tmp_path / f"out{suffix}")
    again = read_graph(
        tmp_path / f"out{suffix}", ReadOptions(directed=True, weight="2" if suffix == ".txt" else None, header=None)
    )
    assert weights_of(again) == dict(zip(PAIRS, WEIGHTS))


def test_splits_and_hidden_edges_keep_them_too(tmp_path):
    rng = np.random.default_rng(0)
    graph = nx.gnp_random_graph(40, 0.3, seed=1)
    values = {tuple(sorted(edge)): float(w) for edge, w in zip(graph.edges, rng.random(graph.number_of_edges()))}
    (tmp_path / "g.csv").write_text("src,dst,weight\n" + "".join(f"{u},{v},{w!r}\n" for (u, v), w in values.items()))
    for task in ("link", None):
        found = datasets.load(str(tmp_path / "g.csv"), task=task)
        for (u, v), w in weights_of(found).items():
            assert values[min(u, v), max(u, v)] == w
    found = datasets.load(str(tmp_path / "g.csv"), task="link").split
    assert [values[tuple(pair)] for pair in found.test.pos.tolist()] == found.test.weight.tolist()


def test_a_method_of_float32_says_what_it_cannot_hold():
    import dgl
    import torch

    from graphkit.core.reading import ledger

    graph = dgl.graph(([0, 1, 2, 3], [1, 2, 3, 0]))
    graph.edata["weight"] = torch.tensor([0.1, 16777217.0, 1e-60, 3.0], dtype=torch.float64)
    with ledger() as notes:
        found = adjacency(graph).weights
    assert found.tolist() == [np.float32(0.1), 16777216.0, 0.0, 3.0]
    assert notes.lines == [
        "edge weights: 1 weight beyond 2^24, the first is 16777217: rounded to float32",
        "edge weights: 1 weight too small for float32: taken as 0",
    ]
    graph.edata["weight"] = torch.tensor([0.1, 1, 1e300, 3.0], dtype=torch.float64)
    with pytest.raises(DataError, match="weight 1e\\+300 is beyond float32"):
        adjacency(graph)
    graph.edata["weight"] = torch.tensor([0.1, 0.2, 1 / 3, 1e7], dtype=torch.float64)
    with ledger() as notes:
        adjacency(graph)
    assert notes.lines == []


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_whole_numbers_that_float64_cannot_hold_are_counted(tmp_path, suffix):
    values, path = [2**53 + 1, 2**53 + 2, 5], tmp_path / f"g{suffix}"
    frame = pandas.DataFrame({"src": [0, 1, 2], "dst": [1, 2, 3], "weight": values})
    if suffix == ".npz":
        sp.save_npz(path, sp.coo_matrix((np.array(values), (frame["src"], frame["dst"])), shape=(4, 4)))
    elif suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    found = datasets.load(str(path), read=ReadOptions(directed=True))
    assert list(weights_of(found).values()) == [2**53, 2**53 + 2, 5]
    assert len(found.reading) == 1
    if suffix == ".csv":  # beside a fraction too
        path.write_text(f"src,dst,weight\n0,1,{values[0]}\n1,2,0.5\n2,3,1e300\n")
        assert f"1 weight beyond 2^53, the first is {values[0]}" in datasets.load(str(path)).reading[0]
    assert "1 " in found.reading[0] and f"beyond 2^53, the first is {2**53 + 1}: rounded to float64" in found.reading[0]


def test_the_checksum_of_weights_that_float32_holds_is_as_before(tmp_path):
    (tmp_path / "g.csv").write_text("src,dst,weight\n0,1,2\n1,2,0.5\n")
    found = datasets.load(str(tmp_path / "g.csv"))
    narrow = datasets.load(str(tmp_path / "g.csv"))
    narrow.graph.edata["weight"] = narrow.graph.edata["weight"].float()
    assert found.checksum() == narrow.checksum()
    (tmp_path / "g.csv").write_text("src,dst,weight\n0,1,2\n1,2,0.1\n")
    other = datasets.load(str(tmp_path / "g.csv"))
    other.graph.edata["weight"] = other.graph.edata["weight"].float()
    assert other.checksum() != datasets.load(str(tmp_path / "g.csv")).checksum()


def test_features_that_float32_cannot_hold_are_counted(tmp_path):
    (tmp_path / "g.csv").write_text("0,1\n1,2\n")
    (tmp_path / "x.csv").write_text("id,a,b\n0,16777217,0.1\n1,2,1e-60\n2,3,0.3333333333333333\n")
    found = datasets.load(str(tmp_path / "g.csv"), read=ReadOptions(features=str(tmp_path / "x.csv")))
    assert found.reading == (
        f"{tmp_path / 'x.csv'}: 1 feature beyond 2^24, the first is 16777217: rounded to float32",
        f"{tmp_path / 'x.csv'}: 1 feature too small for float32: taken as 0",
    )
    (tmp_path / "x.csv").write_text("id,a\n0,1e39\n1,2\n2,3\n")
    with pytest.raises(DataError, match="feature 1e\\+39 is beyond float32"):
        datasets.load(str(tmp_path / "g.csv"), read=ReadOptions(features=str(tmp_path / "x.csv")))
