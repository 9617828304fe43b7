"""An epoch of GIN and of GraphGPS over molecules in graphkit and the same model in PyTorch Geometric, as a ratio from
one run.

Both train on the same graphs in batches of the same size, each in processes of its own, alternating. gin: the network
of OGB's example (bond vectors in the messages, BatchNorm, mean over nodes). graphgps: the layers of the paper with GINE
beside full attention, without encodings. The peer is plain torch and torch_geometric (GINEConv, GPSConv, DataLoader);
collecting the batches is part of the epoch on both sides. An epoch before the timed ones warms up and is reported
apart.

    python benchmarks/bench_graph_epoch.py --peer-python .venv-pyg/bin/python --graphs 2048 --epochs 3 --threads 2

where .venv-pyg is a virtual environment with torch and torch_geometric. ``--dataset ogbg-molhiv`` takes the real
molecules, where their files and RDKit are; the default draws trees with rings of their size (25.5 atoms and 27.5 bonds
on average), which time the same.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import peers

ATOM, BOND = (119, 5, 12, 12, 10, 6, 6, 2, 2), (5, 6, 2)  # categories of OGB's columns
OPTIONS = {
    "gin": {
        "hidden_dim": 300,
        "num_layers": 5,
        "dropout": 0.5,
        "norm": "batch",
        "last_act": False,
        "mlp_factor": 2,
        "learn_eps": True,
        "edge_features": True,
        "lr": 0.001,
    },
    "graphgps": {
        "local": "gine",
        "attn": "transformer",
        "hidden_dim": 64,
        "num_layers": 5,
        "heads": 4,
        "dropout": 0.05,
        "attn_dropout": 0.5,
        "norm": "batch",
        "pe": "none",
        "pool": "mean",
        "lr": 0.001,
    },
}


def write_problem(dataset: str | None, count: int, options: dict, folder: Path) -> None:
    """Save the graphs end to end, with labels, so that the peer's process needs no graphkit."""
    import numpy as np

    arrays = _molecules(dataset, count) if dataset else _drawn(count)
    np.savez(folder / "problem.npz", **dict(zip(("nodes", "edges", "src", "dst", "x", "e", "y"), arrays)))
    (folder / "options.json").write_text(json.dumps(options))


def _molecules(name: str, count: int):
    import numpy as np

    from graphkit import datasets

    data = datasets.load(name, task="graph")
    chosen = data.split.train[:count]
    graphs = [data.graphs[k] for k in chosen]
    ends = [graph.edges(order="eid") for graph in graphs]
    src, dst = (np.concatenate([pair[k].numpy() for pair in ends]) for k in (0, 1))
    x, e = (
        np.concatenate([frame["feat"].numpy() for frame in frames])
        for frames in ([graph.ndata for graph in graphs], [graph.edata for graph in graphs])
    )
    sizes = ([graph.num_nodes() for graph in graphs], [graph.num_edges() for graph in graphs])
    return (
        *(np.array(size) for size in sizes),
        src,
        dst,
        x,
        e,
        np.asarray(data.graph_labels)[chosen].reshape(-1, 1).astype(np.float32),
    )


