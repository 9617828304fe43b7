"""graphkit train METHOD: a model trained on a data set, with its result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from graphkit.cli import progress
from graphkit.cli.kinds import MethodGroup, Options, Verb
from graphkit.cli.options import (
    READ_FIELDS,
    command_line,
    compose,
    data_options,
    echo_json,
    label_kind_option,
    load_dataset,
    machine_options,
    mean_std,
    output_options,
    prepare_machine,
    table,
)
from graphkit.cli.train_artifact import artifact_options, make_artifact, take_artifact
from graphkit.core import registry
from graphkit.core.config import Config
from graphkit.core.errors import UsageError

ALWAYS_ONE = "* 1 whatever the scores, by OGB's rule: fewer than k negatives"


def _options(sheet: registry.Sheet) -> Options:
    """The options of every training."""
    return compose(
        data_options,
        label_kind_option,
        click.option(
            "--split",
            metavar="NAME",
            help="Split protocol, e.g. public, random-0.7/0.1/0.2.  [default: the data set's]",
        ),
        click.option(
            "--preset", default="paper", show_default=True, help=f"Published options: {_presets(sheet)}; or none."
        ),
        click.option(
            "--config", "config_file", metavar="FILE", help="YAML file of options; the command line wins over it."
        ),
        click.option("--seed", type=click.IntRange(min=0), help="One run with this seed.  [default: 0]"),
        click.option("--seeds", type=click.IntRange(min=1), help="Run seeds 0..N-1 and report mean and spread."),
        click.option(
            "--folds",
            is_flag=True,
            help="One run for each fold of the data set; TU sets: GIN's folds and rule, or --split 10fold.",
        ),
        click.option("--out", metavar="DIR", help="Run folder.  [default: runs/METHOD-DATASET]"),
        click.option("--resume", is_flag=True, help="Continue the run in --out, or return its result if it is done."),
        click.option("--save-predictions", is_flag=True, help="Keep the test scores in predictions.npz."),
        click.option("--leaderboard", is_flag=True, help="Print the row that OGB's leaderboards ask for."),
        machine_options,
        output_options,
    )


def _presets(sheet) -> str:
    shown = [f"{name} ({', '.join(values)})" for name, values in sheet.presets.items()]
    return ", ".join(shown) or "this method has none"


def _example(name: str) -> str:
    sheet = registry.sheet(name)
    examples = {"link": "karate", "node": "digits", "graph": "mutag", "labels": "digits"}
    options = "wikipedia" if sheet.task == "events" else f"{examples.get(sheet.task or '', 'karate')} --epochs 20"
    return f"graphkit train {name} --dataset {options}"


def _train(name: str, resolve: Callable[[], Config], values: dict[str, Any]) -> None:
    from graphkit.runs import execution as runs
    from graphkit.runs.folder import check_free

    overrides = values.pop("own")
    artifact_asked, artifact_own = take_artifact(name, values)
    several = [f"--{key}" for key in ("seed", "seeds", "folds") if values[key] not in (None, False)]
    if len(several) > 1:
        raise UsageError(f"{' and '.join(several)} exclude each other: expected one of them")
    seeds = list(range(values["seeds"])) if values["seeds"] else [values["seed"] or 0]
    data = {"name": _lasting(values["dataset"] or values["edges"])}
    data.update({key: list(value) if isinstance(value := values[key], tuple) else value for key in READ_FIELDS})
    data.update({key: _lasting(values[key]) for key in ("features", "labels", "splits")})
    preset = None if values["preset"] == "none" else values["preset"]
    # Options are checked before the data are read: a typo must not cost minutes.
    config = resolve()
    if not values["resume"]:  # a run of before may hold an idle option
        config.refuse_idle(overrides)
    if artifact_asked:
        make_artifact(name, config, artifact_own, values)
        return
    if values["out"] and not values["resume"]:
        check_free(values["out"])
    device = prepare_machine(values)
    split = values["split"] or ("folds" if values["folds"] else None)
    dataset = load_dataset(values, task=registry.sheet(name).task, split=split, seed=seeds[0])
    if not values["resume"]:
        config.refuse_idle(overrides, _kind_of_data(dataset))
    if values["folds"]:
        seeds = _folds(dataset, values["save_predictions"])
    out = values["out"] or _default_folder(name, dataset.name, values["resume"])
    with progress.reporter() as report:
        result = runs.execute(
            name,
            dataset,
            config,
            seeds=seeds,
            device=device,
            out=out,
            resume=values["resume"],
            report=report,
            description={"data": data, "preset": preset},
            save_predictions=values["save_predictions"],
            command=command_line(),
        )
    _show(result, out, values)


def _kind_of_data(dataset) -> str | None:
    """What :meth:`graphkit.core.config.Config.idle` calls the data."""
    if dataset.task == "graph":
        return "graphs"
    if dataset.task != "node":
        return None
    return "parts" if dataset.graphs is not None or "_graph" in dataset.graph.ndata else "graph"


def _folds(dataset, save_predictions: bool) -> list[int]:
    """Numbers of the data set's folds; raises :class:`UsageError` where its split is no family of folds."""
    from graphkit.evaluation import folds

    if not dataset.folds:
        raise UsageError(
            f"--folds: the split {dataset.split_name!r} of {dataset.name} is not one of several; expected one such as"
            " 10fold"
        )
    if save_predictions and folds.by_mean_curve(dataset):
        raise UsageError(
            "--save-predictions and --folds exclude each other here: the epoch is chosen once all folds are trained"
        )
    return list(range(dataset.folds))


