"""Homogeneous graphs from DGL's ``.bin`` (``dgl.save_graphs``, DGL 0.5 to 1.1), read field by field.

DGL's own reader trusts the lengths in the file and can take the process down with it; this one checks each against what
is left. The layout, all little-endian: 4096 bytes with magic, version, kind and number of graphs; the position of the
first graph; named arrays (``labels`` of save_graphs); the graphs: metagraph, edges as COO, CSR or CSC, the number of
nodes, node arrays, edge arrays, names of types. Strings and lists carry a u64 length in front.
"""

from __future__ import annotations

import struct

import numpy as np

from graphkit.core.read_options import ReadOptions
from graphkit.datasets.readers.assemble import EdgeTable
from graphkit.datasets.readers.matrices import check_shape, checked_ids
from graphkit.graph.narrow import as_float64
from graphkit.io.blob import Blob

HEADER = 4096
FILE_MAGIC, GRAPH_MAGIC, UNIT_MAGIC = 0xDD2E4FF046B4A13F, 0xDD589FBE35224ABF, 0xDD2E60F0F6B4A127
INDEX_MAGIC, CSR_MAGIC, COO_MAGIC, ARRAY_MAGIC = (
    0xDD3C5FFE20046ABF,
    0xDD6CD31205DFF127,
    0xDD61FFD305DFF127,
    0xDD5E40F096B4A13F,
)
VERSION, HETEROGRAPH = 2, 2
DTYPES = {
    (0, 8): "i1",
    (0, 16): "<i2",
    (0, 32): "<i4",
    (0, 64): "<i8",
    (1, 8): "u1",
    (1, 1): "?",
    (2, 16): "<f2",
    (2, 32): "<f4",
    (2, 64): "<f8",
}
MASKS = ("train_mask", "valid_mask", "val_mask", "test_mask")


class Reader:
    """Reads fields one after the other and says at which byte one is wrong."""

    def __init__(self, blob: Blob, place: int = 0):
        self.blob, self.data, self.place = blob, blob.data, place

    def take(self, count: int, what: str) -> bytes:
        left = len(self.data) - self.place
        if not 0 <= count <= left:
            raise self.blob.error(f"{what} at byte {self.place} declares {count} bytes, but {left} are left")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, what: str, form: str = "<Q") -> int:
        return struct.unpack(form, self.take(struct.calcsize(form), what))[0]

    def magic(self, value: int, what: str) -> None:
        place = self.place
        if self.number(what) != value:
            raise self.blob.error(
                f"no {what} at byte {place}, expected a homogeneous graph as dgl.save_graphs writes it"
            )

    def count(self, what: str, most: int) -> int:
        place, found = self.place, self.number(what)
        if found > most:
            raise self.blob.error(f"found {found} {what} at byte {place}, expected at most {most}")
        return found

    def text(self) -> str:
        return self.take(self.count("characters of a name", 1000), "name").decode("utf-8", "replace")

    def array(self, what: str) -> np.ndarray:
        self.magic(ARRAY_MAGIC, f"array ({what})")
        self.take(16, what)  # reserved; the device it was on
        dims = self.number(what, "<i")
        code, bits, lanes = struct.unpack("<BBH", self.take(4, what))
        if (code, bits) not in DTYPES or lanes != 1 or not 0 <= dims <= 8:
            raise self.blob.error(f"array {what!r} has an unknown type (code {code}, {bits} bits) or {dims} dimensions")
        shape = struct.unpack(f"<{dims}q", self.take(8 * dims, what))
        dtype, size = np.dtype(DTYPES[code, bits]), self.number(what, "<q")
        expected = dtype.itemsize
        for extent in shape:
            expected *= max(extent, -1)
        if min(shape, default=0) < 0 or expected != size:
            raise self.blob.error(f"array {what!r} declares shape {shape} and {size} bytes, which do not match")
        return np.frombuffer(self.take(size, f"array {what!r}"), dtype).reshape(shape)

    def arrays(self) -> dict[str, np.ndarray]:
        found = {}
        for _ in range(self.count("named arrays", 10_000)):
            name = self.text()
            found[name] = self.array(name)
        return found

    def csr(self) -> tuple:
        """(rows, columns, indptr, indices, edge ids) behind a CSR magic."""
        self.magic(CSR_MAGIC, "CSR matrix")
        rows, columns = self.number("rows"), self.number("columns")
        arrays = [self.array(name) for name in ("indptr", "indices", "edge ids")]
        self.take(1, "sorted")
        return (rows, columns, *arrays)


