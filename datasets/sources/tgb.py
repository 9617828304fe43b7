"""Temporal Graph Benchmark, link data sets (Huang et al., 2023), read with the py-tgb package's own readers from a TGB
folder.

A folder ``tgbl_wiki`` holds ``tgbl-wiki_edgelist_v2.csv`` and the negatives ``tgbl-wiki_val_ns_v2.pkl``,
``tgbl-wiki_test_ns_v2.pkl``; a first version has no ``_v1``. The classes of py-tgb look inside the installed package,
write beside the data and load any pickle; here its readers and its table of data sets are used without them. The
negatives go through the restricted unpickler.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from graphkit.core.errors import DataError, MissingExtraError
from graphkit.datasets.base import Events, EventSplit, GraphDataset
from graphkit.datasets.catalogue import Entry
from graphkit.datasets.readers.build import check, quiet, reading, set_features
from graphkit.datasets.readers.events import in_order, static_graph
from graphkit.datasets.readers.unpickle import load_pickle
from graphkit.datasets.source import Source
from graphkit.datasets.sources import folders
from graphkit.datasets.splits.events import split_events
from graphkit.datasets.splits.loaded import Loaded

# Those whose csv file has ids that py-tgb numbers; all others have the form of JODIE's files.
READERS = {
    "tgbl-coin": "csv_to_pd_data_sc",
    "tgbl-review": "csv_to_pd_data_sc",
    "tgbl-comment": "csv_to_pd_data_rc",
    "tgbl-flight": "csv_to_pd_data",
}
JODIE = "load_edgelist_wiki"
WEIGHT_ALONE, WEIGHT_LAST = ("tgbl-coin", "tgbl-review"), ("tgbl-comment",)
FRACTIONS = (0.7, 0.15, 0.15)


@dataclass(frozen=True)
class Facts:
    """What py-tgb's tables say of a data set: version, address of the zip, metric, and the names of its files."""

    version: int
    url: str
    metric: str
    edges: str
    nodes: str | None
    valid: str
    test: str


def import_tgb(module: str, name: str) -> Any:
    """Import a module of py-tgb; raises :class:`MissingExtraError` where it is not installed."""
    try:
        with quiet():
            return importlib.import_module(module)
    except ImportError:
        raise MissingExtraError("py-tgb", "tgb", f"data set {name!r}") from None


def facts_of(name: str) -> Facts:
    """Return the facts of a data set of py-tgb's tables."""
    info = import_tgb("tgb.utils.info", name)
    version = int(info.DATA_VERSION_DICT[name])
    end = f"_v{version}" if version > 1 else ""
    nodes = f"airport_node_feat{end}.csv" if name == "tgbl-flight" else None
    files = (f"{name}_edgelist{end}.csv", nodes, f"{name}_val_ns{end}.pkl", f"{name}_test_ns{end}.pkl")
    return Facts(version, info.DATA_URL_DICT[name], info.DATA_EVAL_METRIC_DICT[name], *files)


def load(entry: Entry, *, name: str) -> Loaded:
    """Load a TGB link set from ``tgbl_wiki`` (or ``tgb/tgbl_wiki``) below a data folder; nodes are numbered as TGB
    does.

    The negatives are read when the split ``tgb`` is asked for.
    """
    facts = facts_of(name)
    root = folders.find_benchmark(name) or folders.require(name.replace("-", "_"), name)
    readers = import_tgb("tgb.utils.pre_process", name)
    path = _file(root, facts.edges)
    with reading(path, "a TGB csv file"), quiet():
        table, feat, ids = getattr(readers, READERS.get(name, JODIE))(str(path))
    events = _events(table, feat, path, name)
    num_nodes = int(max(events.src.max(), events.dst.max())) + 1
    dataset = GraphDataset(
        name, static_graph(events, num_nodes), events=events, source=Source(version=f"TGB v{facts.version}")
    )
    if facts.nodes:
        nodes = _file(root, facts.nodes)
        with reading(nodes, "TGB's features of nodes"), quiet():
            values = readers.process_node_feat(str(nodes), ids)
        set_features(dataset.graph, values, nodes)
    given = {"tgb": lambda: _split(dataset, root, facts)}
    return Loaded(dataset, given_events=given, defaults={"events": ("tgb", facts.metric)})


def _file(root: Path, name: str) -> Path:
    path = root / name
    if not path.is_file():
        found = ", ".join(sorted(other.name for other in root.glob(f"*{path.suffix}"))) or f"no {path.suffix} file"
        raise DataError(f"{path}: not found, expected a file of a TGB folder; there is {found}")
    return path


