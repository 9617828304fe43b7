"""Graphs from arrays: the checks and conventions that all loaders share."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any

import dgl
import numpy as np
import torch

from graphkit.core.errors import DataError, GraphkitError
from graphkit.graph.codes import distinct
from graphkit.io import budget, contents


@contextlib.contextmanager
def reading(path: str | os.PathLike, kind: str) -> Iterator[None]:
    """Turn whatever a damaged file leads a parser to raise into one line that names the file."""
    try:
        yield
    except GraphkitError:
        raise
    except OSError as problem:
        reason = f"{problem.strerror or problem}"
        raise DataError(f"{path}: cannot be read as {kind}: {' '.join(reason.split())[:200]}") from None
    except Exception as problem:  # binary parsers raise nearly every class there is on a flipped bit
        reason = " ".join(str(problem).split())[:200] or type(problem).__name__
        raise DataError(f"{path}: cannot be read as {kind}: {reason}") from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Benchmarks' packages print and draw progress bars; the library does neither."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def check(condition: Any, path: str | os.PathLike, found: str, expected: str) -> None:
    """Raise a :class:`DataError` that says what was found and what was expected, unless the condition holds."""
    if not condition:
        raise DataError(f"{path}: found {found}, expected {expected}")


def check_ids(ids: np.ndarray, count: int, path: str | os.PathLike, what: str = "node id") -> None:
    """Raise :class:`DataError` where an id is outside 0..count-1."""
    if len(ids) and (ids.min() < 0 or ids.max() >= count):
        wrong = ids[(ids < 0) | (ids >= count)].ravel()[0]
        raise DataError(f"{path}: found {what} {wrong}, expected 0..{count - 1}")


def integer_table(path, columns: int, *, delimiter: str | None = None, skip: int = 0) -> np.ndarray:
    """Read the first columns of a text table as (rows, columns) int64."""
    return _table(path, np.int64, columns, delimiter, skip)


def number_table(path, columns: int, *, delimiter: str | None = None, skip: int = 0) -> np.ndarray:
    """Read the first columns of a text table as (rows, columns) float64."""
    values = _table(path, np.float64, columns, delimiter, skip)
    check(np.isfinite(values).all(), path, "a value that is NaN or infinite", "finite numbers")
    return values


def _table(path, dtype, columns, delimiter, skip) -> np.ndarray:
    with reading(path, f"a table of at least {columns} columns of numbers"):
        check(os.path.getsize(path) > 0, path, "an empty file", "a table of numbers")
        contents.guard(path)
        usecols = range(columns)
        table = np.loadtxt(path, dtype, comments=None, delimiter=delimiter, skiprows=skip, usecols=usecols, ndmin=2)
        check(len(table), path, "no rows", "a table of numbers")
        return table


def compact(*groups: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Number the distinct ids of several arrays 0..n-1 in ascending order; return (ids, renumbered arrays)."""
    ids, inverse = np.unique(np.concatenate([np.ravel(group) for group in groups]), return_inverse=True)
    parts = np.split(inverse.ravel(), np.cumsum([group.size for group in groups])[:-1])
    return ids, [part.reshape(group.shape) for part, group in zip(parts, groups)]


def plain_ids(ids: np.ndarray) -> np.ndarray | None:
    """None where the ids are 0..n-1, which needs no record; the ids elsewhere."""
    return None if len(ids) and ids[0] == 0 and ids[-1] == len(ids) - 1 else ids


def simple_edges(src, dst, *, directed: bool = False, loops: bool = False, weight=None):
    """Drop loops and duplicates; return (u, v, weight or None), sorted, u <= v where undirected.

    The weight of the first of several duplicates is kept.
    """
    src, dst = np.asarray(src, dtype=np.int64), np.asarray(dst, dtype=np.int64)
    if not directed:
        src, dst = np.minimum(src, dst), np.maximum(src, dst)
    keep = np.ones(len(src), dtype=bool) if loops else src != dst
    src, dst = src[keep], dst[keep]
    span = int(max(src.max(), dst.max())) + 1 if len(src) else 1
    codes = src * span + dst
    if weight is None:
        codes = distinct(codes)
        return codes // span, codes % span, None
    codes, first = np.unique(codes, return_index=True)
    return codes // span, codes % span, np.asarray(weight)[keep][first]


def graph_of(src, dst, num_nodes: int, *, directed: bool = False, loops: bool = False, weight=None, simple=False):
    """Make a DGLGraph: loops and duplicates dropped, both directions where undirected, int64 ids.

    simple: the edges are already free of duplicates and hold each undirected edge once. weight: kept as float64 where
    it is, else as float32.
    """
    if not simple:
        src, dst, weight = simple_edges(src, dst, directed=directed, loops=loops, weight=weight)
    if not directed:
        other = src != dst  # a loop has one direction only
        src, dst = np.concatenate([src, dst[other]]), np.concatenate([dst, src[other]])
        weight = None if weight is None else np.concatenate([weight, weight[other]])
    tensors = [torch.from_numpy(np.ascontiguousarray(ids, dtype=np.int64)) for ids in (src, dst)]
    graph = dgl.graph(tuple(tensors), num_nodes=int(num_nodes))
    if weight is not None:
        weight = np.asarray(weight)
        kind = np.float64 if weight.dtype == np.float64 else np.float32
        graph.edata["weight"] = torch.from_numpy(np.ascontiguousarray(weight, dtype=kind))
    return graph


def set_features(graph, values, path) -> None:
    """Store (n, F) node features as float32; raises :class:`DataError` for a wrong shape or a NaN."""
    shape = tuple(values.shape)
    expected = f"({graph.num_nodes()}, F) numbers"
    check(len(shape) == 2 and shape[0] == graph.num_nodes(), path, f"node features of shape {shape}", expected)
    budget.take(shape[0] * shape[1] * 4, path, f"node features of shape {shape}")
    if hasattr(values, "toarray"):
        values = values.astype(np.float32).toarray()
    values = np.ascontiguousarray(values, dtype=np.float32)
    check(np.isfinite(values).all(), path, "a node feature that is NaN or infinite", "finite numbers")
    graph.ndata["feat"] = torch.from_numpy(values)


def set_labels(graph, values, path) -> None:
    """Store (n,) int64 class numbers (-1 unlabelled) or (n, L) float32 multi-labels."""
    values = np.asarray(values)
    shape, expected = values.shape, f"{graph.num_nodes()} rows"
    check(values.ndim in (1, 2) and len(values) == graph.num_nodes(), path, f"labels of shape {shape}", expected)
    check(values.dtype.kind in "iufb", path, f"labels of type {values.dtype}", "numbers")
    values = values.astype(np.int64 if values.ndim == 1 else np.float32)
    if values.ndim == 1 and len(values):
        low, high = int(values.min()), int(values.max())
        # A damaged label would otherwise become a model with billions of outputs.
        check(low >= -1 and high < max(graph.num_nodes(), 1000), path, f"labels {low}..{high}", "class numbers from 0")
    graph.ndata["label"] = torch.from_numpy(np.ascontiguousarray(values))


def multi_hot(rows, columns, shape: tuple[int, int]) -> np.ndarray:
    """(n, L) float32 with ones at the given places."""
    budget.take(shape[0] * shape[1] * 4, "labels or features", f"a table of shape {shape}")
    out = np.zeros(shape, dtype=np.float32)
    out[np.asarray(rows, dtype=np.int64), np.asarray(columns, dtype=np.int64)] = 1.0
    return out
