"""Options of graphkit cluster: seeds, the cluster looked for, noisy labels, and what they mean together."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from graphkit.cli.options import compose, config_options, given, load_dataset, take_argument
from graphkit.core import registry
from graphkit.core.errors import DataError, UsageError, did_you_mean
from graphkit.io import endings

if TYPE_CHECKING:
    import numpy

    from graphkit.datasets.local_graph import LocalGraph

FORMATS = {".txt": "ids", **endings.FORMATS}
SOURCES = ("noisy", "positives", "samples", "accuracy")
FIXED = ("diffusion", "weighted")  # by the method's word

data_argument = click.argument("data", metavar="[DATASET]", required=False)

target_options = compose(
    click.option("--target", metavar="COLUMN=VALUE", help="The cluster looked for, by node data: label=3, year=2009."),
    click.option("--target-file", metavar="FILE", help="The cluster looked for, as ids, one a line."),
)

label_options = compose(
    click.option("--noisy", metavar="FILE|-", help="Noisy labels: the ids labelled 1; all others are 0."),
    click.option(
        "--positives", metavar="FILE", help="Noisy labels by logistic regression on the features of these ids, and"
    ),
    click.option("--negatives", metavar="FILE", help="of these, which are known to be outside."),
    click.option(
        "--samples",
        type=click.IntRange(min=1),
        metavar="N",
        help="The same with N random nodes in- and N outside the target.",
    ),
    click.option(
        "--accuracy", metavar="A1,A0", help="Random labels, right for these shares in- and outside the target."
    ),
)

cluster_options = compose(
    click.option(
        "--method", default="flow", show_default=True, metavar="NAME", help="See: graphkit methods --kind clusterer."
    ),
    click.option("--seeds", metavar="ID,..", help="Nodes of the cluster, by id."),
    click.option("--seed-file", metavar="FILE|-", help="The same, one id a line; - reads stdin."),
)


def method_options(function):
    """The options of the diffusions that a name does not fix, for commands with several methods."""
    options = [option for option in config_options(registry.config_class("flow")) if option.name not in FIXED]
    for option in reversed(options):
        function.__click_params__ = [*getattr(function, "__click_params__", []), option]
    return function


@dataclass
class Question:
    """What was asked: the graph, the method with its options, seeds, the true set where it is known, and the source of
    labels.
    """

    dataset: Any
    graph: Any
    method: str
    algorithm: Any
    config: Any
    given: dict[str, Any]
    seeds: numpy.ndarray | None
    truth: numpy.ndarray | None
    target: str | None
    source: tuple[str, Any] | None
    seed: int
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("graphkit"))

    def ids_of(self, nodes):
        """(k,) ids of nodes."""
        import numpy as np

        return self.dataset.ids_of(np.asarray(nodes, dtype=np.int64))

    @property
    def volume(self) -> float | None:
        """Of the target, in what the method counts its mass in."""
        return None if self.truth is None else self.algorithm.size_of(self.graph, self.truth)

    def truths(self) -> list[tuple[str, numpy.ndarray]]:
        """(name, (n,) bool) of the target, or of every class."""
        import numpy as np

        from graphkit.datasets.readers.label_checks import require_classes

        if self.truth is not None:
            return [(self.target, self.truth)]
        labels = self.dataset.labels
        if labels is None or self.dataset.label_kind != "classes":
            raise UsageError(f"--target: {self.dataset.name} has no classes to go through, expected a target")
        require_classes(self.dataset, own=False)
        labels = labels.numpy()
        return [(f"label={number}", labels == number) for number in np.unique(labels[labels >= 0]).tolist()]

    def summary(self, seeds, cluster, ms: float) -> dict[str, Any]:
        """What a cluster is like, as printed; ms: of the diffusion, the cut and its measures, labels given and kernels
        loaded.
        """
        from graphkit.methods.local.clustering.trials import agreement

        row = {
            "seeds": self.ids_of(seeds).tolist(),
            "nodes": len(cluster.nodes),
            "volume": cluster.volume,
            "cut": cluster.cut,
            "conductance": cluster.conductance if cluster.conductance < float("inf") else None,
        }
        if self.algorithm.reads_labels:
            row["labelled_conductance"] = (
                cluster.labelled_conductance if cluster.labelled_conductance < float("inf") else None
            )
        if self.truth is not None:
            row.update(agreement(cluster.nodes, self.truth))
        if cluster.status == "stopped":
            row["residual"] = cluster.residual
        return {
            **row,
            "touched": cluster.touched,
            "pushes": cluster.pushes,
            "status": cluster.status,
            "ms": round(ms, 3),
        }


def pick_method(values: dict[str, Any]) -> tuple[str, Any, dict[str, Any]]:
    """(name, the method, the options that were given) of a command; raises :class:`UsageError` for an unknown name and
    for options that do not go together.
    """
    word, known = values.pop("method"), registry.names("clusterer")
    if word not in known:
        raise UsageError(
            "--method: unknown clusterer"
            f" {word!r}{did_you_mean(word, known) or '; see: graphkit methods --kind clusterer'}"
        )
    own = given(registry.config_class(word), values)
    config = registry.resolve_config(word, overrides=own)
    method = registry.method(word)(config)
    if not method.needs_seeds:
        raise UsageError(f"--method {word}: takes no seeds; expected a method that does, or: graphkit cluster {word}")
    return word, method, own


def read_graph(values: dict[str, Any]) -> tuple[Any, LocalGraph]:
    """(data set, its graph) of a command's DATASET, --dataset or --edges; raises :class:`DataError` for a graph without
    edges.
    """
    from graphkit.core.machine import choose_device, set_threads
    from graphkit.datasets.local_graph import LocalGraph

    set_threads(values.pop("threads", None))
    if (device := values.pop("device", None)) is not None:
        choose_device(device)  # refused where there is none; the kernels run on the CPU
    take_argument(values)
    dataset = load_dataset(values)
    graph = LocalGraph.of(dataset)
    if not graph.volume:
        raise DataError(f"{dataset.name}: found no edges, expected a graph with some")
    return dataset, graph


def check_ending(output: str | None) -> None:
    """Raise :class:`UsageError` unless ids can be written to a file of this name."""

    if output is not None:
        endings.format_of(output, formats=FORMATS)


def write_ids(path: str, columns: dict[str, Any]) -> None:
    """Write the ids alone to .txt, all columns to a table."""
    from graphkit.io import tables
    from graphkit.io.files import write_text

    if endings.format_of(path, formats=FORMATS) == "ids":
        write_text(path, "".join(f"{member}\n" for member in columns["id"].tolist()))
    else:
        tables.write(path, columns)


def read_question(values: dict[str, Any], needs_seeds: bool) -> Question:
    """Turn a command's values into a :class:`Question`; raises :class:`UsageError` and :class:`DataError` for what does
    not fit.
    """
    from graphkit.datasets.readers import targets
    from graphkit.datasets.readers.id_lists import read_ids

    word, method, own = pick_method(values)
    _check(values, method.reads_labels, needs_seeds)
    dataset, graph = read_graph(values)
    truth = None
    if values["target"]:
        truth = targets.mask(dataset, values["target"])
    elif values["target_file"]:
        truth = _mask(read_ids(values["target_file"], dataset, "--target-file", values["id_column"]), dataset.num_nodes)
    seeds = _seeds(values, dataset) if needs_seeds else None
    source = _source(values, dataset, truth, read_ids)
    target = values["target"] or values["target_file"]
    return Question(
        dataset, graph, word, method, method.config, own, seeds, truth, target, source, values.get("seed", 0)
    )


def _check(values: dict[str, Any], reads_labels: bool, needs_seeds: bool) -> None:
    if values["target"] and values["target_file"]:
        raise UsageError("--target and --target-file: expected one of them")
    if needs_seeds and (values["seeds"] is None) == (values["seed_file"] is None):
        found = "neither" if values["seeds"] is None else "both"
        raise UsageError(f"--seeds and --seed-file: found {found}, expected one of them, or --all-seeds")
    if not needs_seeds and (values.get("seeds") or values.get("seed_file")):
        raise UsageError("--all-seeds: found with seeds, expected random ones of the target alone")
    sources = [key for key in SOURCES if values[key] is not None]
    if (values["positives"] is None) != (values["negatives"] is None):
        raise UsageError("--positives and --negatives: expected both")
    if len(sources) > 1:
        raise UsageError(f"{', '.join(f'--{key}' for key in sources)}: expected one source of noisy labels")
    if "seeds" not in values:  # evaluate, which has several methods and all classes for targets
        return
    for key in ("samples", "accuracy"):
        if values[key] is not None and not (values["target"] or values["target_file"]):
            raise UsageError(f"--{key} needs --target or --target-file, which it draws from")
    if reads_labels and not sources:
        raise UsageError(
            f"weighted methods need noisy labels: expected one of {', '.join(f'--{key}' for key in SOURCES)}"
        )
    if sources and not reads_labels:
        raise UsageError(f"--{sources[0]}: found with a method that reads no labels, expected a weighted-... method")


def _mask(nodes, count: int):
    import numpy as np

    found = np.zeros(count, dtype=bool)
    found[nodes] = True
    return found


def _seeds(values: dict[str, Any], dataset):
    from graphkit.datasets.readers.id_lists import nodes_of, read_ids

    if values["seed_file"] is not None:
        found = read_ids(values["seed_file"], dataset, "--seed-file", values["id_column"])
    else:
        found = nodes_of([word.strip() for word in values["seeds"].split(",") if word.strip()], dataset, "--seeds")
    if not len(found):
        raise UsageError("--seeds: found none, expected ids of nodes")
    return found


def _source(values: dict[str, Any], dataset, truth, read_ids) -> tuple[str, Any] | None:
    if values["noisy"] is not None:
        return "noisy", _mask(
            read_ids(values["noisy"], dataset, "--noisy", values["id_column"]), dataset.num_nodes
        ).astype("int8")
    if values["positives"] is not None:
        known = tuple(
            read_ids(values[key], dataset, f"--{key}", values["id_column"]) for key in ("positives", "negatives")
        )
        both = set(known[0].tolist()) & set(known[1].tolist())
        if both or not len(known[0]) or not len(known[1]):
            what = f"id {dataset.ids()[min(both)]} in both" if both else "an empty file"
            raise DataError(
                f"--positives and --negatives: found {what}, expected nodes that are either inside or outside"
            )
        return "positives", known
    if values["samples"] is not None:
        return "samples", values["samples"]
    if values["accuracy"] is not None:
        shares = accuracies(values["accuracy"], "--accuracy")
        if len(shares) != 2:
            raise UsageError(f"--accuracy {values['accuracy']}: found {len(shares)} numbers, expected two, A1,A0")
        return "accuracy", shares
    return None


def accuracies(text: str, option: str = "--accuracies") -> list[float]:
    """Numbers between 0 and 1, separated by commas."""
    found = []
    for word in text.split(","):
        try:
            found.append(float(word))
        except ValueError:
            raise UsageError(f"{option} {text}: found {word!r}, expected numbers between 0 and 1") from None
        if not 0 <= found[-1] <= 1:
            raise UsageError(f"{option} {text}: found {word}, expected numbers between 0 and 1")
    return found


def labeller(question: Question, always: bool = False):
    """A function of (seed, number, truth=the target) that gives (n,) noisy labels; None where the method reads none."""
    if question.source is None or not (always or question.algorithm.reads_labels):
        return None
    import numpy as np

    from graphkit.methods.local.clustering import noisy_labels

    kind, value = question.source
    if kind == "noisy":
        return lambda seed, number, truth=None: value
    features = noisy_labels.features_of(question.dataset) if kind in ("positives", "samples") else None
    if kind == "positives":
        fixed = noisy_labels.classified(features, *value)
        return lambda seed, number, truth=None: fixed

    def draw(seed, number, truth=None):
        truth = question.truth if truth is None else truth
        rng = np.random.default_rng([question.seed, number])
        if kind == "accuracy":
            return noisy_labels.flipped(truth, *value, rng)
        return noisy_labels.classified(features, *noisy_labels.sampled(truth, int(seed), value, rng))

    return draw
