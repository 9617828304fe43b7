"""Where a data set comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """Where a data set comes from, as ``graphkit data info`` prints it."""

    paper: str = ""
    licence: str = ""
    url: str = ""
    version: str = ""
