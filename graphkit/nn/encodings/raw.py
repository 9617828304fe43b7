"""Raw encodings of many graphs: each different structure once, in parallel, kept in the user's cache."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np
import torch

from graphkit.core.errors import OutputError
from graphkit.core.machine import available_cores
from graphkit.io import npy_files
from graphkit.io.files import atomic_path
from graphkit.nn.encodings.electrostatic import electrostatic
from graphkit.nn.encodings.heat import heat_diagonal
from graphkit.nn.encodings.laplacian import lap_pe
from graphkit.nn.encodings.specs import Encoding
from graphkit.nn.encodings.structure import Structure, structures
from graphkit.nn.encodings.walks import rwse, walk_sums

log = logging.getLogger(__name__)

VERSION = "1"  # part of the cache's keys: a change of any definition needs a new one
WORTH_KEEPING = 0.5  # seconds of work below which a result is not stored
WORTH_PROCESSES = 10.0  # estimated seconds of work above which other processes are started
LARGE = 2000  # nodes from which a graph's work is shared out among threads


def compute(graphs: Sequence, encodings: Sequence[Encoding], threads: int | None = None) -> None:
    """Store the raw values of the encodings in the graphs, ``ndata[encoding.key]`` float32 (n, k), or (n, k, 2) of
    eigenpairs.

    The parts of a batched DGLGraph are graphs of their own. Laplacians are those of the undirected graph, walks follow
    the edges as given. NaN marks eigenvectors beyond the number of nodes.
    """

    if not encodings:
        return
    owned = [structures(graph) for graph in graphs]
    flat = [structure for parts in owned for structure in parts]
    for raw, key in {encoding.raw: encoding.key for encoding in encodings}.items():
        values, start = arrays(flat, raw, threads), 0
        for graph, parts in zip(graphs, owned):
            block = np.concatenate(values[start : start + len(parts)])
            graph.ndata[key] = torch.from_numpy(block).to(graph.device)
            start += len(parts)


def arrays(given: Sequence[Structure], raw: str, threads: int | None = None) -> list[np.ndarray]:
    """Return the raw values ``raw`` (``lap:10``, ``rwse:20``, see :attr:`Encoding.raw`) of each structure, float32.

    Equal structures are computed once. What took longer than :data:`WORTH_KEEPING` seconds is stored below the user's
    cache, named by the structures' checksums and ``raw``, and found there the next time.
    """
    digests = [structure.digest() for structure in given]
    unique = {digest: structure for digest, structure in zip(digests, given)}
    path = cache_folder() / f"{_name(raw, list(unique))}.npy"
    values = _stored(path, list(unique.values()))
    if values is None:
        started = time.perf_counter()
        values = _computed(list(unique.values()), raw, threads or available_cores())
        if time.perf_counter() - started >= WORTH_KEEPING:
            _store(path, values)
    found = dict(zip(unique, values))
    return [found[digest] for digest in digests]


def one(structure: Structure, raw: str, threads: int = 1) -> np.ndarray:
    """Compute the raw values of one structure, (n, k) or (n, k, 2) float32."""
    kind, _, number = raw.partition(":")
    k = int(number)
    makers = {
        "lap": lambda: lap_pe(structure, k),
        "lap-sym": lambda: lap_pe(structure, k, "sym"),
        "lap-mean": lambda: lap_pe(structure, k, "mean"),
        "rwse": lambda: rwse(structure, k, threads),
        "rwrows": lambda: walk_sums(structure, k, "rows"),
        "rwcols": lambda: walk_sums(structure, k, "columns"),
        "hkdiag": lambda: heat_diagonal(structure, np.arange(1, k + 1), threads=threads),
        "elstatic": lambda: electrostatic(structure, threads),
    }
    return makers[kind]().astype(np.float32)


def cache_folder() -> Path:
    """Folder of stored encodings: ``graphkit/encodings`` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "graphkit" / "encodings"


def _name(raw: str, digests: list[bytes]) -> str:
    digest = hashlib.sha256(VERSION.encode())
    for part in digests:
        digest.update(part)
    return f"{raw.replace(':', '-')}-{digest.hexdigest()[:24]}"


def _stored(path: Path, given: list[Structure]) -> list[np.ndarray] | None:
    try:
        values = npy_files.load(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as problem:
        log.warning("%s cannot be read (%s); the encoding is computed again", path, problem)
        return None
    sizes = np.array([structure.num_nodes for structure in given])
    if len(values) != sizes.sum():
        log.warning("%s holds %d nodes, expected %d; the encoding is computed again", path, len(values), sizes.sum())
        return None
    return np.split(values, np.cumsum(sizes)[:-1])


def _store(path: Path, values: list[np.ndarray]) -> None:
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            np.save(stream, np.concatenate(values))
    except OutputError as problem:
        log.warning("the encoding is not stored: %s", problem)


def _computed(given: list[Structure], raw: str, threads: int) -> list[np.ndarray]:
    small = [number for number, structure in enumerate(given) if structure.num_nodes < LARGE]
    values: list = [None] * len(given)
    work = sum(2e-4 + 2e-9 * given[number].num_nodes ** 3 for number in small)
    if threads > 1 and work > WORTH_PROCESSES:
        # Pieces of every size of graph, so that they take about the same time.
        pieces = [small[start :: 4 * threads] for start in range(4 * threads)]
        jobs = (joblib.delayed(_piece)([given[number] for number in piece], raw) for piece in pieces)
        for piece, found in zip(pieces, joblib.Parallel(n_jobs=threads)(jobs)):
            for number, value in zip(piece, found):
                values[number] = value
    for number, structure in enumerate(given):
        if values[number] is None:
            values[number] = one(structure, raw, threads if structure.num_nodes >= LARGE else 1)
    return values


def _piece(given: list[Structure], raw: str) -> list[np.ndarray]:
    return [one(structure, raw) for structure in given]
