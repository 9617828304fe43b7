"""A data set as the simple undirected graph that combinatorial measures are defined on."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from graphkit.core import reading
from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset
from graphkit.graph.codes import distinct
from graphkit.graph.simple import symmetric_matrix


def simple_matrix(dataset: GraphDataset) -> scipy.sparse.csr_array:
    """(n, n) symmetric 0/1 matrix of a data set: weights and directions are ignored, loops dropped, copies of edges
    merged.

    Says in one line what it left out. Raises :class:`DataError` for a data set of many graphs.
    """
    if dataset.graph is None:
        raise DataError(f"{dataset.name}: found a data set of many graphs, expected one graph")
    pairs = np.stack([ends.cpu().numpy() for ends in dataset.graph.edges()], axis=1)
    matrix = symmetric_matrix(pairs, dataset.num_nodes)
    loops = int((pairs[:, 0] == pairs[:, 1]).sum())
    codes = pairs[:, 0].astype(np.int64) * dataset.num_nodes + pairs[:, 1]
    copies = len(codes) - len(distinct(codes))
    differences = {
        "directions ignored": dataset.directed,
        "weights ignored": dataset.weighted,
        f"{loops:,} loops dropped": loops,
        f"{copies:,} copies of edges merged": copies,
    }
    left_out = [name for name, found in differences.items() if found]
    if left_out:
        reading.note(dataset.name, f"read as a simple undirected graph: {', '.join(left_out)}")
    return matrix
