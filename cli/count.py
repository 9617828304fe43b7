"""graphkit count: in how many small subgraphs nodes, edges and pairs of nodes take which place."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from graphkit.cli import progress
from graphkit.cli.kinds import MethodGroup, Options, Verb
from graphkit.cli.options import (
    command_line,
    compose,
    config_options,
    data_options,
    echo_json,
    given,
    load_dataset,
    machine_options,
    output_options,
    prepare_machine,
    table,
    take_argument,
)
from graphkit.core import registry
from graphkit.core.config import Config
from graphkit.core.errors import UsageError
from graphkit.io import endings
from graphkit.io.endings import SPARSE_FORMATS

_data = compose(click.argument("data", metavar="[DATASET]", required=False), data_options)
_table_output = click.option("-o", "output", metavar="FILE|-", help=f"Table: {endings.SHOWN}; - is tsv on stdout.")
_rest = compose(machine_options, output_options)


def _options(sheet: registry.Sheet) -> Options:
    """The options of every counter."""
    return compose(
        _data,
        click.option(
            "--preset", default="paper", show_default=True, help="Published options for the data set; or none."
        ),
        click.option(
            "--config", "config_file", metavar="FILE", help="YAML file of options; the command line wins over it."
        ),
        _table_output,
        click.option(
            "--out", metavar="DIR", help="Run folder: config.yaml, result.json, and counts.tsv unless -o names a file."
        ),
        _rest,
    )


def _count_table(name: str, resolve: Callable[[], Config], values: dict[str, Any]) -> None:
    """Count by a method and write a row for each node, edge or pair, with its ids."""
    from graphkit.io import tables
    from graphkit.io.locks import locked
    from graphkit.runs import results
    from graphkit.runs.folder import check_unused

    out = values.get("out")
    output = values["output"] or (str(Path(out) / "counts.tsv") if out else None)
    if output is None:
        raise UsageError("-o: expected a file for the table, or - for stdout")
    endings.format_of(output)
    if output == "-" and values["as_json"]:
        raise UsageError("--json and -o -: both write to stdout; name a file with -o")
    take_argument(values)
    config = resolve()
    if out:
        check_unused(out)
    prepare_machine(values)
    with locked(out) if out else contextlib.nullcontext():
        dataset = load_dataset(values)
        started = time.perf_counter()
        with progress.stages() as report:
            found = registry.method(name)(config).count(dataset, report=report)
        ids = dataset.ids()
        first = (
            {"id": ids} if found.ends is None else {"source": ids[found.ends[:, 0]], "target": ids[found.ends[:, 1]]}
        )
        rows = len(ids) if found.ends is None else len(found.ends)
        tables.write(output, {**first, **found.columns})
        if out:
            facts = {"rows": rows, "columns": len(found.columns), "file": output}
            cost = results.cost(started, command_line())
            results.write(out, results.header(name, dataset, config), {**facts, **cost}, dataset)
    if output == "-":
        return
    if values["as_json"]:
        echo_json({"dataset": dataset.name, "rows": rows, "output": output})
    else:
        click.echo(f"{rows:,} {'nodes' if found.ends is None else 'edges'} of {dataset.name} in {output}")


def _example(name: str) -> str:
    return f"graphkit count {name} karate -o counts.tsv"


@click.group(cls=MethodGroup, verb=Verb("counter", _count_table, _options, _example))
def command():
    """Count the orbits of graphlets of two to four nodes: of nodes, of edges, and of pairs of nodes.

    Edges are read as simple and undirected: weights and directions are ignored, loops dropped, copies merged.

    \b
    Examples:
      graphkit count orbits cora -o orbits.parquet
      graphkit count orbit-adjacency --edges my.csv --orbits 1:4-5,2:8-8 -o matrices
    """


def _orbit_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options that the words about orbits share; those of gradco but what a row is."""
    own = [option for option in config_options(registry.config_class("gradco")) if option.name != "rows"]
    function = compose(_data, _rest)(function)
    function.__dict__.setdefault("__click_params__", []).extend(reversed(own))
    return function


def _orbits(values: dict[str, Any], rows: str) -> None:
    given_here = given(registry.config_class("gradco"), values)
    _count_table("gradco", lambda: registry.resolve_config("gradco", overrides={**given_here, "rows": rows}), values)


@command.command("orbits")
@_orbit_options
@_table_output
def orbits(**values):
    """Orbits 0 to 14 of every node: a row per node, with its id, numbered as Przulj and ORCA do.

    \b
    Examples:
      graphkit count orbits cora -o orbits.parquet
      graphkit count orbits --edges my.csv -o - | head
    """
    _orbits(values, "nodes")


