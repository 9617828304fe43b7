"""Threads around kernels that release the interpreter's lock, and the one way to run a kernel in pieces.

numba's own parallel loops cost many seconds of compilation each, on a user's first run; a kernel over a range of its
work costs a few, and threads share out the ranges as well. There are as many as torch may use, which is what
``--threads`` says; asking numba would start its pool, and with it OpenMP's, beside torch's.

Python hears a signal between two of its own instructions, so a compiled kernel that runs for minutes hears none. A
kernel therefore works on a range, and :func:`in_ranges` cuts the work into ranges of at most :data:`STEPS` steps; one
that goes on until something has converged returns after so many steps and is called again, with :func:`go_on` in
between. Whatever ends one thread (a signal, an error) ends the others after their piece, nested calls included.
"""

from __future__ import annotations

import concurrent.futures
import functools
import os
import sys
import threading
from collections.abc import Callable

import numpy as np

LEAST = 256  # items below which a further thread costs more than it helps
# Steps (an edge looked at, a number added) of one piece: a tenth of a second where they lie in order, half a second
# where they do not.
STEPS = 1 << 26

_here = threading.local()  # .shared: the innermost work that this thread takes part in


class _Left(BaseException):
    """The work that this thread takes part in was given up by another thread, which says why."""


class _Shared:
    """Numbers that several threads take in turn, until one of them fails; ``parent``: the work that asked for this."""

    def __init__(self, count: int, parent: _Shared | None):
        self.numbers, self.parent, self.failed = iter(range(count)), parent, False

    def left(self) -> bool:
        return self.failed or (self.parent is not None and self.parent.left())

    def some(self, work: Callable[[int], None]) -> None:
        before, _here.shared = getattr(_here, "shared", None), self
        try:
            for k in self.numbers:  # one next() at a time, under the interpreter's lock
                if self.left():
                    raise _Left
                work(k)
        except BaseException:
            self.failed = True
            raise
        finally:
            _here.shared = before


def go_on() -> None:
    """Between two pieces of a kernel: end this thread's work where another thread has given up what they share."""
    shared = getattr(_here, "shared", None)
    if shared is not None and shared.left():
        raise _Left


def num_threads() -> int:
    """Threads that kernels may use: those of torch, which is only asked where it is loaded; else what --threads has
    left for it.
    """
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        return torch.get_num_threads()
    given = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(int(given), cores)) if given.isdigit() else cores


def in_threads(work: Callable[[int], None], count: int, *, worth: bool = True) -> None:
    """Call ``work(k)`` for k = 0 .. count - 1 in as many threads as torch may use, or in this one where it is not worth
    it.

    An error in one of them ends all, each after the k that it is at, and comes back.
    """
    threads = min(num_threads(), count) if worth else 1
    shared = _Shared(count, getattr(_here, "shared", None))
    others = [_pool(threads - 1).submit(shared.some, work) for _ in range(threads - 1)]
    try:
        shared.some(work)
        for other in others:
            if not other.cancel():  # one that has not started has nothing left to do, and may wait for this very thread
                other.result()
    except BaseException as problem:
        shared.failed = True
        started = [other for other in others if not other.cancel()]
        concurrent.futures.wait(started)
        if isinstance(problem, _Left):  # another thread has the reason
            reasons = (other.exception() for other in started)
            raise next(
                (reason for reason in reasons if reason is not None and not isinstance(reason, _Left)), problem
            ) from None
        raise


@functools.cache
def _pool(threads: int) -> concurrent.futures.ThreadPoolExecutor:
    """Threads that stay: starting new ones takes milliseconds, as much as a small graph's whole product."""
    return concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="graphkit-kernel")


def _after_fork() -> None:
    _pool.cache_clear()  # a forked process has none of the threads
    _here.__dict__.clear()


os.register_at_fork(after_in_child=_after_fork)


def in_ranges(
    work: Callable[..., None], count: int, least: int = LEAST, *, cost=1, scratch: Callable[[], object] | None = None
) -> None:
    """Call ``work(start, stop)`` for ranges that cover 0 .. count, in threads: a few for each, none of more than
    :data:`STEPS` steps.

    cost: steps of an item, one number for all or (count,) of them; an item that takes more by itself is a range of its
    own. least: items below which a range is not divided for the threads' sake. scratch: makes what a thread needs once
    for all of its ranges, such as a mark for every node; it is the third argument of ``work``. Nothing that ``work``
    computes may depend on where the ranges end.
    """
    bounds = ranges(count, least, cost).tolist()
    own = threading.local()

    def piece(k: int) -> None:
        if scratch is None:
            work(bounds[k], bounds[k + 1])
            return
        if not hasattr(own, "scratch"):
            own.scratch = scratch()
        work(bounds[k], bounds[k + 1], own.scratch)

    in_threads(piece, len(bounds) - 1)


def ranges(count: int, least: int = LEAST, cost=1, threads: int | None = None) -> np.ndarray:
    """(pieces + 1,) int64 bounds of :func:`in_ranges`."""
    if count == 0:
        return np.zeros(1, np.int64)
    threads = num_threads() if threads is None else threads
    for_threads = min(4 * threads, max(1, count // max(least, 1))) if threads > 1 else 1
    if np.ndim(cost) == 0:
        pieces = min(count, max(for_threads, -(-int(count * float(cost)) // STEPS)))
        return np.arange(pieces + 1) * count // pieces
    done = np.concatenate([[0], np.cumsum(cost, dtype=np.int64)]) + np.arange(count + 1)
    pieces = max(for_threads, -(-int(done[-1]) // STEPS))
    cuts = np.searchsorted(done, done[-1] * (np.arange(1, pieces) / pieces))
    return np.unique(np.concatenate([[0], cuts, [count]]))


def in_order(work: Callable[[int, int], None], count: int, cost: float = 1) -> None:
    """Call ``work(start, stop)`` for ranges of at most :data:`STEPS` steps that cover 0 .. count, one after the other
    in this thread.

    For kernels whose ranges depend on those before, such as a counting sort.
    """
    step = max(1, int(STEPS / max(cost, 1e-9)))
    for start in range(0, count, step):
        go_on()
        work(start, min(start + step, count))
