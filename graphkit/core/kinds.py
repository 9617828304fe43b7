"""What every method has; :mod:`graphkit.methods.kinds` says what a kind of them gives."""

from __future__ import annotations

from typing import Any, ClassVar

from graphkit.core import config as options


class Method:
    """A method with its options; the constructor stores them and computes nothing."""

    Config: ClassVar[type[options.Config]] = options.Config
    config: options.Config

    def __init__(self, config: options.Config | None = None, **values: Any):
        self.config = config if config is not None else self.Config(**values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config!r})"
