"""Config: the options of a method as a frozen dataclass.

Each field is made with :func:`option`; its type, default, help and limits become the Click option, the YAML key and
the documentation, so nothing is typed twice.

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True)
... class Demo(Config):
...     dim: int = option(128, "length of each vector", min=1)
>>> Demo(dim=0)
Traceback (most recent call last):
graphkit.core.errors.UsageError: --dim is 0, expected a value of at least 1
"""

from __future__ import annotations

import dataclasses
import math
import os
import sys
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphkit.core.errors import UsageError, did_you_mean


def option(
    default: Any,
    help: str,
    *,
    min: float | None = None,
    max: float | None = None,
    choices: Sequence[str] | None = None,
    flag: str | None = None,
    path: bool = False,
) -> Any:
    """Declare a field of a :class:`Config`.

    ``min`` and ``max`` are inclusive and hold for each item of a tuple; ``choices`` lists the allowed words;
    ``flag`` overrides the name of the command-line option (default: the field's name with dashes). ``path``: names a
    file or folder; where it exists the value becomes absolute, so that a run can be used from another folder.
    """
    return field(
        default=default, metadata={"help": help, "min": min, "max": max, "choices": choices, "flag": flag, "path": path}
    )


_FIELD_TYPES: dict[type, dict[str, tuple[type, bool, bool]]] = {}


def field_types(cls: type) -> dict[str, tuple[type, bool, bool]]:
    """Map each field to (scalar type, is a tuple, may be None)."""
    if cls not in _FIELD_TYPES:
        _FIELD_TYPES[cls] = _read_field_types(cls)
    return _FIELD_TYPES[cls]


def _read_field_types(cls: type) -> dict[str, tuple[type, bool, bool]]:
    hints = _hints(cls)
    result = {}
    for item in dataclasses.fields(cls):
        hint, optional, many = hints[item.name], False, False
        arguments = tuple(a for a in typing.get_args(hint) if a is not type(None))
        if type(None) in typing.get_args(hint):
            optional, hint = True, arguments[0]
            arguments = typing.get_args(hint)
        if typing.get_origin(hint) is tuple:
            many, hint = True, arguments[0]
        if hint not in (int, float, bool, str):
            raise TypeError(f"{cls.__name__}.{item.name}: {hint!r} cannot be an option; use int, float, bool or str")
        result[item.name] = (hint, many, optional)
    return result


def _hints(cls: type) -> dict[str, Any]:
    """Resolved annotations of a class; Python 3.9 cannot evaluate ``int | None`` by itself."""
    if sys.version_info >= (3, 10):
        return typing.get_type_hints(cls)
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        names = {**vars(typing), **vars(sys.modules[base.__module__])}
        for name, text in vars(base).get("__annotations__", {}).items():
            if isinstance(text, str) and "ClassVar" not in text:
                inner = text[: -len(" | None")] if text.endswith(" | None") else text
                hint = eval(inner, names)  # the text of our own annotation, as typing.get_type_hints evaluates it
                hints[name] = hint if inner is text else typing.Optional[hint]
    return hints


def flag_name(item: dataclasses.Field) -> str:
    """Return the command-line name of a field, e.g. ``--num-layers``."""
    return item.metadata.get("flag") or "--" + item.name.replace("_", "-")


@dataclass(frozen=True)
class Config:
    """Base of every method's options; checks types and limits on construction."""

    def __post_init__(self) -> None:
        types = field_types(type(self))
        for item in dataclasses.fields(self):
            value = _coerce(flag_name(item), getattr(self, item.name), *types[item.name])
            _check(flag_name(item), value, item.metadata)
            if item.metadata.get("path") and value and os.path.exists(value):
                value = os.path.abspath(value)
            object.__setattr__(self, item.name, value)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], origin: str = "configuration") -> Config:
        """Build from a mapping of field names; raises :class:`UsageError` for a name that is not a field."""
        names = {item.name for item in dataclasses.fields(cls)}
        cleaned = {str(key).replace("-", "_"): value for key, value in values.items()}
        for key in cleaned:
            if key not in names:
                raise UsageError(f"{origin}: unknown option {key!r}{did_you_mean(key, names)}")
        return cls(**cleaned)

    def idle(self, data: str | None = None) -> dict[str, str]:
        """Options that nothing reads in this configuration -> what makes it so.

        data: ``graph`` (one graph), ``parts`` (labelled nodes of many graphs) or ``graphs`` (many labelled ones); None
        where that is not known yet. Who sets an idle option by hand is told, see :meth:`refuse_idle`; published options
        and saved ones may hold some.
        """
        return {}

    def refuse_idle(self, given: Iterable[str], data: str | None = None) -> None:
        """Raise :class:`UsageError` where one of the ``given`` options is idle but is not at its default."""
        idle = self.idle(data)
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name in idle and item.name in given and value != item.default:
                raise UsageError(
                    f"{flag_name(item)} is {_shown(value)}, but {idle[item.name]} does not use it; leave it out"
                )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for YAML and JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}


def idle_unless(used: bool, where: str, *names: str) -> dict[str, str]:
    """A part of :meth:`Config.idle`: the options ``names``, idle because of ``where`` unless they are used."""
    return {} if used else dict.fromkeys(names, where)


def _shown(value: Any) -> str:
    return (
        ",".join(map(str, value))
        if isinstance(value, tuple)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )


def _coerce(name: str, value: Any, scalar: type, many: bool, optional: bool) -> Any:
    if value is None:
        if optional:
            return None
        raise UsageError(f"{name} is empty, expected {_describe(scalar, many)}")
    if many:
        if isinstance(value, str):
            value = [part for part in value.split(",") if part.strip()]
        elif isinstance(value, (int, float)):
            value = [value]
        return tuple(_scalar(name, item, scalar, many) for item in value)
    return _scalar(name, value, scalar, many)


def _scalar(name: str, value: Any, scalar: type, many: bool) -> Any:
    problem = UsageError(f"{name} is {value!r}, expected {_describe(scalar, many)}")
    if scalar is bool:
        if isinstance(value, bool):
            return value
        raise problem
    if isinstance(value, bool) and scalar is not str:
        raise problem
    try:
        number = scalar(value)
    except (TypeError, ValueError, OverflowError):
        raise problem from None
    if scalar is int and float(value) != number:
        raise problem
    if scalar is float and math.isnan(number):
        raise problem
    return number


def _describe(scalar: type, many: bool) -> str:
    word = {int: "an integer", float: "a number", bool: "true or false", str: "text"}[scalar]
    return f"{word} or several separated by commas" if many else word


def _check(name: str, value: Any, metadata: Mapping[str, Any]) -> None:
    low, high, choices = metadata.get("min"), metadata.get("max"), metadata.get("choices")
    for item in value if isinstance(value, tuple) else (value,):
        if item is None:
            continue
        if choices is not None and item not in choices:
            raise UsageError(
                f"{name} is {item!r}, expected one of {', '.join(choices)}{did_you_mean(str(item), choices)}"
            )
        if low is not None and item < low and high is None:
            raise UsageError(f"{name} is {item}, expected a value of at least {low}")
        if (low is not None and item < low) or (high is not None and item > high):
            between = f"of at most {high}" if low is None else f"between {low} and {high}"
            raise UsageError(f"{name} is {item}, expected a value {between}")
