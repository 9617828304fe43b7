"""graphkit data: list, describe, download, convert and split data sets."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import click

from graphkit.cli.options import (
    LABEL_KINDS,
    echo_json,
    label_kind_option,
    on_terminal,
    output_options,
    read_options,
    reading,
    split_task,
    table,
)
from graphkit.core.errors import UsageError, did_you_mean
from graphkit.io import endings

LAZY = {"convert": ("graphkit.cli.convert", "A graph file in another format.")}


class DataGroup(click.Group):
    """The commands below, and ``convert``, whose module is imported when it is used."""

    def list_commands(self, ctx):
        return ["list", "info", "fetch", "convert", "split"]

    def get_command(self, ctx, name):
        if name in LAZY:
            return importlib.import_module(LAZY[name][0]).command
        return super().get_command(ctx, name)

    def resolve_command(self, ctx, args):
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            raise UsageError(
                f"unknown command {args[0]!r}{did_you_mean(args[0], known) or '; see: graphkit data --help'}"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx, formatter):
        with formatter.section("Commands"):
            own = {name: command.get_short_help_str(80) for name, command in self.commands.items()}
            texts = {**own, **{name: text for name, (_, text) in LAZY.items()}}
            formatter.write_dl([(name, texts[name]) for name in self.list_commands(ctx)])


@click.group(cls=DataGroup)
def command():
    """Data sets: list, describe, download, convert, split.

    \b
    Examples:
      graphkit data list --task link
      graphkit data info karate
      graphkit data fetch cora
      graphkit data split cora --task link --seed 3 > split.tsv
    """


@command.command("list")
@click.option("--task", type=click.Choice(["node", "link", "graph", "events"]), help="Only data sets with this task.")
@click.option("--available", is_flag=True, help="Only data sets whose files are on this machine.")
@output_options
def list_datasets(task: str | None, available: bool, as_json: bool):
    """List the data sets of the catalogue and the generators.

    \b
    Examples:
      graphkit data list
      graphkit data list --available --json
    """
    from graphkit.datasets import catalogue
    from graphkit.datasets.generators import synthetic

    rows = []
    for name, entry in catalogue.entries().items():
        here = _is_here(entry)
        if (task and task not in entry.tasks) or (available and not here):
            continue
        rows.append({"name": name, "tasks": list(entry.tasks), "here": here, "about": entry.about})
    for word, generator in synthetic.GENERATORS.items():
        if not task or task in generator.tasks:
            spec = f"{word}:" + ",".join(f"{key}={value:g}" for key, value in generator.parameters.items())
            rows.append({"name": spec, "tasks": list(generator.tasks), "here": True, "about": generator.about})
    if as_json:
        echo_json(rows)
        return
    shown = [(row["name"], ",".join(row["tasks"]), "yes" if row["here"] else "no", row["about"]) for row in rows]
    click.echo(table(shown, ("name", "tasks", "here", "about")))


def _is_here(entry: Any) -> bool:
    from graphkit.datasets.sources import folders

    if folders.benchmark(entry.name):
        return folders.find_benchmark(entry.name) is not None
    return all(folders.find(file.path) is not None for file in entry.data_files())


@command.command()
@click.argument("name")
@read_options
@label_kind_option
@output_options
def info(name: str, as_json: bool, **values):
    """Describe a data set: size, degrees, homophily, components, splits, metric, source, licence, checksum.

    \b
    Examples:
      graphkit data info karate
      graphkit data info sbm:n=1000,k=5 --json
      graphkit data info my.csv --directed --labels topics.csv
    """
    from graphkit import datasets

    report = datasets.info(name, read=reading(name, values))
    if as_json:
        echo_json(report)
        return
    rows = []
    for key, value in report.items():
        if key == "tasks":
            for task, facts in value.items():
                rows.append((f"{task} split", _task_line(facts)))
        elif key == "degree":
            rows.append((key, ", ".join(f"{word} {number:g}" for word, number in value.items())))
        elif key == "events":
            rows.append(
                (key, f"{value['count']:,} of {value['pairs']:,} pairs, from time {value['first']} to {value['last']}")
            )
        elif value not in (None, ""):
            rows.append((key, {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value))
    width = max(len(key) for key, _ in rows)
    for key, value in rows:
        click.echo(f"{key.replace('_', ' '):<{width}}  {value}")


def _task_line(facts: dict[str, Any]) -> str:
    if facts["split"] is None:
        return f"none: {facts['reason']}"
    sizes = ", ".join(f"{part} {size}" for part, size in facts["sizes"].items())
    drawn = f"one of {facts['folds']} by seed" if facts.get("folds") else "drawn by seed"
    seed = drawn if facts["by_seed"] else "fixed"
    return f"{facts['split']} ({seed}): {sizes}; metric {facts['metric']}"


@command.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Download again what the cache already has.")
@output_options
def fetch(name: str, force: bool, as_json: bool):
    """Download a data set into the user's cache, with checksums; files that are here are checked.

    \b
    Example:
      graphkit data fetch cora
    """
    from graphkit.datasets.sources.fetch import fetch as fetch_files

    bar: dict[str, Any] = {}

    def progress(file: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if file not in bar:
            bar[file] = tqdm(total=total or None, unit="B", unit_scale=True, desc=file, leave=False, file=sys.stderr)
        bar[file].update(done - bar[file].n)
        if total and done >= total:
            bar[file].close()

    paths = fetch_files(name, progress if on_terminal() else None, force)
    if as_json:
        echo_json({"name": name, "files": [str(path) for path in paths]})
        return
    for path in paths:
        click.echo(path)
    if not paths:
        click.echo(f"graphkit: {name} is bundled: there is nothing to download", err=True)


@command.command()
@click.argument("name")
@click.option(
    "--task",
    type=click.Choice(["node", "link", "graph", "events", *LABEL_KINDS]),
    help="Task, or for nodes what their labels are.  [default: the data set's first]",
)
@click.option("--split", "split_name", metavar="NAME", help="Name of the split.  [default: the data set's own]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of a drawn split.")
@click.option(
    "--negatives/--no-negatives", default=False, help="Also list the negative pairs (part valid_neg, test_neg)."
)
@click.option(
    "-o", "--output", metavar="FILE|-", default="-", help=f"Table: {endings.SHOWN}.  [default: tsv on stdout]"
)
@read_options
@output_options
def split(
    name: str,
    task: str | None,
    split_name: str | None,
    seed: int,
    negatives: bool,
    output: str,
    as_json: bool,
    **values,
):
    """Write a split: id and part for nodes and graphs, src, dst and part for links, also number and time for events.

    \b
    Examples:
      graphkit data split cora --task link --split random-0.7/0.1/0.2 --seed 3 -o split.tsv
      graphkit data split my.csv --labels topics.csv --task node --json
    """
    from graphkit import datasets
    from graphkit.datasets import catalogue
    from graphkit.datasets.generators import synthetic
    from graphkit.io import tables

    endings.format_of(output)
    if task is None:
        entry, generator = catalogue.entries().get(name), synthetic.GENERATORS.get(name.partition(":")[0])
        task = next(iter(entry.tasks)) if entry else generator.tasks[0] if generator else "link"
    task = split_task(values, task)
    dataset = datasets.load(name, task=task, split=split_name, seed=seed, read=reading(name, values))
    header, rows = _split_rows(dataset, task, negatives)
    if as_json:
        echo_json(
            {
                "name": name,
                "task": task,
                "split": dataset.split_name,
                "seed": seed,
                "columns": header,
                "rows": [list(row) for row in rows],
            }
        )
        return
    tables.write(output, tables.of_rows(header, rows))


def _split_rows(dataset: Any, task: str, negatives: bool) -> tuple[list[str], list[tuple]]:
    parts = [(part, getattr(dataset.split, part)) for part in ("train", "valid", "test")]
    if task == "events":
        return _event_rows(dataset, parts, negatives)
    if task != "link":
        if negatives:
            raise UsageError(f"--negatives: found with --task {task}, expected link or events")
        ids = dataset.ids().tolist() if task == "node" else range(len(dataset.graphs))
        return ["id", "part"], [(ids[k], part) for part, members in parts for k in members.tolist()]
    ids = dataset.ids().tolist()
    rows = []
    for part, edges in parts:
        rows += [(ids[u], ids[v], part) for u, v in edges.pos.tolist()]
        if negatives:
            rows += [(ids[u], ids[v], f"{part}_neg") for u, v in _negatives(edges)]
    return ["src", "dst", "part"], rows


def _negatives(edges: Any) -> Iterator[tuple[int, int]]:
    """Pairs (u, v) of the negatives, those of each positive in turn where they are its own."""
    if edges.neg is not None:
        yield from map(tuple, edges.neg.tolist())
    for pair, others in zip(edges.pos.tolist(), () if edges.neg_dst is None else edges.neg_dst.tolist()):
        yield from ((pair[0], other) for other in others)
    for pair, others in zip(edges.pos.tolist(), () if edges.neg_src is None else edges.neg_src.tolist()):
        yield from ((other, pair[1]) for other in others)


def _event_rows(dataset: Any, parts: list, negatives: bool) -> tuple[list[str], list[tuple]]:
    """A row for each event of a part and, with ``negatives``, for each wrong pair in its place, times as they came."""
    import numpy as np

    events, ids, rows = dataset.events, dataset.ids().tolist(), []
    split = dataset.split
    if split.hides:  # known before the test, but neither trained on nor judged
        parts = [
            *parts[:2],
            ("hidden", np.setdiff1d(np.arange(split.before), np.concatenate([split.train, split.valid]))),
            parts[2],
        ]
    for part, members in parts:
        times, sources = events.times_of(members), events.src[members]
        rows += [
            (k, ids[u], ids[v], time, part)
            for k, u, v, time in zip(members.tolist(), sources, events.dst[members], times)
        ]
        if negatives and part in ("valid", "test"):
            given, others = split.negatives(part)
            given = given.reshape(len(members), -1)
            others = np.broadcast_to(
                sources[:, None] if others is None else others.reshape(len(members), -1), given.shape
            )
            rows += [
                (k, ids[u], ids[v], time, f"{part}_neg")
                for k, time, *several in zip(members.tolist(), times, others, given)
                for u, v in zip(*several)
                if v >= 0
            ]
    return ["event", "src", "dst", "time", "part"], rows