@command.command("edge-orbits")
@_orbit_options
@_table_output
def edge_orbits(**values):
    """The 12 orbits of every edge, each named by the orbits of its two ends: a row per edge, with the ids of its ends.

    \b
    Examples:
      graphkit count edge-orbits cora -o edges.parquet
    """
    _orbits(values, "edges")


@command.command("orbit-adjacency")
@_orbit_options
@click.option(
    "--orbits",
    "names",
    metavar="all|Gi|H:A-B,..",
    default="all",
    show_default=True,
    help=(
        "Matrices by hops and orbits of row and column, e.g. 1:4-5; all: the 20 of which 8 more are transposes; G0 to"
        " G8: those of a graphlet."
    ),
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(SPARSE_FORMATS),
    default="npz",
    show_default=True,
    help="Format of the matrices.",
)
@click.option(
    "-o", "output", metavar="FOLDER", required=True, help="Folder for the matrices, ids.tsv and summary.json."
)
def orbit_adjacency(**values):
    """How many graphlets two nodes share, on orbits A and B and H hops apart: a sparse matrix for each H:A-B, in a
    file.

    npz and mtx hold row and column numbers, whose ids are in ids.tsv; tsv, csv and parquet hold ids. Matrices are
    written by pieces of rows (3:4-4 can be nearly dense), transposes of two hops as a whole. A matrix above
    --max-memory is left out, and the exit code is 2; summary.json lists what was written and what was refused.

    \b
    Examples:
      graphkit count orbit-adjacency cora -o matrices
      graphkit count orbit-adjacency --edges my.csv --orbits 2:8-8,1:5-4 --format parquet -o matrices
    """
    _matrices(values)


@command.command("check")
@_orbit_options
def check(**values):
    """Hold the counts of a graph against the identities that tie them: sums, totals, symmetry and walks; exit code 4 if
    one fails.

    \b
    Examples:
      graphkit count check cora
    """
    from graphkit.core.errors import ClaimError
    from graphkit.kernels.orbit_checks import identities

    dataset, prepared, counts = _count(values)
    with progress.stages() as report:
        found = identities(prepared, counts, lambda done, total: report("identities", done, total))
    wrong = [row["identity"] for row in found if not row["holds"]]
    if values["as_json"]:
        echo_json({"dataset": dataset.name, "identities": found})
    else:
        click.echo(table([(row["identity"], "yes" if row["holds"] else "NO") for row in found], ("identity", "holds")))
    if wrong:
        raise ClaimError(f"{dataset.name}: {len(wrong)} of {len(found)} identities do not hold: {', '.join(wrong)}")


def _count(values: dict[str, Any], one_hop: bool = True):
    """(data set, prepared graph, counts of edges) of a command's options."""
    from graphkit.kernels.orbits import one_hop as count_edges

    config = registry.resolve_config("gradco", overrides=given(registry.config_class("gradco"), values))
    take_argument(values)
    prepare_machine(values)
    dataset = load_dataset(values)
    prepared = registry.method("gradco")(config).prepare(dataset)
    with progress.stages() as report:
        counts = count_edges(prepared, lambda done, total: report("edges", done, total)) if one_hop else None
    return dataset, prepared, counts


def _matrices(values: dict[str, Any]) -> None:
    from graphkit.core.orbit_keys import keys_of
    from graphkit.io.files import writing_to
    from graphkit.io.locks import locked

    wanted = keys_of(values["names"])
    folder = Path(values["output"])
    with writing_to(folder):
        taken = folder.exists() and not folder.is_dir()
    if taken:
        raise UsageError(f"-o {folder}: found a file, expected a folder")
    with locked(folder, "-o"):
        _write_matrices(folder, wanted, values)


def _write_matrices(folder: Path, wanted: list, values: dict[str, Any]) -> None:
    from graphkit.core.orbit_keys import name_of
    from graphkit.methods.structure.orbit_matrices import MatrixFolder

    dataset, prepared, counts = _count(values, any(key[0] == 1 for key in wanted))
    matrices = MatrixFolder(folder, values["kind"], dataset.ids(), dataset.name, wanted)
    with progress.stages() as report:
        matrices.write(prepared, counts, lambda done, total: report("matrices", done, total))
    written = [matrices.written[key] for key in wanted if key in matrices.written]
    if values["as_json"]:
        echo_json(written)
    else:
        click.echo(table([tuple(row.values()) for row in written], ("orbits", "file", "entries", "total")))
    if matrices.refused:
        left_out = ", ".join(name_of(key) for key in wanted if key in matrices.refused)
        others = f"; the other {len(written)} are in {folder}" if written else ""
        raise UsageError(f"{next(iter(matrices.refused.values()))}; left out: {left_out}{others}")