def _events(table, feat, path: Path, name: str) -> Events:
    """Events in the stable order of time; times are cut to whole numbers, as TGB does."""
    check(len(table), path, "no events", "one a line")
    with reading(path, "a TGB csv file"):
        src, dst, weight = (table[key].to_numpy().astype(np.float64) for key in ("u", "i", "w"))
        time = table["ts"].to_numpy()
        time = time.astype(np.int64 if time.dtype.kind in "iu" else np.float64)
        feat = np.asarray(feat, dtype=np.float64).reshape(len(table), -1)
    ends = np.stack([src, dst])
    check((ends >= 0).all() and (ends == np.rint(ends)).all(), path, "a node that is no number from 0", "node numbers")
    check(np.isfinite(time).all(), path, "a time that is NaN or infinite", "finite times")
    check(
        np.isfinite(weight).all() and np.isfinite(feat).all(),
        path,
        "a weight or feature that is NaN or infinite",
        "finite numbers",
    )
    if name in WEIGHT_ALONE:
        feat = weight[:, None]
    elif name in WEIGHT_LAST:
        feat = np.concatenate([feat, weight[:, None]], 1)
    largest = np.abs(feat).max(initial=0)
    check(largest <= np.finfo(np.float32).max, path, f"the feature {largest:g}", "numbers within float32")
    feat = feat.astype(np.float32) if feat.shape[1] else None
    weight = None if (weight == 1).all() else weight
    check((np.abs(time) < 1 << 62).all(), path, "a time of 2^62 or more", "smaller times")
    return in_order(
        src.astype(np.int64), dst.astype(np.int64), np.trunc(time).astype(np.int64), weight=weight, feat=feat
    )


def _split(dataset: GraphDataset, root: Path, facts: Facts) -> EventSplit:
    """The parts of TGB, cut at the quantiles .70 and .85 of the times, with the given negatives of each judged
    event.
    """
    split = split_events(dataset, FRACTIONS, 0, inductive=False)
    negatives = {}
    for part, name in (("valid", facts.valid), ("test", facts.test)):
        path = _file(root, name)
        negatives[f"{part}_neg"] = read_negatives(path, dataset.events, getattr(split, part), dataset.num_nodes)
    return replace(split, **negatives)


def read_negatives(path: Path, events: Events, part: np.ndarray, num_nodes: int) -> np.ndarray:
    """Return the (P, K) given destinations of the events of a part, int64, -1 at the end of a row with fewer than K.

    The file is a pickle of a dict (source, destination, time) -> destinations. Raises :class:`DataError` where it is
    anything else, has no entry for an event, an empty one, or something that is not a node.
    """
    given = load_pickle(path)
    check(
        isinstance(given, Mapping),
        path,
        f"a {type(given).__name__}",
        "a dict (source, destination, time) -> destinations",
    )
    keys = zip(
        events.src[part].tolist(), events.dst[part].tolist(), events.time[part].tolist()
    )  # a key of NumPy numbers is equal
    found = [given.get(key) for key in keys]
    for number, own in enumerate(found):
        if own is None:
            k = part[number]
            missing = f"({events.src[k]}, {events.dst[k]}, {events.time[k]})"
            raise DataError(
                f"{path}: found no negatives of the event {missing} among {len(given)}, expected some for every event"
                " judged"
            )
    with reading(path, "lists of destinations"):
        rows = [np.atleast_1d(np.asarray(own)) for own in found]
        # TGB writes float64 where a source has no history.
        check({row.dtype.kind for row in rows} <= set("iuf"), path, "destinations that are no numbers", "node numbers")
        sizes = np.array([len(row) for row in rows])
        check(sizes.min() > 0, path, "an event without negatives", "at least one for every event judged")
        flat = np.concatenate(rows)
    check(flat.ndim == 1, path, f"destinations of shape {flat.shape[1:]}", "a list of nodes for each event")
    wrong = flat[~((flat >= 0) & (flat < num_nodes) & (flat == np.rint(flat)))]
    check(len(wrong) == 0, path, f"the destination {wrong[0]:.12g}" if len(wrong) else "", f"nodes 0..{num_nodes - 1}")
    out = np.full((len(rows), sizes.max()), -1, dtype=np.int64)
    out[np.arange(out.shape[1]) < sizes[:, None]] = flat
    return out
