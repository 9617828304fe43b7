"""Which figures may stand in one table: each result follows a protocol, and two protocols are never compared.

The same method on the same data reaches quite different figures under different splits, negatives and selection rules;
Hits@100 on Cora with 70/10/20 edges and MRR on 85/5/10 have nothing to say to each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphkit.core.errors import UsageError
from graphkit.evaluation.registry import Rule, added_rules


@dataclass(frozen=True)
class Protocol:
    """How a figure comes about: the id that results carry, and the rules in a sentence."""

    id: str
    says: str


# The one whose beginning of the split's name is the longest holds.
_RULES = (
    Rule(
        "gin-validation",
        ("gin-10fold",),
        ("graph",),
        "ten folds without a test part: the epoch with the best mean over the validation folds is reported "
        "(optimistic)",
    ),
    Rule("10fold", ("10fold",), ("graph",), "ten folds of 80/10/10, test at the best validation epoch"),
    Rule(
        "planetoid-public", ("public",), ("node",), "the public split: 20 nodes a class train, 500 validate, 1,000 test"
    ),
    Rule("shchur", ("shchur",), ("node",), "20 nodes a class train, 30 validate, the rest test, drawn per seed"),
    Rule("geom-gcn", ("geom-gcn",), ("node",), "ten fixed splits of 48/32/20 %, one per seed"),
    Rule("fixed-splits", ("fixed",), ("node",), "the fixed splits that come with the data, one per seed"),
    Rule(
        "heart-existing",
        ("heart-",),
        ("link",),
        "one fixed split (HeaRT's existing setting), as many uniform negatives as positives, MRR against all of them",
    ),
    Rule(
        "ncnc-links",
        ("random-0.7/0.1/0.2",),
        ("link",),
        "70/10/20 % of the edges, drawn per seed; uniform negatives, as many as test edges, for validation and test",
    ),
    Rule(
        "hidden-edges",
        ("connected-",),
        ("link",),
        "node2vec's: edges are hidden while the graph stays connected, as many uniform non-edges, ROC-AUC",
    ),
    Rule(
        "tgb-links",
        ("tgb",),
        ("events",),
        "TGB's: events cut at quantiles of time, each ranked among the destinations that are given for it, "
        "ties at their mean rank; MRR",
    ),
    Rule(
        "temporal-historical",
        ("chrono-historical-",),
        ("events",),
        "events cut at quantiles of time, each with a pair of the training events that is not among the same "
        "200 judged ones (the historical negatives of EdgeBank's paper)",
    ),
    Rule(
        "temporal-unseen-pairs",
        ("chrono-inductive-",),
        ("events",),
        "events cut at quantiles of time, each with a pair of the judged part that did not train and is not "
        "among the same 200 judged ones (the inductive negatives of EdgeBank's paper)",
    ),
    Rule(
        "temporal-transductive",
        ("chrono-",),
        ("events",),
        "events cut at quantiles of time, one random destination each; ap over all scores, ap@200 the mean "
        "over TGN's batches, ap@32 NAT's",
    ),
    Rule(
        "nat-judged",
        ("inductive-judged-",),
        ("events",),
        "as nat, but the test's negatives are destinations of the judged events alone, as TGN draws them for new nodes",
    ),
    Rule(
        "nat",
        ("inductive-",),
        ("events",),
        "NAT's: a tenth of the nodes masked in training, the test judges events with one of them, after all "
        "earlier events were seen; negatives are destinations of any training, validation or judged event",
    ),
    Rule("random", ("random-",), ("node", "link", "graph"), "parts of the given sizes, drawn per seed"),
)
OGB = Protocol("ogb", "OGB's split, negatives and evaluator; test at the best validation epoch of each metric")
EMBEDDING = {
    "node": Protocol(
        "deepwalk",
        "one-vs-rest L2 logistic regression on the first part of shuffled nodes; as many labels as each node has",
    ),
    "folds": Protocol(
        "stratified-folds", "one-vs-rest L2 logistic regression in stratified folds; as many labels as each node has"
    ),
    "link": Protocol(
        "node2vec-links", "logistic regression on pair features, trained on the training edges, held-out edges ranked"
    ),
    "clustering": Protocol("k-means", "k-means with the number of classes, best of ten starts, against the classes"),
}


def protocol(task: str, split: str, ogb: bool = False) -> Protocol:
    """Return the protocol of a task's split by its name; ``own`` where the split is the data set's or the user's
    own.
    """
    if ogb:
        return OGB
    fitting = [
        (len(start), rule)
        for rule in (*_RULES, *added_rules())
        for start in rule.splits
        if task in rule.tasks and split.startswith(start)
    ]
    if fitting:
        _, rule = max(fitting, key=lambda found: found[0])  # the first of equal ones: graphkit's own
        return Protocol(rule.id, rule.says)
    return Protocol("own", f"the split {split or 'given'} of this data set")


def of_dataset(dataset) -> Protocol:
    """Return the protocol that a loaded data set stands for."""
    return protocol(dataset.task or "", dataset.split_name, dataset.ogb_name is not None)


def conditions(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two results must share to be compared: data, split, metric, and the use of validation edges."""
    config = result.get("config") or {}
    return {
        "dataset": result.get("dataset"),
        "data version": result.get("dataset_version"),
        "protocol": result.get("protocol"),  # before the split, whose name says less
        "split": result.get("split"),
        "metric": result.get("metric"),
        "use of validation edges at test": bool(config.get("val_edges_at_test")),
    }


def require_same(results: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None) -> None:
    """Raise :class:`UsageError` unless all results (as in result.json) were found under the same conditions."""
    names = names or [str(result.get("method", number)) for number, result in enumerate(results)]
    for name, result in zip(names[1:], results[1:]):
        first = conditions(results[0])
        for key, value in conditions(result).items():
            if value != first[key]:
                raise UsageError(
                    f"{names[0]} and {name} differ in {key}: found {first[key]!r} and {value!r}; one table holds one"
                    " protocol"
                )
