"""The same seed and threads give the same figures, bit for bit, for every method that learns or embeds, killed or not.

A table of what is measured: pytest -m slow tests/test_determinism.py -rP; docs/determinism.md keeps one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from served import Server

from graphkit.core import machine, registry

LINKS = ["--dataset", "python-imports", "--epochs", "3", "--hidden-dim", "64"]
LABELS = ["--dataset", "digits", "--epochs", "4"]
GRAPHS = [
    "--dataset",
    "pattern:train=8,valid=2,test=2",
    "--epochs",
    "3",
    "--batch-size",
    "4",
    "--num-layers",
    "2",
    "--hidden-dim",
    "32",
]
GENERATED = [*LABELS, "--generator-steps", "10", "--generator-hidden", "64", "--select", "heldout"]
EVENTS = ["--dataset", "repeats:n=60,events=600", "--epochs", "3", "--patience", "0"]
DIM = ["--dataset", "digits", "--dim", "32"]


SAMPLERS = {
    **{name: ("--batch-size", "200") for name in ("neighbor", "labor", "shadow")},
    "cluster": ("--parts", "10"),
    "saint": ("--batch-size", "200"),
}


def rows(names: str, *words: str) -> dict[str, list[str]]:
    """The same words for several names."""
    return {name: list(words) for name in names.split()}


# name of a row -> the words after it; what stands before a slash is the method
LEARNERS = {
    **rows("aa cn jaccard katz pa ppr ra", "--dataset", "python-imports"),
    **rows("gae gae-cn ncn ncn-diff ncn2 ncnc", *LINKS),
    "ncnc2": [*LINKS, "--batch-size", "512", "--split-size", "4096"],
    "ncnc/reweighted": [*LINKS, "--reweight", "tc"],
    **rows("gcn-link sage-link gat-link", *LINKS),
    "sage-link/sampled": [*LINKS, "--sampler", "neighbor"],
    **rows("gat gatedgcn gcn gcnii gin mlp sage", *LABELS),
    **{f"sage/{name}": [*LABELS, "--sampler", name, *words] for name, words in SAMPLERS.items()},
    **rows("gin/graphs gatedgcn/graphs", *GRAPHS),
    "gine": GRAPHS,
    "graphgps": [*GRAPHS, "--pe", "lappe:4:8,rwse:4:8"],
    "graphgps/signnet": [*GRAPHS, "--pe", "signnet-ds:4", "--local", "gine", "--attn", "performer"],
    "graphgps/bigbird": [*GRAPHS, "--pe", "elstatic:8,hkdiag:4:8", "--local", "gat", "--attn", "bigbird"],
    "graph-mamba": [*GRAPHS, "--m", "2"],
    "graph-mamba/nodes": [
        "--dataset",
        "digits",
        "--epochs",
        "2",
        "--m",
        "1",
        "--num-layers",
        "1",
        "--hidden-dim",
        "16",
    ],
    "largegt": [*LABELS, "--k", "10", "--hidden-dim", "32"],
    **rows("lagat lagcn lagcnii lagnn lagrand lasage", *GENERATED),
    "edgebank": EVENTS[:2],
    **rows("jodie nat tgat tgn", *EVENTS),
    "tgn/mean": [*EVENTS, "--aggregator", "mean", "--embedding", "sum", "--num-layers", "2"],
    "nat/attention": [*EVENTS, "--pool", "attention"],
}
EMBEDDERS = {
    **rows("cleora deepwalk fastrp node2vec randne spectral", *DIM),
    **rows("gopmi orbit-adjacency", "--dataset", "digits", "--dim", "32"),
    "rwpmi": [*DIM, "--window", "3"],
}
UNTRAINED = ("aa", "cn", "jaccard", "katz", "pa", "ppr", "ra", "edgebank")
EXTRAS = {"deepwalk": "gensim", "node2vec": "gensim"}


def test_every_method_has_a_row():
    assert {name.partition("/")[0] for name in LEARNERS} == set(registry.names("learner"))
    assert set(EMBEDDERS) == set(registry.names("embedder"))


def test_the_page_has_every_row():
    page = Path(__file__).parent.parent / "docs" / "determinism.md"
    rows = {line.split("|")[1].strip(" `") for line in page.read_text().splitlines() if line.startswith("| `")}
    assert rows == {*LEARNERS, *EMBEDDERS}


class Commands:
    """Runs commands, each in a process of its own."""

    def __init__(self, folder: Path):
        self.environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        self.environment["XDG_CACHE_HOME"] = str(folder / "cache")
        self.log = folder / "log"
        self.server = Server()

    def start(self, *words) -> int:
        self.log.write_text("")
        return self.server.start(*words, environment=self.environment, streams=(os.devnull, self.log, self.log))

    def run(self, *words) -> None:
        code = self.server.wait(self.start(*words))
        assert code == 0, self.log.read_text()[-2000:]


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Two: their processes have other addresses and other seeds of Python's hashes."""
    found = [Commands(tmp_path_factory.mktemp(f"server-{number}")) for number in range(2)]
    yield found
    for commands in found:
        commands.server.close()


