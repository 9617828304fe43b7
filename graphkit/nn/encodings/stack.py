"""All encodings of a model side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from graphkit.nn.encodings.encoders import LapEncoder, Positions, RawEncoder, SignNet
from graphkit.nn.encodings.specs import Encoding


class EncodingStack(nn.Module):
    """The learned encoders of ``encodings`` on graphs that hold their raw values
    (:func:`graphkit.nn.encodings.compute`).

    ``dim`` is the sum of the encodings' widths. lap: ``deepset`` or ``transformer`` over frequencies, lap_layers its
    linear or Transformer layers. raw: ``linear`` or ``mlp`` on walks, heat and potentials, raw_layers those of the MLP.
    peg_dim: width of PEG's positions.
    """

    def __init__(
        self,
        encodings: Sequence[Encoding],
        *,
        lap: str = "deepset",
        lap_layers: int = 2,
        lap_post_layers: int = 0,
        raw: str = "linear",
        raw_layers: int = 2,
        act: str = "relu",
        peg_dim: int = 0,
    ):
        super().__init__()
        self.encodings = [encoding for encoding in encodings if encoding.dim]
        self.dim = sum(encoding.dim for encoding in self.encodings)

        def make(encoding: Encoding) -> nn.Module:
            if encoding.name.startswith("lappe"):
                return LapEncoder(encoding.dim, kind=lap, layers=lap_layers, post_layers=lap_post_layers, act=act)
            if encoding.name.startswith("signnet"):
                return SignNet(encoding.k, encoding.dim, kind="mlp" if encoding.name == "signnet-mlp" else "deepset")
            return RawEncoder(encoding.k, encoding.dim, kind=raw, layers=raw_layers, act=act)

        self.encoders = nn.ModuleList(make(encoding) for encoding in self.encodings)
        self.peg = next((encoding for encoding in encodings if encoding.name == "peg"), None)
        self.place = None if self.peg is None else Positions(self.peg.k, peg_dim)

    def forward(self, graph) -> torch.Tensor:
        """Return (n, dim): the encodings in their order."""
        found = [encode(graph, graph.ndata[encoding.key]) for encoding, encode in zip(self.encodings, self.encoders)]
        return torch.cat(found, dim=1) if found else torch.zeros(graph.num_nodes(), 0, device=graph.device)

    def positions(self, graph) -> torch.Tensor | None:
        """(n, peg_dim) positions for the gates of the local layers; None without PEG."""
        return None if self.place is None else self.place(graph, graph.ndata[self.peg.key])
