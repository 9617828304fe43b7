"""graphkit encode: positional and structural encodings of nodes, in a file."""

from __future__ import annotations

import time
from typing import Any

import click

from graphkit.cli.options import command_line, data_options, echo_json, load_dataset, output_options
from graphkit.io import endings


@click.command()
@click.option(
    "--pe",
    "pe",
    metavar="NAME[:K],...",
    required=True,
    help=(
        "Encodings with columns: lappe, lappe-sym, lappe-mean, "
        "rwse, rwcols, rwrows, hkdiag, elstatic; peg, signnet-* too."
    ),
)
@data_options
@click.option(
    "-o",
    "output",
    metavar="FILE|-",
    default="-",
    show_default=True,
    help=f"Result: {endings.SHOWN}; - is tsv on stdout.",
)
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads and processes.  [default: OMP_NUM_THREADS, or all cores]"
)
@output_options
def command(**values):
    """Compute encodings of the nodes of a graph, or of all graphs of a data set; nothing is learned.

    A .npz holds an array per encoding, (nodes, K) float32, and id; for many graphs also graph, the number of each
    node's graph. Other tables have a column for each of its K.
    Eigenvectors (lappe, peg, signnet) come with NAME_eigenvalue. What took long is kept in the user's cache, where
    training finds it too.

    \b
    Examples:
      graphkit encode --pe rwse:16 --dataset mutag -o pe.npz
      cat edges.csv | graphkit encode --pe lappe:4,hkdiag:8 --edges - | head
    """
    _encode(values)


def _encode(values: dict[str, Any]) -> None:
    from graphkit.core.errors import UsageError
    from graphkit.core.machine import peak_rss_mb, set_threads, versions
    from graphkit.io import tables
    from graphkit.nn.encodings import parse
    from graphkit.nn.encodings.tables import columns

    output = values["output"]
    endings.format_of(output)  # this and the words are looked at before the data are read: a typo must not cost minutes
    encodings = parse(values["pe"])
    if not encodings:
        raise UsageError(f"--pe {values['pe']}: found no encoding, expected one such as rwse:16")
    if output == "-" and values["as_json"]:
        raise UsageError("--json and -o -: both write to stdout; name a file with -o")
    threads = set_threads(values["threads"])
    dataset = load_dataset(values)
    started = time.perf_counter()
    found = columns(dataset, encodings, threads)
    seconds = time.perf_counter() - started
    tables.write(output, found)
    about = {
        "dataset": dataset.name,
        "pe": ",".join(f"{encoding.name}:{encoding.k}" for encoding in encodings),
        "file": output,
        "arrays": {name: list(array.shape) for name, array in found.items()},
        "graphs": int(found["graph"].max()) + 1 if len(found.get("graph", ())) else 1,
        "nodes": len(found["id"]),
        "seconds": seconds,
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "versions": versions(),
        "command": command_line(),
    }
    if values["as_json"]:
        echo_json(about)
    elif not click.get_current_context().find_root().obj.get("quiet"):
        graphs = f"{about['graphs']:,} graphs, " if "graph" in found else ""
        text = (
            f"{about['pe']} of {dataset.name}: {graphs}{about['nodes']:,} nodes, {seconds:.2f} s, peak"
            f" {about['peak_rss_mb']:.0f} MB"
        )
        click.echo(text, err=True)
