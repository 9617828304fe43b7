"""From a list of edges to a GraphDataset: ids to node numbers, self-loops, duplicates, both directions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import dgl
import numpy as np
import pandas
import torch

from graphkit.core.errors import DataError
from graphkit.core.read_options import ReadOptions
from graphkit.core.reading import note
from graphkit.datasets.base import GraphDataset


@dataclass
class EdgeTable:
    """Edges as a file lists them, before cleaning.

    name: the file. src, dst: (m,) int64 node numbers. weight: (m,) float64 or None.
    node_ids: (n,) int64 sorted, or object array of str; None for 0..n-1. num_nodes: n.
    symmetric: whether the format stores both directions of an undirected edge (a matrix), so that a pair of equal
        mirrored entries is one edge and no duplicate.
    says_directed: whether the file itself says that its edges have a direction.
    ndata: node arrays that the file brings with it: ``feat``, ``label``, ``train_mask`` ...
    """

    name: str
    src: np.ndarray
    dst: np.ndarray
    weight: np.ndarray | None = None
    node_ids: np.ndarray | None = None
    num_nodes: int = 0
    symmetric: bool = False
    says_directed: bool = False
    ndata: dict[str, Any] = field(default_factory=dict)


@dataclass
class Nodes:
    """What is known about the nodes: feat (n, F) float32 and its columns' names, label (n,) int64 or float64, or (n, L)
    float32.
    """

    feat: np.ndarray | None = None
    label: np.ndarray | None = None
    class_names: list[str] | None = None
    feature_names: list[str] | None = None
    masks: dict[str, np.ndarray] = field(default_factory=dict)


def number_integers(src, dst):
    """Number integer ids in sorted order; returns (src, dst, node_ids or None, n). Memory O(m + n)."""
    if not len(src):
        return src, dst, None, 0
    low, high = min(src.min(), dst.min()), max(src.max(), dst.max())
    if low >= 0 and high <= 8 * len(src) + 1000:  # a table over the whole range costs less than sorting
        present = np.zeros(int(high) + 1, dtype=bool)
        present[src] = present[dst] = True
        if present.all():
            return src, dst, None, len(present)
        ids = np.flatnonzero(present)
        number = np.cumsum(present) - 1
        return number[src], number[dst], ids, len(ids)

    ids = np.sort(pandas.unique(np.concatenate((src, dst))))
    return np.searchsorted(ids, src), np.searchsorted(ids, dst), ids, len(ids)


def number_strings(codes, values):
    """Number string ids by first appearance, row by row.

    codes: (2m,) number of each id in ``values``, all sources before all destinations. Returns (src, dst, node_ids, n).
    """
    half = len(codes) // 2
    src, dst = codes[:half], codes[half:]
    first = np.full(len(values), 2 * half, dtype=np.int64)
    rows = np.arange(half, dtype=np.int64)[::-1] * 2
    first[dst[::-1]] = rows + 1  # the last assignment wins, so the rows go in backwards
    from_src = np.full(len(values), 2 * half, dtype=np.int64)
    from_src[src[::-1]] = rows
    order = np.argsort(np.minimum(first, from_src), kind="stable")
    number = np.empty(len(values), dtype=np.int64)
    number[order] = np.arange(len(values))
    return number[src], number[dst], values[order], len(values)


def build(table: EdgeTable, nodes: Nodes, options: ReadOptions, name: str) -> GraphDataset:
    """Clean the edges as the options say, report what was cleaned, and make the data set."""
    src, dst, weight = clean(table, options)
    if not len(src):
        raise DataError(
            f"{table.name}: no edges{' left without self-loops' if len(table.src) else ''}, expected a graph"
        )
    if not options.directed:
        across = src != dst  # a self-loop is stored once
        src, dst = np.concatenate((src, dst[across])), np.concatenate((dst, src[across]))
        weight = None if weight is None else np.concatenate((weight, weight[across]))
    graph = dgl.graph((torch.from_numpy(src), torch.from_numpy(dst)), num_nodes=table.num_nodes)
    if weight is not None:
        graph.edata["weight"] = torch.from_numpy(weight.astype(np.float64, copy=False))
    if nodes.feat is not None:
        graph.ndata["feat"] = torch.from_numpy(np.ascontiguousarray(nodes.feat, dtype=np.float32))
    if nodes.label is not None:
        graph.ndata["label"] = torch.from_numpy(np.ascontiguousarray(nodes.label))
    for key, mask in nodes.masks.items():
        graph.ndata[key] = torch.from_numpy(mask)
    return GraphDataset(
        name=name,
        graph=graph,
        directed=options.directed,
        node_ids=table.node_ids,
        class_names=nodes.class_names,
        feature_names=nodes.feature_names,
    )


def clean(table: EdgeTable, options: ReadOptions):
    """(src, dst, weight) sorted by node numbers, undirected edges once with src <= dst.

    The order of the lines in the file leaves no trace but in which of several duplicates is the first.
    """
    src, dst, weight, n = table.src, table.dst, table.weight, max(table.num_nodes, 1)
    if table.says_directed and not options.directed:
        note(table.name, "says that its edges are directed; read as undirected, --directed keeps directions")
    if table.symmetric and weight is not None and (weight == 1).all():
        weight = None
    loops = src == dst
    found = int(np.count_nonzero(loops))
    if found and options.self_loops == "drop":
        src, dst, weight = src[~loops], dst[~loops], None if weight is None else weight[~loops]
        note(table.name, f"{_count(found, 'self-loop', '')} dropped")
    if not options.directed:
        if table.symmetric and _mirrored(src, dst, weight, n):
            upper = src <= dst
            src, dst, weight = src[upper], dst[upper], None if weight is None else weight[upper]
        key = np.minimum(src, dst) * n + np.maximum(src, dst)
    else:
        key = src * n + dst
    return _merge(table, options, key, src, weight, n)


def _merge(table, options, key, src, weight, n):
    """Sort by key and treat equal keys as the options say."""
    count, forward = len(key), key // n == src
    if weight is None and options.duplicates != "sum":
        order, sorted_key = None, np.sort(key)
    else:
        order = np.argsort(key, kind="stable")
        sorted_key, weight = key[order], None if weight is None else weight[order]
    first = np.ones(count, dtype=bool)
    np.not_equal(sorted_key[1:], sorted_key[:-1], out=first[1:])
    again = count - int(np.count_nonzero(first))
    if again:
        _report(table, options, key, forward, n, again)
    if again and options.duplicates == "first":
        weight = None if weight is None else weight[first]
        sorted_key = sorted_key[first]
    elif again and options.duplicates == "sum":
        values = np.ones(count) if weight is None else weight
        weight = np.add.reduceat(values, np.flatnonzero(first))
        sorted_key = sorted_key[first]
    return sorted_key // n, sorted_key % n, weight


def _report(table, options, key, forward, n, again) -> None:
    reversed_too = 0
    if not options.directed:
        reversed_too = len(np.intersect1d(key[forward], key[~forward]))
    parts = [_count(again - reversed_too, "duplicated edge", "")] if again > reversed_too else []
    parts += [_count(reversed_too, "edge", " given in both directions")] if reversed_too else []
    done = {"first": "kept the first of each", "sum": "weights summed", "keep": "kept as parallel edges"}
    note(table.name, f"{' and '.join(parts)}; {done[options.duplicates]}")


def _count(number: int, noun: str, rest: str) -> str:
    return f"{number} {noun}{'s' * (number > 1)}{rest}"


def _mirrored(src, dst, weight, n) -> bool:
    """Whether the entries (i, j, w) and (j, i, w) are the same set."""
    if not len(src):
        return False
    here, there = src * n + dst, dst * n + src
    if weight is None:
        return np.array_equal(np.sort(here), np.sort(there))
    order, mirror = np.argsort(here, kind="stable"), np.argsort(there, kind="stable")
    return np.array_equal(here[order], there[mirror]) and np.array_equal(weight[order], weight[mirror])
