"""Events per second of the learners of events, training and judging, in one run; and whether an event's cost grows with
the past.

    python benchmarks/bench_temporal.py --dataset collegemsg --events 6000 --threads 1

First table: an epoch of training over the stream's first events and the judging of those after, each method after a
warm-up on the same stream that compiles its kernels. Second: streams of one generator at several lengths; the cost of
the last ``--window`` events, by training and by judging, once all before them have been taken in. A ratio of 1 says
that an event costs the same however long the past is; what tgat draws from a longer past overlaps less, up to k^2 links
a node, while its last events (tgat recent) overlap as before. Third: NAT with tables of several sizes. Fourth: which
share of the training each stage takes. All methods take events in in batches of one size; edgebank has nothing to
train. Seconds are of the processor, so that a neighbour on the machine counts little; ``--clock wall`` takes the
clock's.
"""

from __future__ import annotations

import argparse
import time

METHODS = ("nat", "tgn", "tgat", "tgat recent", "jodie", "edgebank")
CACHES = ((8, 4), (16, 8), (32, 16), (64, 32), (128, 64))
# Stage -> the calls of a learner that are its; what none of them covers is "other".
NAT_STAGES = {
    "update vectors": ["_own_vectors"],
    "update slots": ["_slots"],
    "join, pool": ["_pool"],
    "score": ["model.score"],
    "take in": ["_take_in"],
}
VECTOR_STAGES = {
    "find neighbours": ["_hops"],
    "read memory": ["_present"],
    "attend": ["_embed"],
    "score": ["model.score"],
    "take in": ["held.take_in", "finder.take_in"],
}
ALL_STAGES = (
    "find neighbours",
    "read memory",
    "update vectors",
    "update slots",
    "join, pool",
    "attend",
    "score",
    "take in",
    "backward",
    "optimiser",
    "other",
)
CLOCKS = {"processor": time.process_time, "wall": time.perf_counter}


def load(name: str, count: int | None):
    """A data set of events, or its first ``count``, split by time."""
    from graphkit import datasets
    from graphkit.datasets.splits.events import finish_events

    dataset = datasets.load(name, task="events")
    if count is None or count >= len(dataset.events):
        return dataset
    return finish_events(dataset.renamed(events=dataset.events.first(count)), None, None, 0)


def learner_on(name: str, dataset, batch: int, **options):
    """A prepared learner with its default options, and batches of one size; ``METHOD recent`` takes the last events as
    neighbours.
    """
    import torch

    from graphkit.core import registry

    name, *choice = name.split()
    options.update({"neighbour_choice": choice[0]} if choice else {})
    method = registry.method(name)
    sizes = {"batch_size": batch} if name == "edgebank" else {"batch_size": batch, "eval_batch_size": batch}
    torch.manual_seed(0)
    learner = method(**{**sizes, **options})
    learner.prepare(dataset, seed=0, device="cpu")
    return learner


def train(learner, numbers, batch: int) -> None:
    """Train on these events, in order, with random destinations."""
    import numpy as np
    import peers

    learner.model.train()
    step = peers.train_step(learner)
    negatives = np.random.default_rng(0).choice(learner.dataset.events.dst, len(numbers))
    for start in range(0, len(numbers), batch):
        step((numbers[start : start + batch], negatives[start : start + batch]))


def judge(learner, numbers, batch: int) -> None:
    """Score these events and as many negatives, and take the events in; ``batch`` is the learner's own."""
    learner._judge(numbers, learner.dataset.events.dst[numbers])


def seconds(clock, work, *arguments) -> float:
    """How long a call takes."""
    start = clock()
    work(*arguments)
    return clock() - start


def state_mib(learner) -> float:
    """MiB of what the learner keeps of the past."""
    return sum(value.nbytes for value in getattr(learner, "memory", {}).values()) / 2**20


def of_an_epoch(name: str, dataset, clock, batch: int, **options) -> tuple[float | None, float, float]:
    """(training, judging) in events per second, MiB kept; an epoch after a warm-up of a few batches."""
    learner, split = learner_on(name, dataset, batch, **options), dataset.split
    if name == "edgebank":
        learner.predict("valid")
        return None, len(split.valid) / max(seconds(clock, learner.predict, "valid"), 1e-9), 0.0
    train(learner, split.train[: 4 * batch], batch)
    judge(learner, split.train[4 * batch : 6 * batch], batch)
    learner.on_epoch_start(0)
    training = len(split.train) / seconds(clock, train, learner, split.train, batch)
    return training, len(split.valid) / seconds(clock, judge, learner, split.valid, batch), state_mib(learner)


def of_the_last(name: str, dataset, window: int, clock, batch: int) -> tuple[float, float]:
    """Microseconds an event, (training, judging), for the last events of a stream after all of the others."""
    import numpy as np

    learner, total, found = learner_on(name, dataset, batch), len(dataset.events), []
    train(learner, np.arange(2 * batch), batch)  # compiles
    learner.on_epoch_start(0)
    judge(learner, np.arange(total - window), batch)
    kept = {name: value.clone() for name, value in learner.memory.items()}
    for work in (train, judge):
        learner._put_back(kept)
        found.append(1e6 * seconds(clock, work, learner, np.arange(total - window, total), batch) / window)
    return found[0], found[1]


