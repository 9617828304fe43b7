"""graphkit cluster improve, ncp and classes: sets of nodes in, better sets out; profiles; several classes at once."""

from __future__ import annotations

from typing import Any

import click

from graphkit.cli import progress
from graphkit.cli.cluster_options import check_ending, data_argument, method_options, pick_method, read_graph, write_ids
from graphkit.cli.options import data_options, echo_json, machine_options, output_options, table
from graphkit.core.errors import DataError, UsageError
from graphkit.io import endings

SCALES = 8


@click.command("improve")
@data_argument
@data_options
@click.option("--nodes", metavar="FILE|-", required=True, help="The set, as ids, one a line; - reads stdin.")
@click.option(
    "--method",
    type=click.Choice(["mqi", "flow-improve", "simple-local"]),
    default="mqi",
    show_default=True,
    help="Least conductance inside of the set; least quotient around it; the same, and near it.",
)
@click.option(
    "--delta",
    type=click.FloatRange(min=0),
    default=0.1,
    show_default=True,
    help="simple-local: what a volume outside of the set costs on top of its share.",
)
@click.option(
    "-o", "output", metavar="FILE", help=f"Ids to .txt or a table: {endings.SHOWN}.  [default: ids on stdout]"
)
@machine_options
@output_options
def improve(**values):
    """A better cut near a set: ids in, ids out, one a line, and what changed on stderr. Needs the extra `flow`
    (igraph).

    \b
    Examples:
      graphkit cluster improve karate --nodes mine.txt
      graphkit cluster local karate --seeds 33 --volume 70 | graphkit cluster improve karate --nodes - --method mqi
    """
    import logging

    from graphkit.datasets.readers.id_lists import read_ids
    from graphkit.methods.local.clustering import improve as methods

    check_ending(values["output"])
    dataset, graph = read_graph(values)
    members = read_ids(values["nodes"], dataset, "--nodes", values["id_column"])
    if not len(members):
        raise DataError(f"--nodes {values['nodes']}: found no ids, expected one a line")
    try:
        found = methods.improve(graph, members, values["method"], values["delta"])
    except DataError as problem:
        raise DataError(f"--nodes {values['nodes']}: {problem}") from None
    before, after = (_measure(graph, nodes) for nodes in (members, found.nodes))
    ids = dataset.ids()[found.nodes]
    if values["output"]:
        write_ids(values["output"], {"id": ids})
    if values["as_json"]:
        about = {"method": values["method"], "before": before, "after": after, "score": found.score, "cuts": found.cuts}
        echo_json({**about, "touched": found.touched, "members": ids.tolist()})
        return
    changes = ", ".join(f"{key} {before[key]:.4g} -> {after[key]:.4g}" for key in before)
    logging.getLogger("graphkit").info(
        "%s: %s, %d cuts, %d nodes touched", values["method"], changes, found.cuts, found.touched
    )
    if not values["output"]:
        click.echo("".join(f"{member}\n" for member in ids.tolist()), nl=False)


def _measure(graph, nodes) -> dict[str, float]:
    cut, volume = graph.cut_and_volume(nodes)
    return {"nodes": len(nodes), "volume": volume, "cut": cut, "conductance": min(graph.conductance(nodes), 1.0)}


@click.command("ncp")
@data_argument
@data_options
@click.option("--method", default="ppr-push", show_default=True, metavar="WORD", help="A method that reads no labels.")
@click.option("--seed-count", type=click.IntRange(min=1), default=200, show_default=True, help="Random seed nodes.")
@click.option(
    "--scales",
    type=click.IntRange(min=1),
    default=SCALES,
    show_default=True,
    help="Volumes, in equal ratios, for each seed.",
)
@click.option("--plot", metavar="FILE", help="Draw conductance over size: .png, .pdf or .svg (extra plot).")
@method_options
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random seed nodes.")
@click.option(
    "-o",
    "output",
    metavar="FILE|-",
    default="-",
    show_default=True,
    help=f"Table: {endings.SHOWN}; - is tsv on stdout.",
)
@machine_options
@output_options
def ncp(**values):
    """The network community profile: the least conductance found for every size, by sweeps from many seeds at several
    scales.

    \b
    Examples:
      graphkit cluster ncp karate --seed-count 30
      graphkit cluster ncp coauthor-cs --plot ncp.png -o ncp.parquet
    """
    import numpy as np

    from graphkit.io import tables
    from graphkit.methods.local.clustering import profile as profiles
    from graphkit.methods.local.clustering.method import LocalClustering

    word, method, _ = pick_method(values)
    config = method.config
    if not isinstance(method, LocalClustering) or (
        config.weighted or config.diffusion == "heat" or config.volume is not None
    ):
        raise UsageError(
            f"--method {word}: expected one of flow, pnorm-flow, ppr-push, without --volume, which --scales sets"
        )
    endings.format_of(values["output"])
    if values["output"] == "-" and values["as_json"]:
        raise UsageError("--json and -o -: both write to stdout; name a file with -o")
    if values["plot"]:
        from graphkit.io.plots import check_plot

        check_plot(values["plot"])
    dataset, graph = read_graph(values)
    seeds = profiles.draw_seeds(graph, values["seed_count"], np.random.default_rng(values["seed"]))
    with progress.stages() as report:
        found = profiles.profile(
            graph,
            config,
            seeds,
            profiles.volumes(graph, values["scales"]),
            lambda done, total: report("seeds", done, total),
        )
    found["seed"] = dataset.ids()[found["seed"]]
    if values["plot"]:
        from graphkit.io.plots import plot_profile

        plot_profile(values["plot"], found, dataset.name)
    tables.write(values["output"], found)
    if values["output"] == "-":
        return
    best = int(found["conductance"].argmin()) if len(found["size"]) else None
    about: dict[str, Any] = {"dataset": dataset.name, "method": word, "seeds": len(seeds), "sizes": len(found["size"])}
    if best is not None:
        about.update(best_size=int(found["size"][best]), best_conductance=float(found["conductance"][best]))
    if values["as_json"]:
        echo_json(about)
    else:
        click.echo(table([(key, value) for key, value in about.items()], ("profile", values["output"])))


