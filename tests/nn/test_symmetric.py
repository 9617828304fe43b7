"""P h on whole graphs and in expectation over a sampler's pieces, against dense algebra."""

import dgl
import pytest
import torch

from graphkit.nn.symmetric import keep_degrees, spread


def drawn(n: int = 40, count: int = 150):
    torch.manual_seed(0)
    pairs = torch.randint(n, (2, count))
    graph = dgl.to_simple(dgl.to_bidirected(dgl.graph((pairs[0], pairs[1]), num_nodes=n)))
    return dgl.add_self_loop(dgl.remove_self_loop(graph))


def dense(graph) -> torch.Tensor:
    adjacency = torch.zeros(graph.num_nodes(), graph.num_nodes(), dtype=torch.float64)
    adjacency[graph.edges()] = 1.0
    root = adjacency.sum(0).rsqrt()
    return root[:, None] * adjacency * root[None, :]


def test_spread_is_the_product_with_the_dense_matrix():
    graph, x = drawn(), torch.randn(40, 3, dtype=torch.float64)
    torch.testing.assert_close(spread(graph, x), dense(graph).T @ x)
    torch.testing.assert_close(spread(keep_degrees(graph), x), dense(graph).T @ x)


@pytest.mark.parametrize("kept", [True, False])
def test_sampled_neighbours_stand_for_all(kept):
    """The mean over draws is P h with the kept degrees, and far from it with those of the pieces."""
    graph, x, times = drawn(), torch.rand(40, 3, dtype=torch.float64), 2000
    expected = dense(graph).T @ x
    if kept:
        keep_degrees(graph)
    sampler = dgl.dataloading.NeighborSampler([2])
    dgl.seed(0)
    found = []
    for _ in range(times):
        nodes, _, (block,) = sampler.sample(graph, torch.arange(40))
        found.append(spread(block, x[nodes]))
    found = torch.stack(found)
    error = found.mean(0) - expected
    if kept:
        sigmas = error.abs() / (found.std(0) / times**0.5 + 1e-9)
        assert sigmas.max() < 4.5
    else:
        assert error.norm() > 0.1 * expected.norm()
