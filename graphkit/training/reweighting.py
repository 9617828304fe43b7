"""Link learners whose message passing can be re-weighted by their own predictor (the "rw" of topological
concentration).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from graphkit.core.errors import UsageError
from graphkit.nn.reweight import Edges, neighbour_means
from graphkit.training.learner import LinkLearner

KEY = "reweight.scores"


class Reweighted(LinkLearner):
    """A link learner that scores its own edges every few epochs and passes messages with weights raised by the scores.

    A step's weights are normalised over the edges that the step sees: those taken out as targets have no part in them.
    The scores themselves come, like the parameters, from the whole training graph. They are part of the model's state.
    """

    #: (E,) probabilities of the messages' edges, in the learner's order; None before the first
    edge_scores: torch.Tensor | None = None

    def score_edges(self) -> torch.Tensor:
        """Return (E,) probabilities of the edges by the present model."""
        raise NotImplementedError

    def prepare_reweighting(self) -> None:
        """Forget scores of an earlier training; raises :class:`UsageError` for what cannot be re-weighted."""
        self.edge_scores = None
        config = self.config
        if config.reweight == "tc" and 0 < config.epochs <= config.reweight_warm_up:
            text = f"--reweight-warm-up is {config.reweight_warm_up}, expected less than --epochs {config.epochs}"
            raise UsageError(f"{text}: no edge would ever be re-weighted")
        if config.reweight == "tc" and config.val_edges_at_test:
            raise UsageError(
                "--reweight tc and --val-edges-at-test exclude each other: validation edges have no weights"
            )

    def on_epoch_start(self, epoch: int) -> None:
        """Score the edges where it is due."""
        config = self.config
        since = epoch - config.reweight_warm_up
        if config.reweight == "tc" and since >= 0 and since % config.reweight_interval == 0:
            self.model.eval()
            with torch.no_grad():
                self.edge_scores = self.score_edges()
            self.model.train()

    def edge_probabilities(
        self, edges: Edges, h: torch.Tensor, logits: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """Return (E,) sigmoid(logits(hbar_i * h_j)), i the end that ``reweight_normalize`` names, hbar the mean of its
        neighbours.
        """
        own, other = edges.receiver, edges.sender
        if self.config.reweight_normalize == "sender":
            own, other = other, own
        means, step = neighbour_means(edges, h, self.config.reweight_aggregation), self.config.eval_batch_size
        parts = [logits(means[own[at : at + step]] * h[other[at : at + step]]) for at in range(0, len(own), step)]
        return torch.sigmoid(torch.cat(parts)) if parts else h.new_zeros(0)

    def state_dict(self) -> dict[str, Any]:
        """The model's state, with the scores of the edges where there are some."""
        state = super().state_dict()
        return state if self.edge_scores is None else {**state, KEY: self.edge_scores}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        scores = state.get(KEY)
        self.edge_scores = None if scores is None else scores.to(self.device)
        super().load_state_dict({key: value for key, value in state.items() if key != KEY})
