"""Data sets that come with the packages graphkit needs, or are made from the running Python."""

from __future__ import annotations

import ast
import functools
import hashlib
import logging
import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import numpy as np
import sklearn
from sklearn.datasets import load_digits

from graphkit.core.errors import DataError, OutputError
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.readers.build import graph_of, reading, set_features, set_labels
from graphkit.datasets.readers.unpickle import load_npz
from graphkit.datasets.source import Source
from graphkit.datasets.sources.folders import cache_folder
from graphkit.datasets.splits.loaded import Loaded
from graphkit.io.files import atomic_path

NEIGHBOURS = 8
HASHED = 256


def karate(entry: Entry) -> Loaded:
    """Zachary's karate club (34 nodes, 78 edges, unweighted); label: the side taken."""
    source = nx.karate_club_graph()
    ends = np.array(source.edges(), dtype=np.int64)
    graph = graph_of(ends[:, 0], ends[:, 1], 34)
    clubs = ["Mr. Hi", "Officer"]
    set_labels(graph, [clubs.index(source.nodes[node]["club"]) for node in range(34)], "networkx")
    return Loaded(GraphDataset(entry.name, graph, class_names=clubs, source=Source(version=nx.__version__)))


def les_miserables(entry: Entry) -> Loaded:
    """Characters who meet in a chapter (77 nodes, 254 edges), weighted; ids are their names."""
    source = nx.les_miserables_graph()
    names = sorted(source)
    place = {name: k for k, name in enumerate(names)}
    rows = [(place[u], place[v], data["weight"]) for u, v, data in source.edges(data=True)]
    src, dst, weight = np.array(rows, dtype=np.int64).T
    graph = graph_of(src, dst, len(names), weight=weight)
    dataset = GraphDataset(entry.name, graph, node_ids=np.array(names), source=Source(version=nx.__version__))
    return Loaded(dataset)


def digits(entry: Entry) -> Loaded:
    """scikit-learn's 1,797 images: linked to the 8 nearest by Euclidean distance, made undirected; 64 pixels 0..1."""
    images = load_digits()
    near = nearest(images.data, NEIGHBOURS)
    graph = graph_of(np.repeat(np.arange(len(near)), NEIGHBOURS), near.ravel(), len(near))
    set_features(graph, images.data / 16.0, "scikit-learn")
    set_labels(graph, images.target, "scikit-learn")
    names = [str(name) for name in images.target_names]
    return Loaded(GraphDataset(entry.name, graph, class_names=names, source=Source(version=sklearn.__version__)))


def nearest(points, k: int):
    """(n, k) nearest other points of whole-number points (n, d); of equal distances the smaller number comes first.

    Whole numbers keep the distances exact, so that neither threads nor the BLAS decide between equal ones.
    """
    squares = (points**2).sum(1)
    distances = squares[:, None] + squares - 2 * points @ points.T
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, :k]


def python_imports(entry: Entry) -> Loaded:
    """Modules of the running Python's standard library, an edge from a module to each one that it imports.

    Parsed with ``ast``, nothing is imported; kept in the user's cache per Python version. Features: the words of a
    module's name and of its docstrings, hashed into 256 counts (log(1 + count)).
    """
    version = sys.version.split()[0]
    path = cache_folder() / f"python-imports-{sys.implementation.name}-{version}.npz"
    members = _cached(path)
    if members is None:
        members = _parse_library(Path(sysconfig.get_paths()["stdlib"]))
        _save(path, members)
    names, edges = members["names"], members["edges"]
    graph = graph_of(edges[:, 0], edges[:, 1], len(names), directed=True)
    set_features(graph, members["features"], path)
    dataset = GraphDataset(entry.name, graph, directed=True, node_ids=names, source=Source(version=f"Python {version}"))
    return Loaded(dataset)


def _cached(path: Path) -> dict | None:
    if not path.exists():
        return None
    try:
        members = load_npz(path)
        with reading(path, "the cached import graph"):
            edges, names, features = members["edges"], members["names"], members["features"]
            whole = edges.shape[1] == 2 and edges.max() < len(names) and edges.min() >= 0
            return members if whole and features.shape == (len(names), HASHED) else None
    except DataError as problem:
        logging.getLogger("graphkit").warning("%s; making it anew", problem)
        return None


def _save(path: Path, members: dict) -> None:
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **members)
    except OutputError as problem:  # without a cache the graph is made again next time
        logging.getLogger("graphkit").warning("%s", problem)


LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "lib2to3", "__pycache__"}


def _sources(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in LEFT_OUT:
                yield from _sources(Path(entry.path))
        elif entry.name.endswith(".py"):
            yield Path(entry.path)


def _parse_library(root: Path) -> dict:
    trees = {}
    for path in sorted(_sources(root)):
        parts = path.relative_to(root).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError, ValueError, OSError):
            continue  # templates and deliberately broken files
        if module and re.fullmatch(r"[\w.]+", module):
            trees[module] = (tree, parts[-1] == "__init__")
    names = sorted(trees)
    place = {name: k for k, name in enumerate(names)}
    edges, words = set(), []
    for name in names:
        targets, texts = _walk(name, *trees.pop(name), place)
        edges |= {(place[name], place[target]) for target in targets if target != name}
        words.append(re.findall(r"[a-z]{3,}", " ".join(texts).lower()))
    features = np.zeros((len(names), HASHED), dtype=np.float32)
    for k, found in enumerate(words):
        np.add.at(features[k], [_bucket(word) for word in found], 1)
    pairs = np.array(sorted(edges), dtype=np.int64).reshape(-1, 2)
    return {"names": np.array(names), "edges": pairs, "features": np.log1p(features)}


@functools.cache
def _bucket(word: str) -> int:
    return int.from_bytes(hashlib.blake2s(word.encode(), digest_size=4).digest(), "little") % HASHED


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _walk(name: str, tree: ast.AST, package: bool, known: dict) -> tuple[set[str], list[str]]:
    """Return (known modules that a module imports anywhere in it, its name and docstrings).

    Only statements are visited: neither imports nor docstrings are inside expressions.
    """
    found, texts, stack = set(), [name.replace("_", " ")], [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, DOCUMENTED):
            texts.append(ast.get_docstring(node, clean=False) or "")
        if isinstance(node, ast.Import):
            found.update(_resolve([[alias.name] for alias in node.names], known))
        elif isinstance(node, ast.ImportFrom):
            base = name.split(".")[: len(name.split(".")) - node.level + package] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found.update(_resolve([[f"{stem}.{alias.name}", stem] for alias in node.names], known))
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            stack.extend(getattr(node, part, None) or [])
    return found, texts


def _resolve(candidates: list[list[str]], known: dict) -> set[str]:
    """The first known module of each list: "from a import b" means the module a.b where there is one, else a."""
    return {next((option for option in options if option in known), "") for options in candidates} - {""}
