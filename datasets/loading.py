"""Loads a data set by its name; what reads it is imported only then, so that a stored graph costs nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from graphkit.core import reading
from graphkit.core.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from graphkit.core.read_options import ReadOptions
    from graphkit.datasets.base import GraphDataset
    from graphkit.datasets.splits.loaded import Loaded


def names() -> list[str]:
    """Names of the catalogue's data sets, in its order."""
    from graphkit.datasets import catalogue

    return list(catalogue.entries())


def load(
    name: str,
    *,
    task: str | None = None,
    split: str | None = None,
    seed: int = 0,
    read: ReadOptions | None = None,
    many: bool = False,
    strict: bool = False,
) -> GraphDataset:
    """Load a data set.

    name: of the catalogue (``cora``), of a generator (``sbm:n=1000,k=5``), the path of a graph file, of a folder or
        file of a published form (:mod:`graphkit.datasets.readers.forms`), of an OGB folder, or ``-`` for standard
        input.
    task: ``node``, ``link`` or ``graph``, or ``labels`` for whichever of node and graph the data hold; None gives the
        whole graph without a split.
    split: name of the split; None takes the data set's own (:mod:`graphkit.datasets.splits.drawn` lists the names).
    seed: of the splits that are drawn; ``dataset.for_seed`` draws another.
    read: how to read the user's own files; its ``read_limit`` is for data sets of any kind.
    many: whether a file of one graph is a set of one, where its format can hold many.
    strict: whether to refuse what would be read otherwise than it stands (:mod:`graphkit.core.reading`), instead of a
        line on stderr; the lines stand in ``dataset.reading``.
    Raises :class:`graphkit.core.errors.DataError` for an unknown name, absent files or malformed ones.
    """
    with reading.ledger(strict) as notes:
        dataset = _load(name, task, split, seed, read, many)
    return dataset.renamed(reading=tuple(notes.lines)) if notes.lines else dataset


def _load(
    name: str, task: str | None, split: str | None, seed: int, read: ReadOptions | None, many: bool
) -> GraphDataset:
    from graphkit.datasets.readers import stored
    from graphkit.io import budget

    if stored.is_stored(name):  # first, as nothing else needs to be imported for it
        return stored.load(name, read, task, split, seed)
    with budget.scope(None if read is None else read.read_limit):
        loaded = loaded_whole(name, read, many)
        if loaded is not None:
            from graphkit.datasets.splits import drawn as splits

            return splits.finish(loaded, task, split, seed)
        from graphkit.core.read_options import ReadOptions
        from graphkit.datasets.readers.files import read_graph

        return read_graph(name, read or ReadOptions(), task=task, split=split, seed=seed, many=many)


def is_own(name: str) -> bool:
    """Whether the name is none that is read in one way only: of the catalogue, of a generator, of an OGB folder."""
    from graphkit.datasets import catalogue
    from graphkit.datasets.generators import synthetic
    from graphkit.datasets.readers import stored

    if stored.is_stored(name):
        return True
    word, colon, _ = name.partition(":")
    generator = bool(colon) and word in synthetic.GENERATORS
    return name not in catalogue.entries() and not generator and not _is_ogb_folder(name)


def _is_ogb_folder(name: str) -> bool:
    return name != "-" and os.path.isdir(os.path.join(name, "raw"))


def loaded_whole(name: str, read: ReadOptions | None = None, many: bool = False) -> Loaded | None:
    """What the name's loader gives, or the loader of the form that a path has; None for the path of any other graph of
    a user's.
    """
    from graphkit.datasets import catalogue
    from graphkit.datasets.generators import synthetic

    if name in catalogue.entries():
        return catalogue.entry(name).load()
    word, colon, _ = name.partition(":")
    if colon and word in synthetic.GENERATORS:
        return synthetic.generate(name)
    if _is_ogb_folder(name):
        from graphkit.datasets.sources import ogb

        return ogb.load_folder(name)
    if name == "-" or os.path.exists(name):
        return _of_form(name, read, many)
    known = [*catalogue.entries(), *(f"{generator}:" for generator in synthetic.GENERATORS)]
    hint = did_you_mean(word + colon, known) or "; see: graphkit data list"
    raise DataError(f"unknown data set {name!r}, and no such file{hint}")


def _of_form(path: str, read: ReadOptions | None, many: bool) -> Loaded | None:
    from graphkit.core.read_options import ReadOptions
    from graphkit.datasets.readers import forms
    from graphkit.io import budget

    read = read or ReadOptions()
    with budget.scope(budget.current().left):  # what is read to find the form is given back
        form = forms.find(path, read)
    return None if form is None else forms.load(form, path, read, many)
