"""graphkit data convert: a graph file in another format."""

from __future__ import annotations

import logging

import click

from graphkit.cli.options import read_options, reading
from graphkit.core.reading import note

log = logging.getLogger("graphkit")


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@read_options
def command(source, target, **values):
    """Convert the graph IN (a file, - for stdin, or a data set's name) to OUT.

    \b
    The suffix of OUT chooses the format: csv, tsv, txt (each also .gz), parquet, mtx, npz (SciPy sparse), graphml,
    bin (DGL) and graph, which keep features and labels too. graph is a stored graph, a folder of arrays that commands
    map into memory: cluster local reads only what it needs of it. - writes tsv to stdout. Node ids and edge weights
    are kept. With --columns SRC,DST,TIME the rows are events: csv, tsv and parquet keep each with its time as it is
    written.

    \b
    Examples:
      graphkit data convert friends.csv friends.graphml
      graphkit data convert karate karate.mtx
      graphkit data convert friends.csv friends.graph
      graphkit data convert trades.csv trades.parquet --columns buyer,seller,amount --directed --duplicates sum
      zcat web.txt.gz | graphkit data convert - web.bin --features pages.npy --labels topics.csv
    """
    from graphkit import datasets
    from graphkit.datasets.writers import event_writers
    from graphkit.datasets.writers.graphs import write_graph, writer_of

    if target != "-":
        writer_of(target)  # an unknown suffix is refused before a long read
    dataset = datasets.load(source, read=reading(source, values))
    if dataset.events is not None and datasets.is_own(source):
        if event_writers.holds_events(target):
            event_writers.write_events(dataset, target)
            log.info("%s: %d events between %d nodes", target, len(dataset.events), dataset.num_nodes)
            return
        note(source, f"{len(dataset.events)} events are written as the edges of their pairs, without times")
    write_graph(dataset, target)
    edges = dataset.graph.num_edges()
    kind = "directed edges" if dataset.directed else "stored edges, both directions of each"
    log.info("%s: %d nodes, %d %s", target, dataset.num_nodes, edges, kind)
