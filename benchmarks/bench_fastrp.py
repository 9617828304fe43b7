"""FastRP against the official algorithm, plain float32 SciPy and pycleora, as ratios in one run.

    python benchmarks/bench_fastrp.py --graphs "blogcatalog rmat:scale=17,degree=20" --dims 128,512 [--cleora PYTHON]

Graphs are separated by spaces, since their names hold commas. Every contender runs in a process of its own, on the same
graph with the same threads: best of 3 and median seconds, processor seconds of all threads together (which other work
on the machine disturbs less), peak resident memory of the process (the loaded graph and libraries included).
graphkit's time is that of ``embed``, from the DGL graph to the vectors, after a warm-up on a tiny graph whose time (JIT
compilation, or reading its cache) is reported apart. pycleora's is that of four propagations without whitening; its
import of the edges is not counted.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WEIGHTS, STRENGTH = (0.0, 0.0, 1.0, 6.67), -0.64
CONTENDERS = ("graphkit", "dgl", "official", "official-dense", "scipy32", "cleora")


def main() -> None:
    """Parse the command line, run the contenders, print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graphs", default="blogcatalog rmat:scale=17,degree=20")
    parser.add_argument("--dims", default="128,512")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument(
        "--limit-gb", type=float, default=10.0, help="leave out a contender that would need more memory, and say so"
    )
    parser.add_argument("--cleora", metavar="PYTHON", help="Python of an environment with pycleora.")
    parser.add_argument("--worker", nargs=3, metavar=("NAME", "GRAPH", "DIM"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    for variable in (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "RAYON_NUM_THREADS",
    ):
        os.environ[variable] = str(options.threads)
    os.environ["OMP_WAIT_POLICY"] = "passive"  # a thread that waits by spinning would count as busy
    if options.worker:
        name, graph, dim = options.worker
        print(json.dumps(measure(name, Path(graph), int(dim), options.repeats, options.threads)))
        return
    print(f"{options.threads} threads, best of {options.repeats} (median) in seconds.\n")
    print(
        "| graph | nodes | edges | d | method | seconds | processor s | time over graphkit's (processor) | peak MB |"
        " notes |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for spec in options.graphs.split():
            path = save_graph(spec, Path(folder))
            for dim in map(int, options.dims.split(",")):
                compare(spec, path, dim, options)
            path.unlink()


def save_graph(spec: str, folder: Path) -> Path:
    """Load a data set by name and keep its adjacency as CSR arrays."""
    from graphkit import datasets
    from graphkit.graph.adjacency import adjacency

    matrix = adjacency(datasets.load(spec).graph)
    path = folder / "graph.npz"
    np.savez(path, indptr=matrix.indptr, indices=matrix.indices)
    return path


def compare(spec: str, path: Path, dim: int, options) -> None:
    """Run each contender and print its row."""
    with np.load(path) as graph:
        n, m = len(graph["indptr"]) - 1, len(graph["indices"])
    own = None
    for name in options.contenders.split(","):
        python = options.cleora if name == "cleora" else sys.executable
        # Up to four sparse matrices that are full, in float64 with int32 columns, or five dense ones.
        needed = {"official": 4 * 12 * n * dim, "official-dense": 5 * 8 * n * dim, "scipy32": 5 * 4 * n * dim}.get(
            name, 0
        ) / 1e9
        row = f"| {spec} | {n:,} | {m // 2:,} | {dim} | {name} |"
        if python is None or needed > options.limit_gb:
            why = "no --cleora" if python is None else f"left out: would need about {needed:.0f} GB"
            print(f"{row} - | - | - | - | {why} |", flush=True)
            continue
        words = [python, __file__, "--worker", name, str(path), str(dim), "--repeats", str(options.repeats)]
        done = subprocess.run([*words, "--threads", str(options.threads)], capture_output=True, text=True)
        if done.returncode:
            # A process that the kernel kills for its memory says nothing.
            said = done.stderr.strip().splitlines() or [f"killed by signal {-done.returncode}"]
            print(f"{row} - | - | - | - | failed: {said[-1]} |", flush=True)
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        best = min(found["seconds"])
        own = (best, found["processor"]) if name == "graphkit" else own
        ratio = (
            "-" if name == "graphkit" or own is None else f"{best / own[0]:.1f}x ({found['processor'] / own[1]:.1f}x)"
        )
        median = statistics.median(found["seconds"])
        print(
            f"{row} {best:.2f} ({median:.2f}) | {found['processor']:.2f} | {ratio} | {found['peak_mb']:.0f} |"
            f" {found['notes']} |",
            flush=True,
        )


def measure(name: str, path: Path, dim: int, repeats: int, threads: int) -> dict:
    """Time one contender in this process."""
    with np.load(path) as graph:
        indptr, indices = graph["indptr"], graph["indices"]
    makers = {
        "official-dense": functools.partial(official, fill=1 / 3),
        "dgl": functools.partial(graphkit, backend="dgl"),
    }
    run, notes = makers.get(name, globals().get(name))(indptr, indices, dim, threads)
    seconds: list[float] = []
    processor: list[float] = []
    for _ in range(repeats):
        started, busy = time.perf_counter(), time.process_time()
        vectors = run()
        seconds.append(time.perf_counter() - started)
        processor.append(time.process_time() - busy)
        assert vectors.shape[1] == dim
        del vectors
        if sum(seconds) > 120:
            break
    peak = peak_mb()
    if len(seconds) < repeats:
        notes += f" {len(seconds)} run(s)"
    if name == "graphkit":
        notes += bandwidth(indptr, indices, dim)
    return {"seconds": seconds, "processor": min(processor), "peak_mb": peak, "notes": notes.strip()}


def peak_mb() -> float:
    """Peak resident memory of this program alone; getrusage would count the parent that it was forked from."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM")


def graphkit(indptr, indices, dim, threads, backend="numba"):
    """This package, on its own kernel or on DGL's."""
    import dgl
    import torch

    from graphkit.core.machine import set_threads
    from graphkit.datasets.base import GraphDataset
    from graphkit.methods.embedding.fastrp.method import FastRP

    set_threads(threads)
    method = FastRP(dim=dim, weights=WEIGHTS, strength=STRENGTH, backend=backend)
    started = time.perf_counter()
    method.embed(GraphDataset("warm-up", graph=dgl.rand_graph(50, 200)))
    warm_up = time.perf_counter() - started
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    ends = torch.from_numpy(rows), torch.from_numpy(indices.astype(np.int64))
    dataset = GraphDataset("benchmark", graph=dgl.graph(ends, num_nodes=len(indptr) - 1))
    return lambda: method.embed(dataset, seed=0), f"warm-up {warm_up:.1f} s;"


def bandwidth(indptr, indices, dim) -> str:
    """Bytes that one dense product reads and writes per second, as a share of a two-thread copy's."""
    import numba

    from graphkit.graph.adjacency import Adjacency
    from graphkit.kernels import propagation

    @numba.njit(parallel=True)
    def copy(source, target):
        for v in numba.prange(len(source)):
            for j in range(source.shape[1]):
                target[v, j] = source[v, j]

    matrix = Adjacency(indptr, indices, np.empty(0, np.float32))
    n = matrix.num_nodes
    source, target = np.ones((n, dim), np.float32), np.zeros((n, dim), np.float32)
    # A copy larger than the caches, whatever the graph.
    big = np.ones((max(2**28 // dim, 1), dim), np.float32)
    other = np.zeros_like(big)
    arguments = (
        indptr,
        indices,
        matrix.weights,
        np.ones(n, np.float32),
        source,
        target,
        propagation.STORE_PRODUCT,
        np.empty((0, 0), np.float32),
        0.0,
        propagation.PLAIN,
        np.empty(0),
        matrix.row_chunks(),
    )
    product = fastest(lambda: propagation.propagate(*arguments))
    rate = (len(indices) + n) * dim * 4 / product / 1e9
    copied = 2 * big.nbytes / fastest(lambda: copy(big, other)) / 1e9
    return f" product {rate:.0f} GB/s of rows, {rate / copied:.0%} of the copy's {copied:.0f} GB/s"


def fastest(function, repeats: int = 3) -> float:
    """Seconds of the fastest of some runs after one that is not counted."""
    function()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def official(indptr, indices, dim, threads, fill=1.0):
    """The authors' algorithm: SciPy float64, R and its products sparse, dense from the normalised sum on.

    ``fill`` below 1 makes a product dense once more than that share of it is full: kinder than what the authors run.
    """
    import scipy.sparse as sp

    n = len(indptr) - 1
    adjacency = sp.csr_matrix((np.ones(len(indices)), indices, indptr), shape=(n, n))

    def run():
        degree = np.asarray(adjacency.sum(axis=1)).ravel()
        safe = np.where(degree > 0, degree, 1)
        transition = sp.diags(1 / safe) @ adjacency
        density = 1 / np.sqrt(n)
        random = sp.random(
            n,
            dim,
            density,
            format="csr",
            random_state=0,
            data_rvs=lambda k: np.random.default_rng(1).choice([-1.0, 1.0], k),
        )
        power = sp.diags(safe**STRENGTH) @ random
        total = np.zeros((n, dim))
        for weight in WEIGHTS:
            power = transition @ power
            if sp.issparse(power) and power.nnz > n * dim * fill:
                power = power.toarray()
            if weight:
                dense = power.toarray() if sp.issparse(power) else power
                total += weight * normalized(dense)
        return standardized(total)

    return run, ""


def scipy32(indptr, indices, dim, threads):
    """The same in the plainest fast form: dense float32 times a float32 CSR matrix."""
    import scipy.sparse as sp

    n = len(indptr) - 1
    ones = np.ones(len(indices), np.float32)
    adjacency = sp.csr_matrix((ones, indices, indptr.astype(np.int32)), shape=(n, n))

    def run():
        degree = np.maximum(np.diff(indptr), 1).astype(np.float32)
        transition = (sp.diags(1 / degree) @ adjacency).astype(np.float32)
        generator = np.random.default_rng(0)
        power = generator.standard_normal((n, dim), dtype=np.float32)
        power *= (degree**STRENGTH)[:, None]
        total = np.zeros((n, dim), np.float32)
        for weight in WEIGHTS:
            power = transition @ power
            if weight:
                total += np.float32(weight) * normalized(power)
        return standardized(total)

    return run, ""


def normalized(rows):
    """Rows divided by their lengths."""
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    return rows / np.where(lengths > 0, lengths, 1)[:, None]


def standardized(matrix):
    """Columns with mean 0 and deviation 1."""
    matrix -= matrix.mean(axis=0)
    matrix /= np.maximum(matrix.std(axis=0), 1e-12)
    return matrix


def cleora(indptr, indices, dim, threads):
    """pycleora with as many propagations, no whitening."""
    import pycleora

    sources = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    once = sources < indices
    lines = (f"{u} {v}" for u, v in zip(sources[once].tolist(), indices[once].tolist()))
    graph = pycleora.SparseMatrix.from_iterator(lines, "complex::reflexive::node")
    del sources, once
    run = lambda: pycleora.embed(graph, dim, len(WEIGHTS), whiten=False, num_workers=threads)  # noqa: E731
    return run, "peak includes its edge import"


if __name__ == "__main__":
    main()
