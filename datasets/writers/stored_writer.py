"""Writing a stored graph (:mod:`graphkit.datasets.readers.stored`): beside its place, then moved into it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np
import torch

from graphkit.core.errors import DataError, UsageError
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.stored import FORMAT, KNOWN, MANIFEST, NAME, PARTS, VERSION, is_stored
from graphkit.graph.adjacency import sorted_places
from graphkit.io import files


def write(dataset: GraphDataset, path: str | Path) -> None:
    """Write a data set's graph as a stored graph; the folder appears whole or not at all, in place of one that was
    there.

    Raises :class:`UsageError` where something else is there, :class:`OutputError` where it cannot be written.
    """
    path = Path(path)
    with files.writing_to(path):
        if path.exists() and not is_stored(str(path)):
            raise UsageError(f"{path}: is there and is no stored graph, which would be replaced")
    if dataset.num_nodes >= 2**31:
        raise DataError(f"{dataset.name}: has {dataset.num_nodes} nodes, a stored graph holds fewer than 2^31")
    arrays, simple, volume = _arrays_of(dataset)
    files.make_folder(path.parent)
    with files.writing_to(path):
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        files.UNFINISHED.add(temporary)
        temporary.chmod(0o777 & ~files.current_umask())
    try:
        for name, array in arrays.items():
            file = temporary / f"{name}.npy"
            with files.writing_to(path, file), open(file, "wb") as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
        about = {name: {"dtype": array.dtype.str, "shape": list(array.shape)} for name, array in arrays.items()}
        with files.writing_to(path):
            manifest = {
                "format": FORMAT,
                "version": VERSION,
                "name": dataset.name,
                "nodes": dataset.num_nodes,
                "entries": len(arrays["indices"]),
                "directed": dataset.directed,
                "simple": simple,
                "volume": volume,
                "class_names": dataset.class_names,
                "arrays": about,
                "checksum": _digest(temporary, sorted(arrays)),
            }
            files.write_json(temporary / MANIFEST, manifest)
            _take_place(temporary, path)
    finally:
        files.remove(temporary)
        files.UNFINISHED.discard(temporary)


def _take_place(temporary: Path, path: Path) -> None:
    if not path.exists():
        os.rename(temporary, path)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
    os.rename(path, aside / path.name)
    os.rename(temporary, path)
    files.remove(aside)


def _digest(folder: Path, names: list[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        with open(folder / f"{name}.npy", "rb") as stream:
            while part := stream.read(1 << 22):
                digest.update(part)
    return digest.hexdigest()


def _arrays_of(dataset: GraphDataset) -> tuple[dict[str, np.ndarray], bool, float]:
    """(arrays by name, whether the graph is simple, volume)."""
    graph, n = dataset.graph, dataset.num_nodes
    src, dst = (ends.cpu().numpy() for ends in graph.edges(order="eid"))
    indptr, place = sorted_places(src, dst, n)
    indices = dst[place].astype(np.int32)
    arrays = {"indptr": indptr, "indices": indices}
    again = np.flatnonzero(indices[1:] == indices[:-1]) + 1
    rows = src[place]
    simple = not dataset.directed and not (rows == indices).any() and not (rows[again] == rows[again - 1]).any()
    if dataset.weighted:
        weights = arrays["weights"] = graph.edata["weight"].cpu().numpy().astype(np.float64).reshape(-1)[place]
        degrees = np.bincount(rows, weights, minlength=n).astype(np.float64)
        simple = simple and bool((weights > 0).all() and np.isfinite(weights).all())
    else:
        degrees = np.diff(indptr).astype(np.float64)
    arrays["degrees"] = degrees
    volume = float(degrees.sum())
    arrays.update(_id_arrays(dataset.node_ids))
    data = [("edge", key, value[torch.from_numpy(place)]) for key, value in graph.edata.items() if key != "weight"]
    data += [("node", key, value) for key, value in graph.ndata.items()]
    if dataset.split is not None and dataset.task in (None, "node"):
        for part in PARTS:
            mask = np.zeros(n, np.uint8)
            mask[getattr(dataset.split, part)] = 1
            data.append(("node", f"{part}_mask", torch.from_numpy(mask)))
    for ends, key, value in data:
        if not key.startswith("_") and NAME.fullmatch(key) and f"{ends}_{key}" not in KNOWN:
            arrays[f"{ends}_{key}"] = value.cpu().numpy()
    return arrays, bool(simple), volume if np.isfinite(volume) and volume >= 0 else 0.0


def _id_arrays(ids) -> dict[str, np.ndarray]:
    if ids is None:
        return {}
    ids = np.asarray(ids)
    if ids.dtype.kind in "iu":
        found = {"ids": ids.astype(np.int64)}
        order = np.argsort(found["ids"], kind="stable")
    else:
        texts = [str(name).encode() for name in ids.tolist()]
        starts = np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)])
        found = {"id_bytes": np.frombuffer(b"".join(texts), np.uint8), "id_starts": starts}
        order = np.array(sorted(range(len(texts)), key=texts.__getitem__), dtype=np.int64)
    return found if (order == np.arange(len(order))).all() else {**found, "id_order": order}
