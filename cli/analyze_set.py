"""graphkit analyze set: what a set of nodes is like, as a cluster of its graph and against its classes."""

from __future__ import annotations

from typing import Any

import click

from graphkit.cli.options import (
    data_options,
    echo_json,
    load_dataset,
    machine_options,
    output_options,
    prepare_machine,
    table,
)
from graphkit.core.errors import DataError


@click.command("set")
@data_options
@click.option("--nodes", metavar="FILE|-", required=True, help="The set, as ids, one a line; - reads stdin.")
@machine_options
@output_options
def command(**values):
    """What a set of nodes is like: size, volume, cut, conductance, density, parts, degrees, and the classes in it.

    The graph is read as undirected. A class's share is that of the set's nodes, its recall that of the class's nodes.

    \b
    Examples:
      graphkit analyze set --dataset karate --nodes mine.txt
      graphkit cluster local karate --seeds 33 --volume 70 | graphkit analyze set --dataset karate --nodes -
    """
    from graphkit.datasets.readers.id_lists import read_ids

    prepare_machine(values)
    dataset = load_dataset(values)
    members = read_ids(values["nodes"], dataset, "--nodes", values["id_column"])
    if not len(members):
        raise DataError(f"--nodes {values['nodes']}: found no ids, expected one a line")
    found, classes = _measure(dataset, members), _classes(dataset, members)
    if values["as_json"]:
        echo_json({"dataset": dataset.name, **found, "classes": classes})
        return
    click.echo(table([(key, value) for key, value in found.items()], ("set", dataset.name)))
    if classes:
        click.echo("\n" + table([tuple(row.values()) for row in classes], tuple(classes[0])))


def _measure(dataset, members) -> dict[str, Any]:
    import numpy as np
    import scipy.sparse
    from scipy.sparse.csgraph import connected_components

    from graphkit.datasets.local_graph import LocalGraph

    graph, size = LocalGraph.of(dataset), len(members)
    cut, volume = graph.cut_and_volume(members)
    conductance, counts = graph.conductance(members), np.diff(graph.indptr)[members]
    pattern = scipy.sparse.csr_array(
        (np.ones(len(graph.indices), np.int8), graph.indices, graph.indptr), shape=(graph.num_nodes,) * 2
    )
    inner = pattern[members][:, members]
    return {
        "nodes": size,
        "share": size / graph.num_nodes,
        "volume": volume,
        "cut": cut,
        "conductance": conductance if np.isfinite(conductance) else None,
        "edges": int(inner.nnz // 2),
        "density": inner.nnz / (size * (size - 1)) if size > 1 else None,
        "parts": int(connected_components(inner, directed=False)[0]),
        "mean_degree": float(counts.mean()),
        "median_degree": float(np.median(counts)),
    }


def _classes(dataset, members) -> list[dict[str, Any]]:
    """A row for each class with a member in the set, the most frequent first; of several labels a node each counts."""
    import numpy as np

    if dataset.label_kind not in ("classes", "several"):
        return []
    labels = dataset.labels.numpy()
    if labels.ndim == 1:
        labels = labels[:, None] == np.arange(labels.max(initial=-1) + 1)
    inside, everywhere = (labels[members] > 0).sum(0), (labels > 0).sum(0)
    names = dataset.class_names or [str(number) for number in range(len(inside))]
    order = np.lexsort((np.arange(len(inside)), -inside))
    return [
        {
            "class": names[k],
            "nodes": int(inside[k]),
            "share": inside[k] / len(members),
            "recall": inside[k] / everywhere[k],
        }
        for k in order.tolist()
        if inside[k]
    ]
