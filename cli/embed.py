"""graphkit embed --method NAME: vectors for the nodes of a graph."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from graphkit.cli.kinds import MethodOptionCommand
from graphkit.cli.options import (
    command_line,
    data_options,
    echo_json,
    given,
    load_dataset,
    machine_options,
    output_options,
    prepare_machine,
)
from graphkit.core import registry
from graphkit.core.errors import UsageError


@click.command(cls=MethodOptionCommand)
@click.option("--method", metavar="NAME", required=True, help="Embedding method.")
@data_options
@click.option(
    "-o", "output", metavar="FILE|-", help="Vectors: .npy .npz .parquet .tsv .txt (word2vec); - is tsv.  [default: -]"
)
@click.option("--preset", default="paper", show_default=True, help="Published options for the data set; or none.")
@click.option("--config", "config_file", metavar="FILE", help="YAML file of options; the command line wins over it.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all random choices.")
@click.option(
    "--out", metavar="DIR", help="Run folder: config.yaml, result.json, and embedding.npy unless -o names a file."
)
@machine_options
@output_options
def command(**values):
    """Compute vectors for the nodes of a graph; row order and ids are those of the graph.

    \b
    Examples:
      graphkit embed --method fastrp --dataset karate --dim 8 --weights 0,1,1 -o vectors.npy
      cat edges.csv | graphkit embed --method fastrp --edges - -o - | head
      graphkit embed --method fastrp --help
    """
    _embed(values)


def _embed(values: dict[str, Any]) -> None:
    from graphkit.io import embeddings
    from graphkit.io.locks import locked
    from graphkit.runs.folder import check_unused

    name, out = values["method"], values["out"]
    output = values["output"] or (str(Path(out) / "embedding.npy") if out else "-")
    embeddings.format_of(output)
    if output == "-" and values["as_json"]:
        raise UsageError("--json and -o -: both write to stdout; name a file with -o")
    if out:
        check_unused(out)
    overrides = given(registry.config_class(name), values)
    preset = None if values["preset"] == "none" else values["preset"]
    # Options are checked before the data are read: a typo must not cost minutes.
    config = registry.resolve_config(name, values["dataset"], overrides, values["config_file"], preset)
    # Products end in a barrier; where cores are shared, threads that wait there by spinning double the time.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    device = prepare_machine(values)
    with locked(out) if out else contextlib.nullcontext():
        if out:  # again: another process may have finished one meanwhile
            check_unused(out)
        _compute(name, config, device, output, values)


def _compute(name: str, config, device: str, output: str, values: dict[str, Any]) -> None:
    from graphkit.io import embeddings

    dataset = load_dataset(values, seed=values["seed"])
    if dataset.graph is None:
        raise UsageError(f"--dataset {dataset.name}: holds {len(dataset.graphs)} graphs, expected one graph to embed")
    method = registry.method(name)(config)
    started = time.perf_counter()
    vectors = method.embed(dataset, seed=values["seed"], device=device)
    result = _result(name, dataset, method, vectors, values["seed"], started)
    if output == "-":
        embeddings.write_text(sys.stdout.buffer, vectors, dataset.ids())
        sys.stdout.buffer.flush()
    else:
        embeddings.write(output, vectors, dataset.node_ids)
        result["file"] = output
    _report(result, values, dataset)


def _result(name: str, dataset, method, vectors, seed: int, started: float) -> dict[str, Any]:
    from graphkit.runs import results

    cost = results.cost(started, command_line())
    result = {
        **results.header(name, dataset, method.config, (seed,)),
        "nodes": vectors.shape[0],
        "dim": vectors.shape[1],
        "edges": dataset.graph.num_edges(),
        "parameters": 0,
        **cost,
    }
    if getattr(method, "tuned", None):
        result["tuned"] = method.tuned
    return result


def _report(result: dict[str, Any], values: dict[str, Any], dataset) -> None:
    from graphkit.runs import results

    if values["out"]:
        results.write(values["out"], result, {}, dataset)
    if values["as_json"]:
        echo_json(result)
    elif not click.get_current_context().find_root().obj.get("quiet"):
        shape = f"{result['nodes']:,} nodes, {result['dim']} dimensions"
        click.echo(
            f"{result['method']} on {result['dataset']}: {shape}, {result['seconds']:.2f} s, "
            f"peak {result['peak_rss_mb']:.0f} MB",
            err=True,
        )
