"""NumPy's npy files from a path that a user names: numbers and text alone, never a pickle."""

from __future__ import annotations

import os
from typing import Literal

import numpy as np

MAGIC = b"\x93NUMPY"


def load(path: str | os.PathLike, mmap_mode: Literal["r", "c"] | None = None) -> np.ndarray:
    """The array of an npy file, mapped where ``mmap_mode`` says so (``np.load``'s).

    Raises OSError where the file cannot be read and ValueError where it is no npy file, is damaged or holds Python
    objects. NumPy takes any file that is none for a pickle, and advises to load it unsafely: such a file is refused
    here before NumPy sees it.
    """
    with open(path, "rb") as stream:
        start = stream.read(len(MAGIC))
    if start != MAGIC:
        raise ValueError("is not in npy format, expected it to begin with \\x93NUMPY")
    try:
        return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except ValueError as problem:
        if "bject" in str(problem):  # both sentences of NumPy's about arrays of Python objects
            raise ValueError("holds Python objects, expected numbers or text") from None
        raise
