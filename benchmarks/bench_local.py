"""Local clusters by PageRank push against networkit's PageRankNibble and LocalGraphClustering's ACL, and how local they
are.

    python benchmarks/bench_local.py --networkit ENV/bin/python --lgc ENV/bin/python

First table: seconds a seed, push and sweep included, the same seeds, alpha and eps for all, sides in turn in processes
of their own, one thread. Second: one query on R-MAT graphs of growing size at the same target volume; touched nodes and
time should stand still. Third: a thousand seeds on one graph. The first query of each process, which compiles, is left
out. Data sets are read from GRAPHKIT_DATA.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GRAPHS = ("facebook100-johns-hopkins55", "coauthor-cs", "amazon-photo")
SCALES = ((13, 24), (16, 30), (19, 38))  # R-MAT: scale and degree, for 10^5, 10^6 and 10^7 edges
SIDES = ("graphkit", "networkit", "lgc")


def graphkit_side(indptr, indices, alpha: float, eps: float):
    """A function of a seed that returns the cluster."""
    import numpy as np
    import torch

    from graphkit.datasets.local_graph import LocalGraph
    from graphkit.methods.local.clustering.method import LocalClustering

    torch.set_num_threads(1)
    degrees = np.diff(indptr).astype(np.float64)
    volume = float(degrees.sum())
    graph = LocalGraph(
        indptr, indices.astype(np.int32), np.empty(0), degrees, volume, np.empty(0, np.int8), 1.0, volume
    )
    method = LocalClustering(diffusion="ppr", alpha=alpha, eps=eps)
    return lambda seed: method.cluster(graph, np.array([seed])).nodes


def networkit_side(indptr, indices, alpha: float, eps: float):
    """The same with networkit."""
    import networkit
    import numpy as np

    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    graph = networkit.Graph(len(indptr) - 1)
    for u, v in zip(rows[rows < indices].tolist(), indices[rows < indices].tolist()):
        graph.addEdge(u, v)
    nibble = networkit.scd.PageRankNibble(graph, alpha, eps)
    return lambda seed: nibble.expandOneCommunity(seed)


def lgc_side(indptr, indices, alpha: float, eps: float):
    """The same with LocalGraphClustering."""
    import warnings

    warnings.filterwarnings("ignore")
    import localgraphclustering as lgc
    import numpy as np
    import scipy.sparse

    n = len(indptr) - 1
    graph = lgc.GraphLocal.from_sparse_adjacency(
        scipy.sparse.csr_matrix((np.ones(len(indices)), indices, indptr), shape=(n, n))
    )

    def cluster(seed: int):
        ids, values = lgc.approximate_PageRank(graph, [seed], alpha=alpha, rho=eps, method="acl")
        return lgc.sweep_cut(graph, (ids, values))[0]

    return cluster


def work(side: str, path: str, alpha: float, eps: float) -> None:
    """Time every seed of a file on one side; print the seconds and the conductances as JSON."""
    import numpy as np

    stored = np.load(path)
    indptr, indices, seeds = stored["indptr"], stored["indices"], stored["seeds"].tolist()
    cluster = {"graphkit": graphkit_side, "networkit": networkit_side, "lgc": lgc_side}[side](
        indptr, indices, alpha, eps
    )
    cluster(seeds[0])
    spent, conductances = [], []
    for seed in seeds:
        started = time.perf_counter()
        nodes = cluster(seed)
        spent.append(time.perf_counter() - started)
        conductances.append(conductance(indptr, indices, np.array(sorted(nodes))))
    print(json.dumps({"seconds": spent, "conductances": conductances}))


def conductance(indptr, indices, nodes) -> float:
    """cut / min(volume, rest)."""
    import numpy as np

    inside = np.zeros(len(indptr) - 1, dtype=bool)
    inside[nodes] = True
    volume = int(np.diff(indptr)[nodes].sum())
    kept = sum(int(inside[indices[indptr[v] : indptr[v + 1]]].sum()) for v in nodes.tolist())
    return (volume - kept) / max(min(volume, len(indices) - volume), 1)


def side_by_side(name: str, pythons: dict[str, str], options) -> None:
    """Print the row of each side on a graph."""
    import numpy as np

    from graphkit import datasets
    from graphkit.datasets.local_graph import LocalGraph

    graph = LocalGraph.of(datasets.load(name))
    seeds = np.random.default_rng(0).choice(np.flatnonzero(graph.degrees), options.seeds, replace=False)
    found: dict[str, list] = {side: [] for side in pythons}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.npz"
        np.savez(path, indptr=graph.indptr, indices=graph.indices.astype(np.int64), seeds=seeds)
        for _ in range(options.rounds):
            for side, python in pythons.items():
                command = [
                    python,
                    __file__,
                    "--worker",
                    side,
                    str(path),
                    "--alpha",
                    str(options.alpha),
                    "--eps",
                    str(options.eps),
                ]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                found[side].append(json.loads(done.stdout.splitlines()[-1]))
    best = {side: [min(values) for values in zip(*(run["seconds"] for run in runs))] for side, runs in found.items()}
    own = statistics.median(best["graphkit"])
    for side, values in best.items():
        median, mean = statistics.median(values), statistics.mean(values)
        quality = statistics.mean(found[side][0]["conductances"])
        print(
            f"| {name} | {side} | {1000 * median:.2f} | {1000 * mean:.2f} | {median / own:.2f} | {quality:.4f} |",
            flush=True,
        )


def locality(options) -> None:
    """Print touched nodes and milliseconds of single queries on growing graphs."""
    import numpy as np

    from graphkit import datasets
    from graphkit.datasets.local_graph import LocalGraph
    from graphkit.methods.local.clustering.method import LocalClustering

    print("\n| edges | method | touched nodes, median | ms, median |\n|---|---|---|---|")
    for scale, degree in SCALES[: options.scales]:
        graph = LocalGraph.of(datasets.load(f"rmat:scale={scale},degree={degree}"))
        candidates = np.flatnonzero((graph.degrees >= 10) & (graph.degrees <= 20))
        seeds = np.random.default_rng(0).choice(candidates, options.seeds)
        for word in ("flow", "ppr"):
            method = LocalClustering(diffusion=word, volume=2000)
            method.cluster(graph, seeds[:1])
            spent, touched = [], []
            for seed in seeds:
                started = time.perf_counter()
                touched.append(method.cluster(graph, np.array([seed])).touched)
                spent.append(time.perf_counter() - started)
            row = (
                f"{int(graph.volume / 2):,} | {word} | {statistics.median(touched):.0f} |"
                f" {1000 * statistics.median(spent):.3f}"
            )
            print(f"| {row} |", flush=True)


def thousand(name: str, threads: int) -> None:
    """Print how long a thousand seeds take, in threads."""
    import numpy as np
    import torch

    from graphkit import datasets
    from graphkit.datasets.local_graph import LocalGraph
    from graphkit.graph.threads import in_threads
    from graphkit.methods.local.clustering.method import LocalClustering

    torch.set_num_threads(threads)
    graph = LocalGraph.of(datasets.load(name))
    seeds = np.random.default_rng(0).choice(np.flatnonzero(graph.degrees), 1000)
    print()
    for word in ("flow", "ppr"):
        method = LocalClustering(diffusion=word, volume=0.1 * graph.volume)
        method.cluster(graph, seeds[:1])
        started = time.perf_counter()
        in_threads(lambda k, method=method: method.cluster(graph, seeds[k : k + 1]), 1000)
        print(
            f"1,000 seeds on {name}, {word}, a tenth of the volume, {threads} threads:"
            f" {time.perf_counter() - started:.1f} s",
            flush=True,
        )


def main() -> None:
    """Parse the options and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graphs", default=",".join(GRAPHS))
    parser.add_argument("--networkit", metavar="PYTHON", help="Python of an environment with networkit")
    parser.add_argument(
        "--lgc", metavar="PYTHON", help="Python of an environment with LocalGraphClustering, its library built with -O3"
    )
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--eps", type=float, default=1e-6)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--scales", type=int, default=len(SCALES), help="how many of the R-MAT graphs")
    parser.add_argument("--threads", type=int, default=2, help="of the thousand seeds")
    parser.add_argument("--worker", nargs=2, metavar=("SIDE", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(*options.worker, options.alpha, options.eps)
        return
    pythons = {"graphkit": sys.executable, "networkit": options.networkit, "lgc": options.lgc}
    print(f"alpha {options.alpha}, eps {options.eps:g}, {options.seeds} seeds, 1 thread\n")
    print("| graph | side | ms a seed, median | mean | over graphkit | mean conductance |\n|---|---|---|---|---|---|")
    for name in options.graphs.split(","):
        side_by_side(name, {side: python for side, python in pythons.items() if python}, options)
    locality(options)
    thousand(options.graphs.split(",")[0], options.threads)


if __name__ == "__main__":
    main()
