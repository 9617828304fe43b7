"""Labels on which a figure would mean nothing: refused or reported before anything is trained or judged on them."""

from __future__ import annotations

import numpy as np

from graphkit.core import reading
from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.text import counted, is_number

SHOWN = 3


def require_classes(dataset: GraphDataset, own: bool, source: str | None = None) -> None:
    """Hold labels against a protocol of classes as :func:`check_labels` does; raises :class:`DataError` for numbers
    too.
    """
    if dataset.label_kind == "numbers":
        raise DataError(
            f"{source or dataset.name}: its labels are numbers to learn, expected classes (leave out --task regression)"
        )
    check_labels(dataset, own, source)


def check_labels(dataset: GraphDataset, own: bool = True, source: str | None = None) -> None:
    """Hold the node labels of a data set against what a learner or a protocol needs.

    own: whether they are a user's, whose oddities are reported too. source: the file that messages name, by default the
        data set.
    Raises :class:`DataError` for no label, for one class only, for labels that all nodes or none has, for as many
    classes as labelled nodes (more than half of them alone in their class), and for numbers that are all the same.
    Classes of one node are reported.
    """
    labels, kind, source = dataset.labels.numpy(), dataset.label_kind, source or dataset.name
    if kind == "numbers":
        known = labels[~np.isnan(labels)]
        if len(known) < 2 or (known == known[0]).all():
            found = f"{len(known)} label" if len(known) < 2 else f"{len(known)} labels that are all {known[0]:g}"
            raise DataError(f"{source}: found {found}, expected different numbers to learn")
        return
    if kind == "several":
        _check_several(dataset, labels, own, source)
        return
    known = labels[labels >= 0]
    counts = np.bincount(known)
    classes = np.flatnonzero(counts)
    if len(classes) < 2:
        what = "no labels" if not len(classes) else f"one class only ({_name(dataset, classes[0])}, {len(known)} nodes)"
        raise DataError(f"{source}: found {what}, expected at least two classes: any prediction would be right")
    alone = np.flatnonzero(counts == 1)
    if 2 * len(alone) > len(known):
        raise DataError(
            f"{source}: found {len(classes)} classes of {len(known)} labelled nodes, {len(alone)} of one node, expected"
            f" classes with several nodes{_hint(dataset, classes)}"
        )
    if len(alone) and own:
        shown = ", ".join(_name(dataset, k) for k in alone[:SHOWN]) + (", ..." if len(alone) > SHOWN else "")
        classes = "1 class" if len(alone) == 1 else f"{len(alone)} classes"
        reading.note(source, f"{classes} of one node ({shown}), which can train or be judged but not both")


def check_split(dataset: GraphDataset) -> None:
    """Hold the parts of a node split against the labels; ``dataset.split`` is the split.

    Raises :class:`DataError` where a part has no label, or where the training nodes have one class only. Reports nodes
    of a part without a label, and judged nodes of classes that no training node has.
    """
    labels, kind = dataset.labels.numpy(), dataset.label_kind
    seen: set[int] = set()
    for part in ("train", "valid", "test"):
        values = labels[np.asarray(getattr(dataset.split, part))]
        known = (
            ~np.isnan(values)
            if kind == "numbers"
            else values >= 0
            if kind == "classes"
            else np.ones(len(values), dtype=bool)
        )
        if not known.any():
            raise DataError(f"{dataset.name}: no node of the part {part} has a label, expected some")
        if not known.all():
            without = int((~known).sum())
            reading.note(
                dataset.name,
                f"{counted(without, 'node')} of {len(known)} of the part {part} without a label: not counted",
            )
        if kind != "classes":
            continue
        classes = set(np.unique(values[known]).tolist())
        if part == "train":
            if len(classes) < 2:
                raise DataError(
                    f"{dataset.name}: all training nodes are of the class {_name(dataset, min(classes))}, expected"
                    " several"
                )
            seen = classes
        elif strange := sorted(classes - seen):
            count = int(np.isin(values, strange).sum())
            shown = ", ".join(_name(dataset, k) for k in strange[:SHOWN]) + (", ..." if len(strange) > SHOWN else "")
            reading.note(
                dataset.name,
                f"{counted(count, 'node')} of the part {part} of a class that no training node has ({shown})",
            )


def _check_several(dataset: GraphDataset, labels: np.ndarray, own: bool, source: str) -> None:
    """Of several labels a node some must differ between nodes."""
    has = np.nan_to_num(labels) > 0
    labelled = has.any(1)
    if not labelled.any():
        raise DataError(f"{source}: no node has a label, expected some")
    everywhere = has[labelled].all(0)
    if (everywhere | ~has.any(0)).all():
        raise DataError(
            f"{source}: every labelled node has the same labels, expected some that differ: any prediction would be"
            " right"
        )
    if everywhere.any() and own:
        shown = ", ".join(_name(dataset, k) for k in np.flatnonzero(everywhere)[:SHOWN])
        reading.note(source, f"every labelled node has the label {shown}, which is right whatever is predicted")


def _name(dataset: GraphDataset, number: int) -> str:
    names = dataset.class_names
    return str(names[number]) if names is not None and number < len(names) else str(number)


def _hint(dataset: GraphDataset, classes) -> str:
    if all(is_number(_name(dataset, k)) for k in classes):
        return "; --task regression learns numbers"
    return ""
