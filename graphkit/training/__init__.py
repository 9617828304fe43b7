"""The one training loop, its checkpoints and its signals."""

from graphkit.training.fit import FitResult, fit

__all__ = ["FitResult", "fit"]
