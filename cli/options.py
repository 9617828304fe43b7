"""Options that commands share, the options made from a Config, and how results are shown."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from graphkit.core.config import Config, field_types, flag_name
from graphkit.io import endings


class NumberList(click.ParamType):
    """Several values separated by commas; the Config checks the items."""

    name = "a,b,.."

    def convert(self, value, param, ctx):
        return value


def config_options(config: type[Config]) -> list[click.Option]:
    """Turn the fields of a Config into Click options whose value is None unless given."""
    options = []
    for item in dataclasses.fields(config):
        scalar, many, _ = field_types(config)[item.name]
        flag, meta = flag_name(item), item.metadata
        text = meta["help"] + _suffix(item.default, meta)
        if scalar is bool:
            declaration = f"{flag}/--no-{flag[2:]}"
            options.append(click.Option([item.name, declaration], default=None, help=text))
            continue
        if many:
            kind: Any = NumberList()
        elif meta["choices"] is not None:
            kind = click.Choice(list(meta["choices"]))
        else:
            kind = {int: click.INT, float: click.FLOAT, str: click.STRING}[scalar]
        options.append(click.Option([item.name, flag], type=kind, default=None, help=text))
    return options


def _suffix(default: Any, meta: Any) -> str:
    parts = []
    if default is not None:
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default).lower()
        parts.append(f"default: {shown or 'none'}" if not isinstance(default, str) else f"default: {default or 'none'}")
    low, high = meta["min"], meta["max"]
    if low is not None or high is not None:
        parts.append(f"range: {'' if low is None else low}..{'' if high is None else high}")
    return f"  [{'; '.join(parts)}]" if parts else ""


def given(config: type[Config], values: dict[str, Any]) -> dict[str, Any]:
    """Pop the options of a Config out of a command's values; return those that were given."""
    taken = {item.name: values.pop(item.name) for item in dataclasses.fields(config) if item.name in values}
    return {name: value for name, value in taken.items() if value is not None}


def compose(*decorators: Callable) -> Callable:
    """Apply several option decorators as one, in the order they are shown."""

    def apply(function):
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


_name_options = compose(
    click.option("--dataset", metavar="NAME|FILE", help="Data set of the catalogue, synthetic graph or file."),
    click.option(
        "--edges", "--graph", metavar="FILE|-", help="Your own graph: an edge list or graph file; - reads stdin."
    ),
)


