"""Knowledge graphs as triples ``head relation tail``: a text, or a folder or tar archive of train.txt, valid.txt and
test.txt.

Entities are nodes and a triple is an edge from head to tail; methods see one kind of edge, so that the relations are
counted but not used, and several triples of one pair are one edge. A held-out pair that a training triple joins
already, by whatever relation, is no link to foretell and is left out; negatives are as many pairs without any triple,
drawn with seed 0.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np

from graphkit.core import reading as notes
from graphkit.core.errors import DataError
from graphkit.core.read_options import ReadOptions
from graphkit.datasets.base import EdgeSet, GraphDataset, LinkSplit
from graphkit.datasets.readers.build import graph_of
from graphkit.datasets.splits.links import non_edges
from graphkit.datasets.splits.loaded import Loaded
from graphkit.io import budget
from graphkit.io.blob import Blob, one_line
from graphkit.io.formats import dataset_name, read_blob

PARTS = ("train", "valid", "test")


def from_folder(path: str | Path, read: ReadOptions) -> Loaded:
    """Read ``train.txt``, ``valid.txt`` and ``test.txt`` of a folder."""
    return _load(
        Path(path).resolve().name,
        str(path),
        {part: read_blob(Path(path) / f"{part}.txt", "triples") for part in PARTS},
        read,
    )


def from_archive(path: str | Path, read: ReadOptions) -> Loaded:
    """Read the three files inside a ``.tar.gz``; nothing is unpacked to disk."""
    blob = read_blob(path, "an archive of triples")
    found = {}
    with one_line(blob, "a tar archive"):
        try:
            with tarfile.open(fileobj=io.BytesIO(blob.data), mode="r:") as archive:
                for member in archive:
                    part = Path(member.name).name.removesuffix(".txt")
                    if member.isfile() and Path(member.name).name == f"{part}.txt" and part in PARTS:
                        budget.take(member.size, blob.name, f"member {member.name}")
                        if part in found:
                            raise blob.error(f"two files {part}.txt, expected one")
                        found[part] = Blob(f"{blob.name}, {member.name}", archive.extractfile(member).read(), ".txt")
        except (tarfile.TarError, EOFError, OSError) as problem:
            raise blob.error(f"not a readable tar archive: {problem}") from None
    if missing := [part for part in PARTS if part not in found]:
        raise blob.error(f"holds no {missing[0]}.txt, expected train.txt, valid.txt and test.txt with a triple a line")
    name = dataset_name(Path(path).name.removesuffix(".gz").removesuffix(".tgz").removesuffix(".tar"))
    return _load(name, blob.name, found, read)


def _load(name: str, source: str, blobs: dict[str, Blob], read: ReadOptions) -> Loaded:
    entities: dict[str, int] = {}
    relations: dict[str, int] = {}
    rows = {part: _triples(blob, entities, relations) for part, blob in blobs.items()}
    n = len(entities)
    codes = {}
    for part, triples in rows.items():
        heads, tails = triples[:, 0], triples[:, 2]
        if not read.directed:
            heads, tails = np.minimum(heads, tails), np.maximum(heads, tails)
        codes[part] = np.unique((heads * n + tails)[heads != tails])
    _report(source, rows, codes, len(relations), read.directed)
    before, held = codes["train"], {}
    if not len(before):
        raise DataError(f"{source}: no training triple joins two entities, expected some")
    for part in ("valid", "test"):
        left = np.setdiff1d(codes[part], before)
        if len(left) < len(codes[part]):
            notes.note(
                source,
                f"{len(codes[part]) - len(left)} of {len(codes[part])} {part} pairs are joined by an earlier part;"
                " left out",
            )
        if not len(left):
            raise DataError(f"{source}: no {part} pair is left that no earlier part joins, expected some")
        held[part], before = left, np.union1d(before, left)
    rng, known = np.random.default_rng(0), np.stack([before // n, before % n], axis=1)
    pairs = {part: np.stack([code // n, code % n], axis=1) for part, code in (("train", codes["train"]), *held.items())}
    counts = [len(held["valid"]), len(held["test"])]
    possible = n * (n - 1) // (1 if read.directed else 2) - len(known)
    if possible < sum(counts):
        notes.note(
            source, f"only {possible} pairs are without a triple, fewer negatives than the {sum(counts)} held-out pairs"
        )
        counts = [possible // 2, possible - possible // 2]
        if not min(counts):
            raise DataError(
                f"{source}: {possible} pairs of entities are without a triple, expected some to tell links from"
            )
    negatives = np.split(non_edges(known, n, sum(counts), rng, read.directed, name), counts[:1])
    valid, test = (EdgeSet(pairs[part], neg=neg) for part, neg in zip(("valid", "test"), negatives))
    graph = graph_of(pairs["train"][:, 0], pairs["train"][:, 1], n, directed=read.directed, simple=True)
    dataset = GraphDataset(name, graph, directed=read.directed, node_ids=np.array(list(entities), dtype=object))
    return Loaded(dataset, links=LinkSplit(EdgeSet(pairs["train"]), valid, test), links_name="given")


def _triples(blob: Blob, entities: dict[str, int], relations: dict[str, int]) -> np.ndarray:
    """(T, 3) numbers of head, relation and tail; new names are numbered as they come."""
    try:
        text = blob.data.decode("utf-8")
    except UnicodeDecodeError as bad:
        raise blob.error(
            f"byte 0x{blob.data[bad.start]:02x} is not UTF-8 text", blob.data.count(b"\n", 0, bad.start) + 1
        ) from None
    lines = text.split("\n")
    mark = "\t" if "\t" in lines[0] else "," if lines[0].count(",") == 2 else None
    out = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.rstrip("\r").split(mark)]
        if len(cells) != 3 or not all(cells):
            raise blob.error(
                f"found {len(cells)} column{'s' * (len(cells) != 1)}, expected head, relation and tail", number
            )
        head, tail = (entities.setdefault(cell, len(entities)) for cell in (cells[0], cells[2]))
        out.append((head, relations.setdefault(cells[1], len(relations)), tail))
    if not out:
        raise blob.error("no triples, expected head, relation and tail on each line")
    return np.array(out, dtype=np.int64)


def _report(source: str, rows, codes, relations: int, directed: bool) -> None:
    loops = sum(int((triples[:, 0] == triples[:, 2]).sum()) for triples in rows.values())
    merged = sum(map(len, rows.values())) - loops - sum(map(len, codes.values()))
    parts = [f"the {relations} relation{'s' * (relations > 1)} of the triples are not used"]
    parts += [] if directed else ["directions neither (--directed keeps them)"]
    parts += [f"{merged} triples of a pair that is there already are merged"] if merged else []
    parts += [f"{loops} from an entity to itself dropped"] if loops else []
    notes.note(source, "; ".join(parts))
