"""What TGN, TGAT and JODIE share: a node's vector at a time is made of a memory, of whom it met, or both; a pair is
scored by its two.
"""

from __future__ import annotations

import numpy as np
import torch

from graphkit.nn.event_vectors import EventVectors
from graphkit.nn.node_memory import NodeMemory
from graphkit.sampling.past_neighbours import PastNeighbours, RecentNeighbours, neighbourhoods
from graphkit.training.streams import StreamLearner


class EventVectorsLearner(StreamLearner):
    """A stream learner that scores (u, v) by an MLP of the two nodes' vectors at the time of the event.

    A subclass says in ``parts`` what vectors are made of. A batch is scored from what earlier batches left: messages
    that wait, and neighbours that were met before the batch, or with ``within`` before the time of the very event. Node
    features are used where there are some, and event features likewise.
    """

    def parts(self) -> dict:
        """Return what vectors are made of.

        embedding: attention, sum, time or identity. memory: options of :class:`graphkit.nn.node_memory.MemoryUpdate`,
            or None.
        last: whether a node's last message of a batch is its only one. uniform: draw neighbours from all of the past.
        back: a neighbour stands at the moment when it was met. within: neighbours met in the same batch, before, are
            known.
        """
        raise NotImplementedError

    def build(self) -> None:
        """Make the network, the node memory and the finder of neighbours, as the parts say."""
        config, n, parts = self.config, self.nodes, self.parts()
        widths = [0 if feat is None else feat.shape[1] for feat in (self.store.feat, self.node_feat)]
        embedding, memory = parts["embedding"], parts["memory"]
        self.model = EventVectors(config, *widths, memory=memory, embedding=embedding, gaps=self._gaps()).to(
            self.device
        )
        self.optimizers = [torch.optim.Adam(self.model.parameters(), lr=config.lr)]
        self.memory = {"epoch": torch.zeros((), dtype=torch.int64)}
        self.held = self.finder = None
        if memory is not None:
            batch = max(config.batch_size, config.eval_batch_size)
            last = parts["last"]
            self.held = NodeMemory(self.memory, self.store, n, config.memory_dim, self.device, last=last, batch=batch)
        self.depth, self.back, self.within = 0, parts.get("back", False), parts.get("within", False)
        if embedding in ("attention", "sum"):
            self.depth = config.num_layers
            if self.back or self.within or parts["uniform"]:
                options = {"uniform": parts["uniform"], "seed": self.seed}
                self.finder = PastNeighbours(self.memory, self.store, n, config.neighbours, **options)
            else:
                self.finder = RecentNeighbours(self.memory, n, config.neighbours)
        self.mark = np.full(n, -1, dtype=np.int64)

    def empty_rows(self) -> dict[str, int]:
        """What the node memory and the finder hold of a node without a past."""
        return {
            name: value
            for part in (self.held, self.finder)
            if part is not None
            for name, value in part.EMPTY_ROWS.items()
        }

    def make_room(self, room: int) -> None:
        """Lengthen the memory and the scratch that numbers nodes."""
        super().make_room(room)
        self.mark = np.full(room, -1, dtype=np.int64)

    def _gaps(self) -> tuple[float, float]:
        """Mean and standard deviation of the time between a node's training events, the first counted from the
        start.
        """
        train, events = self.dataset.split.train, self.dataset.events
        nodes = np.concatenate([events.src[train], events.dst[train]])
        times = np.tile(events.time[train] - self.store.origin, 2)
        order = np.lexsort([times, nodes])
        nodes, times = nodes[order], times[order]
        before = np.zeros_like(times)
        before[1:][nodes[1:] == nodes[:-1]] = times[:-1][nodes[1:] == nodes[:-1]]
        gaps = (times - before) / self.store.ticks
        return float(gaps.mean()), float(gaps.std()) or 1.0

    def empty_memory(self) -> None:
        """Forget all events."""
        self.memory["epoch"].zero_()
        for part in (self.held, self.finder):
            if part is not None:
                part.empty()

    def on_epoch_start(self, epoch: int) -> None:
        """Forget all events; draws of neighbours are new ones each epoch."""
        super().on_epoch_start(epoch)
        self.memory["epoch"].fill_(epoch + 1)

    def score_batch(self, events: np.ndarray, negatives: np.ndarray, sources: np.ndarray | None = None):
        """Return logits of the events and of their negatives; then take the events, but not the negatives, in."""
        count, src, dst, several = len(events), self.store.src[events], self.store.dst[events], None
        if self.finder is not None and self.within:
            self.finder.take_in(src, dst, events)
        if negatives.ndim == 2 or sources is not None:
            several, negatives = self.score_several(events, negatives, sources), dst
        hops = self._hops(np.concatenate([src, dst, negatives]), np.tile(self._moments(events), 3))
        vectors, reading = self._present(hops.nodes)
        logits = self.model.score(self._embed(hops, vectors, reading), count)
        if self.held is not None:
            ends, numbers = torch.from_numpy(np.stack([src, dst])), torch.from_numpy(events)
            places = torch.from_numpy(hops.at[0][: 2 * count]).view(2, count)
            self.held.take_in(ends, numbers, places, *reading)
        if self.finder is not None and not self.within:
            self.finder.take_in(src, dst, events)
        return logits[0], logits[1] if several is None else several

    def score_pairs(self, src: np.ndarray, dst: np.ndarray, moments: np.ndarray):
        """Return (P,) logits of pairs; a node that comes twice at one moment is worked out once."""
        n, moments = self.room, self._moments(moments)
        codes, place = np.unique(np.tile(moments, 2) * n + np.concatenate([src, dst]), return_inverse=True)
        hops = self._hops(codes % n, codes // n)
        first, second = torch.from_numpy(place.ravel()).to(self.device).view(2, -1)
        vectors = self._embed(hops, *self._present(hops.nodes))
        return self.model.scorer(vectors[first], vectors[second]).view(-1)

    def _moments(self, events):
        """The events whose past is looked at: they themselves, or the first event at the time of each.

        The latter where lists are searched for what came before, simultaneous events left out.
        """
        if self.finder is None or not self.within:
            return events
        known = self.store.time[: self.store.count]
        return torch.searchsorted(known, known[torch.from_numpy(events).to(self.device)]).cpu().numpy()

    def _hops(self, nodes, moments):
        draw = int(self.memory["epoch"]) if self.model.training else 0
        return neighbourhoods(self.finder, nodes, moments, self.depth, self.mark, back=self.back, draw=draw)

    def _present(self, nodes):
        """What (U,) nodes are without neighbours, (U, d), and what was read from the memory: their vectors and when
        those last changed.
        """
        rows = torch.from_numpy(nodes)
        feat = None if self.node_feat is None else self.node_feat[rows.to(self.device)]
        if self.held is None:
            return (torch.empty(len(nodes), 0, device=self.device) if feat is None else feat), None
        vectors, changed = self.held.read(rows, self.model.update)
        whole = vectors if feat is None else vectors + self.model.features(feat)
        return whole, (vectors, changed)

    def _embed(self, hops, vectors, reading) -> torch.Tensor:
        """(R, d) vectors of the rows of hop 0 at their moments."""
        model, store = self.model, self.store
        at = [torch.from_numpy(places).to(self.device) for places in hops.at]
        if model.layers is None:
            own = vectors[at[0]]
            if model.projection is None:
                return own
            now = store.time[torch.from_numpy(hops.moments[0]).to(self.device)]
            return model.projection(own, store.spans(now - reading[1][at[0]]))
        links = []
        for (row, column, event), moments in zip(hops.links, hops.moments):
            row, column, event, moment = (
                torch.from_numpy(part).to(self.device) for part in (row, column, event, moments[row])
            )
            age = store.spans(store.time[moment] - store.time[event])
            links.append((row, column, age, None if store.feat is None else store.feat[event]))
        return model.layers(vectors, at, links)
