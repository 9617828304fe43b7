"""NAT: temporal links from small tables of recent neighbours, one per node and hop, joined for every pair."""

from __future__ import annotations

import numpy as np
import torch

from graphkit.core.errors import UsageError
from graphkit.graph import splitmix
from graphkit.methods.temporal.nat.config import HOPS, NATConfig
from graphkit.methods.temporal.nat.model import NATNetwork
from graphkit.methods.temporal.nat.neighbour_cache import join_keys, judge_writes, last_of_each, multiplier, slots_of
from graphkit.training.streams import StreamLearner


class NAT(StreamLearner):
    """Scores whether two nodes interact now, from each one's vector and the neighbours that their tables share.

    A slot is brought up to date only when it is read: its vector passes through a GRU with the event that was stored
    beside it. The slots of both nodes with equal keys are added up, and the hops at which each of the two holds the key
    form a code of six bits with a learned vector. Reading and writing a batch takes O(B (1 + M_1 + M_2)) time, however
    long the past is; memory is O(n (1 + M_1 + M_2) slot_dim). Every node is its own neighbour of hop 0, with a vector
    of 0 before its first event; a node's own vector is then GRU(W [0; 0; phi(0)], 0).

    It differs from the published code in these points. A hop-2 write keeps the event that brought it, about which the
    paper is silent; there the key's own (``hop2_event="own"``), which matters where events have features. A pooled
    vector is as wide as what is pooled; there as the node features (``pool_dim``). Times count from the first event.
    Numbers of nodes and events and times are kept as 64 bits, not as float32. The cosine of the absolute time says
    little of the order of events: what the tables hold is who was met, and training on permuted times costs the
    published code little too. Reference: Luo, Li 2022.
    """

    Config = NATConfig
    config: NATConfig

    def build(self) -> None:
        """Make the network and the tables."""
        config = self.config
        if len(config.cache) < config.hops:
            raise UsageError(f"--cache has {len(config.cache)} numbers, expected one for each of {config.hops} hops")
        self.sizes = (1, *config.cache[: config.hops])
        widths = [0 if feat is None else feat.shape[1] for feat in (self.store.feat, self.node_feat)]
        self.model = NATNetwork(config, *widths).to(self.device)
        self.optimizers = [torch.optim.Adam(self.model.parameters(), lr=config.lr)]
        n = self.nodes
        self.memory = {
            "self": torch.zeros(n, config.self_dim, device=self.device),
            "other": torch.full((n,), -1, dtype=torch.int64),
            "event": torch.full((n,), -1, dtype=torch.int64),
            "writes": torch.zeros(len(self.sizes), 3, dtype=torch.int64),
            # Where keys stand: tables that were filled by another rule would be misread.
            "hash": torch.tensor(multiplier(self.seed), dtype=torch.int64),
        }
        for hop, size in enumerate(self.sizes):
            self.memory[f"key{hop}"] = torch.full((n, size), -1, dtype=torch.int64)
            self.memory[f"event{hop}"] = torch.full((n, size), -1, dtype=torch.int64)
            self.memory[f"slot{hop}"] = torch.zeros(n, size, config.slot_dim, device=self.device)
        self.owner = np.empty(n * max(self.sizes), dtype=np.int64)

    def empty_rows(self) -> dict[str, int]:
        """Keys, events and other ends are -1 in an empty row, vectors 0."""
        return {
            name: -1 if name.startswith(("key", "event", "other")) else 0
            for name in self.memory
            if name not in ("writes", "hash")
        }

    def empty_memory(self) -> None:
        """Empty all tables and vectors."""
        for name, value in {"writes": 0, **self.empty_rows()}.items():
            self.memory[name].fill_(value)

    def make_room(self, room: int) -> None:
        """Lengthen the tables and the scratch of their writes."""
        super().make_room(room)
        self.owner = np.empty(room * max(self.sizes), dtype=np.int64)

    def score_batch(self, events: np.ndarray, negatives: np.ndarray, sources: np.ndarray | None = None):
        """Return logits of the events and of their negatives; then write the events, but not the negatives, to the
        tables.
        """
        store, count, several = self.store, len(events), None
        src, dst = store.src[events], store.dst[events]
        if negatives.ndim == 2 or sources is not None:
            several, negatives = self.score_several(events, negatives, sources), dst
        nodes = np.concatenate([src, dst, negatives])
        now = store.time[torch.from_numpy(np.tile(events, 3)).to(self.device)]
        own = self._own_vectors(nodes, now)
        keys, slots, brought = self._slots(nodes, now)
        logits = self._score_rows(own, keys, slots, np.tile(np.arange(count), 2), np.arange(count, 3 * count))
        ends = slice(2 * count)
        self._take_in(events, src, dst, own[ends].detach(), keys[ends], slots[ends].detach(), brought[ends])
        return logits[:count], logits[count:] if several is None else several

    def score_pairs(self, src: np.ndarray, dst: np.ndarray, moments: np.ndarray):
        """Return (P,) logits of pairs; a node is read once where its state does not depend on the moment."""
        n, nodes = self.room, np.concatenate([src, dst])
        aged = self.config.time_input == "age"
        codes, place = np.unique(np.tile(moments, 2) * n + nodes if aged else nodes, return_inverse=True)
        nodes, moments = (codes % n, codes // n) if aged else (codes, np.full(len(codes), moments[0]))
        now = self.store.time[torch.from_numpy(moments).to(self.device)]
        return self._score_rows(
            self._own_vectors(nodes, now), *self._slots(nodes, now)[:2], *place.ravel().reshape(2, -1)
        )

    def _score_rows(self, own, keys, slots, first, second) -> torch.Tensor:
        """(P,) logits of pairs of rows that were read: own vectors (R, self_dim), keys (R, S) and slots (R, S,
        slot_dim).
        """
        a, b = (torch.from_numpy(rows).to(self.device) for rows in (first, second))
        pooled = self._pool(np.concatenate([keys[first], keys[second]], axis=1), torch.cat([slots[a], slots[b]], 1))
        return self.model.score(pooled, own[a], own[b])

    def _own_vectors(self, nodes, now) -> torch.Tensor:
        """(R, self_dim) own vectors, brought up to date by each node's last event, or by none: zeros at the time 0."""
        rows = torch.from_numpy(nodes)
        other, event, held = (
            self.memory["other"][rows],
            self.memory["event"][rows],
            self.memory["self"][rows.to(self.device)],
        )
        return self.model.renew_self(*self._inputs(torch.arange(len(nodes)), other, event, held, now))

    def _slots(self, nodes, now):
        """Keys (R, S) of the slots of all hops, hop 0 the node itself; their vectors (R, S, slot_dim) brought up to
        date, zero where a slot is empty; and their events (R, S)."""
        rows = torch.from_numpy(nodes)
        keys, events, held = (
            torch.cat(
                [
                    self.memory[f"{what}{hop}"][rows.to(self.memory[f"{what}{hop}"].device)]
                    for hop in range(len(self.sizes))
                ],
                1,
            )
            for what in ("key", "event", "slot")
        )
        flat, width = held.reshape(-1, held.shape[2]), keys.shape[1]
        known = torch.nonzero(keys.ravel() >= 0).ravel()
        renewed = self.model.renew_slots(
            *self._inputs(known, keys.ravel(), events.ravel(), flat, now.repeat_interleave(width))
        )
        out = torch.zeros_like(flat).index_copy(0, known.to(self.device), renewed)
        keys[:, 0] = rows
        return keys.numpy(), out.view_as(held), events.numpy()

    def _inputs(self, known, other, event, held, now):
        """What the update of the known rows looks at: (vector and features of the event's other end, time to encode),
        and what is held.

        All that is looked at is 0 in a row without an event.
        """
        other, event, known = other[known].to(self.device), event[known].to(self.device), known.to(self.device)
        store, past = self.store, event >= 0
        other, event = other.clamp(min=0), event.clamp(min=0)
        parts = [self.memory["self"][other]] + ([] if store.feat is None else [store.feat[event]])
        time = store.time[event] if self.config.time_input == "absolute" else now[known] - store.time[event]
        return torch.cat(parts, 1) * past[:, None], store.spans(time * past), held[known]

    def _pool(self, keys, slots) -> torch.Tensor:
        """(P, width) pooled vectors of the joint neighbourhoods: the slots with equal keys are one neighbour."""
        if self.config.pool == "none":
            return slots.new_zeros(len(keys), 0)
        bits = np.concatenate([np.full(size, 1 << hop, dtype=np.int64) for hop, size in enumerate(self.sizes)])
        group, code, row = join_keys(keys, np.concatenate([bits, bits << 3]))
        used = np.flatnonzero(group.ravel() >= 0)
        group = torch.from_numpy(group.ravel()[used]).to(self.device)
        place = torch.from_numpy(used).to(self.device)
        vectors = slots.reshape(-1, slots.shape[2])[place]
        if self.node_feat is not None:
            vectors = torch.cat([self.node_feat[torch.from_numpy(keys.ravel()[used]).to(self.device)], vectors], 1)
        summed = vectors.new_zeros(len(code), vectors.shape[1]).index_add(0, group, vectors)
        code, row = torch.from_numpy(code).to(self.device), torch.from_numpy(row).to(self.device)
        return self.model.pool(summed, code, row, len(keys))

    def _take_in(self, events, src, dst, own, keys, slots, brought) -> None:
        """Write a batch: own vectors and last events, then the tables of every hop, all judged by what they held
        before.

        Of both ends of each event, sources first: own vectors, and keys, vectors and events of the slots of all hops.
        """
        count, order = (
            len(events),
            np.arange(2 * len(events)).reshape(2, -1).T.ravel(),
        )  # in the stream's order: u, v, u, v, ..
        nodes, others = np.concatenate([src, dst])[order], np.concatenate([dst, src])[order]
        numbers, own = np.repeat(events, 2), own[torch.from_numpy(order).to(own.device)]
        keys, brought, slots = keys[order], brought[order], slots[torch.from_numpy(order).to(slots.device)]
        keep = np.empty(2 * count, dtype=np.bool_)
        last_of_each(nodes, self.owner, keep)
        last = torch.from_numpy(np.flatnonzero(keep))
        rows = torch.from_numpy(nodes)[last]
        self.memory["self"][rows.to(own.device)] = own[last.to(own.device)]
        self.memory["other"][rows], self.memory["event"][rows] = (
            torch.from_numpy(others)[last],
            torch.from_numpy(numbers)[last],
        )
        ends = np.cumsum(self.sizes)
        writes = [(nodes, nodes, numbers, numbers, slots[:, 0])]
        if self.config.hops >= 1:
            writes.append(
                (nodes, others, numbers, numbers, self._held(keys[:, 1 : ends[1]], others, slots[:, 1 : ends[1]]))
            )
        if self.config.hops >= 2:
            # What each end has next to it is two steps from the other end: rows u, v become rows v, u.
            turn = np.arange(2 * count) ^ 1
            near = keys[turn, 1 : ends[1]]
            values = slots[torch.from_numpy(turn).to(slots.device), 1 : ends[1]].reshape(-1, slots.shape[2])
            bringing = np.repeat(numbers, near.shape[1])
            kept = bringing if self.config.hop2_event == "bringing" else brought[turn, 1 : ends[1]].ravel()
            writes.append((np.repeat(nodes, near.shape[1]), near.ravel(), bringing, kept, values))
        for hop, write in enumerate(writes):
            self._write(hop, count, *write)

    def _held(self, keys, others, slots) -> torch.Tensor:
        """(W, slot_dim) vector of each row's slot for ``others``, zero where another key or none is there."""
        place = slots_of(others, self.sizes[1], self.seed, self.config.cache_hash)
        rows = np.arange(len(others))
        same = torch.from_numpy(keys[rows, place] == others).to(slots.device)
        return slots[torch.from_numpy(rows).to(slots.device), torch.from_numpy(place).to(slots.device)] * same[:, None]

    def _write(self, hop: int, count: int, nodes, keys, numbers, kept, values) -> None:
        """Write keys with their vectors and the events ``kept`` to the tables of nodes; numbers: the events that bring
        them.
        """
        size, memory = self.sizes[hop], self.memory
        place = slots_of(np.maximum(keys, 0), size, self.seed, self.config.cache_hash)
        # One draw for each event, side, hop and place in the row, so that it does not depend on how events fall into
        # batches.
        position = np.arange(len(keys)) % (len(keys) // count)
        draws = splitmix.uniform(self.seed, (numbers * (HOPS + 1) + hop) * (4 * max(self.sizes)) + position)
        keep = np.empty(len(keys), dtype=np.bool_)
        held = memory[f"key{hop}"].numpy()
        memory["writes"][hop] += torch.tensor(
            judge_writes(held, nodes, keys, place, draws, self.config.alpha, self.owner, keep)
        )
        rows, columns = torch.from_numpy(nodes[keep]), torch.from_numpy(place[keep])
        memory[f"key{hop}"][rows, columns] = torch.from_numpy(keys[keep])
        memory[f"event{hop}"][rows, columns] = torch.from_numpy(kept[keep])
        chosen = torch.from_numpy(np.flatnonzero(keep)).to(values.device)
        memory[f"slot{hop}"][rows.to(values.device), columns.to(values.device)] = values[chosen]

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what :meth:`state_dict` returned; raises KeyError for tables in which keys stand elsewhere."""
        if "memory.hash" not in state:
            raise KeyError("its tables were filled by an earlier version, which put keys elsewhere; train it again")
        super().load_state_dict(state)

    def report(self, state: dict[str, torch.Tensor]) -> dict[str, float]:
        """For hops from 1 on: the share of slots in use, of writes that met another key, and of writes that were
        dropped.
        """
        found = {}
        for hop in range(1, len(self.sizes)):
            tried, met, dropped = state["memory.writes"][hop].tolist()
            shares = {"slots in use": float((state[f"memory.key{hop}"] >= 0).double().mean())}
            shares.update(
                {"writes that met another key": met / max(tried, 1), "writes dropped": dropped / max(tried, 1)}
            )
            found.update({f"hop {hop}, {name}": value for name, value in shares.items()})
        return found
