"""A vector per node that events change: messages, their aggregation, and the recurrent cell (TGN, JODIE)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

CELLS = {"gru": nn.GRUCell, "rnn": nn.RNNCell}


class MemoryUpdate(nn.Module):
    """What turns the raw messages of a node and its vector s_i into its next vector.

    A raw message of an event of i with j is [s_i | s_j | phi(dt) | f_e], dt the time since i's vector last changed;
    ``own`` False leaves s_i out. message: ``identity``, or ``mlp`` of width ``message_dim``. Several messages of a node
    are averaged. updater: ``gru`` or ``rnn``. sides: 1 cell for all messages, or 2, for those that a node has as source
    and as destination, with one message a node. Reference: Rossi et al. 2020, section 3.1.
    """

    def __init__(
        self,
        time: nn.Module,
        time_dim: int,
        memory_dim: int,
        edge_dim: int,
        *,
        updater: str,
        message: str = "identity",
        message_dim: int = 0,
        own: bool = True,
        sides: int = 1,
    ):
        super().__init__()
        self.time, self.own = time, own
        width = (1 + own) * memory_dim + time_dim + edge_dim
        self.message = nn.Identity()
        if message == "mlp":
            self.message = nn.Sequential(nn.Linear(width, width // 2), nn.ReLU(), nn.Linear(width // 2, message_dim))
            width = message_dim
        self.cells = nn.ModuleList([CELLS[updater](width, memory_dim) for _ in range(sides)])

    def forward(self, state, owner, other, gap, feat, side) -> torch.Tensor:
        """(P, d) next vectors of nodes with vectors ``state`` (P, d) and at least one message each.

        owner: (M,) row of each message, ascending. other: (M, d). gap: (M,) float64. feat: (M, F) or None. side: (M,) 0
        for messages that the node has as source, 1 as destination.
        """
        raw = [*([state[owner]] if self.own else []), other, self.time(gap), *([] if feat is None else [feat])]
        messages = self.message(torch.cat(raw, 1))
        if len(messages) > len(state):
            count = torch.bincount(owner, minlength=len(state))
            messages = messages.new_zeros(len(state), messages.shape[1]).index_add(0, owner, messages) / count[:, None]
        if len(self.cells) == 1:
            return self.cells[0](messages, state)
        out = torch.zeros_like(state)
        for number, cell in enumerate(self.cells):
            rows = torch.nonzero(side == number).ravel()  # one message a node: rows of messages are rows of nodes
            out = out.index_copy(0, rows, cell(messages[rows], state[rows]))
        return out


class MessageLog:
    """Raw messages of each node that wait to be worked in: a log in which those of a node stand side by side.

    New messages of a node take the place of its old ones, whose entries are reclaimed when the log is full, at O(1) per
    message on average; it grows where more than half of it is in use. Its tensors are in ``memory``: of every entry the
    other end's vector, the event, the time gap and the side; of every node where its messages start and how many they
    are.
    """

    ENTRY = ("other", "event", "gap", "side")

    def __init__(self, memory: dict[str, torch.Tensor], num_nodes: int, dim: int, entries: int, device: str):
        self.memory = memory
        memory["log_other"] = torch.zeros(entries, dim, device=device)
        memory["log_event"] = torch.zeros(entries, dtype=torch.int64)
        memory["log_gap"] = torch.zeros(entries, dtype=torch.float64, device=device)
        memory["log_side"] = torch.zeros(entries, dtype=torch.int64, device=device)
        memory["log_end"] = torch.zeros((), dtype=torch.int64)
        memory["log_start"] = torch.zeros(num_nodes, dtype=torch.int64)
        memory["log_count"] = torch.zeros(num_nodes, dtype=torch.int64)

    def empty(self) -> None:
        """Forget all messages."""
        for name in (*self.ENTRY, "end", "start", "count"):
            self.memory[f"log_{name}"].zero_()

    def rows_of(self, nodes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(M,) entries of the messages of (P,) nodes, node by node, and (M,) the place of each one's node."""
        count = self.memory["log_count"][nodes]
        owner = torch.repeat_interleave(torch.arange(len(nodes)), count)
        within = torch.arange(len(owner)) - (torch.cumsum(count, 0) - count)[owner]
        return self.memory["log_start"][nodes][owner] + within, owner

    def put(
        self, nodes: torch.Tensor, other: torch.Tensor, event: torch.Tensor, gap: torch.Tensor, side: torch.Tensor
    ) -> None:
        """Give messages to nodes; nodes: (W,) ascending. A node's messages from before are gone."""
        different, count = torch.unique_consecutive(nodes, return_counts=True)
        memory = self.memory
        memory["log_count"][different] = 0
        if int(memory["log_end"]) + len(nodes) > len(memory["log_event"]):
            self._reclaim(len(nodes))
        end = int(memory["log_end"])
        for name, values in zip(self.ENTRY, (other, event, gap, side)):
            memory[f"log_{name}"][end : end + len(nodes)] = values
        memory["log_start"][different] = end + torch.cumsum(count, 0) - count
        memory["log_count"][different] = count
        memory["log_end"].fill_(end + len(nodes))

    def _reclaim(self, more: int) -> None:
        live = torch.nonzero(self.memory["log_count"]).ravel()
        rows, _ = self.rows_of(live)
        size, needed = len(self.memory["log_event"]), 2 * (len(rows) + more)
        for name in self.ENTRY:
            held = self.memory[f"log_{name}"]
            kept = held[rows.to(held.device)]
            if needed > size:
                held = self.memory[f"log_{name}"] = held.new_zeros((2 * needed, *held.shape[1:]))
            held[: len(rows)] = kept
        count = self.memory["log_count"][live]
        self.memory["log_start"][live] = torch.cumsum(count, 0) - count
        self.memory["log_end"].fill_(len(rows))