def opened(blob: Blob) -> tuple[Reader, int]:
    """(reader at the named arrays, number of graphs)."""
    reader = Reader(blob)
    reader.magic(FILE_MAGIC, "mark of a DGL graph file")
    version, kind, graphs = (reader.number("header") for _ in range(3))
    if version != VERSION or kind != HETEROGRAPH:
        raise blob.error(f"DGL format version {version}, kind {kind}, expected version 2 (DGL 0.5 or later)")
    reader.take(HEADER - reader.place, "header")
    reader.number("position")
    return reader, graphs


def read_one(reader: Reader) -> tuple:
    """(sources, destinations, number of nodes, node arrays by name, edge arrays by name) of the graph at the reader's
    place.
    """
    src, dst, n = _edges(reader)
    ndata, edata = _frames(reader)
    for what in ("names of node types", "names of edge types"):
        for _ in range(reader.count(what, 1000)):
            reader.text()
    for ids in (src, dst):
        if ids.ndim != 1 or (len(ids) and (ids.min() < 0 or ids.max() >= n)):
            raise reader.blob.error(f"an edge names a node outside 0..{n - 1}")
    return src, dst, n, ndata, edata


def read_dglbin(blob: Blob, options: ReadOptions) -> EdgeTable:
    """Edges, ids, features, labels and masks of the one graph in the file; several are read by :mod:`.dglbin_sets`."""
    reader, graphs = opened(blob)
    if graphs != 1:
        raise blob.error(f"found {graphs} graphs, expected one")
    named = reader.arrays()
    src, dst, n, ndata, edata = read_one(reader)
    check_shape(blob, n, n, len(src))
    table = EdgeTable(blob.name, src, dst, None, _ids(blob, named, n), n, symmetric=True)
    weight = edata.get(options.weight or "weight")
    if options.weight is not None and weight is None:
        raise blob.error(f"--weight {options.weight!r}: no such edge array, found {', '.join(edata) or 'none'}")
    if weight is not None:
        if weight.size != len(src) or weight.dtype.kind not in "biuf" or not np.isfinite(weight).all():
            raise blob.error(f"edge weights of shape {weight.shape}, expected {len(src)} finite numbers")
        table.weight = as_float64(weight.reshape(-1), blob.name, "weight")
    table.ndata = _node_data(blob, ndata, n)
    return table


def _edges(reader: Reader):
    blob = reader.blob
    reader.magic(GRAPH_MAGIC, "graph")
    if _metagraph(reader) != 1 or reader.count("relations", 1000) != 1:
        raise blob.error("a graph with several types of edges, expected a homogeneous one")
    reader.magic(UNIT_MAGIC, "edges of a graph")
    layout = reader.number("layout", "<I")
    reader.take(12, "layout")
    _metagraph(reader)
    if layout == 1:
        reader.magic(COO_MAGIC, "COO matrix")
        rows, columns = reader.number("rows"), reader.number("columns")
        src, dst, order = (reader.array(name) for name in ("row", "column", "edge ids"))
        reader.take(2, "sorted")
    elif layout in (2, 3, 4):
        rows, columns, pointers, dst, order = reader.csr()
        if (
            pointers.shape != (rows + 1,)
            or pointers[0] != 0
            or pointers[-1] != len(dst)
            or (np.diff(pointers) < 0).any()
        ):
            raise blob.error("indptr of the edges does not rise from 0 to their number")
        src = np.repeat(np.arange(rows), np.diff(pointers))
        src, dst = (src, dst) if layout == 2 else (dst, src)
    else:
        raise blob.error(f"edges in layout {layout}, expected COO, CSR or CSC")
    if rows != columns or src.shape != dst.shape or src.dtype.kind != "i" or dst.dtype.kind != "i":
        raise blob.error(f"edges between {rows} and {columns} nodes, expected a homogeneous graph")
    nodes = [reader.number("nodes") for _ in range(reader.count("node types", 1000))]
    if nodes not in ([rows], []):
        raise blob.error(f"found node counts {nodes[:5]}, expected {[rows]}")
    src, dst = src.astype(np.int64), dst.astype(np.int64)
    if len(order):
        if not np.array_equal(np.sort(order), np.arange(len(src))):
            raise blob.error("edge ids are not 0..m-1, each once")
        place = np.argsort(order)
        src, dst = src[place], dst[place]
    return src, dst, rows


