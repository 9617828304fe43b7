"""The selective scan's three forms, and the walks of its tokens against DGL's, as ratios in one run.

    python benchmarks/bench_scan.py [--threads 2] [--lengths 1024,4096,16384,100000] [--rounds 3]

Forward and backward of one sequence with 64 channels and 16 states, as a block of width 64 has them, and of many short
ones as the token stage has them: the kernel, the chunked form in torch, the loop over unbound steps, and the naive loop
that indexes (up to ``--naive`` steps: its time is quadratic). Every measurement is a process of its own, forms in turn;
best of the rounds. Memory is what forward and backward add to the process at its peak, the inputs not counted. A form
that would need more than ``--limit-gb`` is left out and the table says so.

Walks: 4 walks of 3 steps from every node of an rmat graph, by the kernel and by ``dgl.sampling.random_walk``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

CHANNELS, STATES = 64, 16
SHORT = (1024, 21)  # sequences and their steps in the token stage
FORMS = ("numba", "chunked", "loop", "naive")


def arguments(batch: int, length: int):
    """Inputs in Mamba's range, float32, that ask for gradients."""
    import torch

    torch.manual_seed(0)
    u, dt = (torch.randn(batch, length, CHANNELS) for _ in range(2))
    b, c = (torch.randn(batch, length, STATES) for _ in range(2))
    rate = -torch.arange(1.0, STATES + 1).repeat(CHANNELS, 1)
    return [value.requires_grad_() for value in (u, dt.sub_(2.5).exp_(), rate, b, c, torch.ones(CHANNELS))]


def measure(form: str, batch: int, length: int) -> None:
    """Print seconds of forward and of backward, and the growth of memory in MiB, as JSON."""
    import contextlib
    import time

    import psutil
    import torch

    from graphkit.core.machine import set_threads
    from graphkit.methods.graph.graph_mamba.experiments import naive_scan
    from graphkit.nn import selective_scan

    set_threads(int(os.environ["OMP_NUM_THREADS"]))

    def scan(values):
        return naive_scan(*values) if form == "naive" else selective_scan(*values, backend=form)

    scan(arguments(1, 70)).sum().backward()  # compiles
    given = arguments(batch, length)
    # Reset the mark of the highest memory; getrusage would start at that of the process that started this one.
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as stream:
        stream.write("5")
    before = psutil.Process().memory_info().rss / 2**20
    started = time.perf_counter()
    total = scan(given).sum()
    half = time.perf_counter()
    total.backward()
    done = time.perf_counter()
    with open("/proc/self/status") as stream:
        peak = next(int(line.split()[1]) / 1024 for line in stream if line.startswith("VmHWM:"))
    assert torch.isfinite(given[0].grad).all()
    print(json.dumps({"forward": half - started, "backward": done - half, "growth": peak - before}))


def walks(graph_name: str) -> None:
    """Print steps per second of both samplers as JSON."""
    import time

    import dgl
    import torch

    from graphkit import datasets
    from graphkit.core.machine import set_threads
    from graphkit.graph.adjacency import adjacency
    from graphkit.methods.graph.graph_mamba.walks import induced, token_walks, unions

    set_threads(int(os.environ["OMP_NUM_THREADS"]))
    graph = datasets.load(graph_name).graph
    n, count, steps = graph.num_nodes(), 4, 3
    matrix, nodes = adjacency(graph), torch.arange(n).numpy()
    starts = torch.arange(n).repeat_interleave(count)
    unions(token_walks(matrix, nodes[:10], m=steps, walks=count, repeats=1, seed=0))
    graph.create_formats_()
    dgl.sampling.random_walk(graph, starts[:10], length=steps)
    found = {"graphkit": [], "dgl": [], "tokens": []}
    total = n * count * sum(range(steps + 1))  # the tokens' walks have 3, 2, 1 and 0 steps
    for _ in range(3):
        started = time.perf_counter()
        drawn = token_walks(matrix, nodes, m=steps, walks=count, repeats=1, seed=0)
        found["graphkit"].append(total / (time.perf_counter() - started))
        started = time.perf_counter()
        visited, places, _ = unions(drawn)
        induced(matrix, visited, places)
        found["tokens"].append(drawn.shape[0] * drawn.shape[1] / (time.perf_counter() - started))
        started = time.perf_counter()
        dgl.sampling.random_walk(graph, starts, length=steps)
        found["dgl"].append(n * count * steps / (time.perf_counter() - started))
    print(json.dumps({**{key: max(values) for key, values in found.items()}, "nodes": n, "edges": graph.num_edges()}))


def run(options, *words) -> dict:
    """Call this file in a process of its own."""
    threads = str(options.threads)
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}
    done = subprocess.run(
        [sys.executable, __file__, "--worker", *map(str, words)],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def needed_gb(form: str, batch: int, length: int) -> float:
    """Memory that a form will take at least: the loops keep several tensors of all states."""
    return 6 * batch * length * CHANNELS * STATES * 4 / 2**30 if form in ("loop", "naive") else 0.0


def main() -> None:
    """Parse the command line, measure, print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", default="1024,4096,16384,100000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--naive", type=int, default=2048, help="longest sequence for the loop that indexes")
    parser.add_argument("--limit-gb", type=float, default=4.0)
    parser.add_argument("--graph", default="rmat:scale=17,degree=20")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        form, *sizes = options.worker
        return walks(sizes[0]) if form == "walks" else measure(form, *map(int, sizes))
    shapes = [(1, int(length)) for length in options.lengths.split(",")] + [SHORT]
    print(f"Scan, {CHANNELS} channels, {STATES} states, float32, {options.threads} threads, best of {options.rounds}\n")
    print(
        "| sequences x steps | form | forward s | backward s | time / kernel's | memory MB |\n|---|---|---|---|---|---|"
    )
    for batch, length in shapes:
        chosen = [form for form in FORMS if form != "naive" or (batch == 1 and length <= options.naive)]
        rounds: dict[str, list] = {form: [] for form in chosen if needed_gb(form, batch, length) <= options.limit_gb}
        for _ in range(options.rounds):
            for form, found in rounds.items():
                found.append(run(options, form, batch, length))
        best = {form: min(found, key=lambda one: one["forward"] + one["backward"]) for form, found in rounds.items()}
        base = best["numba"]["forward"] + best["numba"]["backward"]
        for form in chosen:
            if form not in best:
                print(f"| {batch} x {length:,} | {form} | would need more than {options.limit_gb:g} GB | | | |")
                continue
            forth, back, growth = (
                best[form]["forward"],
                best[form]["backward"],
                max(found["growth"] for found in rounds[form]),
            )
            print(
                f"| {batch} x {length:,} | {form} | {forth:.3f} | {back:.3f} | {(forth + back) / base:.1f} |"
                f" {growth:.0f} |",
                flush=True,
            )
    found = run(options, "walks", options.graph)
    mine, peer, tokens = (found[key] / 1e6 for key in ("graphkit", "dgl", "tokens"))
    print(
        f"\nWalks on {options.graph}, {found['nodes']:,} nodes, {found['edges']:,} edges: {mine:.1f} million steps/s,"
        f" DGL's {peer:.1f}, ratio {mine / peer:.2f}; their subgraphs: {tokens:.2f} million tokens/s"
    )


if __name__ == "__main__":
    main()