def _drawn(count: int):
    """Random trees of the size of molecules, with two more bonds than a tree has, and random categories."""
    import numpy as np

    rng = np.random.default_rng(0)
    nodes = np.clip(rng.poisson(24.5, count) + 1, 4, None)
    src, dst, edges = [], [], []
    for n in nodes:
        # A new atom hangs on one of the four before it: degrees stay small, as in a molecule.
        parents = [max(0, k - 1 - int(rng.integers(4))) for k in range(1, n)]
        more = [(0, n // 2), (n // 3, n - 1)]
        u = np.array([*range(1, n), *(a for a, _ in more)])
        v = np.array([*parents, *(b for _, b in more)])
        src += [u, v]
        dst += [v, u]
        edges.append(2 * len(u))
    src, dst = np.concatenate(src), np.concatenate(dst)
    x = np.stack([rng.integers(size, size=nodes.sum()) for size in ATOM], axis=1)
    e = np.stack([rng.integers(size, size=len(src)) for size in BOND], axis=1)
    return nodes, np.array(edges), src, dst, x, e, rng.integers(2, size=(count, 1)).astype(np.float32)


def ours(model: str, folder: Path, batch_size: int):
    """Return the learner's parameter count and a function that trains one epoch."""
    import dgl
    import numpy as np
    import torch

    from graphkit.core import registry
    from graphkit.datasets.base import GraphDataset, GraphSplit

    data = dict(np.load(folder / "problem.npz"))
    nodes, edges = (np.concatenate([[0], np.cumsum(data[key])]) for key in ("nodes", "edges"))
    graphs = []
    for k in range(len(data["nodes"])):
        a, b = edges[k], edges[k + 1]
        graph = dgl.graph((data["src"][a:b], data["dst"][a:b]), num_nodes=int(data["nodes"][k]))
        graph.ndata["feat"], graph.edata["feat"] = (
            torch.from_numpy(data["x"][nodes[k] : nodes[k + 1]]),
            torch.from_numpy(data["e"][a:b]),
        )
        graphs.append(graph)
    everything = np.arange(len(graphs))
    dataset = GraphDataset(
        "molecules",
        graphs=graphs,
        graph_labels=torch.from_numpy(data["y"]),
        task="graph",
        metric="rocauc",
        split=GraphSplit(everything, everything[:1], everything[:1]),
    )
    options = {**json.loads((folder / "options.json").read_text()), "batch_size": batch_size, "epochs": 10**6}
    torch.manual_seed(0)
    learner = registry.method(model)(registry.resolve_config(model, overrides=options, preset=None))
    learner.prepare(dataset, seed=0, device="cpu")
    learner.model.train()
    step, number = peers.train_step(learner), 0

    def epoch() -> float:
        nonlocal number
        number += 1
        loss = 0.0
        for batch in learner.batches(number, np.random.default_rng(number)):
            loss = step(batch)
        return loss

    return learner.parameter_count(), epoch


def peer(model: str, folder: Path, batch_size: int):
    """The same model from its description in torch and torch_geometric."""
    import numpy as np
    import torch
    from torch.nn import functional
    from torch_geometric.data import Data
    from torch_geometric.loader import DataLoader

    data = {key: torch.from_numpy(value) for key, value in np.load(folder / "problem.npz").items()}
    x, e = data["x"].split(data["nodes"].tolist()), data["e"].split(data["edges"].tolist())
    index = torch.stack([data["src"], data["dst"]]).split(data["edges"].tolist(), dim=1)
    graphs = [Data(x=x[k], edge_index=index[k], edge_attr=e[k], y=data["y"][k : k + 1]) for k in range(len(x))]
    options = json.loads((folder / "options.json").read_text())
    sizes = [[int(column.max()) + 1 for column in data[key].T] for key in ("x", "e")]
    torch.manual_seed(0)
    network = {"gin": _peer_gin, "graphgps": _peer_gps}[model](options, *sizes)
    optimizer = torch.optim.Adam(network.parameters(), lr=options["lr"])
    loader = DataLoader(graphs, batch_size=batch_size, shuffle=True)
    network.train()

    def epoch() -> float:
        for batch in loader:
            optimizer.zero_grad(set_to_none=True)
            loss = functional.binary_cross_entropy_with_logits(network(batch), batch.y)
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    return sum(p.numel() for p in network.parameters()), epoch


def _categories(sizes, width):
    from torch import nn

    class Categories(nn.Module):
        def __init__(self):
            super().__init__()
            self.tables = nn.ModuleList(nn.Embedding(size + 1, width) for size in sizes)

        def forward(self, x):
            return sum(table(x[:, k]) for k, table in enumerate(self.tables))

    return Categories()


def _peer_gin(o, atoms, bonds):
    from torch import nn
    from torch.nn import functional
    from torch_geometric.nn import GINEConv, global_mean_pool

    d = o["hidden_dim"]

    def conv():
        inner = o["mlp_factor"] * d
        return GINEConv(
            nn.Sequential(nn.Linear(d, inner), nn.BatchNorm1d(inner), nn.ReLU(), nn.Linear(inner, d)), train_eps=True
        )

    class GIN(nn.Module):
        def __init__(self):
            super().__init__()
            self.atoms, self.head = _categories(atoms, d), nn.Linear(d, 1)
            self.bonds = nn.ModuleList(_categories(bonds, d) for _ in range(o["num_layers"]))
            self.convs = nn.ModuleList(conv() for _ in range(o["num_layers"]))
            self.norms = nn.ModuleList(nn.BatchNorm1d(d) for _ in range(o["num_layers"]))

        def forward(self, batch):
            h = self.atoms(batch.x)
            for k, (bonds, conv, norm) in enumerate(zip(self.bonds, self.convs, self.norms)):
                h = norm(conv(h, batch.edge_index, bonds(batch.edge_attr)))
                h = functional.dropout(
                    functional.relu(h) if k < len(self.convs) - 1 else h, o["dropout"], training=self.training
                )
            return self.head(global_mean_pool(h, batch.batch))

    return GIN()


def _peer_gps(o, atoms, bonds):
    from torch import nn
    from torch_geometric.nn import GINEConv, GPSConv, global_mean_pool

    d = o["hidden_dim"]

    def layer():
        conv = GINEConv(nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d)))
        return GPSConv(d, conv, heads=o["heads"], dropout=o["dropout"], attn_kwargs={"dropout": o["attn_dropout"]})

    class GPS(nn.Module):
        def __init__(self):
            super().__init__()
            self.atoms, self.bonds, self.head = _categories(atoms, d), _categories(bonds, d), nn.Linear(d, 1)
            self.layers = nn.ModuleList(layer() for _ in range(o["num_layers"]))

        def forward(self, batch):
            h, e = self.atoms(batch.x), self.bonds(batch.edge_attr)
            for layer in self.layers:
                h = layer(h, batch.edge_index, batch.batch, edge_attr=e)
            return self.head(global_mean_pool(h, batch.batch))

    return GPS()


def main() -> None:
    """Parse the command line; run one side, or compare both for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=list(OPTIONS), help="one of them; omitted: both")
    parser.add_argument("--dataset", help="a data set of graphs with atom and bond categories, such as ogbg-molhiv")
    parser.add_argument("--graphs", type=int, default=2048)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    peers.add_arguments(parser, rounds=2)
    given = parser.parse_args()
    if given.side:
        import torch

        torch.set_num_threads(given.threads)
        parameters, epoch = {"graphkit": ours, "peer": peer}[given.side](
            given.model, Path(given.folder), given.batch_size
        )
        peers.measure(epoch, given.epochs, parameters=parameters)
        return
    if given.peer_python is None:
        parser.error("--peer-python is missing; see the example above")
    for name in [given.model] if given.model else OPTIONS:
        graphs = f"{given.graphs} graphs of {given.dataset or 'molecule size'} in batches of {given.batch_size}"
        words = ["--model", name, "--epochs", given.epochs, "--batch-size", given.batch_size]
        problem = partial(write_problem, given.dataset, given.graphs, OPTIONS[name])
        title = f"{name}: epoch over {graphs}, {given.epochs} epochs a round"
        peers.compare(__file__, title, problem, words, given, (given.graphs, "graphs"))


if __name__ == "__main__":
    main()
