"""Orbit counting against ORCA (nodes) and gradco 0.1.8 (all 28 matrices), as ratios in one run.

    python benchmarks/bench_orbits.py --orca PYTHON --gradco PYTHON [--graphs "ppi-yeast biogrid blogcatalog"]
    [--threads 1,2]

ORCA is the C++ code by its authors in PyPI's orbit-count, gradco that of the paper's authors (it needs numpy<2); each
runs in an environment of its own, whose Python is named here. Sides take turns in processes of their own on the same
edges, ``--rounds`` times; the table gives the best wall time, the least processor time of all threads, and the most
resident memory.

- nodes: orbits 0 to 14 of every node, from the edges as an array; ORCA's figures must be equal (its wrapper returns 32
  bits, so they are compared modulo 2^32). graphkit after a warm-up on a small graph, whose time (compilation, or
  reading its cache) is apart.
- matrices: the totals and entries of all 28 matrices one by one, on Amazon Photo by default; gradco needs about 52 n^2
  bytes. Its time is that of ``count()`` and of reading the 28 matrices.
- files: ``graphkit count orbit-adjacency`` with all 28 matrices as npz files, the whole command with its start.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

KEYS = (
    "1:0-0,1:1-2,1:3-3,1:4-5,1:5-5,1:6-7,1:8-8,1:9-11,1:10-10,1:10-11,1:12-13,1:13-13,1:14-14,2:1-1,2:12-12,2:9-10,2:8-8,2:4-5,"
    "2:6-6,3:4-4,1:2-1,1:5-4,1:7-6,1:11-9,1:11-10,1:13-12,2:10-9,2:5-4"
)


def main() -> None:
    """Parse the command line, run the parts, print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graphs", default="ppi-yeast biogrid blogcatalog")
    parser.add_argument("--matrices", default="amazon-photo", help="graphs of the comparison with gradco")
    parser.add_argument("--parts", default="nodes,matrices,files")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--orca", metavar="PYTHON", help="Python of an environment with orbit-count")
    parser.add_argument("--gradco", metavar="PYTHON", help="Python of an environment with gradco and numpy<2")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds after which a side is given up")
    parser.add_argument("--worker", nargs=2, metavar=("SIDE", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(WORKERS[options.worker[0]](Path(options.worker[1]))))
        return
    print(
        "| graph | nodes | edges | what | side | threads | seconds | processor s | peak MB | time over graphkit's"
        " (processor) | notes |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for part in options.parts.split(","):
            for graph in (options.matrices if part == "matrices" else options.graphs).split():
                run_part(part, graph, Path(folder), options)


def run_part(part: str, graph: str, folder: Path, options) -> None:
    """Run the sides of a part on a graph in turn and print their rows; a side of another library has one thread."""
    path = save_edges(graph, folder)
    sides = [("graphkit", threads) for threads in map(int, options.threads.split(","))]
    rival = {"nodes": ("orca", options.orca), "matrices": ("gradco", options.gradco)}.get(part)
    sides += [(rival[0], 1)] if rival and rival[1] else []
    runs: dict[tuple[str, int], list[dict]] = {side: [] for side in sides}
    for _ in range(options.rounds if part == "nodes" else 1):
        for side in sides:
            python = sys.executable if side[0] == "graphkit" else rival[1]
            if part == "files":
                runs[side].append(whole_command(graph, folder / "matrices", side[1]))
            else:
                runs[side].append(worker(python, f"{part}-{side[0]}", path, side[1], options.timeout))
    with np.load(path) as stored:
        size = f"{int(stored['n']):,} | {len(stored['edges']):,}"
    for side in sides:
        print(f"| {graph} | {size} | {part} | {side[0]} | {side[1]} | {row(side, runs, sides[0])} |", flush=True)


def row(side: tuple[str, int], runs: dict[tuple[str, int], list[dict]], own: tuple[str, int]) -> str:
    """Cells of a side: best figures, their ratios to graphkit's with as many threads, and whether the results agree."""
    good = [run for run in runs[side] if "seconds" in run]
    if not good:
        return f"- | - | - | - | {runs[side][0]['failed']}"
    best = {
        key: (max if key == "peak_mb" else min)(run[key] for run in good) for key in ("seconds", "processor", "peak_mb")
    }
    cells = f"{best['seconds']:.2f} | {best['processor']:.2f} | {best['peak_mb']:.0f}"
    reference = [run for run in runs[own] if "seconds" in run]
    if side[0] == "graphkit" or not reference:
        return f"{cells} | - | {good[0].get('notes', '')}"
    ratios = [
        f"{best['seconds'] / min(run['seconds'] for run in theirs):.2f}x with {threads}"
        for (name, threads), theirs in runs.items()
        if name == "graphkit" and all("seconds" in run for run in theirs)
    ]
    processor = best["processor"] / min(run["processor"] for run in reference)
    same = "equal results" if good[0]["result"] == reference[0]["result"] else "DIFFERENT RESULTS"
    return f"{cells} | {', '.join(ratios)} ({processor:.2f}x) | {same}"


def save_edges(graph: str, folder: Path) -> Path:
    """Keep the edges u < v of a data set's simple graph as an array."""
    from graphkit import datasets
    from graphkit.datasets.simple import simple_matrix

    path = folder / f"{graph.replace('/', '-').replace(':', '-')}.npz"
    if not path.exists():
        matrix = simple_matrix(datasets.load(graph)).tocoo()
        upper = matrix.row < matrix.col
        np.savez(
            path, n=matrix.shape[0], edges=np.stack([matrix.row[upper], matrix.col[upper]], axis=1).astype(np.int32)
        )
    return path


def worker(python: str, name: str, path: Path, threads: int, timeout: float) -> dict:
    """Run a side in a process of its own; what it prints last, or why it failed."""
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "THREADS")
    environment = {**os.environ, **dict.fromkeys(variables, str(threads)), "OMP_WAIT_POLICY": "passive"}
    command = [python, __file__, "--worker", name, str(path)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {timeout:.0f} s"}
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"killed by signal {-done.returncode}"]
        return {"failed": f"failed: {said[-1]}"}
    return json.loads(done.stdout.splitlines()[-1])


def whole_command(graph: str, folder: Path, threads: int) -> dict:
    """``graphkit count orbit-adjacency`` from its start to its end."""
    command = [
        sys.executable,
        "-m",
        "graphkit.cli.main",
        "-q",
        "count",
        "orbit-adjacency",
        graph,
        "--orbits",
        KEYS,
        "-o",
        str(folder),
    ]
    started = time.perf_counter()
    running = subprocess.Popen([*command, "--threads", str(threads)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(running.pid, 0)
    seconds = time.perf_counter() - started
    size = sum(path.stat().st_size for path in folder.glob("*.npz"))
    for path in folder.glob("*"):
        path.unlink()
    if status:
        return {"failed": f"exit code {os.waitstatus_to_exitcode(status)}"}
    figures = {"seconds": seconds, "processor": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}
    return {**figures, "notes": f"{size / 1e9:.2f} GB of files"}


def measured(function) -> dict:
    """Time a call; its figures with its result."""
    started, busy = time.perf_counter(), time.process_time()
    result = function()
    figures = {"seconds": time.perf_counter() - started, "processor": time.process_time() - busy, "peak_mb": peak_mb()}
    return {**figures, "result": result}


def peak_mb() -> float:
    """Peak resident memory of this program alone; getrusage would count the parent that it was forked from."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM")


def checksums(table: np.ndarray) -> list[int]:
    """Of an (n, 15) table, each column as a sum of entries times their places, modulo 2^32."""
    wrapped = np.asarray(table).astype(np.uint64) % 2**32
    places = (np.arange(1, len(wrapped) + 1) % 1009).astype(np.uint64)
    return [int(total) for total in (wrapped * places[:, None]).sum(axis=0) % 2**32]


def matrix_of(n: int, edges: np.ndarray):
    """The symmetric 0/1 CSR matrix of edges."""
    from graphkit.graph.simple import symmetric_matrix

    return symmetric_matrix(edges, n)


def start_graphkit():
    """The kernels, compiled or read from their cache, on as many threads as the environment says."""
    from graphkit.core.machine import set_threads
    from graphkit.kernels import orbits

    set_threads(int(os.environ["THREADS"]))
    started = time.perf_counter()
    small = orbits.prepare(matrix_of(5, np.array([[0, 1], [1, 2], [2, 0], [2, 3], [3, 4]])))
    counts = orbits.one_hop(small)
    orbits.node_orbits(small, counts)
    for key in orbits.FURTHER:
        orbits.adjacency_of(small, key)
    return orbits, time.perf_counter() - started


def nodes_graphkit(path: Path) -> dict:
    """Node orbits by graphkit."""
    orbits, warm_up = start_graphkit()
    with np.load(path) as stored:
        n, edges = int(stored["n"]), stored["edges"]

    def count():
        prepared = orbits.prepare(matrix_of(n, edges))
        return orbits.node_orbits(prepared, orbits.one_hop(prepared))

    found = measured(count)
    return {**found, "result": checksums(found["result"]), "notes": f"warm-up {warm_up:.1f} s"}


def nodes_orca(path: Path) -> dict:
    """Node orbits by ORCA."""
    from orbit_count import _orca

    with np.load(path) as stored:
        n, edges = int(stored["n"]), np.ascontiguousarray(stored["edges"], dtype=np.int32)
    found = measured(lambda: _orca.motif_counts("node", 4, n, edges))
    return {**found, "result": checksums(found["result"])}


def matrices_graphkit(path: Path) -> dict:
    """Totals and entries of all 28 matrices by graphkit: those beyond neighbours from one pass, as ``count
    orbit-adjacency`` has them.
    """
    from graphkit.core.orbit_keys import FURTHER
    from graphkit.kernels import orbit_rows

    orbits, warm_up = start_graphkit()
    with np.load(path) as stored:
        n, edges = int(stored["n"]), stored["edges"]

    def count():
        prepared = orbits.prepare(matrix_of(n, edges))
        counts, found, held = orbits.one_hop(prepared), {}, {key: [] for key in FURTHER}
        for _, _, piece in orbit_rows.pieces(prepared, FURTHER):
            for key, part in piece.items():
                held[key].append(part)
        for name in KEYS.split(","):
            hops, _, ends = name.partition(":")
            key = (int(hops), *map(int, ends.split("-")))
            if key in held:
                values = np.concatenate([part[2] for part in held[key]])
            else:
                values = orbits.adjacency_of(prepared, key, counts).data
            found[name] = [int(values.sum()), len(values)]
        return found

    return {**measured(count), "notes": f"warm-up {warm_up:.1f} s"}


def matrices_gradco(path: Path) -> dict:
    """The same by gradco, which prints its progress to stdout."""
    import gradco

    with np.load(path) as stored:
        n, edges = int(stored["n"]), stored["edges"]
    near = np.zeros((n, n), dtype=int)
    near[edges[:, 0], edges[:, 1]] = near[edges[:, 1], edges[:, 0]] = 1

    def count():
        counter = gradco.Counter(near)
        counter.count()
        found = {}
        for hops, a, b, matrix in counter.generate_orbit_adjacencies():
            values = matrix.data[matrix.data != 0]
            found[f"{hops}:{a}-{b}"] = [int(values.astype(np.int64).sum()), len(values)]
        return {name: found.get(name) for name in KEYS.split(",")}

    return measured(count)


WORKERS = {
    "nodes-graphkit": nodes_graphkit,
    "nodes-orca": nodes_orca,
    "matrices-graphkit": matrices_graphkit,
    "matrices-gradco": matrices_gradco,
}

if __name__ == "__main__":
    main()
