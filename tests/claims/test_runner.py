"""Claims with scripted runs: verdicts, what is kept, what is run again."""

from __future__ import annotations

import json
import multiprocessing
import time

import pytest

from graphkit import datasets
from graphkit.claims import report, sheets
from graphkit.claims.runner import Runner, execute_run
from graphkit.core import registry
from graphkit.core.errors import DataError, MissingExtraError, UsageError

from .conftest import Script, result


@pytest.fixture
def script():
    return Script(ncn=result([0.7, 0.8, 0.9]), cn=result([0.5, 0.6, 0.7]))


@pytest.mark.parametrize("margin, state", [("0.1", "held"), ("0.3", "not held")])
def test_verdict_compares_means_over_seeds(tmp_path, claim, script, margin, state):
    claim["expect"] = f"ncn.test > cn.test + {margin}"
    verdict = Runner(tmp_path, execute=script).claim("ncnc", "c", claim)
    assert (verdict.state, verdict.seconds, verdict.budget, verdict.over_budget) == (state, 4.0, 3.0, True)
    assert verdict.says == "ncn beats common neighbours"
    assert json.loads((tmp_path / "ncnc.c.json").read_text())["state"] == state


def test_a_run_over_its_budget_is_no_failure(tmp_path, claim, script):
    verdict = Runner(tmp_path, execute=script).claim("ncnc", "c", claim)
    assert verdict.over_budget and verdict.state == "held"
    claim["budget"] = "1m"
    assert not Runner(tmp_path, execute=script).claim("ncnc", "c", claim).over_budget


def test_runs_are_kept_by_what_decides_them(tmp_path, claim, script):
    def calls(**changes):
        changed = {**claim, "runs": {"ncn": {**claim["runs"]["ncn"], **changes}}, "expect": "ncn.test > 0"}
        before = len(script.calls)
        Runner(tmp_path, execute=script).claim("ncnc", "c", changed)
        return len(script.calls) - before

    assert calls() == 1
    assert calls() == 0
    assert calls(seeds=2) == 1
    assert calls(overrides={"epochs": 2}) == 1
    assert calls(dataset="les-miserables") == 1
    assert calls(dataset="sbm:n=50,k=2") == 1
    assert calls(dataset="sbm:n=50,k=2,seed=1") == 1
    assert calls(split="random-0.5/0.25/0.25") == 1
    assert calls() == 0


def test_another_version_runs_again(tmp_path, claim, script, monkeypatch):
    Runner(tmp_path, execute=script).claim("ncnc", "c", claim)
    monkeypatch.setattr("graphkit.claims.runner.__version__", "99.0")
    Runner(tmp_path, execute=script).claim("ncnc", "c", claim)
    assert len(script.calls) == 4


def test_claims_share_runs_and_fresh_runs_each_once(tmp_path, claim, script):
    both = Runner(tmp_path, execute=script)
    both.claim("ncnc", "a", claim)
    both.claim("ncnc", "b", claim)
    assert len(script.calls) == 2
    fresh = Runner(tmp_path, execute=script, fresh=True)
    fresh.claim("ncnc", "a", claim)
    fresh.claim("ncnc", "b", claim)
    assert len(script.calls) == 4


def test_a_killed_claim_continues_with_what_is_missing(tmp_path, claim, script):
    def killed(run, name, *rest):
        if name == "cn":
            raise KeyboardInterrupt
        return script(run, name, *rest)

    with pytest.raises(KeyboardInterrupt):
        Runner(tmp_path, execute=killed).claim("ncnc", "c", claim)
    assert not (tmp_path / "ncnc.c.json").exists()
    assert Runner(tmp_path, execute=script).claim("ncnc", "c", claim).state == "held"
    assert [name for name, _, _ in script.calls] == ["ncn", "cn"]


