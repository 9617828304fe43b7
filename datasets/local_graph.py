"""A graph as the local methods read it: rows of neighbours, and two-valued labels that weaken the edges between
them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from graphkit.core import reading
from graphkit.core.errors import DataError

if TYPE_CHECKING:
    import numpy

    from graphkit.datasets.base import GraphDataset


@dataclass(frozen=True)
class LocalGraph:
    """An undirected graph whose edges weigh ``epsilon`` times as much where the labels of their ends differ.

    indptr: (n + 1,) int64; indices: (m,) int32, both directions; weights: (m,) float64, empty where every edge weighs
        1.
    degrees: (n,) float64 without labels, and volume, their sum. labels: (n,) int8 of 0 and 1, empty where there are
        none.

    The arrays are read-only; those of a stored graph are mapped, and their rows are checked by the kernels that read
    them.
    """

    indptr: numpy.ndarray
    indices: numpy.ndarray
    weights: numpy.ndarray
    degrees: numpy.ndarray
    volume: float
    labels: numpy.ndarray
    epsilon: float = 1.0

    @classmethod
    def of(cls, dataset: GraphDataset) -> LocalGraph:
        """Read a data set's graph: directions ignored, loops dropped, copies of an edge merged, their weights added up.

        Raises :class:`DataError` for many graphs, or for a weight that is not positive.
        """
        stored = getattr(dataset, "stored", None)
        if stored is not None and stored.simple:
            return cls.of_stored(stored)
        import scipy.sparse

        from graphkit.datasets.simple import simple_matrix

        if not dataset.weighted:
            matrix = simple_matrix(dataset)
            return cls.of_matrix(matrix, weighted=False)
        source, target = (ends.cpu().numpy() for ends in dataset.graph.edges(order="eid"))
        weights = dataset.graph.edata["weight"].cpu().numpy().astype(np.float64).reshape(-1)
        bad = np.flatnonzero(~(weights > 0) | ~np.isfinite(weights))
        if len(bad):
            ids = dataset.ids()
            ends = f"{ids[source[bad[0]]]} - {ids[target[bad[0]]]}"
            raise DataError(f"{dataset.name}: the edge {ends} weighs {weights[bad[0]]:g}, expected a number above 0")
        keep = source != target
        n = dataset.num_nodes
        matrix = scipy.sparse.csr_array((weights[keep], (source[keep], target[keep])), shape=(n, n))
        if dataset.directed:
            reading.note(dataset.name, "directions ignored: an edge weighs as much as both directions of it")
            matrix = scipy.sparse.csr_array(matrix + matrix.T)
        return cls.of_matrix(matrix, weighted=True)

    @classmethod
    def of_matrix(cls, matrix, weighted: bool = True) -> LocalGraph:
        """From an (n, n) symmetric SciPy matrix with positive entries off the diagonal; ``weighted`` False reads them
        as 1.
        """
        matrix = matrix.tocsr()
        matrix.sort_indices()
        indptr = matrix.indptr.astype(np.int64)
        weights = matrix.data.astype(np.float64) if weighted else np.empty(0)
        degrees = (
            np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel() if weighted else np.diff(indptr).astype(np.float64)
        )
        arrays = indptr, matrix.indices.astype(np.int32), weights, degrees
        return cls(*map(fixed, arrays), float(degrees.sum()), _no_labels())

    @classmethod
    def of_stored(cls, stored) -> LocalGraph:
        """From a :class:`graphkit.datasets.readers.stored.StoredGraph` that is simple; nothing is read."""
        arrays = stored.arrays
        weights = arrays.get("weights", np.empty(0))
        return cls(
            *map(fixed, (arrays["indptr"], arrays["indices"], weights, arrays["degrees"])), stored.volume, _no_labels()
        )

    @property
    def num_nodes(self) -> int:
        """Number of nodes."""
        return len(self.degrees)

    @property
    def arrays(self) -> tuple:
        """What the kernels take."""
        return self.indptr, self.indices, self.weights, self.degrees, self.labels, self.epsilon

    def labelled(self, labels: numpy.ndarray, epsilon: float) -> LocalGraph:
        """The same graph with (n,) labels of 0 and 1; weights are computed as they are read, and no edge is read
        here.
        """
        labels = np.ascontiguousarray(labels, dtype=np.int8)
        if labels.shape != (self.num_nodes,) or labels.view(np.uint8).max(initial=0) > 1:
            raise ValueError(f"labels: found shape {labels.shape}, expected ({self.num_nodes},) of 0 and 1")
        return replace(self, labels=fixed(labels), epsilon=float(epsilon))

    def plain(self) -> LocalGraph:
        """The same graph without labels."""
        return replace(self, labels=_no_labels(), epsilon=1.0)

    @functools.cached_property
    def labelled_volume(self) -> float:
        """The sum of the degrees with labels; O(m) where there are some."""
        from graphkit.graph.local_work import total_volume

        return total_volume(self.arrays) if len(self.labels) else self.volume

    def volume_beyond(self, volume: float) -> float:
        """The labelled volume, or a bound of it where that cannot change min(v, total - v) of any v up to ``volume``.

        It is at least ``epsilon`` times the volume without labels, so that a set of half of that and less needs no sum
        over all edges.
        """
        least = self.epsilon * self.volume
        return least if len(self.labels) and 2.0 * volume <= least else self.labelled_volume

    def cut_and_volume(self, nodes: numpy.ndarray) -> tuple[float, float]:
        """Weight of the edges that leave a set, and the sum of its degrees; O(volume of the set)."""
        from graphkit.graph.local_work import sweep, workspace

        if not len(nodes):
            return 0.0, 0.0
        cuts, volumes, _ = sweep(self.arrays, workspace(self.num_nodes)[3], nodes, np.inf)
        return float(cuts[-1]), float(volumes[-1])

    def conductance(self, nodes: numpy.ndarray) -> float:
        """cut / min(volume, rest of the volume); infinite where one of them is 0."""
        cut, volume = self.cut_and_volume(nodes)
        total = self.volume_beyond(volume)
        smaller = min(volume, total - volume)
        return cut / smaller if smaller > 1e-9 * total else float("inf")


def fixed(array: numpy.ndarray) -> numpy.ndarray:
    """A read-only view: kernels are compiled for one kind of array, in memory or mapped."""
    view = array.view()
    view.flags.writeable = False
    return view


def _no_labels() -> numpy.ndarray:
    return fixed(np.empty(0, np.int8))
