"""What learners of events share: batches in time order, a memory that is emptied each epoch, and judging as time goes
on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from graphkit.core.errors import DataError
from graphkit.training.learner import Learner

PAIRS = 8192  # pairs that are scored at a time where an event has several negatives


class EventStore:
    """Events by number as a learner looks them up: those of a data set, and more that come one by one.

    src, dst: NumPy int64. time: int64 or float64, as the data's, since the first event; feat: float32 or None; tensors
        on the device.
    Whole times differ exactly, so differences are taken before :meth:`spans` makes them float64. Arrays keep room at
    their end, so that taking in an event costs O(1) on average; entries from ``count`` on mean nothing.
    """

    def __init__(self, events, device: str):
        self.count, self.origin, self.ticks = len(events), events.time[0].item(), events.ticks
        self.src, self.dst = events.src.copy(), events.dst.copy()
        self.time = torch.from_numpy(events.time - self.origin).to(device)
        self.feat = None if events.feat is None else torch.from_numpy(events.feat).to(device)

    def spans(self, times: torch.Tensor) -> torch.Tensor:
        """Times or differences of them as float64, of dates in seconds."""
        return times.double() / self.ticks if self.ticks != 1 else times.double()

    def append(self, src: int, dst: int, time: float, feat=None) -> int:
        """Take in an event and return its number; time: as the data's. feat: (F,) floats where the events have
        features.

        Raises :class:`DataError` for a time that is 2^63 or more after the first.
        """
        if self.time.dtype == torch.int64:
            if time - self.origin >= 1 << 63:
                raise DataError(
                    f"time {time} is 2^63 or more after {self.origin}, the first; expected a time nearer to it"
                )
            if isinstance(time, float):  # the first that is no whole number
                self.time = self.time.double()
        if self.count == len(self.src):
            room = max(self.count, 1024)
            self.src, self.dst = (
                np.concatenate([ends, np.zeros(room, dtype=np.int64)]) for ends in (self.src, self.dst)
            )
            self.time = torch.cat([self.time, self.time.new_zeros(room)])
            if self.feat is not None:
                self.feat = torch.cat([self.feat, self.feat.new_zeros(room, self.feat.shape[1])])
        self.src[self.count], self.dst[self.count], self.time[self.count] = src, dst, time - self.origin
        if self.feat is not None:
            self.feat[self.count] = torch.as_tensor(feat, dtype=torch.float32)
        self.count += 1
        return self.count - 1


class StreamLearner(Learner):
    """A learner with a memory of past events.

    A batch is scored with what the memory holds of earlier batches and then taken in, in training and after it alike.
    Training starts with an empty memory each epoch; validation goes on from there, and the test from the validation.
    Where the split hides events (of masked nodes) the memory is built anew over all events before the test, as nothing
    else knows of them.

    A subclass sets ``model`` and ``memory`` in ``build`` and gives ``score_batch`` and ``score_pairs``. ``memory`` maps
    names to tensors that are changed in place, or replaced by longer ones; copies of them are in checkpoints and in the
    saved model. They are looked up by name.
    """

    memory: dict[str, torch.Tensor]
    store: EventStore

    def build(self) -> None:
        """Make ``model``, ``optimizers`` and ``memory`` for ``dataset``; torch's generator is seeded."""
        raise NotImplementedError

    def empty_rows(self) -> dict[str, int]:
        """Names of the memory's tensors with a row for each node, and what a row holds of a node without a past."""
        raise NotImplementedError

    def empty_memory(self) -> None:
        """Put ``memory`` in its state before the first event, in place."""
        raise NotImplementedError

    def score_batch(self, events: np.ndarray, negatives: np.ndarray, sources: np.ndarray | None = None):
        """Return logits of these events, (B,), and of (source, negative), shaped like the negatives, and take the
        events in.

        negatives: (B,) nodes, or (B, K) with -1 where an event has fewer, whose logits are -inf; see
        :meth:`score_several`. sources: shaped like the negatives, where they are not the events' own.
        """
        raise NotImplementedError

    def score_pairs(self, src: np.ndarray, dst: np.ndarray, moments: np.ndarray):
        """Return (P,) logits of pairs at the times of the events ``moments`` (P,); nothing is taken in."""
        raise NotImplementedError

    def score_several(self, events: np.ndarray, negatives: np.ndarray, sources: np.ndarray | None = None):
        """Return logits of (B,) or (B, K) destinations, -inf where there is none (-1); what is taken in stays as it is.

        sources: shaped like the negatives, or None for the events' own.
        """
        found = torch.full(negatives.shape, float("-inf"), device=self.device)
        places = np.argwhere(negatives >= 0)
        for start in range(0, len(places), PAIRS):
            at = tuple(places[start : start + PAIRS].T)
            own = events[at[0]]
            found[at] = self.score_pairs(self.store.src[own] if sources is None else sources[at], negatives[at], own)
        return found

    def prepare(self, dataset, *, seed: int, device: str) -> None:
        """Build the model, with an empty memory."""
        self.dataset, self.device, self.seed, self.taken = dataset, device, seed, 0
        self.store = EventStore(dataset.events, device)
        self.nodes = self.room = dataset.num_nodes
        self.node_feat = dataset.graph.ndata.get("feat")
        if self.node_feat is not None:
            self.node_feat = self.node_feat.float().to(device)
        self.build()
        self.empty_memory()

    def on_epoch_start(self, epoch: int) -> None:
        """Forget all events."""
        self.empty_memory()
        self.taken = 0

    def batches(self, epoch: int, generator: np.random.Generator) -> Iterator[Any]:
        """Yield (numbers of events, negative destinations) in time order; negatives are even over the training
        destinations.
        """
        train = self.dataset.split.train
        negatives = generator.choice(np.unique(self.dataset.events.dst[train]), len(train))
        for start in range(0, len(train), self.config.batch_size):
            stop = start + self.config.batch_size
            yield train[start:stop], negatives[start:stop]

    def loss(self, batch: Any) -> torch.Tensor:
        """Return the mean binary cross-entropy of the events plus that of their negatives."""
        numbers, negatives = batch
        positive, negative = self.score_batch(numbers, negatives)
        self.taken += len(numbers)
        entropy = torch.nn.functional.binary_cross_entropy_with_logits
        return entropy(positive, torch.ones_like(positive)) + entropy(negative, torch.zeros_like(negative))

    def predict(self, split: str) -> dict[str, torch.Tensor]:
        """Score the events of a split and their negatives; the memory stands at the end of the validation after
        either.
        """
        parts = self.dataset.split
        if split == "valid":
            if self.taken != len(parts.train):
                self._replay(parts.train)
            found = self._judge(parts.valid, *parts.negatives("valid"))
            self.taken = len(parts.train) + len(parts.valid)
            return found
        self._finish_validation()
        kept = {name: value.clone() for name, value in self.memory.items()}
        if parts.hides:
            self._replay(np.arange(parts.before))
        found = self._judge(parts.test, *parts.negatives("test"))
        self._put_back(kept)
        return found

    def start_stream(self, after: str) -> None:
        """Bring the memory to the end of ``"valid"`` or ``"test"``, from where :meth:`score_event` goes on.

        After ``"valid"`` the events of the test are gone from ``store``: those that come take their numbers.
        """
        split = self.dataset.split
        if after == "test" and split.hides:
            self._replay(split.history("test"))
            return
        self._finish_validation()
        if after == "test":
            self._judge(split.test, self.dataset.events.dst[split.test])
        else:
            self.store.count = split.before

    def add_node(self) -> int:
        """Return the number of a new node, without a past and with features of 0, which events may name from now on."""
        if self.nodes == self.room:
            self.make_room(max(2 * self.room, 1024))
        self.nodes += 1
        return self.nodes - 1

    def make_room(self, room: int) -> None:
        """Lengthen all that has a row for each node to ``room`` rows."""
        more, self.room = room - self.room, room
        for name, value in self.empty_rows().items():
            held = self.memory[name]
            self.memory[name] = torch.cat([held, torch.full_like(held[:1], value).expand(more, *held.shape[1:])])
        if self.node_feat is not None:
            self.node_feat = torch.cat([self.node_feat, self.node_feat.new_zeros(more, self.node_feat.shape[1])])

    def score_event(self, src: int, dst: int, time: float, feat=None) -> float:
        """Return the logit of an event between two nodes, later than all before it, then take it in."""
        number = self.store.append(src, dst, time, feat)
        self.model.eval()
        with torch.no_grad():
            return float(self.score_batch(np.array([number]), np.array([dst]))[0])

    def _finish_validation(self) -> None:
        """Bring the memory to the end of the validation, unless it stands there."""
        parts = self.dataset.split
        if self.taken != len(parts.train) + len(parts.valid):
            self._replay(parts.history("valid"))
            self.taken = len(parts.train) + len(parts.valid)

    def _replay(self, numbers: np.ndarray) -> None:
        """Empty the memory and take these events in, without learning."""
        self.empty_memory()
        self._judge(numbers, self.dataset.events.dst[numbers])

    def _judge(
        self, numbers: np.ndarray, negatives: np.ndarray, sources: np.ndarray | None = None
    ) -> dict[str, torch.Tensor]:
        self.model.eval()
        scores, size = ([], []), self.config.eval_batch_size
        with torch.no_grad():
            for start in range(0, len(numbers), size):
                part = slice(start, start + size)
                logits = self.score_batch(numbers[part], negatives[part], None if sources is None else sources[part])
                for out, values in zip(scores, logits):
                    out.append(values.cpu())
        return {name: torch.cat(out) for name, out in zip(("y_pred_pos", "y_pred_neg"), scores)}

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the model, the memory and how many events it has taken in."""
        model = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        memory = {f"memory.{name}": value for name, value in self.memory.items()}
        return {**model, **memory, "taken": torch.tensor(self.taken)}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.model.load_state_dict({name[6:]: value for name, value in state.items() if name.startswith("model.")})
        self._put_back({name: state[f"memory.{name}"] for name in self.memory})
        self.taken = int(state["taken"])

    def _put_back(self, saved: dict[str, torch.Tensor]) -> None:
        """Set the memory to saved values; a tensor that has grown since, or had grown then, is replaced."""
        for name, value in saved.items():
            own = self.memory[name]
            if own.shape == value.shape:
                own.copy_(value)
            elif own.shape[1:] == value.shape[1:] and own.dim() == value.dim():
                self.memory[name] = value.to(own.device, own.dtype, copy=True)
            else:
                raise ValueError(f"memory {name}: shape {tuple(value.shape)}, expected {tuple(own.shape)}")
