"""graphkit reproduce METHOD: the claims of a paper, run and set beside its figures."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import click

from graphkit.cli import progress
from graphkit.cli.options import check_table, command_line, echo_json, output_options, table, table_option, write_rows
from graphkit.core.errors import ClaimError, DataError, Interrupted, UsageError


@click.command()
@click.argument("method", required=False)
@click.option("--claim", metavar="ID", help="Only this claim; see: graphkit methods show METHOD.")
@click.option("--smoke", is_flag=True, help="Only the claims that take about a minute.")
@click.option("--all", "everything", is_flag=True, help="The claims of every method.")
@click.option("--fresh", is_flag=True, help="Run again what --results holds.")
@click.option("--stored", is_flag=True, help="Run nothing; show the verdicts that --results holds.")
@click.option(
    "--results", metavar="DIR", help="Where results are kept.  [default: graphkit/claims in the user's cache]"
)
@click.option("--write-docs", metavar="FILE", help="Also write the page of all stored claims, as Markdown.")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads of torch, DGL and numba.  [default: OMP_NUM_THREADS, or all cores]",
)
@table_option
@output_options
def command(method, claim, smoke, everything, fresh, stored, results, write_docs, threads, output, as_json):
    """Run the claims of a method's sheet and print them beside the paper's figures.

    Runs are kept by configuration, data and version; a killed one is continued. A claim over its time budget is marked,
    not failed. Exit code 4 when a claim does not hold, 3 when data are missing for all of them.

    \b
    Examples:
      graphkit reproduce fastrp --smoke
      graphkit reproduce ncnc --claim ncn-cora --json
      graphkit reproduce --all --stored --results docs/claims --write-docs docs/claims.md
    """
    from graphkit.claims import report, runner
    from graphkit.io.files import write_text

    check_table(output)
    if stored and fresh:
        raise UsageError("--stored runs nothing, --fresh runs all again; expected one of them")
    chosen = _chosen(method, claim, smoke, everything)
    folder = runner.results_folder(results)
    verdicts = _stored(chosen, folder, report) if stored else _run(chosen, folder, fresh, threads, runner)
    if write_docs is not None:
        write_text(write_docs, report.page(report.stored(folder)))
    written = [
        (
            one.method,
            one.claim,
            report.paper_figure(one.paper),
            report.measured(one),
            one.state,
            one.seconds,
            one.expect,
        )
        for one in verdicts
    ]
    write_rows(output, written, ("method", "claim", "paper", "measured", "verdict", "seconds", "expected"))
    if as_json:
        echo_json([vars(verdict) for verdict in verdicts])
    else:
        _show(verdicts, report)
    _judge(verdicts)


def _run(chosen, folder, fresh: bool, threads: int | None, runner) -> list[Any]:
    from graphkit.core import machine

    machine.set_threads(threads)
    verdicts = []
    with contextlib.closing(_Progress()) as shown:
        running = runner.Runner(folder, fresh=fresh, report=shown, command=command_line())
        for name, claims in chosen.items():
            for key, value in claims.items():
                shown.logger.info("%s, claim %s: %s", name, key, " ".join(value["says"].split()))
                try:
                    verdicts.append(running.claim(name, key, value))
                except Interrupted as stop:
                    found = str(stop).partition(";")[0]
                    raise Interrupted(
                        f"claim {key}: {found}; run the same command again, without --fresh", stop.exit_code
                    ) from None
    return verdicts


def _stored(chosen, folder, report) -> list[Any]:
    """The stored verdicts on the chosen claims, in the sheets' order."""
    found = [verdict for verdict in report.stored(folder) if verdict.claim in chosen.get(verdict.method, ())]
    if not found:
        raise DataError(f"{folder}: holds no verdict on {', '.join(name for name, claims in chosen.items() if claims)}")
    return found


def _chosen(method, claim, smoke, everything) -> dict[str, dict[str, Any]]:
    """The claims to run, by the first word of their sheet, whichever of its words was given."""
    from graphkit.claims import sheets
    from graphkit.core import registry

    if (method is None) != everything:
        raise UsageError("expected one of METHOD and --all; see: graphkit methods")
    if claim is not None and everything:
        raise UsageError("--claim needs METHOD, found --all")
    found = registry.sheets() if everything else [registry.sheet(method)]
    names = [next(iter(sheet.names)) for sheet in found]
    chosen = {name: sheets.select(name, claim, smoke) for name in names}
    if not any(chosen.values()):
        raise UsageError(
            f"{method or '--all'}: has no {'smoke ' if smoke else ''}claims; see: graphkit methods show METHOD"
        )
    return chosen


class _Progress:
    """What the runner reports, on stderr; every run gets a bar of its own where there is a terminal."""

    def __init__(self) -> None:
        self.logger, self.stack = logging.getLogger("graphkit"), contextlib.ExitStack()
        self.training = None

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] == "run":
            self.close()
            self.logger.info("  %s", event["label"])
        elif event["event"] == "waiting":
            self.logger.info("  waiting for another process that runs this: %s", event["path"])
        elif event["event"] == "embedded":
            self.logger.info("  seed %s embedded in %.2f s, evaluating", event["seed"], event["seconds"])
        else:
            if self.training is None:
                self.training = self.stack.enter_context(progress.reporter())
            self.training(event)

    def close(self) -> None:
        self.training = None
        self.stack.close()


def _show(verdicts, report) -> None:
    rows = [
        (
            verdict.claim,
            report.paper_figure(verdict.paper),
            report.measured(verdict),
            verdict.state,
            report.time_taken(verdict),
        )
        for verdict in verdicts
    ]
    click.echo(table(rows, ("claim", "paper", "measured", "verdict", "time")))
    for verdict in verdicts:
        click.echo(f"{verdict.claim}: expected {verdict.expect}")
        if verdict.catches:
            click.echo(f"{verdict.claim}: catches {verdict.catches}")
        if verdict.why and verdict.state == "not held":
            click.echo(f"{verdict.claim}: {verdict.why}")


def _judge(verdicts) -> None:
    failed = [verdict.claim for verdict in verdicts if verdict.state == "not held"]
    if failed:
        raise ClaimError(f"{len(failed)} of {len(verdicts)} claims did not hold: {', '.join(failed)}")
    if all(verdict.state == "skipped" for verdict in verdicts):
        raise DataError(f"no claim could be run: {verdicts[0].reason}")
