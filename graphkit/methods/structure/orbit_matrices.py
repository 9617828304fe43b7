"""A folder of orbit adjacencies: a file for each key, ids.tsv with the nodes of the rows, and summary.json."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphkit.core.orbit_keys import KEYS, name_of
from graphkit.io import tables
from graphkit.io.files import write_json
from graphkit.io.sparse_files import SparseFile
from graphkit.kernels import orbit_rows, orbits

Key = tuple[int, int, int]


class MatrixFolder:
    """Writes orbit adjacencies into a folder and keeps its summary true after each.

    ``written``: {orbits, file, entries, total} by key; ``refused``: why, by key, of those that take more than the
        prepared graph's
    ``max_bytes``, counted as 12 bytes an entry. Neither a refusal nor an interruption leaves a file that summary.json
    does not list.
    """

    def __init__(self, folder: Path, kind: str, ids: np.ndarray, dataset: str, keys: Sequence[Key]):
        self.folder, self.kind, self.ids, self.dataset, self.keys = folder, kind, ids, dataset, keys
        self.written: dict[Key, dict[str, Any]] = {}
        self.refused: dict[Key, str] = {}

    def write(self, prepared, counts, report: Callable[[int, int], None]) -> None:
        """Write all matrices of the keys: those of one hop, then the others in one pass over the graph, then transposes
        of these.
        """
        tables.write(self.folder / "ids.tsv", {"id": self.ids})
        self._summarize()
        further = [key for key in self.keys if key[0] > 1 and key in KEYS]
        for key in (key for key in self.keys if key[0] == 1):
            self._whole(prepared, key, counts)
            report(len(self.written), len(self.keys))
        if further:
            self._pass(prepared, further, report)
        for key in (key for key in self.keys if key[0] > 1 and key not in KEYS):
            self._whole(prepared, key, None)
            report(len(self.written), len(self.keys))

    def _whole(self, prepared, key: Key, counts) -> None:
        try:
            matrix = orbits.adjacency_of(prepared, key, counts)
        except orbits.TooLarge as problem:
            self.refused[key] = str(problem)
        else:
            with self._file(key) as file:
                file.add(np.diff(matrix.indptr).astype(np.int64), matrix.indices, matrix.data)
            self._note(key, file)
        self._summarize()

    def _pass(self, prepared, keys: Sequence[Key], report) -> None:
        """Write matrices side by side, piece of rows by piece of rows; one that grows too large is given up, the others
        go on.
        """
        with contextlib.ExitStack() as stack:
            files = {key: stack.enter_context(contextlib.ExitStack()) for key in keys}
            open_files = {key: files[key].enter_context(self._file(key)) for key in keys}
            rows = len(prepared.indptr) - 1
            for _, end, found in orbit_rows.pieces(prepared, keys):
                for key, file in list(open_files.items()):
                    file.add(*found[key])
                    try:
                        orbits.require_room(
                            f"{name_of(key)} of {file.entries:,} entries or more", 12 * file.entries, prepared.max_bytes
                        )
                    except orbits.TooLarge as problem:
                        self.refused[key] = str(problem)
                        files[key].__exit__(type(problem), problem, problem.__traceback__)  # what was written goes
                        del open_files[key]
                report(len(self.written) + len(keys) * end // max(rows, 1), len(self.keys))
            for key, file in open_files.items():
                files[key].close()
                self._note(key, file)
        self._summarize()

    def _file(self, key: Key) -> SparseFile:
        return SparseFile(self.folder / self._name(key), self.kind, self.ids)

    def _name(self, key: Key) -> str:
        return f"{key[0]}-{key[1]}-{key[2]}.{self.kind}"

    def _note(self, key: Key, file: SparseFile) -> None:
        self.written[key] = {
            "orbits": name_of(key),
            "file": self._name(key),
            "entries": file.entries,
            "total": file.total,
        }

    def _summarize(self) -> None:
        matrices = [self.written[key] for key in self.keys if key in self.written]
        refused = [name_of(key) for key in self.keys if key in self.refused]
        about = {"dataset": self.dataset, "nodes": len(self.ids), "matrices": matrices, "refused": refused}
        write_json(self.folder / "summary.json", about)
