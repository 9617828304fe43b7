"""graphkit analyze: measures of nodes, and how a trained model's predictions go with them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphkit.cli import progress
from graphkit.cli.analyze_set import command as analyze_set
from graphkit.cli.kinds import MethodGroup, Options, Verb
from graphkit.cli.options import (
    READ_FIELDS,
    command_line,
    compose,
    data_options,
    echo_json,
    load_dataset,
    machine_options,
    output_options,
    prepare_machine,
    read_flags,
    table,
)
from graphkit.core import registry
from graphkit.core.config import Config
from graphkit.core.errors import UsageError
from graphkit.io import endings

if TYPE_CHECKING:
    from graphkit.methods.kinds import Findings, Subject


def _options(sheet: registry.Sheet) -> Options:
    """The options of every analysis; a sheet with ``plots`` has --plot."""
    plot = click.option("--plot", metavar="FILE", help="Also draw the findings: .png, .pdf or .svg (extra plot).")
    return compose(
        click.argument("subjects", metavar="[RUN|FILE]...", nargs=-1),
        data_options,
        click.option(
            "--split", metavar="NAME", help="Split of the data, e.g. random-0.7/0.1/0.2.  [default: the data set's]"
        ),
        *([plot] if sheet.plots else []),
        click.option(
            "-o",
            "output",
            metavar="FILE|-",
            help=f"First table: {endings.SHOWN}; - is tsv on stdout, the summary then on stderr.",
        ),
        click.option("--out", metavar="DIR", help="Run folder: config.yaml, result.json and all tables as .tsv."),
        click.option(
            "--seed",
            type=click.IntRange(min=0),
            help="Seed of the split and of estimates; of a run, which of its seeds.",
        ),
        machine_options,
        output_options,
    )


def _analyze(name: str, resolve: Callable[[], Config], values: dict[str, Any]) -> None:
    from graphkit.io.locks import locked
    from graphkit.runs.folder import check_unused

    config = resolve()
    method = registry.method(name)(config)
    subject = _check(method, values)
    if out := values["out"]:
        check_unused(out)
    with locked(out) if out else contextlib.nullcontext():
        device = prepare_machine(values)
        started = time.perf_counter()
        asked = _load(method, subject, values, device)
        with progress.stages() as report:
            found = method.analyze(asked, seed=values["seed"] or 0, report=report)
        _write(name, config, asked, found, started, values)
    if values.get("plot"):
        method.plot(values["plot"], found)


def _check(method: Any, values: dict[str, Any]) -> str:
    """What is asked about, ``data``, ``run`` or ``files``; raises :class:`UsageError` for what is wrong before any is
    read.
    """
    from graphkit.io.plots import check_plot

    named = values["subjects"]
    if method.of == "files":
        subject = "files"
        if not named:
            raise UsageError("FILE: found none, expected the files to analyse")
    else:
        subject = "run" if named else "data"
        if len(named) > 1:
            raise UsageError(f"RUN {named[1]}: found with {named[0]}, expected one run folder")
        if subject not in method.of.split(" or "):
            raise UsageError(f"RUN: {'found ' + named[0] if named else 'found none'}, expected {method.of} alone")
    if named:
        given_too = [f"--{key}" for key in ("dataset", "edges", "split") if values[key] is not None] + read_flags(
            values
        )
        if given_too:
            kind = "RUN" if subject == "run" else "FILE"
            raise UsageError(
                f"{', '.join(given_too)}: found with {kind} {named[0]}, which is analysed on its own data and split"
            )
    method.check(subject, plot=values.get("plot"))
    if values.get("plot"):
        check_plot(values["plot"])
    if values["output"] is not None:
        endings.format_of(values["output"])
        if values["output"] == "-" and values["as_json"]:
            raise UsageError("--json and -o -: both write to stdout; name a file with -o")
    return subject


def _load(method: Any, subject: str, values: dict[str, Any], device: str) -> Subject:
    """The data set, with the learner of a run, or the files."""
    from graphkit.methods.kinds import Subject

    if subject == "data":
        split = values.pop("split")
        return Subject(load_dataset(values, task=method.task, split=split, seed=values["seed"] or 0))
    if subject == "files":
        return Subject(files=tuple(map(Path, values["subjects"])))
    from graphkit.runs.execution import load_run

    for key in ("dataset", "edges", "split", *READ_FIELDS):
        values.pop(key, None)
    (run,) = values["subjects"]
    learner, dataset = load_run(run).restore(values["seed"], device=device)
    return Subject(dataset, learner, run)


def _write(name: str, config: Config, asked: Subject, found: Findings, started: float, values: dict[str, Any]) -> None:
    """Write the tables, and show or print what was found."""
    from graphkit.io import tables
    from graphkit.runs import results

    dataset = asked.dataset
    head = {
        "method": name,
        "dataset": None if dataset is None else dataset.name,
        "split": None if dataset is None else dataset.split_name,
        "run": asked.run,
        "config": config.to_dict(),
    }
    cost = results.cost(started, command_line())
    first = next(iter(found.tables.values()))
    if values["output"] not in (None, "-"):
        tables.write(values["output"], first)
    if out := values["out"]:
        for title, columns in found.tables.items():
            tables.write(str(Path(out) / f"{title}.tsv"), columns)
        files = [f"{title}.tsv" for title in found.tables]
        seeds = [values["seed"] or 0]
        results.write(out, {**head, "seeds": seeds}, {**found.figures, "files": files, **cost}, dataset)
    _show({**head, **found.figures, **cost}, found, first, values)


def _show(record: dict[str, Any], found: Findings, first: dict[str, Any], values: dict[str, Any]) -> None:
    from graphkit.io import tables

    to_stderr = values["output"] == "-"
    if to_stderr:
        tables.write("-", first)
        if click.get_current_context().find_root().obj.get("quiet"):
            return
    if values["as_json"]:
        echo_json(record)
        return
    rows = f", {record['nodes']:,} nodes" if "nodes" in record else ""
    of = "" if record["dataset"] is None else f" of {record['dataset']} ({record['split']})"
    click.echo(f"{record['method']}{of}{rows}, {record['seconds']:.1f} s", err=to_stderr)
    for title, header, cells in found.shown:
        if title is not None:
            click.echo(f"\n{title}", err=to_stderr)
        click.echo(table(cells, header), err=to_stderr)


def _example(name: str) -> str:
    sheet = registry.sheet(name)
    return f"graphkit analyze {name} {sheet.example or '--dataset karate'}"


@click.group(cls=MethodGroup, verb=Verb("analysis", _analyze, _options, _example))
def command():
    """Measure the nodes of a graph, hold a trained model against the measures, and describe a set of nodes.

    \b
    Examples:
      graphkit analyze topo --dataset cora
      graphkit analyze topo runs/gcn-link-cora -o nodes.parquet
      graphkit analyze set --dataset karate --nodes mine.txt
    """


command.add_command(analyze_set)
