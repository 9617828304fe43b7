"""Molecules from SMILES as arrays of OGB's categories: parsed once, in parallel, and kept in the user's cache.

The graphs are those of ``ogb.utils.smiles2graph``: an atom is a row of 9 categories, a bond two directed edges with a
row of 3 categories each. Molecules that RDKit refuses (impossible valences, mostly of metal complexes) are kept: parsed
without the check of valences, and as one placeholder atom where even that fails.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import dgl
import numpy as np
import torch
from joblib import Parallel, delayed

from graphkit.core.errors import DataError, MissingExtraError, OutputError
from graphkit.core.machine import available_cores
from graphkit.core.reading import note
from graphkit.datasets.readers import smiles_properties
from graphkit.datasets.readers.build import check, reading
from graphkit.datasets.readers.unpickle import load_npz
from graphkit.datasets.sources import folders
from graphkit.datasets.sources.ogb import import_ogb
from graphkit.io.files import atomic_path

FORM = 1  # of the cached arrays; a new number makes old files be ignored
BLOCK = 512  # molecules a worker parses at a time
ROUND = 4  # blocks of each worker between two looks at the clock
SERIAL = 2 * BLOCK  # below this, starting workers costs more than they save
SECONDS_BETWEEN_LINES = 5.0
STATES = ("accepted", "unsanitised", "placeholder")
log = logging.getLogger("graphkit")


@dataclass(frozen=True)
class Molecules:
    """G molecules with N atoms and M directed bonds in all, one behind the other.

    atoms, bonds: (G,) int64 sizes; edges: (2, M) int64 atom numbers inside their molecule; atom_feat: (N, 9) int64;
    bond_feat: (M, 3) int64; state: (G,) int64 places in :data:`STATES`; values: (G, P) float64 properties that were
    asked for, NaN where RDKit refuses the molecule.
    """

    atoms: np.ndarray
    bonds: np.ndarray
    edges: np.ndarray
    atom_feat: np.ndarray
    bond_feat: np.ndarray
    state: np.ndarray
    values: np.ndarray

    def graphs(self) -> list[dgl.DGLGraph]:
        """One DGLGraph a molecule; their features are views of the common arrays."""
        atoms, bonds = self.atoms.tolist(), self.bonds.tolist()
        src, dst, feat = (torch.split(torch.from_numpy(part), bonds) for part in (*self.edges, self.bond_feat))
        nodes = torch.split(torch.from_numpy(self.atom_feat), atoms)
        graphs = []
        for k, count in enumerate(atoms):
            graph = dgl.graph((src[k], dst[k]), num_nodes=count)
            graph.ndata["feat"], graph.edata["feat"] = nodes[k], feat[k]
            graphs.append(graph)
        return graphs

    def report(self, name: str) -> None:
        """Say in one line how many molecules RDKit refuses; nothing where there are none."""
        _, loose, placeholders = np.bincount(self.state, minlength=len(STATES)).tolist()
        if loose or placeholders:
            kept = f"{loose} without the check of valences, {placeholders} as one placeholder atom"
            note(name, f"RDKit refuses {loose + placeholders} of {len(self.state)} molecules; kept: {kept}")


def molecules(name: str, smiles: Sequence[str], properties: Sequence[str] = ()) -> Molecules:
    """Parse SMILES, or read what was parsed before: the key is the checksum of the SMILES and RDKit's and ogb's
    versions.

    properties: names of functions of :mod:`graphkit.datasets.readers.smiles_properties`. A damaged cache is made anew,
    an unwritable one is done without. Raises :class:`MissingExtraError` where RDKit is not installed.
    """
    versions = _versions(name)
    digest = hashlib.sha256("\n".join([str(FORM), *versions, *properties, "", *smiles]).encode()).hexdigest()
    path = folders.cache_folder() / "molecules" / f"{name}-rdkit{versions[0]}-ogb{versions[1]}-{digest[:16]}.npz"
    found = _cached(path, len(smiles), len(properties))
    if found is None:
        found = _parse_all(name, smiles, tuple(properties))
        _save(path, found)
    found.report(name)
    return found


def _versions(name: str) -> tuple[str, str]:
    if importlib.util.find_spec("rdkit") is None:
        raise MissingExtraError("rdkit", "mol", f"data set {name!r}")

    import rdkit

    return rdkit.__version__, metadata.version("ogb")


# Parsing --------------------------------------------------------------------------------------------------------------


def _parse_all(name: str, smiles: Sequence[str], properties: tuple[str, ...]) -> Molecules:
    blocks = [smiles[start : start + BLOCK] for start in range(0, len(smiles), BLOCK)]
    done, last, parts = 0, time.monotonic(), []
    for block, part in zip(blocks, _parsed(blocks, properties, len(smiles))):
        parts.append(part)
        done += len(block)
        if time.monotonic() - last > SECONDS_BETWEEN_LINES:
            log.info("%s: parsed %d of %d molecules", name, done, len(smiles))
            last = time.monotonic()
    return Molecules(*(np.concatenate(arrays, axis=1 if k == 2 else 0) for k, arrays in enumerate(zip(*parts))))


def _parsed(blocks, properties, total: int) -> Iterator[tuple]:
    """The arrays of each block, in order."""
    workers = min(available_cores(), torch.get_num_threads(), len(blocks)) if total > SERIAL else 1
    if workers <= 1:
        yield from (parse(block, properties) for block in blocks)
        return
    with Parallel(n_jobs=workers) as pool:
        step = ROUND * workers
        for start in range(0, len(blocks), step):
            yield from pool(delayed(parse)(block, properties) for block in blocks[start : start + step])


def parse(smiles: Sequence[str], properties: tuple[str, ...] = ()) -> tuple:
    """The arrays of :class:`Molecules` for a few SMILES, in its order of fields."""
    smiles2graph = import_ogb("ogb.utils.mol").smiles2graph
    from rdkit import Chem, rdBase

    functions = [getattr(smiles_properties, word) for word in properties]
    graphs, states, values = [], [], np.full((len(smiles), len(functions)), np.nan)
    with rdBase.BlockLogs():  # a refusal is counted, RDKit's lines about it say no more
        for k, text in enumerate(smiles):
            graph, state = _graph(text, smiles2graph, Chem)
            graphs.append(graph)
            states.append(STATES.index(state))
            if functions and state == "accepted":
                values[k] = [function(Chem.MolFromSmiles(text)) for function in functions]
    whole = {key: [graph[key] for graph in graphs] for key in ("edge_index", "node_feat", "edge_feat")}
    sizes = [np.array([len(part) for part in whole[key]], dtype=np.int64) for key in ("node_feat", "edge_feat")]
    return (
        *sizes,
        np.concatenate(whole["edge_index"], axis=1),
        np.concatenate(whole["node_feat"]),
        np.concatenate(whole["edge_feat"]),
        np.array(states, dtype=np.int64),
        values,
    )


def _graph(text: str, smiles2graph, Chem) -> tuple[dict[str, Any], str]:
    """OGB's graph of a SMILES and the word of :data:`STATES` for it."""
    # smiles2graph meets None for a refused SMILES, and OGB's lists lack RDKit's newest kinds of stereo bonds.
    with contextlib.suppress(AttributeError, ValueError):
        graph = smiles2graph(text)
        if graph["num_nodes"]:
            return graph, "accepted"
    mol = Chem.MolFromSmiles(text, sanitize=False)
    if mol is not None and mol.GetNumAtoms():
        mol.UpdatePropertyCache(strict=False)
        checks = Chem.SanitizeFlags.SANITIZE_ALL ^ Chem.SanitizeFlags.SANITIZE_PROPERTIES
        Chem.SanitizeMol(mol, checks, catchErrors=True)
        Chem.FastFindRings(mol)
        with contextlib.suppress(ValueError):
            return _categories(mol), "unsanitised"
    features = import_features()
    last = [size - 1 for size in features.get_atom_feature_dims()[:7]]
    node = np.array([[*last, 0, 0]], dtype=np.int64)  # "misc" throughout, in no ring
    empty = {"edge_index": np.empty((2, 0), dtype=np.int64), "edge_feat": np.empty((0, 3), dtype=np.int64)}
    return {"node_feat": node, **empty}, "placeholder"


