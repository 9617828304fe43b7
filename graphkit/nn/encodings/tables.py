"""Raw encodings of a data set as named arrays."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from graphkit.datasets.base import GraphDataset
from graphkit.nn.encodings.raw import arrays
from graphkit.nn.encodings.specs import WORDS, Encoding
from graphkit.nn.encodings.structure import Structure

log = logging.getLogger("graphkit")


def parts(dataset: GraphDataset) -> tuple[list[Structure], np.ndarray]:
    """Return the structure of each graph of a data set, in order, and the (G,) numbers of their nodes."""
    if dataset.graphs is not None:
        sizes = np.array([graph.num_nodes() for graph in dataset.graphs], dtype=np.int64)
        ends = [tuple(end.numpy() for end in graph.edges()) for graph in dataset.graphs]
        return [Structure.of(*pair, size) for pair, size in zip(ends, sizes.tolist())], sizes
    src, dst = (end.numpy() for end in dataset.graph.edges())
    owner = dataset.graph.ndata.get("_graph")
    if owner is None:
        return [Structure.of(src, dst, dataset.num_nodes)], np.array([dataset.num_nodes])
    owner = owner.numpy()
    sizes = np.bincount(owner)
    starts, cuts = np.cumsum(sizes) - sizes, np.argsort(owner[src], kind="stable")
    pieces = np.split(cuts, np.cumsum(np.bincount(owner[src], minlength=len(sizes)))[:-1])
    return [
        Structure.of(src[e] - start, dst[e] - start, n) for e, start, n in zip(pieces, starts, sizes.tolist())
    ], sizes


def columns(dataset: GraphDataset, encodings: Sequence[Encoding], threads: int | None = None) -> dict[str, np.ndarray]:
    """Return the raw values of the encodings, float32, over the nodes of all graphs in order.

    ``id`` (n,): the ids as the user gave them, or the number of the node in its graph where there are several, then
    with ``graph`` (n,), its number. An encoding ``rwse`` is (n, K) under its name. Encodings made of eigenvectors
    (``lappe``, ...) hold the entries of the K vectors there, and the (n, K) eigenvalues of the node's graph under
    ``lappe_eigenvalue``; both NaN beyond the number of nodes. The learned width of an encoding means nothing here.
    """
    structures, sizes = parts(dataset)
    many = dataset.graphs is not None or "_graph" in dataset.graph.ndata
    starts = np.cumsum(sizes) - sizes
    out = {"id": np.arange(sizes.sum()) - np.repeat(starts, sizes) if many else np.asarray(dataset.ids())}
    if many:
        out["graph"] = np.repeat(np.arange(len(sizes)), sizes)
    for encoding in encodings:
        values = np.concatenate(arrays(structures, encoding.raw, threads))
        missing = np.isnan(values.reshape(len(values), values.shape[1] if values.ndim > 1 else 1, -1)).any(2)
        if missing.any():
            log.warning(
                "%s: %s has no value in %d of %d places, where a graph has fewer nodes than it asks for; they are"
                " empty",
                dataset.name,
                encoding.name,
                missing.sum(),
                missing.size,
            )
        if WORDS[encoding.name].raw.startswith("lap"):
            out[encoding.name], out[f"{encoding.name}_eigenvalue"] = values[..., 0], values[..., 1]
        else:
            out[encoding.name] = values
    return out
