"""graphkit analyze: measures of nodes, and how a trained model's predictions go with them."""

from __future__ import annotations

import logging
import time
from typing import Any

import click

from graphkit.cli import progress
from graphkit.cli.analyze_set import command as analyze_set
from graphkit.cli.options import (
    READ_FIELDS,
    command_line,
    config_options,
    data_options,
    echo_json,
    given,
    load_dataset,
    machine_options,
    output_options,
    prepare_machine,
    read_flags,
    table,
)
from graphkit.core import registry
from graphkit.core.errors import UsageError, did_you_mean
from graphkit.io import endings


class AnalyzeGroup(click.Group):
    """One command per analysis."""

    def resolve_command(self, ctx, args):
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            hint = did_you_mean(args[0], self.commands) or f"; expected {', '.join(self.commands)}"
            raise UsageError(f"unknown analysis {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=AnalyzeGroup)
def command():
    """Measure the nodes of a graph, hold a trained model against the measures, and describe a set of nodes.

    \b
    Examples:
      graphkit analyze topo --dataset cora
      graphkit analyze topo runs/gcn-link-cora -o nodes.parquet
      graphkit analyze set --dataset karate --nodes mine.txt
    """


@click.command("topo")
@click.argument("run", required=False)
@data_options
@click.option("--split", metavar="NAME", help="Split of the links, e.g. random-0.7/0.1/0.2.  [default: the data set's]")
@click.option(
    "--part",
    type=click.Choice(["valid", "test"]),
    default="test",
    show_default=True,
    help="Part that the run is judged on.",
)
@click.option(
    "--outcome",
    metavar="NAME@K",
    default="recall@10",
    show_default=True,
    help=(
        "What of the run is held against the measures: recall, precision, f1, hits or ndcg at 5, 10, 20, 50 or 100; rr."
    ),
)
@click.option("--nodes", type=click.IntRange(min=1), help="Rank for this many random nodes only.  [default: all]")
@click.option("--repeats", is_flag=True, help="Rank known links too, for graphs where links come again.")
@click.option(
    "--bins",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Bins of each measure, of equally many nodes.",
)
@click.option(
    "--plot", metavar="FILE", help="Also draw the outcome over the measures' bins: .png, .pdf or .svg (extra plot)."
)
@click.option(
    "-o",
    "output",
    metavar="FILE|-",
    help=f"Table of nodes: {endings.SHOWN}; - is tsv on stdout, the summary then on stderr.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), help="Seed of the split and the estimate; of a run, which of its seeds."
)
@machine_options
@output_options
def topo(**values):
    """Topological concentration of every node and, for a RUN of a link learner, how it goes with the run's ranking.

    Without RUN: degree, clustering, common neighbours, TC, its estimate ATC and the shift TDS of the nodes of --dataset
    or --edges. With RUN, on its data and split, every node with a link in --part also ranks all other nodes by the
    run's model.

    \b
    Examples:
      graphkit analyze topo --dataset collegemsg --hops 2 -o nodes.tsv
      graphkit analyze topo runs/gcn-link-cora --outcome ndcg@20 --plot tc.png
      graphkit analyze topo --edges my.csv -o - | sort -t "$(printf '\\t')" -k 12 -g | tail
    """
    _topo(values)


topo.params = config_options(registry.config_class("topo")) + topo.params
command.add_command(topo)
command.add_command(analyze_set)


def _topo(values: dict[str, Any]) -> None:
    from graphkit.core.machine import peak_rss_mb, versions
    from graphkit.io import tables
    from graphkit.methods.structure.topo.report import depends_on_scores, judge, summarize

    config = registry.resolve_config("topo", overrides=given(registry.config_class("topo"), values))
    _check(values)
    device = prepare_machine(values)
    started = time.perf_counter()
    learner, dataset = _load(values, device)
    columns = registry.method("topo")(config).measure(dataset, seed=values["seed"] or 0)
    ranking = None
    if learner is not None:
        with progress.stages() as report:
            ranking = judge(
                learner, dataset, values["part"], values["nodes"], values["repeats"], values["seed"] or 0, report
            )
        if not depends_on_scores(values["outcome"], dataset.num_nodes):
            text = "%s of %d nodes is the same whatever the scores; expected a smaller number after the @"
            logging.getLogger("graphkit").warning(text, values["outcome"], dataset.num_nodes)
        columns = {**columns, **ranking}
    found = {
        "method": "topo",
        "dataset": dataset.name,
        "split": dataset.split_name,
        "run": values["run"],
        "config": config.to_dict(),
    }
    found.update(summarize(columns, values["part"] if ranking else None, values["outcome"], values["bins"]))
    found.update(
        seconds=time.perf_counter() - started,
        peak_rss_mb=round(peak_rss_mb(), 1),
        versions=versions(),
        command=command_line(),
    )
    rows = {"id": dataset.ids(), **columns}
    if values["plot"]:
        from graphkit.methods.structure.topo.report import plot

        plot(values["plot"], found)
    if values["output"] not in (None, "-"):
        tables.write(values["output"], rows)
    _show(found, rows, values)


def _check(values: dict[str, Any]) -> None:
    """What can be wrong before any data are read."""
    from graphkit.io.plots import check_plot
    from graphkit.methods.structure.topo.report import check_outcome

    run = values["run"]
    if run is not None:
        given_too = [f"--{key}" for key in ("dataset", "edges", "split") if values[key] is not None] + read_flags(
            values
        )
        if given_too:
            raise UsageError(
                f"{', '.join(given_too)}: found with RUN {run}, which is analysed on its own data and split"
            )
    else:
        for key in ("nodes", "plot"):
            if values[key] is not None:
                raise UsageError(f"--{key} needs RUN, a run folder of a link learner")
        if values["repeats"]:
            raise UsageError("--repeats needs RUN, a run folder of a link learner")
    check_outcome(values["outcome"])
    if values["plot"]:
        check_plot(values["plot"])
    if values["output"] is not None:
        endings.format_of(values["output"])
        if values["output"] == "-" and values["as_json"]:
            raise UsageError("--json and -o -: both write to stdout; name a file with -o")


def _load(values: dict[str, Any], device: str):
    """(learner or None, data set) that the command names."""
    if values["run"] is None:
        split = values.pop("split")
        return None, load_dataset(values, task="link", split=split, seed=values["seed"] or 0)
    from graphkit.runs.execution import load_run
    from graphkit.training.learner import LinkLearner

    for key in ("dataset", "edges", *READ_FIELDS):
        values.pop(key, None)
    learner, dataset = load_run(values["run"]).restore(values["seed"], device=device)
    if not isinstance(learner, LinkLearner):
        raise UsageError(
            f"{values['run']}: a run of a method that scores no links; expected a link method such as gcn-link"
        )
    return learner, dataset


def _show(found: dict[str, Any], rows, values: dict[str, Any]) -> None:

    from graphkit.io import tables

    to_stderr = values["output"] == "-"
    if to_stderr:
        tables.write("-", rows)
        if click.get_current_context().find_root().obj.get("quiet"):
            return
    if values["as_json"]:
        echo_json(found)
        return
    about = f"topo of {found['dataset']} ({found['split']}), {found['nodes']:,} nodes, {found['seconds']:.1f} s"
    click.echo(about, err=to_stderr)
    means = [(name, mean["nodes"], mean["mean"], mean["low"], mean["high"]) for name, mean in found["means"].items()]
    click.echo(table(means, ("measure", "nodes", "mean", "low", "high")), err=to_stderr)
    if found["correlations"]:
        click.echo(
            f"\n{found['outcome']} of {values['run']}, {found['part']}: {found['ranked']:,} nodes, mean"
            f" {found['outcome_mean']:.4f}",
            err=to_stderr,
        )
        body = [
            (name, one["nodes"], *(one[kind][end] for kind in ("pearson", "spearman") for end in ("r", "low", "high")))
            for name, one in found["correlations"].items()
        ]
        click.echo(
            table(body, ("measure", "nodes", "pearson", "low", "high", "spearman", "low", "high")), err=to_stderr
        )