def import_features():
    """OGB's module of atom and bond categories."""
    return import_ogb("ogb.utils.features")


def _categories(mol) -> dict[str, Any]:
    """What smiles2graph does, for a molecule that is already parsed."""
    features = import_features()
    nodes = [features.atom_to_feature_vector(atom) for atom in mol.GetAtoms()]
    ends, kinds = [], []
    for bond in mol.GetBonds():
        u, v = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        ends += [(u, v), (v, u)]
        kinds += [features.bond_to_feature_vector(bond)] * 2
    edges = np.array(ends, dtype=np.int64).reshape(-1, 2).T
    return {
        "edge_index": edges,
        "node_feat": np.array(nodes, dtype=np.int64),
        "edge_feat": np.array(kinds, dtype=np.int64).reshape(-1, 3),
    }


# Cache ----------------------------------------------------------------------------------------------------------------


def _cached(path: Path, count: int, properties: int) -> Molecules | None:
    if not path.exists():
        return None
    try:
        members = load_npz(path)
        with reading(path, "parsed molecules"):
            return _checked(members, count, properties, path)
    except DataError as problem:
        log.warning("%s; making it anew", problem)
        return None


def _checked(members, count: int, properties: int, path: Path) -> Molecules:
    values = members.pop("values")
    found = Molecules(
        **{key: np.ascontiguousarray(part, dtype=np.int64) for key, part in members.items()}, values=values
    )
    sizes = (found.atoms, found.bonds, found.state)
    check(all(part.shape == (count,) for part in sizes), path, "lists of another length", f"{count} molecules")
    check(found.atoms.min(initial=1) > 0 and found.bonds.min(initial=0) >= 0, path, "impossible sizes", "sizes")
    nodes, edges = int(found.atoms.sum()), int(found.bonds.sum())
    shapes = (found.atom_feat.shape, found.bond_feat.shape, found.edges.shape, values.shape)
    check(shapes == ((nodes, 9), (edges, 3), (2, edges), (count, properties)), path, f"the shapes {shapes}", "others")
    inside = (found.edges >= 0) & (found.edges < np.repeat(found.atoms, found.bonds))
    check(inside.all(), path, "a bond to an atom outside its molecule", "atoms of the molecule")
    features = import_features()
    for table, dims in (
        (found.atom_feat, features.get_atom_feature_dims()),
        (found.bond_feat, features.get_bond_feature_dims()),
    ):
        check(
            ((table >= 0) & (table < np.array(dims))).all(), path, "a category outside OGB's list", "OGB's categories"
        )
    check(((found.state >= 0) & (found.state < len(STATES))).all(), path, "an unknown state", f"0..{len(STATES) - 1}")
    return found


def _save(path: Path, found: Molecules) -> None:
    kinds = {
        "edges": np.uint16 if found.atoms.max(initial=0) < 2**16 else np.int32,
        "atom_feat": np.uint8,
        "bond_feat": np.uint8,
        "state": np.uint8,
        "atoms": np.int32,
        "bonds": np.int32,
        "values": np.float64,
    }
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **{key: part.astype(kinds[key]) for key, part in vars(found).items()})
    except OutputError as problem:  # without a cache the molecules are parsed again next time
        log.warning("%s", problem)
