"""NCN's training step in graphkit and the same model in PyTorch Geometric, as a ratio from one run.

Both train the model of the paper preset on the same graph with the same batches, each in processes of its own,
alternating; peak memory and the first step, which compiles, are reported apart. The peer is plain torch and
torch_geometric, without the compiled extensions: adjacency as a coalesced sparse tensor rebuilt for each batch, common
neighbours as the elementwise product of sparse rows, features dense.

    python benchmarks/bench_ncn_step.py --dataset cora --peer-python .venv-pyg/bin/python --steps 20 --threads 2

where .venv-pyg is a virtual environment with torch and torch_geometric.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import peers

OPTIONS = (
    "hidden_dim",
    "feature_dropout",
    "hidden_dropout",
    "propagation_dropout",
    "predictor_dropout",
    "predictor_edge_dropout",
    "lr",
    "predictor_lr",
    "batch_size",
    "two_layer_lin",
)


def write_problem(dataset_name: str, folder: Path) -> None:
    """Save graph, features and options so that the peer's process needs no graphkit."""
    import numpy as np

    from graphkit import datasets
    from graphkit.core import registry

    dataset = datasets.load(dataset_name, task="link")
    config = registry.resolve_config("ncn", dataset_name)
    options = {name: getattr(config, name) for name in OPTIONS}
    features = dataset.features
    if features is None:
        features = np.eye(dataset.num_nodes, dtype=np.float32)
    np.savez(folder / "problem.npz", pos=dataset.split.train.pos, features=np.asarray(features), n=dataset.num_nodes)
    (folder / "options.json").write_text(json.dumps({"dataset": dataset_name, **options}))


def ours(folder: Path):
    """Return the learner's parameter count and a function that does one step."""
    import numpy as np
    import torch

    from graphkit import datasets
    from graphkit.core import registry

    name = json.loads((folder / "options.json").read_text())["dataset"]
    torch.manual_seed(0)
    learner = registry.method("ncn")(registry.resolve_config("ncn", name))
    learner.prepare(datasets.load(name, task="link"), seed=0, device="cpu")
    learner.model.train()
    step, stream = (
        peers.train_step(learner),
        _endless(lambda epoch: learner.batches(epoch, np.random.default_rng(epoch))),
    )
    return learner.parameter_count(), lambda: step(next(stream))


def _endless(batches_of):
    epoch = 0
    while True:
        yield from batches_of(epoch)
        epoch += 1


def peer_model(features, n: int, o: dict):
    """NCN from its description in torch and torch_geometric (puregcn, one layer)."""
    import torch
    from torch import nn
    from torch.nn import functional
    from torch_geometric.nn.conv.gcn_conv import gcn_norm

    d, drop = o["hidden_dim"], o["predictor_dropout"]

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

    return NCN()


def peer(folder: Path):
    """Return that model's parameter count and a function that does one step, target edges taken out of the graph."""
    import numpy as np
    import torch
    from torch.nn import functional
    from torch_geometric.utils import negative_sampling, to_undirected

    data = np.load(folder / "problem.npz")
    o = json.loads((folder / "options.json").read_text())
    n, pos = int(data["n"]), torch.from_numpy(data["pos"])
    torch.manual_seed(0)
    model = peer_model(torch.from_numpy(data["features"]), n, o)
    encoder = [*model.input.parameters(), model.jump]
    known = {id(p) for p in encoder}
    rest = [p for p in model.parameters() if id(p) not in known]
    optimizer = torch.optim.Adam([{"params": encoder, "lr": o["lr"]}, {"params": rest, "lr": o["predictor_lr"]}])
    size = min(o["batch_size"], len(pos) // 2)
    everything = to_undirected(pos.t(), num_nodes=n)

    def batches(_):
        negatives = negative_sampling(everything, n, len(pos)).t()
        for chosen in torch.randperm(len(pos)).split(size):
            if len(chosen) == size:
                yield chosen, negatives[chosen % len(negatives)]

    stream = _endless(batches)

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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="cora")
    parser.add_argument("--steps", type=int, default=20)
    peers.add_arguments(parser, rounds=3)
    given = parser.parse_args()
    if given.side:
        parameters, step = {"graphkit": ours, "peer": peer}[given.side](Path(given.folder))
        peers.measure(step, given.steps, parameters=parameters)
    elif given.peer_python is None:
        parser.error("--peer-python is missing; see the example above")
    else:
        title = f"NCN training step on {given.dataset}, {given.steps} steps a round"
        peers.compare(
            __file__, title, partial(write_problem, given.dataset), ["--steps", given.steps], given, (1, "steps")
        )
