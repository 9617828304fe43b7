"""EdgeBank: a pair that has interacted will again; the baseline that every temporal link predictor must beat."""

from __future__ import annotations

import numpy as np
import torch

from graphkit.methods.temporal.edgebank.config import EdgeBankConfig
from graphkit.training.learner import Learner

PAIRS = 1 << 18  # scored at once, so that many negatives an event take no memory of their own


class EdgeBank(Learner):
    """Score 1 for a pair (source, destination) that is in memory, and 0 for every other.

    The memory holds the events before the batch of the event that is judged. ``window`` (the paper's EdgeBank_tw)
    forgets those before the quantile 1 - ``window_share`` of their times, so that by default the pairs of the last 15 %
    of all events so far are known, as many as the test has of all; or with ``time_window`` those longer ago than that
    from the batch's first event. It takes O(E log E) time, O(log E) a pair, and O(E) memory beside the scores.

    Reference: Poursafaei, Huang, Pelrine, Rabbany 2022, section 4.
    """

    Config = EdgeBankConfig
    config: EdgeBankConfig

    def prepare(self, dataset, *, seed: int, device: str) -> None:
        """Number the pairs; there is nothing to learn."""
        self.dataset, self.device, self.optimizers = dataset, device, []

    def predict(self, split: str) -> dict[str, torch.Tensor]:
        """Score the events of a split and their negatives, batch by batch; -inf where an event has fewer negatives than
        others.
        """
        events, part = self.dataset.events, getattr(self.dataset.split, split)
        start = part[np.arange(len(part)) // self.config.batch_size * self.config.batch_size]
        negatives, sources = self.dataset.split.negatives(split)
        keys = self._keys(self.dataset.split.history(split))
        found = {"y_pred_pos": self._known(keys, events.src[part], events.dst[part], start)}
        found["y_pred_neg"] = np.full(negatives.shape, -np.inf)
        several, scores = (one if one.ndim > 1 else one[:, None] for one in (negatives, found["y_pred_neg"]))  # views
        sources = (events.src[part] if sources is None else sources).reshape(len(part), -1)
        rows = max(1, PAIRS // max(1, several.shape[1]))
        for first in range(0, len(part), rows):
            row, column = np.nonzero(several[first : first + rows] >= 0)
            row += first
            source = sources[row, column if sources.shape[1] > 1 else 0]
            scores[row, column] = self._known(keys, source, several[row, column], start[row])
        return {name: torch.from_numpy(scores) for name, scores in found.items()}

    def _keys(self, stored) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The distinct pairs of the stored events as numbers, ascending; (place of the pair, event) of each event in
        one number; and the stored events."""
        events, n = self.dataset.events, self.dataset.num_nodes
        pairs, place = np.unique(events.src[stored] * n + events.dst[stored], return_inverse=True)
        return pairs, np.sort(place.ravel() * len(events) + stored), stored

    def _known(self, keys, src, dst, start) -> np.ndarray:
        """(P,) float64: whether a pair is among the stored events with a number below ``start``, and recently
        enough.
        """
        events, (pairs, entries, stored) = self.dataset.events, keys
        codes, total = src * self.dataset.num_nodes + dst, len(events)
        own = np.searchsorted(pairs, codes)
        met = pairs[np.minimum(own, len(pairs) - 1)] == codes
        # The entry before (pair, start) is the pair's last event before the batch, if it is the pair's.
        last = np.searchsorted(entries, own * total + start) - 1
        found = met & (last >= 0) & (entries[last] // total == own)
        if self.config.memory == "window":
            latest = events.time[entries[last] % total]
            if self.config.time_window:
                found &= events.time[start] - latest <= self.config.time_window * events.ticks
            else:
                count = np.searchsorted(stored, start)
                found &= latest >= events.time[stored[self._oldest(np.maximum(count, 1))]]
        return found.astype(np.float64)

    def _oldest(self, count):
        """Of ``count`` events in order of time, the place of the first at or after the quantile 1 - ``window_share`` of
        their times.
        """
        # A share such as 0.15 of a count is seldom exact in binary: what is whole but for rounding counts as whole.
        return np.ceil((count - 1) * (1 - self.config.window_share) - 1e-9).astype(np.int64)

    def start_stream(self, after: str) -> None:
        """Fill the memory with the events up to the end of ``"valid"`` or ``"test"``, from where :meth:`score_event`
        goes on.
        """
        events, stored = self.dataset.events, self.dataset.split.history(after)
        self.times = events.time[stored].tolist()
        self.last = dict(zip(zip(events.src[stored].tolist(), events.dst[stored].tolist()), self.times))
        self.nodes = self.dataset.num_nodes

    def add_node(self) -> int:
        """Return the number of a new node, which events may name from now on."""
        self.nodes += 1
        return self.nodes - 1

    def score_event(self, src: int, dst: int, time: float, feat=None) -> float:
        """Return 1 for a pair in memory and 0 elsewhere, then take the event in; events come in order of time, one by
        one.
        """
        last = self.last.get((src, dst))
        found = last is not None
        if found and self.config.memory == "window":
            if self.config.time_window:
                found = time - last <= self.config.time_window * self.dataset.events.ticks
            else:
                found = last >= self.times[int(self._oldest(np.int64(len(self.times))))]
        self.last[src, dst] = time
        self.times.append(time)
        return float(found)
