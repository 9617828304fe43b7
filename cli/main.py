"""The graphkit command: finds a verb, runs it, turns expected errors into one line and an exit code."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys

import click

from graphkit._version import __version__
from graphkit.core import reading
from graphkit.core.errors import FULL, WRONG_PLACE, DataError, GraphkitError, UsageError, did_you_mean
from graphkit.core.stopping import Stopped, stop_signals

# verb -> (module, what the user gets); a verb's module is imported only when the verb is used
COMMANDS = {
    "embed": ("graphkit.cli.embed", "Vectors for the nodes of a graph."),
    "encode": ("graphkit.cli.encode", "Positional and structural encodings of nodes."),
    "train": ("graphkit.cli.train", "A model trained on a data set, with its result."),
    "predict": ("graphkit.cli.predict", "Labels, scores of pairs, or the most likely missing links, from a run."),
    "count": ("graphkit.cli.count", "Orbits of nodes, edges and pairs in subgraphs of up to four nodes."),
    "cluster": ("graphkit.cli.cluster", "Clusters around given nodes, without reading the whole graph."),
    "analyze": ("graphkit.cli.analyze", "Measures of nodes and sets, and how a run's predictions go with them."),
    "evaluate": ("graphkit.cli.evaluate", "Metrics of embeddings or predictions under a published protocol."),
    "reproduce": ("graphkit.cli.reproduce", "The claims of a paper, run and set beside its figures."),
    "data": ("graphkit.cli.data", "Data sets: list, describe, download, convert, split."),
    "methods": ("graphkit.cli.methods", "The methods: what they do, take and claim."),
    "runs": ("graphkit.cli.runs", "Run folders: list, show, compare."),
    "doctor": ("graphkit.cli.doctor", "What is installed, found and missing on this machine."),
}

# verb of version 0.1 -> what does its work
MOVED = {
    "sample": "graphkit train largegt --prepare-only",
    "augment": "graphkit train lagnn --generator-only",
}

COMMON = ("-q", "-v", "--quiet", "--verbose", "--strict")


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx):
        return list(COMMANDS)

    def get_command(self, ctx, name):
        if name not in COMMANDS:
            return None
        return importlib.import_module(COMMANDS[name][0]).command

    def resolve_command(self, ctx, args):
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            if args[0] in MOVED:
                raise UsageError(f"graphkit {args[0]} is now: {MOVED[args[0]]}")
            raise UsageError(
                f"unknown command {args[0]!r}{did_you_mean(args[0], COMMANDS) or '; see: graphkit --help'}"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx, formatter):
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="graphkit", message="%(prog)s %(version)s")
@click.option("-q", "--quiet", is_flag=True, help="Only errors on stderr.")
@click.option("-v", "--verbose", is_flag=True, help="More on stderr: every evaluation, and tracebacks of failures.")
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse data that would be read otherwise than they stand, instead of a line on stderr.",
)
@click.pass_context
def graphkit(ctx, quiet, verbose, strict):
    """Published graph-learning methods on your graph; each proves that it does what its paper says.

    \b
    Examples:
      graphkit train ncnc --dataset karate --epochs 20
      graphkit embed --method fastrp --edges my.csv -o vectors.tsv
      graphkit reproduce fastrp --smoke
    """
    ctx.obj = {"arguments": sys.argv[1:], **(ctx.obj or {}), "quiet": quiet, "verbose": verbose}
    _configure_log(quiet, verbose)
    ctx.with_resource(reading.ledger(strict=strict))


def _configure_log(quiet: bool, verbose: bool) -> None:
    logger = logging.getLogger("graphkit")
    logger.handlers.clear()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("graphkit: %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)


def _as_given(args: list[str] | None) -> list[str]:
    """The words behind ``graphkit``."""
    return sys.argv[1:] if args is None else list(args)


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with the code of the design: 0, 1, 2, 3, 4, 130 or 143."""
    arguments = _as_given(args)
    # These are common options: they are accepted after the verb too.
    front = [word for word in _before_dashes(arguments) if word in COMMON]
    arguments = front + [word for word in arguments if word not in front]
    code = 1
    try:
        with stop_signals():
            code = (
                graphkit.main(
                    arguments, prog_name="graphkit", standalone_mode=False, obj={"arguments": _as_given(args)}
                )
                or 0
            )
            sys.stdout.flush()
    except GraphkitError as problem:
        _help_for_bare_words(arguments, problem.exit_code)
        code = _fail(str(problem), problem.exit_code)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.Abort:
        code = _fail("interrupted", 130)
    except Stopped as stop:
        code = _fail(f"stopped by {stop}; nothing was saved", 143)
    except click.exceptions.NoArgsIsHelpError as problem:
        # On stderr and with the code of wrong usage: a script that forgot the verb must not take the help for its
        # result.
        click.echo(problem.ctx.get_help(), err=True)
        code = problem.exit_code
    except click.ClickException as problem:
        _help_for_bare_words(arguments, problem.exit_code)
        code = _fail(problem.format_message() + _hint(problem), problem.exit_code)
    except KeyboardInterrupt:
        code = _fail("interrupted", 130)
    except BrokenPipeError:
        code = _reader_went_away()
    except SystemExit as stop:
        # Click meets a broken pipe first, wraps the streams and asks for exit code 1.
        code = _reader_went_away() if isinstance(sys.stdout, click.utils.PacifyFlushWrapper) else stop.code
    except OSError as problem:
        code = _system_error(problem, front)
    except MemoryError as problem:
        code = _fail(f"out of memory{f': {problem}' if str(problem) else ''}", 1)
    except Exception as problem:
        code = _internal(problem, front)
    if args is None:
        gc.freeze()  # the process ends here: to look through torch's objects for garbage once more takes over a second
    sys.exit(code if isinstance(code, int) else 0)


