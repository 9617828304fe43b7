"""A graph as the local methods read it: rows of neighbours, and two-valued labels that weaken the edges between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graphkit import reading
from graphkit.errors import DataError
from graphkit.lazy import np

if TYPE_CHECKING:
    import numpy

    from graphkit.datasets.base import GraphDataset


@dataclass(frozen=True)
class LocalGraph:
    """An undirected graph whose edges weigh ``epsilon`` times as much where the labels of their ends differ.

    indptr: (n + 1,) int64; indices: (m,) int32, both directions; weights: (m,) float64, empty where every edge weighs 1.
    degrees: (n,) float64 without labels, and volume, their sum. labels: (n,) int8 of 0 and 1, empty where there are none.
    labelled_volume: the sum of the degrees with labels.
    """

    indptr: numpy.ndarray
    indices: numpy.ndarray
    weights: numpy.ndarray
    degrees: numpy.ndarray
    volume: float
    labels: numpy.ndarray
    epsilon: float = 1.0
    labelled_volume: float = 0.0

    @classmethod
    def of(cls, dataset: GraphDataset) -> LocalGraph:
        """Read a data set's graph: directions ignored, loops dropped, copies of an edge merged, their weights added up.

        Raises :class:`DataError` for many graphs, or for a weight that is not positive.
        """
        import scipy.sparse

        from graphkit.kernels.simple import simple_matrix

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
        """From an (n, n) symmetric SciPy matrix with positive entries off the diagonal; ``weighted`` False reads them as 1."""
        matrix = matrix.tocsr()
        matrix.sort_indices()
        indptr = matrix.indptr.astype(np.int64)
        weights = matrix.data.astype(np.float64) if weighted else np.empty(0)
        degrees = np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel() if weighted else np.diff(indptr).astype(np.float64)
        none, volume = np.empty(0, np.int8), float(degrees.sum())
        return cls(indptr, matrix.indices.astype(np.int32), weights, degrees, volume, none, 1.0, volume)

    @property
    def num_nodes(self) -> int:
        """Number of nodes."""
        return len(self.degrees)

    @property
    def arrays(self) -> tuple:
        """What the kernels take."""
        return self.indptr, self.indices, self.weights, self.degrees, self.labels, self.epsilon

    def labelled(self, labels: numpy.ndarray, epsilon: float) -> LocalGraph:
        """The same graph with (n,) labels of 0 and 1. The weights are computed as they are read; one pass of O(m) sums the volume."""
        from graphkit.kernels.local_work import total_volume

        labels = np.ascontiguousarray(labels, dtype=np.int8)
        if labels.shape != (self.num_nodes,) or ((labels != 0) & (labels != 1)).any():
            raise ValueError(f"labels: found shape {labels.shape}, expected ({self.num_nodes},) of 0 and 1")
        graph = replace(self, labels=labels, epsilon=float(epsilon))
        return replace(graph, labelled_volume=float(total_volume(graph.arrays)))

    def plain(self) -> LocalGraph:
        """The same graph without labels."""
        return replace(self, labels=np.empty(0, np.int8), epsilon=1.0, labelled_volume=self.volume)

    def cut_and_volume(self, nodes: numpy.ndarray) -> tuple[float, float]:
        """Weight of the edges that leave a set, and the sum of its degrees; O(volume of the set)."""
        from graphkit.kernels.local_work import sweep, workspace

        if not len(nodes):
            return 0.0, 0.0
        cuts, volumes, _ = sweep(self.arrays, workspace(self.num_nodes)[3], np.asarray(nodes, dtype=np.int64), self.labelled_volume)
        return float(cuts[-1]), float(volumes[-1])

    def conductance(self, nodes: numpy.ndarray) -> float:
        """cut / min(volume, rest of the volume); infinite where one of them is 0."""
        cut, volume = self.cut_and_volume(nodes)
        smaller = min(volume, self.labelled_volume - volume)
        return cut / smaller if smaller > 1e-9 * self.labelled_volume else float("inf")
