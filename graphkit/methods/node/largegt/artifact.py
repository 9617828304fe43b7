"""LargeGT's lists and hop features, drawn once into a folder that ``--lists`` takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphkit.core.config import Config
from graphkit.core.errors import UsageError
from graphkit.datasets.base import GraphDataset
from graphkit.io.files import writing_to
from graphkit.methods.kinds import Artifact
from graphkit.methods.node.largegt.config import LargeGTConfig
from graphkit.methods.node.largegt.hop_tokens import ABOUT, Recipe, sample

SHOWN = ("nodes", "edges", "k", "seed", "hub_cap", "hops", "features", "dtype")


class HopLists(Artifact):
    """Lists of K nodes from each node's two-hop neighbourhood, and the features of two hops, memory-mapped.

    The lists do not depend on the number of threads. A graph without node features gets its lists alone.
    """

    seeded = False

    def check(self, config: Config, out: Path) -> None:
        """Raise :class:`UsageError` for a folder that holds lists."""
        assert isinstance(config, LargeGTConfig)
        if config.lists is not None:
            raise UsageError(f"--lists {config.lists}: found with --prepare-only, expected one of them")
        with writing_to(out):
            taken = (out / ABOUT).exists()
        if taken:
            raise UsageError(f"--out {out}: already holds lists; name another folder")

    def make(
        self,
        config: Config,
        dataset: GraphDataset,
        out: Path,
        *,
        seed: int,
        device: str,
        report: Callable[..., None],
    ) -> dict[str, Any]:
        """Write ``lists.npy``, ``hops.npy`` where there are features, and ``sample.json``."""
        assert isinstance(config, LargeGTConfig)
        features = None if dataset.features is None else dataset.features.numpy()
        recipe = Recipe(config.k, config.sample_seed, config.hub_cap, config.hop_dtype)
        about = sample(dataset.graph, features, str(out), recipe, report)
        return {key: about[key] for key in SHOWN} | {"details": about}
