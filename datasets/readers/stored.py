"""A stored graph: a folder of plain .npy arrays that every command maps into memory and reads as far as it needs.

``graphkit data convert g.csv g.graph`` writes it (:mod:`graphkit.datasets.writers.stored_writer`). The folder holds
``manifest.json`` and, for n nodes and m stored entries (both directions of an undirected edge):

- ``indptr.npy`` (n + 1,) int64 and ``indices.npy`` (m,) int32: rows of neighbours, ascending; ``weights.npy`` (m,)
  float64;
- ``degrees.npy`` (n,) float64 sums of weights, or numbers of neighbours;
- the ids, where they are not 0..n-1: ``ids.npy`` (n,) int64, or as text ``id_bytes.npy`` uint8 with ``id_starts.npy``
  (n + 1,) int64; and ``id_order.npy`` (n,) int64, the nodes in ascending order of their ids, where that is not the
  nodes' own;
- ``node_feat.npy``, ``node_label.npy`` and any other node or edge data by name (``edge_...``, in the order of
  ``indices``).

The manifest says format and version, sizes, whether the graph is directed and whether it is simple (undirected, no
loops, no parallel edges, weights above 0), the volume, the type and shape of every array, and a checksum: SHA-256 over
the array files in the order of their names, computed when they are written and not again.

The folder is not trusted. Opening it compares the manifest with the header and the length of every file and reads no
more; numbers are checked where they are read, rows by the kernels that touch them, and all of them where the whole
graph is asked for.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from graphkit.core.errors import DataError, UsageError
from graphkit.datasets.base import GraphDataset
from graphkit.io import npy_files

if TYPE_CHECKING:
    import numpy

    from graphkit.core.read_options import ReadOptions

MANIFEST, FORMAT, VERSION, SUFFIX = "manifest.json", "graphkit stored graph", 1, ".graph"
LARGEST_MANIFEST = 1 << 26
NAME = re.compile(r"[A-Za-z0-9_]{1,60}")
PARTS = ("train", "valid", "test")
# array -> (dtype, length by n, m and the length of the ids' text)
KNOWN = {
    "indptr": ("<i8", lambda n, m, text: n + 1),
    "indices": ("<i4", lambda n, m, text: m),
    "weights": ("<f8", lambda n, m, text: m),
    "degrees": ("<f8", lambda n, m, text: n),
    "ids": ("<i8", lambda n, m, text: n),
    "id_bytes": ("|u1", lambda n, m, text: text),
    "id_starts": ("<i8", lambda n, m, text: n + 1),
    "id_order": ("<i8", lambda n, m, text: n),
}


def is_stored(path: str) -> bool:
    """Whether a path is a folder with a manifest; what it says is not looked at."""
    return path != "-" and os.path.isdir(path) and os.path.isfile(os.path.join(path, MANIFEST))


def load(
    path: str, options: ReadOptions | None = None, task: str | None = None, split: str | None = None, seed: int = 0
) -> GraphDataset:
    """The data set in a stored graph; nothing of its arrays is read where no task asks for it.

    Raises :class:`DataError` for a folder that is none or does not fit its manifest, :class:`UsageError` for options of
    reading text.
    """
    dataset = StoredDataset(StoredGraph.open(path))
    given = (
        []
        if options is None
        else [one.name for one in dataclasses.fields(options) if getattr(options, one.name) != one.default]
    )
    if others := [
        f"--{name.replace('_', '-')}" for name in given if name not in ("splits", "id_column", "id_column_elsewhere")
    ]:
        raise UsageError(f"{', '.join(others)}: found with {path}, a stored graph, which says how it is read")
    if task is None and "splits" not in given:
        return dataset.renamed(seed=seed)
    from graphkit.core.read_options import ReadOptions
    from graphkit.datasets.readers import attach

    if task == "events":
        raise UsageError(f"task 'events': {path} is a stored graph, which has no times; expected a file of events")
    if task == "graph":
        raise UsageError(f"task 'graph': {path} holds one graph, which has the tasks node and link")
    return attach.with_task(
        dataset.in_memory(masks=True), options or ReadOptions(), "node" if task == "labels" else task, split, seed
    )


@dataclasses.dataclass(frozen=True)
class StoredGraph:
    """An opened folder: what its manifest says, checked against the files, and the arrays by name, mapped and
    read-only.
    """

    path: str
    name: str
    nodes: int
    entries: int
    directed: bool
    simple: bool
    volume: float
    checksum: str
    class_names: list[str] | None
    arrays: dict[str, numpy.ndarray]

    @classmethod
    def open(cls, path: str) -> StoredGraph:
        """Read the manifest and map the arrays; raises :class:`DataError` for what does not fit."""
        manifest = _manifest(path)
        n, m = (_whole(path, manifest, key) for key in ("nodes", "entries"))
        if n >= 2**31:
            raise DataError(f"{path}: found {n} nodes, expected fewer than 2^31")
        for key, kind in (("directed", bool), ("simple", bool), ("name", str), ("checksum", str), ("arrays", dict)):
            if not isinstance(manifest.get(key), kind):
                raise DataError(f"{path}/{MANIFEST}: {key} is {manifest.get(key)!r}, expected a {kind.__name__}")
        volume, classes = manifest.get("volume"), manifest.get("class_names")
        if not isinstance(volume, (int, float)) or not 0 <= volume < float("inf"):
            raise DataError(f"{path}/{MANIFEST}: volume is {volume!r}, expected a number of 0 or more")
        if classes is not None and not (isinstance(classes, list) and all(isinstance(one, str) for one in classes)):
            raise DataError(f"{path}/{MANIFEST}: class_names: expected a list of texts or null")
        arrays = {name: _mapped(path, name, about) for name, about in manifest["arrays"].items()}
        _check_shapes(path, arrays, n, m)
        kind = manifest["directed"], manifest["simple"]
        return cls(path, manifest["name"], n, m, *kind, float(volume), manifest["checksum"], classes, arrays)

    def ids_of(self, nodes: numpy.ndarray) -> numpy.ndarray:
        """(k,) ids of (k,) nodes, of which no others are read."""
        if "ids" in self.arrays:
            return np.asarray(self.arrays["ids"][nodes])
        if "id_bytes" in self.arrays:
            return np.array([self.text(node) for node in np.asarray(nodes).tolist()], dtype=object)
        return np.asarray(nodes, dtype=np.int64)

    def text(self, node: int) -> str:
        """A node's id that is text; raises :class:`DataError` where its place does not fit."""
        start, stop = (int(place) for place in self.arrays["id_starts"][node : node + 2])
        if not 0 <= start <= stop <= len(self.arrays["id_bytes"]):
            raise DataError(
                f"{self.path}/id_starts.npy: the id of node {node} is at {start} to {stop}, outside of id_bytes.npy"
            )
        try:
            return self.arrays["id_bytes"][start:stop].tobytes().decode()
        except UnicodeDecodeError:
            raise DataError(f"{self.path}/id_bytes.npy: the id of node {node} is not UTF-8") from None

    def data_of(self, ends: str) -> Iterator[tuple[str, numpy.ndarray]]:
        """(name, array) of the data of nodes ("node") or of entries ("edge")."""
        return ((name[len(ends) + 1 :], array) for name, array in self.arrays.items() if name.startswith(f"{ends}_"))

    def checked_rows(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        """(indptr, indices), every number of them checked."""
        indptr, indices = self.arrays["indptr"], self.arrays["indices"]
        if indptr[0] != 0 or indptr[-1] != self.entries or (np.diff(indptr) < 0).any():
            raise DataError(f"{self.path}/indptr.npy: expected ascending numbers from 0 to {self.entries}")
        if self.entries and not (int(indices.min()) >= 0 and int(indices.max()) < self.nodes):
            raise DataError(f"{self.path}/indices.npy: found a node outside of 0..{self.nodes - 1}")
        return indptr, indices


class StoredNumbers(Mapping):
    """Node number by id, as text, looked up in the mapped ids by halving; O(log n) reads each."""

    def __init__(self, stored: StoredGraph):
        self.stored = stored

    def __len__(self) -> int:
        return self.stored.nodes

    def __iter__(self):
        return (str(name) for name in self.stored.ids_of(np.arange(self.stored.nodes)).tolist())

    def __contains__(self, word: object) -> bool:
        return self._find(str(word)) is not None

    def __getitem__(self, word: str) -> int:
        node = self._find(word)
        if node is None:
            raise KeyError(word)
        return node

    def _find(self, word: str) -> int | None:
        arrays, n = self.stored.arrays, self.stored.nodes
        text = "id_bytes" in arrays
        if not text and not re.fullmatch(r"-?[0-9]{1,19}", word):
            return None
        wanted: Any = word.encode() if text else int(word)
        if not text and str(wanted) != word:
            return None
        if not text and "ids" not in arrays:
            return wanted if 0 <= wanted < n else None
        low, high = 0, n
        while low < high:
            middle = (low + high) // 2
            node = self._in_order(middle)
            here = self.stored.text(node).encode() if text else int(arrays["ids"][node])
            if here == wanted:
                return node
            low, high = (middle + 1, high) if here < wanted else (low, middle)
        return None

    def _in_order(self, place: int) -> int:
        if "id_order" not in self.stored.arrays:
            return place
        node = int(self.stored.arrays["id_order"][place])
        if not 0 <= node < self.stored.nodes:
            raise DataError(
                f"{self.stored.path}/id_order.npy: found the node {node}, expected 0..{self.stored.nodes - 1}"
            )
        return node


class StoredDataset(GraphDataset):
    """A data set whose graph lies in a folder; the DGLGraph, the ids and the split are made when they are first asked
    for.
    """

    def __init__(self, stored: StoredGraph):
        self.stored, self._made = stored, {}
        super().__init__(name=stored.name, directed=stored.directed, class_names=stored.class_names)
        self._made.clear()

    def _lazy(key: str, make):
        def get(self):
            if key not in self._made:
                self._made[key] = make(self)
            return self._made[key]

        return property(get, lambda self, value: self._made.__setitem__(key, value))

    graph = _lazy("graph", lambda self: self._build())
    node_ids = _lazy("node_ids", lambda self: self._ids())
    split = _lazy("split", lambda self: self._split())

    @property
    def num_nodes(self) -> int:
        """Number of nodes."""
        return self.stored.nodes

    @property
    def weighted(self) -> bool:
        """Whether edges carry weights."""
        return "weights" in self.stored.arrays

    @property
    def labels(self):
        """(n,) int64 or (n, L) float32 labels, or None."""
        return self._node_data("label")

    @property
    def features(self):
        """(n, F) float32 node features, or None."""
        return self._node_data("feat")

    def _node_data(self, key: str):
        if "graph" in self._made:
            return self.graph.ndata.get(key)
        array = self.stored.arrays.get(f"node_{key}")
        if array is None:
            return None
        import torch

        return torch.from_numpy(np.array(array))

    def ids_of(self, nodes: numpy.ndarray) -> numpy.ndarray:
        """(k,) ids of (k,) nodes; no others are read."""
        return self.stored.ids_of(nodes)

    def numbers(self) -> Mapping[str, int]:
        """Node number by id, as text."""
        return StoredNumbers(self.stored)

    def checksum(self) -> str:
        """The manifest's."""
        return self.stored.checksum

    def renamed(self, **changes) -> GraphDataset:
        """A copy with some fields replaced; one in memory where the graph is."""
        if "graph" in changes:
            return self.in_memory().renamed(**changes)
        made = copy.copy(self)
        made._made = dict(self._made)
        for key, value in changes.items():
            setattr(made, key, value)
        return made

    def in_memory(self, masks: bool = False) -> GraphDataset:
        """The same as an ordinary data set; ``masks``: its split as node data, as in a DGL file."""
        values = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        values["graph"] = self._build(masks) if masks else values["graph"]
        return GraphDataset(**{**values, "stored_checksum": self.stored.checksum})

    def _ids(self):
        arrays = self.stored.arrays
        return self.stored.ids_of(np.arange(self.num_nodes)) if "ids" in arrays or "id_bytes" in arrays else None

    def _split(self):
        from graphkit.datasets.splits.nodes import masks_split

        masks = [self.stored.arrays.get(f"node_{part}_mask") for part in PARTS]
        return masks_split(*map(np.array, masks)) if all(mask is not None for mask in masks) else None

    def _build(self, masks: bool = False):
        """The DGLGraph with its data; edges in the order that a reader of files gives them, so that sums come out the
        same.
        """
        import dgl
        import torch

        stored = self.stored
        indptr, indices = stored.checked_rows()
        src, dst = np.repeat(np.arange(stored.nodes), np.diff(indptr)), indices.astype(np.int64)
        place = np.arange(stored.entries)
        if not stored.directed:
            upper, lower = np.flatnonzero(src <= dst), np.flatnonzero(src > dst)
            lower = lower[np.lexsort((src[lower], dst[lower]))]
            place = np.concatenate([upper, lower])
        graph = dgl.graph((torch.from_numpy(src[place]), torch.from_numpy(dst[place])), num_nodes=stored.nodes)
        if self.weighted:
            weights = np.asarray(stored.arrays["weights"])[place]
            if not np.isfinite(weights).all():
                raise DataError(
                    f"{stored.path}/weights.npy: found a weight that is NaN or infinite, expected finite numbers"
                )
            graph.edata["weight"] = torch.from_numpy(weights)
        for key, array in stored.data_of("edge"):
            graph.edata[key] = torch.from_numpy(np.asarray(array)[place])
        for key, array in stored.data_of("node"):
            if masks or not key.endswith("_mask"):
                graph.ndata[key] = torch.from_numpy(np.array(array))
        return graph


def _manifest(path: str) -> dict[str, Any]:
    place = os.path.join(path, MANIFEST)
    try:
        with open(place, "rb") as stream:
            content = stream.read(LARGEST_MANIFEST + 1)
        if len(content) > LARGEST_MANIFEST:
            raise DataError(
                f"{place}: has more than {LARGEST_MANIFEST >> 20} MiB, expected the manifest of a stored graph"
            )
        manifest = json.loads(content)
    except OSError as problem:
        raise DataError(f"{place}: {problem.strerror or problem}") from None
    except (ValueError, RecursionError):
        raise DataError(f"{place}: is not JSON, expected the manifest of a stored graph") from None
    found = (manifest.get("format"), manifest.get("version")) if isinstance(manifest, dict) else (None, None)
    if found != (FORMAT, VERSION):
        raise DataError(f"{place}: format and version are {found}, expected {(FORMAT, VERSION)}")
    return manifest


def _whole(path: str, manifest: dict[str, Any], key: str) -> int:
    value = manifest.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise DataError(f"{path}/{MANIFEST}: {key} is {value!r}, expected a whole number of 0 or more")
    return value


def _mapped(path: str, name: str, about: Any) -> numpy.ndarray:
    """An array of the folder as the manifest describes it, mapped read-only."""
    place = os.path.join(path, f"{name}.npy")
    if not NAME.fullmatch(name) or not isinstance(about, dict):
        raise DataError(
            f"{path}/{MANIFEST}: found the array {name!r}, expected a name of letters and digits, with dtype and shape"
        )
    if not os.path.isfile(place):
        raise DataError(f"{place}: no such file, which the manifest lists")
    try:
        array = npy_files.load(place, "r" if _size(about) else None)
    except (
        OSError,
        ValueError,
        TypeError,
        SyntaxError,
        EOFError,
        OverflowError,
        MemoryError,
        RecursionError,
    ) as problem:
        raise DataError(f"{place}: cannot be read as npy: {' '.join(str(problem).split())[:200]}") from None
    array = np.asarray(array)  # a plain view of the map, which kernels take
    array.flags.writeable = False
    found = {"dtype": array.dtype.str, "shape": list(array.shape)}
    if array.dtype.kind not in "iufb" or found != {key: about.get(key) for key in found}:
        raise DataError(
            f"{place}: found {found['dtype']} {found['shape']}, the manifest says {about.get('dtype')}"
            f" {about.get('shape')}"
        )
    if not array.flags.c_contiguous:
        raise DataError(f"{place}: is stored by columns, expected rows")
    return array


def _size(about: dict[str, Any]) -> bool:
    shape = about.get("shape")
    return bool(isinstance(shape, list) and all(shape))


def _check_shapes(path: str, arrays: dict[str, numpy.ndarray], n: int, m: int) -> None:
    text = len(arrays["id_bytes"]) if "id_bytes" in arrays else 0
    for name in ("indptr", "indices", "degrees", *(("id_starts",) if "id_bytes" in arrays else ())):
        if name not in arrays:
            raise DataError(f"{path}/{MANIFEST}: lists no {name}, expected one")
    for name, array in arrays.items():
        if name in KNOWN:
            dtype, length = KNOWN[name]
            expected = (length(n, m, text),)
            if array.dtype.str != dtype or array.shape != expected:
                raise DataError(
                    f"{path}/{name}.npy: found {array.dtype.str} {array.shape}, expected {dtype} {expected}"
                )
            continue
        ends = name.partition("_")[0]
        if ends not in ("node", "edge") or array.ndim == 0 or len(array) != (n if ends == "node" else m):
            raise DataError(
                f"{path}/{name}.npy: found {array.shape}, expected data of {n} nodes or {m} entries by that name"
            )
