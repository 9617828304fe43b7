"""What ``graphkit data info`` says about a data set."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from typing import Any

import dgl
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from graphkit.core.errors import DataError
from graphkit.core.read_options import ReadOptions
from graphkit.core.reading import Reinterpreted
from graphkit.datasets import catalogue, loading
from graphkit.datasets.base import EdgeSet, Events, GraphDataset
from graphkit.datasets.generators import synthetic
from graphkit.datasets.readers import files, forms, stored
from graphkit.datasets.splits import drawn as splits
from graphkit.io import budget, formats
from graphkit.io.blob import Blob


def describe(name: str, *, read: ReadOptions | None = None) -> dict[str, Any]:
    """Describe the whole graph, and the default split and metric of each task."""
    entry = catalogue.entries().get(name)
    loaded = loading.loaded_whole(name, read)  # loaded once: the splits of all tasks are made from it
    blob = (
        _blob(name, read) if loaded is None and not stored.is_stored(name) else None
    )  # read once, as stdin can only be

    def make(task: str | None) -> GraphDataset:
        if loaded is not None:
            return splits.finish(loaded, task, None, 0)
        return loading.load(name, task=task, read=read) if blob is None else files.read_graph(blob, read, task)

    whole = make(None)
    report = facts(whole)
    generator = synthetic.GENERATORS.get(name.partition(":")[0]) if loaded is not None and entry is None else None
    tasks = list(entry.tasks) if entry else _tasks(whole, generator)
    report["tasks"] = {task: _task_facts(make, task) for task in tasks}
    report.update(notes=entry.notes if entry else "", about=entry.about if entry else "")
    source = whole.source
    report.update(paper=source.paper, licence=source.licence, url=source.url, version=source.version)
    report["checksum"] = whole.checksum()
    if loading.is_own(name):
        report["format"], report["use"] = _format(name, read, blob), _use(name, read, whole)
    return report


def _blob(name: str, read: ReadOptions | None) -> Blob:
    with budget.scope(None if read is None else read.read_limit):
        return formats.read_blob(name)


def _format(name: str, read: ReadOptions | None, blob: Blob | None) -> str:
    """What a user's file or folder was found to be."""
    if stored.is_stored(name):
        return "a stored graph"
    form = forms.find(name, read)
    if form is not None:
        return form.says
    kind = formats.format_of(blob)
    article = "an" if kind[0] in "aeiou" or kind == "npz" else "a"
    return f"{article} {kind}" if kind == "edge list" else f"{article} {kind} file"


def _use(name: str, read: ReadOptions | None, dataset: GraphDataset) -> str:
    """A command that goes on from here, with the options that it was read with."""
    words = ["graphkit"]
    if dataset.graphs is not None:
        learner = "gine" if "feat" in dataset.graphs[0].edata else "gin"
        words += ["train", learner] if dataset.graph_labels is not None else ["encode", "--pe", "rwse:8"]
    elif dataset.labels is not None:
        words += ["train", "gcn"]
    else:
        words += ["train", "ncn"]
    words += ["--dataset", name]
    for item in dataclasses.fields(read) if read is not None else ():
        value = getattr(read, item.name)
        if value == item.default or item.name == "id_column_elsewhere":
            continue
        flag = "--task" if item.name == "label_kind" else f"--{item.name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            words += [word for one in (value if isinstance(value, tuple) else (value,)) for word in (flag, str(one))]
    return shlex.join(words)


def _tasks(dataset: GraphDataset, generator: synthetic.Generator | None = None) -> list[str]:
    if dataset.graphs is not None:
        return ["graph"]
    if generator is not None:
        return [task for task in generator.tasks if task != "graph" and (task != "node" or dataset.labels is not None)]
    tasks = ["node", "link"] if dataset.labels is not None else ["link"]
    return tasks if dataset.events is None else ["events", *tasks]


def _task_facts(make: Callable[[str], GraphDataset], task: str) -> dict[str, Any]:
    """Split name and sizes, and metric, of one task; the reason where the data set is too small for a split."""
    try:
        dataset = make(task)
    except Reinterpreted:
        raise
    except DataError as problem:
        return {"split": None, "reason": str(problem)}
    sizes: dict[str, Any] = {}
    for part in ("train", "valid", "test"):
        value = getattr(dataset.split, part)
        if not isinstance(value, EdgeSet):
            sizes[part] = len(value)
            continue
        sizes[part] = len(value.pos)
        if value.neg is not None:
            sizes[f"{part} negatives"] = len(value.neg)
        elif value.neg_dst is not None:
            sizes[f"{part} negatives"] = int(value.neg_dst.size)
    facts = {
        "split": dataset.split_name,
        "by_seed": dataset.splitter is not None,
        "metric": dataset.metric,
        "sizes": sizes,
    }
    return {**facts, "folds": dataset.folds} if dataset.folds else facts


