"""graphkit evaluate: metrics of embeddings or predictions under a published protocol."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import click

from graphkit.cli.options import (
    LABEL_KINDS,
    check_table,
    data_options,
    echo_json,
    label_kind_option,
    load_dataset,
    mean_std,
    output_options,
    split_task,
    table,
    table_option,
    write_rows,
)
from graphkit.core.errors import DataError, UsageError
from graphkit.io import endings

OPERATORS = ["hadamard", "average", "l1", "l2", "dot", "all"]

hide_option = click.option(
    "--hide",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Share of the edges that is hidden.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of what is drawn."
)


@click.group()
def command():
    """Score embeddings or predictions under a published protocol.

    \b
    Examples:
      graphkit evaluate embedding emb.npy --dataset blogcatalog --train-ratio 0.1,0.5 --shuffles 5 --C 0.1
      graphkit evaluate predictions scores.npz --dataset ogbl-ddi
      graphkit evaluate hide --dataset cora -o train.tsv
    """


@command.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@data_options
@label_kind_option
@click.option("--protocol", type=click.Choice(["node", "link", "clustering"]), default="node", show_default=True)
@click.option(
    "--train-ratio", default="0.1,0.5,0.9", show_default=True, metavar="R,R,..", help="node: shares that train."
)
@click.option(
    "--folds", type=click.IntRange(min=2), help="node: cross-validation in this many folds, in place of --train-ratio."
)
@click.option(
    "--shuffles", type=click.IntRange(min=1), default=10, show_default=True, help="node, clustering: repetitions."
)
@click.option(
    "--C", "C", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, help="Inverse L2 strength."
)
@click.option(
    "--operator", type=click.Choice(OPERATORS), default="hadamard", show_default=True, help="link: feature of a pair."
)
@hide_option
@click.option("--split", metavar="NAME", help="link: the data set's split of this name, in place of hidden edges.")
@seed_option
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads of the solver.  [default: OMP_NUM_THREADS, or all cores]"
)
@table_option
@output_options
def embedding(files, output, as_json, threads, **values):
    """Score node vectors: FILE is npy (rows in node order), npz, Parquet, tsv, csv or word2vec text (reordered by their
    ids).

    Protocol node: one-vs-rest logistic regression, as many labels per test node as it has, micro- and macro-F1, over
    all labels; with --folds stratified cross-validation, and where nodes have several labels AUROC, AUPRC and
    log2(AUPRC / share of positives) too. Of several FILEs each split takes the one of best macro-F1 on a fifth of its
    training nodes.
    link: ROC-AUC of hidden edges; the vectors must come from the graph without them, which graphkit evaluate hide
    writes for the same --hide and --seed. clustering: k-means against the classes.

    \b
    Examples:
      graphkit evaluate embedding emb.npy --dataset blogcatalog --train-ratio 0.1,0.5,0.9 --shuffles 5 --C 0.1
      graphkit evaluate embedding triangles.npy squares.npy --dataset blogcatalog --folds 5 --shuffles 1
      graphkit evaluate embedding emb.tsv --dataset cora --protocol clustering --json
      graphkit evaluate embedding train.npz --dataset cora --protocol link --operator all
    """
    from graphkit.core.machine import set_threads
    from graphkit.evaluation.protocols import EMBEDDING
    from graphkit.runs.execution import summary

    check_table(output)
    set_threads(threads)
    kind = values.pop("protocol")
    if len(files) > 1 and kind != "node":
        raise UsageError(f"found {len(files)} files, expected one with --protocol {kind}")
    settings, found, dataset = {"node": _node, "link": _link, "clustering": _clustering}[kind](list(files), values)
    chosen = found.pop("chosen", None)
    metrics = {name: summary(value if isinstance(value, list) else [value]) for name, value in found.items()}
    write_rows(
        output,
        [(name, value["mean"], value["std"], len(value["values"])) for name, value in metrics.items()],
        ("metric", "mean", "std", "repetitions"),
    )
    if as_json:
        rules = EMBEDDING["folds" if values["folds"] and kind == "node" else kind]
        rules = {"protocol": rules.id, "rules": rules.says}
        which = {"file": files[0]} if chosen is None else {"files": list(files), "chosen": chosen}
        echo_json({**which, "dataset": dataset.name, **rules, **settings, "metrics": metrics})
        return
    click.echo(table([(name, mean_std(value)) for name, value in metrics.items()], ("metric", "value")))


def _node(files: list[str], values: dict[str, Any]):
    from graphkit.evaluation.embedding import node_classification
    from graphkit.evaluation.selection import best_of

    ratios, folds = _ratios(values["train_ratio"]), values["folds"] or 0
    settings = {key: values[key] for key in ("shuffles", "C", "seed")}
    if len(files) > 1 and not folds and len(ratios) > 1:
        raise UsageError(
            f"--train-ratio {values['train_ratio']}: found {len(ratios)} shares, expected one, or --folds, with several"
            " files"
        )
    dataset = _with_labels(values)
    vectors, labels = {file: _vectors(file, dataset) for file in files}, dataset.labels.numpy()
    asked = {"folds": folds} if folds else {"train_ratio": ratios}
    shared = {**settings, "folds": folds, "report": logging.getLogger("graphkit").debug}
    if len(files) > 1:
        return {**asked, **settings}, best_of(vectors, labels, ratio=ratios[0], **shared), dataset
    return {**asked, **settings}, node_classification(vectors[files[0]], labels, ratios, **shared), dataset


def _clustering(files: list[str], values: dict[str, Any]):
    from graphkit.evaluation.embedding import clustering

    settings = {key: values[key] for key in ("shuffles", "seed")}
    dataset = _with_labels(values)
    vectors = _vectors(files[0], dataset)
    return settings, clustering(vectors, dataset.labels.numpy(), settings["shuffles"], settings["seed"]), dataset


def _with_labels(values: dict[str, Any]):
    from graphkit import datasets
    from graphkit.datasets.readers.label_checks import require_classes

    own, source = datasets.is_own(values["dataset"] or values["edges"] or "-"), values["labels"]
    dataset = _one_graph(load_dataset(values))
    if dataset.labels is None:
        raise DataError(f"{dataset.name}: has no node labels, which this protocol needs (--labels for your own graph)")
    require_classes(dataset, own, source)
    return dataset


def _link(files: list[str], values: dict[str, Any]):
    from graphkit.evaluation.embedding import link_prediction
    from graphkit.evaluation.hidden import hide_edges

    settings = {key: values[key] for key in ("operator", "seed", "C")}
    given = values["split"] is not None or values["splits"] is not None
    dataset = _one_graph(
        load_dataset(values, task="link" if given else None, split=values["split"], seed=values["seed"])
    )
    if not given:
        dataset = hide_edges(dataset, values["hide"], values["seed"])
    return (
        {"split": dataset.split_name, **settings},
        link_prediction(_vectors(files[0], dataset), dataset.split, **settings),
        dataset,
    )


def _vectors(file: str, dataset):
    """The file's vectors in node order; a node without any edge may be missing, as it is from an edge list: zeros."""
    import numpy as np

    from graphkit.io import embeddings

    vectors, ids = embeddings.read(file)
    if ids is not None:
        known = set(np.asarray(ids).astype(str).tolist())
        alone = ((dataset.graph.in_degrees() + dataset.graph.out_degrees()) == 0).numpy()
        lost = [name for name, isolated in zip(dataset.ids().tolist(), alone) if isolated and str(name) not in known]
        ids = [*np.asarray(ids).astype(str).tolist(), *map(str, lost)]
        vectors = np.concatenate([vectors, np.zeros((len(lost), vectors.shape[1]), vectors.dtype)])
    return embeddings.aligned(vectors, ids, dataset.ids(), file)


