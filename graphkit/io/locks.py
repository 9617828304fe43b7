"""One process at a time writes a folder or a file.

A lock is a small JSON file that names its holder: host, process and when the process started, so that a number which
the system has given to another process since is not taken for the holder. A holder that died, by ``kill -9`` too, is
seen on the same host, and its lock is taken over. Of a holder on another host, or in another container, nothing can be
known: its lock stands until somebody removes it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphkit.core.errors import UsageError
from graphkit.io.files import make_folder, writing_to

NAME = ".lock"  # in a folder; of a file it stands beside it, as .NAME.lock


@contextlib.contextmanager
def locked(target: str | os.PathLike, option: str = "--out", *, folder: bool = True) -> Iterator[None]:
    """Hold the lock of a folder, which is made where it is absent, or of a file, for the length of the block.

    Raises :class:`UsageError` where another process holds it, and :class:`graphkit.core.errors.OutputError` where the
    folder cannot be written. A folder that was made for the lock and holds nothing at the end goes again.
    """
    target = Path(target)
    path = target / NAME if folder else target.with_name(f".{target.name[:200]}.lock")
    with writing_to(target):
        made = folder and not target.exists()
        if folder and not made and not target.is_dir():
            raise UsageError(f"{option} {target}: found a file, expected a folder")
    make_folder(path.parent)
    with writing_to(target):
        _acquire(path, f"{option} {target}")
    try:
        yield
    finally:
        _release(path)
        if made:
            with contextlib.suppress(OSError):  # it holds files now
                path.parent.rmdir()


def _acquire(path: Path, what: str) -> None:
    with _alone(path.parent):  # two that find the same dead holder
        for left in path.parent.glob(f"{path.name}.*.new"):  # by one that was killed here
            left.unlink(missing_ok=True)
        while not _create(path):
            holder = _read(path)
            if holder is not None:
                _refuse_unless_dead(holder, path, what)
                path.unlink(missing_ok=True)


def _release(path: Path) -> None:
    holder = _read(path)
    if holder is not None and _same(holder, _myself()):
        with contextlib.suppress(OSError):
            path.unlink()


def _create(path: Path) -> bool:
    """Make the lock with its content in one step; False where there is one."""
    own = path.with_name(f"{path.name}.{os.getpid()}.new")
    own.write_text(json.dumps(_myself()) + "\n", encoding="utf-8")
    try:
        os.link(own, path)
    except FileExistsError:
        return False
    except OSError as problem:
        if problem.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        return _create_without_links(path)
    finally:
        own.unlink(missing_ok=True)
    return True


def _create_without_links(path: Path) -> bool:
    try:
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(json.dumps(_myself()) + "\n")
    except FileExistsError:
        return False
    return True


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes of this host out of the block; the system gives this lock back however a process ends."""
    try:
        import fcntl
    except ImportError:  # no such locks on this platform
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without them
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read(path: Path) -> dict[str, Any] | None:
    """The holder that a lock names, {} where it names none, None where there is no lock."""
    try:
        found = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return None
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _refuse_unless_dead(holder: dict[str, Any], path: Path, what: str) -> None:
    host, process = holder.get("host"), holder.get("pid")
    if not isinstance(host, str) or not isinstance(process, int):
        raise UsageError(f"{what}: is locked by {path}, which names no holder; remove that file if nobody writes there")
    mine = _myself()
    boots = holder.get("boot") != mine["boot"]
    if host != mine["host"] or holder.get("machine") != mine["machine"] or (boots and not mine["machine"]):
        raise UsageError(f"{what}: process {process} on host {host} writes there; if it is gone, remove {path}")
    if boots:
        return  # this machine has started anew since
    if holder.get("container") != mine["container"]:
        raise UsageError(
            f"{what}: process {process} of another container on {host} writes there; if it is gone, remove {path}"
        )
    started = _started(process)
    if started is not None and started == holder.get("started"):
        raise UsageError(f"{what}: process {process} on this host writes there; wait for it or name another folder")


def _myself() -> dict[str, Any]:
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "boot": _line("/proc/sys/kernel/random/boot_id"),
        "machine": _line("/etc/machine-id"),
        "container": _container(),
    }


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one.get(key) == other[key] for key in other)


def _started(process: int) -> int | None:
    """When a process started, in ticks since the machine did; None for one that is gone or only waits to be noticed by
    its parent.
    """
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZXx" else int(words[19])


def _container() -> str:
    """What numbers of processes count in."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
