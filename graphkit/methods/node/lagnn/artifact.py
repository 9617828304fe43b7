"""LA-GNN's generator of neighbours' features, trained once into a file that ``--generator`` takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from graphkit.core.config import Config
from graphkit.core.errors import UsageError
from graphkit.core.machine import fixed_order
from graphkit.datasets.base import GraphDataset
from graphkit.methods.kinds import Artifact
from graphkit.methods.node.lagnn import tuning
from graphkit.methods.node.lagnn.config import GeneratorConfig, GeneratorTuningConfig, LAGNNConfig
from graphkit.methods.node.lagnn.cvae import save_generator


class NeighbourGeneratorFile(Artifact):
    """The generator alone; ``--tune`` draws its options at random, the given ones first.

    Each set of options is scored by the validation accuracy of GCNs that see generated features alone: one half of the
    validation nodes picks their epoch, the other scores.
    """

    Config = GeneratorTuningConfig
    config: GeneratorTuningConfig
    folder = False

    def check(self, config: Config, out: Path) -> None:
        """Raise :class:`UsageError` unless a generator is to be trained into a file."""
        assert isinstance(config, LAGNNConfig)
        if str(out) == "-":
            raise UsageError("--out is -, expected a file: a generator is binary and is read again by its name")
        if config.generator is not None:
            raise UsageError(
                f"--generator {config.generator}: found with --generator-only, which trains one; expected one of them"
            )

    def task(self, config: Config, labelled: bool) -> str | None:
        """Nodes with labels if these judge the generator."""
        assert isinstance(config, LAGNNConfig)
        judged = config.select == "u-score" or bool(self.config.tune)
        if judged and not labelled:
            option = "--tune" if self.config.tune else f"--select {config.select}"
            raise UsageError(f"{option} needs classes: give --labels, or use --select heldout or none, which need none")
        return "node" if judged else None

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
        """Train and save the generator."""
        fixed_order()
        values = config.to_dict()
        options = GeneratorConfig(**{key: values[key] for key in GeneratorConfig.__dataclass_fields__})
        accuracy = None
        if self.config.tune:
            stage, accuracy = tuning.search(
                options, dataset, trials=self.config.tune, runs=self.config.tune_runs, seed=seed, device=device
            )
        else:
            torch.manual_seed(seed)
            stage = tuning.make_stage(options, dataset, seed=seed, device=device)
            stage.run(seed, lambda done, total, loss: report("generator", done, total, f"loss {loss:.4f}"))
        save_generator(str(out), stage.model, dataset=dataset.name, seed=seed, options=stage.config.to_dict())
        return {
            "pairs": len(stage.pairs),
            "held_out_pairs": len(stage.pairs.held),
            "steps": stage.step,
            "select": stage.config.select,
            "kept_step": stage.kept_step,
            "score": stage.best,
            "held_out_loss": stage.held_loss() if len(stage.pairs.held) else None,
            "tuning_accuracy": accuracy,
            "parameters": sum(p.numel() for p in stage.model.parameters()),
            "details": {
                "held_out_curve": [list(point) for point in stage.curve],
                "config": stage.config.to_dict(),
            },
        }
