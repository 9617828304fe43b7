"""NCN's training step in graphkit and the same model in PyTorch Geometric, as a ratio from one run.

Both train the model of the paper preset on the same graph with the same batches, each in processes of its own, alternating; peak
memory and the first step, which compiles, are reported apart. The peer is plain torch and torch_geometric, without the
compiled extensions: adjacency as a coalesced sparse tensor rebuilt for each batch, common neighbours as the elementwise
product of sparse rows, features dense.

    python benchmarks/bench_ncn_step.py --dataset cora --peer-python .venv-pyg/bin/python --steps 20 --threads 2

where .venv-pyg is a virtual environment with torch and torch_geometric.
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
from pathlib import Path

OPTIONS = (
    "hidden_dim", "feature_dropout", "hidden_dropout", "propagation_dropout", "predictor_dropout", "predictor_edge_dropout",
    "lr", "predictor_lr", "batch_size", "two_layer_lin",
)  # fmt: skip


def write_problem(dataset_name: str, folder: Path) -> None:
    """Save graph, features and options so that the peer's process needs no graphkit."""
    import numpy as np

    from graphkit import datasets, registry

    dataset = datasets.load(dataset_name, task="link")
    config = registry.resolve_config("ncn", dataset_name)
    options = {name: getattr(config, name) for name in OPTIONS}
    features = dataset.features
    if features is None:
        features = np.eye(dataset.num_nodes, dtype=np.float32)
    np.savez(folder / "problem.npz", pos=dataset.split.train.pos, features=np.asarray(features), n=dataset.num_nodes)
    (folder / "options.json").write_text(json.dumps({"dataset": dataset_name, **options}))


def ours(folder: Path):
    """Yield the learner's parameter count, then a function that does one step."""
    import numpy as np
    import torch

    from graphkit import datasets, registry

    name = json.loads((folder / "options.json").read_text())["dataset"]
    torch.manual_seed(0)
    learner = registry.method("ncn")(registry.resolve_config("ncn", name))
    learner.prepare(datasets.load(name, task="link"), seed=0, device="cpu")
    learner.model.train()

    def batches():
        epoch = 0
        while True:
            yield from learner.batches(epoch, np.random.default_rng(epoch))
            epoch += 1

    stream = batches()

    def step():
        batch = next(stream)
        for optimizer in learner.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss = learner.loss(batch)
        loss.backward()
        for optimizer in learner.optimizers:
            optimizer.step()
        return float(loss.detach())

    return learner.parameter_count(), step


