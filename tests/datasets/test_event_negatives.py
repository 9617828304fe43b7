"""Negatives of events: random destinations by their pools, historical and inductive pairs by the definitions
(Poursafaei et al. 2022).
"""

import numpy as np
import pytest
import torch

from graphkit import datasets
from graphkit.core import registry
from graphkit.core.errors import DataError
from graphkit.datasets.base import GraphDataset
from graphkit.datasets.readers.events import in_order, static_graph
from graphkit.datasets.splits.events import finish_events
from graphkit.evaluation.protocols import of_dataset


def stream(split, seed=0, nodes=60, count=3000):
    rng = np.random.default_rng(seed)
    src, dst = rng.zipf(1.3, (2, 4 * count)) - 1
    keep = np.flatnonzero((src < nodes) & (dst < nodes))[:count]
    events = in_order(src[keep], dst[keep], np.sort(rng.integers(0, count, len(keep))))
    return finish_events(GraphDataset("stream", static_graph(events, nodes), events=events), split, None, seed)


def pairs(events, numbers):
    return set(zip(events.src[numbers].tolist(), events.dst[numbers].tolist()))


@pytest.mark.parametrize("kind", ["historical", "inductive"])
@pytest.mark.parametrize("part", ["valid", "test"])
def test_pairs_are_those_of_the_definition(kind, part):
    for seed in range(3):
        dataset = stream(f"chrono-{kind}-0.7/0.15/0.15", seed, nodes=400)
        events, split = dataset.events, dataset.split
        judged, (negatives, sources) = getattr(split, part), split.negatives(part)
        train = pairs(events, split.train)
        wanted = train if kind == "historical" else pairs(events, judged) - train
        random = 0
        for start in range(0, len(judged), 200):
            step = judged[start : start + 200]
            now = pairs(events, step)
            drawn = list(zip(sources[start : start + 200].tolist(), negatives[start : start + 200].tolist()))
            hard = [pair for pair in drawn if pair in wanted - now]
            assert len(hard) >= min(len(step), len(wanted - now))
            for place, pair in enumerate(drawn):
                if pair not in wanted - now:  # then a random destination of the event's own source
                    random += 1
                    assert pair[0] == events.src[step[place]] and pair[1] in set(events.dst.tolist())
            if len(wanted - now) >= len(step):
                assert len(set(drawn)) == len(step)
        assert random < len(judged) * (3 / 4)
    assert of_dataset(dataset).id == {"historical": "temporal-historical", "inductive": "temporal-unseen-pairs"}[kind]


def test_too_few_pairs_leave_random_destinations():
    src = np.zeros(300, dtype=np.int64)
    events = in_order(
        src, src + 1 + np.arange(300) % 2, np.arange(300)
    )  # both pairs are in every step: no historical one is left
    dataset = finish_events(
        GraphDataset("two", static_graph(events, 3), events=events), "chrono-historical-0.7/0.15/0.15", None, 0
    )
    negatives, sources = dataset.split.negatives("test")
    assert (sources == 0).all() and set(negatives.tolist()) == {1, 2}


def test_pools_of_inductive_splits_are_those_of_their_names():
    for seed in range(4):
        nat, judged = (stream(f"{name}-0.7/0.15/0.15", seed) for name in ("inductive", "inductive-judged"))
        for name in ("train", "valid", "test"):
            assert (getattr(nat.split, name) == getattr(judged.split, name)).all()
        parts = [set(nat.events.dst[getattr(nat.split, name)].tolist()) for name in ("train", "valid", "test")]
        assert set(nat.split.valid_neg.tolist()) <= parts[0] | parts[1] and set(
            nat.split.test_neg.tolist()
        ) <= set.union(*parts)
        assert set(nat.split.test_neg.tolist()) - parts[2], "the pool is wider than the judged events'"
        assert set(judged.split.test_neg.tolist()) <= parts[2]
    assert (of_dataset(nat).id, of_dataset(judged).id) == ("nat", "nat-judged")


@pytest.mark.data
def test_nats_pool_on_collegemsg():
    try:
        dataset = datasets.load("collegemsg", task="events", split="inductive-0.7/0.15/0.15")
    except DataError as absent:
        pytest.skip(str(absent))
    split, events = dataset.split, dataset.events
    pool = np.unique(events.dst[np.r_[split.train, split.valid, split.test]])
    assert (
        len(pool) == 1645
        and len(np.unique(events.dst[split.test])) == 447
        and set(split.test_neg.tolist()) <= set(pool.tolist())
    )


SMALL = {
    "nat": {"cache": (6, 5), "self_dim": 8},
    "tgn": {"memory_dim": 8, "hidden_dim": 8, "time_dim": 6, "neighbours": 4},
    "tgat": {"hidden_dim": 8, "time_dim": 6, "neighbours": 3, "neighbour_choice": "recent"},
    "jodie": {"memory_dim": 8, "time_dim": 6},
    "edgebank": {},
}


@pytest.mark.parametrize("name", SMALL)
def test_pairs_are_scored_as_they_would_be_by_themselves(name):
    dataset = stream("chrono-historical-0.6/0.2/0.2", 1, nodes=20, count=300)
    torch.manual_seed(0)
    learner = registry.method(name)(
        **SMALL[name], batch_size=16, **({} if name == "edgebank" else {"eval_batch_size": 16})
    )
    learner.prepare(dataset, seed=0, device="cpu")
    found = learner.predict("test")
    # The same pair as an event's own destination: swap the source of the judged event and its negative.
    negatives, sources = dataset.split.negatives("test")
    test = dataset.split.test
    plain = finish_events(dataset, "chrono-0.6/0.2/0.2", None, 0)
    alone = learner_like(name, plain, learner).predict("test")["y_pred_pos"]
    torch.testing.assert_close(alone, found["y_pred_pos"], rtol=1e-5, atol=1e-6)
    for place in (0, 7, 20, len(test) - 1):
        events = dataset.events
        src, dst = events.src.copy(), events.dst.copy()
        src[test[place]], dst[test[place]] = sources[place], negatives[place]
        begin = place // 16 * 16
        swapped = plain.renamed(events=in_order(src, dst, events.time))
        score = learner_like(name, swapped, learner).predict("test")["y_pred_pos"][place]
        assert begin <= place and float(score) == pytest.approx(float(found["y_pred_neg"][place]), rel=1e-4, abs=1e-5)


def learner_like(name, dataset, other):
    learner = registry.method(name)(other.config)
    torch.manual_seed(0)
    learner.prepare(dataset, seed=0, device="cpu")
    if other.model is not None:
        learner.model.load_state_dict(other.model.state_dict())
    return learner
