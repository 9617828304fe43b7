"""Downloads: with progress and checksum, atomic; offline, the message says which file to put where."""

from __future__ import annotations

import hashlib
import shutil
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from graphkit.core.errors import DataError
from graphkit.datasets import catalogue
from graphkit.datasets.catalogue import DataFile, Entry
from graphkit.datasets.sources import folders
from graphkit.datasets.sources.ogb import master
from graphkit.datasets.sources.tgb import facts_of
from graphkit.io.files import atomic_path

CHUNK = 1 << 20
TIMEOUT = 30.0

Progress = Callable[[str, int, int], None]  # file, bytes so far, bytes in all (0 where unknown)


def sha256(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(name: str, progress: Progress | None = None, force: bool = False) -> list[Path]:
    """Download the files of a data set that no data folder has into the user's cache; return all their paths.

    Files that are found are checked against their SHA-256 where it is known. Raises :class:`DataError` where a file
    cannot be had, with its address and the place to put it, or where a checksum is wrong.
    """
    entry = catalogue.entry(name)
    if folders.benchmark(name):
        return [_fetch_benchmark(entry, progress, force)]
    paths, files = [], entry.data_files()
    for number, file in enumerate(files):
        found = folders.find(file.path)
        if found is None or (force and folders.cache_folder() in found.parents):
            found = folders.cache_folder() / file.path
            _download(file.url, found, progress, file, files[number + 1 :])
        elif file.sha256 and sha256(found) != file.sha256:
            raise DataError(
                f"{found}: SHA-256 differs from {file.sha256[:16]}..., the published file; remove it and "
                f"run: graphkit data fetch {name}"
            )
        paths.append(found)
    return paths


def _download(
    url: str, target: Path, progress: Progress | None, file: DataFile | None = None, others: Sequence[DataFile] = ()
) -> None:
    digest, done = hashlib.sha256(), 0
    request = urllib.request.Request(url, headers={"User-Agent": "graphkit"})
    with atomic_path(target) as temporary:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, open(temporary, "wb") as out:
                total = int(answer.headers.get("Content-Length") or (file.size if file else 0))
                for chunk in iter(lambda: answer.read(CHUNK), b""):
                    out.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    if progress:
                        progress(target.name, done, total)
        except (urllib.error.URLError, OSError, ValueError) as problem:
            reason = getattr(problem, "reason", None) or problem
            raise DataError(
                f"{url}: cannot be downloaded ({reason}); get it elsewhere and put it at {target}"
                f"{_also_missing(others)}"
            ) from None
        if (file is None or not file.sha256) and total and done != total:
            raise DataError(f"{url}: the download stopped at {done} of {total} bytes; run it again")
        if file is not None and file.sha256 and digest.hexdigest() != file.sha256:
            raise DataError(
                f"{url}: found SHA-256 {digest.hexdigest()[:16]}... in {done} bytes, expected "
                f"{file.sha256[:16]}... in {file.size}; nothing was kept"
            )


def _also_missing(others: Sequence[DataFile]) -> str:
    """Names the files that would have been next, so that somebody without a network learns of all of them at once."""
    missing = [file.path for file in others if folders.find(file.path) is None]
    return f"; also missing below {folders.cache_folder()}: {', '.join(missing)}" if missing else ""


def _fetch_benchmark(entry: Entry, progress: Progress | None, force: bool) -> Path:
    """Download and unpack the zip of OGB or TGB; neither publishes a checksum, the zip's own CRCs are checked."""
    found = folders.find_benchmark(entry.name)
    if found is not None and not force:
        return found
    if folders.benchmark(entry.name) == "ogb":
        facts = master(entry.name)
        if facts.get("is hetero") == "True":
            raise DataError(f"data set {entry.name!r} is heterogeneous (several types of nodes); this is not supported")
        url, wanted = facts["url"], "raw"
    else:
        facts = facts_of(entry.name)
        url, wanted = facts.url, facts.edges
    name = entry.name.replace("-", "_")
    own = None if force else folders.find(f"{name}.zip")  # what somebody without a network put there, and keeps
    archive = own or folders.cache_folder() / f"{name}.zip"
    if own is None:
        _download(url, archive, progress)
    try:
        return _unpack(archive, folders.cache_folder() / name, wanted)
    finally:
        if own is None:
            archive.unlink(missing_ok=True)


def _unpack(archive: Path, target: Path, wanted: str) -> Path:
    """Unpack a zip as the folder ``target``; its members may lie in one folder, whatever its name, or at the top.

    wanted: a file or folder that must be there; raises :class:`DataError` where it is not, and where the zip is
        damaged.
    """
    unpacked = target.with_name(f".{target.name}.part")
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(unpacked)  # extractall drops "..", so members stay inside
        places = [unpacked, *sorted(path for path in unpacked.iterdir() if path.is_dir())]
        root = next((path for path in places if (path / wanted).exists()), None)
        if root is None:
            found = ", ".join(
                sorted(str(path.relative_to(unpacked)) for place in places for path in place.iterdir())[:5]
            )
            raise DataError(f"{archive}: found {found or 'nothing'}, expected {wanted} in it")
        shutil.rmtree(target, ignore_errors=True)
        root.replace(target)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as problem:  # RuntimeError: a password
        raise DataError(f"{archive}: cannot be unpacked: {problem}") from None
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    return target
