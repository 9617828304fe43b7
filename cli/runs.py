"""graphkit runs: list, show and compare run folders."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import click

from graphkit.cli.options import check_table, echo_json, mean_std, output_options, table, table_option, write_rows
from graphkit.core.errors import DataError, UsageError


@click.group()
def command():
    """List, show and compare run folders.

    \b
    Examples:
      graphkit runs list runs
      graphkit runs show runs/ncn-cora
      graphkit runs compare runs/ncn-cora runs/gcn-link-cora --json
    """


@command.command("list")
@click.argument("folder", default="runs", metavar="[DIR]")
@table_option
@output_options
def list_runs(folder: str, output: str | None, as_json: bool):
    """List the runs below a folder (default: runs).

    \b
    Example:
      graphkit runs list runs -o runs.csv
    """
    from graphkit.runs.execution import load_run

    check_table(output)
    if not Path(folder).is_dir():
        raise DataError(f"{folder}: no such folder; expected one that holds run folders")
    found, broken = [], []
    for path in sorted({path.parent for path in Path(folder).rglob("config.yaml")}):
        try:
            found.append(load_run(path))
        except DataError as problem:
            broken.append(problem)
    if broken and not found:
        raise broken[0]
    for problem in broken:  # one of them does not hide the others
        logging.getLogger("graphkit").warning("left out: %s", problem)
    rows, written = [], []
    for run in found:
        result = run.result or {}
        settings = (
            str(run.path),
            run.settings["method"],
            run.settings["dataset"],
            len(run.settings["seeds"]),
            run.state,
        )
        shown = {part: mean_std(result[part]) if part in result else None for part in ("valid", "test")}
        rows.append((*settings, result.get("metric"), shown["valid"], shown["test"], result.get("seconds")))
        figures = [result.get(part, {}).get(key) for part in ("valid", "test") for key in ("mean", "std")]
        written.append((*settings, result.get("metric"), *figures, result.get("seconds")))
    header = (
        "run",
        "method",
        "dataset",
        "seeds",
        "state",
        "metric",
        "valid",
        "valid_std",
        "test",
        "test_std",
        "seconds",
    )
    write_rows(output, written, header)
    if as_json:
        echo_json([{"path": str(run.path), "state": run.state, "result": run.result} for run in found])
        return
    click.echo(table(rows, ("run", "method", "dataset", "seeds", "state", "metric", "valid", "test", "seconds")))


@command.command()
@click.argument("run")
@output_options
def show(run: str, as_json: bool):
    """Show the result and the settings of a run.

    \b
    Example:
      graphkit runs show runs/ncn-cora
    """
    from graphkit.cli.train import result_table
    from graphkit.runs.execution import load_run

    found = load_run(run)
    if as_json:
        echo_json({"settings": found.settings, "state": found.state, "result": found.result})
        return
    if found.result is None:
        click.echo(
            f"{run}: {found.settings['method']} on {found.settings['dataset']}, unfinished (continue with --resume)"
        )
    else:
        click.echo(result_table(found.result) if "metrics" in found.result else _embedding_table(found.result))
        click.echo(f"command: {found.result['command']}")
    click.echo(
        table(sorted((key, _plain(value)) for key, value in found.settings["config"].items()), ("option", "value"))
    )


@command.command()
@click.argument("first")
@click.argument("second")
@table_option
@output_options
def compare(first: str, second: str, output: str | None, as_json: bool):
    """Compare two finished runs, metric by metric.

    Where both have the same two or more seeds, a paired t-test over the seeds says how likely the difference in test is
    by chance.

    \b
    Example:
      graphkit runs compare runs/ncn-cora runs/gcn-link-cora
    """
    from graphkit.cli.train import ALWAYS_ONE
    from graphkit.evaluation.protocols import require_same
    from graphkit.runs.execution import load_run

    check_table(output)
    runs = [load_run(path) for path in (first, second)]
    for run in runs:
        if run.result is None:
            raise DataError(f"{run.path}: the run is not finished; expected one with a result.json")
        if "metrics" not in run.result:
            raise UsageError(f"{run.path}: a run without metrics; score its vectors with: graphkit evaluate embedding")
    left, right = (run.result for run in runs)
    require_same([left, right], [first, second])
    checksums = left.get("dataset_checksum"), right.get("dataset_checksum")
    if checksums[0] != checksums[1]:
        raise DataError(
            f"{first} and {second} differ in dataset_checksum: {checksums[0]!r} and {checksums[1]!r} cannot be compared"
        )
    rows = [_difference(name, left, right) for name in left["metrics"] if name in right["metrics"]]
    write_rows(output, [tuple(row.values()) for row in rows], tuple(rows[0]) if rows else ("metric",))
    if as_json:
        echo_json(rows)
        return
    ones = {name for result in (left, right) for name, parts in result.get("always_one", {}).items() if "test" in parts}
    cells = [(row["metric"] + (" *" if row["metric"] in ones else ""), *list(row.values())[1:]) for row in rows]
    click.echo(table(cells, ("metric", first, second, "difference", "p", "seeds")))
    if ones.intersection(row["metric"] for row in rows):
        click.echo(ALWAYS_ONE)


def _embedding_table(result: dict[str, Any]) -> str:
    """What an embedder's run has in place of metrics: the size of its vectors, time and memory."""
    keys = ("method", "dataset", "nodes", "edges", "dim", "seconds", "peak_rss_mb", "file")
    return table([(key, result[key]) for key in keys if key in result], ("field", "value"))


def _difference(name: str, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    a, b = (result["metrics"][name]["test"] for result in (left, right))
    shared = [seed for seed in left["seeds"] if seed in right["seeds"]]
    p = None
    if len(shared) >= 2:
        pairs = [(a["values"][left["seeds"].index(s)], b["values"][right["seeds"].index(s)]) for s in shared]
        p = _paired_p([x - y for x, y in pairs])
    return {
        "metric": name,
        "first": a["mean"],
        "second": b["mean"],
        "difference": a["mean"] - b["mean"],
        "p": p,
        "paired_seeds": len(shared),
    }


def _paired_p(differences: list[float]) -> float | None:
    """Two-sided p of the paired t-test; None where all differences are equal, which leaves it undefined."""
    from scipy.stats import ttest_1samp

    if max(differences) == min(differences):
        return None
    p = float(ttest_1samp(differences, 0.0).pvalue)
    return None if math.isnan(p) else p


def _plain(value: Any) -> Any:
    return ",".join(map(str, value)) if isinstance(value, list) else value
