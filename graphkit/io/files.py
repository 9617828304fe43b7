"""Files that are either whole or absent: written beside their place, then moved into it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from graphkit.core import stopping
from graphkit.core.errors import FULL, WRONG_PLACE, DataError, GraphkitError, OutputError

PROBE = 1 << 20  # bytes: more than the blocks that a file system keeps for a file that has been refused more

# What stands half-written in its temporary place; removed where the process is ended from outside.
UNFINISHED: set[Path] = set()


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path in the same folder; it takes the place of ``path`` when the block ends without error.

    The file gets the mode that the umask gives, whatever its writer sets. A device or pipe, such as /dev/null, is
    written to as it is.
    Raises :class:`OutputError` where the file or its folder cannot be written.
    """
    path = Path(path)
    with writing_to(path):
        device = path.exists() and not path.is_file() and not path.is_dir()
    if device:
        with writing_to(path, path if path.is_char_device() else None):
            yield path
        return
    with writing_to(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        make_folder(path.parent)
        handle, name = tempfile.mkstemp(prefix=f".{_short(path.name)}.", suffix=".part", dir=path.parent)
        os.close(handle)
    temporary = Path(name)
    UNFINISHED.add(temporary)
    try:
        with writing_to(path, temporary):
            yield temporary
            os.chmod(temporary, 0o666 & ~current_umask())  # mkstemp and some writers make files private
            os.replace(temporary, path)
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


def _remove_unfinished() -> None:
    for path in list(UNFINISHED):
        remove(path)


stopping.BEFORE_LEAVING.append(_remove_unfinished)


@contextlib.contextmanager
def writing_to(path: str | os.PathLike, temporary: Path | None = None) -> Iterator[None]:
    """Within the block an :class:`OSError` becomes an :class:`OutputError` that names ``path``.

    Some writers (torch, safetensors, DGL, Arrow) report a full disk by an error of their own, NumPy by one without a
    number: where ``temporary``, the file that they write, cannot grow any more, any such error is taken for that.
    """
    try:
        yield
    except OSError as problem:
        full = _why_full(temporary) if temporary is not None and problem.errno is None else None
        raise output_error(path, full or problem) from None
    except GraphkitError:
        raise
    except Exception:
        if temporary is not None and (why := _why_full(temporary)) is not None:
            raise output_error(path, why) from None
        raise


def output_error(path: str | os.PathLike, problem: OSError) -> OutputError:
    """What is raised where a file cannot be written."""
    shown = os.fspath(path)
    shown = shown if len(shown) <= 200 else f"{shown[:200]}..."
    return OutputError(
        f"{shown}: cannot be written: {problem.strerror or problem}", 2 if problem.errno in WRONG_PLACE else 1
    )


def make_folder(path: str | os.PathLike) -> None:
    """Make a folder and those above it; raises :class:`OutputError`."""
    with writing_to(path):
        try:
            Path(path).mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def reserved_memmap(path: str | os.PathLike, dtype: Any, shape: tuple[int, ...]) -> np.memmap:
    """Make a .npy file of an array that is not empty and map it for writing, its room on the disk taken at once.

    A full disk is an :class:`OSError` here; in a mapped file that the disk cannot hold, the first write ends the
    process.
    """
    out = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    with open(path, "r+b") as stream:
        reserve(stream.fileno(), os.path.getsize(path))
    return out


def reserve(handle: int, size: int) -> None:
    """Take the room of ``size`` bytes for an open file that is going to be mapped."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)


def _short(name: str) -> str:
    # A temporary name may be too long where the file's own is not.
    return name if len(os.fsencode(name)) <= 200 else name[:40]


def _why_full(file: Path) -> OSError | None:
    try:
        with open(file, "ab") as stream:
            stream.write(bytes(PROBE))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as problem:
        return problem if problem.errno in FULL else None
    return None


def current_umask() -> int:
    """The bits that new files do not get."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256 of bytes, by which a run knows its files."""
    return hashlib.sha256(data).hexdigest()


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