class NodeMemory:
    """The vectors of all nodes, changed lazily: messages of a batch wait until one of their node's next batches has
    been scored.

    Reading works the waiting messages in, with gradients, and leaves what is held as it is; taking in a batch holds the
    changed vectors of its nodes, detached, and replaces their messages by the batch's own. ``last``: only a node's last
    message of a batch counts; else their mean. Its tensors are in ``memory``: ``state`` (n, d), ``changed`` (n,) time
    of the last event worked in, and the log.
    """

    EMPTY_ROWS: ClassVar[dict[str, int]] = {"state": 0, "changed": 0, "log_start": 0, "log_count": 0}

    def __init__(
        self, memory: dict[str, torch.Tensor], store, num_nodes: int, dim: int, device: str, *, last: bool, batch: int
    ):
        self.memory, self.store, self.last, self.device = memory, store, last, device
        memory["state"] = torch.zeros(num_nodes, dim, device=device)
        memory["changed"] = torch.zeros(num_nodes, dtype=store.time.dtype, device=device)
        self.log = MessageLog(memory, num_nodes, dim, 2 * (num_nodes + 2 * batch), device)

    def empty(self) -> None:
        """Zero vectors and no messages."""
        self.memory["state"].zero_()
        self.memory["changed"].zero_()
        self.log.empty()

    def read(self, nodes: torch.Tensor, update: MemoryUpdate) -> tuple[torch.Tensor, torch.Tensor]:
        """(U, d) vectors of different nodes with their messages worked in, and (U,) when they last changed."""
        memory, store = self.memory, self.store
        memory["changed"] = memory["changed"].to(store.time.dtype)  # whole times may come to have fractions
        state, changed = memory["state"][nodes.to(self.device)], memory["changed"][nodes.to(self.device)]
        waiting = torch.nonzero(memory["log_count"][nodes]).ravel()
        if len(waiting) == 0:
            return state, changed
        entries, owner = self.log.rows_of(nodes[waiting])
        event, entries = memory["log_event"][entries].to(self.device), entries.to(self.device)
        waiting, owner = waiting.to(self.device), owner.to(self.device)
        feat = None if store.feat is None else store.feat[event]
        other, gap, side = (memory[f"log_{name}"][entries] for name in ("other", "gap", "side"))
        renewed = update(state[waiting], owner, other, gap, feat, side)
        latest = changed.scatter_reduce(0, waiting[owner], store.time[event], "amax")
        return state.index_copy(0, waiting, renewed), latest

    def take_in(
        self, ends: torch.Tensor, events: torch.Tensor, rows: torch.Tensor, vectors: torch.Tensor, changed: torch.Tensor
    ) -> None:
        """Take in a batch whose nodes were read just before.

        ends: (2, B) nodes. events: (B,) numbers. rows: (2, B) the place of the ends in what was read, ``vectors`` (U,
            d) and ``changed``
        (U,).
        """
        vectors, memory, count = vectors.detach(), self.memory, len(events)
        nodes, places = ends.ravel(), rows.ravel().to(self.device)
        memory["state"][nodes.to(self.device)] = vectors[places]  # a node that comes twice has the same value twice
        memory["changed"][nodes.to(self.device)] = changed[places]
        # In the order of the stream, source before destination, so that the last of a node's messages is well defined;
        # a loop is one.
        order = torch.arange(2 * count).view(2, count).t().ravel()
        order = order[(order < count) | (ends[0] != ends[1])[order % count]]
        order = order[torch.argsort(nodes[order], stable=True)]
        if self.last:
            final = torch.ones(len(order), dtype=torch.bool)
            final[:-1] = nodes[order][1:] != nodes[order][:-1]
            order = order[final]
        event, here = events[order % count], order.to(self.device)
        other = places.view(2, count).flip(0).ravel()[here]
        gap = self.store.spans(self.store.time[event.to(self.device)] - changed[places[here]])
        self.log.put(nodes[order], vectors[other], event, gap, here // count)
