"""Layers shared by several methods; :func:`selective_scan` and :class:`BiMamba` are also at hand as names of this
package.
"""

from __future__ import annotations

import importlib

_HOMES = {
    "selective_scan": "graphkit.nn.scan",
    "BiMamba": "graphkit.nn.mamba",
}
__all__ = ["BiMamba", "selective_scan"]


def __getattr__(name: str):
    # Imported at first use: the package itself must not pull in torch.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
