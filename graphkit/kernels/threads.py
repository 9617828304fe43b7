"""Threads around kernels that release the interpreter's lock.

numba's own parallel loops cost many seconds of compilation each, on a user's first run; a kernel over a range of its work costs a
few, and threads share out the ranges as well. There are as many as torch may use, which is what ``--threads`` says; asking numba
would start its pool, and with it OpenMP's, beside torch's.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from graphkit.lazy import torch

LEAST = 256  # items below which a further thread costs more than it helps


def in_threads(work: Callable[[int], None], count: int, *, worth: bool = True) -> None:
    """Call ``work(k)`` for k = 0 .. count - 1 in as many threads as torch may use, or in this one where it is not worth it."""
    threads = min(torch.get_num_threads(), count) if worth else 1
    if threads < 2:
        for k in range(count):
            work(k)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(count)))


def in_ranges(work: Callable[[int, int], None], count: int) -> None:
    """Call ``work(start, stop)`` for ranges that cover 0 .. count, a few for each thread."""
    threads = torch.get_num_threads()
    pieces = min(4 * threads, max(1, count // LEAST)) if threads > 1 else 1
    bounds = [count * k // pieces for k in range(pieces + 1)]
    in_threads(lambda k: work(bounds[k], bounds[k + 1]), pieces)
