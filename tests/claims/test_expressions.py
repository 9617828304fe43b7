"""Expectations against Python's own arithmetic, and everything that must be refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from graphkit.claims.expressions import Outcome, compare, evaluate, intervals, parse, references
from graphkit.core.errors import DataError

RUNS = {
    "ncn": Outcome(
        {"hits@50": 0.5, "auc": 0.75}, test=0.9, valid=0.8, seconds=3.0, parameters=10, values=(0.875, 0.925)
    ),
    "cn": Outcome({"auc": 0.25}, test=0.3, seconds=0.0),
}
PAIRS = {
    "a": Outcome(
        test=0.85,
        values=(0.8, 0.9, 0.85),
        valid_values=(0.7, 0.6, 0.8),
        series={"auc": (0.9, 0.8, 0.7)},
        seeds=(0, 1, 2),
    ),
    "b": Outcome(test=0.75, values=(0.7, 0.79, 0.76), series={"auc": (0.8, 0.9, 0.6)}, seeds=(0, 1, 2)),
    "short": Outcome(test=0.7, values=(0.7, 0.7), seeds=(0, 1)),
    "other": Outcome(test=0.7, values=(0.7, 0.7, 0.7), seeds=(1, 2, 3)),
    "once": Outcome(test=0.7, values=(0.7,), seeds=(0,)),
    "nan": Outcome(test=float("nan"), values=(0.7, float("nan"), 0.7), seeds=(0, 1, 2)),
}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("ncn.test >= 0.86 and ncn.test - cn.test >= 0.40", True),
        ("ncn.test >= 0.86 and ncn.test - cn.test >= 0.61", False),
        ("cn.test > 1 or ncn.valid == 0.8", True),
        ("not cn.test > 1", True),
        ("ncn['hits@50'] == 0.5 and ncn.auc == 0.75", True),
        ("min(ncn.values) > 0.9", False),
        ("max(ncn.values) > 0.9", True),
        ("max(ncn.test, cn.test) == ncn.test", True),
        ("abs(cn.test - ncn.test) > 0.5", True),
        ("abs(-1) == +1", True),
        ("0.2 < cn.test < 0.4 < ncn.test", True),
        ("0.2 < cn.test < 0.25", False),
        ("ncn.parameters * 2 / 5 == 4", True),
        ("ncn.seconds <= 3 and\n   ncn.seconds != 2", True),
    ],
)
def test_value(text, expected):
    assert evaluate(text, RUNS) is expected


numbers = st.integers(1, 50).map(lambda number: number / 4)
arithmetic = st.recursive(
    numbers.map(str) | st.sampled_from(["ncn.test", "cn.auc", "ncn['hits@50']"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda parts: f"({' '.join(parts)})")
        | inner.map(lambda part: f"(-{part})")
        | st.tuples(inner, inner).map(lambda pair: f"min({pair[0]}, abs({pair[1]}))")
    ),
    max_leaves=8,
)


@given(arithmetic, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), arithmetic)
def test_arithmetic_is_that_of_python(left, comparison, right):
    text = f"{left} {comparison} {right}"
    plain = text.replace("ncn.test", "0.9").replace("cn.auc", "0.25").replace("ncn['hits@50']", "0.5")
    try:
        expected = eval(plain)
    except ZeroDivisionError:
        with pytest.raises(DataError, match="divides by zero"):
            evaluate(text, RUNS)
    else:
        assert evaluate(text, RUNS) is expected


@pytest.mark.parametrize(
    "text, message",
    [
        ("ncn.test >", "not an expression"),
        ("", "not an expression"),
        ("ncn.test > 0.5; 1", "not an expression"),
        ("ncn.test", "ncn.test is no comparison"),
        ("ncn.test > 0.5 and cn.test", "cn.test is no comparison"),
        ("1", "1 is no comparison"),
        ("True", "True is no comparison"),
        ("nnc.test > 1", "no run is called 'nnc'; did you mean 'ncn'?"),
        ("nnc > 1", "no run is called 'nnc'; did you mean 'ncn'?"),
        ("nnc['auc'] > 1", "no run is called 'nnc'; did you mean 'ncn'?"),
        ("ncn > 1", "ncn alone has no value"),
        ("ncn.values > 1", "inside min or max"),
        ("abs(ncn.values) > 1", "inside min or max"),
        ("max(ncn.values, 1) > 1", "inside min or max"),
        ("max(1) > 1", "has 1 arguments"),
        ("abs(1, 2) > 1", "has 2 arguments"),
        ("max(1, 2, key=abs) > 1", "not allowed"),
        ("ncn.test.real > 1", "ncn.test.real is not known"),
        ("ncn[0] > 1", r"ncn\[0\] is not known"),
        ("ncn.test in (1, 2)", "no comparison"),
        ("2 ** 9 > 1", "not allowed"),
        ("'a' > 1", "not allowed"),
        ("True > 0", "not allowed"),
        ("(1 if ncn.test else 2) > 1", "not allowed"),
        ("(lambda: 1)() > 0", "only abs, min, max, paired, interval can be called"),
        ("__import__('os').system('true') > 1", "only abs, min, max, paired, interval can be called"),
        ("paired(ncn.test, cn.test) > 0", "is an interval, expected .mean, .low or .high"),
        ("paired(ncn.test, cn.test).lwo > 0", "not known, expected one of mean, low, high; did you mean 'low'"),
        ("paired(ncn.test).low > 0", "expected paired"),
        ("interval(ncn.test, cn.test).low > 0", "expected paired"),
        ("paired(ncn.test, 0.5).low > 0", "0.5 has no value for each seed"),
        ("paired(ncn.seconds, cn.seconds).low > 0", "ncn.seconds has no value for each seed"),
        ("paired(ncn.test, nc.test).low > 0", "no run is called 'nc'"),
        ("[x for x in (1,)][0] > 1", "is not known"),
        ("(n := 2) > 1", "not allowed"),
        ("f'{1}' > 1", "not allowed"),
    ],
)
def test_refused_before_anything_runs(text, message):
    with pytest.raises(DataError, match=message):
        parse(text, RUNS)


@pytest.mark.parametrize(
    "text, message",
    [
        ("ncn['hits@20'] > 0", "'hits@20'.* was not measured; did you mean 'hits@50'"),
        ("cn.mrr > 0", "cn.mrr was not measured; the run has auc"),
        ("cn.valid > 0", "cn.valid was not measured"),
        ("cn.parameters > 0", "cn.parameters was not measured"),
        ("min(cn.values) > 0", "cn.values was not measured"),
        ("ncn.__class__ > 0", "__class__ was not measured"),
        ("ncn.test > 0 or cn.mrr > 0", "cn.mrr was not measured"),
        ("1 / cn.seconds > 0", "divides by zero"),
    ],
)
def test_refused_when_it_was_not_measured(text, message):
    with pytest.raises(DataError, match=message):
        evaluate(text, RUNS)


def test_a_figure_that_is_not_a_number_decides_nothing():
    with pytest.raises(DataError, match="cn.test is not a number"):
        evaluate("not cn.test > 0.5", {"cn": Outcome(test=float("nan"))})


def test_references_are_those_of_the_text_and_not_of_its_letters():
    text = "ncn.test - cn.test > 0 and ncn['hits@50'] > min(ncn.values) and ncn.test > 0"
    assert references(text, RUNS) == [("ncn", "test"), ("cn", "test"), ("ncn", "hits@50"), ("ncn", "values")]
    assert references("ncn.auc > 0", RUNS) == [("ncn", "auc")]


def test_a_paired_interval_is_that_of_the_t_test_for_two_related_samples():
    expected = stats.ttest_rel(PAIRS["a"].values, PAIRS["b"].values).confidence_interval(0.95)
    found = compare([("a", "test"), ("b", "test")], PAIRS)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-10)
    assert found.mean == pytest.approx(0.1) and found.count == 3
    assert evaluate(
        f"abs(paired(a.test, b.test).low - {found.low}) < 1e-12 and paired(a.test, b.test).high > 0.1", PAIRS
    )


def test_an_interval_of_one_run_is_that_of_the_t_test():
    expected = stats.ttest_1samp(PAIRS["a"].values, 0).confidence_interval(0.95)
    found = compare([("a", "test")], PAIRS)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-10)
    assert evaluate("interval(a.test).low > 0.7 and interval(a.test).high < 1", PAIRS)


@pytest.mark.parametrize(
    "text, holds",
    [
        ("paired(a.test, b.test).low > 0", True),
        ("paired(b.test, a.test).high < 0", True),
        ("paired(a['auc'], b.auc).low < 0 < paired(a.auc, b.auc).high", True),
        ("paired(a.valid, b.test).mean < 0", True),
        ("-paired(a.test, b.test).low >= 0", False),
    ],
)
def test_a_difference_holds_only_where_its_interval_does(text, holds):
    """a beats b in every seed; by auc the differences .1, -.1, .1 have a mean above 0 and an interval that holds 0."""
    assert evaluate(text, PAIRS) is holds


@pytest.mark.parametrize(
    "text, message",
    [
        ("paired(a.test, short.test).low > 0", "found 3 and 2 values, expected the same seeds"),
        ("paired(a.test, other.test).low > 0", "expected the same seeds"),
        ("paired(once.test, once.test).low > 0", "found 1 value, expected at least 2 seeds"),
        ("interval(once.test).low > 0", "found 1 value"),
        ("paired(a.test, nan.test).low > 0", "nan.test is not a number"),
        ("paired(a.mrr, b.mrr).low > 0", "a.mrr was not measured; the run has auc"),
        ("paired(a.valid, b.valid).low > 0", "b.valid was not measured"),
    ],
)
def test_what_cannot_be_paired(text, message):
    with pytest.raises(DataError, match=message):
        evaluate(text, PAIRS)


def test_intervals_are_named_apart_from_the_figures_behind_them():
    text = "paired(a.test, b.test).low > 0 and paired(a.test, b.test).high < 1 and interval(a['auc']).low > 0"
    assert intervals(text, PAIRS) == [("paired", (("a", "test"), ("b", "test"))), ("interval", (("a", "auc"),))]
    assert references(text, PAIRS) == [("a", "test"), ("b", "test"), ("a", "auc")]
