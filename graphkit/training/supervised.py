"""The learner of node and graph labels: data, batches, loss and prediction; a method adds its model.

One class serves three shapes of data: one graph whose nodes are labelled, many labelled graphs, and many graphs whose
nodes are labelled (one disconnected graph with ``ndata["_graph"]``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import dgl
import numpy as np
import torch

from graphkit.core.errors import DataError, UsageError
from graphkit.core.options import SupervisedConfig
from graphkit.nn.inputs import Dims
from graphkit.sampling.graphs import GraphSet
from graphkit.sampling.nodes import NodeSampler
from graphkit.training.learner import Learner
from graphkit.training.targets import Targets


class Batch(NamedTuple):
    """What a step sees.

    graph: DGLGraph, batched for many graphs, or a list of blocks; holds the ``_`` data that ``prepare_graph`` added. x:
    (n, F) features, categories, or node numbers where nodes have a learned vector, or None. e: (m, Fe), a list of them
    for blocks, or None. rows: rows of the output that are scored, None for all. y: their targets. nodes: (k,) nodes of
    the whole graph.
    """

    graph: Any
    x: torch.Tensor | None
    e: Any
    rows: torch.Tensor | None
    y: torch.Tensor
    nodes: torch.Tensor | None = None

    def to(self, device: str) -> Batch:
        """The same on a device."""
        return Batch(*(_moved(part, device) for part in self))


def _moved(part, device):
    if isinstance(part, list):
        return [piece.to(device) for piece in part]
    return part if part is None else part.to(device)


class SupervisedLearner(Learner):
    """Base of the methods that learn labels; a method implements :meth:`build` and may override the hooks below it.

    The model is called ``model(graph, x, e)`` and returns a row of logits per destination node, or per graph for a
    graph task.
    """

    Config = SupervisedConfig
    config: SupervisedConfig

    def build(self, dims: Dims) -> torch.nn.Module:
        """Return the model for data of these sizes; torch's generator is already seeded."""
        raise NotImplementedError

    def prepare_graph(self, graph):
        """Return a graph with what the model needs, such as self-loops, or encodings as ``ndata["_..."]``."""
        return graph

    def prepare_all(self, graphs: list) -> list:
        """Prepare several graphs; overridden where they are better done together."""
        return [self.prepare_graph(graph) for graph in graphs]

    def sampled_layers(self) -> int:
        """Layers of neighbours that a sampler has to draw."""
        return getattr(self.config, "num_layers", 1)

    def prepare(self, dataset, *, seed: int, device: str) -> None:
        """Read the labels, prepare the graphs, build model and optimiser."""
        self.dataset, self.device, self.seed = dataset, device, seed
        self.targets = Targets.of(dataset).to(device)
        self.set, self.whole = self._read(dataset)
        first = self.set.whole if self.set is not None else self.whole
        x, e = first.ndata.get("feat"), first.edata.get("feat")
        self.dims = Dims(
            in_dim=_columns(x),
            edge_dim=_columns(e),
            out_dim=self.targets.out_dim,
            task=dataset.task,
            node_tables=_tables(x),
            edge_tables=_tables(e),
            num_nodes=0 if self.whole is None else self.whole.num_nodes(),
        )
        self.model = self.build(self.dims).to(device)
        self.optimizers = [self.make_optimizer()]
        self.rates = [group["lr"] for group in self.optimizers[0].param_groups]
        self._logits: torch.Tensor | None = None
        if self.whole is None and self.config.sampler != "full":
            raise UsageError(
                f"--sampler is {self.config.sampler!r}, but {dataset.name} holds many graphs, which --batch-size groups"
            )
        self.sampler = self._make_sampler() if self.whole is not None and self.config.epochs else None

    def _read(self, dataset):
        """Return (graphs laid end to end or None, the one graph or None), prepared and stripped of labels."""
        if dataset.graphs is not None:
            return GraphSet.from_graphs(self.prepare_all([self._bare(graph) for graph in dataset.graphs])), None
        owner = dataset.graph.ndata.get("_graph")
        if owner is None:
            return None, self.prepare_all([self._bare(dataset.graph)])[0]
        parts = GraphSet.from_parts(self._bare(dataset.graph), owner)
        numbers = torch.arange(len(parts))
        graphs = self.prepare_all([parts.batch(numbers[k : k + 1]) for k in range(len(parts))])
        return GraphSet.from_graphs(graphs), None

    def _bare(self, graph):
        bare = dgl.graph(graph.edges(order="eid"), num_nodes=graph.num_nodes())
        if (x := graph.ndata.get("feat")) is not None and x.shape[1]:
            bare.ndata["feat"] = _row_normalized(x) if self.config.row_normalize else x
        if (e := graph.edata.get("feat")) is not None:
            bare.edata["feat"] = e
        return bare

    def make_optimizer(self) -> torch.optim.Optimizer:
        """Return the optimiser of the model's parameters."""
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[self.config.optimizer]
        # One call for all parameters: of a small model a step would else be mostly Python.
        return kind(self.model.parameters(), lr=self.config.lr, weight_decay=self.config.weight_decay, foreach=True)

    def _make_sampler(self):
        config = self.config
        if config.sampler == "full":
            return None
        return NodeSampler(
            self.whole.cpu(),
            self.dataset.split.train,
            name=config.sampler,
            num_layers=self.sampled_layers(),
            batch_size=config.batch_size,
            fanout=config.fanout,
            parts=config.parts,
            parts_per_batch=config.parts_per_batch,
            saint_mode=config.saint_mode,
            saint_budget=config.saint_budget,
            workers=config.workers,
        )

    def batches(self, epoch: int, generator: np.random.Generator) -> Iterator[Batch]:
        """Yield an epoch's batches: the whole graph once, a sampler's pieces, or groups of graphs."""
        if self.set is not None:
            yield from self._graph_batches(generator)
        elif self.sampler is None:
            yield self.full_batch("train")
        else:
            for piece in self.sampler.batches(generator):
                yield self._piece(piece)

    def full_batch(self, split: str) -> Batch:
        """The whole graph, with the nodes of a split to score."""
        rows = torch.from_numpy(np.asarray(getattr(self.dataset.split, split)))
        graph = self.whole = self.whole.to(self.device)
        rows = rows.to(self.device)
        return Batch(
            _stripped(graph), graph.ndata.get("feat"), graph.edata.get("feat"), rows, self.targets.values[rows]
        )

    def _piece(self, piece) -> Batch:
        """A sampler's piece with the data of its nodes and edges, those that ``prepare_graph`` added too."""
        whole, blocks = self.whole, piece.graph if isinstance(piece.graph, list) else [piece.graph]
        nodes, edges = piece.nodes.to(whole.device), [block.edata[dgl.EID].to(whole.device) for block in blocks]
        x = nodes if "feat" not in whole.ndata else whole.ndata["feat"][nodes]
        e = None if "feat" not in whole.edata else [whole.edata["feat"][ids] for ids in edges]
        graphs = [_with_own_data(block.to(whole.device), whole, ids) for block, ids in zip(blocks, edges)]
        y = self.targets.values[piece.seeds.to(self.device)]
        if not isinstance(piece.graph, list):
            graphs, e = graphs[0], e if e is None else e[0]
        return Batch(graphs, x, e, piece.rows, y, piece.nodes).to(self.device)

    def _graph_batches(self, generator) -> Iterator[Batch]:
        numbers = self._graph_numbers("train")
        size, steps = self.config.batch_size, self.config.steps
        if steps:
            parts = [generator.permutation(numbers)[:size] for _ in range(steps)]
        else:
            order = generator.permutation(numbers)
            parts = [order[at : at + size] for at in range(0, len(order), size)]
        for part in parts:
            yield self.graph_batch(torch.from_numpy(part), "train")

    def _graph_numbers(self, split: str) -> np.ndarray:
        part = getattr(self.dataset.split, split)
        return np.asarray(part) if self.dataset.task == "graph" else np.unique(self.set.owners()[part])

    def graph_batch(self, numbers: torch.Tensor, split: str | None = None) -> Batch:
        """The graphs with these numbers; for node labels, with the nodes of the split to score."""
        graph = self.set.batch(numbers)
        if self.dataset.task == "graph":
            rows, nodes, y = None, None, self.targets.values[numbers.to(self.device)]
        else:
            nodes = self.set.nodes(numbers)
            rows = (
                torch.isin(nodes, torch.from_numpy(np.asarray(getattr(self.dataset.split, split)))).nonzero().squeeze(1)
            )
            y = self.targets.values[nodes[rows].to(self.device)]
        batch = Batch(_stripped(graph), graph.ndata.get("feat"), graph.edata.get("feat"), rows, y, nodes)
        return batch.to(self.device)

    def forward(self, graph, x, e) -> torch.Tensor:
        """Logits of a batch's graph; overridden where the model sees more than the graph and its features."""
        return self.model(graph, x, e)

    def loss(self, batch: Batch) -> torch.Tensor:
        """The loss of the batch's scored rows."""
        logits = self.forward(batch.graph, batch.x, batch.e)
        logits = logits if batch.rows is None else logits[batch.rows]
        return self.targets.loss(logits, batch.y, self.config.class_weights)

    def on_epoch_start(self, epoch: int) -> None:
        """Set the learning rate of the epoch."""
        factor = schedule_factor(self.config, epoch)
        for group, rate in zip(self.optimizers[0].param_groups, self.rates):
            group["lr"] = rate * factor

    def on_backward_end(self) -> None:
        """Clip the gradient where asked to."""
        if self.config.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)

    def on_step_end(self) -> None:
        """Forget the logits of the weights before."""
        self._logits = None

    def load_state_dict(self, state) -> None:
        """Restore the model and forget the logits of the weights before."""
        self._logits = None
        super().load_state_dict(state)

    def predict(self, split: str) -> dict[str, torch.Tensor]:
        """``y_true`` and ``y_pred`` of a split."""
        if self.set is None:
            rows = torch.from_numpy(np.asarray(getattr(self.dataset.split, split))).to(self.device)
            return self.targets.predictions(self.node_logits()[rows], rows)
        found, at = [], []
        for part in torch.from_numpy(self._graph_numbers(split)).split(self.config.eval_batch_size):
            batch = self.graph_batch(part, split)
            logits = self.forward(batch.graph, batch.x, batch.e)
            found.append(logits if batch.rows is None else logits[batch.rows])
            at.append(part if batch.rows is None else batch.nodes[batch.rows])
        return self.targets.predictions(torch.cat(found), torch.cat(at).to(self.device))

    def node_logits(self) -> torch.Tensor:
        """(n, out_dim) logits of all nodes of the one graph, kept until the weights change."""
        if self._logits is None:
            batch = self.full_batch("train")
            self._logits = self.forward(batch.graph, batch.x, batch.e).detach()
        return self._logits

    def last_layers(self) -> list[torch.nn.Module]:
        """The parts of the model that turn vectors of nodes or graphs into logits, each called with one (rows, d)
        tensor of them.

        Raises :class:`UsageError` for a method that does not name them.
        """
        raise UsageError(f"--vectors: {type(self).__name__} names no layer that reads vectors of nodes or graphs")

    def logits(self) -> torch.Tensor:
        """Logits of every node, or graph, of the learner's own data set; the model is in evaluation mode."""
        self.model.eval()
        with torch.no_grad():
            return self.node_logits() if self.set is None else self._all_logits()

    def logits_of(self, dataset) -> torch.Tensor:
        """Logits of every node, or graph, of another data set with the same features; the model is in evaluation mode.

        Raises :class:`DataError` where the features differ, :class:`UsageError` where nodes have learned vectors, which
        those of another graph lack.
        """
        self.model.eval()
        mine = (self.set, self.whole, self.targets, self.dataset, self._logits)
        try:
            self.dataset = dataset  # which errors name
            graphs, whole = self._read(dataset)
            self._check_inductive(graphs.whole if graphs is not None else whole)
            self.set, self.whole, self._logits = graphs, whole, None
            with torch.no_grad():
                return self._all_logits()
        finally:
            self.set, self.whole, self.targets, self.dataset, self._logits = mine

    def _all_logits(self) -> torch.Tensor:
        if self.set is None:
            graph = self.whole.to(self.device)
            return self.forward(_stripped(graph), graph.ndata.get("feat"), graph.edata.get("feat"))
        found = []
        for part in torch.arange(len(self.set)).split(self.config.eval_batch_size):
            graph = self.set.batch(part).to(self.device)
            found.append(self.forward(_stripped(graph), graph.ndata.get("feat"), graph.edata.get("feat")))
        return torch.cat(found)

    def _check_inductive(self, graph) -> None:
        """Compare a new graph's features with those of training; whole numbers and categories become what the model
        takes.
        """
        kinds = (
            ("node", graph.ndata, self.dims.in_dim, self.dims.node_tables),
            ("edge", graph.edata, self.dims.edge_dim, self.dims.edge_tables),
        )
        for what, data, expected, tables in kinds:
            found = _columns(values := data.get("feat"))
            if found != expected:
                raise DataError(f"the data have {found} {what} features, expected {expected} as in training")
            if found and tables is None:
                data["feat"] = values.float()
            elif found and values.is_floating_point():
                if not torch.equal(values, values.round()):
                    raise DataError(
                        f"the data have {what} features that are no whole numbers, expected categories as in training"
                    )
                data["feat"] = values.long()
        if self.dims.in_dim == 0 and self.dims.num_nodes:
            raise UsageError(
                "the model learned a vector for each node of its graph: it cannot label the nodes of another one"
            )


