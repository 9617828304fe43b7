"""The row that OGB's leaderboards ask for, from a run's result."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

import torch

# What OGB asks for; of ogbn-papers100M three runs are enough.
RUNS = {"ogbn-papers100M": 3}


def row(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (field, value) pairs of a result.json.

    Test and validation are mean ± unbiased std of the same models, the parameters those of all stages. A line "missing"
    says what OGB asks for and the run does not have: ten seeds 0..9, for one.
    """
    config = result.get("config") or {}
    used = bool(config.get("val_edges_at_test"))
    fields = [
        ("dataset", str(result["dataset"])),
        ("method", str(result["method"])),
        (f"test {result['metric']}", _mean_std(result["test"])),
        (f"validation {result['metric']}", _mean_std(result["valid"])),
        ("runs", f"{len(result['seeds'])} (seeds {', '.join(map(str, result['seeds']))})"),
        ("#params", f"{result['parameters']:,}"),
        ("ogb version", (result.get("versions") or {}).get("ogb", "missing")),
        ("validation edges used", "yes, as input at test time" if used else "no"),
        ("external data", "no"),
        ("hardware", result.get("hardware") or hardware(result.get("device"))),
        ("peak memory", f"{result['peak_rss_mb']:,.0f} MB"),
        ("command", str(result.get("command", ""))),
    ]
    missing = _missing(result, used)
    return [*fields, *([("missing", "; ".join(missing))] if missing else [])]


def _missing(result: Mapping[str, Any], used: bool) -> list[str]:
    wanted, found = RUNS.get(str(result["dataset"]), 10), len(result["seeds"])
    missing = []
    if not str(result["dataset"]).startswith("ogb"):
        missing.append("OGB has no leaderboard for this data set")
    elif found < wanted:
        missing.append(f"{wanted - found} more seeds (expected {wanted})")
    if used and result["dataset"] != "ogbl-collab":
        missing.append("validation edges may be used on ogbl-collab alone")
    return missing


def _mean_std(values: Mapping[str, Any]) -> str:
    return f"{values['mean']:.4f} ± " + ("-" if values["std"] is None else f"{values['std']:.4f}")


def hardware(device: str | None = None) -> str:
    """Describe this machine: processor, cores, memory, and the card where ``device`` is one."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB"
    if device and device.startswith("cuda"):
        found += f", {torch.cuda.get_device_name(device)}" if torch.cuda.is_available() else f", {device}"
    return found


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:  # not Linux
        names = []
    return (names or [platform.processor() or platform.machine()])[0]
