"""Memory, messages and attention of TGN, TGAT and JODIE by the letter, one event and one node at a time, for the claims
and the tests.
"""

from __future__ import annotations

import numpy as np
import torch

from graphkit.datasets.base import GraphDataset
from graphkit.methods.temporal.jodie.method import JODIE
from graphkit.methods.temporal.nat.experiments import random_stream
from graphkit.methods.temporal.tgat.method import TGAT
from graphkit.methods.temporal.tgn.method import TGN

EVENTS, BATCH = 300, 20


def sigmoid(x):
    """1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-x))


class Plain:
    """A trained or untrained :class:`graphkit.training.event_vectors.EventVectorsLearner` in NumPy, float64, without
    dropout.

    Draws of neighbours are not repeated here: where a learner draws them, it must have k as large as any past.
    """

    def __init__(self, learner):
        self.learner, self.parts, self.store = learner, learner.parts(), learner.store
        self.p = {name: value.detach().double().numpy() for name, value in learner.model.named_parameters()}
        self.width = learner.config.memory_dim if self.parts["memory"] is not None else 0
        self.state: dict[int, np.ndarray] = {}
        self.changed: dict[int, float] = {}
        self.waiting: dict[int, list] = {}
        self.past: list[int] = []
        self.node_feat = None if learner.node_feat is None else learner.node_feat.double().numpy()
        self.event_feat = None if learner.store.feat is None else learner.store.feat.double().numpy()

    def phi(self, time: float):
        """Encoding of a time."""
        return np.cos(time * self.p["time.frequency"] + self.p["time.phase"])

    def time(self, event: int) -> float:
        """Time of an event since the first."""
        return self.store.time[event].item()

    def feat(self, event: int):
        """Features of an event, of width 0 where there are none."""
        return np.empty(0) if self.event_feat is None else self.event_feat[event]

    def linear(self, name: str, x):
        """W x + b of a layer by name."""
        return self.p[f"{name}.weight"] @ x + self.p.get(f"{name}.bias", 0)

    def merge(self, name: str, a, b):
        """A two-layer MLP of [a | b]."""
        return self.linear(f"{name}.layers.2", np.maximum(self.linear(f"{name}.layers.0", np.concatenate([a, b])), 0))

    def memory(self, u: int):
        """(vector of u with its waiting messages worked in, when it last changed)."""
        state, changed = self.state.get(u, np.zeros(self.width)), self.changed.get(u, 0.0)
        waiting = self.waiting.get(u, [])
        if not waiting:
            return state, changed
        messages = [self.message(state, *raw) for raw in waiting]
        options = self.parts["memory"]
        cell = waiting[-1][3] if options.get("sides", 1) == 2 else 0
        renewed = self.cell(cell, options["updater"], np.mean(messages, axis=0), state)
        return renewed, max(self.time(event) for _, event, _, _ in waiting)

    def message(self, state, other, event: int, gap: float, side: int):
        """msg of one raw message."""
        own = [state] if self.parts["memory"].get("own", True) else []
        raw = np.concatenate([*own, other, self.phi(gap), self.feat(event)])
        if self.parts["memory"].get("message", "identity") == "mlp":
            return self.linear("update.message.2", np.maximum(self.linear("update.message.0", raw), 0))
        return raw

    def cell(self, number: int, kind: str, x, h):
        """A step of the recurrent cell, by its equations."""
        name = f"update.cells.{number}"
        a = self.p[f"{name}.weight_ih"] @ x + self.p[f"{name}.bias_ih"]
        b = self.p[f"{name}.weight_hh"] @ h + self.p[f"{name}.bias_hh"]
        if kind == "rnn":
            return np.tanh(a + b)
        (ar, az, an), (br, bz, bn) = np.split(a, 3), np.split(b, 3)
        r, z = sigmoid(ar + br), sigmoid(az + bz)
        return (1 - z) * np.tanh(an + r * bn) + z * h

    def present(self, u: int):
        """h^0: memory and features of a node."""
        feat = np.empty(0) if self.node_feat is None else self.node_feat[u]
        if self.parts["memory"] is None:
            return feat
        return self.memory(u)[0] + (0 if self.node_feat is None else self.p["features.weight"] @ feat)

    def met(self, u: int, moment: int) -> list[tuple[int, int]]:
        """(other end, event) of the last k known events of u before a moment."""
        src, dst = self.store.src, self.store.dst
        own = [k for k in self.past if k < moment and u in (src[k], dst[k])][-self.learner.config.neighbours :]
        return [(int(dst[k] if src[k] == u else src[k]), k) for k in own]

    def vector(self, u: int, moment: int, layer: int | None = None):
        """z_u, or h_u^layer, at the time of the event ``moment``."""
        kind = self.parts["embedding"]
        if kind == "identity":
            return self.present(u)
        if kind == "time":
            projection = self.learner.model.projection
            gap = (self.time(moment) - self.memory(u)[1] - projection.mean) / projection.deviation
            return self.present(u) * (1 + gap * self.p["projection.weight"])
        layer = self.learner.config.num_layers if layer is None else layer
        if layer == 0:
            return self.present(u)
        name, own = f"layers.layers.{layer - 1}", self.vector(u, moment, layer - 1)
        seen = [
            np.concatenate(
                [
                    self.vector(v, event if self.parts.get("back") else moment, layer - 1),
                    self.feat(event),
                    self.phi(self.time(moment) - self.time(event)),
                ]
            )
            for v, event in self.met(u, moment)
        ]
        return self.attention(name, own, seen) if kind == "attention" else self.sum(name, own, seen)

    def sum(self, name: str, own, seen: list):
        """W_2 [h | relu(sum W_1 x)]."""
        total = sum((self.p[f"{name}.links.weight"] @ x for x in seen), np.zeros(len(self.p[f"{name}.links.weight"])))
        return self.linear(f"{name}.out", np.concatenate([own, np.maximum(total, 0)]))

    def attention(self, name: str, own, seen: list):
        """FFN([softmax(q K) V | h]) head by head."""
        heads, query = self.learner.config.heads, self.p[f"{name}.query.weight"] @ np.concatenate([own, self.phi(0.0)])
        out = np.zeros(len(query))
        width = len(query) // heads
        for head in range(heads) if seen else ():
            part = slice(head * width, (head + 1) * width)
            keys = np.array([self.p[f"{name}.key.weight"][part] @ x for x in seen])
            values = np.array([self.p[f"{name}.value.weight"][part] @ x for x in seen])
            weight = np.exp(keys @ query[part] / np.sqrt(width))
            out[part] = weight / weight.sum() @ values
        return self.merge(f"{name}.merge", out, own)

    def score(self, u: int, v: int, moment: int) -> float:
        """Logit of a pair at the time of an event."""
        if self.parts.get("within"):
            moment = next(k for k in range(moment + 1) if self.time(k) == self.time(moment))
        return float(self.merge("scorer", self.vector(u, moment), self.vector(v, moment))[0])

    def take_in(self, events) -> None:
        """Take in a batch: vectors as they were before it, then a message to each end of each event, in order."""
        ends = [(k, int(self.store.src[k]), int(self.store.dst[k])) for k in events.tolist()]
        self.past = sorted({*self.past, *events.tolist()})
        if self.parts["memory"] is None:
            return
        before = {u: self.memory(u) for _, *pair in ends for u in pair}
        for u, (state, changed) in before.items():
            self.state[u], self.changed[u], self.waiting[u] = state, changed, []
        for k, u, v in ends:
            for side, (own, other) in enumerate(((u, v), (v, u))[: 1 + (u != v)]):
                if self.parts["last"]:
                    self.waiting[own].clear()
                self.waiting[own].append((before[other][0], k, self.time(k) - before[own][1], side))


def compare(learner, size: int, seed: int = 0) -> float:
    """Stream the learner's data through it in batches and through :class:`Plain`; return the largest difference of
    scores and states.
    """
    stream, worst, rng = learner.dataset.events, 0.0, np.random.default_rng(seed)
    learner.model.eval()
    plain = Plain(learner)
    with torch.no_grad():
        for start in range(0, len(stream), size):
            numbers = np.arange(start, min(start + size, len(stream)))
            negatives = rng.integers(0, learner.dataset.num_nodes, len(numbers))
            ends = (stream.dst[numbers], negatives)
            plain.past += numbers.tolist() if plain.parts.get("within") else []
            wanted = [
                [plain.score(int(u), int(v), int(k)) for u, v, k in zip(stream.src[numbers], end, numbers)]
                for end in ends
            ]
            found = learner.score_batch(numbers, negatives)
            worst = max(worst, *(float(np.abs(a.numpy() - b).max()) for a, b in zip(found, wanted)))
            plain.take_in(numbers)
            if learner.held is not None:
                state = learner.memory["state"].numpy()
                worst = max(worst, *(float(np.abs(state[u] - own).max()) for u, own in plain.state.items()))
    return worst


def _stream_of(dataset: GraphDataset):
    return random_stream(dataset.num_nodes, EVENTS, 0)


def tgn(dataset: GraphDataset) -> dict[str, float]:
    """Stream random events among as many nodes as the data set has through TGN, batched and by the letter.

    Return the largest difference of scores and memories for each aggregator and message.
    """
    found = {}
    for aggregator, message in (("last", "identity"), ("mean", "identity"), ("mean", "mlp")):
        torch.manual_seed(0)
        learner = TGN(aggregator=aggregator, message=message, memory_dim=8, hidden_dim=8, time_dim=6, neighbours=4)
        learner.prepare(_stream_of(dataset), seed=0, device="cpu")
        found[f"{aggregator}_{message}"] = compare(learner, BATCH)
    return found


def tgat(dataset: GraphDataset) -> dict[str, float]:
    """The same of TGAT with the last events as neighbours: the largest difference of scores for one and for two
    layers.
    """
    found = {}
    for layers in (1, 2):
        torch.manual_seed(0)
        learner = TGAT(num_layers=layers, hidden_dim=8, time_dim=6, neighbours=3, neighbour_choice="recent")
        learner.prepare(_stream_of(dataset), seed=0, device="cpu")
        found[f"layers_{layers}"] = compare(learner, BATCH)
    return found


def jodie(dataset: GraphDataset) -> dict[str, float]:
    """The same of JODIE: the largest difference of scores and memories with coupled cells and with one."""
    found = {}
    for coupled in (True, False):
        torch.manual_seed(0)
        learner = JODIE(coupled=coupled, memory_dim=8, time_dim=6)
        learner.prepare(_stream_of(dataset), seed=0, device="cpu")
        found["coupled" if coupled else "single"] = compare(learner, BATCH)
    return found
