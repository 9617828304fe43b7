"""LargeGT: a Transformer for the nodes of one large graph, trained on look-ups alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from graphkit.core.errors import DataError, UsageError
from graphkit.methods.node.largegt.config import LargeGTConfig
from graphkit.methods.node.largegt.hop_lists import random_lists
from graphkit.methods.node.largegt.hop_tokens import HopTokens, Recipe, cached, load, own_features
from graphkit.methods.node.largegt.model import LargeGT as Model
from graphkit.methods.node.largegt.position_vectors import position_vectors
from graphkit.nn.inputs import Dims
from graphkit.training.supervised import SupervisedLearner


class TokenBatch(NamedTuple):
    """B seeds: tokens (B, L, F), own features (B, F), positions (B, g), node numbers (B,); None where the mode lacks
    the branch.
    """

    tokens: torch.Tensor | None
    x: torch.Tensor | None
    position: torch.Tensor | None
    nodes: torch.Tensor


class LargeGT(SupervisedLearner):
    """Logits of a node from its fixed list of K nodes within two hops (local) and from a codebook of all nodes
    (global).

    Offline, once for all epochs and seeds: lists S(v) by :mod:`graphkit.methods.node.largegt.hop_lists` and X, Ahat X,
    Ahat^2 X by :mod:`graphkit.methods.node.largegt.hop_features`. A batch of seeds v is a look-up of the tokens x_u,
    (Ahat X)_u, (Ahat^2 X)_u for u in S(v): two hops of lists and two hops of features reach four. ``local`` attends
    among these 3K tokens and reads the result out at the seed's own features; ``global`` attends from [features ;
    position] to C centroids that follow the nodes by moving averages, each weighed by the nodes it stands for; ``full``
    concatenates both. :mod:`graphkit.methods.node.largegt.model` has the formulas.

    As in the official code only nodes seen in training change their centroid (``reassign_all`` lets all do so), one
    layer, two hops of features. Except: the head's running statistics are taken anew over the training nodes before the
    model is judged or saved where it has a codebook, D_r^-1/2 (A + I) D_c^-1/2 for directed graphs (the code transposes
    it), seeded lists, assignments of 32 bits, batches of one, no unused layers, splits of the data set.

    Memory: n (K + 3F) numbers on disk, B 3K F + B h C floats in training, n g floats of positions; nothing of size n F
    is copied. Edge weights are not used. A graph without node features is refused.

    Reference: Dwivedi, Liu, Luu, Bresson, Shah, Zhao: Graph Transformers for Large Graphs, arXiv 2312.11109, 2023.
    """

    Config = LargeGTConfig
    config: LargeGTConfig

    def _read(self, dataset):
        """One graph, also where it has several parts."""
        return None, self.prepare_all([self._bare(dataset.graph)])[0]

    def build(self, dims: Dims) -> torch.nn.Module:
        """Do or look up the offline step, then return the model."""
        if dims.in_dim == 0:
            raise DataError(
                f"{self.dataset.name}: has no node features, which largegt takes its tokens from; give some with"
                " --features"
            )
        self.store, self.positions = self._offline(self.dataset, self.whole)
        self._settled = True  # there is nothing to catch up with before the first step
        return Model(self.config, dims.in_dim, dims.out_dim, dims.num_nodes)

    def last_layers(self) -> list[torch.nn.Module]:
        """The head, which reads what the branches of the mode say of a node, side by side."""
        return [self.model.head]

    def _offline(self, dataset, graph):
        """Return (tokens, (n, g) position vectors or None) of a graph with features."""
        config, features = self.config, graph.ndata["feat"].float().numpy()
        positions = (
            None
            if config.mode == "local"
            else position_vectors(dataset, config.pos, config.global_dim, config.sample_seed)
        )
        if config.mode == "global":
            return own_features(features), positions
        if config.lists is not None:
            return load(config.lists, graph, features, config.k), positions
        recipe = Recipe(config.k, config.sample_seed, config.hub_cap, config.hop_dtype)
        store = cached(graph, features, recipe)
        if config.shuffle_lists:
            store = HopTokens(random_lists(len(features), config.k, seed=config.sample_seed), store.features)
        return store, positions

    def batches(self, epoch: int, generator: np.random.Generator) -> Iterator[TokenBatch]:
        """Yield the training nodes in random order; the last batch may be smaller."""
        order = generator.permutation(np.asarray(self.dataset.split.train))
        for start in range(0, len(order), self.config.batch_size):
            yield self.batch_of(order[start : start + self.config.batch_size])

    def batch_of(self, nodes: np.ndarray) -> TokenBatch:
        """Look up (B,) nodes; the only place where features are gathered."""
        tokens = x = position = None
        if self.config.mode != "global":
            tokens = self.store.tokens(nodes, self.config.hop_tokens).to(self.device)
        if self.config.mode != "local":
            # The first token is the seed's own features.
            x = self._own(nodes) if tokens is None else tokens[:, 0]
            position = self._positions_of(nodes)
        return TokenBatch(tokens, x, position, torch.from_numpy(np.asarray(nodes, dtype=np.int64)).to(self.device))

    def _own(self, nodes: np.ndarray) -> torch.Tensor:
        return self.store.own(nodes).to(self.device)

    def _positions_of(self, nodes: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(self.positions[nodes]).to(self.device)

    def loss(self, batch: TokenBatch) -> torch.Tensor:
        """The loss of the batch's nodes; the codebook learns from them too."""
        return self.targets.loss(self.model(*batch), self.targets.values[batch.nodes], self.config.class_weights)

    def on_epoch_start(self, epoch: int) -> None:
        """Set the learning rate, and assign all nodes where asked to."""
        super().on_epoch_start(epoch)
        if self.config.reassign_all and self.config.mode != "local":
            self._reassign()

    def _reassign(self) -> None:
        self.model.eval()
        branch = self.model.global_module
        with torch.no_grad():
            for nodes in self._chunks(np.arange(self.dims.num_nodes)):
                z = branch.vectors(self._own(nodes), self._positions_of(nodes))
                branch.codebook.reassign(z, torch.from_numpy(nodes).to(self.device))

    def _chunks(self, nodes: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(nodes), self.config.eval_batch_size):
            yield nodes[start : start + self.config.eval_batch_size]

    def on_step_end(self) -> None:
        """Note that the head's statistics are of weights and centroids before."""
        super().on_step_end()
        self._settled = False

    def load_training_state(self, state) -> None:
        """Restore what training needs; the head's statistics are as old as the checkpoint."""
        super().load_training_state(state)
        self._settled = False

    def load_state_dict(self, state) -> None:
        """Restore a model as it was judged, the head's statistics with it."""
        super().load_state_dict(state)
        self._settled = True

    def _settle(self) -> None:
        """With a codebook, take the head's running statistics anew over the training nodes, once for all predictions
        after a step.

        In batches of training's size and in an order that the seed fixes: neighbouring numbers may be of one class.
        """
        if not self._settled and self.config.mode != "local":
            nodes = np.random.default_rng(self.seed).permutation(np.asarray(self.dataset.split.train))
            parts = np.array_split(nodes, max(1, -(-len(nodes) // self.config.batch_size)))
            self.model.settle(self.batch_of(part) for part in parts)
        self._settled = True

    def predict(self, split: str) -> dict[str, torch.Tensor]:
        """``y_true`` and ``y_pred`` of a split, in chunks."""
        nodes = np.asarray(getattr(self.dataset.split, split))
        return self.targets.predictions(self._logits_at(nodes), torch.from_numpy(nodes).to(self.device))

    def node_logits(self) -> torch.Tensor:
        """(n, out_dim) logits of all nodes, in chunks, kept until the weights change."""
        if self._logits is None:
            self._logits = self._logits_at(np.arange(self.dims.num_nodes))
        return self._logits

    def _logits_at(self, nodes: np.ndarray) -> torch.Tensor:
        self._settle()
        with torch.no_grad():
            found = [self.model(*self.batch_of(part)) for part in self._chunks(nodes)]
        return torch.cat(found)

    def logits_of(self, dataset) -> torch.Tensor:
        """(n, out_dim) logits of another graph with the same features, with lists of its own; mode local alone.

        Raises :class:`UsageError` in the other modes, whose codebook counts the nodes of the graph of training, and
        with ``lists``, which belong to that graph; :class:`DataError` where the features differ.
        """
        if self.config.mode != "local":
            raise UsageError(
                f"--mode is {self.config.mode}: its codebook knows the nodes of the training graph alone; expected"
                " local"
            )
        if self.config.lists is not None:
            raise UsageError("--lists belong to the graph of training; train without them to label another graph")
        self.model.eval()
        graph = self._read(dataset)[1]
        self._check_inductive(graph)
        mine = self.store
        try:
            self.store, _ = self._offline(dataset, graph)
            return self._logits_at(np.arange(graph.num_nodes()))
        finally:
            self.store = mine
