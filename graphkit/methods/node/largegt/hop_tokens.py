"""LargeGT's offline step: lists of nodes and features of their surroundings, memory-mapped, and the look-up of a batch.

A folder of ``graphkit train largegt --prepare-only`` holds ``lists.npy`` (n, K) int32, ``hops.npy`` (n, 3, F) float32
or float16 if the graph has features, and ``sample.json`` with the parameters and the checksums of graph and features.
Training without such a folder keeps the same arrays in the user's cache, the lists and the features apart, so that
another K shares the features.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from graphkit.core.errors import DataError, OutputError, UsageError
from graphkit.datasets.sources.folders import cache_folder
from graphkit.graph.adjacency import Adjacency, adjacency
from graphkit.io import npy_files
from graphkit.io.files import atomic_path, read_json, reserved_memmap, write_json
from graphkit.methods.node.largegt.hop_features import hop_features
from graphkit.methods.node.largegt.hop_lists import hop_lists

log = logging.getLogger(__name__)

HOPS = 2
LISTS, FEATURES, ABOUT = "lists.npy", "hops.npy", "sample.json"
# From this number of nodes on, the work takes long enough to say that it is being done.
MANY = 100_000
DTYPES = {"float32": np.float32, "float16": np.float16}
Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Recipe:
    """What fixes a sample beside the graph: list length, seed, cap of hubs (0: exact) and type of the stored
    features.
    """

    k: int = 50
    seed: int = 0
    hub_cap: int = 0
    dtype: str = "float32"


@dataclass(frozen=True)
class HopTokens:
    """Lists (n, K) int32 and features (n, hops + 1, F); either may be a memory map."""

    lists: np.ndarray
    features: np.ndarray

    def tokens(self, nodes: np.ndarray, hops: bool = True) -> torch.Tensor:
        """Return (B, K (hops + 1), F) float32 tokens of (B,) seeds: for each listed node its own features, then each
        hop's.

        Without ``hops`` (B, K, F), the listed nodes' own features alone.
        """
        listed = torch.from_numpy(np.asarray(self.lists[nodes], dtype=np.int64))
        features = torch.from_numpy(self.features)
        # Gathered here and nowhere else: memory is that of a batch, whatever the number of nodes.
        found = (features if hops else features[:, :1]).index_select(0, listed.flatten())
        return found.reshape(len(nodes), -1, self.features.shape[2]).float()

    def own(self, nodes: np.ndarray) -> torch.Tensor:
        """Return (B, F) float32: the nodes' own features."""
        return torch.from_numpy(self.features)[torch.from_numpy(np.asarray(nodes)), 0].float()


def own_features(features: np.ndarray) -> HopTokens:
    """The features (n, F) alone, each node its own list: what the global branch looks up."""
    return HopTokens(np.arange(len(features), dtype=np.int32)[:, None], features[:, None])


def graph_checksum(matrix: Adjacency) -> str:
    """SHA-256 of the structure, whatever the order of the edges; weights do not count."""
    digest = hashlib.sha256(np.ascontiguousarray(matrix.indptr))
    digest.update(np.ascontiguousarray(matrix.indices))
    return digest.hexdigest()


def features_checksum(features: np.ndarray) -> str:
    """SHA-256 of (n, F) float32 features."""
    return hashlib.sha256(np.ascontiguousarray(features, dtype=np.float32)).hexdigest()


def sample(
    graph, features: np.ndarray | None, folder: str | Path, recipe: Recipe, report: Report | None = None
) -> dict[str, Any]:
    """Write a folder of lists and hop features; return what ``sample.json`` says.

    Each file is written whole or not at all, ``sample.json`` last. Raises :class:`UsageError` where the folder holds a
    sample already or features do not fit into float16, :class:`OutputError` where it cannot be written.
    """
    folder, report = Path(folder), report or (lambda stage, done, total: None)
    if (folder / ABOUT).exists():
        raise UsageError(f"--out {folder}: already holds lists; name another folder")
    matrix = adjacency(graph)
    _write_lists(folder / LISTS, matrix, recipe, report)
    about = {
        "format": 1,
        "nodes": matrix.num_nodes,
        "edges": len(matrix.indices),
        "k": recipe.k,
        "seed": recipe.seed,
        "hub_cap": recipe.hub_cap,
        "hops": HOPS,
        "features": 0,
        "dtype": recipe.dtype,
        "graph": graph_checksum(matrix),
        "features_checksum": None,
    }
    if features is not None:
        _write_features(folder / FEATURES, matrix, features, recipe, report)
        about.update(features=features.shape[1], features_checksum=features_checksum(features))
    write_json(folder / ABOUT, about)
    return about


def load(folder: str | Path, graph, features: np.ndarray, k: int) -> HopTokens:
    """Open a folder of :func:`sample` for a graph; nothing is read before it is used.

    Raises :class:`DataError` where the folder holds no sample of this graph and these features, :class:`UsageError`
    where its lists have another length than ``k``.
    """
    folder = Path(folder)
    if not (folder / ABOUT).is_file():
        raise DataError(
            f"--lists {folder}: has no {ABOUT}, expected a folder of: graphkit train largegt --prepare-only"
        )
    about, matrix = read_json(folder / ABOUT), adjacency(graph)
    if not isinstance(about, dict) or about.get("format") != 1:
        raise DataError(
            f"{folder / ABOUT}: found no sample of format 1; make it anew with: graphkit train largegt --prepare-only"
        )
    if about.get("k") != k:
        raise UsageError(
            f"--k is {k}, but the lists in {folder} have length {about.get('k')}; expected the same number"
        )
    for key, found, what in (
        ("graph", graph_checksum(matrix), "the graph"),
        ("features_checksum", features_checksum(features), "the features"),
    ):
        if about.get(key) != found:
            raise DataError(
                f"--lists {folder}: made from something else than {what} of this data set (the checksum differs)"
            )
    n, width = features.shape
    lists = _open(folder / LISTS, (n, k), (np.int32,))
    return HopTokens(lists, _open(folder / FEATURES, (n, HOPS + 1, width), tuple(DTYPES.values())))


