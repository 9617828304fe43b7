"""Options of Walks."""

from __future__ import annotations

from dataclasses import dataclass

from graphkit.core.config import Config, option


@dataclass(frozen=True)
class WalksConfig(Config):
    """Options of DeepWalk and node2vec."""

    dim: int = option(128, "length of each vector", min=1)
    num_walks: int = option(80, "walks that start at each node", min=1)
    walk_length: int = option(40, "nodes of a walk", min=2)
    window: int = option(10, "nodes to each side that count as context", min=1)
    p: float = option(1.0, "return parameter: large values keep a walk from going back", min=1e-9)
    q: float = option(1.0, "in-out parameter: large values keep a walk close to where it was", min=1e-9)
    hierarchical: bool = option(True, "hierarchical softmax; otherwise negative sampling")
    negative_samples: int = option(5, "negative samples of each pair", min=1)
    epochs: int = option(1, "passes over the walks", min=1)
    learning_rate: float = option(0.025, "learning rate at the start", min=1e-9)
    workers: int = option(1, "threads of the training; with more than 1 results differ from run to run", min=1)
