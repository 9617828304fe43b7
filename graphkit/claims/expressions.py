"""The ``expect`` line of a claim: comparisons of arithmetic over the metrics of its runs, and nothing else.

``ncn.test`` and ``ncn.valid`` are means of the data set's official metric over seeds, ``ncn.values`` its test values
seed by seed (inside ``min`` and ``max``), ``ncn['hits@50']`` the mean of any metric on the test part (``ncn.auc`` where
the name is a plain word), ``ncn.seconds`` and ``ncn.parameters`` what the run took and learned.

Two runs on the same splits and seeds are compared pair by pair: ``paired(ncnc.test, ncn.test)`` has ``.mean``, the mean
of the differences seed by seed, and ``.low`` and ``.high``, the ends of its interval of 95 % by Student's t.
``interval(ncn.test)`` has the same of one run.

>>> evaluate("a.test > b.test + 0.1", {"a": Outcome({}, test=0.9), "b": Outcome({}, test=0.5)})
True
>>> runs = {"a": Outcome(values=(0.8, 0.9, 0.85)), "b": Outcome(values=(0.7, 0.79, 0.76))}
>>> evaluate("paired(a.test, b.test).low > 0.05", runs)
True
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scipy.special import stdtrit

from graphkit.core.errors import DataError, did_you_mean

ARITHMETIC: dict[type, Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
SIGNS: dict[type, Any] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
COMPARISONS: dict[type, Any] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
FUNCTIONS = {"abs": abs, "min": min, "max": max}
FIELDS = ("test", "valid", "seconds", "parameters")
#: function -> number of runs that it is given
INTERVALS = {"paired": 2, "interval": 1}
ENDS = ("mean", "low", "high")
LEVEL = 0.95


@dataclass(frozen=True)
class Outcome:
    """What an expression can ask of a run: means over its seeds, and the values behind them.

    values, valid_values: of the official metric, seed by seed. series: test values of every metric. seeds: None where a
        run has none.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    test: float | None = None
    valid: float | None = None
    seconds: float | None = None
    parameters: int | None = None
    values: tuple[float, ...] | None = None
    valid_values: tuple[float, ...] | None = None
    series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    seeds: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Interval:
    """``mean`` of ``count`` values, and the ``low`` and ``high`` end of its interval of 95 %."""

    mean: float
    low: float
    high: float
    count: int


def interval(values: Iterable[float]) -> Interval:
    """Student's t interval of the mean of at least two values, which are taken for independent.

    >>> round(interval([1.0, 2.0, 3.0]).high, 4)
    4.4841
    """
    values = list(values)
    count, mean = len(values), math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    reach = float(stdtrit(count - 1, 0.5 + LEVEL / 2)) * deviation / math.sqrt(count)
    return Interval(mean, mean - reach, mean + reach, count)


def parse(text: str, runs: Iterable[str]) -> ast.expr:
    """Return the checked syntax tree; raises :class:`DataError` for all but comparisons of arithmetic over the runs."""
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval").body
    except (SyntaxError, ValueError) as problem:
        reason = getattr(problem, "msg", None) or problem
        raise DataError(f"expect {text!r}: not an expression: {reason}") from None
    try:
        _check_truth(tree, list(runs))
    except _Refused as problem:
        raise DataError(f"expect {text!r}: {problem}") from None
    return tree


class _Refused(Exception):
    """Why a part of an expression is refused; :func:`parse` and :func:`evaluate` add the whole."""


def _check_truth(node: ast.expr, runs: list[str]) -> None:
    if isinstance(node, ast.BoolOp):
        for part in node.values:
            _check_truth(part, runs)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _check_truth(node.operand, runs)
    elif isinstance(node, ast.Compare) and all(type(op) in COMPARISONS for op in node.ops):
        for part in (node.left, *node.comparators):
            _check_number(part, runs)
    else:
        # A bare number would count as true, and the claim could never fail.
        raise _Refused(f"{ast.unparse(node)} is no comparison, expected one such as RUN.test > 0.5")


