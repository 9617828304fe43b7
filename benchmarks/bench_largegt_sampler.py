"""LargeGT's offline sampler against lists drawn from SciPy's A @ A, and the memory of its training against the number
of nodes.

    python benchmarks/bench_largegt_sampler.py [--full] [--k 50] [--hub-caps 0,64] [--threads 2]

Every contender runs in a process of its own. graphkit's row is what ``graphkit train largegt --prepare-only`` says of
itself after a warm-up on a tiny graph that fills the cache of compiled code: seconds from the DGL graph to the written
lists, peak resident memory of the process with its libraries and the graph. ``scipy`` forms A @ A and draws each row's
list by NumPy; it is left out where the product could take more memory than the limit. ``--full`` takes the graph of the
published target, 2^20 nodes and 10^7 edges, and trains on more nodes.

The second table trains the local branch for a few steps on memory-mapped lists and features of random numbers: what a
process holds in memory of its own (RssAnon) beyond what it held before the first batch.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

SMALL, FULL = "rmat:scale=15,degree=20,seed=0", "rmat:scale=20,degree=21,seed=0"
LIMIT_GB = 6.0


def main() -> None:
    """Parse the command line, run the contenders, print both tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help=f"{FULL} in place of {SMALL}")
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--hub-caps", default="0,64")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--worker", nargs=2, metavar=("NAME", "ARGUMENT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = str(options.threads)
    if options.worker:
        name, argument = options.worker
        print(json.dumps(globals()[name](argument, options.k)))
        return
    lists(FULL if options.full else SMALL, options)
    training((14, 17, 20) if options.full else (12, 15), options)


def lists(spec: str, options) -> None:
    """Print the table of the samplers."""
    print(f"{options.threads} threads, K = {options.k}.\n")
    print("| graph | nodes | edges | method | seconds | peak MB |\n|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        sample("karate", 0, Path(folder) / "warm-up", options)
        for cap in options.hub_caps.split(","):
            found = sample(spec, int(cap), Path(folder) / f"cap-{cap}", options)
            name = "graphkit" if cap == "0" else f"graphkit --hub-cap {cap}"
            size = f"| {spec} | {found['nodes']:,} | {found['edges'] // 2:,} |"
            print(f"{size} {name} | {found['seconds']:.1f} | {found['peak_rss_mb']:.0f} |", flush=True)
    found = work("scipy_lists", spec, options)
    print(f"{size} scipy | {found['seconds']} | {found['peak_mb']} |", flush=True)


def sample(spec: str, cap: int, folder: Path, options) -> dict:
    """Run the command line and return what it prints."""
    words = [
        sys.executable,
        "-m",
        "graphkit.cli.main",
        "train",
        "largegt",
        "--prepare-only",
        "--dataset",
        spec,
        "--k",
        options.k,
        "--hub-cap",
        cap,
        "--threads",
        options.threads,
        "--out",
        folder,
        "--json",
    ]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def work(name: str, argument: str, options) -> dict:
    """Run a function of this file in a process of its own."""
    words = [
        sys.executable,
        __file__,
        "--worker",
        name,
        argument,
        "--k",
        str(options.k),
        "--threads",
        str(options.threads),
    ]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def scipy_lists(spec: str, k: int) -> dict:
    """Lists of the same definition from the product that the official code forms."""
    import scipy.sparse as sp

    from graphkit import datasets
    from graphkit.graph.adjacency import adjacency

    matrix = adjacency(datasets.load(spec).graph)
    n, m = matrix.num_nodes, len(matrix.indices)
    walks = int(matrix.degrees()[matrix.indices].sum())
    needed = 8 * min(walks, n * n) / 1e9
    if needed > LIMIT_GB:
        return {"seconds": "-", "peak_mb": f"left out: A @ A could need {needed:.0f} GB"}
    started = time.perf_counter()
    one = sp.csr_matrix((np.ones(m, np.int32), matrix.indices, matrix.indptr), shape=(n, n))
    two, generator = one @ one, np.random.default_rng(0)
    out = np.empty((n, k), np.int32)
    out[:, 0] = np.arange(n)
    for v in range(n):
        pool = np.concatenate([part.indices[part.indptr[v] : part.indptr[v + 1]] for part in (one, two)])
        if len(pool) == 0:
            out[v, 1:] = generator.integers(n, size=k - 1)
        elif len(pool) < k - 1:
            out[v, 1:] = np.resize(pool, k - 1)
        else:
            out[v, 1:] = generator.choice(pool, k - 1, replace=False)
    return {"seconds": f"{time.perf_counter() - started:.1f}", "peak_mb": f"{memory('VmHWM'):.0f}"}


def training(scales, options) -> None:
    """Print the table of the training's memory."""
    print(
        "\nTraining, local, 3 steps of 256 nodes, F = 64, hidden 64, 2 heads.\n\n| nodes | MB of features on disk | MB"
        " in memory |"
    )
    print("|---|---|---|", flush=True)
    for scale in scales:
        found = work("train_steps", str(scale), options)
        print(f"| {2**scale:,} | {found['disk']:.0f} | {found['memory']:.0f} |", flush=True)


def train_steps(scale: str, k: int, width: int = 64, batch: int = 256) -> dict:
    """Train on look-ups from files; return their size and the largest growth of the process's own memory, in MB."""
    import torch

    from graphkit.methods.node.largegt.config import LargeGTConfig
    from graphkit.methods.node.largegt.hop_tokens import HopTokens
    from graphkit.methods.node.largegt.model import LargeGT

    n = 2 ** int(scale)
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        listed = np.lib.format.open_memmap(f"{folder}/lists.npy", "w+", np.int32, (n, k))
        features = np.lib.format.open_memmap(f"{folder}/hops.npy", "w+", np.float32, (n, 3, width))
        for a in range(0, n, 4096):
            listed[a : a + 4096] = generator.integers(n, size=(min(4096, n - a), k))
            features[a : a + 4096] = generator.random((min(4096, n - a), 3, width), np.float32)
        del listed, features
        store = HopTokens(*(np.load(f"{folder}/{name}.npy", mmap_mode="c") for name in ("lists", "hops")))
        model = LargeGT(LargeGTConfig(mode="local", hidden_dim=64), width, 5, n)
        optimizer = torch.optim.Adam(model.parameters())
        before, stop, peak = memory("RssAnon"), threading.Event(), [0.0]

        def watch():
            while not stop.wait(0.005):
                peak[0] = max(peak[0], memory("RssAnon") - before)

        watcher = threading.Thread(target=watch)
        watcher.start()
        for _ in range(3):
            nodes = generator.choice(n, batch, replace=False)
            optimizer.zero_grad()
            model(store.tokens(nodes), None, None, torch.from_numpy(nodes)).square().mean().backward()
            optimizer.step()
        stop.set()
        watcher.join()
        return {"disk": store.features.nbytes / 1e6, "memory": peak[0]}


def memory(field: str) -> float:
    """MB of this process: VmHWM, the peak of all that is resident, or RssAnon, what it holds of its own now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {field}")


if __name__ == "__main__":
    main()
