"""Streams that the tests of several learners of events are run on."""

import copy

import numpy as np
import pytest
import torch

from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.events import in_order, static_graph
from graphkit.datasets.splits.events import finish_events


@pytest.fixture
def with_features():
    """Add random features of events, width 2, and of nodes, width 3, to a stream."""

    def add(stream):
        rng, events, graph = np.random.default_rng(5), stream.events, copy.copy(stream.graph)
        rich = in_order(events.src, events.dst, events.time, feat=rng.normal(size=(len(events), 2)).astype(np.float32))
        graph.ndata["feat"] = torch.from_numpy(rng.normal(size=(stream.num_nodes, 3)).astype(np.float32))
        return stream.renamed(events=rich, graph=graph)

    return add


@pytest.fixture
def of_events():
    """Make a data set of events among so many nodes."""

    def make(src, dst, time, nodes):
        events = in_order(src, dst, time)
        return finish_events(GraphDataset("stream", static_graph(events, nodes), events=events), None, None, 0)

    return make
