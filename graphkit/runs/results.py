"""What every command that computes leaves behind: its cost, and a run folder with config.yaml and result.json."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from graphkit.core import reading
from graphkit.core.config import Config
from graphkit.core.machine import peak_rss_mb, versions
from graphkit.datasets.base import GraphDataset
from graphkit.io.files import write_json, write_text


def process(command: str) -> dict[str, Any]:
    """Peak memory, threads and versions of this process, the revision of graphkit, and what the user typed."""
    return {
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "revision": revision(),
        "command": command,
    }


def cost(started: float, command: str) -> dict[str, Any]:
    """Seconds since ``started`` (of ``time.perf_counter``), and what :func:`process` says."""
    return {"seconds": time.perf_counter() - started, **process(command)}


def header(method: str, dataset: GraphDataset, config: Config, seeds: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """What a result begins with: method, data set, seeds, options, and how the data were read."""
    return {
        "method": method,
        "dataset": dataset.name,
        "seeds": list(seeds),
        "config": config.to_dict(),
        "reading": reading.lines(),
    }


def write(out: str | Path, head: Mapping[str, Any], facts: Mapping[str, Any], dataset: GraphDataset | None) -> None:
    """Write config.yaml and result.json into a run folder that the caller holds; ``dataset`` None: of files alone."""
    checksum = None if dataset is None else dataset.checksum()
    settings = {key: head[key] for key in ("method", "dataset", "seeds", "config")}
    text = yaml.safe_dump({**settings, "checksum": checksum}, sort_keys=False, allow_unicode=True)
    write_text(Path(out) / "config.yaml", text)
    write_json(Path(out) / "result.json", {**head, **facts, "dataset_checksum": checksum})


def revision() -> str | None:
    """Git revision of graphkit where it runs from a checkout of its own, else None."""
    here = Path(__file__).resolve().parent.parent.parent
    if not (here / ".git").exists():
        return None
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