def _metagraph(reader: Reader) -> int:
    """Number of edge types; the metagraph is a graph whose edges are they."""
    reader.magic(INDEX_MAGIC, "metagraph")
    return len(reader.csr()[3])


def _frames(reader: Reader):
    frames = []
    for what in ("node types", "edge types"):
        if reader.count(what, 1) != 1:
            raise reader.blob.error(f"no arrays of {what}, expected one set")
        frames.append(reader.arrays())
    return frames


def _ids(blob: Blob, named: dict, n: int):
    """The ids that :mod:`graphkit.datasets.writers.graphs` put beside the graph."""
    if "node_ids" in named:
        ids = checked_ids(blob, named["node_ids"])
        count = len(named["node_ids"])
    elif "node_ids_utf8" in named:
        ids = checked_ids(blob, named["node_ids_utf8"].tobytes().decode("utf-8").split("\n"))
        count = len(ids)
    else:
        return None
    if count != n:
        raise blob.error(f"found {count} node ids, expected {n}")
    return ids


def feature_rows(blob: Blob, array: np.ndarray, count: int, what: str) -> np.ndarray:
    """(count, F) float32 features of an array of any numbers."""
    if array.shape[:1] != (count,):
        raise blob.error(f"{what} array 'feat' has shape {array.shape}, expected {count} rows")
    return numbers(blob, array, f"{what} array 'feat'").reshape(count, int(np.prod(array.shape[1:])))


def numbers(blob: Blob, array: np.ndarray, what: str, unknown: bool = False) -> np.ndarray:
    """The array as float32; raises :class:`DataError` for what is no finite number there, with ``unknown`` but NaN."""
    with np.errstate(over="ignore"):
        values = array.astype(np.float32) if array.dtype.kind in "biuf" else np.full(1, np.inf)
    if not (np.isfinite(values) | (unknown & np.isnan(values))).all():
        raise blob.error(f"{what} holds a value that is not a finite number of float32")
    return values


def _node_data(blob: Blob, ndata: dict, n: int) -> dict:
    found = {}
    for name, array in ndata.items():
        if array.shape[:1] != (n,):
            raise blob.error(f"node array {name!r} has shape {array.shape}, expected {n} rows")
        if name == "feat":
            found[name] = feature_rows(blob, array, n, "node")
        elif name == "label":
            if array.ndim > 2 or not np.isfinite(array).all():
                raise blob.error(f"node array 'label' has shape {array.shape}, expected ({n},) or ({n}, L) numbers")
            found[name] = array.astype(np.int64 if array.ndim == 1 else np.float32)
            if array.ndim == 1 and n and not -1 <= int(found[name].min()) <= int(found[name].max()) < max(n, 1000):
                raise blob.error(f"labels {found[name].min()}..{found[name].max()}, expected class numbers from 0")
        elif name in MASKS:
            found[name.replace("val_", "valid_")] = array.reshape(n, -1)[:, 0].astype(bool)
    return found
