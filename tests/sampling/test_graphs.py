"""Batches cut out of graphs laid end to end, against DGL's own batches of the graphs."""

from __future__ import annotations

import dgl
import numpy as np
import pytest
import torch

from graphkit.core.errors import DataError
from graphkit.sampling.graphs import GraphSet


def graphs_of(seed=0, sizes=(4, 1, 6, 3, 5)):
    rng, made = np.random.default_rng(seed), []
    for n in sizes:
        count = 0 if n == 1 else 2 * n  # one graph without edges, the others with copies and loops
        graph = dgl.graph((rng.integers(n, size=count), rng.integers(n, size=count)), num_nodes=n)
        graph.ndata["feat"], graph.edata["feat"] = torch.randn(n, 3), torch.randint(5, (count, 2))
        made.append(graph)
    return made


def assert_same(found, expected):
    assert all(torch.equal(a, b) for a, b in zip(found.edges(order="eid"), expected.edges(order="eid")))
    assert torch.equal(found.batch_num_nodes(), expected.batch_num_nodes())
    assert torch.equal(found.batch_num_edges(), expected.batch_num_edges())
    for mine, theirs in ((found.ndata, expected.ndata), (found.edata, expected.edata)):
        assert set(mine) == set(theirs) and all(torch.equal(mine[key], theirs[key]) for key in mine)


@pytest.mark.parametrize("numbers", [[0, 1, 2, 3, 4], [3, 1], [1], [4, 0, 4], [2, 2]])
def test_a_batch_is_that_of_dgl(numbers):
    graphs = graphs_of()
    found = GraphSet.from_graphs(graphs)
    assert len(found) == 5
    assert_same(found.batch(torch.tensor(numbers)), dgl.batch([graphs[k] for k in numbers]))


def test_parts_of_one_graph_are_cut_out_whatever_the_order_of_its_edges():
    graphs = graphs_of(1)
    whole = dgl.batch(graphs)
    owner = torch.arange(5).repeat_interleave(whole.batch_num_nodes())
    order = torch.randperm(whole.num_edges())
    src, dst = whole.edges(order="eid")
    mixed = dgl.graph((src[order], dst[order]), num_nodes=whole.num_nodes())
    mixed.ndata["feat"], mixed.edata["feat"] = whole.ndata["feat"], whole.edata["feat"][order]
    found = GraphSet.from_parts(mixed, owner)
    assert found.owners().tolist() == owner.tolist() and found.nodes(torch.tensor([2, 0])).tolist() == [
        *range(5, 11),
        *range(4),
    ]
    for k, graph in enumerate(graphs):
        part = found.batch(torch.tensor([k]))
        rows = [
            sorted(zip(*(ends.tolist() for ends in g.edges()), map(tuple, g.edata["feat"].tolist())))
            for g in (part, graph)
        ]
        assert rows[0] == rows[1] and torch.equal(part.ndata["feat"], graph.ndata["feat"])


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(DataError, match="no graphs"):
        GraphSet.from_graphs([])
    bare = dgl.graph(([0], [1]), num_nodes=2)
    with pytest.raises(DataError, match="differ in their node or edge data"):
        GraphSet.from_graphs([graphs_of()[0], bare])
    with pytest.raises(DataError, match="an edge joins two graphs"):
        GraphSet.from_parts(bare, torch.tensor([0, 1]))
    with pytest.raises(DataError, match="not ordered"):
        GraphSet.from_parts(bare, torch.tensor([1, 0]))
