"""graphkit data convert: a graph file in another format."""

from __future__ import annotations

import logging

import click

from graphkit.cli.options import READ_FIELDS, compose, data_options

log = logging.getLogger("graphkit")


def _read_options(function):
    """The options of data_options that say how to read a graph, without those that name one."""
    apply = compose(data_options)
    function = apply(function)
    kept = [item for item in function.__click_params__ if item.name in READ_FIELDS and item.name != "splits"]
    function.__click_params__ = kept
    return function


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@_read_options
def command(source, target, **values):
    """Convert the graph IN (a file, - for stdin, or a data set's name) to OUT.

    \b
    The suffix of OUT chooses the format: csv, tsv, txt (each also .gz), parquet, mtx, npz (SciPy sparse), graphml,
    bin (DGL, which alone keeps features and labels). - writes tsv to stdout. Node ids and edge weights are kept.

    \b
    Examples:
      graphkit data convert friends.csv friends.graphml
      graphkit data convert karate karate.mtx
      graphkit data convert trades.csv trades.parquet --columns buyer,seller,amount --directed --duplicates sum
      zcat web.txt.gz | graphkit data convert - web.bin --features pages.npy --labels topics.csv
    """
    from graphkit import datasets
    from graphkit.datasets.files import ReadOptions
    from graphkit.datasets.writers import write_graph, writer_of

    if target != "-":
        writer_of(target)  # an unknown suffix is refused before a long read
    dataset = datasets.load(source, read=ReadOptions(**values))
    write_graph(dataset, target)
    edges = dataset.graph.num_edges()
    kind = "directed edges" if dataset.directed else "stored edges, both directions of each"
    log.info("%s: %d nodes, %d %s", target, dataset.num_nodes, edges, kind)