def cached(graph, features: np.ndarray, recipe: Recipe, report: Report | None = None) -> HopTokens:
    """Take lists and features from the user's cache, or compute and keep them there.

    Where the cache cannot be written the arrays stay in memory.
    """
    report = report or (lambda stage, done, total: None)
    matrix, folder = adjacency(graph), cache_folder() / "largegt"
    key = graph_checksum(matrix)
    lists_path = folder / f"lists-{key[:20]}-{recipe.k}-{recipe.seed}-{recipe.hub_cap}.npy"
    features_path = folder / f"hops-{key[:20]}-{features_checksum(features)[:20]}-{recipe.dtype}.npy"
    n, width = features.shape
    if n >= MANY and not (lists_path.exists() and features_path.exists()):
        log.info("drawing lists of %d nodes for %s nodes; they are kept in %s", recipe.k, f"{n:,}", folder)
    lists = _kept(lists_path, (n, recipe.k), np.int32, lambda path: _write_lists(path, matrix, recipe, report))
    if lists is None:
        lists = hop_lists(matrix, recipe.k, seed=recipe.seed, hub_cap=recipe.hub_cap)
    shape, dtype = (n, HOPS + 1, width), DTYPES[recipe.dtype]
    found = _kept(features_path, shape, dtype, lambda path: _write_features(path, matrix, features, recipe, report))
    if found is None:
        found = hop_features(matrix, features, HOPS, out=np.empty(shape, dtype))
    return HopTokens(lists, found)


def cached_vectors(graph, name: str, shape: tuple[int, int], compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Take float32 node vectors of a graph from the user's cache, or compute and keep them there under a name."""
    path = cache_folder() / "largegt" / f"{name}-{graph_checksum(adjacency(graph))[:20]}.npy"

    def write(place: Path) -> None:
        vectors = compute()
        with _mapped(place, shape, np.float32) as out:
            out[:] = vectors

    found = _kept(path, shape, np.float32, write)
    return compute() if found is None else found


def _kept(path: Path, shape: tuple[int, ...], dtype, write: Callable[[Path], None]) -> np.ndarray | None:
    """The array at ``path``, written first where it is absent or damaged; None where it cannot be written."""
    if path.exists():
        try:
            return _open(path, shape, (dtype,))
        except DataError as problem:
            log.warning("%s; making it anew", problem)
    try:
        write(path)
    except OutputError as problem:
        log.warning("%s; keeping it in memory", problem)
        return None
    return _open(path, shape, (dtype,))


def _open(path: Path, shape: tuple[int, ...], dtypes: tuple) -> np.ndarray:
    try:
        # Copy on write: torch wants arrays that may be written to, and the file stays as it is.
        found = npy_files.load(path, "c" if np.prod(shape) else None)
    except (OSError, ValueError, EOFError) as problem:
        raise DataError(f"{path}: cannot be read: {' '.join(str(problem).split())}") from None
    if found.shape != shape or found.dtype not in dtypes:
        names = " or ".join(np.dtype(dtype).name for dtype in dtypes)
        raise DataError(f"{path}: found {found.dtype} {found.shape}, expected {names} {shape}")
    return found


def _write_lists(path: Path, matrix: Adjacency, recipe: Recipe, report: Report) -> None:
    with _mapped(path, (matrix.num_nodes, recipe.k), np.int32) as out:
        hop_lists(
            matrix,
            recipe.k,
            seed=recipe.seed,
            hub_cap=recipe.hub_cap,
            out=out,
            report=lambda done, total: report("lists", done, total),
        )


def _write_features(path: Path, matrix: Adjacency, features: np.ndarray, recipe: Recipe, report: Report) -> None:
    dtype = DTYPES[recipe.dtype]
    with _mapped(path, (len(features), HOPS + 1, features.shape[1]), dtype) as out, np.errstate(over="ignore"):
        hop_features(matrix, features, HOPS, out=out, report=lambda done, total: report("features", done, total))
        if dtype is np.float16 and not all(np.isfinite(out[a : a + 65536]).all() for a in range(0, len(out), 65536)):
            raise UsageError(
                f"float16 holds numbers up to 65504, found features up to {np.abs(features).max():g}; use float32"
            )


@contextlib.contextmanager
def _mapped(path: Path, shape: tuple[int, ...], dtype) -> Iterator[np.ndarray]:
    """An array to write into that becomes the .npy file ``path`` when the block ends without error."""
    with atomic_path(path) as temporary:
        if np.prod(shape):
            out = reserved_memmap(temporary, dtype, shape)
            yield out
            out.flush()
        else:  # nothing can be mapped of an empty file
            with open(temporary, "wb") as stream:
                np.save(stream, np.empty(shape, dtype))
            yield np.empty(shape, dtype)
