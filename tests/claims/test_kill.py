"""A real process is stopped in the middle of a claim; the same command then ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

SHEET = """
class: NCNC
kind: learner
task: link
names: {long-ncn: {variant: ncn}}
summary: A claim that takes long enough to be stopped.
claims:
  long:
    says: a training that is stopped is continued
    paper: {from: "no figure"}
    runs:
      cn: {train: cn, dataset: karate, seeds: 2}
      ncn: {train: ncn, dataset: karate, overrides: {epochs: 80, hidden_dim: 16, batch_size: 8}}
    expect: ncn.auc > 0 and cn.auc > 0
    budget: 60s
"""


def plug_in(folder):
    """A plug-in whose sheet holds the claim; its runs are those of built-in methods."""
    package, info = folder / "site" / "long_claim", folder / "site" / "long_claim-0.1.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sheet.py").write_text("from graphkit.methods.link.ncnc.method import NCNC\n")
    (package / "sheet.yaml").write_text(SHEET)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: long-claim\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[graphkit.methods]\nlong-ncn = long_claim.sheet\n")
    return package.parent


def start(site, results):
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    words = [
        sys.executable,
        "-m",
        "graphkit.cli.main",
        "reproduce",
        "long-ncn",
        "--results",
        str(results),
        "--json",
        "--threads",
        "1",
    ]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("left-alone")
    process = start(plug_in(folder), folder / "results")
    return json.loads(process.communicate(timeout=300)[0])[0]["runs"]


@pytest.mark.slow
@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGKILL, -9)], ids=["term", "kill"])
def test_a_stopped_claim_continues(left_alone, tmp_path, number, code):
    site = plug_in(tmp_path)
    stopped = start(site, tmp_path / "stopped")
    deadline = time.monotonic() + 200
    while not any(log.stat().st_size for log in (tmp_path / "stopped" / "runs").glob("ncn-karate-*/metrics.jsonl")):
        assert stopped.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    stopped.send_signal(number)
    out, err = stopped.communicate(timeout=100)
    assert stopped.returncode == code and out == ""
    if number == signal.SIGTERM:
        assert (
            "claim long: stopped by SIGTERM" in err.splitlines()[-1]
            and "run the same command again" in err.splitlines()[-1]
        )

    again = start(site, tmp_path / "stopped")
    found = json.loads(again.communicate(timeout=300)[0])[0]
    assert again.returncode == 0 and found["state"] == "held"
    for key in ("cn", "ncn"):
        assert found["runs"][key]["metrics"] == left_alone[key]["metrics"]
        assert found["runs"][key]["best_epochs"] == left_alone[key]["best_epochs"]
