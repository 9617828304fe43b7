"""Verdicts as rows, and the page of all stored ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from graphkit.claims import expressions, sheets
from graphkit.claims.runner import Verdict, outcome
from graphkit.core import registry
from graphkit.core.errors import DataError
from graphkit.io.files import read_json

COMMAND = "graphkit reproduce --all --stored --results docs/claims --write-docs docs/claims.md"


def measured(verdict: Verdict) -> str:
    """Every figure that the expectation asks for, mean ± std, and those of trainings that stand beside; where there is
    none, why.
    """
    if verdict.state == "skipped":
        return verdict.reason
    asked = expressions.references(verdict.expect, verdict.runs)
    figures = dict.fromkeys(_figure(key, name, verdict.runs[key]) for key, name in asked)
    figures.update(
        dict.fromkeys(_interval(pairs, verdict) for _, pairs in expressions.intervals(verdict.expect, verdict.runs))
    )
    used = {key for key, _ in asked}
    beside = [_figure(key, "test", run) for key, run in verdict.runs.items() if key not in used and "metric" in run]
    return "; ".join([*figures, *(["beside: " + ", ".join(beside)] if beside else [])])


def _figure(key: str, name: str, run: Mapping[str, Any]) -> str:
    if name == "seconds":
        return f"{key} {outcome(run).seconds:.2f} s"
    if name == "parameters":
        return f"{key} {run['parameters']:,} parameters"
    part = "valid" if name == "valid" else "test"
    metric = run["metric"] if name in ("test", "valid", "values") else name
    return f"{key} {metric}{' (valid)' if part == 'valid' else ''} {spread(run['metrics'][metric][part])}"


def _interval(pairs, verdict: Verdict) -> str:
    """An interval in words, such as ``ncnc - ncn 0.0165 (95 % 0.0003 to 0.0327, 5 values)``."""
    found = expressions.compare(pairs, {key: outcome(run) for key, run in verdict.runs.items()})
    keys, names = [key for key, _ in pairs], [name for _, name in pairs]
    official = all(name in ("test", "values") for name in names)
    shown = " - ".join(keys if official else [f"{key} {name}" for key, name in pairs])
    return f"{shown} {found.mean:.4f} (95 % {found.low:.4f} to {found.high:.4f}, {found.count} values)"


def spread(values: Mapping[str, Any]) -> str:
    """Mean ± unbiased std of a stored metric; small figures, such as rounding errors, keep their digits, and counts
    have no decimals.
    """
    mean = values["mean"]
    if values["std"] is None and mean == round(mean) and abs(mean) >= 2:
        return f"{mean:,.0f}"
    shown = f"{mean:.4f}" if mean == 0 or abs(mean) >= 1e-3 else f"{mean:.2e}"
    return shown + ("" if values["std"] is None else f" ± {values['std']:.4f}")


def paper_figure(paper: Mapping[str, Any]) -> str:
    """The paper's figures on one line; ``{from: why}`` stands where there are none."""
    if set(paper) == {"from"}:
        return str(paper["from"])
    return ", ".join(f"{key} {value}" for key, value in paper.items()) or "-"


def time_taken(verdict: Verdict) -> str:
    """Seconds of the claim's runs, and whether they are more than its budget."""
    if verdict.state == "skipped":
        return "-"
    over = f" (budget {verdict.budget:.0f} s)" if verdict.over_budget else ""
    return f"{verdict.seconds:.1f} s{over}"


def stored(folder: Path) -> list[Verdict]:
    """Read back the verdicts of a results folder on the claims that the sheets hold today, in the sheets' order."""
    found = []
    for sheet in registry.sheets():
        name = next(iter(sheet.names))
        for key, claim in sheet.claims.items():
            path = folder / f"{name}.{key}.json"
            if not path.exists():
                continue
            try:
                verdict = Verdict(**read_json(path))
            except TypeError:
                raise DataError(f"{path}: not a stored verdict; delete it and run the claim again") from None
            # A verdict on other words or runs than the sheet's says nothing about the sheet.
            same_runs = not verdict.setup or verdict.setup == sheets.plain(claim["runs"])
            if same_runs and verdict.expect == " ".join(claim["expect"].split()):
                found.append(dataclasses.replace(verdict, **sheets.words(claim)))
    return found


def unmeasured(verdicts: Iterable[Verdict]) -> list[str]:
    """The claims of all sheets, as ``method.claim``, on which there is no verdict."""
    known = {(verdict.method, verdict.claim) for verdict in verdicts}
    words = ((next(iter(sheet.names)), sheet.claims) for sheet in registry.sheets())
    return [f"{name}.{key}" for name, claims in words for key in claims if (name, key) not in known]


def page(verdicts: Iterable[Verdict]) -> str:
    """Return docs/claims.md: every claim with the paper's figure, what was measured, and the verdict."""
    verdicts = list(verdicts)
    count = {state: sum(verdict.state == state for verdict in verdicts) for state in ("held", "not held", "skipped")}
    lines = [
        "# Claims",
        "",
        f"Generated by `{COMMAND}` from the verdicts in `docs/claims`, where",
        "`graphkit reproduce METHOD --results docs/claims` puts them.",
        (
            "The papers' figures stand as they print them (mostly per cent); measured ones are fractions, mean ±"
            " unbiased standard deviation"
        ),
        (
            "over seeds or shuffles. Two methods are compared pair by pair over the same splits and seeds, with the 95"
            " % interval of the mean"
        ),
        "difference by Student's t. *Catches* names the faults that would turn a verdict.",
        "",
        f"{len(verdicts)} claims: {', '.join(f'{number} {state}' for state, number in count.items() if number)}.",
    ]
    if open_claims := unmeasured(verdicts):
        lines += ["", f"Without a stored result: {', '.join(open_claims)}."]
    lines += _not_held(verdicts)
    method = None
    for verdict in verdicts:
        if verdict.method != method:
            method = verdict.method
            title = registry.sheet(method).paper.get("title", "")
            head = "| claim | paper | measured | expected | verdict | time | date |"
            lines += ["", f"## {method}", "", title, "", head, "|---|---|---|---|---|---|---|"]
        cells = (
            f"**{verdict.claim}**: {verdict.says}{_catches(verdict)}",
            paper_figure(verdict.paper),
            measured(verdict),
            f"`{verdict.expect}`",
            verdict.state,
            time_taken(verdict),
            verdict.finished,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    for machine, versions in dict.fromkeys(
        (v.machine, tuple(v.versions.items())) for v in verdicts if v.state != "skipped"
    ):
        names = ", ".join(f"{name} {version}" for name, version in versions)
        lines += ["", f"Measured on {machine or 'an unnamed machine'}, with {names}."]
    return "\n".join(lines) + "\n"


def _not_held(verdicts: list[Verdict]) -> list[str]:
    """What does not hold, with what was measured and the reason that the sheet gives."""
    failed = [verdict for verdict in verdicts if verdict.state == "not held"]
    if not failed:
        return ["", "## What does not hold", "", "Every claim with a stored result holds."]
    lines = ["", "## What does not hold, and why", ""]
    for verdict in failed:
        why = verdict.why or "The sheet gives no reason."
        name = f"**{verdict.method}.{verdict.claim}**"
        lines.append(f"- {name}: {verdict.says}. Measured: {measured(verdict)}; expected `{verdict.expect}`. {why}")
    return lines


def _catches(verdict: Verdict) -> str:
    return f" *Catches: {verdict.catches}.*" if verdict.catches else ""
