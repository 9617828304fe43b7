"""Verbs over methods, made from a kind: one command for each method, its options from its Config, its text from its
sheet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from graphkit.cli.options import config_options, given
from graphkit.core import registry
from graphkit.core.config import Config
from graphkit.core.errors import UsageError, did_you_mean

# decorator that adds options to a command's function
Options = Callable[[Callable[..., None]], Callable[..., None]]


@dataclass(frozen=True)
class Verb:
    """What a verb does with the methods of a kind.

    kind: of the registry. run: ``run(name, resolve, values)`` does the work of a command with the options' values, of
        which ``own`` are the method's; ``resolve()`` gives its Config.
    options: the options beside the method's own, for a sheet. example: ``example(name)`` is a line to paste.
    more: ``more(name)`` are further options of one method. fits: whether the verb runs a method of the kind.
    """

    kind: str
    run: Callable[[str, Callable[[], Config], dict[str, Any]], None]
    options: Callable[[registry.Sheet], Options]
    example: Callable[[str], str]
    more: Callable[[str], list[click.Parameter]] = field(default=lambda name: [])
    fits: Callable[[registry.Sheet], bool] = field(default=lambda sheet: True)

    def command(self, name: str) -> click.Command:
        """The command of one method: its own options in front, the verb's after."""
        sheet, config = registry.sheet(name), registry.config_class(name)

        def run(**values: Any) -> None:
            own = given(config, values)
            self.run(name, lambda: resolved(name, own, values), {**values, "own": own})

        run = self.options(sheet)(run)
        parts = [sheet.summary, citation(sheet), f"\b\nExample:\n  {self.example(name)}"]
        text = "\n\n".join(filter(None, parts))
        made = click.command(name=name, help=text, short_help=sheet.summary)(run)
        fixed = set(sheet.names[name] or {}) if self.kind != "learner" else set()
        own = [option for option in config_options(config) if option.name not in fixed]
        made.params = [*own, *self.more(name), *made.params]
        return made


def resolved(name: str, own: Mapping[str, Any], values: Mapping[str, Any]) -> Config:
    """The Config of a command: options, ``--config``, preset, defaults."""
    preset = values.get("preset", "paper")
    return registry.resolve_config(
        name, values.get("dataset"), own, values.get("config_file"), None if preset == "none" else preset
    )


def citation(sheet: registry.Sheet) -> str:
    """The paper in a line; empty if there is none."""
    if not sheet.paper:
        return ""
    paper = {"venue": "", "year": "", "url": "", **sheet.paper}
    return f"{paper['title']}, {paper['venue']} {paper['year']}. {paper['url']}".strip()


class MethodGroup(click.Group):
    """A verb whose words are the methods of a kind, made when they are asked for, and words of its own."""

    def __init__(self, *args: Any, verb: Verb, **words: Any):
        super().__init__(*args, **words)
        self.verb = verb

    def methods(self) -> list[str]:
        """The names that the verb runs; a word of the verb's own is none of them."""
        names = registry.names(self.verb.kind)
        return [name for name in names if name not in self.commands and self.verb.fits(registry.sheet(name))]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Words of its own, then methods."""
        return [*self.commands, *self.methods()]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of a word; None for an unknown one."""
        if name in self.commands:
            return self.commands[name]
        return self.verb.command(name) if name in self.methods() else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or raise :class:`UsageError` with the word that was perhaps meant."""
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            shown = (
                f"; expected {', '.join(known)}"
                if len(known) < 8
                else f"; see: graphkit methods --kind {self.verb.kind}"
            )
            raise UsageError(f"unknown {self.verb.kind} {args[0]!r}{did_you_mean(args[0], known) or shown}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The words of its own with their help, the methods with their summaries."""
        if self.commands:
            with formatter.section("Commands"):
                formatter.write_dl([(name, one.get_short_help_str(limit=200)) for name, one in self.commands.items()])
        if methods := self.methods():
            with formatter.section("Methods"):
                formatter.write_dl([(name, registry.sheet(name).summary) for name in methods])


class MethodOptionCommand(click.Command):
    """A command whose method is named by ``--method``, and whose options are the common ones and that method's.

    Without ``--method`` the options of ``default`` stand, if it has one.
    """

    kind: str = "embedder"
    default: str | None = None
    hide_fixed = False  # whether options that the name fixes are left out
    key = "graphkit.method"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Find the method first: its options are not known before."""
        name = method_word(args) or self.default
        if name is not None:
            known = registry.names(self.kind)
            if name not in known:
                hint = did_you_mean(name, known) or "; expected " + ", ".join(known)
                raise UsageError(f"unknown {self.kind} {name!r}{hint}")
            ctx.meta[self.key] = name
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The method's options, then the common ones."""
        if self.key not in ctx.meta:
            return super().get_params(ctx)
        name = ctx.meta[self.key]
        fixed = set(registry.sheet(name).names[name] or {}) if self.hide_fixed else set()
        own = [option for option in config_options(registry.config_class(name)) if option.name not in fixed]
        return [*own, *super().get_params(ctx)]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's text and the chosen method's, or the list of methods."""
        super().format_help_text(ctx, formatter)
        if self.key not in ctx.meta:
            names = registry.names(self.kind)
            with formatter.section(f"Methods ({ctx.command_path} --method NAME --help shows a method's options)"):
                formatter.write_dl([(name, registry.sheet(name).summary) for name in names])
            return
        sheet = registry.sheet(ctx.meta[self.key])
        presets = [f"{name} ({', '.join(values)})" for name, values in sheet.presets.items()]
        rows = [("method", sheet.summary), ("presets", ", ".join(presets) or "none")]
        if sheet.paper:
            rows.insert(1, ("paper", citation(sheet)))
        with formatter.section(ctx.meta[self.key]):
            formatter.write_dl(rows)


def method_word(args: list[str]) -> str | None:
    """The word after ``--method``, before Click knows which options there are."""
    found = None
    for place, word in enumerate(args):
        if word == "--":
            break
        if word == "--method" and place + 1 < len(args):
            found = args[place + 1]
        elif word.startswith("--method="):
            found = word.partition("=")[2]
    return found
