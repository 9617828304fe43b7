"""The log of waiting messages against a dictionary, through reclaiming and growth."""

import pytest
import torch

from graphkit.nn.node_memory import MessageLog


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("entries", [8, 60])
def test_log_holds_the_last_messages_of_each_node(seed, entries):
    generator, memory, held = torch.Generator().manual_seed(seed), {}, {}
    log = MessageLog(memory, 10, 3, entries, "cpu")
    for step in range(80):
        size = int(torch.randint(1, 9, (), generator=generator))
        nodes = torch.sort(torch.randint(0, 10 if step > 40 else 4, (size,), generator=generator)).values
        other, event = torch.randn(size, 3, generator=generator), torch.randint(0, 1000, (size,), generator=generator)
        gap, side = torch.rand(size, generator=generator).double(), torch.randint(0, 2, (size,), generator=generator)
        log.put(nodes, other, event, gap, side)
        for v in set(nodes.tolist()):
            own = nodes == v
            held[v] = (other[own], event[own], gap[own], side[own])
        asked = torch.randperm(10, generator=generator)[:6]
        rows, owner = log.rows_of(asked)
        assert owner.tolist() == sorted(owner.tolist())
        for place, v in enumerate(asked.tolist()):
            own = rows[owner == place]
            assert len(own) == (len(held[v][0]) if v in held else 0)
            if v in held:
                for name, values in zip(MessageLog.ENTRY, held[v]):
                    assert torch.equal(memory[f"log_{name}"][own], values)
    assert len(memory["log_event"]) <= max(entries, 4 * 10 * 8)
    log.empty()
    assert len(log.rows_of(torch.arange(10))[0]) == 0
