"""graphkit cluster: the cluster around given nodes, and how well methods find clusters that are known."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from graphkit.cli import progress
from graphkit.cli.cluster_options import (
    Question,
    check_ending,
    cluster_options,
    data_argument,
    label_options,
    labeller,
    method_options,
    read_question,
    target_options,
    write_ids,
)
from graphkit.cli.cluster_sets import classes, improve, ncp
from graphkit.cli.kinds import MethodGroup, MethodOptionCommand, Options, Verb
from graphkit.cli.options import (
    command_line,
    compose,
    data_options,
    echo_json,
    load_dataset,
    machine_options,
    mean_std,
    output_options,
    prepare_machine,
    table,
    take_argument,
)
from graphkit.core import registry
from graphkit.core.config import Config
from graphkit.core.errors import UsageError
from graphkit.io import endings

SHOWN = ("f1", "precision", "recall", "conductance", "nodes", "touched", "ms")

_shared = compose(data_argument, data_options, target_options, label_options)


def _partition_options(sheet: registry.Sheet) -> Options:
    """The options of every method that finds all clusters."""
    return compose(
        data_argument,
        data_options,
        click.option("--preset", default="paper", show_default=True, help="Published options; or none."),
        click.option(
            "--config", "config_file", metavar="FILE", help="YAML file of options; the command line wins over it."
        ),
        click.option(
            "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all random choices."
        ),
        click.option("-o", "output", metavar="FILE|-", help=f"Table: {endings.SHOWN}; - is tsv.  [default: -]"),
        click.option(
            "--out",
            metavar="DIR",
            help="Run folder: config.yaml, result.json and, without -o, clusters.tsv.",
        ),
        machine_options,
        output_options,
    )


def _partition(name: str, resolve: Callable[[], Config], values: dict[str, Any]) -> None:
    """Number the clusters of all nodes and write a row for each node."""
    from graphkit.io import tables
    from graphkit.io.locks import locked
    from graphkit.runs import results
    from graphkit.runs.folder import check_unused

    out = values["out"]
    output = values["output"] or (str(Path(out) / "clusters.tsv") if out else "-")
    endings.format_of(output)
    if output == "-" and values["as_json"]:
        raise UsageError("--json and -o -: both write to stdout; name a file with -o")
    take_argument(values)
    config = resolve()
    if out:
        check_unused(out)
    device = prepare_machine(values)
    with locked(out) if out else contextlib.nullcontext():
        dataset = load_dataset(values, seed=values["seed"])
        started = time.perf_counter()
        numbers = registry.method(name)(config).partition(dataset, seed=values["seed"], device=device)
        head = results.header(name, dataset, config, (values["seed"],))
        facts = {"clusters": len(set(numbers.tolist()) - {-1}), "nodes": len(numbers), "file": output}
        facts |= results.cost(started, command_line())
        tables.write(output, {"id": dataset.ids(), "cluster": numbers})
        if out:
            results.write(out, head, facts, dataset)
    if values["as_json"]:
        echo_json({**head, **facts})
    elif output != "-":
        click.echo(f"{facts['clusters']:,} clusters of {dataset.name} in {output}")


def _example(name: str) -> str:
    return f"graphkit cluster {name} karate -o clusters.tsv"


class LocalCommand(MethodOptionCommand):
    """A cluster around seeds, by the method that ``--method`` names."""

    kind, default, hide_fixed = "clusterer", "flow", True


@click.group(
    cls=MethodGroup,
    verb=Verb("clusterer", _partition, _partition_options, _example, fits=lambda sheet: not sheet.seeds),
)
def command():
    """Find the cluster around a few nodes without reading the whole graph, and measure how well it is found.

    Edges are undirected: directions are ignored, loops dropped, copies merged, and weights kept.

    \b
    Examples:
      graphkit cluster local karate --seeds 33 --volume 70
      graphkit cluster local facebook100-johns-hopkins55 --seeds 17 --target year=2009
      graphkit cluster evaluate amazon-photo --target label=3 --samples 25
    """


@command.command("local", cls=LocalCommand)
@_shared
@cluster_options
@click.option("--each", is_flag=True, help="A cluster around each seed: a JSON object a line.")
@click.option(
    "--all-seeds",
    type=click.IntRange(min=1),
    metavar="N",
    help="N random nodes of the target, a cluster each: averages.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random seeds, samples and labels."
)
@click.option(
    "-o",
    "output",
    metavar="FILE",
    help=f"Ids to .txt, ids and values to a table: {endings.SHOWN}.  [default: ids on stdout]",
)
@machine_options
@output_options
def local(**values):
    """The cluster around --seeds: ids on stdout, one a line by falling value, and what it is like on stderr.

    The method needs to know how large a cluster to look for: --volume, or the --target it is meant to find. A
    weighted-... method reads noisy labels from --noisy, --positives and --negatives, --samples, or --accuracy.

    \b
    Examples:
      graphkit cluster local karate --seeds 33 --volume 70
      graphkit cluster local facebook100-reed98 --seeds 17 --target year=2009 --method weighted-flow --accuracy 0.8,0.8
      graphkit cluster local amazon-photo --all-seeds 20 --target label=3 --method weighted-flow --samples 25
      graphkit cluster local --edges my.csv --seed-file seeds.txt --each --method ppr-push --volume 500 > clusters.jsonl
    """
    _check_output(values)
    question = read_question(values, needs_seeds=values["all_seeds"] is None)
    if values["all_seeds"] is not None:
        _averages(question, values)
        return
    groups = [[seed] for seed in question.seeds.tolist()] if values["each"] else [question.seeds.tolist()]
    started = time.perf_counter()
    found = _run(question, groups)
    if values["each"]:
        import json

        for row, cluster in found:
            click.echo(
                json.dumps(
                    {**row, "members": question.ids_of(cluster.nodes).tolist(), "values": cluster.values.tolist()}
                )
            )
        question.log.info("%d clusters, %.1f s", len(found), time.perf_counter() - started)
        return
    row, cluster = found[0]
    members = question.ids_of(cluster.nodes)
    if values["output"]:
        write_ids(values["output"], {"id": members, "value": cluster.values})
    if values["as_json"]:
        echo_json({**row, "members": members.tolist(), "values": cluster.values.tolist()})
        return
    shown = (
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in row.items()
        if key != "seeds"
    )
    question.log.info("%s: %s", question.method, ", ".join(shown))
    if not values["output"]:
        click.echo("".join(f"{member}\n" for member in members.tolist()), nl=False)


def _check_output(values: dict[str, Any]) -> None:
    output, many = values["output"], values["each"] or values["all_seeds"] is not None
    if output is not None and many:
        raise UsageError("-o: found with --each or --all-seeds, whose results go to stdout")
    if values["each"] and values["all_seeds"] is not None:
        raise UsageError("--each and --all-seeds: expected one of them")
    if output == "-" and values["as_json"]:
        raise UsageError("--json and -o -: both write to stdout; name a file with -o")
    check_ending(output)


def _run(question: Question, groups: list[list[int]]) -> list[tuple[dict[str, Any], Any]]:
    """(summary, cluster) of every group of seeds, in threads."""
    import numpy as np

    from graphkit.graph.threads import in_threads

    found: list = [None] * len(groups)
    method, label = question.algorithm, labeller(question)
    done = [0]
    method.warm_up()
    with progress.stages() as report:

        def one(at: int) -> None:
            seeds = np.array(groups[at], dtype=np.int64)
            graph = question.graph
            labels = label(seeds[0], at) if label is not None else None
            started = time.perf_counter()
            if labels is not None:
                graph = method.labelled(graph, labels)
                wrong = seeds[labels[seeds] == 0]
                if len(wrong):
                    question.log.warning(
                        "seed %s: its own noisy label is 0; the cluster may be another", question.ids_of(wrong[:1])[0]
                    )
            cluster = method.cluster(graph, seeds, volume=question.volume)
            if (advice := method.advice(cluster)) is not None:
                question.log.warning("seed %s: %s", question.ids_of(seeds[:1])[0], advice)
            found[at] = (question.summary(seeds, cluster, 1000 * (time.perf_counter() - started)), cluster)
            done[0] += 1
            report("seeds", done[0], len(groups))

        in_threads(one, len(groups))
    return found


def _averages(question: Question, values: dict[str, Any]) -> None:
    import numpy as np

    from graphkit.methods.local.clustering import trials
    from graphkit.runs.execution import summary

    if question.truth is None:
        raise UsageError("--all-seeds needs --target or --target-file, whose nodes are the seeds")
    drawn = trials.draw([question.truth], values["all_seeds"], np.random.default_rng(question.seed))
    rows = _trials(question, drawn, {question.method: question.algorithm})[question.method]
    if values["as_json"]:
        seeds = question.ids_of([trial.seed for trial in drawn]).tolist()
        result = {"method": question.method, "dataset": question.dataset.name, "target": question.target}
        each = [{"seed": seed, **row} for seed, row in zip(seeds, rows)]
        echo_json({**result, "config": question.config.to_dict(), "means": trials.average(rows), "seeds": each})
        return
    cells = [(key, mean_std(summary([row[key] for row in rows]))) for key in SHOWN]
    click.echo(table(cells, (f"{question.method}, {len(rows)} seeds", "mean ± std")))


def _trials(question: Question, drawn, methods) -> dict[str, list]:
    from graphkit.methods.local.clustering import trials

    label = labeller(question, always=True)
    with progress.stages() as report:
        return trials.run(
            question.graph,
            drawn,
            methods,
            label and (lambda trial: label(trial.seed, trial.number, trial.truth)),
            lambda done, total: report("seeds", done, total),
        )


@command.command("evaluate")
@_shared
@click.option(
    "--methods",
    metavar="WORD,..",
    default="flow,weighted-flow,ppr-push,weighted-ppr-push,labels",
    show_default=True,
    help="Methods, and labels: the noisy labels themselves.",
)
@click.option(
    "--trials", type=click.IntRange(min=1), default=5, show_default=True, help="Random seed nodes of each true cluster."
)
@method_options
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the seed nodes, samples and labels."
)
@machine_options
@output_options
def evaluate(**values):
    """What methods find of true clusters from single seeds: F1, precision, recall, conductance and time, averaged.

    The true clusters are the classes of the data, or the one of --target. The volume of each is known to the methods,
    as in the published protocol. Noisy labels come from --samples (25 unless another source is named), --accuracy or
    --noisy.

    \b
    Examples:
      graphkit cluster evaluate amazon-photo --trials 5
      graphkit cluster evaluate facebook100-johns-hopkins55 --target year=2009 --accuracy 0.8,0.8 --trials 20
    """
    from graphkit.methods.local.clustering import trials

    words = _words(values.pop("methods"))
    values["method"] = next((word for word in words if word.startswith("weighted")), words[0])
    question = read_question(values, needs_seeds=False)
    methods = {word: None if word == trials.LABELS else _method(word, question.given) for word in words}
    truths = question.truths()
    import numpy as np

    drawn = trials.draw([truth for _, truth in truths], values["trials"], np.random.default_rng(question.seed))
    if question.source is None and any(word.startswith("weighted") or word == trials.LABELS for word in words):
        question.source = ("samples", 25)
    rows = _trials(question, drawn, methods)
    means = {word: trials.average(found) for word, found in rows.items()}
    if values["as_json"]:
        echo_json(
            {
                "dataset": question.dataset.name,
                "clusters": [name for name, _ in truths],
                "trials": len(drawn),
                "labels": question.source,
                "methods": means,
            }
        )
        return
    click.echo(table([(word, *(mean[key] for key in SHOWN)) for word, mean in means.items()], ("method", *SHOWN)))


def _words(text: str) -> list[str]:
    from graphkit.core.errors import did_you_mean
    from graphkit.methods.local.clustering.trials import LABELS

    known = [*registry.names("clusterer"), LABELS]
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for word in words:
        if word not in known:
            raise UsageError(
                f"--methods {text}: unknown method"
                f" {word!r}{did_you_mean(word, known) or f'; expected {chr(44).join(known)}'}"
            )
    if not words:
        raise UsageError(f"--methods: found none, expected some of {', '.join(known)}")
    return words


def _method(word: str, given: dict[str, Any]):
    return registry.method(word)(registry.resolve_config(word, overrides=given))


@command.command("noise")
@click.argument("model", metavar="[MODEL]", default="target-cluster:n=2000,k=200,p=0.05,q=0.01")
@click.option(
    "--accuracies",
    metavar="A,..",
    default="0.5,0.6,0.7,0.8,0.9,1.0",
    show_default=True,
    help="Shares of right labels, inside and outside of the cluster.",
)
@click.option("--grid", is_flag=True, help="Every pair of them, not only equal ones.")
@click.option(
    "--trials", type=click.IntRange(min=1), default=30, show_default=True, help="Random seed nodes of the cluster."
)
@click.option(
    "--epsilon",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="Weight of an edge between unlike labels.",
)
@click.option(
    "--mass",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    help="Source mass, in cluster sizes.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the seed nodes and labels.")
@machine_options
@output_options
def noise(**values):
    """Flow with and without noisy labels, and the labels alone, on the random model, over how right the labels are.

    MODEL is target-cluster:n=..,k=..,p=..,q=..,outside=... The column regime marks where a mean-field argument expects
    the labels to help: a0 > 1 - a1 + (1 - a1) / rho, rho = q (n - k) / (p (k - 1)) the edges that leave the cluster for
    each inside.

    \b
    Examples:
      graphkit cluster noise
      graphkit cluster noise target-cluster:n=10000,k=500,p=0.05,q=0.0025 --grid --accuracies 0.6,0.8,1.0
    """
    from graphkit.cli.cluster_options import accuracies
    from graphkit.methods.local.clustering.noise import sweep

    prepare_machine(values)
    shares = accuracies(values["accuracies"])
    pairs = [(a, b) for a in shares for b in shares] if values["grid"] else [(a, a) for a in shares]
    with progress.stages() as report:
        rows = sweep(
            values["model"],
            pairs,
            values["trials"],
            values["epsilon"],
            values["mass"],
            values["seed"],
            lambda done, total: report("accuracies", done, total),
        )
    if values["as_json"]:
        echo_json({"model": values["model"], "trials": values["trials"], "rows": rows})
    else:
        cells = [
            tuple("yes" if value is True else "no" if value is False else value for value in row.values())
            for row in rows
        ]
        click.echo(table(cells, tuple(rows[0])))


for _more in (improve, classes, ncp):
    command.add_command(_more)
