"""Checks that the claims on topological concentration run in place of a training: a data set in, figures out."""

from __future__ import annotations

import networkx
import numpy as np
import torch

from graphkit import datasets
from graphkit.core import registry
from graphkit.methods.structure.topo.association import mean_interval
from graphkit.methods.structure.topo.method import Topo
from graphkit.methods.structure.topo.report import judge, summarize
from graphkit.training import fit

SPLITS = 3


def estimate_against_exact(dataset) -> dict[str, float]:
    """Hold TC at one hop against networkx's clustering coefficient, and ATC of growing dimension against TC.

    ``error``: largest difference over nodes of degree above 1. ``pearson_D``: correlation of ATC of D dimensions with
        TC over them.
    """
    columns = Topo(hops=1, dim=64).measure(dataset)
    graph = networkx.Graph(zip(*(ends.tolist() for ends in dataset.graph.edges())))
    graph.remove_edges_from(list(networkx.selfloop_edges(graph)))
    clustering = networkx.clustering(graph)
    defined = np.flatnonzero(np.isfinite(columns["tc_train"]))
    exact = np.array([clustering[node] for node in defined.tolist()])
    found = {"error": float(np.abs(columns["tc_train"][defined] - exact).max())}
    for dim in (64, 256, 1024):
        estimate = Topo(hops=1, dim=dim, exact=False).measure(dataset)["atc_train"]
        found[f"pearson_{dim}"] = float(np.corrcoef(estimate[defined], exact)[0, 1])
    return found


def concentration_against_degree(dataset) -> dict[str, float]:
    """Train a GCN on three splits; mean Pearson correlations of recall@10 with ``tc_test``, ``tc_train`` and
    ``degree_train``.

    Over the nodes with a test edge and both concentrations; ``recall`` is the mean recall@10 of the nodes with a test
    edge.
    """
    config = registry.resolve_config("gcn-link", dataset.name.partition("/")[0])
    values: dict[str, list[float]] = {}
    for seed in range(SPLITS):
        drawn = dataset.for_seed(seed)
        learner = registry.method("gcn-link")(config)
        learner.load_state_dict(fit(learner, drawn, seed=seed, device="cpu").state)
        with torch.no_grad():
            outcomes = judge(learner, drawn, "test", None, False, seed)
        summary = summarize({**Topo(hops=1, dim=0).measure(drawn), **outcomes}, "test", "recall@10", 1)
        for name in ("tc_test", "tc_train", "degree_train"):
            values.setdefault(name, []).append(summary["correlations"][name]["pearson"]["r"])
        values.setdefault("recall", []).append(summary["outcome_mean"])
    return {name: float(np.mean(found)) for name, found in values.items()}


def shift_by_time(dataset) -> dict[str, float]:
    """Mean TDS at one hop on the data set's split by time (``time``, with the interval ``time_low``, ``time_high``) and
    on a random one.

    ``random``: the mean over the nodes of three random splits of the same fractions, each node counted in each.
    """
    shift = mean_interval(Topo(hops=1, dim=0).measure(dataset)["tds"])
    random_split = dataset.split_name.replace("time", "random")
    drawn = [datasets.load(dataset.name, task="link", split=random_split, seed=seed) for seed in range(SPLITS)]
    values = np.concatenate([Topo(hops=1, dim=0).measure(one)["tds"] for one in drawn])
    return {
        "time": shift["mean"],
        "time_low": shift["low"],
        "time_high": shift["high"],
        "random": mean_interval(values)["mean"],
    }


def shift_at_random(dataset) -> dict[str, float]:
    """``shift``: the mean TDS at two hops over the nodes of three random splits, each node counted in each."""
    values = [Topo(hops=2, dim=0).measure(dataset.for_seed(seed))["tds"] for seed in range(SPLITS)]
    return {"shift": float(np.nanmean(np.concatenate(values)))}