def facts(dataset: GraphDataset) -> dict[str, Any]:
    """Size, degrees, features, classes, homophily and components of the whole graph, or sums over many graphs."""
    if dataset.graphs is not None:
        return _many(dataset)
    graph = dataset.graph
    src, dst = (ids.numpy() for ids in graph.edges())
    loops = int((src == dst).sum())
    edges = graph.num_edges() if dataset.directed else (graph.num_edges() - loops) // 2 + loops
    labels = dataset.labels
    owner = graph.ndata.get("_graph")  # node labels in many graphs
    out = {
        "name": dataset.name,
        "graphs": None if owner is None else len(owner.unique()),
        "nodes": graph.num_nodes(),
        "edges": edges,
        "directed": dataset.directed,
        "weighted": dataset.weighted,
        "self_loops": loops,
        **_features(graph),
        "classes": _classes(dataset),
        "labelled": None if labels is None else int(splits.known_rows(labels.numpy(), "node").sum()),
        "degree": _degrees(graph),
        "homophily": homophily(graph),
        "components": components(graph),
    }
    if dataset.events is not None:
        out["events"] = _events(dataset.events, dataset.num_nodes)
    return out


def _events(events: Events, num_nodes: int) -> dict[str, Any]:
    """How many interactions there are, of how many directed pairs, and over what time."""
    return {
        "count": len(events),
        "pairs": len(np.unique(events.src * num_nodes + events.dst)),
        "first": events.times_of([0])[0],
        "last": events.times_of([-1])[0],
        "bipartite": events.bipartite,
        "features": None if events.feat is None else int(events.feat.shape[1]),
    }


def _many(dataset: GraphDataset) -> dict[str, Any]:
    graphs = dataset.graphs
    nodes = np.array([graph.num_nodes() for graph in graphs])
    edges = np.array([graph.num_edges() for graph in graphs]) // (1 if dataset.directed else 2)
    targets = dataset.graph_labels if getattr(dataset.graph_labels, "ndim", 1) == 2 else None
    return {
        "name": dataset.name,
        "graphs": len(graphs),
        "nodes": int(nodes.sum()),
        "edges": int(edges.sum()),
        "mean_nodes": float(nodes.mean()),
        "mean_edges": float(edges.mean()),
        "directed": dataset.directed,
        "weighted": dataset.weighted,
        **_features(graphs[0]),
        "classes": _classes(dataset) if targets is None else None,
        "targets": None if targets is None else int(targets.shape[1]),
    }


def _features(graph: dgl.DGLGraph) -> dict[str, Any]:
    """Columns of node features, and of edge features where there are any; whether node features are numbers of
    categories.
    """
    nodes, edges = graph.ndata.get("feat"), graph.edata.get("feat")
    out: dict[str, Any] = {"features": None if nodes is None else int(nodes.shape[1])}
    if edges is not None:
        out["edge_features"] = int(edges.shape[1])
    if nodes is not None and not nodes.is_floating_point():
        out["feature_kind"] = "categories"
    return out


def _classes(dataset: GraphDataset) -> int | None:
    labels = dataset.graph_labels if dataset.graphs is not None else dataset.labels
    if (
        labels is None
        or labels.dtype == object
        or (labels.ndim == 1 and dataset.graphs is None and dataset.label_kind == "numbers")
    ):
        return None
    if labels.ndim == 2:
        return int(labels.shape[1])
    return len(np.unique(np.asarray(labels)[np.asarray(labels) >= 0]))


def _degrees(graph: dgl.DGLGraph) -> dict[str, float]:
    """Smallest, median, mean and largest number of outgoing edges."""
    degrees = graph.out_degrees().numpy()
    if not len(degrees):
        return {"min": 0, "median": 0.0, "mean": 0.0, "max": 0}
    middle, mean = float(np.median(degrees)), float(degrees.mean())
    return {"min": int(degrees.min()), "median": middle, "mean": round(mean, 4), "max": int(degrees.max())}


def homophily(graph: dgl.DGLGraph) -> float | None:
    """Fraction of edges, loops aside, whose two labelled ends have the same label; None for several labels a node."""
    labels = graph.ndata.get("label")
    if labels is None or labels.ndim != 1 or labels.is_floating_point():
        return None
    src, dst = graph.edges()
    known = (labels[src] >= 0) & (labels[dst] >= 0) & (src != dst)
    if not bool(known.any()):
        return None
    return round(float((labels[src[known]] == labels[dst[known]]).double().mean()), 4)


def components(graph: dgl.DGLGraph) -> int:
    """Number of weakly connected components."""
    src, dst = (ids.numpy() for ids in graph.edges())
    n = graph.num_nodes()
    matrix = coo_matrix((np.ones(len(src), dtype=np.int8), (src, dst)), shape=(n, n))
    return int(connected_components(matrix, directed=True, connection="weak", return_labels=False))