def peer(folder: Path):
    """The same model written from its description in torch and torch_geometric (puregcn, one layer, TLR)."""
    import numpy as np
    import torch
    from torch import nn
    from torch.nn import functional
    from torch_geometric.nn.conv.gcn_conv import gcn_norm
    from torch_geometric.utils import negative_sampling, to_undirected

    data = np.load(folder / "problem.npz")
    o = json.loads((folder / "options.json").read_text())
    n, d, drop = int(data["n"]), o["hidden_dim"], o["predictor_dropout"]
    pos, features = torch.from_numpy(data["pos"]), torch.from_numpy(data["features"])

    def stage(norm):
        return [nn.Linear(d, d), *([nn.LayerNorm(d)] if norm else []), nn.Dropout(drop), nn.ReLU()]

    class NCN(nn.Module):
        def __init__(self):
            super().__init__()
            self.input, self.jump = nn.Linear(features.shape[1], d), nn.Parameter(torch.randn(1))
            self.node, self.pool = (nn.Sequential(*stage(False), *stage(True)) for _ in range(2))
            self.pair, self.beta = nn.Sequential(*stage(True)), nn.Parameter(torch.ones(1))
            stages = [m for _ in range(2 if o["two_layer_lin"] else 1) for m in stage(True)]
            self.out = nn.Sequential(*stages, nn.Linear(d, 1))

        def forward(self, edges, pairs):
            x = functional.dropout(features, o["feature_dropout"])
            x = functional.dropout(self.input(x), o["hidden_dropout"])
            index, weight = gcn_norm(edges, num_nodes=n, add_self_loops=True)
            x = torch.sparse.mm(torch.sparse_coo_tensor(index, weight, (n, n)), x)
            h = self.jump * functional.dropout(x, o["propagation_dropout"])
            kept = edges[:, torch.rand(edges.shape[1]) >= o["predictor_edge_dropout"]]
            adjacency = torch.sparse_coo_tensor(kept, torch.ones(kept.shape[1]), (n, n)).coalesce()
            common = adjacency.index_select(0, pairs[:, 0]) * adjacency.index_select(0, pairs[:, 1])
            pooled = torch.sparse.mm(common, h + self.node(h))
            return self.out(self.beta * self.pool(pooled) + self.pair(h[pairs[:, 0]] * h[pairs[:, 1]])).squeeze(1)

    torch.manual_seed(0)
    model = NCN()
    encoder = [*model.input.parameters(), model.jump]
    known = {id(p) for p in encoder}
    rest = [p for p in model.parameters() if id(p) not in known]
    optimizer = torch.optim.Adam([{"params": encoder, "lr": o["lr"]}, {"params": rest, "lr": o["predictor_lr"]}])
    size = min(o["batch_size"], len(pos) // 2)
    everything = to_undirected(pos.t(), num_nodes=n)

    def batches():
        while True:
            negatives = negative_sampling(everything, n, len(pos)).t()
            for chosen in torch.randperm(len(pos)).split(size):
                if len(chosen) == size:
                    yield chosen, negatives[chosen % len(negatives)]

    stream = batches()

    def step():
        chosen, negative = next(stream)
        left = torch.ones(len(pos), dtype=torch.bool)
        left[chosen] = False
        logits = model(to_undirected(pos[left].t(), num_nodes=n), torch.cat([pos[chosen], negative]))
        loss = functional.softplus(-logits[:size]).mean() + functional.softplus(logits[size:]).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return sum(p.numel() for p in model.parameters()), step


def measure(make, folder: Path, steps: int) -> None:
    """Time steps in this process and print the figures as JSON."""
    parameters, step = make(folder)
    started = time.perf_counter()
    first_loss = step()
    warm_up = time.perf_counter() - started
    seconds = []
    for _ in range(steps):
        started = time.perf_counter()
        loss = step()
        seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"best": min(seconds), "median": statistics.median(seconds), "warm_up": warm_up, "peak_rss_mb": peak}
    print(json.dumps({**figures, "parameters": parameters, "first_loss": first_loss, "last_loss": loss}))


def compare(arguments) -> None:
    """Run both sides in turn and print their figures and ratios."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads), "NUMBA_NUM_THREADS": str(arguments.threads)}
    environment.update(MKL_NUM_THREADS=str(arguments.threads), OMP_WAIT_POLICY="PASSIVE")
    with tempfile.TemporaryDirectory() as folder:
        write_problem(arguments.dataset, Path(folder))
        found: dict[str, list] = {"graphkit": [], "peer": []}
        for _ in range(arguments.rounds):
            for side, python in (("graphkit", sys.executable), ("peer", arguments.peer_python)):
                command = [python, __file__, "--side", side, "--folder", folder, "--steps", str(arguments.steps)]
                done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
                found[side].append(json.loads(done.stdout.splitlines()[-1]))
    best = {side: min(run["best"] for run in runs) for side, runs in found.items()}
    median = {side: statistics.median(run["median"] for run in runs) for side, runs in found.items()}
    print(f"NCN training step on {arguments.dataset}, {arguments.threads} threads, {arguments.rounds} x {arguments.steps} steps")
    for side, runs in found.items():
        peak, warm_up = max(run["peak_rss_mb"] for run in runs), min(run["warm_up"] for run in runs)
        print(
            f"{side:9s} best {best[side] * 1000:8.1f} ms  median {median[side] * 1000:8.1f} ms  first step {warm_up:6.2f} s  "
            f"peak {peak:6.0f} MB  {runs[0]['parameters']:,} parameters"
        )
    print(f"ratio peer / graphkit: best {best['peer'] / best['graphkit']:.2f}, median {median['peer'] / median['graphkit']:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="cora")
    parser.add_argument("--peer-python", help="Python of an environment with torch and torch_geometric")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", choices=["graphkit", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        measure({"graphkit": ours, "peer": peer}[given.side], Path(given.folder), given.steps)
    elif given.peer_python is None:
        parser.error("--peer-python is missing; see the example above")
    else:
        compare(given)