def _check_number(node: ast.expr, runs: list[str]) -> None:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        parts = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp) and type(node.op) in SIGNS:
        parts = [node.operand]
    elif isinstance(node, ast.Call):
        parts = _arguments(node, runs)
    elif _is_interval(node):
        _check_interval(node, runs)
        return
    elif isinstance(node, (ast.Attribute, ast.Subscript)):
        if _reference(node, runs)[1] == "values":
            raise _Refused(f"{ast.unparse(node)} is several numbers, expected it inside min or max")
        return
    elif isinstance(node, ast.Name):
        raise _Refused(
            f"{node.id} alone has no value, expected RUN.test or RUN['metric']"
            if node.id in runs
            else f"no run is called {node.id!r}{did_you_mean(node.id, runs)}"
        )
    else:
        raise _Refused(f"{ast.unparse(node)} ({type(node).__name__}) is not allowed, only + - * / and comparisons are")
    for part in parts:
        _check_number(part, runs)


def _is_interval(node: ast.AST) -> bool:
    """Whether a node is ``paired(...)`` or ``interval(...)`` with an end of it."""
    called = node.value.func if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call) else None
    return isinstance(called, ast.Name) and called.id in INTERVALS


def _check_interval(node: ast.Attribute, runs: list[str]) -> None:
    call = node.value
    if node.attr not in ENDS:
        raise _Refused(
            f"{ast.unparse(node)} is not known, expected one of {', '.join(ENDS)}{did_you_mean(node.attr, ENDS)}"
        )
    if len(call.args) != INTERVALS[call.func.id] or call.keywords:
        raise _Refused(f"{ast.unparse(call)} is not allowed, expected paired(A.test, B.test) or interval(A.test)")
    for part in call.args:
        if not isinstance(part, (ast.Attribute, ast.Subscript)) or _reference(part, runs)[1] in (
            "seconds",
            "parameters",
        ):
            raise _Refused(
                f"{ast.unparse(part)} has no value for each seed, expected RUN.test, RUN.valid or RUN['metric']"
            )


def _arguments(node: ast.Call, runs: list[str]) -> list[ast.expr]:
    name = node.func.id if isinstance(node.func, ast.Name) else None
    if name in INTERVALS:
        raise _Refused(f"{ast.unparse(node)} is an interval, expected .mean, .low or .high of it")
    if name not in FUNCTIONS or node.keywords:
        raise _Refused(f"{ast.unparse(node)} is not allowed, only {', '.join([*FUNCTIONS, *INTERVALS])} can be called")
    spread = name != "abs" and len(node.args) == 1
    if spread and isinstance(node.args[0], ast.Attribute) and _reference(node.args[0], runs)[1] == "values":
        return []
    if (name == "abs") != (len(node.args) == 1):
        raise _Refused(
            f"{ast.unparse(node)} has {len(node.args)} arguments, expected abs(x), min(a, b) or min(RUN.values)"
        )
    return node.args


def _reference(node: ast.Attribute | ast.Subscript, runs: list[str]) -> tuple[str, str]:
    """The (run, field or metric) that ``RUN.word`` or ``RUN['metric']`` names."""
    if not isinstance(node.value, ast.Name):
        raise _Refused(f"{ast.unparse(node)} is not known, expected RUN.test or RUN['metric']")
    if node.value.id not in runs:
        raise _Refused(f"no run is called {node.value.id!r}{did_you_mean(node.value.id, runs)}")
    if isinstance(node, ast.Attribute):
        return node.value.id, node.attr
    if not (isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)):
        raise _Refused(f"{ast.unparse(node)} is not known, expected RUN['metric']")
    return node.value.id, node.slice.value


def references(text: str, runs: Iterable[str]) -> list[tuple[str, str]]:
    """Return every (run, field or metric) that the expression asks for, once, in the order of the text."""
    runs = list(runs)
    found = [
        (node.lineno, node.col_offset, _reference(node, runs))
        for node in ast.walk(parse(text, runs))
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not _is_interval(node)
    ]
    return list(dict.fromkeys(pair for _, _, pair in sorted(found)))


def intervals(text: str, runs: Iterable[str]) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """Return every (function, its (run, field or metric) arguments) whose interval the expression asks for, once, in
    its order.
    """
    runs = list(runs)
    found = [
        (node.lineno, node.col_offset, node.value.func.id, tuple(_reference(part, runs) for part in node.value.args))
        for node in ast.walk(parse(text, runs))
        if _is_interval(node)
    ]
    return list(dict.fromkeys(entry[2:] for entry in sorted(found)))