@pytest.mark.parametrize("problem", [DataError("cora: not found"), MissingExtraError("gensim", "deepwalk", "deepwalk")])
def test_missing_data_or_extra_skip_a_claim_and_spare_the_stored_verdict(tmp_path, claim, script, problem):
    def absent(*_):
        raise problem

    verdict = Runner(tmp_path, execute=absent).claim("ncnc", "c", claim)
    assert (verdict.state, verdict.reason) == ("skipped", str(problem))
    assert json.loads((tmp_path / "ncnc.c.json").read_text())["state"] == "skipped"
    assert Runner(tmp_path, execute=script).claim("ncnc", "c", claim).state == "held"
    assert Runner(tmp_path, execute=absent, fresh=True).claim("ncnc", "c", claim).state == "skipped"
    assert json.loads((tmp_path / "ncnc.c.json").read_text())["state"] == "held"


def test_date_and_machine_are_those_of_the_measurement(tmp_path, claim, script):
    Runner(tmp_path, execute=script).claim("ncnc", "c", claim)
    path = tmp_path / "ncnc.c.json"
    stored = {**json.loads(path.read_text()), "finished": "2020-02-02", "machine": "an old one"}
    path.write_text(json.dumps(stored))
    cached = Runner(tmp_path, execute=script).claim("ncnc", "c", claim)
    assert (cached.finished, cached.machine) == ("2020-02-02", "an old one")
    again = Runner(tmp_path, execute=script, fresh=True).claim("ncnc", "c", claim)
    assert again.finished != "2020-02-02" and again.machine != "an old one"


def test_an_expectation_of_what_was_not_measured_names_sheet_and_claim(tmp_path, claim, script):
    claim["expect"] = "ncn.mrr > 0"
    with pytest.raises(
        DataError,
        match=r"^ncnc/claims.yaml: claim c: expect 'ncn.mrr > 0': ncn.mrr was not measured; the run has hits@100$",
    ):
        Runner(tmp_path, execute=script).claim("ncnc", "c", claim)


def _slow(run, name, dataset, config, path, report):
    with open(path.parent / "calls", "a") as stream:
        stream.write(f"{name}\n")
    time.sleep(1.0)
    return result([0.9, 0.9, 0.9])


def _claim_elsewhere(folder, claim):
    Runner(folder, execute=_slow).claim("ncnc", "c", claim)


def test_two_processes_do_not_run_the_same(tmp_path, claim):
    claim = {**claim, "runs": {"ncn": claim["runs"]["ncn"]}, "expect": "ncn.test > 0"}
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_claim_elsewhere, args=(tmp_path, claim)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert (tmp_path / "runs" / "calls").read_text() == "ncn\n"


