"""graphkit predict RUN: scores of pairs, or the most likely missing links, from a trained model."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import click

from graphkit.cli.options import echo_json, machine_options, output_options, prepare_machine
from graphkit.errors import DataError, UsageError


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--pairs", metavar="FILE|-", help="Score these pairs: two node ids per line, as in your graph.")
@click.option("--top-k", type=click.IntRange(min=1), metavar="K", help="Propose the K most likely missing links.")
@click.option("--node", metavar="ID", help="With --top-k: of this node (all nodes are candidates), not of the graph.")
@click.option("--explain", metavar="FILE|-", help="Also write which neighbours each score pools, with their probability.")
@click.option("--seed", type=click.IntRange(min=0), help="Model of this seed.  [default: best on validation]")
@click.option("-o", "output", metavar="FILE|-", default="-", show_default=True, help="Where the scores go, as tsv.")
@machine_options
@output_options
def command(run, pairs, top_k, node, explain, seed, output, as_json, **machine):
    """Score pairs of nodes, or propose missing links, with the model of a run folder.

    Links that the data hold, held-out ones too, are not proposed. Candidates for the whole graph are the pairs at distance two.
    Scores are seen from the training graph; a higher score is a likelier link. Ids come back as you gave them.

    \b
    Examples:
      graphkit predict runs/ncnc-my --pairs pairs.tsv -o scores.tsv
      graphkit predict runs/ncnc-my --top-k 20
      graphkit predict runs/ncnc-my --top-k 5 --node alice --json
    """
    if (pairs is None) == (top_k is None):
        found = "neither" if pairs is None else "both"
        raise UsageError(f"--pairs and --top-k: found {found}, expected one of them")
    if node is not None and top_k is None:
        raise UsageError("--node needs --top-k")
    device = prepare_machine(machine)
    from graphkit import predict
    from graphkit.lazy import torch
    from graphkit.methods.base import LinkLearner
    from graphkit.runs import load_run

    learner, dataset = load_run(run).restore(seed, device=device)
    if not isinstance(learner, LinkLearner):
        raise UsageError(f"{run}: a run of a method that scores no links; expected a link method such as ncnc")
    if pairs is not None:
        chosen = predict.read_pairs(pairs, dataset)
        scores = learner.score_pairs(torch.from_numpy(chosen)).numpy()
    else:
        at = None if node is None else predict.node_number(node, dataset)
        chosen, scores = predict.top_links(learner, dataset, top_k, at)
    ids = dataset.ids()
    rows = [(ids[a], ids[b], float(score)) for (a, b), score in zip(chosen.tolist(), scores.tolist())]
    if explain is not None:
        _write(explain, ("source", "target", "node", "kind", "p"), predict.explain(learner, dataset, chosen))
    _show(rows, output, as_json)


def _show(rows: list[tuple], output: str, as_json: bool) -> None:
    if not as_json:
        _write(output, ("source", "target", "score"), rows)
    elif output == "-":
        echo_json([dict(zip(("source", "target", "score"), row)) for row in rows])
    else:
        raise UsageError(f"--json prints to stdout, but -o is {output!r}; leave one of them out")


def _write(path: str, header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    with _sink(path) as stream:
        stream.write("\t".join(header) + "\n")
        for row in rows:
            stream.write("\t".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in row) + "\n")


def _sink(path: str):
    if path == "-":
        return contextlib.nullcontext(sys.stdout)
    try:
        return open(path, "w", encoding="utf-8")
    except OSError as problem:
        raise DataError(f"-o {path}: {problem.strerror or problem}") from None
