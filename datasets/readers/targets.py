"""A set of nodes by what the data say of them, e.g. ``year=2009`` or ``label=3``."""

from __future__ import annotations

import numpy as np

from graphkit.core.errors import DataError, UsageError, did_you_mean
from graphkit.datasets.base import GraphDataset


def columns(dataset: GraphDataset) -> dict[str, np.ndarray]:
    """(n,) whole-number node data by name, labels first."""
    data = dataset.graph.ndata
    found = {
        key: value.cpu().numpy() for key, value in data.items() if value.dim() == 1 and not value.is_floating_point()
    }
    return dict(sorted(found.items(), key=lambda item: item[0] != "label"))


def mask(dataset: GraphDataset, text: str, option: str = "--target") -> np.ndarray:
    """(n,) bool: the nodes that ``COLUMN=VALUE`` names, VALUE a number or the name of a class.

    Raises :class:`UsageError` for text of another form, :class:`DataError` for a column or value that the data lack.
    """
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise UsageError(f"{option} {text}: found no COLUMN=VALUE, expected e.g. label=3")
    known = columns(dataset)
    if name not in known:
        hint = did_you_mean(name, known) or f"; expected {', '.join(known) or 'node data, of which it has none'}"
        raise DataError(f"{option} {text}: {dataset.name} has no column {name!r}{hint}")
    names = dataset.class_names if name == "label" else None
    if names is not None and value in names:
        number = names.index(value)
    else:
        try:
            number = int(value)
        except ValueError:
            raise DataError(
                f"{option} {text}: found {value!r}, expected {', '.join(names) if names else 'a number'}"
            ) from None
    chosen = known[name] == number
    if not chosen.any():
        values = np.unique(known[name])
        shown = ", ".join(map(str, values[:8].tolist())) + (", ..." if len(values) > 8 else "")
        raise DataError(f"{option} {text}: no node of {dataset.name} has it, expected one of {shown}")
    return chosen
