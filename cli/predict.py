"""graphkit predict RUN: labels of nodes or graphs, scores of pairs or events, or likely missing links, from a trained
model.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from pathlib import Path
from typing import Any

import click

from graphkit.cli.options import echo_json, graph_options, machine_options, output_options, prepare_machine, read_flags
from graphkit.cli.predict_graph import load_like
from graphkit.core.errors import DataError, UsageError
from graphkit.io import endings

EXPLAINED = ("source", "target", "node", "kind", "p")


@click.command()
@click.argument("run", metavar="RUN")
@graph_options
@click.option("--pairs", metavar="FILE|-", help="Links: score these pairs, two node ids per line, as in your graph.")
@click.option("--top-k", type=click.IntRange(min=1), metavar="K", help="Links: propose the K most likely missing ones.")
@click.option(
    "--node",
    metavar="ID",
    multiple=True,
    help="With --top-k: of this node (all nodes are candidates), not of the graph; repeat it for more.",
)
@click.option("--nodes", metavar="FILE|-", help="With --top-k: of each of these nodes, ids one a line; - reads stdin.")
@click.option(
    "--events", metavar="FILE|-", help="Events: score these as they come, lines of source, target, time [and features]."
)
@click.option(
    "--after",
    type=click.Choice(["valid", "test"]),
    help="With --events: they follow this part of the data.  [default: test]",
)
@click.option(
    "--new-nodes", is_flag=True, help="With --events: take nodes in that the run does not know, without a past."
)
@click.option(
    "--explain",
    metavar="FILE|-",
    help="Also write which neighbours each score pools, with their probability: a table, as -o.",
)
@click.option(
    "--vectors",
    metavar="FILE",
    help="Labels: also write the vectors that the last layer reads: .npy .npz .tsv .csv .parquet.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Model of this seed.  [default: best on validation]")
@click.option(
    "-o",
    "output",
    metavar="FILE|-",
    default="-",
    show_default=True,
    help=f"Predictions: {endings.SHOWN}; - is tsv on stdout.",
)
@machine_options
@output_options
def command(
    run, pairs, top_k, node, nodes, events, after, new_nodes, explain, vectors, seed, output, as_json, **values
):
    """Label nodes or graphs, score pairs of nodes, or propose missing links, with the model of a run folder.

    A run of labels predicts for every node, or graph, of the data it was trained on, or of --dataset or --graph with
    the same
    features: the probability of each class, or the value. A run of links takes --pairs or --top-k; links that the data
    hold, held-out ones too, are not proposed, and candidates for the whole graph are the pairs at distance two. A run
    of events takes --events, in order of time: each is scored with all that came before it, and its line is written at
    once. Ids come back as you gave them.

    \b
    Examples:
      graphkit predict runs/gcn-cora -o labels.tsv --vectors hidden.npy
      graphkit predict runs/gin-mine --graph other.csv --features other-features.csv
      graphkit predict runs/ncnc-my --pairs pairs.tsv -o scores.tsv
      graphkit predict runs/ncnc-my --top-k 5 --node alice --node bob --json
      tail -f messages.tsv | graphkit predict runs/nat-messages --events -
    """

    if as_json and output != "-":
        raise UsageError(f"--json prints to stdout, but -o is {output!r}; leave one of them out")
    if explain is not None and explain == output:
        target = "stdout" if output == "-" else output
        raise UsageError(
            f"--explain {explain} and {'--json' if as_json else f'-o {output}'}: two tables for {target}; name another"
            " file"
        )
    for option, path in (("-o", output), ("--explain", explain)):
        if path is not None:
            endings.format_of(path, option)
    from graphkit.core import registry
    from graphkit.runs.execution import load_run

    found = load_run(run)
    found.require_model()
    other = values["dataset"] is not None or values["edges"] is not None
    links = {
        "--pairs": pairs,
        "--top-k": top_k,
        "--node": node or None,
        "--nodes": nodes,
        "--explain": explain,
        "--id-column": values["id_column"] if nodes is not None else None,
    }
    task = registry.sheet(found.settings["method"]).task
    if (task == "events") != (events is not None):
        method = found.settings["method"]
        raise UsageError(
            f"{run}: a run of {method}: " + ("needs --events" if task == "events" else "takes no --events")
        )
    if events is None and (after is not None or new_nodes):
        raise UsageError(f"{'--new-nodes' if after is None else '--after'} needs --events")
    if task == "link":
        if other:
            raise UsageError("--dataset and --graph are for runs of labels; this run scores links of its own graph")
        _check_links(links)
    elif given := [name for name, value in links.items() if value is not None]:
        raise UsageError(
            f"{given[0]} is for runs of links; {run} is one of {found.settings['method']}, which predicts labels"
        )
    if vectors is not None:
        _check_vectors(run, task, vectors, output)
    if not other and (flags := [flag for flag in read_flags(values) if flag != "--id-column" or nodes is None]):
        raise UsageError(
            f"{', '.join(flags)}: says how to read a graph, but none is given; a run reads its own as it was trained"
        )
    device = prepare_machine(values)
    if task == "events":
        _stream(found.restore(seed, device=device), events, after or "test", new_nodes, output, as_json)
        return
    why, kept = None, None
    if task == "link":
        header, rows, why = _links(run, found.restore(seed, device=device), links)
    else:
        learner = found.restore(seed, device=device)[0]
        dataset = load_like(found, learner.dataset, values) if other else None
        (header, rows), kept = _labels(run, learner, dataset, vectors)
    _write(([] if why is None else [(explain, EXPLAINED, why)]) + ([] if as_json else [(output, header, rows)]), kept)
    if as_json:
        echo_json([dict(zip(header, row)) for row in rows])


def _stream(restored, events: str, after: str, new_nodes: bool, output: str, as_json: bool) -> None:
    from graphkit.io import tables
    from graphkit.runs import predict_events

    learner, dataset = restored
    rows, header = predict_events.score_events(learner, dataset, events, after, new_nodes), predict_events.HEADER
    if as_json:
        echo_json([dict(zip(header, row)) for row in rows])
    elif output != "-":
        _write([(output, header, list(rows))])
    else:
        for row in itertools.chain([header], rows):
            sys.stdout.write(tables.line(row))
            sys.stdout.flush()  # whoever reads the other end follows the events live


def _check_links(links: dict[str, Any]) -> None:
    if (links["--pairs"] is None) == (links["--top-k"] is None):
        found = "neither" if links["--pairs"] is None else "both"
        raise UsageError(f"--pairs and --top-k: found {found}, expected one of them")
    for option in ("--node", "--nodes"):
        if links[option] is not None and links["--top-k"] is None:
            raise UsageError(f"{option} needs --top-k")


def _check_vectors(run: str, task: str, path: str, output: str) -> None:
    from graphkit.io import embeddings

    if task in ("link", "events"):
        raise UsageError(f"--vectors is for runs of labels; {run} is one of {'links' if task == 'link' else 'events'}")
    if path == "-":
        raise UsageError("--vectors -: stdout is for the labels; name a file")
    embeddings.format_of(path, "--vectors")
    if output != "-" and Path(output).resolve() in (Path(path).resolve(), embeddings.ids_path(path).resolve()):
        raise UsageError(f"--vectors {path} and -o {output}: two tables for one file; name another one")


def _labels(run: str, learner, dataset, path: str | None):
    """((header, rows), (path, vectors, ids or None) or None where no vectors are asked for)."""
    from graphkit.runs import prediction as predict
    from graphkit.training.supervised import SupervisedLearner

    if not isinstance(learner, SupervisedLearner):
        raise UsageError(
            f"{run}: a run of {type(learner).__name__}, which labels nothing; expected a run of links or labels"
        )
    of = learner.dataset if dataset is None else dataset
    try:
        if path is None:
            return predict.label_table(learner, dataset), None
        with predict.VectorRecorder(learner) as recorder:
            table = predict.label_table(learner, dataset)
    except DataError as problem:
        raise DataError(f"{of.name}: {problem}") from None
    return table, (path, recorder.vectors(), None if learner.dataset.task == "graph" else of.node_ids)


def _links(run: str, restored, options) -> tuple[tuple[str, ...], list[tuple], list[tuple] | None]:
    """Header and rows of the scores, and the rows that explain them where they are asked for."""
    import numpy as np
    import torch

    from graphkit.runs import prediction as predict
    from graphkit.training.learner import LinkLearner

    learner, dataset = restored
    if not isinstance(learner, LinkLearner):
        raise UsageError(f"{run}: a run of a method that scores no links; expected a link method such as ncnc")
    if options["--pairs"] is not None:
        chosen = predict.read_pairs(options["--pairs"], dataset)
        scores = learner.score_pairs(torch.from_numpy(chosen)).numpy()
    else:
        found = [predict.top_links(learner, dataset, options["--top-k"], at) for at in _asked(options, dataset)]
        chosen, scores = (np.concatenate(parts) for parts in zip(*found))
    why = None if options["--explain"] is None else list(predict.explain(learner, dataset, chosen))
    ids = dataset.ids()
    rows = [(ids[a], ids[b], float(score)) for (a, b), score in zip(chosen.tolist(), scores.tolist())]
    return ("source", "target", "score"), rows, why


def _asked(options: dict[str, Any], dataset) -> list[int | None]:
    """Numbers of the nodes that --node and --nodes name, each once; [None] for the whole graph where there are none."""
    from graphkit.datasets.readers.id_lists import nodes_of, read_ids

    if options["--node"] is None and options["--nodes"] is None:
        return [None]
    found = nodes_of(options["--node"] or (), dataset, "--node").tolist()
    if options["--nodes"] is not None:
        found += read_ids(options["--nodes"], dataset, "--nodes", options["--id-column"]).tolist()
        if not found:
            raise DataError(f"--nodes {options['--nodes']}: found no ids, expected one a line")
    return list(dict.fromkeys(found))


def _write(found: list[tuple[str, tuple[str, ...], list[tuple[Any, ...]]]], vectors: tuple | None = None) -> None:
    """Write (path, header, rows) each, "-" for stdout, and (path, vectors, ids): the files first, all of them or
    none.
    """
    from graphkit.io import embeddings, tables
    from graphkit.io.files import atomic_path

    columns = [(path, tables.of_rows(header, rows)) for path, header, rows in found]
    with contextlib.ExitStack() as stack:
        files = [(stack.enter_context(atomic_path(path)), path, table) for path, table in columns if path != "-"]
        for temporary, path, table in files:
            with tables.opened(temporary, endings.ending_of(path).endswith(".gz")) as stream:
                tables.write_to(stream, endings.format_of(path), table)
        if vectors is not None:
            embeddings.write(*vectors)
    for path, table in columns:
        if path == "-":
            tables.write(path, table)