@click.command("classes")
@data_argument
@data_options
@click.option("--method", default="ppr-push", show_default=True, metavar="WORD", help="A method that reads no labels.")
@click.option("--seed-file", metavar="FILE|-", help="Known nodes: id and class, one a line; - reads stdin.")
@click.option(
    "--per-class", type=click.IntRange(min=1), metavar="N", help="N random labelled nodes of each class are known."
)
@method_options
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random nodes.")
@click.option(
    "-o", "output", metavar="FILE|-", help=f"Table of id, class and score: {endings.SHOWN}; - is tsv on stdout."
)
@machine_options
@output_options
def classes(**values):
    """Classes of all nodes from a few known ones: a diffusion a class, and each node to the one that reaches it most.

    All classes get the same --volume, by default the graph's over the number of classes. Where the data have labels,
    the nodes that were not known are compared with them; one that no diffusion reaches counts as wrong.

    \b
    Examples:
      graphkit cluster classes digits --per-class 5
      graphkit cluster classes --edges my.csv --seed-file known.tsv -o classes.tsv
    """
    _classes(values)


def _classes(values: dict[str, Any]) -> None:
    import numpy as np

    from graphkit.io import tables
    from graphkit.methods.local.clustering.classes import classify

    word, method, _ = pick_method(values)
    if method.reads_labels:
        raise UsageError(f"--method {word}: expected one that reads no labels, e.g. flow or ppr-push")
    if (values["seed_file"] is None) == (values["per_class"] is None):
        raise UsageError("--seed-file and --per-class: expected one of them")
    if values["output"] is not None:
        endings.format_of(values["output"])
        if values["output"] == "-" and values["as_json"]:
            raise UsageError("--json and -o -: both write to stdout; name a file with -o")
    dataset, graph = read_graph(values)
    seeds = _known(values, dataset, np)
    volume = method.size_of(graph, np.ones(graph.num_nodes, dtype=bool)) / len(seeds)
    with progress.stages() as report:
        chosen, score = classify(graph, method, seeds, volume, lambda done, total: report("classes", done, total))
    names = np.array([*seeds, ""], dtype=object)
    columns = {"id": dataset.ids(), "class": names[chosen], "score": np.where(chosen >= 0, score, np.nan)}
    about = {"dataset": dataset.name, "method": word, "classes": len(seeds), "reached": float((chosen >= 0).mean())}
    about.update(_agreement(dataset, seeds, names[chosen], np))
    if values["output"]:
        tables.write(values["output"], columns)
    if values["output"] == "-":
        return
    if values["as_json"]:
        echo_json(about)
    else:
        click.echo(table([(key, value) for key, value in about.items()], ("classes", "")))


def _names(dataset) -> list[str]:
    """(n,) the class of every node as text, empty where it has none."""
    known = dataset.class_names
    return ["" if value < 0 else known[value] if known else str(value) for value in dataset.labels.tolist()]


def _known(values: dict[str, Any], dataset, np) -> dict[str, Any]:
    """Class -> node numbers, in the order of the classes' names."""
    from graphkit.datasets.readers.id_lists import read_classes
    from graphkit.datasets.readers.label_checks import require_classes

    if values["seed_file"] is not None:
        return read_classes(values["seed_file"], dataset, "--seed-file", values["id_column"])
    if dataset.label_kind != "classes":
        raise DataError(f"{dataset.name}: has no classes, which --per-class draws from; expected --seed-file")
    require_classes(dataset, own=False)
    names, rng = np.array(_names(dataset), dtype=object), np.random.default_rng(values["seed"])
    found = {}
    for name in sorted(set(names.tolist()) - {""}):
        inside = np.flatnonzero(names == name)
        found[name] = np.sort(rng.choice(inside, min(values["per_class"], len(inside)), replace=False))
    return found


def _agreement(dataset, seeds, found, np) -> dict[str, float]:
    if dataset.label_kind != "classes":
        return {}
    truth = np.array(_names(dataset), dtype=object)
    judged = truth != ""
    judged[np.concatenate(list(seeds.values()))] = False
    return {"judged": int(judged.sum()), "accuracy": float((found == truth)[judged].mean())} if judged.any() else {}
