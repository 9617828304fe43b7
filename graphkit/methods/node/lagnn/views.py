"""What LAGNN's backbones see of a node: generated feature vectors, or those of a control, beside the true one."""

from __future__ import annotations

import torch

from graphkit.methods.node.lagnn.config import LAGNNConfig
from graphkit.methods.node.lagnn.cvae import CVAE
from graphkit.methods.node.lagnn.generator import normalized
from graphkit.training.supervised import Batch
from graphkit.training.targets import Targets


class Views:
    """Draws and views of the nodes of one graph.

    A draw is what decides the views: (k, B, latent) noise for the generator, (k, B) numbers of nodes for the control
    ``shuffle``, None where nothing is random. config: k = ``views``, ``control``, ``row_normalize``. raw: (n, F)
    features as the data have them.
    decoder: the generator, frozen when views are made. O(k B F) time and memory.
    """

    def __init__(self, config: LAGNNConfig, raw: torch.Tensor, decoder: CVAE | None):
        self.config, self.raw, self.decoder = config, raw, decoder
        self._context: torch.Tensor | None = None

    @property
    def random(self) -> bool:
        """Whether views differ from draw to draw."""
        return self.config.views > 0 and self.config.control != "self"

    def forget(self) -> None:
        """Forget what was computed with other weights of the generator."""
        self._context = None

    def on(self, raw: torch.Tensor) -> Views:
        """The same for another graph."""
        return Views(self.config, raw, self.decoder)

    def draw(self, count: int | None = None) -> torch.Tensor | None:
        """A draw for ``count`` nodes; None: for all."""
        if not self.random:
            return None
        k, n, device = self.config.views, len(self.raw), self.raw.device
        if self.config.control == "shuffle":
            drawn = [torch.randperm(n) if count is None else torch.randint(n, (count,)) for _ in range(k)]
            return torch.stack(drawn).to(device)
        return torch.randn(k, n if count is None else count, self.config.latent_dim, device=device)

    def of(self, x: torch.Tensor, draw: torch.Tensor | None, nodes: torch.Tensor | None = None) -> list[torch.Tensor]:
        """The k views, each (B, F), of the nodes with the true features x; ``nodes`` None: of all nodes."""
        if draw is None:
            return [x] * self.config.views
        if self.config.control == "shuffle":
            found = [self.raw[numbers] for numbers in draw]
        else:
            with torch.no_grad():
                context = self._context_of(nodes)
                found = [self.decoder.decode(z, context=context) for z in draw]
        # In place: of wide features every copy costs as much as a network's step.
        return [normalized(view, out=view) for view in found] if self.config.row_normalize else found

    def _context_of(self, nodes: torch.Tensor | None) -> torch.Tensor:
        if nodes is not None:
            return self.decoder.context(self.raw[nodes])
        if self._context is None:
            self._context = self.decoder.context(self.raw)
        return self._context


class ShownClasses:
    """Classes of training nodes as input: (n, C) one-hot rows in ``table``, zero where the class is not shown or not
    known.

    A step shows each training node's class with the probability ``share`` and learns the classes that it does not show;
    a prediction is shown all. train: (T,) training nodes, on the device of the targets.
    """

    def __init__(self, targets: Targets, train: torch.Tensor, share: float):
        self.share = share
        self.table = torch.zeros(len(targets.values), targets.out_dim, device=train.device)
        known = train[targets.values[train] >= 0]
        self.table[known, targets.values[known]] = 1.0

    def part(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the (n, C) classes that a step shows, the rows that it learns, at least one, and their classes."""
        hidden = torch.rand(len(batch.rows), device=batch.rows.device) >= self.share
        hidden = hidden | ~hidden.any()
        rows = batch.rows[hidden]
        table = self.table.clone() if batch.nodes is None else self.table[batch.nodes.to(self.table.device)]
        table[rows] = 0.0
        return table, rows, batch.y[hidden]
