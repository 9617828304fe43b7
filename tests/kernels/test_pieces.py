"""No kernel keeps a signal waiting: none holds the interpreter's lock, ranges are bounded by work, and a failure ends
all threads.
"""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
import threading
from pathlib import Path

import networkx
import numpy as np
import pytest
import torch

import graphkit
from graphkit.graph import threads
from graphkit.kernels.neighbour_sets import Rows, common_neighbours, common_weight, neighbour_sets, neighbour_sets_scipy

PACKAGE = Path(graphkit.__file__).parent


def decorated():
    """(file, function, decorator) of every compiled function."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "njit" not in path.read_text(encoding="utf-8"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for decorator in node.decorator_list:
                    if "njit" in ast.unparse(decorator):
                        yield path, node, decorator


def test_every_kernel_releases_the_lock():
    found = [(path.name, node.name, ast.unparse(decorator)) for path, node, decorator in decorated()]
    assert len(found) > 40
    assert [one for one in found if "nogil=True" not in one[2]] == []


def test_no_kernel_has_threads_of_its_own():
    """A loop that numba shares out is one call, in which the main thread hears nothing."""
    assert [
        (path.name, node.name) for path, node, decorator in decorated() if "parallel" in ast.unparse(decorator)
    ] == []


@pytest.mark.parametrize("count", [1, 2])
def test_ranges_are_bounded_by_their_cost(count, monkeypatch):
    monkeypatch.setattr(threads, "STEPS", 100)
    cost = np.random.default_rng(0).integers(0, 50, 1000)
    cost[500] = 10_000  # a hub by itself
    bounds = threads.ranges(1000, cost=cost, threads=count)
    assert bounds[0] == 0 and bounds[-1] == 1000 and (np.diff(bounds) > 0).all()
    sums = np.add.reduceat(cost, bounds[:-1])
    assert np.sort(sums)[-1] <= 10_000 + 150 and np.sort(sums)[-2] <= 150  # an item and its share more, at most
    assert np.diff(threads.ranges(1000, cost=3.0, threads=count)).max() * 3 <= 100 + 3
    assert threads.ranges(0, cost=np.empty(0), threads=count).tolist() == [0]


def test_scratch_is_made_once_for_each_thread():
    made, seen = [], []

    def scratch():
        made.append(threading.get_ident())
        return object()

    threads.in_ranges(lambda a, b, own: seen.append(own), 1000, 1, scratch=scratch)
    assert len(made) == len(set(made)) == len(set(map(id, seen))) and len(seen) >= len(made)


def test_an_error_ends_the_other_threads(monkeypatch):
    """The others used to go through all that was left before the error came back."""
    before, done = torch.get_num_threads(), []
    torch.set_num_threads(2)
    started = threading.Barrier(2, timeout=20)

    def work(k):
        if k < 2:
            started.wait()
        if k == 1:
            raise KeyboardInterrupt
        threading.Event().wait(0.02)
        done.append(k)

    try:
        with pytest.raises(KeyboardInterrupt):
            threads.in_threads(work, 10_000)
    finally:
        torch.set_num_threads(before)
    assert len(done) < 1000


def test_an_error_ends_what_others_share_out_in_turn():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    started, inner = threading.Barrier(2, timeout=20), []

    def work(k):
        started.wait()
        if k == 1:
            raise ValueError("second")
        threads.in_order(lambda a, b: (inner.append(a), threading.Event().wait(0.02)), 10_000, threads.STEPS)

    try:
        with pytest.raises(ValueError, match="second"):
            threads.in_threads(work, 2)
    finally:
        torch.set_num_threads(before)
    assert len(inner) < 1000


@pytest.mark.parametrize("seed", range(4))
def test_common_neighbours_of_hubs(seed):
    """Rows of very different length are looked up in, not gone through: the sets are those of row algebra."""
    rng = np.random.default_rng(seed)
    graph = networkx.gnp_random_graph(300, 0.02, seed=seed)
    graph.add_edges_from(
        (hub, int(v)) for hub in (0, 150, 299) for v in rng.choice(300, 250, replace=False) if v != hub
    )
    matrix = networkx.to_scipy_sparse_array(graph, nodelist=range(300), format="csr").tocsr()
    matrix.sort_indices()
    keep = (rng.random(matrix.nnz) < 0.8).astype(np.uint8)
    rows = Rows(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), keep)
    pairs = rng.integers(0, 300, (2000, 2))
    pairs[:300, 0], pairs[300:600, 1] = 0, 299
    near = [set(rows.indices[a:b][keep[a:b] > 0].tolist()) for a, b in zip(rows.indptr[:-1], rows.indptr[1:])]
    expected = [sorted(near[i] & near[j]) for i, j in pairs.tolist()]
    ptr, node = common_neighbours(rows, rows, pairs)
    assert [node[a:b].tolist() for a, b in zip(ptr[:-1], ptr[1:])] == expected
    weight = rng.random(300)
    total = [sum(weight[u] for u in some) for some in expected]
    np.testing.assert_allclose(common_weight(rows, pairs, weight), total, rtol=1e-12)
    whole = Rows(rows.indptr, rows.indices, np.ones_like(keep))
    for found, known in zip(neighbour_sets(whole, whole, pairs), neighbour_sets_scipy(matrix, pairs)):
        np.testing.assert_array_equal(found, known)


STAR = 200_000


def stopped(process, delay: float) -> str:
    """Let it run for a while, send SIGTERM, and return what it said; fails unless it ends by itself."""
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
    try:
        return process.communicate(timeout=60)[1]
    finally:
        process.kill()


@pytest.fixture(scope="module")
def star(tmp_path_factory):
    path = tmp_path_factory.mktemp("star") / "star.csv"
    path.write_text("src,dst\n" + "".join(f"{STAR},{leaf}\n" for leaf in range(STAR)))
    return path


def graphkit_command(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "graphkit.cli.main", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_orbits_of_a_star(star, tmp_path):
    """At the square of the hub's degree this would take hours; closed forms give the counts."""
    process = graphkit_command("count", "orbits", "--edges", star, "-o", tmp_path / "orbits.tsv", "--threads", "1")
    error = process.communicate(timeout=300)[1]
    assert process.returncode == 0, error
    lines = (tmp_path / "orbits.tsv").read_text().splitlines()
    n = STAR
    leaf, hub = dict(zip(lines[0].split(), lines[1].split())), dict(zip(lines[0].split(), lines[-1].split()))
    assert hub["id"] == hub["o0"] == str(n) and hub["o2"] == str(n * (n - 1) // 2)
    assert hub["o7"] == str(n * (n - 1) * (n - 2) // 6)
    assert leaf["o0"] == "1" and leaf["o1"] == str(n - 1) and leaf["o6"] == str((n - 1) * (n - 2) // 2)
    assert all(row["o3"] == row["o8"] == row["o14"] == "0" for row in (leaf, hub))


@pytest.mark.slow
def test_sigterm_in_the_pairs_of_a_star(star, tmp_path):
    """4 * 10^10 pairs of leaves cannot be written; a signal ends the command."""
    process = graphkit_command(
        "count",
        "orbit-adjacency",
        "--edges",
        star,
        "--orbits",
        "2:1-1",
        "--max-memory",
        "1000",
        "--threads",
        "1",
        "-o",
        tmp_path / "out",
    )
    error = stopped(process, 12)
    assert process.returncode == 143 and "stopped by SIGTERM" in error, error
    assert not list(tmp_path.rglob("*.part")) and not list(tmp_path.rglob("2-1-1*"))


SAYS_WHEN = """
import sys
from graphkit.cli.main import main
from graphkit.kernels import neighbour_sets
inner = neighbour_sets.common_weight
def begun(*arguments):
    print("the kernel begins", file=sys.stderr, flush=True)
    return inner(*arguments)
neighbour_sets.common_weight = begun
main()
"""


@pytest.mark.slow
def test_sigterm_in_common_neighbours_of_ten_million_edges(tmp_path):
    """The signal comes while the kernel runs, which takes seconds for each part of the split."""
    import pyarrow
    import pyarrow.csv

    ends = np.random.default_rng(0).integers(0, 1_000_000, (2, 10_000_000))
    ends[0, :2_000_000] = 7  # and a hub
    pyarrow.csv.write_csv(pyarrow.table({"src": ends[0], "dst": ends[1]}), tmp_path / "many.csv")
    words = ["train", "cn", "--edges", tmp_path / "many.csv", "--threads", "1", "--out", tmp_path / "run", "-q"]
    command = [sys.executable, "-c", SAYS_WHEN, *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "the kernel begins" in process.stderr.readline()
    error = stopped(process, 0.2)
    assert process.returncode == 143 and "stopped by SIGTERM" in error, error
