"""Amounts of memory as people write them."""

from __future__ import annotations

import re

from graphkit.core.errors import UsageError

UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def parse_bytes(option: str, text: str) -> int:
    """Return the bytes of e.g. ``4GB``, ``512MiB``, ``1.5G`` or ``1000000``; raises :class:`UsageError`."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([KMGT]I?|)B?\s*", text.upper())
    if found is None or float(found[1]) == 0:
        raise UsageError(f"{option} is {text!r}, expected an amount of memory such as 4GB or 512MiB")
    return int(float(found[1]) * UNITS[found[2]])


def shown(count: int) -> str:
    """Bytes for people."""
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << power:
            return f"{count / (1 << power):.3g} {unit}" if count < 1 << 60 else "more than 2^60 bytes"
    return f"{count} bytes"
