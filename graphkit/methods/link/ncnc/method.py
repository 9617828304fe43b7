"""NCN, NCNC and their ablations: link prediction from common neighbours, observed or completed."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from graphkit.core.errors import DataError, UsageError
from graphkit.evaluation.pairs import in_chunks, score_split
from graphkit.graph import non_edges as negatives
from graphkit.methods.link.ncnc.common_neighbours import KIND_NAMES, PairPredictor, link_loss
from graphkit.methods.link.ncnc.config import NCNCConfig
from graphkit.methods.link.ncnc.link_encoder import LinkEncoder
from graphkit.nn import reweight
from graphkit.nn.adjacency import EdgeIndex
from graphkit.nn.sparse import SparseFeatures
from graphkit.training.reweighting import Reweighted

log = logging.getLogger(__name__)


class NCNC(Reweighted):
    """Scores of node pairs from the vectors of their common neighbours.

    logit(i, j) = f_out(beta f_cn(sum_u w_u h'_u) + f_ij(h_i * h_j)), h from one message-passing pass, h' = h + f_x(h);
    u runs over N(i) & N(j) with w_u = 1 (``ncn``), and over the neighbours of one end point with w_u the probability
    that the other edge exists too (``ncnc``). Follows the official code where it departs from the paper, see the sheet.
    The target edges of a batch, their reverses and their copies are out of the graph that the batch sees.

    Memory: O(m + n d) for the encoder, O(split_size * d) for completion. Time of an NCNC pair: deg(i) + deg(j) NCN
    pairs.

    Reference: Wang, Yang, Zhang, Neural Common Neighbor with Completion for Link Prediction, ICLR 2024.
    """

    Config = NCNCConfig
    config: NCNCConfig

    def prepare(self, dataset, *, seed: int, device: str) -> None:
        """Index the training graph and build encoder, predictor and one Adam with a learning rate for each."""
        config, graph = self.config, dataset.graph
        if config.init_from is not None and config.epochs == 0:
            raise UsageError("--init-from: found --epochs 0, expected at least 1 epoch of training to start")
        if config.reweight == "tc" and config.lr == 0:
            raise UsageError("--reweight tc: found --lr 0, a frozen encoder; expected one that trains")
        self.prepare_reweighting()
        self.dataset, self.device, self.seed = dataset, device, seed
        self.edges = EdgeIndex.from_graph(graph, device)
        self.graph = self.edges.adjacency()
        self.test_graph = self.graph
        if config.val_edges_at_test:
            self.test_graph = EdgeIndex.from_graph(graph, device, extra=dataset.split.valid.pos).adjacency()
        self.features, in_dim, categories = _node_input(config.node_input, graph, device)
        encoder, predictor = LinkEncoder(config, in_dim, categories), PairPredictor(config)
        predictor.sampling_seed = seed
        self.model = torch.nn.ModuleDict({"encoder": encoder, "predictor": predictor}).to(device)
        self.positives = np.ascontiguousarray(dataset.split.train.pos, dtype=np.int64)
        self.numbers = self.edges.edge_numbers(self.positives)
        if config.lr == 0:
            encoder.requires_grad_(False)
        rates = [(predictor, config.predictor_lr), (encoder, config.lr)]
        groups = [{"params": list(part.parameters()), "lr": rate} for part, rate in rates if rate > 0]
        self.optimizers = [torch.optim.Adam(groups, weight_decay=config.weight_decay)] if groups else []
        self.frozen = None
        self.batch_size = self._batch_size() if config.epochs else 0

    def _batch_size(self) -> int:
        count = len(self.positives)
        # With target removal a batch of all edges would leave no graph to see.
        most = max(1, count // 2) if self.config.tlr else count
        if count == 0:
            raise DataError(f"{self.dataset.name}: found no training edges, expected at least one")
        return min(self.config.batch_size, most)

    def on_epoch_start(self, epoch: int) -> None:
        """Take over the weights of ``init_from`` before the first epoch, and score edges where they are re-weighted.

        Raises :class:`UsageError` where a random encoder would stay as it is drawn.
        """
        if epoch == 0 and self.config.init_from is not None:
            self._take_over(self.config.init_from)
        elif epoch == 0 and self.config.lr == 0:
            raise UsageError(self._two_stages())
        if (
            epoch == 0
            and self.config.predictor_lr == 0
            and (self.config.init_from is None or self.config.init_parts == "encoder")
        ):
            raise UsageError(
                "--predictor-lr is 0 and no run gives the predictor's weights: it would stay random; expected more"
                " than 0"
            )
        super().on_epoch_start(epoch)

    def _two_stages(self) -> str:
        """What to do where the encoder is frozen and nothing says whose weights it has."""
        name = self.dataset.name
        given = name if " " not in name else shlex.quote(name)
        first = f"graphkit train ncn --dataset {given} --out runs/ncn"
        second = f"graphkit train {self.config.variant} --dataset {given} --init-from runs/ncn"
        return f"--lr is 0 without --init-from: the encoder would stay random. First run: {first}; then: {second}"

    def _take_over(self, folder: str) -> None:
        if self.initial_state is None:
            raise UsageError(f"--init-from {folder}: the state of its model is handed on by graphkit.runs, found none")
        theirs = _completed_pool(self.initial_state, self.state_dict())
        mine = {
            k: v for k, v in self.state_dict().items() if k.startswith("encoder.") or self.config.init_parts == "all"
        }
        for key, value in mine.items():
            if key not in theirs or theirs[key].shape != value.shape:
                found = "nothing" if key not in theirs else f"shape {tuple(theirs[key].shape)}"
                # NCN has no completion network to hand on; everything else must fit.
                if key.split(".")[1] != "pt_mlp":
                    raise DataError(f"--init-from {folder}: {key} has {found}, expected shape {tuple(value.shape)}")
                theirs[key] = value
        self.load_state_dict({**self.state_dict(), **{key: theirs[key] for key in mine}})

    def batches(self, epoch: int, generator: np.random.Generator) -> Iterator[tuple[Any, Any]]:
        """Yield (numbers of training edges, (B, 2) negatives); the last incomplete batch is dropped."""
        if epoch == 0 and self.batch_size < self.config.batch_size:
            text = "--batch-size %d is too large for %d training edges; using %d"
            log.warning(text, self.config.batch_size, len(self.positives), self.batch_size)
        if self.config.negatives == "destination":
            drawn = negatives.uniform_destinations(self.positives[:, 0], self.edges.num_nodes, generator)
        else:
            drawn = negatives.uniform_non_edges(self.edges.codes, self.edges.num_nodes, len(self.positives), generator)
        order = generator.permutation(len(self.positives))
        for start in range(0, len(order) - self.batch_size + 1, self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield chosen, drawn[chosen]

    def message_graph(self, chosen: np.ndarray):
        """The adjacency that a batch of training edges sees."""
        if not self.config.tlr:
            return self.graph
        numbers = self.numbers[chosen]
        if not self.config.tlr_dedup:
            seen, copies = np.unique(numbers[numbers >= 0], return_counts=True)
            numbers = seen[copies >= _stored_copies(self.edges, self.dataset)[seen]]
        return self.graph.without(numbers)

    def loss(self, batch: tuple[Any, Any]) -> torch.Tensor:
        """Binary cross-entropy of the batch's edges and negatives, both against the graph without these edges."""
        chosen, negative = batch
        graph = self.message_graph(chosen)
        pairs = torch.from_numpy(np.concatenate([self.positives[chosen], negative]))
        h = self._training_vectors(graph)
        logits = self.model["predictor"](h, graph, pairs)
        return link_loss(logits[: len(chosen)], logits[len(chosen) :])

    def _training_vectors(self, graph) -> torch.Tensor:
        encoder = self.model["encoder"]
        if self.config.lr > 0:
            return encoder(self.features, graph, self._factors(graph))
        with torch.no_grad():
            if self.config.tlr:
                return encoder(self.features, graph)
            # Frozen weights and a fixed graph: the vectors of the first stage, computed once and without dropout.
            if self.frozen is None:
                self.frozen = encoder.eval()(self.features, graph)
            return self.frozen

    def load_state_dict(self, state) -> None:
        """Restore the model; vectors computed from the weights before are void."""
        self.frozen = None
        super().load_state_dict(state)

    def on_backward_end(self) -> None:
        """Clip the gradients of each part where asked to."""
        if self.config.clip_norm > 0:
            for part in self.model.values():
                torch.nn.utils.clip_grad_norm_(part.parameters(), self.config.clip_norm)

    def predict(self, split: str) -> dict[str, torch.Tensor]:
        """Logits of the split's positives (P,) and negatives, (Q,) shared or (P, N) per positive."""
        graph = self.test_graph if split == "test" else self.graph
        return score_split(getattr(self.dataset.split, split), self._scorer(graph), self.config.eval_batch_size)

    def score_pairs(self, pairs: torch.Tensor) -> torch.Tensor:
        """Return (P,) logits of (P, 2) pairs on the training graph; a pair that is an edge keeps its edge."""
        return in_chunks(self._scorer(self.graph), pairs, self.config.eval_batch_size)

    def _vectors(self, graph) -> torch.Tensor:
        return self.model["encoder"](self.features, graph, self._factors(graph))

    def _factors(self, graph) -> torch.Tensor | None:
        """(2E + n,) factors of a graph's entries and diagonal; None where nothing is re-weighted."""
        if self.edge_scores is None:
            return None
        config, summed = self.config, self.config.conv == "puresum"
        edges, places = graph.messages(loops=not summed)
        kind = "sum" if summed else "gcn"
        found = reweight.factors(
            edges, self.edge_scores[places], kind, config.reweight_alpha, config.reweight_normalize
        )
        return torch.ones_like(self.edge_scores).index_put((places,), found)

    def score_edges(self) -> torch.Tensor:
        """Probabilities of the training graph's entries and of its diagonal, by the part of the predictor that sees no
        pool.
        """
        edges, _ = self.graph.messages(loops=True)
        return self.edge_probabilities(edges, self._vectors(self.graph), self.model["predictor"].pair_logits)

    def _scorer(self, graph):
        self.model.eval()
        with torch.no_grad():
            h = self._vectors(graph)

        def score(pairs):
            with torch.no_grad():
                return self.model["predictor"](h, graph, pairs)

        return score

    def explain_pairs(self, pairs: torch.Tensor) -> list[tuple[int, int, str, float]]:
        """Return (pair, node, kind, p) of every node that a pair's pool holds; kind common, source-only or
        target-only.
        """
        self.model.eval()
        with torch.no_grad():
            h = self._vectors(self.graph)
            sets, _, probability = self.model["predictor"].complete(h, self.graph, pairs)
        columns = (sets.rows().tolist(), sets.node.tolist(), [KIND_NAMES[kind] for kind in sets.kind.tolist()])
        return list(zip(*columns, probability.tolist()))


def _completed_pool(theirs: dict[str, Any], mine: dict[str, Any]) -> dict[str, Any]:
    """The weights under the names of the taker: f_cn of NCN pools common neighbours, f_cn of NCNC completed ones."""
    common, completed = "predictor.pool_mlps.common.", "predictor.pool_mlps.completed."
    if not any(key.startswith(completed) for key in mine) or any(key.startswith(completed) for key in theirs):
        return theirs
    return {key.replace(common, completed): value for key, value in theirs.items()}


def _stored_copies(edges: EdgeIndex, dataset) -> np.ndarray:
    """(E,) copies of each edge; an undirected graph holds both directions of each."""
    return edges.copies if dataset.directed else np.maximum(edges.copies // 2, 1)


def _node_input(kind: str, graph, device: str):
    """Return (features or categories on the device, their width or None, number of categories)."""
    dense = graph.ndata.get("feat")
    if kind == "auto":
        kind = "embedding" if dense is None or dense.shape[1] == 0 else "features"
    if kind == "embedding":
        return torch.arange(graph.num_nodes(), device=device), None, graph.num_nodes()
    if dense is None:
        raise DataError(f"--node-input is {kind!r}, but the graph has no node features; expected auto or embedding")
    if kind == "onehot":
        return dense.argmax(1).to(device), None, dense.shape[1]
    dense = dense.float()
    # Where most features are zero, a product over the others is faster than a dense one of full speed.
    if dense.numel() and float((dense != 0).float().mean()) < 0.1:
        return SparseFeatures(dense, device), dense.shape[1], 0
    return dense.to(device), dense.shape[1], 0
