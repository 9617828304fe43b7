"""Signals that ask a long job to save its work and stop."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from graphkit.core.stopping import CODES as EXIT_CODES
from graphkit.core.stopping import Stopped, patience

SOON = 1.2  # seconds that what is not saved anyway may still take after a signal


class StopRequest:
    """Within the block, SIGINT, SIGTERM and SIGUSR1 set ``name`` instead of ending the process.

    A second signal acts as it did before the block, so that an impatient user can still leave at once.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._previous: dict[int, object] = {}
        self._patience = contextlib.ExitStack()
        self._hurried = 0

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for name in EXIT_CODES:
                number = getattr(signal, name)
                self._previous[number] = signal.signal(number, self._note)
            self._patience.enter_context(patience())
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()
        self._patience.close()

    @contextlib.contextmanager
    def soon(self) -> Iterator[None]:
        """Around work of which nothing is kept, such as an evaluation: it is broken off where it goes on for long after
        a signal.

        Raises :class:`graphkit.core.stopping.Stopped` within the block, :data:`SOON` seconds after the signal.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._hurried += 1
        before = signal.signal(signal.SIGALRM, self._break_off)
        if self.name is not None:
            signal.setitimer(signal.ITIMER_REAL, SOON)
        try:
            with patience(-1):
                yield
        finally:
            self._hurried -= 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _note(self, number: int, frame: object) -> None:
        self.name = signal.Signals(number).name
        self._restore()
        if self._hurried:
            signal.setitimer(signal.ITIMER_REAL, SOON)

    def _break_off(self, number: int, frame: object) -> None:
        raise Stopped(self.name)

    @property
    def exit_code(self) -> int:
        """Exit code of the signal that came."""
        return EXIT_CODES[self.name]
