"""A graph to a file that this package, and others, read back: the same edges, ids and weights.

Undirected edges are written once in edge lists and GraphML, and as a symmetric matrix elsewhere. Files appear whole or
not at all.
"""

from __future__ import annotations

import gzip
import logging
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr

import dgl
import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import torch

from graphkit.core.errors import DataError, UsageError, did_you_mean
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.dglbin import HEADER
from graphkit.datasets.writers import stored_writer
from graphkit.io.files import atomic_path
from graphkit.io.formats import SUFFIXES

log = logging.getLogger("graphkit")

# suffix -> function; .gz may follow those in TEXT
WRITERS = {
    ".csv": "_csv",
    ".tsv": "_tsv",
    ".txt": "_txt",
    ".edges": "_txt",
    ".edgelist": "_txt",
    ".parquet": "_parquet",
    ".mtx": "_mtx",
    ".npz": "_npz",
    ".graphml": "_graphml",
    ".bin": "_dglbin",
    ".graph": "_stored",
}
TEXT = (".csv", ".tsv", ".txt", ".edges", ".edgelist", ".mtx", ".graphml")
ALL_NODES = ("_mtx", "_npz", "_graphml", "_dglbin", "_stored")


def write_graph(dataset: GraphDataset, path) -> None:
    """Write the graph of a data set in the format of the path's suffix, ``.gz`` after it for text; ``-`` writes tsv.

    Raises :class:`UsageError` for an unknown suffix and :class:`~graphkit.core.errors.OutputError` where the file
    cannot be written.
    """
    if dataset.graph is None:
        raise DataError(f"{dataset.name}: holds {len(dataset.graphs)} graphs, expected one to write")
    if str(path) == "-":
        sys.stdout.flush()
        _tsv(dataset, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    writer, packed = writer_of(path)
    if writer == "_stored":  # a folder, which it makes itself
        stored_writer.write(dataset, path)
        return
    if writer not in ALL_NODES:
        alone = int(((dataset.graph.in_degrees() + dataset.graph.out_degrees()) == 0).sum())
        if alone:
            log.warning("%s: %d isolated nodes are left out, an edge list cannot hold them", path, alone)
    with atomic_path(path) as temporary:
        if packed:
            with open(temporary, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as handle:
                globals()[writer](dataset, handle)
        else:
            with open(temporary, "wb") as handle:
                globals()[writer](dataset, handle)


def writer_of(path) -> tuple[str, bool]:
    """(name of the function, whether to gzip) for a path."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    packed = suffixes[-1:] == [".gz"]
    suffix = (suffixes[:-1] if packed else suffixes)[-1:]
    suffix = suffix[0] if suffix else ""
    known = [*WRITERS, *(f"{text}.gz" for text in TEXT)]
    if suffix not in WRITERS or (packed and suffix not in TEXT):
        shown = suffix + (".gz" if packed else "")
        hint = did_you_mean(shown, known) or f"; expected one of {', '.join(WRITERS)}"
        if suffix in SUFFIXES and not packed:
            hint = f" ({SUFFIXES[suffix]} is only read); expected one of {', '.join(WRITERS)}"
        raise UsageError(f"{path}: suffix {shown!r} cannot be written{hint}")
    return WRITERS[suffix], packed


def edges_once(dataset: GraphDataset):
    """(src, dst, weight or None): every stored edge, undirected ones once with src <= dst."""
    src, dst = (ids.numpy().astype(np.int64) for ids in dataset.graph.edges(order="eid"))
    weight = dataset.graph.edata["weight"].numpy() if dataset.weighted else None
    if not dataset.directed:
        once = src <= dst
        src, dst, weight = src[once], dst[once], None if weight is None else weight[once]
    return src, dst, weight


def _table(dataset: GraphDataset):
    src, dst, weight = edges_once(dataset)
    ids = dataset.node_ids
    if ids is None:
        columns = {"src": src, "dst": dst}
    elif ids.dtype.kind in "iu":
        columns = {"src": ids[src], "dst": ids[dst]}
    else:
        names = pyarrow.array([str(name) for name in ids.tolist()], pyarrow.string())
        columns = {"src": names.take(pyarrow.array(src)), "dst": names.take(pyarrow.array(dst))}
    if weight is not None:
        columns["weight"] = weight
    return pyarrow.table(columns)


def _delimited(delimiter: str, dataset: GraphDataset, handle) -> None:
    table = _table(dataset)
    style = "needed" if _is_text(dataset) and _quotes(dataset, delimiter) else "none"
    # The header is quoted by pyarrow whatever the style, and nobody needs that.
    handle.write((delimiter.join(table.column_names) + "\n").encode())
    options = pyarrow.csv.WriteOptions(include_header=False, delimiter=delimiter, quoting_style=style)
    pyarrow.csv.write_csv(table, _Sink(handle), options)


class _Sink:
    """A binary handle that pyarrow may close without closing ours."""

    def __init__(self, handle):
        self.write, self.flush, self.closed = handle.write, handle.flush, False

    def close(self):
        self.closed = True


def _is_text(dataset: GraphDataset) -> bool:
    return dataset.node_ids is not None and dataset.node_ids.dtype.kind not in "iu"


def _quotes(dataset: GraphDataset, delimiter: str) -> bool:
    """Whether some id must stand in quotes; pyarrow then quotes them all. Raises for what a line cannot hold."""
    needed = False
    for name in dataset.node_ids.tolist():
        odd = "\n" in name or "\r" in name or name != name.strip() or not name
        if odd or (delimiter == " " and ("  " in name or "\t" in name)):
            raise DataError(f"node id {name!r} is empty or has a line break or blanks that a text table would lose")
        needed = needed or delimiter in name or '"' in name or name[0] in "#%"
    return needed


def _csv(dataset, handle):
    _delimited(",", dataset, handle)


def _tsv(dataset, handle):
    _delimited("\t", dataset, handle)


def _txt(dataset, handle):
    _delimited(" ", dataset, handle)


def _parquet(dataset, handle):
    pyarrow.parquet.write_table(_table(dataset), _Sink(handle))


def _mtx(dataset, handle):
    src, dst, weight = edges_once(dataset)
    field = "pattern" if weight is None else "real"
    symmetry = "general" if dataset.directed else "symmetric"
    handle.write(f"%%MatrixMarket matrix coordinate {field} {symmetry}\n".encode())
    if dataset.node_ids is not None:
        for name in dataset.node_ids.tolist():
            if _is_text(dataset) and ("\n" in name or name != name.strip()):
                raise DataError(f"node id {name!r} has a line break or blanks at its ends, which mtx cannot hold")
            handle.write(f"%id {name}\n".encode())
    handle.write(f"{dataset.num_nodes} {dataset.num_nodes} {len(src)}\n".encode())
    columns = {"row": dst + 1, "column": src + 1}  # a symmetric matrix is stored by its lower triangle
    if dataset.directed:
        columns = {"row": src + 1, "column": dst + 1}
    if weight is not None:
        columns["weight"] = weight
    options = pyarrow.csv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")
    pyarrow.csv.write_csv(pyarrow.table(columns), _Sink(handle), options)


def _npz(dataset, handle):
    src, dst = (ids.numpy().astype(np.int64) for ids in dataset.graph.edges(order="eid"))
    values = dataset.graph.edata["weight"].numpy() if dataset.weighted else np.ones(len(src), dtype=np.float32)
    arrays = {
        "row": src,
        "col": dst,
        "data": values,
        "shape": np.array([dataset.num_nodes] * 2),
        "format": np.array(b"coo"),
    }
    if dataset.node_ids is not None:
        ids = dataset.node_ids
        arrays["node_ids"] = np.array([str(name) for name in ids.tolist()]) if _is_text(dataset) else ids
    np.savez_compressed(handle, **arrays)


def _graphml(dataset, handle):
    src, dst, weight = edges_once(dataset)
    names = [quoteattr(str(name)) for name in dataset.ids().tolist()]
    for name in names:
        if any(ord(letter) < 32 for letter in name):
            raise DataError(f"node id {name!r} has a control character, which XML cannot hold")
    kind = "directed" if dataset.directed else "undirected"
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">']
    if weight is not None:
        lines.append('  <key id="weight" for="edge" attr.name="weight" attr.type="double"/>')
    lines.append(f'  <graph id="G" edgedefault="{kind}">')
    lines += [f"    <node id={name}/>" for name in names]
    handle.write(("\n".join(lines) + "\n").encode())
    for start in range(0, len(src), 100_000):
        part = slice(start, start + 100_000)
        pairs = zip(src[part].tolist(), dst[part].tolist())
        if weight is None:
            rows = [f"    <edge source={names[u]} target={names[v]}/>\n" for u, v in pairs]
        else:
            rows = [
                f'    <edge source={names[u]} target={names[v]}><data key="weight">{w}</data></edge>\n'
                for (u, v), w in zip(pairs, weight[part].astype(str).tolist())
            ]
        handle.write("".join(rows).encode())
    handle.write(b"  </graph>\n</graphml>\n")


def _dglbin(dataset, handle):
    graph = dataset.graph.local_var()
    if dataset.split is not None and dataset.task in (None, "node"):
        for part in ("train", "valid", "test"):
            mask = torch.zeros(graph.num_nodes(), dtype=torch.uint8)
            mask[torch.from_numpy(getattr(dataset.split, part))] = 1
            graph.ndata[f"{part}_mask"] = mask
    labels = {}
    if dataset.node_ids is not None and _is_text(dataset):
        text = "\n".join(dataset.node_ids.tolist())
        if text.count("\n") != len(dataset.node_ids) - 1:
            raise DataError("a node id has a line break, which the DGL file cannot hold")
        labels["node_ids_utf8"] = torch.tensor(list(text.encode()), dtype=torch.uint8)
    elif dataset.node_ids is not None:
        labels["node_ids"] = torch.from_numpy(dataset.node_ids)
    dgl.save_graphs(handle.name, [graph], labels)
    with open(handle.name, "r+b") as written:
        # DGL fills its header up with whatever was in memory; zeros make equal graphs equal files.
        written.seek(32)
        written.write(bytes(HEADER - 32))
