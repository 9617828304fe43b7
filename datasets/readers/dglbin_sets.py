"""Many labelled graphs from one of DGL's ``.bin`` files: ``dgl.save_graphs(path, graphs, {"label": y})``.

``y`` (G,), or (G, T), as ``label``, ``labels`` or ``y``. Integers in one column are classes, -1 where one is not known.
Other numbers are a regression, or several labels a graph where all of them are 0 or 1; NaN, or -1 beside integers of 0
and 1, where one is not known. Arrays ``train_mask``, ``valid_mask``, ``test_mask`` (G,) of 0 and 1 are the split
``given``; without them it is drawn, and ``10fold`` and ``gin-10fold`` stand beside where every class has ten graphs.
Node and edge features are ``feat``, taken as numbers; edges are taken as they are.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import dgl
import numpy as np

from graphkit.core import reading
from graphkit.datasets.base import GraphDataset, GraphSplit
from graphkit.datasets.readers.dglbin import feature_rows, numbers, opened, read_one
from graphkit.datasets.readers.matrices import check_shape
from graphkit.datasets.splits.loaded import Loaded
from graphkit.datasets.splits.nodes import as_tensor, fold_splits, known_rows, stratified_folds
from graphkit.io.blob import Blob

log = logging.getLogger("graphkit")
LABELS = ("label", "labels", "y")
FOLDS = 10
GIVEN = "given"


def read_graphs(blob: Blob, name: str) -> Loaded:
    """Read the graphs, their features and labels, and the splits; raises :class:`DataError`.

    A graph whose edges all have their reverse counts as undirected; the set is directed where one of them is not.
    """
    reader, count = opened(blob)
    if count == 0:
        raise blob.error("found 0 graphs, expected at least one")
    named = reader.arrays()
    graphs, directed, nodes, edges, unused = [], False, 0, 0, set()
    for number in range(count):
        reader.blob = replace(blob, name=f"{blob.name}, graph {number}")
        src, dst, n, ndata, edata = read_one(reader)
        nodes, edges = nodes + n, edges + len(src)
        if nodes:
            check_shape(reader.blob, nodes, nodes, edges)
        graph = dgl.graph((as_tensor(src), as_tensor(dst)), num_nodes=n)
        for what, data, rows, frame in (("node", ndata, n, graph.ndata), ("edge", edata, len(src), graph.edata)):
            if "feat" in data:
                frame["feat"] = as_tensor(feature_rows(reader.blob, data["feat"], rows, what))
            unused.update(f"{what} array {key!r}" for key in data if key != "feat")
        graphs.append(graph)
        directed = directed or not np.array_equal(np.sort(src * n + dst), np.sort(dst * n + src))
    _check_widths(blob, graphs)
    if unused:
        reading.note(blob.name, f"not read: {', '.join(sorted(unused)[:5])}; features are those called 'feat'")
    return _labelled(blob, named, GraphDataset(name, graphs=graphs, directed=directed))


def _labelled(blob: Blob, named: dict, dataset: GraphDataset) -> Loaded:
    """The set with the labels and splits among the named arrays."""
    found = [name for name in LABELS if name in named]
    if len(found) > 1:
        raise blob.error(f"found the arrays {' and '.join(found)}, expected one with the labels")
    if not found:
        if named:
            log.warning(
                "%s: found the arrays %s, but no labels: %s", blob.name, ", ".join(sorted(named)[:5]), ", ".join(LABELS)
            )
        return Loaded(dataset)
    labels = _labels(blob, found[0], named[found[0]], len(dataset.graphs))
    dataset.graph_labels = as_tensor(labels)
    metric = "mae" if labels.dtype.kind == "f" and not _zero_or_one(labels) else None
    given = _splits(blob, named, labels)
    default = GIVEN if GIVEN in given else "random-0.8/0.1/0.1"
    return Loaded(dataset, given, defaults={"graph": (default, metric)})


def _check_widths(blob: Blob, graphs: list) -> None:
    for what, frames in (("node", [graph.ndata for graph in graphs]), ("edge", [graph.edata for graph in graphs])):
        widths = [frame["feat"].shape[1] if "feat" in frame else 0 for frame in frames]
        if len(set(widths)) > 1:
            other = next(number for number, width in enumerate(widths) if width != widths[0])
            raise blob.error(f"graph {other} has {widths[other]} {what} features, but graph 0 has {widths[0]}")


def _labels(blob: Blob, name: str, values: np.ndarray, count: int) -> np.ndarray:
    """(G,) int64 classes, or (G, T) float32."""
    if values.ndim not in (1, 2) or len(values) != count or values.size == 0:
        raise blob.error(f"array {name!r} has shape {values.shape}, expected {count} rows, one for each graph")
    values = values.reshape(count, -1)
    whole = values.dtype.kind in "biu"
    if values.shape[1] > 1 or not whole:
        as_floats = numbers(blob, values, f"array {name!r}", unknown=True)
        if whole and np.isin(values, (-1, 0, 1)).all():
            as_floats[values == -1] = np.nan
        return as_floats
    values = values[:, 0].astype(np.int64)
    if not -1 <= values.min() <= values.max() < max(count, 1000):
        raise blob.error(f"array {name!r} holds {values.min()}..{values.max()}, expected class numbers from 0, or -1")
    return values


def _zero_or_one(values: np.ndarray) -> bool:
    return bool(np.isin(values[~np.isnan(values)], (0.0, 1.0)).all())


def _splits(blob: Blob, named: dict, labels: np.ndarray) -> dict:
    masks = {part: named.get(f"{part}_mask") for part in ("train", "valid", "test")}
    if masks["valid"] is None:
        masks["valid"] = named.get("val_mask")
    missing = [part for part, mask in masks.items() if mask is None]
    if len(missing) < 3:
        if missing:
            raise blob.error(f"has no array {missing[0]}_mask, expected one beside those of the other parts")
        for part, mask in masks.items():
            if mask.shape != (len(labels),) or not np.isin(mask, (0, 1)).all():
                raise blob.error(
                    f"array {part}_mask of shape {mask.shape}: expected {len(labels)} of 0 and 1, one for each graph"
                )
        together = np.sum([mask.astype(np.int64) for mask in masks.values()], axis=0)
        if together.max() > 1:
            raise blob.error(
                f"graph {int(together.argmax())} is in {together.max()} of train_mask, valid_mask and test_mask,"
                " expected one"
            )
        known = known_rows(labels, "graph")
        return {GIVEN: GraphSplit(*(np.flatnonzero(mask.astype(bool) & known) for mask in masks.values()))}
    counts = np.bincount(labels) if labels.ndim == 1 and labels.min() >= 0 else np.zeros(1, dtype=np.int64)
    enough = counts.any() and counts[counts > 0].min() >= FOLDS
    return fold_splits(stratified_folds(labels, FOLDS), len(labels)) if enough else {}
