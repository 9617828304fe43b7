"""Expectations against Python's own arithmetic, and everything that must be refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphkit.claims.expressions import Outcome, evaluate, parse, references
from graphkit.errors import DataError

RUNS = {
    "ncn": Outcome({"hits@50": 0.5, "auc": 0.75}, test=0.9, valid=0.8, seconds=3.0, parameters=10, values=(0.875, 0.925)),
    "cn": Outcome({"auc": 0.25}, test=0.3, seconds=0.0),
}


@pytest.mark.parametrize("text, expected", [
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
])  # fmt: skip
def test_value(text, expected):
    assert evaluate(text, RUNS) is expected


numbers = st.integers(1, 50).map(lambda number: number / 4)
arithmetic = st.recursive(
    numbers.map(str) | st.sampled_from(["ncn.test", "cn.auc", "ncn['hits@50']"]),
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda parts: f"({' '.join(parts)})")
    | inner.map(lambda part: f"(-{part})")
    | st.tuples(inner, inner).map(lambda pair: f"min({pair[0]}, abs({pair[1]}))"),
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


@pytest.mark.parametrize("text, message", [
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
    ("(lambda: 1)() > 0", "only abs, min, max can be called"),
    ("__import__('os').system('true') > 1", "only abs, min, max can be called"),
    ("[x for x in (1,)][0] > 1", "is not known"),
    ("(n := 2) > 1", "not allowed"),
    ("f'{1}' > 1", "not allowed"),
])  # fmt: skip
def test_refused_before_anything_runs(text, message):
    with pytest.raises(DataError, match=message):
        parse(text, RUNS)


@pytest.mark.parametrize("text, message", [
    ("ncn['hits@20'] > 0", "'hits@20'.* was not measured; did you mean 'hits@50'"),
    ("cn.mrr > 0", "cn.mrr was not measured; the run has auc"),
    ("cn.valid > 0", "cn.valid was not measured"),
    ("cn.parameters > 0", "cn.parameters was not measured"),
    ("min(cn.values) > 0", "cn.values was not measured"),
    ("ncn.__class__ > 0", "__class__ was not measured"),
    ("ncn.test > 0 or cn.mrr > 0", "cn.mrr was not measured"),
    ("1 / cn.seconds > 0", "divides by zero"),
])  # fmt: skip
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