def _one_graph(dataset):
    if dataset.graph is None:
        raise UsageError(
            f"--dataset {dataset.name}: holds {len(dataset.graphs)} graphs, expected one graph with node vectors"
        )
    return dataset


def _ratios(text: str) -> list[float]:
    try:
        ratios = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--train-ratio is {text!r}, expected shares between 0 and 1 separated by commas") from None
    for ratio in ratios:
        if not 0 < ratio < 1:
            raise UsageError(f"--train-ratio is {ratio:g}, expected a share between 0 and 1")
    return ratios


@command.command()
@data_options
@hide_option
@seed_option
@click.option(
    "-o", "output", default="-", metavar="FILE|-", help=f"The remaining edges: {endings.SHOWN}; - is tsv.  [default: -]"
)
def hide(output, **values):
    """Write the edges that remain when a share is hidden at random while the graph stays connected.

    Vectors of what remains are what the link protocol of graphkit evaluate embedding expects.

    \b
    Examples:
      graphkit evaluate hide --dataset cora --hide 0.5 --seed 0 -o train.tsv
      graphkit evaluate hide --dataset karate --hide 0.3 | graphkit embed --method fastrp --edges - -o vectors.npz
    """
    from graphkit.evaluation.hidden import hide_edges
    from graphkit.io import tables

    endings.format_of(output)
    share, seed = values.pop("hide"), values.pop("seed")
    dataset = hide_edges(_one_graph(load_dataset(values)), share, seed)
    ids, edges = dataset.ids(), dataset.split.train
    columns = {"src": ids[edges.pos[:, 0]], "dst": ids[edges.pos[:, 1]]}
    tables.write(output, columns if edges.weight is None else {**columns, "weight": edges.weight})


