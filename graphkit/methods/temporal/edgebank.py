"""EdgeBank: a pair that has interacted will again; the baseline that every temporal link predictor must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphkit.config import option
from graphkit.errors import DataError
from graphkit.lazy import np, torch
from graphkit.methods.base import Learner, LearnerConfig

if TYPE_CHECKING:
    import numpy

MEMORIES = ("unlimited", "window")

PAIRS = 1 << 18  # scored at once, so that many negatives an event take no memory of their own


@dataclass(frozen=True)
class EdgeBankConfig(LearnerConfig):
    """Options of EdgeBank."""

    epochs: int = option(0, "nothing is trained", min=0, max=0)
    memory: str = option("unlimited", "remember all pairs, or those of a recent window of time", choices=MEMORIES)
    time_window: float = option(0.0, "window: its length in the data's units of time; 0: that of the validation period", min=0)
    batch_size: int = option(200, "events that are judged before the memory takes them in; 1: one by one", min=1)


class EdgeBank(Learner):
    """Score 1 for a pair (source, destination) that is in memory, and 0 for every other.

    The memory holds the events before the batch of the event that is judged, of the window before the batch's first time where there is
    one. It takes O(E log E) time, O(log E) a pair, and O(E) memory beside the scores.

    Reference: Poursafaei, Huang, Pelrine, Rabbany 2022, section 4.
    """

    Config = EdgeBankConfig

    def prepare(self, dataset, *, seed: int, device: str) -> None:
        """Number the pairs; there is nothing to learn."""
        self.dataset, self.device, self.optimizers = dataset, device, []
        events, split = dataset.events, dataset.split
        self.span = self.config.time_window or float(events.time[split.valid[-1]] - events.time[split.valid[0]])
        if self.config.memory == "window" and self.span <= 0:
            raise DataError(f"{dataset.name}: the validation period has no length; expected --time-window, a length of time")

    def predict(self, split: str) -> dict[str, torch.Tensor]:
        """Score the events of a split and their negatives, batch by batch; -inf where an event has fewer negatives than others."""
        events, part = self.dataset.events, getattr(self.dataset.split, split)
        start = part[np.arange(len(part)) // self.config.batch_size * self.config.batch_size]
        negatives, stored = getattr(self.dataset.split, f"{split}_neg"), self.dataset.split.history(split)
        keys = self._keys(stored)
        found = {"y_pred_pos": self._known(keys, events.src[part], events.dst[part], start)}
        found["y_pred_neg"] = np.full(negatives.shape, -np.inf)
        several, scores = (one if one.ndim > 1 else one[:, None] for one in (negatives, found["y_pred_neg"]))  # views
        rows = max(1, PAIRS // max(1, several.shape[1]))
        for first in range(0, len(part), rows):
            row, column = np.nonzero(several[first : first + rows] >= 0)
            row += first
            scores[row, column] = self._known(keys, events.src[part[row]], several[row, column], start[row])
        return {name: torch.from_numpy(scores) for name, scores in found.items()}

    def _keys(self, stored) -> tuple[numpy.ndarray, numpy.ndarray]:
        """The distinct pairs of the stored events as numbers, ascending, and (place of the pair, event) of each event in one number."""
        events, n = self.dataset.events, self.dataset.num_nodes
        pairs, place = np.unique(events.src[stored] * n + events.dst[stored], return_inverse=True)
        return pairs, np.sort(place.ravel() * len(events) + stored)

    def _known(self, keys, src, dst, start) -> numpy.ndarray:
        """(P,) float64: whether a pair is among the stored events with a number below ``start``, and recently enough."""
        events, (pairs, entries) = self.dataset.events, keys
        codes, total = src * self.dataset.num_nodes + dst, len(events)
        own = np.searchsorted(pairs, codes)
        met = pairs[np.minimum(own, len(pairs) - 1)] == codes
        # The entry before (pair, start) is the pair's last event before the batch, if it is the pair's.
        last = np.searchsorted(entries, own * total + start) - 1
        found = met & (last >= 0) & (entries[last] // total == own)
        if self.config.memory == "window":
            found &= events.time[entries[last] % total] >= events.time[start] - self.span
        return found.astype(np.float64)

    def start_stream(self, after: str) -> None:
        """Fill the memory with the events up to the end of ``"valid"`` or ``"test"``, from where :meth:`score_event` goes on."""
        events, stored = self.dataset.events, self.dataset.split.history(after)
        self.last = dict(zip(zip(events.src[stored].tolist(), events.dst[stored].tolist()), events.time[stored].tolist()))
        self.nodes = self.dataset.num_nodes

    def add_node(self) -> int:
        """Return the number of a new node, which events may name from now on."""
        self.nodes += 1
        return self.nodes - 1

    def score_event(self, src: int, dst: int, time: float, feat=None) -> float:
        """Return 1 for a pair in memory and 0 elsewhere, then take the event in; events come in order of time, one by one."""
        last = self.last.get((src, dst))
        self.last[src, dst] = time
        return float(last is not None and (self.config.memory == "unlimited" or last >= time - self.span))