MALFORMED = [
    (lambda c: c.pop("expect"), "has no 'expect'"),
    (lambda c: c.pop("paper"), "has no 'paper'"),
    (lambda c: c.update(expct="x"), "unknown key 'expct'; did you mean 'expect'?"),
    (lambda c: c.update(expect=True), "expect is True, expected text"),
    (lambda c: c.update(runs=[1]), r"runs is \[1\], expected a mapping"),
    (lambda c: c.update(budget="soon"), "budget is 'soon', expected a time such as 300s"),
    (lambda c: c.update(expect="nnc.test > 0"), "no run is called 'nnc'"),
    (lambda c: c["runs"]["cn"].pop("train"), "run 'cn' has dataset, seeds; expected one of train, embed, check"),
    (lambda c: c["runs"]["cn"].pop("dataset"), "run 'cn' has seeds, train; expected"),
    (lambda c: c["runs"]["cn"].update(embed="fastrp"), "run 'cn' has dataset, embed, seeds, train; expected one of"),
    (lambda c: c["runs"]["cn"].update(sedes=2), "run 'cn': unknown key 'sedes'; did you mean 'seeds'?"),
    (lambda c: c.update(catches=["a"]), r"catches is \['a'\], expected text"),
    (lambda c: c.update(why=3), "why is 3, expected text"),
    (lambda c: c.update(smoke="yes"), "smoke is 'yes', expected true or false"),
    (
        lambda c: (c.update(expect="paired(ncn.test, cn.test).low > 0"), c["runs"]["cn"].update(seeds=2)),
        "runs ncn and cn cannot be paired: seeds is 3 and 2, expected the same",
    ),
    (
        lambda c: (
            c.update(expect="paired(ncn.test, cn.test).low > 0"),
            c["runs"]["cn"].update(dataset="les-miserables"),
        ),
        "runs ncn and cn cannot be paired: dataset is 'karate' and 'les-miserables'",
    ),
    (
        lambda c: (
            c.update(expect="paired(ncn.test, cn.test).low > 0"),
            c["runs"]["cn"].update(split="random-0.5/0.2/0.3"),
        ),
        "cannot be paired: split is None and",
    ),
    (
        lambda c: (c.update(expect="interval(ncn.test).low > 0"), c["runs"]["ncn"].pop("seeds")),
        "run 'ncn' has one seed",
    ),
    (lambda c: c["runs"]["cn"].update(seeds=0), "run 'cn': seeds is 0, expected a number of at least 1"),
    (lambda c: c["runs"]["cn"].update(dataset="coraa"), "run 'cn': unknown data set 'coraa'; did you mean 'cora'?"),
    (lambda c: c["runs"]["cn"].update(train="nc"), "unknown method 'nc'; did you mean"),
    (lambda c: c["runs"]["cn"].update(train="fastrp"), "train is fastrp, which is of kind embedder, expected learner"),
    (lambda c: c["runs"]["ncn"].update(overrides={"epoch": 3}), "run 'ncn': ncn: unknown option 'epoch'; did you mean"),
    (
        lambda c: c["runs"]["ncn"].update(overrides={"epochs": -3}),
        "run 'ncn': --epochs is -3, expected a value of at least 0",
    ),
    (lambda c: c["runs"]["ncn"].update(preset="papr"), "--preset is 'papr'"),
    (
        lambda c: c["runs"].update(x={"embed": "fastrp", "dataset": "karate", "evaluate": {"protocol": "node"}}),
        "run 'x': protocol is 'node', expected one of node-classification",
    ),
    (
        lambda c: c["runs"].update(x={"embed": "fastrp", "dataset": "karate", "evaluate": {"ratio": [0.1]}}),
        "run 'x': node-classification has no option 'ratio'; did you mean 'ratios'?",
    ),
    (
        lambda c: c["runs"].update(x={"check": "nowhere", "dataset": "karate"}),
        "check is 'nowhere', expected module:function",
    ),
]


@pytest.mark.parametrize("spoil, message", MALFORMED, ids=lambda part: part[:40] if isinstance(part, str) else "")
def test_a_malformed_claim_is_named_before_anything_runs(claim, spoil, message, with_claims):
    spoil(claim)
    with_claims("ncnc", {"c": claim})
    with pytest.raises(DataError, match=f"^ncnc/claims.yaml: claim c: .*{message}") as caught:
        sheets.select("ncnc")
    assert "\n" not in str(caught.value)


def test_a_paired_claim_is_judged_by_the_differences(tmp_path, claim):
    """The means differ by .02 whatever the order of the values; only where the seeds go together is that more than
    noise.
    """
    claim["expect"] = "paired(ncn.test, cn.test).low > 0"
    together = Script(ncn=result([0.62, 0.72, 0.82]), cn=result([0.6, 0.701, 0.799]))
    crossed = Script(ncn=result([0.62, 0.72, 0.82]), cn=result([0.799, 0.6, 0.701]))
    verdict = Runner(tmp_path / "together", execute=together).claim("ncnc", "c", claim)
    assert verdict.state == "held"
    assert "; ncn - cn 0.0200 (95 % 0.0175 to 0.0225, 3 values)" in report.measured(verdict)
    assert Runner(tmp_path / "crossed", execute=crossed).claim("ncnc", "c", claim).state == "not held"


def check_with_seeds(dataset):
    return {"a": [0.9, 0.8, 0.95], "b": [0.7, 0.65, 0.7], "size": dataset.num_nodes}


def test_a_check_may_return_a_value_for_each_seed(tmp_path):
    expect = "paired(found.a, found.b).low > 0.05 and found.size == 34 and abs(found.b - 0.6833) < 0.001"
    runs = {"found": {"check": f"{__name__}:check_with_seeds", "dataset": "karate"}}
    claim = {"says": "lists", "paper": {}, "budget": "9s", "runs": runs, "expect": expect}
    sheets.check("here", claim)
    verdict = Runner(tmp_path).claim("cn", "c", claim)
    assert verdict.state == "held"
    assert "found a - found b 0.2000" in report.measured(verdict)


