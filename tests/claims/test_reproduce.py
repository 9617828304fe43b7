"""graphkit reproduce: tables, pages and exit codes; with scripted runs, and once for real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from served import graphkit

from graphkit.claims import report, runner
from graphkit.claims.runner import Runner
from graphkit.cli.main import main
from graphkit.core import machine
from graphkit.core.errors import DataError

from .conftest import Script, result


@pytest.fixture
def reproduce(monkeypatch, capsys, tmp_path):
    """Run the command in this process with a scripted executor; returns (exit code, stdout, stderr)."""
    monkeypatch.setattr(machine, "set_threads", lambda threads: None)

    def call(*words, **results):
        script = results.pop("script", None) or Script(**results)
        monkeypatch.setattr(runner, "execute_run", script)
        with pytest.raises(SystemExit) as stop:
            main(["reproduce", *map(str, words), "--results", str(tmp_path / "results")])
        found = capsys.readouterr()
        return stop.value.code, found.out, found.err

    return call


HOLDS = {"ncn": result([0.7, 0.8, 0.9], [0.6, 0.6, 0.6]), "cn": result([0.5, 0.6, 0.7])}
FAILS = {**HOLDS, "cn": result([0.9, 0.9, 0.9])}


def test_table_holds_the_papers_figure_and_ours(reproduce, claim, with_claims):
    with_claims("ncnc", {"better": claim})
    code, out, err = reproduce("ncn", **HOLDS)
    assert code == 0
    head, _, row, expected = out.splitlines()
    assert head.split() == ["claim", "paper", "measured", "verdict", "time"]
    assert row.startswith(
        "better  ncn 89.05, cn 33.92  ncn hits@100 0.8000 ± 0.1000; cn hits@100 0.6000 ± 0.1000  held"
    )
    assert row.endswith("4.0 s (budget 3 s)")
    assert expected == "better: expected ncn.test > cn.test + 0.1"
    assert "ncnc, claim better: ncn beats common neighbours" in err


def test_runs_that_the_expectation_does_not_name_stand_beside(reproduce, claim, with_claims):
    with_claims("ncnc", {"alone": {**claim, "expect": "ncn.test > 0"}})
    row = reproduce("ncnc", **HOLDS)[1].splitlines()[2]
    assert "ncn hits@100 0.8000 ± 0.1000; beside: cn hits@100 0.6000 ± 0.1000  held" in row


def test_exit_code_4_when_one_does_not_hold(reproduce, claim, with_claims):
    with_claims("ncnc", {"better": claim, "fine": {**claim, "expect": "ncn.test > 0"}})
    code, out, err = reproduce("ncnc", **FAILS)
    assert code == 4
    assert "not held" in out and err.splitlines()[-1] == "graphkit: error: 1 of 2 claims did not hold: better"
    assert reproduce("ncnc", "--claim", "fine", **FAILS)[0] == 0


def test_skipped_claims_say_so_and_fail_only_where_nothing_ran(reproduce, claim, with_claims):
    def absent(run, name, *rest, **more):
        if name == "cn":
            raise DataError("cora: not found in the data folders")
        return HOLDS["ncn"]

    alone = {**claim, "runs": {"ncn": claim["runs"]["ncn"]}, "expect": "ncn.test > 0"}
    with_claims("ncnc", {"better": claim, "alone": alone})
    code, out, _ = reproduce("ncnc", script=absent)
    assert code == 0
    assert "cora: not found in the data folders" in out and "skipped" in out and "held" in out
    code, _, err = reproduce("ncnc", "--claim", "better", script=absent)
    assert code == 3
    assert err.splitlines()[-1] == "graphkit: error: no claim could be run: cora: not found in the data folders"


def test_json_is_all_of_stdout(reproduce, claim, with_claims):
    with_claims("ncnc", {"better": claim})
    code, out, _ = reproduce("ncnc", "--json", **FAILS)
    (verdict,) = json.loads(out)
    assert code == 4
    assert (verdict["method"], verdict["claim"], verdict["state"]) == ("ncnc", "better", "not held")
    assert verdict["runs"]["cn"]["metrics"]["hits@100"]["test"]["values"] == [0.9, 0.9, 0.9]
    assert verdict["machine"] and verdict["versions"]["torch"]


def test_quiet_says_nothing_but_the_result(reproduce, claim, with_claims):
    with_claims("ncnc", {"better": claim})
    assert reproduce("ncnc", "-q", **HOLDS)[2] == ""


def test_the_page_names_the_claims_that_were_not_run(claim, with_claims):
    with_claims("ncnc", {"better": claim, "valid": claim})
    assert "Without a stored result: ncnc.better, ncnc.valid." in report.page([])


def test_all_runs_every_sheet_and_writes_the_page(reproduce, claim, with_claims, tmp_path):
    with_claims("ncnc", {"better": claim, "valid": {**claim, "expect": "ncn.valid > 0.9 and ncn.parameters < 8"}})
    page = tmp_path / "docs" / "claims.md"
    assert reproduce("--all", "--write-docs", page, **HOLDS)[0] == 4
    text = page.read_text()
    assert "2 claims: 1 held, 1 not held." in text and "Without a stored result" not in text
    assert "## ncnc" in text and "Neural Common Neighbor with Completion" in text
    row = next(line for line in text.splitlines() if "**better**" in line)
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "**better**: ncn beats common neighbours",
        "ncn 89.05, cn 33.92",
        "ncn hits@100 0.8000 ± 0.1000; cn hits@100 0.6000 ± 0.1000",
        "`ncn.test > cn.test + 0.1`",
        "held",
        "4.0 s (budget 3 s)",
        json.loads((tmp_path / "results" / "ncnc.better.json").read_text())["finished"],
    ]
    assert "ncn hits@100 (valid) 0.6000 ± 0.0000; ncn 7 parameters" in text
    assert machine.describe() in text and f"torch {machine.versions()['torch']}" in text


def test_stored_verdicts_are_shown_without_running(reproduce, claim, with_claims, tmp_path):
    with_claims("ncnc", {"better": claim, "valid": claim})
    first = reproduce("ncnc", "--claim", "better", "--json", **HOLDS)
    assert reproduce("ncnc", "--stored", "--json", **FAILS)[:2] == first[:2]
    page = tmp_path / "claims.md"
    assert reproduce("--all", "--stored", "--write-docs", page)[0] == 0
    assert page.read_text() == report.page(report.stored(tmp_path / "results"))
    assert reproduce("ncnc", "--claim", "valid", "--stored")[0] == 3
    assert reproduce("ncnc", "--fresh", "--stored")[0] == 2


def test_the_page_of_the_repository_is_what_its_verdicts_say():
    docs = Path(__file__).resolve().parents[2] / "docs"
    assert (docs / "claims.md").read_text() == report.page(report.stored(docs / "claims"))


def test_page_leaves_out_claims_that_were_reworded_since(tmp_path, claim, with_claims):
    with_claims("ncnc", {"better": claim, "gone": claim})
    for key in ("better", "gone", "removed"):
        Runner(tmp_path, execute=Script(**HOLDS)).claim("ncnc", key, claim)
    with_claims("ncnc", {"better": claim, "gone": {**claim, "expect": "ncn.test > 0"}})
    assert [verdict.claim for verdict in report.stored(tmp_path)] == ["better"]


def test_the_page_begins_with_what_does_not_hold_and_why(reproduce, claim, with_claims, tmp_path):
    failing = {**claim, "why": "Common neighbours\n  are enough here.", "catches": "a count of one\n side alone"}
    with_claims("ncnc", {"better": failing, "fine": {**claim, "expect": "ncn.test > 0", "why": "never shown"}})
    code, out, _ = reproduce("ncnc", **FAILS)
    assert code == 4
    assert "better: catches a count of one side alone\nbetter: Common neighbours are enough here.\n" in out
    assert "never shown" not in out
    page = report.page(report.stored(tmp_path / "results"))
    first = page.partition("\n## ncnc")[0].splitlines()
    assert (
        first[-1]
        == "- **ncnc.better**: ncn beats common neighbours. Measured: ncn hits@100 0.8000 ± 0.1000; cn hits@100 0.9000"
        " ± 0.0000; expected `ncn.test > cn.test + 0.1`. Common neighbours are enough here."
    )
    assert (
        "never shown" not in page
        and "**better**: ncn beats common neighbours *Catches: a count of one side alone.* |" in page
    )


def test_words_of_the_page_are_those_of_the_sheet_today(claim, with_claims, tmp_path):
    with_claims("ncnc", {"better": claim})
    Runner(tmp_path, execute=Script(**HOLDS)).claim("ncnc", "better", claim)
    with_claims("ncnc", {"better": {**claim, "says": "told better", "catches": "a swap"}})
    (verdict,) = report.stored(tmp_path)
    assert (verdict.says, verdict.catches) == ("told better", "a swap")


def test_page_leaves_out_claims_whose_runs_changed_since(claim, with_claims, tmp_path):
    with_claims("ncnc", {"better": claim})
    Runner(tmp_path, execute=Script(**HOLDS)).claim("ncnc", "better", claim)
    assert len(report.stored(tmp_path)) == 1
    runs = {**claim["runs"], "ncn": {**claim["runs"]["ncn"], "overrides": {"epochs": 2}}}
    with_claims("ncnc", {"better": {**claim, "runs": runs}})
    assert report.stored(tmp_path) == []


def test_a_file_that_is_no_verdict_is_named(tmp_path, claim, with_claims):
    with_claims("ncnc", {"better": claim})
    (tmp_path / "ncnc.better.json").write_text("{}")
    with pytest.raises(DataError, match=r"ncnc.better.json: not a stored verdict"):
        report.stored(tmp_path)


@pytest.mark.parametrize(
    "mean, shown", [(0.5, "0.5000"), (0.0, "0.0000"), (4.2e-7, "4.20e-07"), (-0.25, "-0.2500"), (1.0, "1.0000")]
)
def test_small_figures_keep_their_digits(mean, shown):
    assert report.spread({"mean": mean, "std": None}) == shown


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "expected one of METHOD and --all"),
        (["ncnc", "--all"], "expected one of METHOD and --all"),
        (["--all", "--claim", "better"], "--claim needs METHOD"),
        (["ncnd"], "unknown method 'ncnd'; did you mean 'ncn'"),
        (["ncnc", "--claim", "beter"], "--claim beter: ncnc has no such claim; did you mean 'better'?"),
        (["cleora"], "cleora: has no claims"),
        (["ncnc", "--smok"], "No such option"),
    ],
)
def test_wrong_usage(reproduce, claim, with_claims, words, message):
    with_claims("ncnc", {"better": claim})
    code, out, err = reproduce(*words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1 and message in err


def test_for_real_and_again_from_the_folder(tmp_path, monkeypatch):
    """The heuristics' smoke claim on the karate club, in a process of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        return graphkit("reproduce", "cn", "--smoke", "--results", "kept", "--threads", 1, *words)

    first = run("--json")
    assert first.returncode == 0, first.stderr
    (verdict,) = json.loads(first.stdout)
    assert verdict["state"] == "held" and len(verdict["runs"]["cn"]["metrics"]["auc"]["test"]["values"]) == 10
    (folder,) = (tmp_path / "kept" / "runs").glob("cn-karate-*")
    written = (folder / "result.json").stat().st_mtime_ns
    assert json.loads(run("--json").stdout) == [verdict]
    assert (folder / "result.json").stat().st_mtime_ns == written
    assert run("--fresh").returncode == 0
    (folder,) = (tmp_path / "kept" / "runs").glob("cn-karate-*")
    assert (folder / "result.json").stat().st_mtime_ns != written