@command.command()
@click.argument("file")
@data_options
@click.option("--split", "part", type=click.Choice(["valid", "test"]), default="test", show_default=True)
@click.option(
    "--task",
    type=click.Choice(["link", "node", "graph", "events", *LABEL_KINDS]),
    help="Task of the predictions, or for nodes what their labels are.  [default: by their names]",
)
@click.option("--protocol", metavar="NAME", help="Split protocol, where the data set has several.")
@seed_option
@table_option
@output_options
def predictions(file, part, task, protocol, seed, output, as_json, **values):
    """Score predictions in OGB's input form: an npz with y_pred_pos and y_pred_neg, or y_true and y_pred.

    The shapes must be those of the data set's own split, y_true its labels in the order of the split; NaN is refused.

    \b
    Examples:
      graphkit evaluate predictions scores.npz --dataset ogbl-ddi --split test
      graphkit evaluate predictions runs/mine/predictions.npz --edges my.csv --splits parts.csv
    """
    from graphkit.evaluation import metrics, predictions, protocols

    check_table(output)
    arrays = predictions.read(file)
    task = split_task(values, task) or _task(values["dataset"] or values["edges"] or "", arrays)
    data = load_dataset(values, task=task, split=protocol, seed=seed)
    predictions.check(file, arrays, data, part)
    found = metrics.evaluate(data, arrays, part)
    write_rows(output, list(found.items()), ("metric", part))
    if not as_json:
        click.echo(table(list(found.items()), ("metric", part)))
        return
    rules = protocols.of_dataset(data)
    echo_json(
        {
            "file": file,
            "dataset": data.name,
            "dataset_version": data.source.version,
            "dataset_checksum": data.checksum(),
            "protocol": rules.id,
            "rules": rules.says,
            "split": data.split_name,
            "part": part,
            "seed": seed,
            "negatives_sha256": _negatives(data, part),
            "metric": data.metric,
            "metrics": found,
        }
    )


def _task(dataset: str, arrays: dict[str, Any]) -> str:
    """Links or events by the names of the arrays and what the catalogue has first; many graphs or one by the
    catalogue.
    """
    from graphkit.datasets import catalogue

    entry = catalogue.entries().get(dataset)
    if "y_pred_pos" in arrays:
        return next((task for task in (entry.tasks if entry else ()) if task in ("link", "events")), "link")
    return "graph" if "graph" in (entry.tasks if entry else ()) or dataset.startswith("ogbg") else "node"


def _negatives(dataset, part: str) -> str | None:
    if dataset.task not in ("link", "events"):
        return None
    edges, digest = getattr(dataset.split, part), hashlib.sha256()
    own = (
        [getattr(dataset.split, f"{part}_neg")]
        if dataset.task == "events"
        else [edges.neg, edges.neg_dst, edges.neg_src]
    )
    for pairs in own:
        if pairs is not None:
            digest.update(pairs.astype("<i8").tobytes())
    return digest.hexdigest()
