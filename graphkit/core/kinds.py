"""What every method has; :mod:`graphkit.methods.kinds` says what a kind of them gives."""

from __future__ import annotations

from typing import Any, ClassVar

from graphkit.core.config import Config


class Method:
    """A method with its options; the constructor stores them and computes nothing."""

    Config: ClassVar[type[Config]] = Config

    def __init__(self, config: Config | None = None, **options: Any):
        self.config = config if config is not None else self.Config(**options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config!r})"