def _set_read_limit(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    from graphkit.io import budget

    budget.set_limit(value)


# It is set for the whole command, and no part of how a run was read.
_limit_option = click.option(
    "--read-limit",
    metavar="SIZE",
    expose_value=False,
    callback=_set_read_limit,
    help="Memory that the data may take when unpacked, e.g. 4GB.  [default: a quarter of what is available]",
)

_edge_options = compose(
    click.option(
        "--columns",
        metavar="SRC,DST[,WEIGHT]",
        help="Columns of the edge list, by name or number from 0; SRC,DST,TIME[,...] of events.",
    ),
    click.option("--header/--no-header", default=None, help="Whether the edge list has a header.  [default: detect]"),
    click.option("--delimiter", metavar="CHAR", help="Column separator of the edge list.  [default: detect]"),
    click.option(
        "--read-as",
        type=click.Choice(["edges", "adjacency", "user-items"]),
        help="What a line of a text is: an edge, a node and its neighbours, or a user and items.  [default: edges]",
    ),
    click.option("--weight", metavar="COLUMN", help="Column with edge weights."),
    click.option(
        "--directed/--undirected", default=False, help="Whether edges have a direction.  [default: undirected]"
    ),
    click.option("--self-loops", type=click.Choice(["drop", "keep"]), default="drop", show_default=True),
    click.option("--duplicates", type=click.Choice(["first", "sum", "keep"]), default="first", show_default=True),
    click.option("--features", metavar="FILE", help="Node features of your own graph: npy, npz, mat, csv or Parquet."),
    click.option(
        "--id-column",
        metavar="NAME|NUMBER",
        multiple=True,
        help=(
            "Column with the ids in files about nodes; repeat it for several files; none: rows go by order.  "
            "[default: detect]"
        ),
    ),
)

_label_option = compose(
    click.option(
        "--labels", metavar="FILE", help="Node labels of your own graph: csv with id and label columns, npy, mat ..."
    ),
    click.option(
        "--unlabelled",
        metavar="VALUE",
        multiple=True,
        help="Label that means no label; may be repeated.  [default: NA, nan, and -1 beside two other classes]",
    ),
)

LABEL_KINDS = ("classification", "multilabel", "regression")

# What the labels of a user's own nodes are; apart, as some commands have a --task with more choices.
label_kind_option = click.option(
    "--task",
    "label_kind",
    type=click.Choice(LABEL_KINDS),
    help="What the labels of your own nodes are.  [default: one class a node, several where a node has more]",
)

graph_options = compose(_name_options, _edge_options, _limit_option)

# How to read a graph that an argument names.
read_options = compose(_edge_options, _label_option, _limit_option)

data_options = compose(
    graph_options,
    _label_option,
    click.option(
        "--splits",
        metavar="FILE",
        help=(
            "Split of your own graph: nodes (id, part), links (src, dst, part) or events ([event,] src, dst, time,"
            " part)."
        ),
    ),
)

output_options = compose(
    click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table."),
)

table_option = click.option("-o", "output", metavar="FILE", help=f"Also write the table: {endings.SHOWN}.")

machine_options = compose(
    click.option("--device", default=None, help="cpu or cuda[:N].  [default: cuda where there is one]"),
    click.option(
        "--threads",
        type=click.IntRange(min=1),
        help="Threads of torch, DGL and numba.  [default: OMP_NUM_THREADS, or all cores]",
    ),
)

# Options that name a file with ids of nodes, one a line.
ID_LISTS = ("nodes", "seed_file", "target_file", "noisy", "positives", "negatives")
READ_FIELDS = [
    "columns",
    "header",
    "delimiter",
    "read_as",
    "weight",
    "directed",
    "self_loops",
    "duplicates",
    "features",
    "labels",
    "splits",
    "id_column",
    "unlabelled",
    "label_kind",
]


def split_task(values: dict[str, Any], task: str | None) -> str | None:
    """The task that ``--task`` of a command with all tasks stands for: a kind of labels is the node task with them."""
    if task in LABEL_KINDS:
        values["label_kind"] = task
        return "node"
    return task


def take_argument(values: dict[str, Any]) -> None:
    """Let the argument DATASET, where there is one, stand for --dataset; raises :class:`UsageError` where both are
    there.
    """
    from graphkit.core.errors import UsageError

    argument = values.pop("data", None)
    if argument is not None:
        if values["dataset"] or values["edges"]:
            raise UsageError(f"DATASET {argument}: found with --dataset or --edges, expected one of them")
        values["dataset"] = argument


def load_dataset(
    values: dict[str, Any], *, task: str | None = None, split: str | None = None, seed: int = 0, many: bool = False
):
    """Load the data set that :data:`data_options` name; takes those options out of ``values``."""
    from graphkit import datasets
    from graphkit.core.errors import UsageError

    name, edges = values.pop("dataset", None), values.pop("edges", None)
    options = {key: values.pop(key) for key in READ_FIELDS if key in values}
    values["id_column"] = options.get("id_column", ())  # a list of nodes is read once the data are
    options["id_column_elsewhere"] = values.pop("id_column_elsewhere", False) or any(
        values.get(key) is not None for key in ID_LISTS
    )
    if (name is None) == (edges is None):
        found = "neither" if name is None else "both"
        raise UsageError(f"--dataset and --edges: found {found}, expected one of them; see: graphkit data list")
    name = name or edges
    return datasets.load(name, task=task, split=split, seed=seed, read=reading(name, options), many=many)


def reading(name: str, options: dict[str, Any]):
    """The ReadOptions of a command; raises :class:`UsageError` where some were given for data that are read in one way
    only.
    """
    from graphkit import datasets
    from graphkit.core.errors import UsageError
    from graphkit.core.read_options import ReadOptions

    read = ReadOptions(**options)
    if read.id_column and not (read.features or read.labels or read.splits or read.id_column_elsewhere):
        raise UsageError(
            f"--id-column {read.id_column[0]}: expected with a file about nodes, such as --features or --labels"
        )
    if (read.unlabelled or read.label_kind) and not read.labels:
        raise UsageError(f"{'--unlabelled' if read.unlabelled else '--task'}: expected with --labels")
    if (given := read_flags(options)) and not datasets.is_own(name):
        raise UsageError(f"{', '.join(given)}: found with {name}, expected with a graph file of your own only")
    return read


def read_flags(values: dict[str, Any]) -> list[str]:
    """Those options of reading a graph file that were given, as flags."""
    from graphkit.core.read_options import ReadOptions

    default = ReadOptions()
    given = {key: values[key] for key in READ_FIELDS if key in values and values[key] != getattr(default, key)}
    names = {"label_kind": "--task"}
    if given.get("header") is False:
        names["header"] = "--no-header"
    return [names.get(key, f"--{key.replace('_', '-')}") for key in given]


def command_line() -> str:
    """The command that runs, as a shell would take it."""
    return shlex.join(["graphkit", *click.get_current_context().find_root().obj["arguments"]])


def prepare_machine(values: dict[str, Any]) -> str:
    """Set the threads and return the device that :data:`machine_options` ask for."""
    from graphkit.core.machine import choose_device, set_threads

    set_threads(values.pop("threads", None))
    return choose_device(values.pop("device", None))


def echo_json(value: Any) -> None:
    """Print a value as JSON; the one place where results become JSON on stdout."""
    click.echo(json.dumps(value, indent=2, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> Any:
    for attribute in ("tolist", "to_dict"):
        if hasattr(value, attribute):
            return getattr(value, attribute)()
    return str(value)


def table(rows: Iterable[Sequence[Any]], header: Sequence[str]) -> str:
    """Lay out rows as aligned text columns; columns of numbers are aligned right."""
    body = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(header, *body)]
    numeric = [
        all(_is_number(row[i]) for row in body if row[i] not in ("", "-")) and bool(body) for i in range(len(header))
    ]
    lines = []
    for row in [list(header), ["-" * width for width in widths], *body]:
        cells = [text.rjust(w) if right else text.ljust(w) for text, w, right in zip(row, widths, numeric)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def write_rows(path: str | None, rows: Iterable[Sequence[Any]], header: Sequence[str]) -> None:
    """Write the rows that a command prints as a table to the file that ``-o`` names, every figure in full; None writes
    nothing.
    """
    from graphkit.io import tables

    if path is not None:
        tables.write(path, tables.of_rows(header, list(rows)))


def check_table(path: str | None, as_json: bool = False) -> None:
    """Raise :class:`UsageError` for an ``-o`` that cannot be written, before the work begins."""

    if path is not None:
        from graphkit.core.errors import UsageError

        endings.format_of(path)
        if path == "-":
            raise UsageError("-o -: the table is on stdout without it, expected the name of a file")


def mean_std(values: dict[str, Any]) -> str:
    """Show a mean with its unbiased spread over seeds, where there is one."""
    return f"{values['mean']:.4f}" + ("" if values["std"] is None else f" ± {values['std']:.4f}")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:.1f}"
    return str(value)


def _is_number(text: str) -> bool:
    with contextlib.suppress(ValueError):
        float(text.split(" ")[0])
        return True
    return False


def on_terminal() -> bool:
    """Whether stderr is a terminal, where progress bars make sense."""
    return sys.stderr.isatty()
