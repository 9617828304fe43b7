"""graphkit count: in how many small subgraphs nodes, edges and pairs of nodes take which place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from graphkit.cli import progress
from graphkit.cli.options import (
    compose,
    data_options,
    echo_json,
    load_dataset,
    machine_options,
    output_options,
    prepare_machine,
    table,
    take_argument,
)
from graphkit.core.errors import UsageError
from graphkit.io import endings
from graphkit.io.endings import SPARSE_FORMATS

_shared = compose(
    click.argument("data", metavar="[DATASET]", required=False),
    data_options,
    click.option(
        "--max-memory",
        type=click.FloatRange(min=0, min_open=True),
        default=8.0,
        show_default=True,
        metavar="GB",
        help="Refuse a result, in memory or in a file, or a list of triangles that takes more.",
    ),
    machine_options,
    output_options,
)
_table_output = click.option(
    "-o", "output", metavar="FILE|-", required=True, help=f"Table: {endings.SHOWN}; - is tsv on stdout."
)


@click.group()
def command():
    """Count the orbits of graphlets of two to four nodes: of nodes, of edges, and of pairs of nodes.

    Edges are read as simple and undirected: weights and directions are ignored, loops dropped, copies merged.

    \b
    Examples:
      graphkit count orbits cora -o orbits.parquet
      graphkit count orbit-adjacency --edges my.csv --orbits 1:4-5,2:8-8 -o matrices
    """


@command.command("orbits")
@_shared
@_table_output
def orbits(**values):
    """Orbits 0 to 14 of every node: a row per node, with its id, numbered as Przulj and ORCA do.

    \b
    Examples:
      graphkit count orbits cora -o orbits.parquet
      graphkit count orbits --edges my.csv -o - | head
    """
    _table(values, edges=False)


@command.command("edge-orbits")
@_shared
@_table_output
def edge_orbits(**values):
    """The 12 orbits of every edge, each named by the orbits of its two ends: a row per edge, with the ids of its ends.

    \b
    Examples:
      graphkit count edge-orbits cora -o edges.parquet
    """
    _table(values, edges=True)


@command.command("orbit-adjacency")
@_shared
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
@_shared
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
    from graphkit.datasets.simple import simple_matrix
    from graphkit.kernels.orbits import one_hop as count_edges
    from graphkit.kernels.orbits import prepare

    take_argument(values)
    prepare_machine(values)
    dataset = load_dataset(values)
    prepared = prepare(simple_matrix(dataset), int(values["max_memory"] * 1e9))
    with progress.stages() as report:
        counts = count_edges(prepared, lambda done, total: report("edges", done, total)) if one_hop else None
    return dataset, prepared, counts


def _table(values: dict[str, Any], edges: bool) -> None:
    from graphkit.io import tables
    from graphkit.kernels import orbits as kernel

    endings.format_of(values["output"])
    if values["output"] == "-" and values["as_json"]:
        raise UsageError("--json and -o -: both write to stdout; name a file with -o")
    dataset, prepared, counts = _count(values)
    ids = dataset.ids()
    if edges:
        ends, found = kernel.edge_orbits(prepared, counts)
        columns = {"source": ids[ends[:, 0]], "target": ids[ends[:, 1]]}
        columns.update((f"{a}-{b}", found[:, at]) for at, (_, a, b) in enumerate(kernel.EDGE_ORBITS))
    else:
        found = kernel.node_orbits(prepared, counts)
        columns = {"id": ids, **{f"o{orbit}": found[:, orbit] for orbit in range(15)}}
    tables.write(values["output"], columns)
    if values["output"] == "-":
        return
    about = {"dataset": dataset.name, "rows": len(found), "output": values["output"]}
    if values["as_json"]:
        echo_json(about)
    else:
        click.echo(f"{len(found):,} {'edges' if edges else 'nodes'} of {dataset.name} in {values['output']}")


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
