"""What a labelled data set asks for: how many logits, which loss, and what its metric looks at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from graphkit.core.errors import DataError, UsageError

CLASSES, BINARY, LABELS, ABSOLUTE, SQUARED = "classes", "binary", "labels", "absolute", "squared"
BINARY_METRICS = ("rocauc", "ap")


@dataclass(frozen=True)
class Targets:
    """Labels of nodes or graphs.

    kind: classes (cross-entropy), binary (one logit) and labels (one logit per label; binary cross-entropy), absolute
    and squared (regression). values: (n,) int64 classes, -1 unknown, or (n, T) float32, NaN unknown. out_dim: number of
    logits.
    center, scale: what a user's numbers are shifted and divided by for the loss, mean and deviation of the training
    nodes, so that an option such as the learning rate means the same for metres and millimetres; predictions are in the
    user's units.
    """

    kind: str
    out_dim: int
    values: torch.Tensor
    center: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, dataset) -> Targets:
        """Read a data set's labels by its task and metric; raises :class:`DataError` where they do not fit."""
        labels = torch.as_tensor(dataset.labels if dataset.task == "node" else dataset.graph_labels)
        metric = dataset.metric
        if dataset.task == "node" and dataset.label_kind == "numbers":
            return cls._of_numbers(dataset, labels.double())
        if metric in ("mae", "rmse"):
            values = labels.float().reshape(len(labels), -1)
            return cls(ABSOLUTE if metric == "mae" else SQUARED, values.shape[1], values)
        if labels.dim() == 2 and (labels.shape[1] > 1 or labels.is_floating_point()):
            return cls(LABELS, labels.shape[1], labels.float())
        labels = labels.flatten()
        known = labels[labels >= 0]
        if len(known) == 0:
            raise DataError(f"{dataset.name}: all labels are unknown, expected some")
        if metric in BINARY_METRICS:
            if int(known.max()) > 1:
                raise DataError(
                    f"{dataset.name}: found class {int(known.max())}, expected 0 or 1 for the metric {metric}"
                )
            values = labels.float().where(labels >= 0, torch.tensor(float("nan")))
            return cls(BINARY, 1, values.unsqueeze(1))
        return cls(CLASSES, int(known.max()) + 1, labels.long())

    @classmethod
    def _of_numbers(cls, dataset, labels: torch.Tensor) -> Targets:
        known = labels[torch.as_tensor(dataset.split.train)] if dataset.split is not None else labels
        known = known[~torch.isnan(known)]
        center = float(known.mean())
        scale = float(known.std(unbiased=False)) or 1.0
        values = ((labels - center) / scale).float().unsqueeze(1)
        return cls(ABSOLUTE if dataset.metric == "mae" else SQUARED, 1, values, center, scale)

    def to(self, device: str) -> Targets:
        """The same on a device."""
        return replace(self, values=self.values.to(device))

    def loss(self, logits: torch.Tensor, values: torch.Tensor, class_weights: str = "none") -> torch.Tensor:
        """Mean loss of (B, out_dim) logits against the (B,) or (B, T) values of the same rows; unknown ones do not
        count.

        class_weights ``batch`` weighs class c by (V - V_c) / V for the classes among the V rows, and others by 0.

        Raises :class:`UsageError` for class_weights where the values are no classes.
        """
        if class_weights == "batch" and self.kind not in (CLASSES, BINARY):
            raise UsageError("--class-weights is 'batch', expected none: the labels of this data set are no classes")
        if self.kind == CLASSES:
            weight = _batch_weights(values, self.out_dim) if class_weights == "batch" else None
            return functional.cross_entropy(logits, values, weight=weight, ignore_index=-1)
        logits, known = logits.reshape(values.shape), ~torch.isnan(values)
        logits, values = logits[known], values[known]
        if self.kind in (BINARY, LABELS):
            weight = None if class_weights == "none" else _batch_weights(values.long(), 2)[values.long()]
            # The mean of the weighted classes, as cross_entropy takes it above.
            mean = 1.0 if weight is None or not len(weight) else weight.mean()
            return functional.binary_cross_entropy_with_logits(logits, values, weight=weight) / mean
        error = logits - values
        return error.abs().mean() if self.kind == ABSOLUTE else error.square().mean()

    def predictions(self, logits: torch.Tensor, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """``y_true`` and ``y_pred`` of the given rows, for :func:`graphkit.evaluation.metrics.evaluate`."""
        values = self.values[rows].float() if self.kind == CLASSES else self.values[rows]
        if self.kind == CLASSES:
            values = values.where(values >= 0, torch.tensor(float("nan"), device=values.device))
        return {"y_true": self._in_units(values), "y_pred": self._in_units(logits)}

    def _in_units(self, values: torch.Tensor) -> torch.Tensor:
        return values if self.scale == 1.0 and self.center == 0.0 else values * self.scale + self.center

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """(B, out_dim) probabilities of classes or labels; the values themselves for a regression."""
        if self.kind == CLASSES:
            return logits.softmax(1)
        return logits.sigmoid() if self.kind in (BINARY, LABELS) else self._in_units(logits)


def _batch_weights(values: torch.Tensor, classes: int) -> torch.Tensor:
    counts = torch.bincount(values[values >= 0], minlength=classes).float()
    total = counts.sum().clamp(min=1)
    # One class alone would get weight 0 and leave nothing to learn from, and a mean of 0/0.
    if int((counts > 0).sum()) < 2:
        return torch.ones_like(counts)
    return torch.where(counts > 0, (total - counts) / total, torch.zeros_like(counts))
