"""Sets of molecules that come as SMILES: ogbg-molhiv, Peptides-func, ESOL and what can be had of ZINC."""

from __future__ import annotations

import ast
import csv
import gzip
from pathlib import Path

import numpy as np

from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset, GraphSplit
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.readers.build import check, check_ids, integer_table, reading
from graphkit.datasets.readers.smiles_cache import Molecules, molecules
from graphkit.datasets.readers.unpickle import load_pickle
from graphkit.datasets.sources import folders, ogb
from graphkit.datasets.splits.loaded import Loaded
from graphkit.datasets.splits.nodes import as_tensor
from graphkit.io import contents

PARTS = ("train", "valid", "test")
ZINC_PROPERTIES = ("logp", "synthetic_accessibility", "long_cycle")
ZINC_SIZES = {"4k": 4000, "10k": 10_000}


def molhiv(entry: Entry, *, name: str, table: str, split: str) -> Loaded:
    """ogbg-molhiv from OGB's own folder; where that is absent, from MoleculeNet's HIV.csv.

    The rows without repeated SMILES are OGB's molecules in OGB's order (41,127). ``split`` is a folder with
    ``train.csv.gz``, ``valid.csv.gz`` and ``test.csv.gz``, one number of a molecule a line.
    """
    path = folders.find(table)
    folder = name.replace("-", "_")
    if path is None or folders.find(folder) or folders.find(f"ogb/{folder}"):
        return ogb.load(entry, name=name)
    smiles, active = _columns(path, ["smiles", "HIV_active"])
    labels = np.array([_binary(text, path, k) for k, text in enumerate(active)], dtype=np.float32)
    rows: dict[str, int] = {}
    for k, text in enumerate(smiles):
        rows.setdefault(text, k)
    smiles, labels = list(rows), labels[list(rows.values()), None]
    parts = []
    for part in PARTS:
        place = entry.path(f"{split}/{part}.csv.gz")
        parts.append(integer_table(place, 1)[:, 0])
        check_ids(parts[-1], len(smiles), place, "molecule")
    dataset = _dataset(entry, molecules(entry.name, smiles), labels)
    dataset.ogb_name = name
    return Loaded(dataset, {"scaffold": _disjoint(parts, path.parent / split)})


def peptides(entry: Entry, *, table: str, split: str) -> Loaded:
    """Peptides-func (Dwivedi et al., 2022): ten labels a peptide, the stratified split of the authors."""
    path, split_path = entry.path(table), entry.path(split)
    smiles, texts = _columns(path, ["smiles", "labels"])
    labels = np.array([_label_list(text, path, k) for k, text in enumerate(texts)], dtype=np.float32)
    found = load_pickle(split_path)
    with reading(split_path, "a split"):
        parts = [np.asarray(found[key]).astype(np.int64).ravel() for key in ("train", "val", "test")]
    for part in parts:
        check_ids(part, len(smiles), split_path, "molecule")
    dataset = _dataset(entry, molecules(entry.name, smiles), labels)
    return Loaded(dataset, {"stratified": _disjoint(parts, split_path)})


def regression(entry: Entry, *, table: str, target: str) -> Loaded:
    """A table with a column ``smiles`` and one of numbers to predict."""
    path = entry.path(table)
    smiles, texts = _columns(path, ["smiles", target])
    values = np.array([_number(text, path, k) for k, text in enumerate(texts)], dtype=np.float32)
    return Loaded(_dataset(entry, molecules(entry.name, smiles), values[:, None]))


