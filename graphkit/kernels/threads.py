"""Threads around kernels that release the interpreter's lock.

numba's own parallel loops cost many seconds of compilation each, on a user's first run; a kernel over a range of its work costs a
few, and threads share out the ranges as well. There are as many as torch may use, which is what ``--threads`` says; asking numba
would start its pool, and with it OpenMP's, beside torch's.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from graphkit.lazy import torch

LEAST = 256  # items below which a further thread costs more than it helps


def in_threads(work: Callable[[int], None], count: int, *, worth: bool = True) -> None:
    """Call ``work(k)`` for k = 0 .. count - 1 in as many threads as torch may use, or in this one where it is not worth it."""
    threads = min(torch.get_num_threads(), count) if worth else 1
    numbers = iter(range(count))  # one next() at a time, under the interpreter's lock

    def some() -> None:
        for k in numbers:
            work(k)

    others = [_pool(threads - 1).submit(some) for _ in range(threads - 1)]
    try:
        some()
    finally:
        for other in others:
            if not other.cancel():  # one that has not started has nothing left to do, and may wait for this very thread
                other.result()


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that stay: starting new ones takes milliseconds, as much as a small graph's whole product."""
    return ThreadPoolExecutor(threads, thread_name_prefix="graphkit-kernel")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process has none of them


def in_ranges(work: Callable[[int, int], None], count: int, least: int = LEAST) -> None:
    """Call ``work(start, stop)`` for ranges of ``least`` items or more that cover 0 .. count, a few for each thread."""
    threads = torch.get_num_threads()
    pieces = min(4 * threads, max(1, count // least)) if threads > 1 else 1
    bounds = [count * k // pieces for k in range(pieces + 1)]
    in_threads(lambda k: work(bounds[k], bounds[k + 1]), pieces)
