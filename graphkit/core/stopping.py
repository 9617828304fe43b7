"""Signals that end a command: heard between two steps of Python, and within two seconds where there are none.

SIGTERM and SIGUSR1 raise :class:`Stopped`, SIGINT raises KeyboardInterrupt; our own kernels run in pieces
(:mod:`graphkit.graph.threads`), so that both come through. Compiled code of other packages (a sort, a product of
sparse matrices, an eigensolver) may stay away for minutes: a thread beside it ends the process then, and removes the
files that were being written. Training notes a signal and saves its state after the step that it is in
(:class:`graphkit.training.signals.StopRequest`); that is waited for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

GRACE = 1.8  # seconds from a signal, or from the end of the step that was waited for, to the end of the process
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 143}

_patient = 0  # blocks that note a signal and end by themselves after their step
BEFORE_LEAVING: list[Callable[[], None]] = []  # what is to be done before the process ends from outside


class Stopped(BaseException):
    """A signal came; no "except Exception" on the way may catch it."""


@contextlib.contextmanager
def patience(change: int = 1) -> Iterator[None]:
    """Within the block a signal is noted and acted on after a step; -1: not in this part of such a block."""
    global _patient
    _patient += change
    try:
        yield
    finally:
        _patient -= change


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """Within the block, SIGTERM and SIGUSR1 raise :class:`Stopped`, and no signal of :data:`CODES` waits for compiled
    code.

    A second one ends the process as usual, and so does one in a child process. Does nothing outside of the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers, owner = (signal.SIGTERM, signal.SIGUSR1), os.getpid()

    def stop(number: int, frame: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_DFL)
        if os.getpid() != owner:
            os.kill(os.getpid(), number)
        raise Stopped(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        with _watched():
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    """The interpreter writes the number of each signal into a pipe at once, whatever its main thread does; a thread
    reads it.
    """
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    owner, before = os.getpid(), signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))  # a signal to a child is none to us
    thread = threading.Thread(target=_watch, args=(ours,), name="graphkit-stopping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        if os.getpid() == owner:
            signal.set_wakeup_fd(before, warn_on_full_buffer=False)
            os.write(theirs, b"\0")  # no signal has the number 0
            thread.join(GRACE)
            for end in (ours, theirs):
                os.close(end)


def _watch(pipe: int) -> None:
    known = {getattr(signal, name).value: name for name in CODES}
    while True:
        read = os.read(pipe, 1)
        if read in (b"", b"\0"):
            return
        if read[0] in known:
            break
    name, deadline = known[read[0]], time.monotonic() + GRACE
    os.set_blocking(pipe, False)
    while time.monotonic() < deadline:
        time.sleep(0.02)
        if _patient > 0:
            deadline = time.monotonic() + GRACE
        with contextlib.suppress(BlockingIOError):
            if os.read(pipe, 1) == b"\0":  # the command has ended by itself
                return
    _leave(name)


def _leave(name: str) -> None:
    for clean in BEFORE_LEAVING:
        clean()
    with contextlib.suppress(OSError, ValueError):
        text = "interrupted" if name == "SIGINT" else f"stopped by {name}; nothing was saved"
        os.write(sys.stderr.fileno(), f"graphkit: error: {text}\n".encode())
    os._exit(CODES[name])