def shares(name: str, dataset, clock, batch: int) -> list[float | None]:
    """Per cent of an epoch of training that each of ``ALL_STAGES`` takes; None for one that the method has not."""
    import torch

    learner, spent = learner_on(name, dataset, batch), {}

    def timed(stage, call):
        def run(*arguments, **named):
            start = clock()
            out = call(*arguments, **named)
            spent[stage] = spent.get(stage, 0.0) + clock() - start
            return out

        return run

    train(learner, dataset.split.train[: 4 * batch], batch)  # compiles
    learner.on_epoch_start(0)
    for stage, calls in (NAT_STAGES if name == "nat" else VECTOR_STAGES).items():
        for path in calls:
            *owner, call = path.split(".")
            holder = getattr(learner, owner[0]) if owner else learner
            if holder is not None:
                setattr(holder, call, timed(stage, getattr(holder, call)))
    for optimizer in learner.optimizers:
        optimizer.step = timed("optimiser", optimizer.step)
    backward, torch.Tensor.backward = torch.Tensor.backward, timed("backward", torch.Tensor.backward)
    try:
        total = seconds(clock, train, learner, dataset.split.train, batch)
    finally:
        torch.Tensor.backward = backward
    spent["other"] = total - sum(spent.values())
    return [100 * spent[stage] / total if stage in spent else None for stage in ALL_STAGES]


def show(title: str, head: list[str], rows: list[list]) -> None:
    """Print a table with a column of words and columns of numbers."""
    print(f"\n{title}")
    cells = [
        head,
        *(
            [
                one if isinstance(one, str) else "-" if one is None else f"{one:,.2f}" if one < 10 else f"{one:,.0f}"
                for one in row
            ]
            for row in rows
        ),
    ]
    widths = [max(len(row[k]) for row in cells) for k in range(len(head))]
    for row in cells:
        print(
            "  ".join(
                cell.ljust(width) if k == 0 else cell.rjust(width) for k, (cell, width) in enumerate(zip(row, widths))
            ).rstrip()
        )


def main(given) -> None:
    """Run all four."""
    from graphkit.core.machine import set_threads

    set_threads(given.threads)
    clock, dataset, batch = CLOCKS[given.clock], load(given.dataset, given.events), given.batch_size
    split, unit = dataset.split, "events/s"
    print(
        f"{given.dataset}: {len(split.train):,} events train, {len(split.valid):,} are judged, batches of {batch}, "
        f"{given.threads} threads, {given.clock} time"
    )
    rows = [[name, *of_an_epoch(name, dataset, clock, batch)] for name in given.methods]
    show("An epoch", ["method", f"train {unit}", f"judge {unit}", "state MiB"], rows)
    if given.lengths:
        rows, streams = [], [load(f"repeats:n={given.nodes},events={length}", None) for length in given.lengths]
        for name in given.methods:
            if name == "edgebank":  # it looks pairs up in a sorted list of all of the past
                continue
            rows.append([name])
            for costs in zip(*(of_the_last(name, stream, given.window, clock, batch) for stream in streams)):
                rows[-1] += [*costs, costs[-1] / costs[0]]
        lengths = [f"{length:,}" for length in given.lengths]
        head = [
            "method",
            *(f"train at {one}" for one in lengths),
            "ratio",
            *(f"judge at {one}" for one in lengths),
            "ratio",
        ]
        show(f"Microseconds an event, the last {given.window:,} of a stream of {given.nodes:,} nodes", head, rows)
    if given.caches:
        rows = [
            [f"nat {first} {second}", *of_an_epoch("nat", dataset, clock, batch, cache=(first, second))]
            for first, second in CACHES
        ]
        show("NAT by the slots of its tables", ["slots", f"train {unit}", f"judge {unit}", "state MiB"], rows)
    if given.profile:
        rows = [[name, *shares(name, dataset, clock, batch)] for name in given.methods if name != "edgebank"]
        show("Per cent of the training", ["method", *ALL_STAGES], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="collegemsg")
    parser.add_argument("--events", type=int, default=6000, help="look at the first so many events of it")
    parser.add_argument("--methods", type=lambda text: text.split(","), default=list(METHODS))
    parser.add_argument("--batch-size", type=int, default=200)
    parser.add_argument(
        "--lengths", type=lambda text: [int(one) for one in text.split(",") if one], default=[10000, 80000]
    )
    parser.add_argument("--nodes", type=int, default=200, help="nodes of the streams of those lengths")
    parser.add_argument("--window", type=int, default=2000)
    parser.add_argument("--no-caches", dest="caches", action="store_false", help="leave the third table out")
    parser.add_argument("--no-profile", dest="profile", action="store_false", help="leave the fourth table out")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="processor")
    main(parser.parse_args())
