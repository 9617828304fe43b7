"""What the comparisons with a model of another library share: a process for each side, sides in turn, one table of
ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser, rounds: int) -> None:
    """Add the options of a comparison, those that call a side among them."""
    parser.add_argument("--peer-python", help="Python of an environment with torch and torch_geometric")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", choices=["graphkit", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)


def train_step(learner) -> Callable:
    """A function that takes a batch through one step of a learner as the fit loop does and returns the loss."""

    def step(batch) -> float:
        for optimizer in learner.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss = learner.loss(batch)
        loss.backward()
        for optimizer in learner.optimizers:
            optimizer.step()
        learner.on_step_end()
        return float(loss.detach())

    return step


def measure(function: Callable[[], float], repeats: int, **more) -> None:
    """Time calls of a function that returns a loss, the first, which compiles, apart; print the figures as JSON."""
    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        loss = function()
        seconds.append(time.perf_counter() - started)
    first, *seconds = seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {
        "best": min(seconds),
        "median": statistics.median(seconds),
        "first": first,
        "peak_rss_mb": peak,
        "loss": loss,
    }
    print(json.dumps({**figures, **more}))


def compare(
    script: str, title: str, problem: Callable[[Path], None], words: list, options, per_second: tuple[int, str]
) -> None:
    """Run both sides of a script on the files of ``problem`` in turn; print their figures and ratios.

    ``per_second`` is how many of what one timed call handles.
    """
    threads = str(options.threads)
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(variables, threads), "OMP_WAIT_POLICY": "PASSIVE"}
    found: dict[str, list] = {"graphkit": [], "peer": []}
    with tempfile.TemporaryDirectory() as folder:
        problem(Path(folder))
        for _ in range(options.rounds):
            for side, python in (("graphkit", sys.executable), ("peer", options.peer_python)):
                command = [python, script, "--side", side, "--folder", folder, "--threads", threads, *map(str, words)]
                done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
                found[side].append(json.loads(done.stdout.splitlines()[-1]))
    best = {side: min(run["best"] for run in runs) for side, runs in found.items()}
    median = {side: statistics.median(run["median"] for run in runs) for side, runs in found.items()}
    print(f"{title}, {threads} threads, {options.rounds} rounds")
    for side, runs in found.items():
        peak, first = max(run["peak_rss_mb"] for run in runs), min(run["first"] for run in runs)
        print(
            f"{side:9s} best {best[side] * 1000:9.1f} ms  median {median[side] * 1000:9.1f} ms  "
            f"{per_second[0] / best[side]:9.0f} {per_second[1]}/s  first {first:6.2f} s  peak {peak:6.0f} MB  "
            f"{runs[0]['parameters']:,} parameters"
        )
    print(
        f"ratio peer / graphkit: best {best['peer'] / best['graphkit']:.2f}, median"
        f" {median['peer'] / median['graphkit']:.2f}"
    )