def words_of(name: str, rest, out: Path, threads: int):
    return ["train", name.partition("/")[0], *rest, "--threads", threads, "--out", out]


def figures(out: Path):
    """All that a run says and has learned, but for times; a line of the log each evaluation."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        del line["seconds"]
    result = json.loads((out / "result.json").read_text())
    return result["metrics"], result["models"], result["best_epochs"], lines


def difference(first, second) -> float:
    """Largest difference of a metric on the test set."""
    return max(
        abs(a - b)
        for name in first[0]
        for a, b in zip(first[0][name]["test"]["values"], second[0][name]["test"]["values"])
    )


def kill_twice(commands: Commands, words, out: Path) -> list[str]:
    """Kill a run with SIGKILL once it has a checkpoint, and what resumes it with SIGTERM; finish it. Returns the
    signals that hit it.
    """
    hit, before = [], 0
    for name, words_now in (("SIGKILL", words), ("SIGTERM", [*words, "--resume"])):
        number = commands.start(*words_now)
        ended, path = False, out / "checkpoint.pt"
        deadline = time.monotonic() + 900
        while not ended and time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError):
                stamp = path.stat().st_mtime_ns
                if stamp != before:
                    before = stamp
                    break
            ended = (out / "result.json").exists()
            time.sleep(0.0005)
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, getattr(signal, name))
        code = commands.server.wait(number)
        if code:
            assert code == (-signal.SIGKILL if name == "SIGKILL" else 143), commands.log.read_text()[-2000:]
            hit.append(name)
    commands.run(*words, "--resume")
    return hit


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNERS)
def test_learner_gives_the_same_figures(tmp_path, servers, name, record_property):
    rest, threads = LEARNERS[name], min(2, machine.available_cores())
    for number, server in enumerate(servers):
        server.run(*words_of(name, rest, tmp_path / f"run-{number}", threads))
    first, second = (figures(tmp_path / f"run-{number}") for number in range(2))
    assert first == second
    hit = (
        []
        if name in UNTRAINED
        else kill_twice(servers[0], words_of(name, rest, tmp_path / "cut", threads), tmp_path / "cut")
    )
    if name not in UNTRAINED:
        assert figures(tmp_path / "cut") == first
    servers[0].run(*words_of(name, rest, tmp_path / "one", 1))
    alone = figures(tmp_path / "one")
    apart = "equal" if alone == first else f"{difference(alone, first):.2g}"
    record_property("threads 1 against 2", apart)
    print(f"| `{name}` | equal | {', '.join(hit) + ': equal' if hit else 'nothing is trained'} | {apart} |")


@pytest.mark.slow
@pytest.mark.parametrize("name", EMBEDDERS)
def test_embedder_gives_the_same_vectors(tmp_path, servers, name, record_property):
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name])
    threads, found = min(2, machine.available_cores()), []
    for number, (server, count) in enumerate(((servers[0], threads), (servers[1], threads), (servers[0], 1))):
        out = tmp_path / f"{number}.npy"
        server.run("embed", "--method", name, *EMBEDDERS[name], "--threads", count, "-o", out)
        found.append(np.load(out))
    assert np.array_equal(found[0], found[1])
    apart = (
        "equal"
        if np.array_equal(found[0], found[2])
        else f"{np.abs(found[0] - found[2]).max() / np.abs(found[0]).max():.2g}"
    )
    record_property("threads 1 against 2", apart)
    print(f"| `{name}` | equal | - | {apart} |")
