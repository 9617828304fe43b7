"""Signals that ask a long job to save its work and stop."""

from __future__ import annotations

import signal
import threading

EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 143}


class StopRequest:
    """Within the block, SIGINT, SIGTERM and SIGUSR1 set ``name`` instead of ending the process.

    A second signal acts as it did before the block, so that an impatient user can still leave at once.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for name in EXIT_CODES:
                number = getattr(signal, name)
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _note(self, number: int, frame: object) -> None:
        self.name = signal.Signals(number).name
        self.__exit__()

    @property
    def exit_code(self) -> int:
        """Exit code of the signal that came."""
        return EXIT_CODES[self.name]
