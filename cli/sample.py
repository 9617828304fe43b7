"""graphkit sample: what a method computes once, before any training."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import Any

import click

from graphkit.cli import progress
from graphkit.cli.options import echo_json, graph_options, load_dataset, output_options, table
from graphkit.core.errors import UsageError, did_you_mean


class SampleGroup(click.Group):
    """Knows which methods have something to sample."""

    def resolve_command(self, ctx, args):
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            hint = did_you_mean(args[0], self.commands) or f"; expected {', '.join(self.commands)}"
            raise UsageError(f"graphkit sample: unknown method {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=SampleGroup)
def command():
    """Draw what a method takes from the graph once, for all of its trainings.

    \b
    Example:
      graphkit sample largegt --dataset minesweeper --k 30 --out minesweeper-lists
      graphkit train largegt --dataset minesweeper --k 30 --lists minesweeper-lists
    """


@command.command("largegt")
@graph_options
@click.option(
    "--k", type=click.IntRange(min=1), default=50, show_default=True, help="Length of each node's list, itself first."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all random choices.")
@click.option(
    "--hub-cap",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Walk on from a neighbour of more edges by this many random steps; 0 takes all of them, which is exact.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="Type of the stored features.",
)
@click.option("--out", metavar="FOLDER", required=True, help="Folder for lists.npy, hops.npy and sample.json.")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads of torch, DGL and numba.  [default: OMP_NUM_THREADS, or all cores]",
)
@output_options
def largegt(**values):
    """Lists of K nodes from each node's two-hop neighbourhood, and the features of two hops, memory-mapped.

    The lists do not depend on the number of threads. A graph without node features gets its lists alone.

    \b
    Examples:
      graphkit sample largegt --dataset tolokers --k 50 --out lists
      graphkit sample largegt --edges my.csv --features my.npy --dtype float16 --out lists --json
    """
    _sample(values)


def _sample(values: dict[str, Any]) -> None:
    from graphkit.core.machine import set_threads
    from graphkit.io.locks import locked

    out = values["out"]
    set_threads(values["threads"])
    with locked(out):
        if (Path(out) / "sample.json").exists():  # before the data are read: it must not cost minutes
            raise UsageError(f"--out {out}: already holds lists; name another folder")
        _draw(out, values)


def _draw(out: str, values: dict[str, Any]) -> None:
    dataset = load_dataset(values)
    if dataset.graph is None:
        raise UsageError(f"--dataset {dataset.name}: holds {len(dataset.graphs)} graphs, expected one graph")

    from graphkit.core.machine import peak_rss_mb
    from graphkit.methods.node.largegt.hop_tokens import Recipe, sample

    features = None if dataset.features is None else dataset.features.numpy()
    recipe = Recipe(values["k"], values["seed"], values["hub_cap"], values["dtype"])
    started = time.perf_counter()
    with progress.stages() as report:
        about = sample(dataset.graph, features, out, recipe, report)
    found = {
        "method": "largegt",
        "dataset": dataset.name,
        "out": str(out),
        **about,
        "seconds": time.perf_counter() - started,
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "command": shlex.join(["graphkit", *sys.argv[1:]]),
    }
    if values["as_json"]:
        echo_json(found)
    else:
        shown = (
            "dataset",
            "nodes",
            "edges",
            "k",
            "seed",
            "hub_cap",
            "hops",
            "features",
            "dtype",
            "seconds",
            "peak_rss_mb",
            "out",
        )
        click.echo(table([(key.replace("_", " "), found[key]) for key in shown], ("what", "value")))
