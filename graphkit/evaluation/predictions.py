"""Predictions that a user brings: read without pickle, checked against the split they claim to be for."""

from __future__ import annotations

import zipfile

import numpy as np

from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset
from graphkit.io.arrays import Npz
from graphkit.io.formats import read_blob

FORMS = (("y_pred_pos", "y_pred_neg"), ("y_true", "y_pred"))


def read(file: str) -> dict[str, np.ndarray]:
    """Return the arrays of one of OGB's two input forms; raises :class:`DataError`."""
    try:
        with open(file, "rb") as stream:
            if not zipfile.is_zipfile(stream):  # NumPy's own message would advise to unpickle it
                raise DataError(
                    f"{file}: not an npz, expected one with y_pred_pos and y_pred_neg, or y_true and y_pred"
                )
        archive = Npz(read_blob(file, "predictions"))
        form = next((form for form in FORMS if set(form) <= set(archive.members)), None)
        if form is None:
            shown = ", ".join(sorted(archive.members)) or "nothing"
            raise DataError(f"{file}: found {shown}, expected y_pred_pos and y_pred_neg, or y_true and y_pred")
        found = {name: archive[name] for name in form}
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{file}: no such file") from None
    except Exception as problem:  # the zip and npy parsers raise nearly every class there is on a flipped bit
        raise DataError(f"{file}: not an npz of plain arrays: {' '.join(str(problem).split())[:200]}") from None
    for name, value in found.items():
        if value.dtype.kind not in "fiub":
            raise DataError(f"{file}: {name} holds {value.dtype}, expected numbers")
    return found


def check(file: str, arrays: dict[str, np.ndarray], dataset: GraphDataset, part: str) -> None:
    """Raise :class:`DataError` unless the arrays fit a part of the data set's split: sizes, truth, and no NaN.

    Scores of shape (P, 1) become (P,), in place.
    """
    _mask_missing(arrays, dataset, part)
    for name, value in arrays.items():
        if name != "y_true" and value.dtype.kind == "f" and np.isnan(value).any():
            place = ", ".join(map(str, np.argwhere(np.isnan(value))[0]))
            raise DataError(
                f"{file}: {name}[{place}] is NaN, expected a score ({int(np.isnan(value).sum())} NaN in all)"
            )
    target = getattr(dataset.split, part)
    if "y_pred_pos" in arrays:
        _check_links(file, arrays, _shapes(dataset, target, part), f"the {part} split of {dataset.name}")
    else:
        _check_labels(file, arrays, dataset, target, f"the {part} split of {dataset.name}")


def _mask_missing(arrays: dict[str, np.ndarray], dataset: GraphDataset, part: str) -> None:
    """Put -inf where an event has fewer negatives: whatever stands there, NaN too, is no score."""
    scores = arrays.get("y_pred_neg")
    if dataset.task != "events" or scores is None:
        return
    missing = getattr(dataset.split, f"{part}_neg") < 0
    if missing.any() and missing.shape == scores.shape:
        arrays["y_pred_neg"] = np.where(missing, -np.inf, scores)


def _shapes(dataset: GraphDataset, target, part: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of the scores of a part's positives and of its negatives."""
    if dataset.task == "events":  # one random destination an event, or several given ones
        return (len(target),), getattr(dataset.split, f"{part}_neg").shape
    own = [given for given in (target.neg_dst, target.neg_src) if given is not None]
    # Head and tail queries of a knowledge graph are rows of their own.
    positives = len(target.pos) * (1 if target.neg is not None else len(own))
    return (positives,), (len(target.neg),) if target.neg is not None else (positives, own[0].shape[1])


def _check_links(file: str, arrays: dict[str, np.ndarray], shapes, place: str) -> None:
    positives, negatives = shapes
    for name, expected in (("y_pred_pos", positives), ("y_pred_neg", negatives)):
        shape = arrays[name].shape
        if shape not in (expected, (*expected, 1)):
            raise DataError(f"{file}: {name} has shape {shape}, expected {expected} for {place}")
        arrays[name] = arrays[name].reshape(expected)


def _check_labels(file: str, arrays: dict[str, np.ndarray], dataset: GraphDataset, members, place: str) -> None:
    truth, scores = arrays["y_true"], arrays["y_pred"]
    for name, value in (("y_true", truth), ("y_pred", scores)):
        if value.ndim not in (1, 2) or len(value) != len(members):
            raise DataError(f"{file}: {name} has shape {value.shape}, expected {len(members)} rows for {place}")
    labels = dataset.labels if dataset.graph is not None else dataset.graph_labels
    expected = np.asarray(labels)[np.asarray(members)]
    if expected.dtype.kind not in "fiub":
        return
    width = expected.reshape(len(expected), -1).shape[1]
    if truth.reshape(len(truth), -1).shape[1] != width:
        raise DataError(f"{file}: y_true has shape {truth.shape}, expected {width} labels in each row for {place}")
    known, given = expected.reshape(len(truth), -1), truth.reshape(len(truth), -1)
    same = np.isclose(given.astype(np.float64), known.astype(np.float64), rtol=1e-5, atol=0, equal_nan=True)
    if not same.all():
        row, column = np.argwhere(~same)[0]
        what = f"y_true[{row}]" if width == 1 else f"y_true[{row}, {column}]"
        raise DataError(
            f"{file}: {what} is {given[row, column]:g}, expected {known[row, column]:g}, the label in {place}"
        )