def _internal(problem: Exception, front: list[str]) -> int:
    if "-v" in front or "--verbose" in front:
        raise problem
    return _fail(f"internal error: {type(problem).__name__}: {_one_line(problem)} (run with -v for the traceback)", 1)


def _help_for_bare_words(arguments: list[str], code: int) -> None:
    """Print a command's help where it was called by its words alone and lacks an argument or option; the error follows
    it.
    """
    words = [word for word in arguments if word not in COMMON]
    if code != UsageError.exit_code or not words:
        return
    context = click.Context(graphkit, info_name="graphkit")
    for word in words:
        found = context.command.get_command(context, word) if isinstance(context.command, click.Group) else None
        if found is None:
            return
        context = click.Context(found, info_name=word, parent=context)
    click.echo(context.get_help() + "\n", err=True)


def _system_error(problem: OSError, front: list[str]) -> int:
    """Report what the system says of a file that was to be read; without a file it is an internal error."""

    if problem.errno in FULL:
        return _disk_full(problem)
    if problem.filename is None or problem.errno not in WRONG_PLACE:
        return _internal(problem, front)
    name = os.fsdecode(problem.filename)
    return _fail(f"{name if len(name) <= 200 else name[:200] + '...'}: {problem.strerror}", DataError.exit_code)


def _disk_full(problem: OSError) -> int:
    """Report a full disk in a line; where stdout is what is full, keep Python from complaining at exit."""
    where = problem.filename
    try:
        sys.stdout.flush()
    except OSError:
        where = where or "stdout"
        _reader_went_away()
    return _fail(f"{where or 'output'}: cannot be written: {problem.strerror}", 1)


def _reader_went_away() -> int:
    """Exit code where the reader of our stdout is done (| head): stop quietly, and keep Python from complaining at
    exit.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _before_dashes(arguments: list[str]) -> list[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _hint(problem: click.ClickException) -> str:
    context = getattr(problem, "ctx", None)
    if isinstance(problem, click.NoSuchOption):
        known = [name for p in context.command.params for name in p.opts + p.secondary_opts] if context else []
        return "" if problem.possibilities else did_you_mean(problem.option_name, known)
    return f" (see: {context.command_path} --help)" if context else ""


def _fail(message: str, code: int) -> int:
    click.echo(f"graphkit: error: {_one_line(message)}", err=True)
    return code


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


if __name__ == "__main__":
    main()
