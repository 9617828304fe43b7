"""graphkit embed --method NAME: vectors for the nodes of a graph."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from graphkit.cli.options import (
    command_line,
    config_options,
    data_options,
    echo_json,
    given,
    load_dataset,
    machine_options,
    output_options,
    prepare_machine,
)
from graphkit.core import reading, registry
from graphkit.core.errors import UsageError, did_you_mean

KEY = "graphkit.embed.method"


class EmbedCommand(click.Command):
    """A command whose options are the common ones and those of the method that ``--method`` names."""

    def parse_args(self, ctx, args):
        if (name := _peek(args)) is not None:
            known = registry.names("embedder")
            if name not in known:
                raise UsageError(
                    f"unknown embedder {name!r}{did_you_mean(name, known) or '; expected ' + ', '.join(known)}"
                )
            ctx.meta[KEY] = name
        return super().parse_args(ctx, args)

    def get_params(self, ctx):
        own = config_options(registry.config_class(ctx.meta[KEY])) if KEY in ctx.meta else []
        return own + super().get_params(ctx)

    def format_help_text(self, ctx, formatter):
        super().format_help_text(ctx, formatter)
        if KEY not in ctx.meta:
            with formatter.section("Methods (graphkit embed --method NAME --help shows a method's options)"):
                formatter.write_dl([(name, registry.sheet(name).summary) for name in registry.names("embedder")])
            return
        sheet = registry.sheet(ctx.meta[KEY])
        presets = [f"{name} ({', '.join(values)})" for name, values in sheet.presets.items()]
        rows = [("method", sheet.summary), ("presets", ", ".join(presets) or "none")]
        if sheet.paper:
            cite = "{title}, {venue} {year}. {url}".format(**{"venue": "", "year": "", "url": "", **sheet.paper})
            rows.insert(1, ("paper", cite))
        with formatter.section(ctx.meta[KEY]):
            formatter.write_dl(rows)


def _peek(args: list[str]) -> str | None:
    """The word after --method, before Click knows which options there are."""
    found = None
    for place, word in enumerate(args):
        if word == "--":
            break
        if word == "--method" and place + 1 < len(args):
            found = args[place + 1]
        elif word.startswith("--method="):
            found = word.partition("=")[2]
    return found


@click.command(cls=EmbedCommand)
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
    result = _result(name, dataset, method, vectors, values["seed"], time.perf_counter() - started)
    if output == "-":
        embeddings.write_text(sys.stdout.buffer, vectors, dataset.ids())
        sys.stdout.buffer.flush()
    else:
        embeddings.write(output, vectors, dataset.node_ids)
        result["file"] = output
    _report(result, values, dataset)


def _result(name: str, dataset, method, vectors, seed: int, seconds: float) -> dict[str, Any]:
    import torch

    from graphkit.core.machine import peak_rss_mb, versions

    result = {
        "method": name,
        "dataset": dataset.name,
        "seeds": [seed],
        "nodes": vectors.shape[0],
        "dim": vectors.shape[1],
        "edges": dataset.graph.num_edges(),
        "seconds": seconds,
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "parameters": 0,
        "threads": torch.get_num_threads(),
        "config": method.config.to_dict(),
        "reading": reading.lines(),
        "versions": versions(),
        "command": command_line(),
    }
    if getattr(method, "tuned", None):
        result["tuned"] = method.tuned
    return result


def _report(result: dict[str, Any], values: dict[str, Any], dataset) -> None:
    import yaml

    from graphkit.io.files import write_json, write_text

    if values["out"]:
        checksum = dataset.checksum()
        settings = {key: result[key] for key in ("method", "dataset", "seeds", "config")}
        text = yaml.safe_dump({**settings, "checksum": checksum}, sort_keys=False, allow_unicode=True)
        write_text(Path(values["out"]) / "config.yaml", text)
        write_json(Path(values["out"]) / "result.json", {**result, "dataset_checksum": checksum})
    if values["as_json"]:
        echo_json(result)
    elif not click.get_current_context().find_root().obj.get("quiet"):
        shape = f"{result['nodes']:,} nodes, {result['dim']} dimensions"
        click.echo(
            f"{result['method']} on {result['dataset']}: {shape}, {result['seconds']:.2f} s, "
            f"peak {result['peak_rss_mb']:.0f} MB",
            err=True,
        )
