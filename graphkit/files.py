"""Files that are either whole or absent: written beside their place, then moved into it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphkit.errors import DataError

UNFINISHED: set[Path] = set()  # what stands half-written in its temporary place; removed where the process is ended from outside


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path in the same folder; it takes the place of ``path`` when the block ends without error.

    A device or pipe, such as /dev/null, is written to as it is. Raises :class:`DataError` where the folder cannot be made or
    written to.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as problem:
        raise DataError(f"{path}: cannot be written: {problem.strerror or problem}") from None
    os.close(handle)
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(name, 0o666 & ~umask)  # mkstemp makes files private; results are ordinary files
    temporary = Path(name)
    UNFINISHED.add(temporary)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as problem:
        raise DataError(f"{path}: cannot be written: {problem.strerror or problem}") from None
    finally:
        temporary.unlink(missing_ok=True)
        UNFINISHED.discard(temporary)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, where it is there and can be removed."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write a JSON file atomically; raises ValueError for NaN, which JSON does not have."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file; raises :class:`DataError` where it is missing or not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as problem:
        raise DataError(f"{path}: {problem.strerror or problem}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise DataError(f"{path}: not JSON: {problem}") from None