def _lasting(path: str | None) -> str | None:
    """Make the path of an existing file absolute, so that the run can be used from another folder."""
    return str(Path(path).resolve()) if path and path != "-" and Path(path).exists() else path


def _default_folder(name: str, dataset: str, resume: bool) -> Path:
    stem = "".join(c if c.isalnum() or c in "-._" else "-" for c in f"{name}-{Path(dataset).name}")
    base = folder = Path("runs") / stem
    number = 1
    while folder.exists():
        following = base.with_name(f"{base.name}-{number + 1}")
        if resume and not following.exists():
            break  # the newest one is what --resume means without --out
        folder, number = following, number + 1
    return folder


def _show(result: dict[str, Any], out: Path, values: dict[str, Any]) -> None:
    from graphkit.evaluation.leaderboard import row

    if values["as_json"]:
        echo_json({**result, "leaderboard": dict(row(result))} if values["leaderboard"] else result)
        return
    if values["leaderboard"]:
        click.echo(table(row(result), ("field", "value")))
        return
    click.echo(result_table(result))
    if not (click.get_current_context().find_root().obj or {}).get("quiet"):
        click.echo(f"run folder: {out}", err=True)


def result_table(result: dict[str, Any]) -> str:
    """Lay out a result for people: a row per metric, the official one first."""
    names = sorted(result["metrics"], key=lambda name: (name != result["metric"], name))
    rows = [
        (
            name,
            *(_figure(result, name, part) for part in ("valid", "test")),
            result["best_epochs"][0] if name == result["metric"] and len(result["seeds"]) == 1 else None,
        )
        for name in names
    ]
    count = f"{len(result['seeds'])} {'folds' if result.get('folds') else 'seed(s)'}"
    head = f"{result['method']} on {result['dataset']} ({result['split']}), {count}"
    if result.get("selection"):
        head += f"\nprotocol {result['protocol']}: {result['selection']}; epoch {result['best_epochs'][0]}"
    tail = f"{result['parameters']:,} parameters, {result['seconds']:.1f} s, peak {result['peak_rss_mb']:.0f} MB"
    more = [ALWAYS_ONE] if result.get("always_one") else []
    more += [f"{name}: {value:.4g}" for name, value in result.get("report", {}).items()]
    return "\n".join([head, table(rows, ("metric", "valid", "test", "epoch")), *more, tail])


def _figure(result: dict[str, Any], metric: str, part: str) -> str:
    """A metric's mean and spread, marked where it could be nothing else than 1."""
    return mean_std(result["metrics"][metric][part]) + (
        " *" if part in result.get("always_one", {}).get(metric, ()) else ""
    )


@click.group(cls=MethodGroup, verb=Verb("learner", _train, _options, _example, artifact_options))
def command():
    """Train a model on a data set and report validation and test metrics.

    \b
    Examples:
      graphkit train ncn --dataset cora --seeds 3
      graphkit train gin --dataset mutag --folds
      graphkit train gcn-link --edges my.csv --columns from,to --epochs 50 --out runs/mine
      graphkit train cn --dataset ogbl-ddi --json
    """
