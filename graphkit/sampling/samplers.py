"""DGL's samplers by name, and the seeding that makes what they draw depend on a number alone."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dgl
import torch
from dgl import dataloading

from graphkit.core.errors import UsageError

SAMPLERS = ("full", "neighbor", "labor", "shadow", "cluster", "saint")


def make_sampler(
    graph, name: str, num_layers: int, *, fanout=(10,), parts: int = 50, saint_mode: str = "walk", saint_budget=(500, 4)
):
    """Return DGL's sampler, or None for ``full``.

    fanout: neighbours per layer, -1 all; one number for each layer or one for all. parts: of ``cluster``, at least 20
    nodes each. saint_mode, saint_budget: node, edge or walk (roots, length). Raises :class:`UsageError` for a wrong
    count of numbers.
    """
    if len(fanout) not in (1, num_layers):
        raise UsageError(f"--fanout has {len(fanout)} numbers, expected 1 or {num_layers}, one per layer")
    fanouts = list(fanout) * num_layers if len(fanout) == 1 else list(fanout)
    if name == "neighbor":
        return dataloading.NeighborSampler(fanouts)
    if name == "labor":
        return dataloading.LaborSampler(fanouts)
    if name == "shadow":
        return dataloading.ShaDowKHopSampler(fanouts)
    if name == "cluster" and parts == 1:
        return _OnePart()
    if name == "cluster":
        # DGL writes the partition to a file, though the result stays in memory, and reports on stdout and stderr.
        with tempfile.TemporaryDirectory() as folder, _silence():
            return dataloading.ClusterGCNSampler(graph, parts, cache_path=str(Path(folder) / "parts.pkl"))
    if name == "saint":
        expected = 2 if saint_mode == "walk" else 1
        if len(saint_budget) != expected:
            raise UsageError(f"--saint-budget has {len(saint_budget)} numbers, expected {expected} for {saint_mode}")
        return dataloading.SAINTSampler(saint_mode, tuple(saint_budget) if expected == 2 else saint_budget[0])
    return None


class _OnePart:
    """The whole graph as its only part: METIS divides by zero when asked for one."""

    def sample(self, graph, parts):
        """Return the graph with the numbers of its nodes and edges, as the samplers of subgraphs do."""
        return dgl.node_subgraph(graph, graph.nodes())


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Send what Python and C++ print on stdout and stderr within the block to nowhere."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        open(os.devnull, "w") as nowhere,
    ):
        flush, kept = ctypes.CDLL(None).fflush, []
        flush(None)
        try:
            for number in (1, 2):
                with contextlib.suppress(OSError):  # closed by whoever started us
                    kept.append((number, os.dup(number)))
                    os.dup2(nowhere.fileno(), number)
            yield
        finally:
            flush(None)  # C++ holds lines back; they must not come later
            for number, before in kept:
                os.dup2(before, number)
                os.close(before)


def count_parts(parts: int, num_nodes: int) -> int:
    """Parts for ``cluster``: METIS parts of a few nodes hold no edges to learn from."""
    return max(1, min(parts, num_nodes // 20))


class seeded:
    """Runs DGL's samplers, some of which draw from torch, from a seed, and leaves torch's generator as it was.

    DGL samples in one thread meanwhile, so that what it draws does not depend on their number.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def __enter__(self) -> None:
        self.state, self.threads = torch.get_rng_state(), dgl.utils.get_num_threads()
        dgl.utils.set_num_threads(1)
        torch.manual_seed(self.seed)
        dgl.seed(self.seed)

    def __exit__(self, *error) -> None:
        torch.set_rng_state(self.state)
        dgl.utils.set_num_threads(self.threads)