def schedule_factor(config: SupervisedConfig, epoch: int) -> float:
    """Factor of the learning rate in an epoch, counted from 0.

    The warm-up rises linearly to 1; cosine then falls to 0 at ``epochs``; step cuts by ``decay`` every ``decay_every``
    epochs.
    """
    if epoch < config.warmup:
        return (epoch + 1) / (config.warmup + 1)
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (epoch - config.warmup) / max(1, config.epochs - config.warmup)))
    return config.decay ** (epoch // config.decay_every) if config.schedule == "step" else 1.0


def _stripped(graph):
    """The structure and the ``_`` data: features travel beside the graph."""
    bare = graph.local_var()
    for frame in (bare.srcdata, bare.edata):
        for key in [key for key in frame if key == "feat"]:
            frame.pop(key)
    return bare


def _with_own_data(piece, whole, edges):
    """The structure of a subgraph or block with the ``_`` data of its nodes and of these edges of the whole graph."""
    bare = piece.local_var()
    frames = [(bare.srcdata, whole.ndata, bare.srcdata[dgl.NID]), (bare.edata, whole.edata, edges)]
    if piece.is_block:
        frames.append((bare.dstdata, whole.ndata, bare.dstdata[dgl.NID]))
    for frame, values, numbers in frames:
        for key in [key for key in values if key.startswith("_") and key not in (dgl.NID, dgl.EID)]:
            frame[key] = values[key][numbers]
    return bare


def _columns(values) -> int:
    return 0 if values is None else int(values.shape[1])


def _tables(values) -> tuple[int, ...] | None:
    if values is None or values.is_floating_point() or values.shape[1] == 0:
        return None
    return tuple(int(size) + 1 for size in values.max(0).values.tolist())


def _row_normalized(x: torch.Tensor) -> torch.Tensor:
    total = x.sum(1, keepdim=True)
    return x / total.where(total != 0, torch.ones_like(total))
