"""A conditional variational autoencoder of feature vectors: what could stand next to a node with these features."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn
from torch.nn import functional

from graphkit.core.errors import DataError
from graphkit.io.files import atomic_path
from graphkit.io.models import check_finite

OUTPUTS = ("sigmoid", "tanh", "none")
RECONSTRUCTIONS = ("bce", "squared")
FORM = "graphkit neighbour generator 1"


class CVAE(nn.Module):
    """p(x | c) of a vector x in R^F given a vector c in R^F, through z in R^d.

    Encoder: a = ReLU(W [x, c] + b), q(z | x, c) = N(mean(a), diag exp(logvar(a))). Decoder: ReLU(V [z, c] + b), a
    linear layer to R^F, then ``output``. Loss of a batch: (R(x_hat, x) + KL(q || N(0, I))) / batch, with R the binary
    cross-entropy or the squared error, summed over features. O(F hidden) per row.

    features: F. hidden, latent: widths. norm: BatchNorm behind every linear layer but the two of q. It uses the
    statistics of the rows that it is given, in generation too.

    Follows Sohn, Lee, Yan: Learning Structured Output Representation using Deep Conditional Generative Models, NeurIPS
    2015, in the form of Liu et al.: Local Augmentation for Graph Neural Networks, ICML 2022.

    >>> import torch
    >>> model = CVAE(4, hidden=8, latent=2)
    >>> model.decode(torch.zeros(3, 2), torch.ones(3, 4)).shape
    torch.Size([3, 4])
    """

    def __init__(
        self,
        features: int,
        *,
        hidden: int = 256,
        latent: int = 10,
        norm: bool = False,
        output: str = "sigmoid",
        reconstruction: str = "bce",
    ):
        super().__init__()
        if reconstruction == "bce" and output != "sigmoid":
            raise ValueError(f"binary cross-entropy needs outputs between 0 and 1, expected sigmoid, found {output}")
        self.about = {
            "features": features,
            "hidden": hidden,
            "latent": latent,
            "norm": norm,
            "output": output,
            "reconstruction": reconstruction,
        }
        self.latent, self.output, self.reconstruction = latent, output, reconstruction
        self.encoder = nn.Linear(2 * features, hidden)
        self.mean, self.logvar = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.decoder, self.to_features = nn.Linear(latent + features, hidden), nn.Linear(hidden, features)
        widths = {"encoder": hidden, "decoder": hidden, "to_features": features} if norm else {}
        self.norms = nn.ModuleDict(
            {key: nn.BatchNorm1d(width, track_running_stats=False) for key, width in widths.items()}
        )

    def _normed(self, name: str, x: torch.Tensor) -> torch.Tensor:
        # A single row has no variance: it passes as it is.
        return self.norms[name](x) if name in self.norms and len(x) > 1 else x

    def encode(self, x: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean and the logarithm of the variance of q(z | x, c), each (B, latent)."""
        hidden = torch.relu(self._normed("encoder", self.encoder(torch.cat([x, c], dim=1))))
        return self.mean(hidden), self.logvar(hidden)

    def context(self, c: torch.Tensor) -> torch.Tensor:
        """The part of the decoder's hidden layer that depends on the (B, F) condition alone, (B, hidden)."""
        return functional.linear(c, self.decoder.weight[:, self.latent :], self.decoder.bias)

    def logits(self, z: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """(B, F) outputs before the last activation of (B, latent) noise and (B, hidden) context."""
        hidden = context + functional.linear(z, self.decoder.weight[:, : self.latent])
        return self._normed("to_features", self.to_features(torch.relu(self._normed("decoder", hidden))))

    def decode(
        self, z: torch.Tensor, c: torch.Tensor | None = None, *, context: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Generate (B, F) vectors from noise and the condition, or from its :meth:`context`."""
        out = self.logits(z, self.context(c) if context is None else context)
        return out.sigmoid_() if self.output == "sigmoid" else out.tanh_() if self.output == "tanh" else out

    def reconstruction_error(self, logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """R(x_hat, x) of each of the B rows, summed over features."""
        if self.reconstruction == "bce":
            return functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
        out = logits.sigmoid() if self.output == "sigmoid" else logits.tanh() if self.output == "tanh" else logits
        return (out - x).square().sum(1)

    def loss(self, x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        """Mean over the batch of R + KL, with one draw of z per row."""
        mean, logvar = self.encode(x, c)
        z = mean + (logvar / 2).exp() * torch.randn_like(mean)
        return (self.reconstruction_error(self.logits(z, self.context(c)), x) + gaussian_kl(mean, logvar)).mean()


def gaussian_kl(mean: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """KL(N(mean, exp(logvar)) || N(0, I)) of each row: -1/2 sum(1 + logvar - mean^2 - exp(logvar))."""
    return -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1)


def fitting_forms(x: torch.Tensor) -> tuple[str, str]:
    """Return (reconstruction, output) that fit features: BCE with sigmoid inside [0, 1], else squared error, tanh
    inside [-1, 1].
    """
    low, high = float(x.min()), float(x.max())
    if low >= 0 and high <= 1:
        return "bce", "sigmoid"
    return "squared", "tanh" if low >= -1 and high <= 1 else "none"


def save_generator(path: str | os.PathLike, model: CVAE, **about: Any) -> None:
    """Write a generator as safetensors, its sizes and ``about`` (plain values) as metadata; atomic."""
    words = {"form": FORM, "model": json.dumps(model.about), "about": json.dumps(about)}
    data = save({key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}, words)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def load_generator(path: str | os.PathLike) -> CVAE:
    """Read a generator; nothing in the file is run. Raises :class:`DataError` where it is none or is damaged."""
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file, expected a generator made by graphkit train lagnn --generator-only")
    try:
        with safe_open(str(path), "pt") as file:
            words = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dictionary
    except (SafetensorError, OSError) as problem:
        raise DataError(f"{path}: not a safetensors file: {' '.join(str(problem).split())[:200]}") from None
    if words.get("form") != FORM:
        raise DataError(
            f"{path}: found {words.get('form', 'no form')!r}, expected a generator made by"
            " graphkit train lagnn --generator-only"
        )
    try:
        about = json.loads(words["model"])
        claimed = (about["hidden"], 2 * about["features"]), (about["latent"], about["hidden"])
        found = tuple(state["encoder.weight"].shape), tuple(state["mean.weight"].shape)
        if found != claimed:  # before memory is taken for sizes that the file only claims
            raise ValueError(f"weights of the shapes {found}, expected {claimed}")
        model = CVAE(about.pop("features"), **about)
        check_finite(state, path)
        model.load_state_dict(state)
    except (KeyError, TypeError, ValueError, RuntimeError) as problem:
        raise DataError(f"{path}: a damaged generator: {' '.join(str(problem).split())[:200]}") from None
    return model
