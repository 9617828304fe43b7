"""Options of EdgeBank."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import option
from graphkit.core.options import LearnerConfig

MEMORIES = ("unlimited", "window")


@dataclass(frozen=True)
class EdgeBankConfig(LearnerConfig):
    """Options of EdgeBank."""

    epochs: int = option(0, "nothing is trained", min=0, max=0)
    memory: str = option(
        "unlimited", "remember all pairs, or those of a window that moves with the stream", choices=MEMORIES
    )
    window_share: float = option(0.15, "window: the last events so far that it holds, as a share of them", min=0, max=1)
    time_window: float = option(
        0.0, "window: its fixed length instead, in the data's unit of time (seconds of dates); 0: none", min=0
    )
    batch_size: int = option(200, "events that are judged before the memory takes them in; 1: one by one", min=1)
