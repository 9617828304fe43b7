"""graphkit augment: what a method adds to the data once, for all of its trainings."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import Any

import click

from graphkit.cli import progress
from graphkit.cli.options import (
    config_options,
    data_options,
    echo_json,
    given,
    load_dataset,
    machine_options,
    output_options,
    prepare_machine,
    table,
)
from graphkit.core import registry
from graphkit.core.errors import UsageError, did_you_mean
from graphkit.methods.node.lagnn.config import GeneratorConfig


class AugmentGroup(click.Group):
    """Knows which methods have something to add."""

    def resolve_command(self, ctx, args):
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            hint = did_you_mean(args[0], self.commands) or f"; expected {', '.join(self.commands)}"
            raise UsageError(f"graphkit augment: unknown method {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=AugmentGroup)
def command():
    """Train what a method adds to the data once, for all of its trainings.

    \b
    Example:
      graphkit augment lagnn --dataset cora --u-every 10 --u-samples 10 --out cora.safetensors
      graphkit train lagnn --dataset cora --generator cora.safetensors
    """


@command.command("lagnn")
@data_options
@click.option(
    "--split", metavar="NAME", help="Split whose training nodes judge the generator.  [default: the data set's]"
)
@click.option(
    "--preset", default="paper", show_default=True, help="Published options, as for graphkit train lagnn; or none."
)
@click.option(
    "--config", "config_file", metavar="FILE", help="YAML file of options of lagnn; the command line wins over it."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all random choices.")
@click.option(
    "--tune",
    type=click.IntRange(min=1),
    metavar="N",
    help="Try N sets of the generator's options and keep the best one.",
)
@click.option(
    "--tune-runs",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="GCNs on generated features alone that score a set of options.",
)
@click.option("--out", metavar="FILE", required=True, help="File for the generator, safetensors; - is not taken.")
@machine_options
@output_options
def lagnn(**values):
    """LA-GNN's generator of neighbours' features, to use with graphkit train lagnn --generator FILE.

    --tune draws options at random, the given ones first, and scores each by the validation accuracy of GCNs that see
    generated features alone: one half of the validation nodes picks their epoch, the other scores.

    \b
    Examples:
      graphkit augment lagnn --dataset cora --select heldout --out cora.safetensors
      graphkit augment lagnn --edges my.csv --features my.npy --select none --out my.safetensors --json
    """
    _augment(values)


lagnn.params = config_options(GeneratorConfig) + lagnn.params


def _augment(values: dict[str, Any]) -> None:
    from graphkit.io.locks import locked
    from graphkit.methods.node.lagnn.config import GeneratorConfig

    overrides, out = given(GeneratorConfig, values), values["out"]
    if out == "-":
        raise UsageError("--out is -, expected a file: a generator is binary and is read again by its name")
    preset = None if values["preset"] == "none" else values["preset"]
    whole = registry.resolve_config("lagnn", values["dataset"], overrides, values["config_file"], preset).to_dict()
    config = GeneratorConfig(**{key: whole[key] for key in GeneratorConfig.__dataclass_fields__})
    device = prepare_machine(values)
    with locked(out, folder=False):
        _train(config, device, values)


def _train(config: GeneratorConfig, device: str, values: dict[str, Any]) -> None:
    from graphkit.core.machine import fixed_order

    fixed_order()
    out = values["out"]
    judged = config.select == "u-score" or values["tune"]
    if judged and values["edges"] is not None and values["labels"] is None:
        option = "--tune" if values["tune"] else f"--select {config.select}"
        raise UsageError(f"{option} needs classes: give --labels, or use --select heldout or none, which need none")
    dataset = load_dataset(values, task="node" if judged else None, split=values["split"], seed=values["seed"])

    import torch

    from graphkit.core.machine import peak_rss_mb
    from graphkit.methods.node.lagnn import tuning as lagnn_tuning
    from graphkit.methods.node.lagnn.cvae import save_generator

    started, score = time.perf_counter(), None
    if values["tune"]:
        options = {"trials": values["tune"], "runs": values["tune_runs"], "seed": values["seed"], "device": device}
        stage, score = lagnn_tuning.search(config, dataset, **options)
    else:
        torch.manual_seed(values["seed"])
        stage = lagnn_tuning.make_stage(config, dataset, seed=values["seed"], device=device)
        with progress.stages() as report:
            stage.run(values["seed"], lambda done, total, loss: report("generator", done, total, f"loss {loss:.4f}"))
    save_generator(out, stage.model, dataset=dataset.name, seed=values["seed"], options=stage.config.to_dict())
    _show(
        {
            "method": "lagnn",
            "dataset": dataset.name,
            "pairs": len(stage.pairs),
            "held_out_pairs": len(stage.pairs.held),
            "steps": stage.step,
            "select": stage.config.select,
            "kept_step": stage.kept_step,
            "score": stage.best,
            "held_out_loss": stage.held_loss() if len(stage.pairs.held) else None,
            "held_out_curve": [list(point) for point in stage.curve],
            "tuning_accuracy": score,
            "parameters": sum(p.numel() for p in stage.model.parameters()),
            "config": stage.config.to_dict(),
            "seconds": time.perf_counter() - started,
            "peak_rss_mb": round(peak_rss_mb(), 1),
            "out": str(Path(out)),
            "command": shlex.join(["graphkit", *sys.argv[1:]]),
        },
        values["as_json"],
    )


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        echo_json(found)
        return
    hidden = ("method", "held_out_curve", "config", "command")
    shown = [(key.replace("_", " "), value) for key, value in found.items() if key not in hidden and value is not None]
    click.echo(table(shown, ("what", "value")))
