"""Stage one of LAGNN: a generator of neighbours' features, trained on the edges of a graph, without labels unless it is
asked to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import dgl
import numpy as np
import torch

from graphkit.core.errors import DataError, UsageError
from graphkit.methods.node.lagnn.config import GeneratorConfig
from graphkit.methods.node.lagnn.cvae import CVAE, fitting_forms
from graphkit.methods.node.lagnn.neighbour_pairs import NeighbourPairs, PairBatch
from graphkit.methods.node.lagnn.uscore import DropoutJudge
from graphkit.training.targets import BINARY, CLASSES

log = logging.getLogger(__name__)
HELD_PAIRS = 4096  # held-out pairs that score a step
ROWS = 1 << 16  # nodes generated at a time


class NeighbourGenerator:
    """p(features of a neighbour | features of a node), a :class:`graphkit.methods.node.lagnn.cvae.CVAE` trained on
    pairs of neighbours.

    Every ordered pair (i, j) of an edge is an example: condition X_i, target X_j, both as the data have them. Selection
    scores the generator every ``u_every`` steps after ``select_warmup`` and keeps the best of them. (The official code
    lets scores of the warm-up count, and then may keep none.)

    graph: DGLGraph on the CPU. features: (n, F) float32. judge: (training nodes, their classes, number of classes), for
    ``select`` u-score; labels enter nowhere else. With a held-out share, ``curve`` lists (step, loss on held-out pairs)
    once per pass over the edges. Memory: O(F hidden) and, for drawing all nodes, O(n F).
    """

    def __init__(
        self,
        config: GeneratorConfig,
        graph,
        features: torch.Tensor,
        *,
        seed: int,
        judge: tuple[np.ndarray, torch.Tensor, int] | None = None,
        device: str = "cpu",
    ):
        self.config, self.features, self.device = config, features.to(device), device
        self.pairs = NeighbourPairs(graph, held_out=config.held_share, seed=seed)
        if len(self.pairs) == 0:
            raise DataError("the graph has no edges to learn neighbours from")
        if config.select == "heldout" and len(self.pairs.held) == 0:
            raise DataError(
                f"no edge is held out at a share of {config.held_share:g}; raise --held-out or use --select none"
            )
        self.model = make_model(config, features).to(device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.generator_lr)
        self.judge = self._make_judge(graph, judge) if config.select == "u-score" else None
        self.step, self.best, self.kept_step, self.kept, self.done = 0, None, None, None, False
        self.kept_noise: torch.Tensor | None = None  # with which the kept step was scored, (n, latent)
        self.curve: list[tuple[int, float]] = []

    def _make_judge(self, graph, judge):
        if judge is None:
            raise UsageError("--select u-score needs a training split of classes, found none; use heldout or none")
        rows, labels, classes = judge
        return DropoutJudge(graph, np.asarray(rows), labels, self.features.shape[1], classes, device=self.device)

    @property
    def steps(self) -> int:
        """Steps of training."""
        return self.config.generator_steps or self.config.generator_epochs * self.pairs.steps(
            self.config.generator_batch
        )

    def start(self) -> None:
        """Train the judge on true features; called once before the first step."""
        if self.judge is not None:
            self.judge.fit(self._true(self.judge.nodes), self.config.u_epochs)

    def batches(self, generator: np.random.Generator) -> Iterator[PairBatch]:
        """Yield the pairs of all steps."""
        return self.pairs.batches(self.config.generator_batch, self.steps, generator)

    def loss(self, batch: PairBatch) -> torch.Tensor:
        """The loss of a batch of pairs."""
        centre, neighbour = (nodes.to(self.device) for nodes in batch)
        return self.model.loss(self.features[neighbour], self.features[centre])

    def after_step(self) -> None:
        """Count the step, score it where it is due, and keep it where it is the best so far."""
        self.step += 1
        if len(self.pairs.held) and (
            self.step % self.pairs.steps(self.config.generator_batch) == 0 or self.step == self.steps
        ):
            self.curve.append((self.step, self.held_loss()))
            log.debug("generator: step %d, loss on held-out pairs %.4f", *self.curve[-1])
        last = self.step == self.steps and self.kept is None  # something is kept, however short the training
        early = self.step <= self.config.select_warmup or self.step % self.config.u_every
        if self.config.select == "none" or (early and not last):
            return
        score, drawn, noise = self._score()
        if self.kept is None or score > self.best:
            self.best, self.kept_step, self.kept_noise = score, self.step, noise
            self.kept = {key: value.clone() for key, value in self.model.state_dict().items()}
            if self.judge is not None:
                self.judge.fit(drawn, self.config.u_updates)

    def _score(self) -> tuple[float, torch.Tensor | None, torch.Tensor | None]:
        """The score of this step, and what it was drawn for: features of the judge's nodes, by the noise of all
        nodes.
        """
        if self.judge is None:
            return -self.held_loss(), None, None
        nodes, noise = self.judge.nodes, self.noise(len(self.features))
        drawn = self.draw(noise[torch.from_numpy(nodes)], nodes)
        return self.judge.score(drawn, self.config.u_samples), drawn, noise

    def finish(self) -> None:
        """Take the kept step as the generator; training it ends here."""
        if self.kept is not None:
            self.model.load_state_dict(self.kept)
        self.kept_step = self.kept_step or self.step
        if self.config.select != "none":
            log.info("generator: kept step %d of %d, score %.4f", self.kept_step, self.step, self.best or 0.0)
        if len(self.pairs.held):
            log.info("generator: loss on held-out pairs %.4f", self.held_loss())
        self.freeze()

    def freeze(self) -> None:
        """No step changes the generator any more."""
        self.done, self.kept, self.judge = True, None, None
        self.model.requires_grad_(False)

    def run(self, seed: int, report: Callable[[int, int, float], None] | None = None) -> None:
        """Train from start to finish; ``report`` receives (steps done, steps in all, loss) after each step."""
        self.start()
        for number, batch in enumerate(self.batches(np.random.default_rng(seed)), start=1):
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss(batch)
            loss.backward()
            self.optimizer.step()
            self.after_step()
            if report is not None:
                report(number, self.steps, float(loss.detach()))
        self.finish()

    def noise(self, count: int) -> torch.Tensor:
        """(count, latent_dim) standard normal noise."""
        return torch.randn(count, self.model.latent, device=self.device)

    def draw(self, noise: torch.Tensor, nodes=None) -> torch.Tensor:
        """Generate a (B, F) neighbour for each of B nodes, all of them where ``nodes`` is None; rows normalised where
        asked to.
        """
        rows = self.features if nodes is None else self.features[torch.as_tensor(nodes, device=self.device)]
        with torch.no_grad():
            if len(rows) <= ROWS or self.model.about["norm"]:  # BatchNorm takes its statistics over all rows at once
                out = self.model.decode(noise, rows)
            else:
                out = torch.cat([self.model.decode(z, c) for z, c in zip(noise.split(ROWS), rows.split(ROWS))])
        return normalized(out) if self.config.row_normalize else out

    def _true(self, nodes: np.ndarray) -> torch.Tensor:
        rows = self.features[torch.from_numpy(nodes)]
        return normalized(rows) if self.config.row_normalize else rows

    def held_loss(self, *, shuffled: bool = False, limit: int | None = HELD_PAIRS) -> float:
        """Mean reconstruction error at z = 0 over held-out pairs; ``shuffled`` gives the pairs each other's centres."""
        centre, neighbour = (nodes.to(self.device) for nodes in self.pairs.held_pairs(limit))
        if shuffled:
            order = np.random.default_rng(0).permutation(len(centre))
            centre = centre[torch.from_numpy(order).to(self.device)]
        z = torch.zeros(len(centre), self.model.latent, device=self.device)
        with torch.no_grad():
            logits = self.model.logits(z, self.model.context(self.features[centre]))
            return float(self.model.reconstruction_error(logits, self.features[neighbour]).mean())

    def state(self) -> dict[str, Any]:
        """All that further training of stage one needs, beside model and optimiser."""
        judge = None if self.judge is None else self.judge.state()
        own = {key: getattr(self, key) for key in ("step", "best", "kept_step", "kept", "done", "curve")}
        return {**own, "judge": judge, "kept_noise": None if self.done else self.kept_noise}

    def load(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state` returned."""
        if state["done"]:
            self.freeze()
        elif self.judge is not None:
            self.judge.load(state["judge"])
        self.step, self.best, self.kept_step, self.kept = (state[key] for key in ("step", "best", "kept_step", "kept"))
        self.kept_noise = state["kept_noise"]
        self.curve = list(state["curve"])


def make_model(config: GeneratorConfig, features: torch.Tensor) -> CVAE:
    """The untrained generator for (n, F) features; raises :class:`DataError` where bce meets features outside [0,
    1].
    """
    fitting, output = fitting_forms(features)
    reconstruction = fitting if config.reconstruction == "auto" else config.reconstruction
    if config.output_activation != "auto":
        output = config.output_activation
        reconstruction = "squared" if config.reconstruction == "auto" and output != "sigmoid" else reconstruction
    elif reconstruction != fitting:
        output = "sigmoid" if reconstruction == "bce" else output
    if reconstruction == "bce" and fitting != "bce":
        raise DataError(
            f"features lie in {float(features.min()):g}..{float(features.max()):g}, expected 0..1 for"
            " --reconstruction bce"
        )
    return CVAE(
        features.shape[1],
        hidden=config.generator_hidden,
        latent=config.latent_dim,
        norm=config.generator_norm,
        output=output,
        reconstruction=reconstruction,
    )


def judged_by(targets, dataset) -> tuple[np.ndarray, torch.Tensor, int]:
    """The training nodes, their (T,) int64 classes and the number of classes; raises :class:`UsageError` for other
    labels.
    """
    rows = np.asarray(dataset.split.train)
    if targets.kind == CLASSES:
        return rows, targets.values[rows], targets.out_dim
    if targets.kind != BINARY:
        raise UsageError(
            f"--select u-score needs classes, but the labels of {dataset.name} are no classes; use heldout or none"
        )
    return rows, targets.values[rows, 0].nan_to_num(-1).long(), 2


def normalized(x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """Rows divided by their sum, into ``out`` where it is given; rows of sum 0 stay."""
    total = x.sum(1, keepdim=True)
    return torch.div(x, total.where(total != 0, torch.ones_like(total)), out=out)


def raw_features(graph, name: str) -> torch.Tensor:
    """(n, F) features as the data have them, or, where nodes have none, the mean of a node's edge features
    (ogbn-proteins).

    Raises :class:`DataError`, with the data set's name, where there are neither.
    """
    if (x := graph.ndata.get("feat")) is not None and x.shape[1]:
        return x.float()
    if (e := graph.edata.get("feat")) is None:
        raise DataError(f"{name}: has no node features, which lagnn generates; give some with --features")
    return dgl.ops.copy_e_mean(graph, e.float())


def undirected(graph):
    """The graph with each edge once in both directions, without loops and data."""
    src, dst = graph.edges(order="eid")
    return dgl.to_bidirected(dgl.remove_self_loop(dgl.graph((src, dst), num_nodes=graph.num_nodes())))
