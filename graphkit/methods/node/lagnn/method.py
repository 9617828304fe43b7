"""LAGNN: generated neighbours' features beside the true ones, for any graph network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import dgl
import numpy as np
import torch

from graphkit.core.errors import UsageError
from graphkit.evaluation.registry import better
from graphkit.methods.node.lagnn.config import LAGNNConfig
from graphkit.methods.node.lagnn.cvae import load_generator
from graphkit.methods.node.lagnn.generator import NeighbourGenerator, judged_by, make_model, raw_features, undirected
from graphkit.methods.node.lagnn.grand import Grand
from graphkit.methods.node.lagnn.model import ViewGCNII, ViewStack
from graphkit.methods.node.lagnn.views import ShownClasses, Views
from graphkit.nn.inputs import Dims
from graphkit.nn.sparse import SparseFeatures
from graphkit.nn.symmetric import keep_degrees
from graphkit.sampling.samplers import seeded
from graphkit.training.supervised import Batch, SupervisedLearner
from graphkit.training.targets import BINARY, CLASSES, LABELS

SPARSE_BELOW = 0.1  # share of non-zero features under which the first layer multiplies only those


class LAGNN(SupervisedLearner):
    """A graph network trained on a node's features and on draws of what a neighbour of it could look like.

    Stage one (:class:`NeighbourGenerator`, the first steps of epoch 1) trains p(x_neighbour | x_node) on the edges and
    freezes it. Stage two: per step S times k fresh draws X_hat = decoder(z, X); the backbone's first layer has weights
    of its own for each of the views [X_hat_1, ..., X_hat_k, X]. P_s: predictions of draw s for all nodes that the step
    computes, labelled or not;

        loss = 1/S sum_s NLL(P_s, train) + lam/S sum_s mean_nodes ||P_s - q||^2,  q = sharpen(mean_s P_s, T) without
        gradient.

    ``grand`` differs as in the paper: one draw for the whole training, true and generated features propagated apart, 2S
    predictions, and the true features alone when predicting. An evaluation makes a fresh draw; the noise of the epoch
    that is kept is stored beside the weights and used again in prediction.

    Follows Liu et al.; except: the selected generator always exists (the official code can end with none), weights of
    ``gcn`` and ``sage`` start from U(-s, s), directed graphs are made undirected, and ``gcnii`` too is judged by the
    draw that it stores. Labels that are not classes are sharpened as pairs (p, 1 - p). Nodes without features have the
    mean of their edges' features. Memory per
    step: O(S k n F) while draws live, one after the other.

    Reference: Liu, Ying, Dong, Li, Xu, Rong, Zhao, Huang, Wu: Local Augmentation for Graph Neural Networks, ICML 2022.
    """

    Config = LAGNNConfig
    config: LAGNNConfig

    # Preparation
    # -------------------------------------------------------------------------------------------------------

    def prepare(self, dataset, *, seed: int, device: str) -> None:
        """Read the data, build the backbone, and the generator where there are views of one."""
        super().prepare(dataset, seed=seed, device=device)
        self._check_labels()
        raw = raw_features(dataset.graph, dataset.name).to(device)
        train = torch.from_numpy(np.asarray(dataset.split.train)).to(device)
        self.shown = ShownClasses(self.targets, train, self.config.label_input) if self.config.label_input > 0 else None
        self.sparse = self._sparse_features()
        self.draw: torch.Tensor | None = None  # that of the last evaluation; of grand, that of the training
        self.keep_draw = False
        self.highest = [-math.inf, -math.inf]  # of the validation metric and of minus the validation loss
        self.stage: NeighbourGenerator | None = None
        generated = self.config.views > 0 and self.config.control in ("none", "random")
        self.decoder = make_model(self.config, raw).to(device).requires_grad_(False) if generated else None
        if generated and self.config.generator is None and self.config.control == "none":
            judge = judged_by(self.targets, dataset) if self.config.select == "u-score" else None
            self.stage = NeighbourGenerator(
                self.config, undirected(dataset.graph), raw, seed=seed, judge=judge, device=device
            )
            self.decoder = self.stage.model
            self.optimizers.append(self.stage.optimizer)
        self.views = Views(self.config, raw, self.decoder)

    def _check_labels(self) -> None:
        """Raise :class:`UsageError` for options that need classes, or probabilities, where the data have other
        labels.
        """
        kind, config = self.targets.kind, self.config
        if config.lam > 0 and kind not in (CLASSES, BINARY, LABELS):
            raise UsageError(f"--lam is {config.lam:g}, expected 0: a regression has no probabilities to tie together")
        if kind != CLASSES and (config.label_input > 0 or config.log_loss):
            option = "--log-loss" if config.log_loss else f"--label-input {config.label_input:g}"
            raise UsageError(f"{option} needs classes, but the labels of {self.dataset.name} are no classes")

    def _read(self, dataset):
        """One graph, also where it has several parts."""
        return None, self.prepare_all([self._bare(dataset.graph)])[0]

    def prepare_graph(self, graph):
        """The undirected graph with its features; self-loops for all but ``sage``."""
        made = undirected(graph)
        if self.config.backbone != "sage":
            made = dgl.add_self_loop(made)
        made.ndata["feat"] = raw_features(graph, self.dataset.name)
        return made if self.config.sampler == "full" else keep_degrees(made)

    def _sparse_features(self):
        x = self.whole.ndata["feat"]
        c = self.config
        as_they_are = c.backbone == "grand" or c.mode == "average" or (c.backbone == "gat" and c.mode == "input")
        fits = not as_they_are and self.shown is None and self.sampler is None
        return (
            SparseFeatures(x, self.device) if fits and int(torch.count_nonzero(x)) < SPARSE_BELOW * x.numel() else None
        )

    def build(self, dims: Dims) -> torch.nn.Module:
        """Return the backbone with a first layer for every view."""
        c = self.config
        in_dim = dims.in_dim + (dims.out_dim if c.label_input > 0 else 0)
        views = 1 if c.mode == "average" else c.views + 1
        join = "sum" if c.mode == "input" else "concat"
        if c.backbone == "grand":
            return Grand(
                dims.in_dim,
                c.hidden_dim,
                dims.out_dim,
                order=c.grand_order,
                node_dropout=c.node_dropout,
                input_dropout=c.input_dropout,
                dropout=c.dropout,
                norm=c.norm == "batch",
            )
        if c.backbone == "gcnii":
            return ViewGCNII(
                in_dim,
                c.hidden_dim,
                dims.out_dim,
                views=views,
                num_layers=c.num_layers,
                dropout=c.dropout,
                alpha=c.alpha,
                lamda=c.lamda,
                join=join,
            )
        attention = {
            "dropout": c.attention_dropout,
            "target": c.attention_target,
            "symmetric": c.symmetric_norm,
            "residual": c.residual,
        }
        return ViewStack(
            c.backbone,
            in_dim,
            c.hidden_dim,
            dims.out_dim,
            views=views,
            num_layers=c.num_layers,
            dropout=c.dropout,
            input_dropout=c.input_dropout,
            heads=c.heads,
            out_heads=c.out_heads,
            join=join,
            norm=c.norm == "batch",
            act=c.act,
            attention=attention,
        )

    def last_layers(self) -> list[torch.nn.Module]:
        """The backbone's last layer."""
        return [self.model.last]

    def make_optimizer(self) -> torch.optim.Optimizer:
        """One rate for all; the convolutions of ``gcnii`` have a weight decay of their own."""
        c = self.config
        groups: list[dict[str, Any]] = [{"params": list(self.model.parameters())}]
        if c.backbone == "gcnii":
            convs = self.model.conv_parameters()
            rest = [p for p in self.model.parameters() if all(p is not other for other in convs)]
            groups = [{"params": convs, "weight_decay": c.conv_weight_decay}, {"params": rest}]
        kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}
        return kinds[c.optimizer](groups, lr=c.lr, weight_decay=c.weight_decay)

    # Training
    # ----------------------------------------------------------------------------------------------------------

    def on_epoch_start(self, epoch: int) -> None:
        """Set the rate; before the first step, read the generator or make its judge."""
        super().on_epoch_start(epoch)
        if epoch == 0 and self.stage is not None:
            self.stage.start()
        if epoch == 0 and self.config.generator is not None and self.decoder is not None:
            self._read_generator()

    def _read_generator(self) -> None:
        found = load_generator(self.config.generator).to(self.device)
        differ = [key for key, value in self.decoder.about.items() if found.about[key] != value]
        if differ:
            shown = ", ".join(f"{key} {found.about[key]}, expected {self.decoder.about[key]}" for key in differ)
            raise UsageError(f"--generator {self.config.generator}: was made with {shown}")
        self.decoder.load_state_dict(found.state_dict())
        self.views.forget()

    def batches(self, epoch: int, generator: np.random.Generator) -> Iterator[Any]:
        """Yield the generator's pairs in the first epoch, then the batches of the backbone."""
        if epoch == 0 and self.stage is not None:
            yield from self.stage.batches(generator)
        yield from super().batches(epoch, generator)

    def loss(self, batch: Any) -> torch.Tensor:
        """The loss of a step of either stage."""
        if not isinstance(batch, Batch):
            return self.stage.loss(batch)
        if self.stage is not None and not self.stage.done:
            self.stage.finish()
            self.views.forget()
        shown, rows, y = (None, batch.rows, batch.y) if self.shown is None else self.shown.part(batch)
        outputs = [logits for _ in range(self.config.samples) for logits in self._outputs(batch, shown)]
        scored = outputs if rows is None else [logits[rows] for logits in outputs]
        loss = sum(self._label_loss(logits, y) for logits in scored) / len(scored)
        if self.config.lam > 0:
            loss = loss + self.config.lam * consistency(
                [self._probabilities(logits) for logits in outputs], self.config.temp
            )
        return loss

    def _label_loss(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if not self.config.log_loss:
            return self.targets.loss(logits, y, self.config.class_weights)
        losses = torch.nn.functional.cross_entropy(logits, y, ignore_index=-1, reduction="none")[y >= 0]
        return torch.log1p(losses / (1 - math.log(2))).mean()  # log(e + loss) - log e

    def on_step_end(self) -> None:
        """Select the generator in stage one; forget the last evaluation's draw in stage two."""
        super().on_step_end()
        if self.stage is not None and not self.stage.done:
            self.stage.after_step()
        self.keep_draw = False

    def _probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """(B, C) class probabilities; (B, T, 2) of T labels."""
        p = self.targets.probabilities(logits)
        return p if self.targets.kind == CLASSES else torch.stack([p, 1 - p], dim=-1)

    # Views
    # -------------------------------------------------------------------------------------------------------------

    def _outputs(self, batch: Batch, shown: torch.Tensor | None) -> list[torch.Tensor]:
        """Logits of one draw: one set, of ``grand`` with views two. shown: (n, C) classes beside the features."""
        nodes = None if batch.nodes is None else batch.nodes.to(self.device)
        if self.config.backbone == "grand":
            if self.draw is None:
                self.draw = self.views.draw()
            draw = self.draw if self.draw is None or nodes is None else self.draw[:, nodes]
            return [self.model(batch.graph, x) for x in (batch.x, *self.views.of(batch.x, draw, nodes))]
        draw = self.views.draw(None if nodes is None else len(nodes))
        return [
            self.model(batch.graph, self._joined(batch.x, self.views.of(batch.x, draw, nodes), shown, nodes is None))
        ]

    def _joined(self, x: torch.Tensor, generated: list, shown: torch.Tensor | None, whole: bool) -> list:
        """What the backbone takes: views and true features, or their mean; shown classes beside each."""
        if whole and self.sparse is not None:
            own = [self.sparse] * len(generated) if self.config.control == "self" else generated
            return [*own, self.sparse]
        parts = [sum(generated, x) / (len(generated) + 1)] if self.config.mode == "average" else [*generated, x]
        return parts if shown is None else [torch.cat([part, shown], dim=1) for part in parts]

    # Prediction
    # --------------------------------------------------------------------------------------------------------

    def node_logits(self) -> torch.Tensor:
        """(n, out_dim) logits of all nodes with one draw, kept with it until the weights change."""
        if self._logits is None:
            batch = self.full_batch("train")
            if self.config.backbone != "grand" and not (self.keep_draw and self.draw is not None):
                self.draw = self.views.draw()
            shown = None if self.shown is None else self.shown.table
            self._logits = self._predicted(batch.graph, batch.x, self.views, self.draw, shown).detach()
        return self._logits

    def _predicted(
        self, graph, x: torch.Tensor, views: Views, draw: torch.Tensor | None, shown: torch.Tensor | None
    ) -> torch.Tensor:
        if self.config.backbone == "grand":
            return self.model(graph, x)
        return self.model(graph, self._joined(x, views.of(x, draw), shown, views is self.views))

    def validation_loss(self) -> float | None:
        """With ``keep`` loss, that of the validation nodes at the last evaluation."""
        return None if self.config.keep == "metric" else self._valid_loss()

    def _valid_loss(self) -> float:
        rows = torch.from_numpy(np.asarray(self.dataset.split.valid)).to(self.device)
        return float(self.targets.loss(self.node_logits()[rows], self.targets.values[rows]))

    def gains(self, valid: dict[str, float]) -> bool:
        """With ``patience_by_either``, whether the validation loss is the lowest or the metric the best so far."""
        if not self.config.patience_by_either:
            return False

        sign = -1.0 if better(self.dataset.metric) == "min" else 1.0
        found = (sign * valid[self.dataset.metric], -self._valid_loss())
        gained = any(value > best for value, best in zip(found, self.highest))
        self.highest = [max(value, best) for value, best in zip(found, self.highest)]
        return gained

    def _all_logits(self) -> torch.Tensor:
        """Logits of the nodes of another graph, by a draw that the seed fixes; of its nodes no class is shown."""
        graph = self.whole.to(self.device)
        views = self.views.on(raw_features(self.dataset.graph, self.dataset.name).to(self.device))
        with seeded(self.seed):
            draw = views.draw()
        x = graph.ndata["feat"]
        shown = None if self.shown is None else x.new_zeros(len(x), self.dims.out_dim)
        return self._predicted(graph, x, views, draw, shown)

    # State
    # -------------------------------------------------------------------------------------------------------------

    def parameter_count(self) -> int:
        """Number of learned values of both stages."""
        learned = self.decoder is not None and self.config.control == "none"
        return super().parameter_count() + (sum(p.numel() for p in self.decoder.parameters()) if learned else 0)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The backbone, the generator, and the draw of the last evaluation."""
        state = dict(self.model.state_dict())
        if self.decoder is not None:
            state.update({f"generator.{key}": value for key, value in self.decoder.state_dict().items()})
        return state if self.draw is None else {**state, "draw": self.draw}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Restore the backbone, the generator and the draw."""
        state = dict(state)
        draw = state.pop("draw", None)
        generator = {key[len("generator.") :]: state.pop(key) for key in list(state) if key.startswith("generator.")}
        if self.decoder is not None:
            self.decoder.load_state_dict(generator)
            self.views.forget()
        super().load_state_dict(state)
        self.draw = None if draw is None else draw.to(self.device)
        self.keep_draw = True

    def training_state(self) -> dict[str, Any]:
        """What further training needs, of both stages."""
        own = {
            "stage": None if self.stage is None else self.stage.state(),
            "keep_draw": self.keep_draw,
            "highest": self.highest,
        }
        return {**super().training_state(), "lagnn": own}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`training_state` returned."""
        super().load_training_state(state)
        own = state["lagnn"]
        self.keep_draw, self.highest = own["keep_draw"], list(own["highest"])
        if self.stage is not None:
            self.stage.load(own["stage"])


def consistency(predictions: list[torch.Tensor], temp: float) -> torch.Tensor:
    """Mean over S predictions and their rows of ||P_s - q||^2, q the sharpened mean of the S, without gradient.

    predictions: S tensors (..., C) of probabilities over the last axis; q = p^(1/T) / sum_c p^(1/T).
    """
    p = torch.stack(predictions)
    with torch.no_grad():
        logs = p.mean(0).clamp(min=1e-30).log() / temp
        q = logs.softmax(-1)
    return (p - q).square().sum(-1).mean()