def zinc(entry: Entry, *, valid: str, test: str, valid_index: str, test_index: str) -> Loaded:
    """What can be had of ZINC: the validation and test molecules of ZINC-12k, and others of ZINC-250k to train on.

    Target: penalised logP, z(logP) - z(SA) - z(long cycle), z = standardised with mean and deviation over the training
    molecules of the largest split. Splits: ``partial`` trains on all that are left of the validation file,
    ``partial-10k`` and ``partial-4k`` on the first 10,000 and 4,000 of them.
    """
    files = [entry.path(valid), entry.path(test)]
    lines = [_lines(path) for path in files]
    chosen = []
    for relative, path, text in zip((valid_index, test_index), files, lines):
        place = entry.path(relative)
        with reading(place, "numbers separated by commas"):
            chosen.append(np.array(place.read_text(encoding="ascii").split(","), dtype=np.int64))
        check_ids(chosen[-1], len(text), place, f"line of {path.name}")
    left = np.setdiff1d(np.arange(len(lines[0])), chosen[0])
    smiles = [lines[0][k] for k in left] + [lines[0][k] for k in chosen[0]] + [lines[1][k] for k in chosen[1]]
    parsed = molecules(entry.name, smiles, ZINC_PROPERTIES)
    check(
        np.isfinite(parsed.values).all(),
        files[0],
        "a molecule without logP or SA score",
        "molecules that RDKit accepts",
    )
    centre, scale = parsed.values[: len(left)].mean(0), parsed.values[: len(left)].std(0)
    scores = (parsed.values - centre) / np.where(scale > 0, scale, 1.0)
    target = (scores[:, 0] - scores[:, 1] - scores[:, 2]).astype(np.float32)
    train, *rest = np.split(np.arange(len(smiles)), np.cumsum([len(left), len(chosen[0])]))
    given = {"partial": GraphSplit(train, *rest)}
    given.update({f"partial-{word}": GraphSplit(train[:size], *rest) for word, size in ZINC_SIZES.items()})
    return Loaded(_dataset(entry, parsed, target[:, None]), given)


def _dataset(entry: Entry, parsed: Molecules, labels: np.ndarray) -> GraphDataset:
    return GraphDataset(entry.name, graphs=parsed.graphs(), graph_labels=as_tensor(labels))


def _columns(path: Path, names: list[str]) -> list[list[str]]:
    """The named columns of a csv with a header, stripped text; raises :class:`DataError` for a line of another form."""
    with reading(path, "a csv of molecules"), _text(path) as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        missing = [name for name in names if name not in header]
        check(not missing, path, f"no column {', '.join(missing)}", f"the columns {', '.join(names)}")
        places, out = [header.index(name) for name in names], [[] for _ in names]
        for row in reader:
            if len(row) != len(header):
                raise DataError(f"{path}: line {reader.line_num}: found {len(row)} values, expected {len(header)}")
            for name, place, column in zip(names, places, out):
                column.append(row[place].strip())
                if not column[-1]:
                    raise DataError(f"{path}: line {reader.line_num}: found no {name!r}, expected a value")
    check(out[0], path, "no molecules", "a molecule a line")
    return out


def _text(path: Path):
    contents.guard(path)
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return open(path, encoding="utf-8", newline="")


def _lines(path: Path) -> list[str]:
    with reading(path, "SMILES, one a line"):
        lines = path.read_text(encoding="ascii").split("\n")
    lines = [line.strip() for line in lines[: -1 if lines[-1] == "" else None]]
    check(lines, path, "an empty file", "a SMILES a line")
    if "" in lines:
        raise DataError(f"{path}: line {lines.index('') + 1}: found an empty line, expected a SMILES")
    return lines


def _binary(text: str, path: Path, row: int) -> int:
    if text not in ("0", "1"):
        raise DataError(f"{path}: line {row + 2}: found the label {text!r}, expected 0 or 1")
    return int(text)


def _number(text: str, path: Path, row: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise DataError(f"{path}: line {row + 2}: found {text!r}, expected a number")
    return value


def _label_list(text: str, path: Path, row: int, count: int = 10) -> list[int]:
    try:
        labels = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        labels = None
    if not isinstance(labels, list) or len(labels) != count or any(label not in (0, 1) for label in labels):
        raise DataError(
            f"{path}: line {row + 2}: found the labels {text[:60]!r}, expected a list of {count} times 0 or 1"
        )
    return labels


def _disjoint(parts: list[np.ndarray], path: Path) -> GraphSplit:
    everything = np.concatenate(parts)
    check(len(np.unique(everything)) == len(everything), path, "a molecule in two parts", "parts that do not meet")
    return GraphSplit(*parts)
