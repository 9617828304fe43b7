"""Open Graph Benchmark sets (Hu et al., 2020), read with the ogb package's own readers from an OGB folder.

The classes of the ogb package ask questions on stdin, exit the process and write beside the data; here its readers and
its table of data sets are used without them. Split files go through the restricted unpickler.
"""

from __future__ import annotations

import csv
import functools
import importlib
import importlib.util
import logging
import sys
from pathlib import Path
from typing import Any

import dgl
import numpy as np
import pandas as pd
import torch

from graphkit.core.errors import DataError
from graphkit.datasets.base import EdgeSet, GraphDataset, GraphSplit, LinkSplit, NodeSplit
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.readers.build import check, check_ids, quiet, reading, set_features
from graphkit.datasets.readers.unpickle import load_npz, load_torch
from graphkit.datasets.source import Source
from graphkit.datasets.sources import folders
from graphkit.datasets.splits.links import unique_pairs
from graphkit.datasets.splits.loaded import Loaded
from graphkit.datasets.splits.nodes import as_tensor
from graphkit.io import contents

KINDS = {"ogbn": ("nodeproppred", "node"), "ogbl": ("linkproppred", "link"), "ogbg": ("graphproppred", "graph")}
# What is assumed of a folder that is not in OGB's table.
UNKNOWN = {
    "add_inverse_edge": "False",
    "is hetero": "False",
    "binary": "False",
    "additional node files": "None",
    "additional edge files": "None",
    "version": "",
    "url": "",
    "split": "",
    "task type": "",
}


def import_ogb(module: str = "ogb") -> Any:
    """Import a module of the ogb package without its version check, which starts a thread that calls the network."""
    if "ogb" not in sys.modules:
        missing = object()
        before = sys.modules.get("outdated", missing)
        sys.modules["outdated"] = None  # makes ogb's "from outdated import" fail as if it were not installed
        try:
            importlib.import_module("ogb")
        finally:
            del sys.modules["outdated"]
            if before is not missing:
                sys.modules["outdated"] = before
    with quiet():
        return importlib.import_module(module)


