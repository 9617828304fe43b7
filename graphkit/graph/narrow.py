"""Numbers that a method asks for with fewer digits than the file has: counted where that changes more than the last
digits.
"""

from __future__ import annotations

import numpy as np

from graphkit.core.errors import DataError
from graphkit.core.reading import note

EXACT = {"float32": 1 << 24, "float64": 1 << 53}  # whole numbers up to here are exact


def as_float32(values: np.ndarray, source: str, what: str) -> np.ndarray:
    """The values as float32; noted are whole numbers that become others and numbers that become 0.

    A relative change below 2^-24, the rounding of every decimal fraction, is none. Raises :class:`DataError` for a
    number beyond float32.
    """
    values = np.asarray(values)
    if values.dtype == np.float32:
        return values
    with np.errstate(over="ignore", under="ignore"):
        narrow = values.astype(np.float32)
    beyond = np.isinf(narrow) & np.isfinite(values)
    if beyond.any():
        raise DataError(f"{source}: {what} {values[beyond].ravel()[0]:g} is beyond float32")
    _report(values, narrow, source, what, "float32")
    return narrow


def as_float64(values: np.ndarray, source: str, what: str) -> np.ndarray:
    """Numbers of any kind as float64; whole numbers of 64 bits that become others are noted."""
    values = np.asarray(values)
    wide = values.astype(np.float64)
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        _report(values, wide, source, what, "float64")
    return wide


def _report(values: np.ndarray, narrow: np.ndarray, source: str, what: str, kind: str) -> None:
    with np.errstate(invalid="ignore"):
        large = np.abs(values.astype(np.float64)) >= EXACT[kind]
    if large.any():
        given = values[large]
        # Compared as Python numbers: 64-bit integers and floats have no common type in NumPy.
        changed = sum(a != b for a, b in zip(given.tolist(), narrow[large].tolist()) if a == a and a == int(a))
        if changed:
            first = next(a for a, b in zip(given.tolist(), narrow[large].tolist()) if a != b)
            note(
                source,
                f"{changed} {what}{'s' * (changed > 1)} beyond 2^{EXACT[kind].bit_length() - 1}, the first is"
                f" {int(first)}: rounded to {kind}",
            )
    lost = int(((narrow == 0) & (values != 0)).sum())
    if lost:
        note(source, f"{lost} {what}{'s' * (lost > 1)} too small for {kind}: taken as 0")