def test_select(claim, with_claims):
    with_claims("ncnc", {"a": claim, "b": {**claim, "smoke": False}})
    assert list(sheets.select("ncn")) == ["a", "b"]
    assert list(sheets.select("ncnc", smoke=True)) == ["a"]
    assert list(sheets.select("ncnc", "b")) == ["b"]
    with pytest.raises(UsageError, match="--claim c: ncnc has no such claim; it has a, b"):
        sheets.select("ncnc", "c")


@pytest.mark.parametrize("text, expected", [("300s", 300), ("20m", 1200), ("2h", 7200), (45, 45), ("1.5m", 90)])
def test_seconds(text, expected):
    assert sheets.seconds(text) == expected


def degree_check(dataset):
    return {"nodes": dataset.num_nodes}


def test_real_runs_of_every_action(tmp_path):
    """Train, embed and check on the smallest graphs; killed and cached runs are those of the run folder's own tests."""
    claim = {
        "says": "the three kinds of run",
        "paper": {},
        "budget": "60s",
        "runs": {
            "cn": {"train": "cn", "dataset": "karate", "seeds": 2},
            "blocks": {
                "embed": "spectral",
                "dataset": "sbm:n=200,k=2,p_in=0.2,p_out=0.01",
                "overrides": {"dim": 4},
                "evaluate": {"ratios": [0.5], "shuffles": 2},
            },
            "groups": {
                "embed": "spectral",
                "dataset": "sbm:n=200,k=2,p_in=0.2,p_out=0.01",
                "overrides": {"dim": 4},
                "evaluate": {"protocol": "clustering", "repeats": 2},
            },
            "links": {
                "embed": "fastrp",
                "dataset": "karate",
                "overrides": {"dim": 8},
                "seeds": 2,
                "evaluate": {"protocol": "link-prediction"},
            },
            "size": {"check": f"{__name__}:degree_check", "dataset": "karate"},
        },
        "expect": "blocks['micro_f1@0.5'] > 0.9 and groups.accuracy > 0.9 and 0 < links.auc <= 1 "
        "and size.nodes == 34 and min(cn.values) > 0",
    }
    events = []
    verdict = Runner(tmp_path, execute=execute_run, report=events.append).claim("cn", "c", claim)
    assert verdict.state == "held", verdict.reason
    assert len(verdict.runs["blocks"]["metrics"]["micro_f1@0.5"]["test"]["values"]) == 2
    assert len(verdict.runs["links"]["metrics"]["auc"]["test"]["values"]) == 2
    assert [event["label"] for event in events if event["event"] == "run"] == [f"c: {key}" for key in claim["runs"]]
    assert len(list((tmp_path / "runs").glob("cn-karate-*/result.json"))) == 1
    quiet = []
    assert Runner(tmp_path, report=quiet.append).claim("cn", "c", claim).runs == verdict.runs
    assert {event["event"] for event in quiet} == {"run"}


def test_kernels_are_compiled_before_an_embedding_is_timed(tmp_path, monkeypatch):
    from graphkit.methods.embedding.spectral.method import Spectral

    met, embed = [], Spectral.embed

    def watched(self, dataset, **options):
        met.append((dataset.name, dataset.num_nodes))
        return embed(self, dataset, **options)

    monkeypatch.setattr(Spectral, "embed", watched)
    run = {"embed": "spectral", "evaluate": {"ratios": [0.5], "shuffles": 1}}
    dataset, config = datasets.load("sbm:n=200,k=2"), registry.resolve_config("spectral", overrides={"dim": 80})
    found = execute_run(run, "spectral", dataset, config, tmp_path, lambda event: None)
    assert [name.partition(":")[0] for name, _ in met] == ["barabasi", "sbm"] and met[0][1] > 80
    assert found["seconds"] > 0 and found["warm_up_seconds"] > 0