def compare(asked: Iterable[tuple[str, str]], runs: Mapping[str, Outcome]) -> Interval:
    """Return the interval of one run's values, or of the differences of two runs; raises :class:`DataError` where there
    is none.
    """
    try:
        return _interval(list(asked), runs)
    except _Refused as problem:
        raise DataError(str(problem)) from None


def _interval(asked: list[tuple[str, str]], runs: Mapping[str, Outcome]) -> Interval:
    series = [_series(*pair, runs) for pair in asked]
    names = " and ".join(f"{run}.{name}" for run, name in asked)
    seeds = {runs[run].seeds for run, _ in asked}
    if len(set(map(len, series))) > 1 or len(seeds) > 1:
        counts = " and ".join(map(str, map(len, series)))
        raise _Refused(f"{names} cannot be paired: found {counts} values, expected the same seeds in both")
    if len(series[0]) < 2:
        raise _Refused(f"{names}: found 1 value, expected at least 2 seeds for an interval")
    return interval(series[0] if len(series) == 1 else [a - b for a, b in zip(*series)])


def _series(run: str, asked: str, runs: Mapping[str, Outcome]) -> tuple[float, ...]:
    outcome = runs[run]
    official = {"test": outcome.values, "values": outcome.values, "valid": outcome.valid_values}
    found = official[asked] if asked in official else outcome.series.get(asked)
    if found is None:
        known = ", ".join(outcome.series) or "nothing"
        raise _Refused(
            f"{run}.{asked} was not measured{did_you_mean(asked, outcome.series) or f'; the run has {known}'}"
        )
    if any(math.isnan(value) for value in found):
        raise _Refused(f"{run}.{asked} is not a number")
    return found


def evaluate(text: str, runs: Mapping[str, Outcome]) -> bool:
    """Return whether the expectation holds; raises :class:`DataError` for a metric that no run measured."""
    try:
        return bool(_value(parse(text, runs), runs))
    except _Refused as problem:
        raise DataError(f"expect {text!r}: {problem}") from None
    except ZeroDivisionError:
        raise DataError(f"expect {text!r}: divides by zero") from None


def _value(node: ast.AST, runs: Mapping[str, Outcome]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.BoolOp):
        decide = all if isinstance(node.op, ast.And) else any
        # A list: every part is evaluated, so that a metric nobody measured is noticed whatever the others say.
        return decide([_value(part, runs) for part in node.values])
    if isinstance(node, ast.UnaryOp):
        return {**SIGNS, ast.Not: operator.not_}[type(node.op)](_value(node.operand, runs))
    if isinstance(node, ast.BinOp):
        return ARITHMETIC[type(node.op)](_value(node.left, runs), _value(node.right, runs))
    if isinstance(node, ast.Compare):
        values = [_value(part, runs) for part in (node.left, *node.comparators)]
        return all(COMPARISONS[type(op)](a, b) for op, a, b in zip(node.ops, values, values[1:]))
    if isinstance(node, ast.Call):
        return FUNCTIONS[node.func.id](*(_value(part, runs) for part in node.args))
    if _is_interval(node):
        return getattr(_interval([_reference(part, list(runs)) for part in node.value.args], runs), node.attr)
    return _measured(node, runs)


def _measured(node: ast.Attribute | ast.Subscript, runs: Mapping[str, Outcome]) -> Any:
    name, asked = _reference(node, list(runs))
    run = runs[name]
    is_field = isinstance(node, ast.Attribute) and asked in (*FIELDS, "values")
    found = getattr(run, asked) if is_field else run.metrics.get(asked)
    if found is None:
        known = ", ".join(run.metrics) or "nothing"
        raise _Refused(
            f"{ast.unparse(node)} was not measured{did_you_mean(asked, run.metrics) or f'; the run has {known}'}"
        )
    if any(math.isnan(value) for value in (found if isinstance(found, tuple) else (found,))):
        raise _Refused(f"{ast.unparse(node)} is not a number")
    return found