@functools.cache
def master(name: str) -> dict[str, str]:
    """OGB's own facts about a data set: metric, split, version, address; raises KeyError for an unknown name."""
    # Read as a file: importing the package that holds it would import torch and scikit-learn.
    root = Path(importlib.util.find_spec("ogb").submodule_search_locations[0])
    with open(root / KINDS[name.partition("-")[0]][0] / "master.csv", newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    column = header.index(name) if name in header else None
    if column is None:
        raise KeyError(name)
    return {row[0]: row[column] for row in rows}


def load(entry: Entry, *, name: str) -> Loaded:
    """Load an OGB set from ``ogbl_collab`` (or ``ogb/ogbl_collab``) below a data folder."""
    facts = master(name)
    if facts.get("is hetero") == "True":
        raise DataError(f"data set {name!r} is heterogeneous (several types of nodes); this is not supported")
    root = folders.find_benchmark(name) or folders.require(name.replace("-", "_"), name)
    return _load(root, name, facts)


def load_folder(path: str) -> Loaded:
    """Load any folder in OGB's form: ``raw/`` with edge.csv.gz or data.npz, and ``split/<name>/``.

    A name as OGB has it (``ogbl_ddi``) brings OGB's metric; elsewhere the kind is seen from the split and label files,
    and edges count as undirected: reverses are added where the folder stores each edge once.
    """
    root = Path(path)
    name = root.resolve().name.replace("_", "-")
    try:
        facts, official = master(name), True
    except KeyError:
        facts, official = {**UNKNOWN, "eval metric": ""}, False
    several = ("triplet-type-list.csv.gz", "edge_index_dict.npz")
    if any((root / "raw" / file).exists() for file in several) or facts.get("is hetero") == "True":
        raise DataError(f"{path}: holds a heterogeneous graph (several types of nodes); this is not supported")
    return _load(root, name, facts, official)


def _load(root: Path, name: str, facts: dict[str, str], official: bool = True) -> Loaded:
    kind = KINDS[name[:4]][1] if official else _kind(root)
    source = Source(
        "Hu et al.: Open Graph Benchmark, NeurIPS 2020" if official else "",
        url="https://ogb.stanford.edu" if official else "",
        version=_release(root),
    )
    split_folder = _split_folder(root, facts)
    graphs = _raw_graphs(root, facts)
    dataset = GraphDataset(name, source=source, ogb_name=name if official else None)
    stored_once = not official or name == "ogbl-vessel"  # vessels have no direction, but OGB keeps each edge once
    dataset.directed = facts["add_inverse_edge"] != "True" and not stored_once
    made = [_dgl_graph(graph, root, categories=name.startswith("ogbg-mol")) for graph in graphs]
    if stored_once:
        made = [_both_directions(graph) for graph in made]
    metric = facts["eval metric"] or None
    if kind == "graph":
        dataset.graphs = made
        return _graph_set(dataset, root, split_folder, facts, metric)
    check(len(made) == 1, root, f"{len(made)} graphs", "one")
    dataset.graph = made[0]
    if kind == "node":
        labels = _labels(root)
        check(len(labels) == dataset.num_nodes, root / "raw", f"{len(labels)} node labels", f"{dataset.num_nodes}")
        dataset.graph.ndata["label"] = _node_labels(labels, root)
        split = NodeSplit(*_index_split(split_folder, dataset.num_nodes))
        return Loaded(dataset, {split_folder.name: split}, defaults={"node": (split_folder.name, metric)})
    links = _link_split(dataset, split_folder, root, facts["add_inverse_edge"] == "True")
    return Loaded(dataset, links=links, links_name=split_folder.name, defaults={"link": (split_folder.name, metric)})


def _kind(root: Path) -> str:
    if (root / "raw" / "graph-label.csv.gz").exists() or (root / "raw" / "graph-label.npz").exists():
        return "graph"
    labels = ("node-label.csv.gz", "node-label.npz")
    return "node" if any((root / "raw" / name).exists() for name in labels) else "link"


def _release(root: Path) -> str:
    found = sorted(root.glob("RELEASE_v*.txt"))
    return f"OGB v{found[-1].stem.rpartition('v')[2]}" if found else "OGB"


def _split_folder(root: Path, facts: dict[str, str]) -> Path:
    base = root / "split"
    found = sorted(path for path in base.iterdir() if path.is_dir()) if base.is_dir() else []
    wanted = base / facts["split"] if facts["split"] else found[0] if len(found) == 1 else None
    if wanted is None or not wanted.is_dir():
        shown = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{base}: found the split folders {shown}, expected {facts['split'] or 'one'}")
    return wanted


def _raw_graphs(root: Path, facts: dict[str, str]) -> list[dict]:
    raw = root / "raw"
    binary = facts["binary"] == "True" or (not facts["url"] and (raw / "data.npz").exists())
    file = raw / ("data.npz" if binary else "edge.csv.gz")
    if not file.exists():
        raise DataError(f"{file}: not found, expected the edges of an OGB folder")
    reader = import_ogb("ogb.io.read_graph_raw")
    with reading(raw, "OGB's raw files"), quiet():
        if binary:
            _check_npz(file)
            return reader.read_binary_graph_raw(str(raw))
        extra = [
            [] if facts[key] == "None" else facts[key].split(",")
            for key in ("additional node files", "additional edge files")
        ]
        present = [[name for name in part if (raw / f"{name}.csv.gz").exists()] for part in extra]
        _check_gzip(raw)
        return reader.read_csv_graph_raw(str(raw), facts["add_inverse_edge"] == "True", *present)


def _check_npz(file: Path) -> None:
    """Refuse headers that declare more than the file holds, before NumPy allocates it."""
    load_npz(file)


def _check_gzip(raw: Path) -> None:
    """The counts of nodes and edges are small files; a damaged one would make the reader build garbage."""
    for path in sorted(raw.glob("*.csv.gz")):
        contents.guard(path)
    counts = {}
    for name in ("num-node-list", "num-edge-list"):
        path = raw / f"{name}.csv.gz"
        with reading(path, "a gzipped list of counts"), open(path, "rb") as file:
            counts[name] = np.array(contents.read(file, str(path), "counts").decode("ascii").split(), dtype=np.int64)
            check(len(counts[name]) and counts[name].min() >= 0, path, "no counts or negative ones", "counts")
    check(len(counts["num-node-list"]) == len(counts["num-edge-list"]), raw, "lists of different lengths", "equal ones")


def _dgl_graph(data: dict, place: Path, categories: bool = False) -> dgl.DGLGraph:
    """categories: features that are stored as integers stay int64, as the numbers of OGB's atom and bond categories."""
    n, edges = int(data["num_nodes"]), np.asarray(data["edge_index"], dtype=np.int64)
    check(edges.ndim == 2 and len(edges) == 2, place, f"edge_index of shape {edges.shape}", "(2, E)")
    check_ids(edges, n, place / "raw")
    check(n <= 1000 * edges.shape[1] + 10**6, place / "raw", f"{n} nodes with {edges.shape[1]} edges", "a graph")
    graph = dgl.graph((as_tensor(edges[0]), as_tensor(edges[1])), num_nodes=n)
    if data.get("node_feat") is not None:
        feat = np.asarray(data["node_feat"])
        set_features(graph, feat, place / "raw")
        if categories and feat.dtype.kind in "iu":
            graph.ndata["feat"] = as_tensor(feat.astype(np.int64))
    names = {"edge_feat": "feat", "edge_weight": "weight", "edge_year": "year", "edge_reltype": "relation"}
    for key, value in data.items():
        if value is None or key in ("edge_index", "num_nodes", "node_feat"):
            continue
        value = np.asarray(value)
        rows = edges.shape[1] if key.startswith("edge_") else n
        check(len(value) == rows, place / "raw", f"{len(value)} rows of {key}", f"{rows}")
        if key in ("edge_weight", "edge_year", "edge_reltype"):
            value = value.reshape(len(value), -1)[:, 0]
        if key in ("edge_feat", "edge_weight"):
            value = value.astype(
                np.int64 if key == "edge_feat" and categories and value.dtype.kind in "iu" else np.float32
            )
        frame = graph.edata if key.startswith("edge_") else graph.ndata
        frame[names.get(key, key.partition("_")[2])] = as_tensor(value)
    return graph


def _both_directions(graph: dgl.DGLGraph) -> dgl.DGLGraph:
    """Add the reverse of every edge, with the edge's data, unless all reverses are there."""
    src, dst = graph.edges(order="eid")
    n = graph.num_nodes()
    if torch.equal(torch.unique(src * n + dst), torch.unique(dst * n + src)):
        return graph
    other = src != dst
    full = dgl.graph((torch.cat([src, dst[other]]), torch.cat([dst, src[other]])), num_nodes=n)
    for key, value in graph.ndata.items():
        full.ndata[key] = value
    for key, value in graph.edata.items():
        full.edata[key] = torch.cat([value, value[other]])
    return full


def _labels(root: Path, stem: str = "node") -> np.ndarray:
    packed = root / "raw" / f"{stem}-label.npz"
    if packed.exists():
        members = load_npz(packed)
        check(f"{stem}_label" in members, packed, f"the members {', '.join(members)}", f"{stem}_label")
        return members[f"{stem}_label"]
    return _table(root / "raw" / f"{stem}-label.csv.gz")


def _table(path: Path) -> np.ndarray:
    if not path.exists():
        raise DataError(f"{path}: not found, expected a file of an OGB folder")
    with reading(path, "a gzipped table"):
        contents.guard(path)
        return pd.read_csv(path, compression="gzip", header=None).values


def _node_labels(labels: np.ndarray, root: Path) -> torch.Tensor:
    with reading(root / "raw", "node labels"):
        labels = np.asarray(labels, dtype=np.float64).reshape(len(labels), -1)
        if labels.shape[1] > 1:
            return as_tensor(labels.astype(np.float32))
        # Unlabelled nodes are NaN (papers100M).
        return as_tensor(np.where(np.isnan(labels[:, 0]), -1, labels[:, 0]).astype(np.int64))


def _index_split(folder: Path, count: int) -> list[np.ndarray]:
    if (folder / "split_dict.pt").exists():
        parts = load_torch(folder / "split_dict.pt")
        with reading(folder / "split_dict.pt", "a split"):
            arrays = [np.asarray(parts[key]).astype(np.int64).ravel() for key in ("train", "valid", "test")]
    else:
        arrays = []
        for part in ("train", "valid", "test"):
            with reading(folder / f"{part}.csv.gz", "a list of numbers"):
                arrays.append(_table(folder / f"{part}.csv.gz")[:, 0].astype(np.int64))
    for part, array in zip(("train", "valid", "test"), arrays):
        check_ids(array, count, folder / part, "number")
    return arrays


def _graph_set(dataset, root: Path, folder: Path, facts, metric) -> Loaded:
    graphs = dataset.graphs
    labels = _labels(root, "graph")
    check(len(labels) == len(graphs), root / "raw", f"{len(labels)} graph labels", f"{len(graphs)}")
    task = facts["task type"]
    with reading(root / "raw", "graph labels"):
        if task == "subtoken prediction":
            words = np.empty(len(labels), dtype=object)
            words[:] = [str(row[0]).split(" ") for row in labels]
            dataset.graph_labels = words
        elif task == "multiclass classification" or (not task and _whole(labels)):
            dataset.graph_labels = as_tensor(np.asarray(labels).astype(np.int64)[:, 0])
        else:
            dataset.graph_labels = as_tensor(np.asarray(labels, dtype=np.float32))
    split = GraphSplit(*_index_split(folder, len(graphs)))
    return Loaded(dataset, {folder.name: split}, defaults={"graph": (folder.name, metric)})


def _whole(labels) -> bool:
    labels = np.asarray(labels)
    return labels.dtype.kind in "iu" and labels.shape[1] == 1


# Link splits ----------------------------------------------------------------------------------------------------------


def _link_split(dataset: GraphDataset, folder: Path, root: Path, interleaved: bool) -> LinkSplit:
    both = folder / "split_dict.pt"
    parts: dict[str, Any] = load_torch(both) if both.exists() else {}
    for part in ("train", "valid", "test"):
        path = folder / f"{part}.pt"
        if part not in parts and path.exists():
            parts[part] = load_torch(path)
        elif part not in parts and part != "train":
            raise DataError(f"{path}: not found, expected the {part} edges of an OGB folder")
    n, out = dataset.num_nodes, {}
    for part in ("valid", "test"):
        out[part] = _edge_set(parts[part], n, folder / f"{part}.pt")
    if "train" in parts:
        out["train"] = _edge_set(parts["train"], n, folder / "train.pt")
    else:
        out["train"] = _train_from_raw(dataset, interleaved)
    _check_disjoint(dataset, out, root)
    return LinkSplit(out["train"], out["valid"], out["test"])


def _edge_set(part: Any, n: int, path: Path) -> EdgeSet:
    with reading(path, "link split"):
        check(isinstance(part, dict), path, type(part).__name__, "a dictionary")
        part = {key: np.asarray(value) for key, value in part.items()}
        if "source_node" in part:
            pos = np.stack([part["source_node"], part["target_node"]], 1).astype(np.int64)
            fields = {"neg_dst": part.get("target_node_neg")}
        elif "head" in part:
            pos = np.stack([part["head"], part["tail"]], 1).astype(np.int64)
            fields = {"neg_src": part.get("head_neg"), "neg_dst": part.get("tail_neg"), "relation": part["relation"]}
        else:
            check("edge" in part, path, f"the keys {', '.join(part)}", "edge")
            pos = _pairs(part["edge"], path)
            neg = _pairs(part["edge_neg"], path) if "edge_neg" in part else None
            fields = {"neg": neg, "weight": part.get("weight"), "year": part.get("year")}
        for name, value in (("edge", pos), *fields.items()):
            if value is None:
                continue
            if name in ("edge", "neg", "neg_src", "neg_dst"):
                check_ids(value, n, f"{path}, {name}")
            rows = name in ("neg_src", "neg_dst", "relation", "weight", "year")
            check(not rows or len(value) == len(pos), path, f"{len(value)} rows of {name}", f"{len(pos)}")
        return EdgeSet(pos=pos, **fields)


def _pairs(value, path) -> np.ndarray:
    check(value.dtype.kind in "iu", path, f"edges of type {value.dtype}", "integers")
    if value.size == 0:
        return value.reshape(0, 2).astype(np.int64)
    check(value.ndim == 2 and value.shape[1] == 2, path, f"edges of shape {value.shape}", "(P, 2)")
    return value.astype(np.int64)


def _train_from_raw(dataset: GraphDataset, interleaved: bool) -> EdgeSet:
    """The training edges where train.pt is absent: the raw graph is the training graph, each edge once."""
    src, dst = (ids.numpy() for ids in dataset.graph.edges(order="eid"))
    if interleaved or dataset.directed:
        rows = slice(None, None, 2 if interleaved else 1)  # OGB's reader puts the reverse right behind each edge
        pairs = np.stack([src[rows], dst[rows]], 1)
    else:
        pairs, rows = unique_pairs(dataset.graph, False)
    kept = {key: dataset.graph.edata[key].numpy()[rows] for key in ("weight", "year") if key in dataset.graph.edata}
    return EdgeSet(pos=pairs, **kept)


def _check_disjoint(dataset: GraphDataset, parts: dict[str, EdgeSet], root: Path) -> None:
    """A held-out edge in the message graph is a leak; collab repeats pairs over the years by design."""
    if "year" in dataset.graph.edata or "relation" in dataset.graph.edata:
        return
    known = np.sort(
        _codes(dataset.graph.num_nodes(), *(ids.numpy() for ids in dataset.graph.edges()), dataset.directed)
    )
    for part in ("valid", "test"):
        codes = _codes(dataset.num_nodes, *parts[part].pos.T, dataset.directed)
        place = np.minimum(np.searchsorted(known, codes), max(len(known) - 1, 0))
        leaks = int((known[place] == codes).sum()) if len(known) else 0
        where = f"{leaks} of {len(codes)} {part} edges in the raw graph"
        check(leaks < 0.5 * max(len(codes), 2), root, where, "held-out edges outside the training graph")
        if leaks:
            logging.getLogger("graphkit").warning("%s: %s, as the files have them", root, where)


def _codes(n: int, src, dst, directed: bool) -> np.ndarray:
    return src * n + dst if directed else np.minimum(src, dst) * n + np.maximum(src, dst)
